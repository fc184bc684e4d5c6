package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestExampleClients runs the programs of examples/clients against a server with tokens and,
// for gRPC, TLS: each crawls the site and prints its items.
func TestExampleClients(t *testing.T) {
	t.Parallel()
	site, dir := newSite(t, 15), t.TempDir()
	s := startSecured(t, dir)
	defer s.stop()
	url := consoleURL(t, s.server)
	root, err := filepath.Abs("../../../..")
	if err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "WEIR_TOKEN="+s.tokens["submit"], "DELAY=0s",
		"FLAGS=-cacert "+s.ca, "GRPCURL="+filepath.Join(root, "bin/tools/grpcurl"))
	for name, args := range map[string][]string{
		"python":  {"python3", "examples/clients/python/crawl.py", url, site.seed()},
		"node":    {"node", "examples/clients/node/crawl.mjs", url, site.seed()},
		"grpcurl": {"examples/clients/grpcurl.sh", s.addr, site.seed()},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		if strings.Contains(args[0], "/") {
			cmd.Path = filepath.Join(root, args[0])
		}
		var stdout, stderr bytes.Buffer
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = root, env, &stdout, &stderr
		if err := cmd.Run(); err != nil {
			t.Errorf("%s: %v (make example-tools installs what it needs)\n%s", name, err, stderr.String())
			continue
		}
		titles := map[string]bool{}
		for line := range strings.Lines(stdout.String()) {
			var item struct{ Title string }
			if err := json.Unmarshal([]byte(line), &item); err != nil {
				t.Errorf("%s: %v in %s", name, err, line)
			}
			titles[item.Title] = true
		}
		if len(titles) != 15 || !titles["Page 7"] || !strings.Contains(stderr.String(), "CRAWL_STATE_FINISHED 15 pages") {
			t.Errorf("%s: %d items\n%s%s", name, len(titles), stdout.String(), stderr.String())
		}
	}
	// What is refused is one line that says why.
	refused := exec.CommandContext(t.Context(), "python3", filepath.Join(root, "examples/clients/python/crawl.py"), url, site.seed())
	refused.Env = append(os.Environ(), "WEIR_TOKEN="+s.tokens["read"])
	if out, err := refused.CombinedOutput(); err == nil || strings.TrimSpace(string(out)) != "POST /crawls: CrawlService/CreateCrawl needs the role submit; reader has read: ask the operator" {
		t.Errorf("python as a reader: %v, %s", err, out)
	}
}
