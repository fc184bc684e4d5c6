package access

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	// maxText bounds each text of a line, in bytes, and with it the line.
	maxText = 200
	// strangers is how many lines a second calls may cause that nobody is known to have
	// made: whoever reaches the port can make them.
	strangers = 10
)

// line is a call in the audit log: who, what, on what, with what end. It has nothing of
// specs, and no tokens.
type line struct {
	caller  Caller
	via     string
	method  string
	target  string
	urls    int
	outcome codes.Code
	from    string
	trace   string
}

// audit writes lines. Nil writes none. It is safe for concurrent use.
type audit struct {
	log  *slog.Logger // of the lines
	file *auditFile   // nil where the program's log takes them

	mu      sync.Mutex
	unknown bucket
	dropped int
}

// openAudit opens the file; without a path lines go to log.
func openAudit(path string, log *slog.Logger) (*audit, error) {
	if path == "" {
		return &audit{log: log.With("component", "audit")}, nil
	}
	f := &auditFile{path: path, fallback: log}
	if err := f.open(); err != nil {
		return nil, err
	}
	return &audit{log: slog.New(slog.NewJSONHandler(f, nil)), file: f}, nil
}

func (a *audit) close() error {
	if a == nil || a.file == nil {
		return nil
	}
	return a.file.close()
}

// write writes one line.
func (a *audit) write(ctx context.Context, now time.Time, l line) {
	dropped := 0
	if l.outcome == codes.Unauthenticated {
		a.mu.Lock()
		if _, ok := a.unknown.take(now, strangers, strangers, 1); !ok {
			a.dropped++
			a.mu.Unlock()
			return
		}
		dropped, a.dropped = a.dropped, 0
		a.mu.Unlock()
	}
	attrs := []slog.Attr{slog.String("caller", bounded(l.caller.Name))}
	if l.caller.Service == "" {
		attrs = append(attrs, slog.String("role", l.caller.Role.String()))
	}
	attrs = append(attrs, slog.String("method", bounded(l.method)), slog.String("target", bounded(l.target)), slog.String("outcome", l.outcome.String()))
	if l.via != "" {
		attrs = append(attrs, slog.String("via", l.via))
	}
	if l.urls > 0 {
		attrs = append(attrs, slog.Int("urls", l.urls))
	}
	if l.from != "" {
		attrs = append(attrs, slog.String("from", bounded(l.from)))
	}
	if l.trace != "" {
		attrs = append(attrs, slog.String("trace_id", bounded(l.trace)))
	}
	if dropped > 0 {
		attrs = append(attrs, slog.Int("like_it_before", dropped))
	}
	a.log.LogAttrs(ctx, slog.LevelInfo, "audit", attrs...)
}

// bounded cuts a text.
func bounded(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) <= maxText {
		return s
	}
	cut := maxText
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// targetOf names what a message is about: a crawl, a host, a page. Of URLs only the
// origin: the rest may hold a password.
func targetOf(m proto.Message) string {
	r := m.ProtoReflect()
	if text := stringField(r, "crawl_id"); text != "" {
		return text
	}
	if fd := r.Descriptor().Fields().ByName("crawl"); fd != nil {
		if fd.Kind() == protoreflect.StringKind {
			return r.Get(fd).String()
		}
		if fd.Kind() == protoreflect.MessageKind && r.Has(fd) {
			return stringField(r.Get(fd).Message(), "id")
		}
	}
	for _, name := range []protoreflect.Name{"host", "url"} {
		if text := stringField(r, name); text != "" {
			return origin(text)
		}
	}
	if fd := r.Descriptor().Fields().ByName("spec"); fd != nil && r.Has(fd) {
		return stringField(r.Get(fd).Message(), "name")
	}
	return ""
}

func stringField(r protoreflect.Message, name protoreflect.Name) string {
	fd := r.Descriptor().Fields().ByName(name)
	if fd == nil || fd.Kind() != protoreflect.StringKind || fd.IsList() {
		return ""
	}
	return r.Get(fd).String()
}

// origin is the scheme and host of a URL.
func origin(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return "(a URL that cannot be read)"
	}
	return u.Scheme + "://" + u.Host
}

// auditFile appends to a file, and opens it again where another one has taken its name or
// it is gone: whoever rotates it renames it. What cannot be written goes to the log.
type auditFile struct {
	path     string
	fallback *slog.Logger

	mu sync.Mutex
	f  *os.File
}

func (a *auditFile) open() error {
	f, err := os.OpenFile(a.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the audit log: %w", err)
	}
	a.f = f
	return nil
}

// Write implements io.Writer for one line.
func (a *auditFile) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.follow()
	if err == nil {
		_, err = a.f.Write(p)
	}
	if err != nil {
		a.fallback.Error("the audit log cannot be written: its line is here", "err", err, "line", strings.TrimSuffix(string(p), "\n"))
	}
	return len(p), nil
}

// follow opens the file again where the open one has no longer its name.
func (a *auditFile) follow() error {
	if a.f != nil {
		named, err1 := os.Stat(a.path)
		opened, err2 := a.f.Stat()
		if err1 == nil && err2 == nil && os.SameFile(named, opened) {
			return nil
		}
		_ = a.f.Close() // every line was written by itself
		a.f = nil
	}
	return a.open()
}

func (a *auditFile) close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.f == nil {
		return nil
	}
	err := a.f.Close()
	a.f = nil
	return err
}
