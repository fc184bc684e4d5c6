package charset

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
)

const (
	english  = "The river rises in the hills and runs to the sea; nobody owns it. "
	german   = "Über den Wäldern fließt der Fluß, und die Mühle am Bach läuft für die Müller. Äpfel, Öl und Käse verkauft der Händler in der Straße. "
	french   = "L'été dernier, les élèves ont été reçus à la mairie où le maire a prononcé un discours très apprécié. Ça a duré une journée entière à la fête. "
	spanish  = "El niño comió una manzana mañana por la mañana; ¿dónde está el camión de la señora? La canción española también es de aquí. "
	polish   = "Zażółć gęślą jaźń. Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Są oni obdarzeni rozumem i sumieniem. Następnie powinni postępować wobec innych w duchu braterstwa. "
	czech    = "Příliš žluťoučký kůň úpěl ďábelské ódy. Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Jsou nadáni rozumem a svědomím a mají spolu jednat v duchu bratrství. "
	russian  = "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью и должны поступать в отношении друг друга в духе братства. "
	greek    = "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα. Είναι προικισμένοι με λογική και συνείδηση. "
	turkish  = "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Akıl ve vicdana sahiptirler ve birbirlerine karşı kardeşlik zihniyeti ile hareket etmelidirler. "
	hebrew   = "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם. כולם חוננו בתבונה ובמצפון, לפיכך חובה עליהם לנהוג איש ברעהו ברוח של אחווה. "
	arabic   = "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق. وقد وهبوا عقلا وضميرا وعليهم أن يعامل بعضهم بعضا بروح الإخاء. "
	japanese = "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。人間は、理性と良心とを授けられており、互いに同胞の精神をもって行動しなければならない。"
	chinese  = "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,并应以兄弟关系的精神相对待。我们的河流从山上流下来,没有人拥有它。"
	taiwan   = "人人生而自由,在尊嚴和權利上一律平等。他們賦有理性和良心,並應以兄弟關係的精神相對待。我們的河流從山上流下來,沒有人擁有它。"
	korean   = "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 인간은 천부적으로 이성과 양심을 부여받았으며 서로 형제애의 정신으로 행동하여야 한다. "
	thai     = "มนุษย์ทั้งปวงเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ ต่างมีเหตุผลและมโนธรรม "
	viet     = "Mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền. "
)

// page puts text into markup, long enough for a guess.
func page(head, text string) string {
	var b strings.Builder
	b.WriteString("<!doctype html><html><head>" + head + "<title>x</title></head><body>")
	for range 6 {
		b.WriteString("<div class=\"text\"><p>" + text + "</p></div>\n")
	}
	return b.String() + "</body></html>"
}

func encode(t testing.TB, enc encoding.Encoding, s string) []byte {
	t.Helper()
	b, err := enc.NewEncoder().Bytes([]byte(s))
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	return b
}

func named(t testing.TB, name string) encoding.Encoding {
	t.Helper()
	e, err := htmlindex.Get(name)
	if err != nil {
		t.Fatalf("encoding %q: %v", name, err)
	}
	return e
}

// TestDecodeDeclared: what is declared, in the header or in the page, is used.
func TestDecodeDeclared(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ encoding, text string }{
		{"windows-1252", german}, {"windows-1252", french}, {"iso-8859-15", french}, {"iso-8859-2", polish}, {"windows-1250", czech},
		{"windows-1251", russian}, {"koi8-r", russian}, {"iso-8859-5", russian}, {"ibm866", russian}, {"windows-1253", greek}, {"iso-8859-7", greek},
		{"windows-1254", turkish}, {"windows-1255", hebrew}, {"windows-1256", arabic}, {"windows-874", thai}, {"shift_jis", japanese},
		{"euc-jp", japanese}, {"iso-2022-jp", japanese}, {"gbk", chinese}, {"gb18030", chinese}, {"big5", taiwan}, {"euc-kr", korean},
		{"macintosh", french}, {"utf-8", viet}, {"utf-8", japanese},
	} {
		name := c.encoding + " " + strings.Fields(c.text)[0]
		t.Run("header "+name, func(t *testing.T) {
			t.Parallel()
			want := page("", c.text)
			got, enc := Decode(encode(t, named(t, c.encoding), want), "text/html; charset="+c.encoding)
			if enc != c.encoding || string(got) != want {
				t.Errorf("encoding %q, want %q; text right: %v", enc, c.encoding, string(got) == want)
			}
		})
		t.Run("meta "+name, func(t *testing.T) {
			t.Parallel()
			want := page("<meta charset="+c.encoding+">", c.text)
			got, enc := Decode(encode(t, named(t, c.encoding), want), "text/html")
			if enc != c.encoding || string(got) != want {
				t.Errorf("encoding %q, want %q; text right: %v", enc, c.encoding, string(got) == want)
			}
		})
	}
}

// TestDecodeUndeclared: without a declaration the text is what counts, since
// several encodings write the same text with the same bytes.
func TestDecodeUndeclared(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ encoding, text string }{
		{"utf-8", english}, {"utf-8", viet}, {"utf-8", japanese}, {"windows-1252", german}, {"windows-1252", french}, {"windows-1252", spanish},
		{"iso-8859-2", polish}, {"iso-8859-2", czech}, {"windows-1251", russian}, {"koi8-r", russian}, {"iso-8859-5", russian}, {"iso-8859-7", greek},
		{"windows-1254", turkish}, {"windows-1255", hebrew}, {"windows-1256", arabic}, {"shift_jis", japanese}, {"euc-jp", japanese}, {"iso-2022-jp", japanese},
		{"gbk", chinese}, {"gb18030", chinese}, {"big5", taiwan}, {"euc-kr", korean}, {"utf-16le", english}, {"utf-16be", german},
	} {
		t.Run(c.encoding+" "+strings.Fields(c.text)[0], func(t *testing.T) {
			t.Parallel()
			want := page("", c.text)
			body := encode(t, named(t, c.encoding), want)
			for range 3 {
				got, enc := Decode(body, "text/html")
				if string(got) != want {
					t.Fatalf("decoded as %q, not as %s: %.120q", enc, c.encoding, got)
				}
			}
		})
	}
}

