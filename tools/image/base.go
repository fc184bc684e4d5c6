package main

import (
	"archive/zip"
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// nonroot is the user of the image, by the number that other small images use too.
const nonroot = 65532

const (
	passwd = "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"
	group  = "root:x:0:\nnonroot:x:65532:\n"
	// Go's resolver reads it; without it the order of sources is a guess.
	nsswitch = "hosts: files dns\n"
)

// base is the layer that every image begins with.
func base(goroot string) (*layer, error) {
	l := newLayer()
	l.bytes("etc/passwd", []byte(passwd))
	l.bytes("etc/group", []byte(group))
	l.bytes("etc/nsswitch.conf", []byte(nsswitch))
	l.bytes("etc/ssl/certs/ca-certificates.crt", roots())
	l.dir("tmp", 0o1777, 0)
	l.dir("home/nonroot", 0o700, nonroot)
	if err := zones(l, filepath.Join(goroot, "lib/time/zoneinfo.zip")); err != nil {
		return nil, err
	}
	return l, nil
}

// roots are the certificates that Mozilla trusts without conditions, which a file of
// certificates could not tell.
func roots() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a bytes.Buffer takes everything
		}
	}
	return out.Bytes()
}

// zones unpacks the time zones of the toolchain to where programs look for them.
func zones(l *layer, file string) error {
	z, err := zip.OpenReader(file)
	if err != nil {
		return fmt.Errorf("time zones: %w", err)
	}
	defer z.Close()
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, "/") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return fmt.Errorf("time zones: %s: %w", f.Name, err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return fmt.Errorf("time zones: %s: %w", f.Name, err)
		}
		l.bytes(path.Join("usr/share/zoneinfo", f.Name), data)
	}
	return nil
}
