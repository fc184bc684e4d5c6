package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// tag is what comes after the colon of an image's name.
func tag(name string) string { return name[strings.LastIndexByte(name, ':')+1:] }

// writeArchive writes the images as one file and returns the digest of what its name
// stands for: the image, or the index of several.
func writeArchive(req request, images []built, work string) (string, error) {
	folder := filepath.Join(work, "layout")
	digest, err := writeLayout(folder, req, images)
	if err != nil {
		return "", fmt.Errorf("write %s: %w", req.out, err)
	}
	if err := writeDockerManifest(folder, req.name, images[0].image); err != nil {
		return "", fmt.Errorf("write %s: %w", req.out, err)
	}
	if err := os.MkdirAll(filepath.Dir(req.out), 0o755); err != nil {
		return "", fmt.Errorf("write %s: %w", req.out, err)
	}
	f, err := os.Create(req.out)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := writeTree(f, folder, req.created); err != nil {
		return "", fmt.Errorf("write %s: %w", req.out, err)
	}
	return digest.String(), f.Close()
}

func writeLayout(folder string, req request, images []built) (v1.Hash, error) {
	p, err := layout.Write(folder, empty.Index)
	if err != nil {
		return v1.Hash{}, err
	}
	// containerd reads the first of the names, other programs the second.
	named := layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          req.name,
		"org.opencontainers.image.ref.name": tag(req.name),
	})
	if len(images) == 1 {
		if err := p.AppendImage(images[0].image, named, layout.WithPlatform(images[0].platform())); err != nil {
			return v1.Hash{}, err
		}
		return images[0].image.Digest()
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, b := range images {
		platform := b.platform()
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: b.image, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	if err := p.AppendIndex(index, named); err != nil {
		return v1.Hash{}, err
	}
	return index.Digest()
}

func (b built) platform() v1.Platform {
	return v1.Platform{OS: b.program.os, Architecture: b.program.arch}
}

// writeDockerManifest adds what docker load looks for: it points at the same blobs.
func writeDockerManifest(folder, name string, img v1.Image) error {
	manifest, err := img.Manifest()
	if err != nil {
		return err
	}
	blob := func(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }
	type entry struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	e := entry{Config: blob(manifest.Config.Digest), RepoTags: []string{name}}
	for _, l := range manifest.Layers {
		e.Layers = append(e.Layers, blob(l.Digest))
	}
	data, err := json.Marshal([]entry{e})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "manifest.json"), data, 0o644)
}
