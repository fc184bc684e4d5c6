package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"debug/elf"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// TestReproducible runs make images in two folders that have nothing in common but the
// files under version control, and looks into what came out.
func TestReproducible(t *testing.T) {
	t.Parallel()
	var archives, documents [2][]byte
	var folder string
	for i := range archives {
		folder = filepath.Join(t.TempDir(), strings.Repeat("deep/", i)+"weir")
		copyRepository(t, folder)
		cmd := exec.Command("make", "-s", "images")
		cmd.Dir = folder
		cmd.Env = append(os.Environ(), "VERSION=1.2.3", "SOURCE_DATE_EPOCH=1700000000", "GOWORK=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("make images: %v\n%s", err, out)
		}
		archives[i] = read(t, filepath.Join(folder, "bin/images/weir.tar"))
		documents[i] = read(t, filepath.Join(folder, "bin/images/weir.spdx.json"))
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("the same sources gave two images")
	}
	if !bytes.Equal(documents[0], documents[1]) {
		t.Error("the same sources gave two bills of materials")
	}
	img, digest := open(t, archives[0])
	checkConfig(t, img)
	checkFiles(t, img)
	checkSBOM(t, documents[0], digest)
}

// copyRepository copies the files that git knows, as they are now.
func copyRepository(t *testing.T, to string) {
	t.Helper()
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = "../.."
	names, err := list.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(names), "\x00"), "\x00") {
		data, err := os.ReadFile(filepath.Join("../..", name))
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted, and not yet committed
		}
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// open unpacks an archive, reads the image in it and checks that all its parts fit
// together, for both kinds of readers.
func open(t *testing.T, archive []byte) (v1.Image, string) {
	t.Helper()
	folder := explode(t, archive)
	index, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("index %+v: %v", manifest, err)
	}
	entry := manifest.Manifests[0]
	if got := entry.Annotations["io.containerd.image.name"]; got != "ghcr.io/weircrawl/weir:1.2.3" {
		t.Errorf("name %q", got)
	}
	img, err := index.Image(entry.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(img); err != nil {
		t.Error(err)
	}
	var docker []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(read(t, filepath.Join(folder, "manifest.json")), &docker); err != nil {
		t.Fatal(err)
	}
	for _, blob := range append(docker[0].Layers, docker[0].Config) {
		if _, err := os.Stat(filepath.Join(folder, blob)); err != nil {
			t.Error(err)
		}
	}
	return img, entry.Digest.String()
}

func checkConfig(t *testing.T, img v1.Image) {
	t.Helper()
	cfg, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(cfg.OS, "/", cfg.Architecture, " ", cfg.Config.User, " ", cfg.Config.Entrypoint, " ", cfg.Created.Unix())
	if want := "linux/amd64 65532:65532 [/weir] 1700000000"; got != want {
		t.Errorf("config %s, want %s", got, want)
	}
}

// explode unpacks an archive into a folder.
func explode(t *testing.T, archive []byte) string {
	t.Helper()
	folder := t.TempDir()
	for name, f := range untar(t, bytes.NewReader(archive)) {
		file := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, f.data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// packed is a file of a layer.
type packed struct {
	header *tar.Header
	data   []byte
}

func untar(t *testing.T, r io.Reader) map[string]packed {
	t.Helper()
	out := map[string]packed{}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeDir {
			out[h.Name] = packed{h, data}
		}
	}
}

func checkFiles(t *testing.T, img v1.Image) {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]packed{}
	for _, l := range layers {
		r, err := l.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		zr, err := gzip.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		for name, f := range untar(t, zr) {
			files[name] = f
		}
		_ = r.Close() // only read
	}
	programs := 0
	for name, f := range files {
		if f.header.Uid != 0 || f.header.Mode&0o6022 != 0 {
			t.Errorf("%s: owner %d, mode %o: the program's user could change it or become another", name, f.header.Uid, f.header.Mode)
		}
		if f.header.Mode&0o111 != 0 {
			programs++
		}
	}
	if programs != 1 {
		t.Errorf("%d programs, want weir alone and no shell", programs)
	}
	program, err := elf.NewFile(bytes.NewReader(files["weir"].data))
	if err != nil {
		t.Fatal(err)
	}
	if libs, err := program.ImportedLibraries(); err != nil || len(libs) > 0 || program.Section(".interp") != nil {
		t.Errorf("weir is not static: %v %v", libs, err)
	}
	checkRoots(t, files["etc/ssl/certs/ca-certificates.crt"].data)
	if _, err := time.LoadLocationFromTZData("Europe/Berlin", files["usr/share/zoneinfo/Europe/Berlin"].data); err != nil {
		t.Error(err)
	}
	if !strings.Contains(string(files["etc/passwd"].data), ":65532:65532:") {
		t.Error("the user has no name")
	}
}

