package spec

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestForSeeds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fetch string
		want  bool
	}{
		"nothing":            {"{}", false},
		"a plain header":     {"{headers: {X-Lang: en}}", false},
		"a secret":           {"{headers: {X-Key: 'k {WEIR_SECRET_A}'}}", true},
		"a cookie":           {"{headers: {cookie: a=1}}", true},
		"authorization":      {"{headers: {authorization: x}}", true},
		"basic":              {"{basic_auth: {user: me, password_env: WEIR_SECRET_A}}", true},
		"basic with hosts":   {"{basic_auth: {user: me, password_env: WEIR_SECRET_A, hosts: [a.example]}}", false},
		"bearer":             {"{bearer_auth: {token_env: WEIR_SECRET_A}}", true},
		"bearer with hosts":  {"{bearer_auth: {token_env: WEIR_SECRET_A, hosts: [a.example]}}", false},
		"a proxy's password": {"{proxy: 'http://u:{WEIR_SECRET_A}@proxy.example:3128'}", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Decode("a.yaml", []byte("seeds: {urls: ['https://shop.example/']}\nfetch: "+c.fetch), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := ForSeeds(s.GetFetch()); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	s, err := Decode("a.yaml", []byte(`
seeds: {requests: [{url: "https://shop.example/", headers: {X-Key: "{WEIR_SECRET_SEED}"}, body: "a={WEIR_SECRET_B}&b={WEIR_SECRET_A}"}]}
fetch:
  user_agent: WEIR_SECRET_AGENT
  headers: {X-Plain: WEIR_SECRET_PLAIN}
  proxies: ["{WEIR_SECRET_PROXY}"]
  basic_auth: {user: me, password_env: WEIR_SECRET_A}
  browser: {steps: [{fill: {selector: "#p", text_env: WEIR_SECRET_FILL}}]}
requests: [{name: in, form: form, fields: {password: {secret: WEIR_SECRET_FIELD}}}]
extract: [{name: page, fields: {a: {constant: "{WEIR_SECRET_TEXT}"}}}]
`), nil)
	want := []string{"WEIR_SECRET_A", "WEIR_SECRET_B", "WEIR_SECRET_FIELD", "WEIR_SECRET_FILL", "WEIR_SECRET_PROXY", "WEIR_SECRET_SEED"}
	if diff := cmp.Diff(want, Secrets(s)); diff != "" {
		t.Errorf("-want +got:\n%s\n%v", diff, err)
	}
}
