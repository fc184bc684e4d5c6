package driver

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Previous is the release before this one: the commit that the file
// test/upgrade/previous names.
func Previous(ctx context.Context) (commit string, err error) {
	root, err := Root(ctx)
	if err != nil {
		return "", err
	}
	data, err := os.ReadFile(filepath.Join(root, "test", "upgrade", "previous"))
	if err != nil {
		return "", fmt.Errorf("the release before: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// Git runs git in the repository and returns what it wrote.
func Git(ctx context.Context, args ...string) ([]byte, error) {
	root, err := Root(ctx)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

// BuildAt builds the program as it was at a commit and returns its path. It is built
// once and kept in the user's cache, which needs some 100 MB for each commit.
func BuildAt(ctx context.Context, commit string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("build %s: %w", commit, err)
	}
	home := filepath.Join(cache, "weir-test")
	weir := filepath.Join(home, "weir-"+commit)
	if _, err := os.Stat(weir); err == nil {
		return weir, nil
	}
	if _, err := Git(ctx, "cat-file", "-e", commit+"^{commit}"); err != nil {
		return "", fmt.Errorf("the commit %s, the release before this one, is not in this clone: get it with git fetch --unshallow, or git fetch origin %s (%w)", commit, commit, err)
	}
	tree, err := Git(ctx, "archive", "--format=tar", commit)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(home, 0o755); err != nil {
		return "", fmt.Errorf("build %s: %w", commit, err)
	}
	src, err := os.MkdirTemp(home, "src-")
	if err != nil {
		return "", fmt.Errorf("build %s: %w", commit, err)
	}
	defer os.RemoveAll(src)
	untar := exec.CommandContext(ctx, "tar", "-x", "-C", src)
	untar.Stdin = bytes.NewReader(tree)
	if out, err := untar.CombinedOutput(); err != nil {
		return "", fmt.Errorf("unpack %s: %w\n%s", commit, err, out)
	}
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-ldflags", "-X main.version=previous", "-o", src+"/weir.built", "./cmd/weir")
	build.Dir = src
	build.Env = append(os.Environ(), "GOWORK=", "PWD="+src)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", commit, err, out)
	}
	// Another test may have built it meanwhile: either will do.
	if err := os.Rename(src+"/weir.built", weir); err != nil {
		return "", fmt.Errorf("build %s: %w", commit, err)
	}
	return weir, nil
}