func TestDecodeSpecialCases(t *testing.T) {
	t.Parallel()
	utf16 := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	long := strings.Repeat("<script>var a = 1;</script>\n", 2000)
	latin1 := string(encode(t, named(t, "windows-1252"), german))
	for _, c := range []struct {
		name, body, contentType, want, encoding string
	}{
		{"empty", "", "text/html", "", "utf-8"},
		{"ascii", "<p>a", "text/html", "<p>a", "utf-8"},
		{"no type", "<p>ä", "", "<p>ä", "utf-8"},
		{"utf-8 mark", "\xef\xbb\xbf<p>ä", "text/html; charset=windows-1251", "<p>ä", "utf-8"},
		{"utf-16 mark", string(encode(t, utf16, "<p>ä")), "text/html; charset=utf-8", "<p>ä", "utf-16le"},
		{"mark alone", "\xef\xbb\xbf", "", "", "utf-8"},
		{"header before meta", "<meta charset=windows-1251><p>\xe4", "text/html; charset=windows-1252", "<meta charset=windows-1251><p>ä", "windows-1252"},
		{"label in quotes and capitals", "<p>\xe4", `text/html; charset="ISO-8859-1"`, "<p>ä", "windows-1252"},
		{"unknown label", "<p>ä", "text/html; charset=x-none", "<p>ä", "utf-8"},
		{"broken header", "<p>\xe4", "text/html;; charset = latin1", "<p>ä", "windows-1252"},
		{"pragma", `<meta http-equiv=Content-Type content="text/html; charset=latin1"><p>` + "\xe4", "", `<meta http-equiv=Content-Type content="text/html; charset=latin1"><p>ä`, "windows-1252"},
		{"content without pragma", `<meta name=x content="charset=koi8-r"><p>ä`, "", `<meta name=x content="charset=koi8-r"><p>ä`, "utf-8"},
		{"meta in a comment", "<!-- <meta charset=koi8-r> --><p>ä", "", "<!-- <meta charset=koi8-r> --><p>ä", "utf-8"},
		{"meta says utf-16", "<meta charset=utf-16><p>ä", "", "<meta charset=utf-16><p>ä", "utf-8"},
		{"meta beyond the first KiB", long + "<meta charset=koi8-r><p>ä", "", long + "<meta charset=koi8-r><p>ä", "utf-8"},
		{"false utf-8 in the header", page("", latin1), "text/html; charset=utf-8", page("", german), "windows-1252"},
		{"false utf-8 in the header, meta right", "<meta charset=koi8-r><p>\xd4\xc5\xd3\xd4\xc5\xd2", "text/html; charset=utf-8", "<meta charset=koi8-r><p>тестер", "koi8-r"},
		{"utf-8 with a broken character", "<p>äöü\xff", "text/html; charset=utf-8", "<p>äöü\ufffd", "utf-8"},
		{"utf-8 cut inside a character", "<p>äö\xc3", "text/html; charset=utf-8", "<p>äö\ufffd", "utf-8"},
		{"undeclared utf-8 cut inside a character", "<p>äö\xc3", "", "<p>äö\ufffd", "utf-8"},
		{"undeclared utf-8 with a broken character", "<p>" + viet + "\xff", "", "<p>" + viet + "\ufffd", "utf-8"},
		{"replacement label", "<p>a", "text/html; charset=iso-2022-kr", "<p>a", "utf-8"},
		{"text far from the start", long + page("", string(encode(t, named(t, "windows-1251"), russian))), "", long + page("", russian), "windows-1251"},
		{"ascii declared as latin1", "<p>a", "text/html; charset=latin1", "<p>a", "windows-1252"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, enc := Decode([]byte(c.body), c.contentType)
			if string(got) != c.want || enc != c.encoding {
				t.Errorf("Decode = %.200q, %q\nwant %.200q, %q", got, enc, c.want, c.encoding)
			}
		})
	}
}

func TestDecodeSharesUTF8(t *testing.T) {
	t.Parallel()
	body := []byte(page("<meta charset=utf-8>", japanese))
	for _, ct := range []string{"text/html; charset=utf-8", "text/html", ""} {
		if got, _ := Decode(body, ct); &got[0] != &body[0] {
			t.Errorf("%q: the page was copied", ct)
		}
	}
}

func FuzzCharset(f *testing.F) {
	for _, s := range []string{"", "<p>ä", "<p>\xe4", "\xff\xfea\x00", "\xfe\xff", "<meta charset=koi8-r>\xd4", "<meta charset=utf-16>", "\x1b$B\x1b(B", "\x00<\x00p"} {
		f.Add([]byte(s), "text/html; charset=utf-8")
		f.Add([]byte(s), "")
	}
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		text, name := Decode(body, contentType)
		if !utf8.Valid(text) {
			t.Errorf("not UTF-8: %q", text)
		}
		if name == "" {
			t.Error("no name")
		}
	})
}

func BenchmarkDecodeUTF8(b *testing.B) {
	body := []byte(strings.Repeat(page("", english+viet), 10))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		Decode(body, "text/html; charset=utf-8")
	}
}
