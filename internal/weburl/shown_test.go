package weburl_test

import (
	"strings"
	"testing"

	"github.com/weircrawl/weir/internal/weburl"
)

func TestShown(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                               "",
		"https://x.test/a@b?c=@":         "https://x.test/a@b?c=@",
		"https://u:p@x.test/a":           "https://…@x.test/a",
		"https://u:p@q@x.test":           "https://…@x.test",
		"u:p@x.test":                     "…@x.test",
		"//u:p@x.test:99999#@":           "//…@x.test:99999#@",
		"ftp://u:p@":                     "ftp://…@",
		"no host. Url: 'http://u:p@:x/'": "no host. Url: 'http://…@:x/'",
		"mailto":                         "mailto",
	} {
		if got := weburl.Shown(in); got != want {
			t.Errorf("Shown(%q) = %q, want %q", in, got, want)
		}
	}
}

// What no parser takes is quoted in errors: not with the password.
func TestErrorsHaveNoPasswords(t *testing.T) {
	t.Parallel()
	c := weburl.New(weburl.Options{})
	for _, raw := range []string{"http://u:s3cr3t@", "http://u:s3cr3t@:x/", "http://u:s3cr3t@x.test:99999/", "http://u:s3cr3t@[::/", "http://u:s3cr3t@a b/", "http:////u:s3cr3t@x y"} {
		if _, err := c.Parse(raw); err != nil && strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v", raw, err)
		}
	}
}
