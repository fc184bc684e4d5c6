package settings_test

import (
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/weircrawl/weir/cmd/weir/internal/settings"
)

// deployed are the folder of the manifests and the least number of files with
// settings in it.
const (
	deployed = "../../../../deploy/k8s"
	atLeast  = 2
)

// TestDeployedFiles loads the settings that the manifests bring, as each service does:
// a key that no setting has, or a value that cannot work, is an error here and not in
// somebody's cluster.
func TestDeployedFiles(t *testing.T) {
	t.Parallel()
	var files []string
	err := filepath.WalkDir(deployed, func(path string, _ fs.DirEntry, err error) error {
		if filepath.Base(path) == "weir.yaml" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < atLeast {
		t.Fatalf("only %d files with settings in %s", len(files), deployed)
	}
	for _, file := range files {
		for _, mode := range []settings.Mode{settings.Scheduler, settings.Fetcher, settings.Parser, settings.Storage, settings.Console, settings.Topology} {
			t.Run(file+"/"+string(mode), func(t *testing.T) {
				t.Parallel()
				s := settings.New(mode)
				s.File = file
				if err := s.Load(nil, func(name string) bool { return name == "config" }); err != nil {
					t.Fatal(err)
				}
				s.SetData(s.Data)
				if err := s.Validate(); err != nil {
					t.Fatal(err)
				}
				if s.GRPC.Listen != ":7070" || s.Admin.Listen != ":7080" {
					t.Errorf("gRPC on %q, admin on %q: the manifests say 7070 and 7080", s.GRPC.Listen, s.Admin.Listen)
				}
			})
		}
	}
}
