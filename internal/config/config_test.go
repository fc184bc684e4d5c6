package config_test

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/config"
)

type settings struct {
	URL     string
	Wait    time.Duration
	Workers int
	Pools   config.List
	Token   config.Secret
}

func flags() (*flag.FlagSet, *settings) {
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	s := &settings{URL: "default", Wait: time.Second, Workers: 1, Pools: config.List{"http"}}
	fs.StringVar(&s.URL, "bus.url", s.URL, "URL of the | server")
	fs.DurationVar(&s.Wait, "bus.fetch.ack-wait", s.Wait, "wait")
	fs.IntVar(&s.Workers, "workers", s.Workers, "workers")
	fs.Var(&s.Pools, "bus.pools", "pools")
	fs.Var(&s.Token, "api.token", "token")
	return fs, s
}

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "weir.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	file := "bus:\n  url: file\n  pools: [a, b]\n  fetch: {ack-wait: 3s}\nworkers: 3\n"
	for name, tc := range map[string]struct {
		file string
		env  []string
		args []string
		want settings
	}{
		"defaults":                        {want: settings{"default", time.Second, 1, config.List{"http"}, ""}},
		"empty file":                      {file: "# nothing\n", want: settings{"default", time.Second, 1, config.List{"http"}, ""}},
		"file":                            {file: file, want: settings{"file", 3 * time.Second, 3, config.List{"a", "b"}, ""}},
		"dotted keys":                     {file: "bus.fetch.ack-wait: 4s\nbus: {pools: x}", want: settings{"default", 4 * time.Second, 1, config.List{"x"}, ""}},
		"env over file":                   {file: file, env: []string{"WEIR_WORKERS=4", "WEIR_BUS_FETCH_ACK_WAIT=9s", "OTHER=x", "WEIR_API_TOKEN=secret"}, want: settings{"file", 9 * time.Second, 4, config.List{"a", "b"}, "secret"}},
		"flags over all":                  {file: file, env: []string{"WEIR_WORKERS=4"}, args: []string{"--workers=5", "--bus.url=flag"}, want: settings{"flag", 3 * time.Second, 5, config.List{"a", "b"}, ""}},
		"a flag with its default's value": {file: file, args: []string{"--workers=1"}, want: settings{"file", 3 * time.Second, 1, config.List{"a", "b"}, ""}},
		"kubernetes links":                {env: []string{"WEIR_STORAGE_SERVICE_HOST=1.2.3.4", "WEIR_STORAGE_PORT=tcp://1.2.3.4:7300", "WEIR_STORAGE_PORT_7300_TCP_ADDR=1.2.3.4", "WEIR_STORAGE_SERVICE_PORT_GRPC=7300"}, want: settings{"default", time.Second, 1, config.List{"http"}, ""}},
		"ignored variable":                {env: []string{"WEIR_SERVER=x"}, want: settings{"default", time.Second, 1, config.List{"http"}, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fs, got := flags()
			if err := fs.Parse(tc.args); err != nil {
				t.Fatal(err)
			}
			src := config.Source{Environ: tc.env, IgnoreEnv: []string{"WEIR_SERVER"}}
			if tc.file != "" {
				src.File = write(t, tc.file)
			}
			if err := config.Load(fs, src); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, *got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		file string
		env  string
		want string
	}{
		"unknown key":      {file: "bus:\n  ulr: x\n", want: "F:2:3: bus.ulr is not a setting, did you mean bus.url?"},
		"unknown section":  {file: "bsu: {url: x}\n", want: "F:1:1: bsu is not a setting"},
		"bad value":        {file: "workers: many\n", want: `F:1:1: workers: value "many": parse error`},
		"given twice":      {file: "bus.url: a\nbus: {url: b}\n", want: "F:2:7: bus.url is given twice"},
		"not a value":      {file: "workers: {a: 1}\n", want: "F:1:1: workers: want one value or a list of them"},
		"list of lists":    {file: "bus.pools: [[a]]\n", want: "F:1:1: bus.pools: want one value or a list of them"},
		"not a mapping":    {file: "- a\n", want: "F:1: want settings as key: value"},
		"two documents":    {file: "workers: 1\n---\nworkers: 2\n", want: "F: more than one document"},
		"alias":            {file: "bus.url: &a x\nbus.pools: *a\n", want: "F:2:1: bus.pools: aliases are not taken"},
		"unknown variable": {env: "WEIR_WORKRES=1", want: "environment: WEIR_WORKRES is not a setting, did you mean WEIR_WORKERS?"},
		"bad variable":     {env: "WEIR_WORKERS=x", want: `environment WEIR_WORKERS: workers: value "x": parse error`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fs, _ := flags()
			var src config.Source
			if tc.file != "" {
				src.File = write(t, tc.file)
			}
			if tc.env != "" {
				src.Environ = []string{tc.env}
			}
			err := config.Load(fs, src)
			if err == nil {
				t.Fatal("no error")
			}
			if got := strings.ReplaceAll(err.Error(), src.File, "F"); src.File != "" && got != tc.want || src.File == "" && err.Error() != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
	fs, _ := flags()
	if err := config.Load(fs, config.Source{File: "/does/not/exist"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestExplicit(t *testing.T) {
	t.Parallel()
	fs, got := flags()
	got.Workers = 7 // as cobra leaves it: set, unknown to fs
	err := config.Load(fs, config.Source{Environ: []string{"WEIR_WORKERS=4"}, Explicit: func(n string) bool { return n == "workers" }})
	if err != nil || got.Workers != 7 {
		t.Errorf("workers %d, %v", got.Workers, err)
	}
}

func TestReference(t *testing.T) {
	t.Parallel()
	fs, _ := flags()
	page := config.Reference(fs)
	for _, want := range []string{
		"\n## bus\n", "\n## general\n",
		"| `bus.url` | `WEIR_BUS_URL` | `default` | URL of the \\| server |\n",
		"| `api.token` | `WEIR_API_TOKEN` |  | token |\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("lacks %q:\n%s", want, page)
		}
	}
}

func TestSecretIsHidden(t *testing.T) {
	t.Parallel()
	s := config.Secret("hunter2")
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "token", s, "ptr", &s)
	shown := b.String() + fmt.Sprint(&s) + fmt.Sprintf("%v %+v %s %#v", s, struct{ S config.Secret }{s}, s, s)
	if strings.Contains(shown, "hunter2") {
		t.Errorf("shown in %s", shown)
	}
	if s.Reveal() != "hunter2" {
		t.Error("not revealed")
	}
}

func FuzzLoad(f *testing.F) {
	for _, s := range []string{"", "bus: {url: x}", "a: &a [*a]", "? {}\n: x", "bus:\n- 1", "workers: 0x10", "\xff", "{{}: 1}"} {
		f.Add(s)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, doc string) {
		path := filepath.Join(dir, "f.yaml")
		if err := os.WriteFile(path, []byte(doc), 0o600); err != nil {
			t.Fatal(err)
		}
		fs, _ := flags()
		_ = config.Load(fs, config.Source{File: path}) // must not panic
	})
}