func checkRoots(t *testing.T, data []byte) {
	t.Helper()
	n := 0
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			t.Error(err)
		}
		n++
	}
	if n < 80 {
		t.Errorf("%d certificates of authorities", n)
	}
}

func checkSBOM(t *testing.T, data []byte, digest string) {
	t.Helper()
	var doc spdxDocument
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	ids, names := map[string]bool{}, map[string]bool{}
	for _, p := range doc.Packages {
		if ids[p.SPDXID] || notInID.MatchString(p.SPDXID) {
			t.Errorf("%q is no identifier, or that of two", p.SPDXID)
		}
		ids[p.SPDXID], names[p.Name] = true, true
	}
	if got := "sha256:" + doc.Packages[0].Checksums[0].Value; got != digest {
		t.Errorf("bill of materials of %s, the image is %s", got, digest)
	}
	for _, name := range []string{"std", "tzdata of Go", rootsModule, "github.com/nats-io/nats.go", "google.golang.org/grpc"} {
		if !names[name] {
			t.Errorf("%s is not on the bill of materials", name)
		}
	}
	for _, r := range doc.Relationships {
		if !ids[r.Related] {
			t.Errorf("%s is related to %s, which is not there", r.Element, r.Related)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	goroot := strings.TrimSpace(string(output(t, "go", "env", "GOROOT")))
	good := []string{"-goroot", goroot, "-name", "weir:1", "-o", filepath.Join(dir, "out.tar")}
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"no tag", []string{"-goroot", goroot, "-name", "host:80/weir", "-o", "x", "linux/amd64=" + script}, "a name and a tag"},
		{"no program", good, "no program"},
		{"no platform", append(good, script), "OS/ARCH=FILE"},
		{"a script", append(good, "linux/amd64="+script), "no Go program"},
		{"another platform", append(good, "plan9/386="+os.Args[0]), "was built for"},
		{"no packages", append(good, "-deb", dir, "linux/amd64="+script), "no packages in"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if err := run(tc.args, io.Discard); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}

func output(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestPackages unpacks a package that has everything in it that Debian's have.
func TestPackages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, data := range map[string]string{
		"DEBIAN/control":                 "Package: one\nVersion: 1:2.0+b1\nArchitecture: amd64\nMaintainer: nobody <nobody@example.org>\nDescription: a test\n",
		"lib/x86_64-linux-gnu/libone.so": "library",
		"usr/bin/one":                    "program",
		"usr/share/doc/one/copyright":    "licence",
		"usr/share/doc/one/README":       "text",
		"usr/share/man/man1/one.1":       "manual",
	} {
		file := filepath.Join(dir, "tree", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tree := filepath.Join(dir, "tree")
	if err := errors.Join(
		os.Chmod(filepath.Join(tree, "usr/bin/one"), 0o755|os.ModeSetuid),
		os.Link(filepath.Join(tree, "usr/bin/one"), filepath.Join(tree, "usr/bin/same")),
		os.Symlink("one", filepath.Join(tree, "usr/bin/other")),
	); err != nil {
		t.Fatal(err)
	}
	deb := filepath.Join(dir, "one.deb")
	output(t, "dpkg-deb", "--root-owner-group", "--build", tree, deb)
	l, parts, err := unpack([]string{deb})
	if err != nil {
		t.Fatal(err)
	}
	l.parents()
	var got []string
	for _, name := range l.names() {
		if e := l.entries[name]; !strings.HasSuffix(name, "/") {
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s %o %s%s", name, e.mode, e.link, e.data)))
		}
	}
	want := []string{
		"bin 0 usr/bin", "lib 0 usr/lib", "lib64 0 usr/lib64", "sbin 0 usr/sbin",
		"usr/bin/one 755 program", "usr/bin/other 777 one", "usr/bin/same 755 program",
		"usr/lib/x86_64-linux-gnu/libone.so 644 library", "usr/share/doc/one/copyright 644 licence",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("files\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if want := (part{"one", "1:2.0+b1", "debian", "pkg:deb/debian/one@1:2.0%2Bb1?arch=amd64"}); len(parts) != 1 || parts[0] != want {
		t.Errorf("parts %+v, want %+v", parts, want)
	}
}
