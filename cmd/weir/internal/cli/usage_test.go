package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/cmd/weir/internal/settings"
	"github.com/weircrawl/weir/internal/spec"
)

// TestMistakes: exactly these words, on stderr, and this exit code. DIR stands for
// a fresh directory, in which good.yaml and noseeds.yaml are.
func TestMistakes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		args string
		code int
		want string
	}{
		{"crwal", 2, `unknown command "crwal"; did you mean "crawl"?`},
		{"zzzzzzz", 2, `unknown command "zzzzzzz": see weir --help`},
		{"crawl --nope", 2, "unknown flag: --nope: see weir crawl --help"},
		{"crawl", 2, "name a spec or URLs to crawl: weir crawl shop.yaml, or weir crawl https://shop.example/"},
		{"crawl gopher://x/", 2, `argument: seeds.urls[0]: "gopher://x/" cannot be crawled: only http and https can`},
		{"crawl shop.example", 2, "shop.example is no spec (no such file or directory); did you mean https://shop.example ?"},
		{"crawl DIR/none.yaml", 2, "cannot read the spec DIR/none.yaml: no such file or directory"},
		{"crawl https://a.example/ DIR/good.yaml", 2, "DIR/good.yaml is a file: give one spec, or URLs, not both"},
		{"crawl DIR/noseeds.yaml", 2, "DIR/noseeds.yaml: seeds: name at least one URL in seeds.urls, seeds.sitemaps or seeds.requests, or a file of them in seeds.files"},
		{"crawl DIR/nofile.yaml", 2, "seeds.files: there is no file DIR/none.txt"},
		{"crawl https://a.example/ --set politeness.dealy=1s", 2, `--set politeness.dealy=1s: unknown field "dealy" in politeness; did you mean "delay"?`},
		{"crawl https://a.example/ --set extract=[{}]", 2, "--set extract=[{}]: extract[0].name: is required: it becomes the _rule of the items\nweir: --set extract=[{}]: extract[0].fields: needs at least one field"},
		{"crawl https://a.example/ -o DIR/x.xml", 2, "unknown output format \"xml\": use jsonl, csv or parquet, with .gz or .zst to compress, or warc.gz"},
		{"crawl https://a.example/ -o - --json", 2, "--json and -o - both write to stdout: write the items to a file"},
		{"crawl https://a.example/ --resume --data DIR/d", 2, "there is no crawl in DIR/d to resume: leave out --resume to start one, or name its directory with --data"},
		{"crawl --resume", 2, "--resume needs the spec or URLs, or --data with the crawl's directory"},
		{"crawl --resume --set order=depth_first", 2, "--set needs the spec; a crawl is resumed with the spec it has"},
		{"crawl http://127.0.0.1:1/ --data DIR/d", 2, "http://127.0.0.1:1/ is on a private network, which is not visited unless it is allowed: add --allow-net 127.0.0.0/8"},
		{"crawl http://localhost/ --data DIR/d", 2, "http://localhost/ is on a private network, which is not visited unless it is allowed: add --allow-net 127.0.0.0/8"},
		{"crawl http://10.1.2.3/ --allow-net 10.2.0.0/16 --data DIR/d", 2, "http://10.1.2.3/ is on a private network, which is not visited unless it is allowed: add --allow-net 10.1.2.3/32"},
		{"crawl http://10.1.2.3/ --allow-net 10.0.0.0/8 --set fetch.allow_nets=[10.2.0.0/16] --data DIR/d", 2, "http://10.1.2.3/ is on none of the private networks that the spec keeps to: add 10.1.2.3/32 to fetch.allow_nets"},
		{"crawl DIR/secret.yaml --data DIR/d", 2, "the spec wants the secret WEIR_SECRET_NONE, which is not in the environment: export WEIR_SECRET_NONE=…"},
		{"crawl https://a.example/ --data DIR/d --storage.min-free 1000000000000000", 1, "the disk of DIR/d is nearly full: "},
		{"crawl https://a.example/ --set fetch.render=auto --fetcher.browser.path DIR/none --data DIR/d", 2, "fetch.render: browser DIR/none: "},
		{"fetcher --pool render --fetcher.browser.path DIR/none", 2, "browser DIR/none: "},
		{"certs init DIR/pki --valid 10h --authority-valid 1h", 2, "--valid is 10h0m0s and --authority-valid is 1h0m0s: the first must be positive and no longer than the second"},
		{"certs renew DIR", 1, "DIR has no authority: weir certs init DIR makes one"},
		{"certs renew DIR --new-authority --forget-old", 2, "--new-authority and --forget-old are the first and the last step of replacing an authority: one at a time"},
		{"migrate", 2, "name a database with --store, --catalogue or both: stores in a data directory are brought up to date when they are opened"},
		{"submit", 2, "name a spec or URLs: weir submit shop.yaml"},
		{"status", 2, "weir status takes a CRAWL (id or name): usage: weir status CRAWL [flags]"},
		{"ls x", 2, `weir ls takes no arguments, not "x": see weir ls --help`},
		{"add shop", 2, "weir add takes a CRAWL and URLs, or - for stdin"},
		{"add shop https://a.example/ --not-before soon", 2, `--not-before "soon": want a time such as 2026-01-31T08:00:00Z, a day such as 2026-01-31, or a time from now such as 90m`},
		{"urls", 2, "weir urls takes a CRAWL (id or name): usage: weir urls CRAWL [flags]"},
		{"urls shop --state fetched", 2, `--state "fetched": want queued, leased, delayed, done, failed, dropped`},
		{"hosts a b", 2, "weir hosts takes one CRAWL (id or name) at most: see weir hosts --help"},
		{"host", 2, "weir host takes a HOST (scheme://name[:port]): usage: weir host HOST [flags]"},
		{"host https://a.example --block --unblock", 2, "--block and --unblock contradict each other"},
		{"host https://a.example --delay x", 2, `invalid argument "x" for "--delay" flag: time: invalid duration "x": see weir host --help`},
		{"dead a b", 2, "weir dead takes one CRAWL (id or name) at most: see weir dead --help"},
		{"dead retry", 2, "weir dead retry takes the numbers of letters (see weir dead), or --crawl CRAWL for all of a crawl"},
		{"dead retry 1 --crawl shop", 2, "weir dead retry takes the numbers of letters (see weir dead), or --crawl CRAWL for all of a crawl"},
		{"dead retry seven", 2, `"seven" is not the number of a dead letter: see weir dead`},
		{"delete", 2, "weir delete takes a CRAWL (id or name): usage: weir delete CRAWL [flags]"},
		{"hosts --server 127.0.0.1:1", 1, "no weir server at 127.0.0.1:1 (connection refused): start one with `weir up`, or set --server or WEIR_SERVER"},
		{"up --data DIR/d --dns 127.0.0.1", 2, `dns server "127.0.0.1": want host:port, for example 127.0.0.1:53`},
		{"export shop", 2, "weir export needs -o FILE, or -o - for stdout"},
		{"export shop -o DIR/x.warc", 2, "the records of an archive are compressed by gzip: use warc.gz"},
		{"export shop -o DIR/x.warc.gz --rule a", 2, "a WARC file is the whole archive in one: leave out --rule, --where, --url, --since, --until, --items and --follow"},
		{"export shop -o DIR/x.warc.gz --since 1h", 2, "a WARC file is the whole archive in one: leave out "},
		{"export shop -o DIR/x.csv --where price", 2, `--where "price": want field=value`},
		{"export shop -o DIR/x.csv --until soon", 2, `--until "soon": want a time such as 2026-01-31T08:00:00Z, a day such as 2026-01-31, or a time ago such as 90m`},
		{"ls --server 127.0.0.1:1", 1, "no weir server at 127.0.0.1:1 (connection refused): start one with `weir up`, or set --server or WEIR_SERVER"},
		{"scheduler", 2, "weir scheduler keeps state: name its directory with --data"},
		{"up --data DIR/d --scheduler.window -1", 2, "scheduler: window is -1, want at least 0"},
		{"up --data DIR/d --log.level loud", 2, `log level "loud": want debug, info, warn or error`},
		{"up --config DIR/good.yaml", 2, "DIR/good.yaml:1:1: seeds is not a setting"},
		{"fetch http://127.0.0.1:1/", 2, "http://127.0.0.1:1/ is on a private network, which is not visited unless it is allowed: add --allow-net 127.0.0.0/8"},
		{"fetch http://127.0.0.1:1/ --allow-net 127.0.0.1", 1, "http://127.0.0.1:1/: connect_refused: "},
		{"spec validate DIR/noseeds.yaml --set order=x", 2, `--set order=x: order must be breadth_first, depth_first or best_first, not "x"`},
		{"spec validate DIR/css.yaml", 2, "DIR/css.yaml:1:34: extract[0].fields.a.css: "},
		{"spec validate DIR/noschema.yaml", 2, "DIR/noschema.yaml:1:21: extract[0].schema: cannot read DIR/none.json: no such file or directory"},
		{"spec validate DIR/schema.yaml", 2, "DIR/schema.yaml:1:21: extract[0].schema: is not a JSON Schema: "},
		{"spec validate DIR/noca.yaml", 2, "DIR/noca.yaml:1:15: fetch.tls.ca: cannot read DIR/none.pem: no such file or directory"},
		{"spec validate DIR/ca.yaml", 2, "DIR/ca.yaml:1:15: fetch.tls.ca: x.json has no certificate in PEM form (-----BEGIN CERTIFICATE-----)"},
		{"spec validate DIR/cut.yaml", 2, "DIR/cut.yaml:1:15: fetch.tls.client_cert: has no certificate in PEM form"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, "good.yaml", "seeds: {urls: ['https://a.example/']}\n")
			write(t, dir, "noseeds.yaml", "name: x\n")
			write(t, dir, "secret.yaml", "seeds: {urls: ['https://a.example/']}\nfetch: {headers: {X-Key: '{WEIR_SECRET_NONE}'}}\n")
			write(t, dir, "nofile.yaml", "seeds: {files: [none.txt]}\n")
			write(t, dir, "css.yaml", "extract: [{name: x, fields: {a: {css: 'p['}}}]\n")
			write(t, dir, "noschema.yaml", "extract: [{name: x, schema: none.json, fields: {a: {css: p}}}]\n")
			write(t, dir, "schema.yaml", "extract: [{name: x, schema: x.json, fields: {a: {css: p}}}]\n")
			write(t, dir, "x.json", `{"type": "objec"}`)
			write(t, dir, "noca.yaml", "fetch: {tls: {ca: none.pem}}\n")
			write(t, dir, "ca.yaml", "fetch: {tls: {ca: x.json}}\n")
			write(t, dir, "cut.yaml", "fetch: {tls: {client_cert: cut.pem, client_key_env: WEIR_SECRET_K}}\n")
			write(t, dir, "cut.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n")
			got := weir(t, strings.Fields(strings.ReplaceAll(tt.args, "DIR", dir))...)
			want := "weir: " + strings.ReplaceAll(tt.want, "DIR", dir)
			if got.code != tt.code || !strings.HasPrefix(got.stderr, want) || got.stdout != "" {
				t.Errorf("exit code %d, stdout %q\ngot  %swant %s", got.code, got.stdout, got.stderr, want)
			}
			if n := strings.Count(got.stderr, "\n"); n != 1+strings.Count(tt.want, "\n") {
				t.Errorf("%d lines: %s", n, got.stderr)
			}
		})
	}
}

