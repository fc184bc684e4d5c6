package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/weircrawl/weir/internal/spec"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// readFiles puts what a spec names as files into it, the JSON Schemas of rules and
// certificates, since the services see no files of the client.
func readFiles(dir string) func(*crawlv1.CrawlSpec) error {
	return func(s *crawlv1.CrawlSpec) error {
		for i, r := range s.GetExtract() {
			if name := r.GetSchema(); name != "" && !strings.HasPrefix(strings.TrimSpace(name), "{") {
				text, err := readInto(dir, name, fmt.Sprintf("extract[%d].schema", i))
				if err != nil {
					return err
				}
				r.Schema = text
			}
		}
		return readCertificates(dir, s)
	}
}

func readCertificates(dir string, s *crawlv1.CrawlSpec) error {
	t := s.GetFetch().GetTls()
	if t == nil {
		return nil
	}
	for path, field := range map[string]*string{"fetch.tls.ca": &t.Ca, "fetch.tls.client_cert": &t.ClientCert} {
		if *field == "" || spec.IsPEM(*field) {
			continue
		}
		name := *field
		text, err := readInto(dir, name, path)
		if err != nil {
			return err
		}
		if !spec.IsPEM(text) {
			return &spec.Problem{Path: path, Text: name + " has no certificate in PEM form (-----BEGIN CERTIFICATE-----)"}
		}
		*field = text
	}
	// Now that they are there, they can be judged.
	return spec.Validate(s)
}

// readInto reads a file that a field of a spec names.
func readInto(dir, name, path string) (string, error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	data, err := os.ReadFile(name)
	if err == nil && len(data) > spec.MaxSize/2 {
		err = fmt.Errorf("it has %d bytes, the most is %d", len(data), spec.MaxSize/2)
	}
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		err = pe.Err
	}
	if err != nil {
		return "", &spec.Problem{Path: path, Text: fmt.Sprintf("cannot read %s: %v", name, err)}
	}
	return strings.TrimSpace(string(data)), nil
}

// warn says what the author of a spec should be sure of.
func (a *app) warn(s *crawlv1.CrawlSpec) {
	for _, w := range spec.Warnings(s) {
		a.note("warning: %s", w)
	}
}
