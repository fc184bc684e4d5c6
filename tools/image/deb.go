package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"strings"
)

// maxFile bounds one file of a package; the largest, a browser, has 250 MB.
const maxFile = 1 << 30

// unpack merges the files of Debian packages into a layer. Maintainers' scripts are not
// run: nothing in the image could run them, it has no shell.
func unpack(debs []string) (*layer, []part, error) {
	l := newLayer()
	// Debian's folders of programs and libraries are one each since 2023.
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		l.put(entry{name: dir, link: "usr/" + dir})
		l.dir("usr/"+dir, 0o755, 0)
	}
	var parts []part
	for _, deb := range debs {
		control, err := dpkgDeb("--field", deb)
		if err != nil {
			return nil, nil, err
		}
		parts = append(parts, debPart(control))
		files, err := dpkgDeb("--fsys-tarfile", deb)
		if err != nil {
			return nil, nil, err
		}
		if err := merge(l, files); err != nil {
			return nil, nil, fmt.Errorf("unpack %s: %w", deb, err)
		}
	}
	return l, parts, nil
}

func dpkgDeb(args ...string) ([]byte, error) {
	cmd := exec.Command("dpkg-deb", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("dpkg-deb %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return out, nil
}

// debPart reads the fields of a package that tell which it is.
func debPart(control []byte) part {
	fields := map[string]string{}
	sc := bufio.NewScanner(bytes.NewReader(control))
	for sc.Scan() {
		if name, value, ok := strings.Cut(sc.Text(), ": "); ok {
			fields[name] = value
		}
	}
	name, version, arch := fields["Package"], fields["Version"], fields["Architecture"]
	return part{
		name: name, version: version, kind: "debian",
		purl: "pkg:deb/debian/" + name + "@" + strings.ReplaceAll(version, "+", "%2B") + "?arch=" + arch,
	}
}

func merge(l *layer, files []byte) error {
	r := tar.NewReader(bytes.NewReader(files))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := merged(h.Name)
		if name == "." || !wanted(name) {
			continue
		}
		// No program of an image is to become another user.
		e := entry{name: name, mode: h.Mode & 0o1777}
		switch h.Typeflag {
		case tar.TypeDir:
			e.name += "/"
		case tar.TypeSymlink:
			e.link = h.Linkname
		case tar.TypeLink:
			same, ok := l.entries[merged(h.Linkname)]
			if !ok {
				return fmt.Errorf("%s is a link to %s, which is not there", h.Name, h.Linkname)
			}
			e.data, e.mode = same.data, same.mode
		case tar.TypeReg:
			if e.data, err = io.ReadAll(io.LimitReader(r, maxFile)); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s is no file, folder or link", h.Name)
		}
		l.put(e)
	}
}

// merged is a path without its slash in front, below usr where Debian's older packages
// still have the folders apart.
func merged(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		return "."
	}
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		if name == dir || strings.HasPrefix(name, dir+"/") {
			return "usr/" + name
		}
	}
	return name
}

// wanted leaves out what only people read, but for the licences.
func wanted(name string) bool {
	if strings.HasPrefix(name, "usr/share/doc/") {
		return path.Base(name) == "copyright"
	}
	for _, dir := range []string{"usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian", "usr/share/bug", "var", "run", "tmp"} {
		if name == dir || strings.HasPrefix(name, dir+"/") {
			return false
		}
	}
	return true
}
