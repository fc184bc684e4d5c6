package secret_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/secret"
)

func TestIsName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"WEIR_SECRET_A":                      true,
		"WEIR_SECRET_SHOP_2":                 true,
		"WEIR_SECRET_":                       false,
		"WEIR_SECRET_a":                      false,
		"WEIR_SECRET_A-B":                    false,
		"WEIR_SECRET_Ä":                      false,
		"WEIR_SERVER":                        false,
		"AWS_SECRET_ACCESS_KEY":              false,
		"":                                   false,
		"WEIR_SECRET_" + longText("A", 1000): false,
	} {
		if got := secret.IsName(name); got != want {
			t.Errorf("%.40q: %v", name, got)
		}
	}
}

func longText(s string, n int) string { return strings.Repeat(s, n) }

func TestFill(t *testing.T) {
	t.Parallel()
	lookup := secret.Lookup(func(name string) (string, bool) {
		v, ok := map[string]string{"WEIR_SECRET_A": `a"&`, "WEIR_SECRET_B": "b", "WEIR_SECRET_EMPTY": "", "HOME": "/root"}[name]
		return v, ok
	})
	tests := []struct{ name, contentType, text, want, missing string }{
		{"none", "", "plain {text} {", "plain {text} {", ""},
		{"raw", "text/plain", "x{WEIR_SECRET_A}y{WEIR_SECRET_B}", `xa"&yb`, ""},
		{"form", "application/x-www-form-urlencoded; charset=utf-8", "k={WEIR_SECRET_A}", "k=a%22%26", ""},
		{"JSON", "application/json", `{"k":"{WEIR_SECRET_A}"}`, `{"k":"a\"\u0026"}`, ""},
		{"JSON by suffix", "application/ld+json", `"{WEIR_SECRET_A}"`, `"a\"\u0026"`, ""},
		{"braces around", "", "{{WEIR_SECRET_B}}", "{b}", ""},
		{"no name", "", "{WEIR_SECRET_}{WEIR_SECRET_b}{HOME}", "{WEIR_SECRET_}{WEIR_SECRET_b}{HOME}", ""},
		{"open", "", "{WEIR_SECRET_B", "{WEIR_SECRET_B", ""},
		{"broken, then whole", "", "{WEIR_SECRET_{WEIR_SECRET_B}", "{WEIR_SECRET_b", ""},
		{"escaped by a page", "", "%7BWEIR_SECRET_B%7D", "%7BWEIR_SECRET_B%7D", ""},
		{"what is filled in is not looked at again", "", "{WEIR_SECRET_B}{WEIR_SECRET_B}", "bb", ""},
		{"missing", "", "{WEIR_SECRET_C}", "", "WEIR_SECRET_C"},
		{"empty", "", "{WEIR_SECRET_EMPTY}", "", "WEIR_SECRET_EMPTY"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := lookup.Fill(tt.text, secret.EscapeFor(tt.contentType))
			if m, ok := errors.AsType[*secret.Missing](err); ok != (tt.missing != "") || ok && m.Name != tt.missing {
				t.Errorf("error %v", err)
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	want := []string{"WEIR_SECRET_A", "WEIR_SECRET_B"}
	if diff := cmp.Diff(want, secret.Names("{WEIR_SECRET_A}:{x}{WEIR_SECRET_B}@")); diff != "" {
		t.Error(diff)
	}
	if secret.Has("{x}") || !secret.Has("{WEIR_SECRET_A}") {
		t.Error("Has")
	}
}
