package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// request is what the command line asks for.
type request struct {
	name     string
	out      string
	sbom     string
	goroot   string
	title    string
	env      []string
	debs     []string
	programs []program
	created  time.Time
}

// program is what an image of one platform runs: the first of its files.
type program struct {
	os, arch string
	files    []string
}

func run(args []string, stderr io.Writer) error {
	req, err := parse(args, stderr)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "weir-image-")
	if err != nil {
		return fmt.Errorf("make a folder to work in: %w", err)
	}
	defer os.RemoveAll(work)
	images, parts, err := build(req, work)
	if err != nil {
		return err
	}
	digest, err := writeArchive(req, images, work)
	if err != nil {
		return err
	}
	if req.sbom != "" {
		if err := writeSBOM(req, digest, parts); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(stderr, "%s %s %s\n", req.out, req.name, digest)
	return err
}

func parse(args []string, stderr io.Writer) (request, error) {
	var req request
	fs := flag.NewFlagSet("image", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&req.name, "name", "", "name of the image with its tag")
	fs.StringVar(&req.out, "o", "", "archive to write")
	fs.StringVar(&req.sbom, "sbom", "", "SPDX document to write; empty for none")
	fs.StringVar(&req.goroot, "goroot", "", "folder of the Go toolchain, whose time zones are taken")
	fs.StringVar(&req.title, "title", "", "one line about the image")
	fs.Func("env", "NAME=VALUE in the image's environment; repeatable", func(v string) error {
		req.env = append(req.env, v)
		return nil
	})
	debs := fs.String("deb", "", "folder of Debian packages to unpack into the image")
	created := fs.Int64("epoch", 0, "seconds since 1970 that the image and its files tell as their time")
	if err := fs.Parse(args); err != nil {
		return req, err
	}
	req.created = time.Unix(*created, 0).UTC()
	for _, arg := range fs.Args() {
		platform, file, ok := strings.Cut(arg, "=")
		system, arch, ok2 := strings.Cut(platform, "/")
		if !ok || !ok2 {
			return req, fmt.Errorf("%q: say what to run as OS/ARCH=FILE, or FILE,FILE for more programs beside it", arg)
		}
		req.programs = append(req.programs, program{os: system, arch: arch, files: strings.Split(file, ",")})
	}
	if *debs != "" {
		var err error
		if req.debs, err = filepath.Glob(filepath.Join(*debs, "*.deb")); err != nil || len(req.debs) == 0 {
			return req, fmt.Errorf("no packages in %s", *debs)
		}
	}
	return req, req.validate()
}

func (r request) validate() error {
	var errs []error
	if i := strings.LastIndexByte(r.name, ':'); i <= strings.LastIndexByte(r.name, '/') {
		errs = append(errs, fmt.Errorf("-name %s: an image has a name and a tag", strconv.Quote(r.name)))
	}
	if r.goroot == "" {
		errs = append(errs, errors.New("-goroot: say where the Go toolchain is: go env GOROOT"))
	}
	if r.out == "" {
		errs = append(errs, errors.New("-o: say which archive to write"))
	}
	if len(r.programs) == 0 {
		errs = append(errs, errors.New("no program: say what to run as OS/ARCH=FILE"))
	}
	if len(r.debs) > 0 && len(r.programs) > 1 {
		errs = append(errs, errors.New("-deb: packages are of one architecture, so there can be one program only"))
	}
	return errors.Join(errs...)
}
