package webform

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/weircrawl/weir/services/parser/internal/tree"
)

// firstForm returns the first form of a page.
func firstForm(tb testing.TB, page string) *html.Node {
	tb.Helper()
	root, err := tree.New([]byte(page), nil).Root()
	if err != nil {
		tb.Fatal(err)
	}
	var form *html.Node
	tree.Walk(root, nil, func(n *html.Node) bool {
		if n.DataAtom == atom.Form {
			form = n
		}
		return form == nil
	})
	return form
}

// entries writes entries as name=value, parted by &.
func entries(f Form) string {
	var out []string
	for _, e := range f.Entries {
		out = append(out, e.Name+"="+e.Value)
	}
	return strings.Join(out, "&")
}

func TestEntries(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, form, want string }{
		{"nothing", ``, ``},
		{"text", `<input name=a value=b>`, `a=b`},
		{"text without value", `<input name=a>`, `a=`},
		{"a type that there is not", `<input type=colour name=a value=b>`, `a=b`},
		{"no name", `<input value=b>`, ``},
		{"an empty name", `<input name="" value=b>`, ``},
		{"the order of the page", `<input name=b value=1><input name=a value=2><input name=b value=3>`, `b=1&a=2&b=3`},
		{"hidden", `<input type=hidden name=t value="x&quot;y">`, `t=x"y`},
		{"line ends of a hidden", "<input type=hidden name=t value='a\nb'>", "t=a\r\nb"},
		{"line ends of a text", "<input name=t value='a\nb'>", `t=ab`},
		{"charset", `<input type=hidden name=_charset_ value=x>`, `_charset_=UTF-8`},
		{"password, search, tel", `<input type=password name=p value=1><input type=search name=s><input type=tel name=t value=3>`, `p=1&s=&t=3`},
		{"email and url", `<input type=email name=e value=" a@b "><input type=url name=u value="  http://x ">`, `e=a@b&u=http://x`},
		{"emails", `<input type=email multiple name=e value=" a@b , c@d ">`, `e=a@b,c@d`},
		{"number", `<input type=number name=a value=1.5><input type=number name=b value=x><input type=number name=c value=+1>`, `a=1.5&b=&c=`},
		{"range", `<input type=range name=a><input type=range name=b min=10 max=20><input type=range name=c value=500>`, `a=50&b=15&c=100`},
		{"range with steps", `<input type=range name=a min=0 max=1 step=0.1 value=0.34><input type=range name=b min=0 max=7 step=5 value=7>`, `a=0.3&b=5`},
		{"a range the wrong way round", `<input type=range name=a min=5 max=1>`, `a=5`},
		{"color", `<input type=color name=a><input type=color name=b value=#AABBCC><input type=color name=c value=red>`, `a=#000000&b=#aabbcc&c=#000000`},
		{"dates", `<input type=date name=a value=2026-02-30><input type=date name=b value=2026-02-28>`, `a=&b=2026-02-28`},
		{"times", `<input type=time name=a value=25:00><input type=time name=b value=23:59><input type=month name=c value=2026-13>`, `a=&b=23:59&c=`},
		{"weeks", `<input type=week name=a value=2026-W07><input type=week name=b value=2026-W54>`, `a=2026-W07&b=`},
		{"local time", `<input type=datetime-local name=a value="2026-01-02 03:04">`, `a=2026-01-02T03:04`},
		{"checkbox", `<input type=checkbox name=a><input type=checkbox name=b checked><input type=checkbox name=c value=x checked>`, `b=on&c=x`},
		{"radio", `<input type=radio name=r value=1><input type=radio name=r value=2 checked>`, `r=2`},
		{"no radio", `<input type=radio name=r value=1>`, ``},
		{"file", `<input type=file name=f>`, `f=`},
		{"buttons", `<input type=submit name=a value=1><input type=image name=b><input type=reset name=c><input type=button name=d><button name=e value=1>x</button>`, ``},
		{"capitals", `<INPUT TYPE=SUBMIT NAME=a><INPUT TYPE=CheckBox NAME=b CHECKED>`, `b=on`},
		{"disabled", `<input name=a disabled><input name=b disabled=false><input name=c>`, `c=`},
		{"readonly is sent", `<input name=a value=1 readonly>`, `a=1`},
		{"disabled fieldset", `<fieldset disabled><legend><input name=a></legend><legend><input name=b></legend><input name=c></fieldset><input name=d>`, `a=&d=`},
		{"datalist", `<datalist><select name=a><option>x</select><input name=b></datalist>`, ``},
		{"textarea", "<textarea name=a>\n one\ntwo</textarea>", "a= one\r\ntwo"},
		{"textarea with markup", `<textarea name=a><b>&amp;</textarea>`, `a=<b>&`},
		{"select: the first", `<select name=a><option value=1>x<option value=2>y</select>`, `a=1`},
		{"select: not a disabled one", `<select name=a><option disabled value=1>x<option value=2>y</select>`, `a=2`},
		{"select: none left", `<select name=a><option disabled>x</select>`, ``},
		{"select: the selected one", `<select name=a><option value=1>x<option value=2 selected>y<option>z</select>`, `a=2`},
		{"select: the last of two", `<select name=a><option value=1 selected>x<option value=2 selected>y</select>`, `a=2`},
		{"select: a placeholder", `<select name=a><option selected disabled>Choose<option value=2>y</select>`, ``},
		{"select: text as value", "<select name=a><option> one\n  two <b>x</b></select>", `a=one two x`},
		{"select: empty value", `<select name=a><option value>x</select>`, `a=`},
		{"select: a list", `<select name=a size=3><option value=1>x</select>`, ``},
		{"select: a list of size 1", `<select name=a size=1><option value=1>x</select>`, `a=1`},
		{"select: a list without a size", `<select name=a size=x><option value=1>x</select>`, `a=1`},
		{"select: several", `<select multiple name=a><option value=1 selected>x<option value=2>y<option value=3 selected>z</select>`, `a=1&a=3`},
		{"select: several, none", `<select multiple name=a><option value=1>x</select>`, ``},
		{"select: groups", `<select name=a><optgroup disabled><option value=1>x</optgroup><optgroup><option value=2>y</optgroup></select>`, `a=2`},
		{"select: nothing in it", `<select name=a></select>`, ``},
		{"direction", `<p dir=rtl><input name=a dirname=d><p><textarea name=b dirname=e></textarea>`, `a=&d=rtl&b=&e=ltr`},
		{"output and object", `<output name=a>1</output><object name=b></object>`, ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := entries(Read(firstForm(t, "<form>"+c.form+"</form>"))); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestForm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, page string
		want       Form
	}{
		{"bare", `<form>`, Form{Method: "GET"}},
		{"action", `<form action=" /a?b#c ">`, Form{Method: "GET", Action: "/a?b#c"}},
		{"post", `<form method=POST action=x>`, Form{Method: "POST", Action: "x"}},
		{"unknown method", `<form method=put>`, Form{Method: "GET"}},
		{"dialog", `<form method=dialog>`, Form{Method: "DIALOG"}},
		{"multipart", `<form method=post enctype=Multipart/Form-Data>`, Form{Method: "POST", Multipart: true}},
		{"the encoding of a GET", `<form enctype=multipart/form-data>`, Form{Method: "GET"}},
		{"plain text", `<form method=post enctype=text/plain>`, Form{Method: "POST", PlainText: true}},
		{"charset", `<form accept-charset="iso-8859-1 utf-8">`, Form{Method: "GET", Charset: "iso-8859-1"}},
		{"fields elsewhere", `<input form=f name=a value=1><form id=f><input name=b value=2><input form=g name=c></form><input form=f name=d value=4>`,
			Form{Method: "GET", Entries: []Entry{{"a", "1"}, {"b", "2"}, {"d", "4"}}}},
		{"a field that names no form", `<form id=f><input form=x name=a></form>`, Form{Method: "GET"}},
		{"a form inside a form", `<form><input name=a value=1><form action=x><input name=b value=2></form>`,
			Form{Method: "GET", Entries: []Entry{{"a", "1"}, {"b", "2"}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, Read(firstForm(t, c.page))); diff != "" {
				t.Errorf("form (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFormBounds(t *testing.T) {
	t.Parallel()
	f := Read(firstForm(t, "<form>"+strings.Repeat("<input name=a>", maxEntries+10)))
	if len(f.Entries) != maxEntries {
		t.Errorf("%d entries, want %d", len(f.Entries), maxEntries)
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{
		`<form action=/x method=post><input name=a value=1><select name=b><option selected>x</select><textarea name=c>d</textarea></form>`,
		`<form id=f><fieldset disabled><legend><input name=a></legend></fieldset></form><input form=f type=range name=r min=-1e9 max=1e9 step=.3>`,
		`<form><input type=number name=n value=1e400><input type=week name=w value=99999-W01><input type=color name=c value=#abcdef dirname=x></form>`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, page string) {
		form := firstForm(t, "<body>"+page)
		if form == nil {
			return
		}
		got := Read(form)
		if got.Method != "GET" && got.Method != "POST" && got.Method != "DIALOG" || len(got.Entries) > maxEntries+maxEntries {
			t.Errorf("method %q, %d entries", got.Method, len(got.Entries))
		}
		for _, e := range got.Entries {
			bare := strings.ReplaceAll(e.Name+e.Value, "\r\n", "")
			if e.Name == "" || strings.ContainsAny(bare, "\r\n") {
				t.Errorf("entry %+v", e)
			}
		}
		if diff := cmp.Diff(got, Read(form)); diff != "" {
			t.Errorf("a second time:\n%s", diff)
		}
	})
}
