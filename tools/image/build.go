package main

import (
	"debug/buildinfo"
	"fmt"
	"path"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// built is an image of one platform.
type built struct {
	program program
	image   v1.Image
}

// build makes the images, and tells what is in them.
func build(req request, work string) ([]built, []part, error) {
	first, err := base(req.goroot)
	if err != nil {
		return nil, nil, err
	}
	layers, parts := []*layer{first}, baseParts(req.goroot)
	if len(req.debs) > 0 {
		debs, packages, err := unpack(req.debs)
		if err != nil {
			return nil, nil, err
		}
		layers, parts = append(layers, debs), append(parts, packages...)
	}
	var blobs []v1.Layer
	for _, l := range layers {
		blob, err := l.write(work, req.created)
		if err != nil {
			return nil, nil, err
		}
		blobs = append(blobs, blob)
	}
	var out []built
	for _, p := range req.programs {
		img, err := assemble(req, p, blobs, work)
		if err != nil {
			return nil, nil, fmt.Errorf("image of %s/%s: %w", p.os, p.arch, err)
		}
		out = append(out, built{p, img})
		for _, file := range p.files {
			modules, err := moduleParts(file)
			if err != nil {
				return nil, nil, err
			}
			parts = append(parts, modules...)
		}
	}
	return out, unique(parts), nil
}

// checkProgram refuses what could not run in an image without a C library.
func checkProgram(p program, file string) error {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return fmt.Errorf("%s is no Go program: %w", file, err)
	}
	if got := setting(info, "GOOS") + "/" + setting(info, "GOARCH"); got != p.os+"/"+p.arch {
		return fmt.Errorf("%s was built for %s", file, got)
	}
	if setting(info, "CGO_ENABLED") != "0" {
		return fmt.Errorf("%s needs a C library: build it with CGO_ENABLED=0", file)
	}
	return nil
}

// assemble puts programs on top of the layers below.
func assemble(req request, p program, below []v1.Layer, work string) (v1.Image, error) {
	top := newLayer()
	for _, file := range p.files {
		if err := checkProgram(p, file); err != nil {
			return nil, err
		}
		top.put(entry{name: filepath.Base(file), mode: 0o755, file: file})
	}
	blob, err := top.write(work, req.created)
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err = mutate.Append(img, history(req, append(below[:len(below):len(below)], blob))...)
	if err != nil {
		return nil, err
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture = p.os, p.arch
	cfg.Created = v1.Time{Time: req.created}
	cfg.Config = v1.Config{
		Entrypoint: []string{path.Join("/", filepath.Base(p.files[0]))},
		User:       fmt.Sprintf("%d:%d", nonroot, nonroot),
		Env:        append([]string{"PATH=/:/usr/bin", "HOME=/home/nonroot", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"}, req.env...),
		WorkingDir: "/home/nonroot",
		Labels:     labels(req),
	}
	return mutate.ConfigFile(img, cfg)
}

func labels(req request) map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":    req.title,
		"org.opencontainers.image.source":   "https://github.com/weircrawl/weir",
		"org.opencontainers.image.licenses": "Apache-2.0",
		"org.opencontainers.image.version":  tag(req.name),
	}
}

func history(req request, layers []v1.Layer) []mutate.Addendum {
	out := make([]mutate.Addendum, len(layers))
	for i, l := range layers {
		out[i] = mutate.Addendum{
			Layer: l, MediaType: types.OCILayer,
			History: v1.History{Author: "weir", CreatedBy: "tools/image", Created: v1.Time{Time: req.created}},
		}
	}
	return out
}
