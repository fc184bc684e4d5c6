package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// The files of deploy are what the program prints.
func TestUsersInDeploy(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{usersPassword, usersCertificate} {
		file := filepath.Join("..", "..", "..", "..", "deploy", "nats", "users-"+kind+".conf")
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if err := writeUsers(&want, kind); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s is stale: run make gen", file)
		}
	}
}
