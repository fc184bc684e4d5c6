package driver

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Binaries are the programs that a test drives.
type Binaries struct {
	// Weir is the program under test.
	Weir string
	// Site is the test site (test/cmd/site).
	Site string
	// NATS is the NATS server of the split mode, of the version in go.mod.
	NATS string
}

// Build builds the programs into dir. With the go command's cache warm it takes
// seconds.
func Build(ctx context.Context, dir string) (Binaries, error) {
	root, err := Root(ctx)
	if err != nil {
		return Binaries{}, err
	}
	b := Binaries{Weir: filepath.Join(dir, "weir"), Site: filepath.Join(dir, "site"), NATS: filepath.Join(dir, "nats-server")}
	for _, target := range []struct{ folder, pkg, out string }{
		{"cmd/weir", ".", b.Weir},
		{"test", "./cmd/site", b.Site},
		{"test", "github.com/nats-io/nats-server/v2", b.NATS},
	} {
		cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", target.out, target.pkg)
		cmd.Dir = filepath.Join(root, target.folder)
		if out, err := cmd.CombinedOutput(); err != nil {
			return Binaries{}, fmt.Errorf("build %s: %w\n%s", target.pkg, err, out)
		}
	}
	return b, nil
}

// Root is the folder of the workspace.
func Root(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOWORK").Output()
	if err != nil {
		return "", fmt.Errorf("find the workspace: %w", err)
	}
	work := strings.TrimSpace(string(out))
	if work == "" || work == "off" {
		return "", fmt.Errorf("find the workspace: GOWORK is %q; run from inside the repository", work)
	}
	return filepath.Dir(work), nil
}

// TempDir makes a folder for a run's data on disk.
func TempDir() (string, error) {
	dir, err := os.MkdirTemp("", "weir-test-")
	if err != nil {
		return "", fmt.Errorf("make a data folder: %w", err)
	}
	return dir, nil
}
