// Command monitoring writes the dashboards, and what Kubernetes gets of them and of the
// alert rules. Run it in the root of the repository.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/weircrawl/weir/test/monitoring"
)

func main() {
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, "monitoring:", err)
		os.Exit(1)
	}
}

func write() error {
	rules, err := os.ReadFile("deploy/alerts/weir.yaml")
	if err != nil {
		return err
	}
	files, err := monitoring.Files(rules)
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
