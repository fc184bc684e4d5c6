package main

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// entry is one file of a layer. Its name has no slash in front; a folder's ends in one.
type entry struct {
	name  string
	mode  int64
	owner int
	link  string // target of a symbolic link
	data  []byte
	file  string // read instead of data, when set
}

// layer is a set of files that becomes one blob. The later of two entries of one name
// counts.
type layer struct {
	entries map[string]entry
}

func newLayer() *layer { return &layer{entries: map[string]entry{}} }

func (l *layer) put(e entry) { l.entries[e.name] = e }

func (l *layer) dir(name string, mode int64, owner int) {
	l.put(entry{name: name + "/", mode: mode, owner: owner})
}

func (l *layer) bytes(name string, data []byte) {
	l.put(entry{name: name, mode: 0o644, data: data})
}

// names in an order that has a folder before what is in it.
func (l *layer) names() []string {
	out := make([]string, 0, len(l.entries))
	for name := range l.entries {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// parents adds the folders that nobody has described.
func (l *layer) parents() {
	for _, name := range l.names() {
		for dir := path.Dir(path.Clean(name)); dir != "."; dir = path.Dir(dir) {
			if _, ok := l.entries[dir+"/"]; !ok {
				l.dir(dir, 0o755, 0)
			}
		}
	}
}

// write makes the blob as a file of a folder. All times are those of the image, owners
// are numbers, and the order is that of the names, so that equal files give equal bytes.
func (l *layer) write(folder string, at time.Time) (v1.Layer, error) {
	l.parents()
	f, err := os.CreateTemp(folder, "layer-*.tar.gz")
	if err != nil {
		return nil, fmt.Errorf("write layer: %w", err)
	}
	defer f.Close()
	zw := gzip.NewWriter(f)
	tw := tar.NewWriter(zw)
	for _, name := range l.names() {
		if err := writeEntry(tw, l.entries[name], at); err != nil {
			return nil, fmt.Errorf("write layer: %s: %w", name, err)
		}
	}
	for _, c := range []io.Closer{tw, zw, f} {
		if err := c.Close(); err != nil {
			return nil, fmt.Errorf("write layer: %w", err)
		}
	}
	return tarball.LayerFromFile(f.Name())
}

func writeEntry(tw *tar.Writer, e entry, at time.Time) error {
	h := &tar.Header{Name: e.name, Mode: e.mode, Uid: e.owner, Gid: e.owner, ModTime: at, Format: tar.FormatPAX}
	switch {
	case e.link != "":
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, e.link, 0o777
		return tw.WriteHeader(h)
	case e.name[len(e.name)-1] == '/':
		h.Typeflag = tar.TypeDir
		return tw.WriteHeader(h)
	}
	h.Typeflag = tar.TypeReg
	if e.file == "" {
		h.Size = int64(len(e.data))
		if err := tw.WriteHeader(h); err != nil {
			return err
		}
		_, err := tw.Write(e.data)
		return err
	}
	src, err := os.Open(e.file)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	h.Size = info.Size()
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.Copy(tw, src)
	return err
}

// writeTree packs the files of a folder in the same way.
func writeTree(w io.Writer, folder string, at time.Time) error {
	l := newLayer()
	err := filepath.WalkDir(folder, func(file string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(folder, file)
		l.put(entry{name: filepath.ToSlash(rel), mode: 0o644, file: file})
		return err
	})
	if err != nil {
		return err
	}
	l.parents()
	tw := tar.NewWriter(w)
	for _, name := range l.names() {
		if err := writeEntry(tw, l.entries[name], at); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return tw.Close()
}
