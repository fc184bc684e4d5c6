package archive

import (
	"bufio"
	"bytes"
	"container/heap"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
)

// sortMemory bounds the lines that a sorter keeps in memory: the index of some 10,000
// records. A longer one goes by way of files.
const sortMemory = 4 << 20

// sortChunk is how much memory a sorter takes at a time.
const sortChunk = 256 << 10

// sorter sorts lines by bytes, more of them than fit in memory by way of files.
type sorter struct {
	dir    string // where its folder is made, if one is needed
	tmp    string
	memory int
	chunk  []byte // where lines are copied to, one behind the other
	lines  [][]byte
	held   int
	size   int64
	runs   []*os.File
}

func newSorter(dir string) *sorter { return &sorter{dir: dir, memory: sortMemory} }

// add takes a line, with its line end.
func (s *sorter) add(line []byte) error {
	if cap(s.chunk)-len(s.chunk) < len(line) {
		s.chunk = make([]byte, 0, max(sortChunk, len(line)))
	}
	from := len(s.chunk)
	s.chunk = append(s.chunk, line...)
	s.lines = append(s.lines, s.chunk[from:])
	s.size += int64(len(line))
	if s.held += len(line); s.held < s.memory {
		return nil
	}
	return s.spill()
}

// spill writes what is in memory to a file, sorted.
func (s *sorter) spill() (err error) {
	if s.tmp == "" {
		if s.tmp, err = sortDir(s.dir); err != nil {
			return err
		}
	}
	f, err := os.Create(filepath.Join(s.tmp, fmt.Sprint(len(s.runs))))
	if err != nil {
		return err
	}
	s.runs = append(s.runs, f)
	w := bufio.NewWriter(f)
	slices.SortFunc(s.lines, bytes.Compare)
	for _, line := range s.lines {
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	clear(s.lines) // the chunks are free
	s.lines, s.held = s.lines[:0], 0
	_, err = f.Seek(0, io.SeekStart)
	return err
}

// sorted returns all lines in order, and their length. The reader is good until close.
func (s *sorter) sorted() (io.Reader, int64, error) {
	if len(s.runs) == 0 {
		slices.SortFunc(s.lines, bytes.Compare)
		lines := net.Buffers(s.lines) // which reads them one behind the other, without a copy of all
		return &lines, s.size, nil
	}
	if err := s.spill(); err != nil {
		return nil, 0, err
	}
	s.chunk, s.lines = nil, nil
	m := &merger{}
	for _, f := range s.runs {
		r := &run{r: bufio.NewReader(f)}
		if err := r.next(); err == nil {
			m.runs = append(m.runs, r)
		} else if !errors.Is(err, io.EOF) {
			return nil, 0, err
		}
	}
	heap.Init(m)
	return m, s.size, nil
}

func (s *sorter) close() {
	for _, f := range s.runs {
		_ = f.Close() // scratch
	}
	if s.tmp != "" {
		_ = os.RemoveAll(s.tmp)
	}
}

// run is a sorted file, and the line that it is at.
type run struct {
	r    *bufio.Reader
	line []byte
}

func (r *run) next() (err error) {
	r.line, err = r.r.ReadBytes('\n')
	return err
}

// merger reads the lines of all runs in order. It is a heap of them.
type merger struct {
	runs []*run
	rest []byte // of the line that is being read
}

func (m *merger) Read(p []byte) (int, error) {
	if len(m.rest) == 0 {
		if len(m.runs) == 0 {
			return 0, io.EOF
		}
		first := m.runs[0]
		m.rest = first.line
		switch err := first.next(); {
		case err == nil:
			heap.Fix(m, 0)
		case errors.Is(err, io.EOF):
			heap.Pop(m)
		default:
			return 0, err
		}
	}
	n := copy(p, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}

// Len is the number of runs.
func (m *merger) Len() int { return len(m.runs) }

// Less orders runs by their lines.
func (m *merger) Less(i, j int) bool { return bytes.Compare(m.runs[i].line, m.runs[j].line) < 0 }

// Swap swaps two.
func (m *merger) Swap(i, j int) { m.runs[i], m.runs[j] = m.runs[j], m.runs[i] }

// Push is not used.
func (m *merger) Push(any) {}

// Pop takes the last.
func (m *merger) Pop() any {
	last := m.runs[len(m.runs)-1]
	m.runs = m.runs[:len(m.runs)-1]
	return last
}
