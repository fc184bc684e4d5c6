package storage

import "errors"

// errStopped is returned by Ready when the service has ended.
var errStopped = errors.New("storage has stopped")
