package access

import (
	"log/slog"
	"sync"
	"time"
)

// lookEvery is how often the file is looked at for changes: a token that was taken out
// ends after that.
const lookEvery = time.Second

// tokens are those of a file, read again when it has changed. A file that became
// unreadable or wrong changes nothing; the log says so. It is safe for concurrent use.
type tokens struct {
	path string
	log  *slog.Logger

	mu     sync.Mutex
	file   *File
	stamp  stamp
	looked time.Time
	failed bool // the last look did, and was logged
}

// openTokens reads the file; nil without a path.
func openTokens(path string, log *slog.Logger) (*tokens, error) {
	if path == "" {
		return nil, nil
	}
	f, s, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return &tokens{path: path, log: log, file: f, stamp: s}, nil
}

// current returns the file as it is now.
func (t *tokens) current(now time.Time) *File {
	if t == nil {
		return &File{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if d := now.Sub(t.looked); d >= 0 && d < lookEvery {
		return t.file
	}
	t.looked = now
	s, err := stampOf(t.path)
	if err == nil && s.same(t.stamp) {
		return t.file
	}
	var f *File
	if err == nil {
		f, s, err = readFile(t.path)
	}
	if err != nil {
		if !t.failed {
			t.log.Error("the file of tokens cannot be read: those of before stay", "err", err)
		}
		t.failed = true
		return t.file
	}
	t.file, t.stamp, t.failed = f, s, false
	t.log.Info("read the file of tokens again", "tokens", len(f.Tokens))
	return t.file
}
