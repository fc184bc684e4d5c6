package cli

import (
	"strings"
	"testing"

	"github.com/weircrawl/weir/cmd/weir/internal/shell"
)

func TestShell(t *testing.T) {
	t.Parallel()
	spec, page := parseFiles(t)
	for _, c := range []struct{ line, want string }{
		{"css h1", "A lamp\n"},
		{"css a @href", "/p/2\n/cart\nhttps://ads.example/\n"},
		{"css .none", "nothing\n"},
		{"css [", "css: "},
		{"xpath //a[1]/@href", "/p/2\n"},
		{"xpath count(//a)", "3\n"},
		{"regex ([0-9.]+)", "12.50\n"},
		{"value url", "https://shop.example/p/1\n"},
		{"value colour", "must be"},
		{"json_ld name", "nothing\n"},
		{"items", "1 items, 1 rejected\nrejected: trail: 1 without crumb\n"},
		{"links", "followed       anchor    https://shop.example/p/2\nnot: rule      anchor    https://shop.example/cart\n"},
		{"links image", "not: kind      image     https://shop.example/lamp.jpg\n1 links\n"},
		{"help", shell.Help},
		{"css", "css needs something"},
		{"cs h1", `no command "cs"; help lists them`},
		{"", ""},
		{"quit\ncss h1", ""},
	} {
		r := weirWith(t, t.Context(), c.line+"\n", "shell", page, "--spec", spec, "--url", "https://shop.example/p/1")
		if r.code != 0 || !strings.Contains(r.stdout, c.want) || c.want == "" && r.stdout != "" {
			t.Errorf("%q: code %d, no %q in\n%s%s", c.line, r.code, c.want, r.stdout, r.stderr)
		}
	}
}

func TestShellCompletes(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"x": "xpath ", "j": "json", "json_": "json_ld ", "value t": "value title", "value st": "value status", "links im": "links image", "links s": "links s", "zz": "", "css h": "",
	} {
		got, ok := shell.Complete(in)
		if ok != (want != "" && want != in) || ok && got != want {
			t.Errorf("Complete(%q) = %q, %v; want %q", in, got, ok, want)
		}
	}
}
