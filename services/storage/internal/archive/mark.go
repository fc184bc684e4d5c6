package archive

import (
	"context"
	"fmt"
	"io"
	"maps"
	"strings"
)

// marksPrefix is where the notes about damaged segments are.
const marksPrefix = "quarantine/"

// noteSize bounds a note when it is read.
const noteSize = 4 << 10

// mark puts a segment in quarantine: it takes no more records, and its index is not
// made. What is whole in it can still be read; nothing is moved or deleted, since
// that is for people to decide.
func (a *Archive) mark(ctx context.Context, file, why string) {
	a.mu.Lock()
	_, known := a.marked[file]
	if !known {
		a.marked[file] = why
	}
	if s := a.open[crawlOf(file)]; s != nil && s.File == file && !s.unsettled() {
		delete(a.open, crawlOf(file))
		a.rolled = append(a.rolled, s)
	}
	a.mu.Unlock()
	if known {
		return
	}
	a.log.Error("archive segment is damaged; quarantined", "file", file, "reason", why)
	note := why + "\n"
	if err := a.shelf.put(context.WithoutCancel(ctx), marksPrefix+file+".txt", strings.NewReader(note), int64(len(note))); err != nil {
		a.log.Warn("note a damaged segment", "file", file, "err", err)
	}
}

// loadMarks reads the notes of earlier runs. A note that is deleted lifts the mark.
func (a *Archive) loadMarks(ctx context.Context) error {
	for name, err := range a.shelf.list(ctx, marksPrefix) {
		if err != nil {
			return err
		}
		r, err := a.shelf.read(ctx, name, 0, noteSize)
		if err != nil {
			return err
		}
		note, err := io.ReadAll(r)
		if cerr := r.Close(); err != nil || cerr != nil {
			return fmt.Errorf("read %s: %w", name, firstOf(err, cerr))
		}
		a.marked[strings.TrimSuffix(strings.TrimPrefix(name, marksPrefix), ".txt")] = strings.TrimSpace(string(note))
	}
	return nil
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Quarantined returns the damaged segments and what is wrong with each.
func (a *Archive) Quarantined() map[string]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.marked)
}
