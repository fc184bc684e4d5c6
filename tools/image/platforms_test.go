package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// TestPlatforms makes one image of two platforms.
func TestPlatforms(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	goroot := strings.TrimSpace(string(output(t, "go", "env", "GOROOT")))
	args := []string{"-goroot", goroot, "-name", "registry.example/nothing:1", "-o", filepath.Join(dir, "out.tar")}
	for _, arch := range []string{"amd64", "arm64"} {
		program := filepath.Join(dir, arch, "nothing")
		cmd := exec.Command("go", "build", "-trimpath", "-o", program, source)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
		args = append(args, "linux/"+arch+"="+program)
	}
	if err := run(args, io.Discard); err != nil {
		t.Fatal(err)
	}
	outer, err := layout.ImageIndexFromPath(explode(t, read(t, filepath.Join(dir, "out.tar"))))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := outer.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("index %+v: %v", manifest, err)
	}
	index, err := outer.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	inner, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range inner.Manifests {
		got = append(got, m.Platform.String())
	}
	if strings.Join(got, " ") != "linux/amd64 linux/arm64" {
		t.Errorf("platforms %v", got)
	}
}