func TestPrints(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	example := write(t, dir, "example.yaml", string(spec.Example()))
	for args, want := range map[string]string{
		"version":                  "weir v1.2.3 go",
		"--version":                "weir v1.2.3\n",
		"spec example":             string(spec.Example()),
		"spec schema":              string(spec.JSONSchema()),
		"spec validate " + example: example + " is a valid spec\n",
		"config reference":         settings.Reference(),
		"completion bash":          "# bash completion",
		"":                         "Weir crawls web sites.",
		"crawl --help":             "Crawl a site to its end",
		"spec":                     "Check and test crawl specs",
		"config":                   "Show the settings",
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			got := weir(t, strings.Fields(args)...)
			if got.code != 0 || got.stderr != "" || !strings.HasPrefix(got.stdout, want) {
				t.Errorf("exit code %d, %s%s", got.code, got.stderr, got.stdout)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	file := write(t, t.TempDir(), "insecure.yaml", "fetch: {tls: {insecure: true}}\n")
	got := weir(t, "spec", "validate", file)
	if got.code != 0 || got.stdout != file+" is a valid spec\n" || !strings.HasPrefix(got.stderr, "weir: warning: fetch.tls.insecure: any certificate is accepted") {
		t.Errorf("exit code %d, %s%s", got.code, got.stderr, got.stdout)
	}
}

func TestHelpListsOnlyWhatPeopleType(t *testing.T) {
	t.Parallel()
	got := weir(t, "crawl", "--help").stdout
	for _, flag := range []string{"--output", "--format", "--data", "--resume", "--allow-net", "--set", "--fetchers", "--parsers", "--quiet", "--json"} {
		if !strings.Contains(got, flag) {
			t.Errorf("%s is missing", flag)
		}
	}
	if strings.Contains(got, "--nats.") || strings.Contains(got, "--scheduler.") {
		t.Errorf("settings in the help:\n%s", got)
	}
}

// TestMetricsPage keeps docs/metrics.md fresh: go run ./cmd/weir config metrics > docs/metrics.md
func TestMetricsPage(t *testing.T) {
	t.Parallel()
	got, err := metricsPage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("docs/metrics.md is stale: go run ./cmd/weir config metrics > docs/metrics.md\n%s", diff)
	}
	for _, service := range []string{"weir_bus_", "weir_scheduler_", "weir_fetcher_browser_", "weir_parser_", "weir_storage_", "weir_trace_", "weir_tls_", "weir_access_", "grpc_server_"} {
		if !strings.Contains(got, "| `"+service) {
			t.Errorf("no metric of %s", service)
		}
	}
}

// TestConfigurationPage keeps docs/configuration.md fresh:
// go run ./cmd/weir config reference > docs/configuration.md
func TestConfigurationPage(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(settings.Reference(), string(want)); diff != "" {
		t.Errorf("docs/configuration.md is stale: go run ./cmd/weir config reference > docs/configuration.md\n%s", diff)
	}
}
