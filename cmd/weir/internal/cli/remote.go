package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/weircrawl/weir/cmd/weir/internal/client"
	"github.com/weircrawl/weir/cmd/weir/internal/settings"
	"github.com/weircrawl/weir/internal/certs"
	"github.com/weircrawl/weir/internal/crawl"
)

// remoteFlags say where servers are, who calls and how.
type remoteFlags struct {
	server, storage string
	services        []string // whose certificate server may show, see client.Config
	tokenFile       string
	plainToken      bool
	tls             bool
	ca, cert, key   string
}

// register adds the flags of all commands that call a server, but for --server, which
// commands describe differently.
func (r *remoteFlags) register(fs *pflag.FlagSet) {
	fs.StringVar(&r.tokenFile, "token-file", "", "file with the token to show (default: WEIR_TOKEN, else WEIR_TOKEN_FILE)")
	fs.BoolVar(&r.plainToken, "insecure-token", false, "show the token over plain text to a server on another machine")
	fs.BoolVar(&r.tls, "tls", false, "call over TLS, believing the machine's authorities (or WEIR_TLS=1); --tls-ca implies it")
	fs.StringVar(&r.ca, "tls-ca", "", "PEM file with the authority of the servers' certificates (default: WEIR_TLS_CA)")
	fs.StringVar(&r.cert, "tls-cert", "", "PEM file with a certificate to show (default: WEIR_TLS_CERT)")
	fs.StringVar(&r.key, "tls-key", "", "PEM file with its key (default: WEIR_TLS_KEY)")
}

// dial returns a client of the servers that flags and environment name.
func (a *app) dial(r remoteFlags) (*client.Client, error) {
	fill := func(v *string, name, def string) {
		if *v == "" {
			*v = a.getenv(name)
		}
		if *v == "" {
			*v = def
		}
	}
	cfg := client.Config{Server: r.server, Services: r.services, StorageServer: r.storage, PlainToken: r.plainToken}
	fill(&cfg.Server, "WEIR_SERVER", settings.DefaultServer)
	fill(&cfg.StorageServer, "WEIR_STORAGE_SERVER", "")
	fill(&cfg.FetcherServer, "WEIR_FETCHER_SERVER", "")
	fill(&cfg.ParserServer, "WEIR_PARSER_SERVER", "")
	fill(&r.ca, "WEIR_TLS_CA", "")
	fill(&r.cert, "WEIR_TLS_CERT", "")
	fill(&r.key, "WEIR_TLS_KEY", "")
	var err error
	if cfg.Token, err = a.token(r); err != nil {
		return nil, err
	}
	if (r.cert == "") != (r.key == "") {
		return nil, crawl.Errorf(crawl.Invalid, "--tls-cert and --tls-key go together")
	}
	if r.tls || r.ca != "" || r.cert != "" || a.getenv("WEIR_TLS") == "1" {
		cfg.Certificates, err = certs.Open(certs.Files{Cert: r.cert, Key: r.key, Authority: r.ca}, certs.Deps{Use: "client"})
		if err != nil {
			return nil, crawl.Errorf(crawl.Invalid, "--tls-ca, --tls-cert and --tls-key: %w", err)
		}
	}
	return client.Dial(cfg)
}

// token returns the token to show, empty for none.
func (a *app) token(r remoteFlags) (string, error) {
	if r.tokenFile == "" {
		if token := strings.TrimSpace(a.getenv("WEIR_TOKEN")); token != "" {
			return token, nil
		}
		if r.tokenFile = a.getenv("WEIR_TOKEN_FILE"); r.tokenFile == "" {
			return "", nil
		}
	}
	info, err := os.Stat(r.tokenFile)
	if err != nil {
		return "", crawl.Errorf(crawl.Invalid, "token file: %w", err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return "", crawl.Errorf(crawl.Invalid, "token file %s can be read by everybody on this machine (mode %04o): chmod o= %s", r.tokenFile, info.Mode().Perm(), r.tokenFile)
	}
	data, err := os.ReadFile(r.tokenFile)
	if err != nil {
		return "", crawl.Errorf(crawl.Invalid, "token file: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" || strings.ContainsAny(token, " \t\r\n") {
		return "", crawl.Errorf(crawl.Invalid, "token file %s: want one line with a token, and nothing else", r.tokenFile)
	}
	return token, nil
}

// serverUsage describes --server.
func serverUsage() string {
	return fmt.Sprintf("address of the server (default: WEIR_SERVER, else %s)", settings.DefaultServer)
}
