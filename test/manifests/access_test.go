package manifests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// In production callers need a token or a certificate, no server says which services it
// has, and specs may use nothing until somebody allows it.
func TestProductionIsClosed(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join(deploy, "overlays/prod/weir.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var cfg struct {
		GRPC struct {
			TLSCert     string `json:"tls-cert"`
			TLSClientCA string `json:"tls-client-ca"`
			Reflection  *bool  `json:"reflection"`
		} `json:"grpc"`
		Access struct {
			TokensFile string `json:"tokens-file"`
		} `json:"access"`
		Fetcher struct {
			Secrets *[]string `json:"secrets-allow"`
			Proxies *[]string `json:"proxy-allow"`
		} `json:"fetcher"`
		Parser struct {
			Extractors *[]string `json:"extractor-allow"`
		} `json:"parser"`
	}
	if err := yaml.Unmarshal(data, &cfg); err != nil {
		t.Fatal(err)
	}
	if cfg.GRPC.TLSCert == "" || cfg.GRPC.TLSClientCA == "" || cfg.Access.TokensFile == "" {
		t.Errorf("anybody may call: %+v", cfg)
	}
	if cfg.GRPC.Reflection == nil || *cfg.GRPC.Reflection {
		t.Error("reflection is on")
	}
	for name, list := range map[string]*[]string{"secrets-allow": cfg.Fetcher.Secrets, "proxy-allow": cfg.Fetcher.Proxies, "extractor-allow": cfg.Parser.Extractors} {
		if list == nil || strings.Contains(strings.Join(*list, " "), "*") {
			t.Errorf("%s is open", name)
		}
	}
	mounted := 0
	objects, err := decode(build(t, "overlays/prod"), customTypes(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if strings.Contains(string(o.Data), "mountPath: "+filepath.Dir(cfg.Access.TokensFile)) {
			mounted++
		}
	}
	if mounted != 5 {
		t.Errorf("%d workloads have the file of tokens, want the 5 that serve gRPC", mounted)
	}
}
