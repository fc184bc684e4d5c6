package spec

import "testing"

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
