package blob_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/weircrawl/weir/internal/testkit/s3test"
)

func TestMain(m *testing.M) {
	if err := s3test.Credentials(os.Setenv); err != nil {
		panic(err)
	}
	// Idle connections of the clients, which keep them until the server closes.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}
