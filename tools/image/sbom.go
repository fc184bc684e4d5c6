package main

import (
	"cmp"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// part is something of others that is in an image.
type part struct {
	name, version string
	kind          string // go, debian
	purl          string // package URL
}

// rootsModule is where the certificates come from.
const rootsModule = "golang.org/x/crypto/x509roots/fallback"

func goPart(path, version string) part {
	return part{name: path, version: version, kind: "go", purl: "pkg:golang/" + path + "@" + version}
}

// baseParts are those of the first layer: certificates as this program was built with
// them, time zones of the toolchain.
func baseParts(goroot string) []part {
	out := []part{}
	if self, ok := debug.ReadBuildInfo(); ok {
		for _, m := range self.Deps {
			if m.Path == rootsModule {
				out = append(out, goPart(m.Path, m.Version))
			}
		}
	}
	if text, err := os.ReadFile(filepath.Join(goroot, "VERSION")); err == nil {
		version, _, _ := strings.Cut(string(text), "\n")
		out = append(out, part{name: "tzdata of Go", version: version, kind: "go", purl: "pkg:golang/std@" + version})
	}
	return out
}

// moduleParts are the modules that a program was built from.
func moduleParts(file string) ([]part, error) {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("modules of %s: %w", file, err)
	}
	out := []part{goPart("std", info.GoVersion)}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		if strings.HasPrefix(m.Path, ".") || m.Version == "(devel)" || m.Version == "v0.0.0" {
			continue // a module of this repository
		}
		out = append(out, goPart(m.Path, m.Version))
	}
	return out, nil
}

func setting(info *buildinfo.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// unique sorts parts and drops those of several programs.
func unique(parts []part) []part {
	slices.SortFunc(parts, func(a, b part) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name), cmp.Compare(a.version, b.version))
	})
	return slices.Compact(parts)
}

// The parts of SPDX 2.3 that we fill.
type spdxDocument struct {
	SPDXVersion       string         `json:"spdxVersion"`
	DataLicense       string         `json:"dataLicense"`
	SPDXID            string         `json:"SPDXID"`
	Name              string         `json:"name"`
	DocumentNamespace string         `json:"documentNamespace"`
	CreationInfo      spdxCreation   `json:"creationInfo"`
	Packages          []spdxPackage  `json:"packages"`
	Relationships     []spdxRelation `json:"relationships"`
}

type spdxCreation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	SPDXID           string         `json:"SPDXID"`
	Name             string         `json:"name"`
	VersionInfo      string         `json:"versionInfo"`
	DownloadLocation string         `json:"downloadLocation"`
	FilesAnalyzed    bool           `json:"filesAnalyzed"`
	LicenseConcluded string         `json:"licenseConcluded"`
	LicenseDeclared  string         `json:"licenseDeclared"`
	CopyrightText    string         `json:"copyrightText"`
	PrimaryPurpose   string         `json:"primaryPackagePurpose,omitempty"`
	Checksums        []spdxChecksum `json:"checksums,omitempty"`
	ExternalRefs     []spdxRef      `json:"externalRefs,omitempty"`
}

type spdxChecksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type spdxRef struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type spdxRelation struct {
	Element string `json:"spdxElementId"`
	Type    string `json:"relationshipType"`
	Related string `json:"relatedSpdxElement"`
}

const noAssertion = "NOASSERTION"

// notInID is what an SPDX identifier cannot have.
var notInID = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

// writeSBOM writes what is in the image of a digest.
func writeSBOM(req request, digest string, parts []part) error {
	data, err := json.MarshalIndent(sbom(req, digest, parts), "", " ")
	if err != nil {
		return fmt.Errorf("write %s: %w", req.sbom, err)
	}
	if err := os.WriteFile(req.sbom, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the bill of materials: %w", err)
	}
	return nil
}

func sbom(req request, digest string, parts []part) spdxDocument {
	version := tag(req.name)
	name := strings.TrimSuffix(req.name, ":"+version)
	algorithm, hex, _ := strings.Cut(digest, ":")
	image := blank("SPDXRef-image", name, version)
	image.PrimaryPurpose, image.LicenseDeclared = "CONTAINER", "Apache-2.0"
	image.Checksums = []spdxChecksum{{strings.ToUpper(algorithm), hex}}
	doc := spdxDocument{
		SPDXVersion: "SPDX-2.3", DataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT", Name: req.name,
		DocumentNamespace: "https://github.com/weircrawl/weir/sbom/" + hex,
		CreationInfo:      spdxCreation{Created: req.created.Format(time.RFC3339), Creators: []string{"Tool: weir-tools-image"}},
		Packages:          []spdxPackage{image},
		Relationships:     []spdxRelation{{"SPDXRef-DOCUMENT", "DESCRIBES", image.SPDXID}},
	}
	for _, p := range parts {
		id := notInID.ReplaceAllString("SPDXRef-"+p.kind+"-"+p.name+"-"+p.version, "-")
		pkg := blank(id, p.name, p.version)
		pkg.ExternalRefs = []spdxRef{{"PACKAGE-MANAGER", "purl", p.purl}}
		doc.Packages = append(doc.Packages, pkg)
		doc.Relationships = append(doc.Relationships, spdxRelation{image.SPDXID, "CONTAINS", id})
	}
	return doc
}

func blank(id, name, version string) spdxPackage {
	return spdxPackage{
		SPDXID: id, Name: name, VersionInfo: version, DownloadLocation: noAssertion,
		LicenseConcluded: noAssertion, LicenseDeclared: noAssertion, CopyrightText: noAssertion,
	}
}
