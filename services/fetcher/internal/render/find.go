package render

import (
	"errors"
	"fmt"
	"os/exec"
)

// ErrNoBrowser: there is no browser to render pages with.
var ErrNoBrowser = errors.New("pages that need a browser cannot be shown: install Chromium (Debian: apt-get install chromium) or name the program with --fetcher.browser.path")

// Find returns the program of the browser: the one at path, else the first of
// chromium, chromium-browser, google-chrome and google-chrome-stable on PATH.
func Find(path string) (string, error) {
	if path != "" {
		found, err := exec.LookPath(path)
		if err != nil {
			return "", fmt.Errorf("browser %s: %w", path, err)
		}
		return found, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if found, err := exec.LookPath(name); err == nil {
			return found, nil
		}
	}
	return "", ErrNoBrowser
}
