package spec

import (
	"strings"
	"testing"
	"time"
)

func TestExtractorRules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, extractor, want string }{
		{"dns", "{address: 'dns:///extractor:9000'}", ""},
		{"dns by a server", "{address: 'dns://10.0.0.1/extractor:9000'}", ""},
		{"host and port", "{address: 'localhost:9000'}", ""},
		{"IPv6", "{address: '[::1]:9000'}", ""},
		{"unix", "{address: 'unix:///run/x.sock'}", ""},
		{"everything", "{address: 'a:1', match: '*/p/*', timeout: 30s, concurrency: 64, retries: 0, tls: true, max_body: 1MiB}", ""},
		{"no address", "{match: '*'}", "extractor.address: is required"},
		{"web address", "{address: 'http://a:1'}", "extractor.address: is an address of gRPC, not of the web"},
		{"no port", "{address: extractor}", "extractor.address: needs a host and a port"},
		{"IPv6 without a port", "{address: '[::1]'}", "extractor.address: needs a host and a port"},
		{"two slashes", "{address: 'dns://extractor:9000'}", "extractor.address: needs three slashes after dns:"},
		{"unknown scheme", "{address: 'xds:///a:1'}", "extractor.address: has the unknown scheme xds"},
		{"relative socket", "{address: 'unix://x.sock'}", "extractor.address: needs an absolute path"},
		{"two words", "{address: 'a:1 b:2'}", "extractor.address: must be one word"},
		{"bad pattern", "{address: 'a:1', match: 're:('}", "extractor.match: "},
		{"no time", "{address: 'a:1', timeout: 0s}", "extractor.timeout: must be between 10ms and 5m, not 0s"},
		{"too long", "{address: 'a:1', timeout: 6m}", "extractor.timeout: must be between"},
		{"none at a time", "{address: 'a:1', concurrency: 0}", "extractor.concurrency: must be between 1 and 256, not 0"},
		{"too many tries", "{address: 'a:1', retries: 11}", "extractor.retries: must be between 0 and 10, not 11"},
		{"too large", "{address: 'a:1', max_body: 65MiB}", "extractor.max_body: must be between 1 and 64MiB, not 65MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Decode("spec.yaml", []byte("seeds: {urls: [https://a.example/]}\nextractor: "+c.extractor+"\n"), nil)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v; want %q", err, c.want)
			}
		})
	}
}

func TestExtractorDefaults(t *testing.T) {
	t.Parallel()
	s, err := Decode("spec.yaml", []byte("seeds: {urls: [https://a.example/]}\nextractor: {address: 'a:1', retries: 0}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	e := Resolve(s).GetExtractor()
	if e.GetTimeout().AsDuration() != 5*time.Second || e.GetConcurrency() != 8 || e.GetRetries() != 0 || e.GetMaxBody() != 4<<20 || e.GetTls() {
		t.Errorf("defaults: %v", e)
	}
	s.Extractor = nil
	if Resolve(s).GetExtractor() != nil {
		t.Error("a spec without an extractor got one")
	}
}
