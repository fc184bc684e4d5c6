package warc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// ErrFormat is returned for input that is not WARC, or broken.
var ErrFormat = errors.New("not a valid WARC record")

// Bounds of a record's header, so that garbage cannot fill memory.
const (
	maxLine   = 64 << 10
	maxHeader = 1 << 20
)

// usualFields are as many as the records of this package's encoder have.
const usualFields = 12

// Field is one line of a record's header.
type Field struct {
	// Name as written.
	Name string
	// Value without the space around it.
	Value string
}

// Entry is a record that is being read. It is an io.Reader over the block, valid
// until the next call of Next.
type Entry struct {
	// Version is "1.0", "1.1", …
	Version string
	// Fields in the order of the file.
	Fields []Field
	// Offset of the gzip member (or of the plain record) in the input.
	Offset int64
	// Length of the block.
	Length int64

	rd   *Reader
	left int64
}

// Get returns the first field of that name, without regard to case; "" without one.
func (e *Entry) Get(name string) string {
	for _, f := range e.Fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// Type returns WARC-Type.
func (e *Entry) Type() Type { return Type(e.Get("WARC-Type")) }

// Read reads the block.
func (e *Entry) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > e.left {
		p = p[:e.left]
	}
	n, err := e.rd.data.Read(p)
	e.left -= int64(n)
	if errors.Is(err, io.EOF) && e.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	if e.left == 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// Reader streams the records of a file, gzip members one after another or plain
// text, and keeps no more in memory than one header. After an error other than
// io.EOF it is of no further use. Not safe for concurrent use.
type Reader struct {
	src  *bufio.Reader
	read *countingReader
	gz   *gzip.Reader
	data *bufio.Reader // the text of the member, or src for a plain file

	cur    *Entry
	offset int64 // of the member that data is of
	end    int64

	// Of Skim, which uses them again for every record.
	head  Head
	block []byte
}

// NewReader returns a reader of r, which it reads ahead of.
func NewReader(r io.Reader) *Reader {
	c := &countingReader{r: r}
	return &Reader{read: c, src: bufio.NewReaderSize(c, 64<<10)}
}

// End is the offset behind the last record that Next has left behind whole, its
// checksum included.
func (r *Reader) End() int64 { return r.end }

// Next finishes the record in hand and returns the next one; io.EOF at the end.
// An error wraps ErrFormat, or io.ErrUnexpectedEOF where the input ends early.
func (r *Reader) Next() (*Entry, error) {
	e, err := r.next()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("record at offset %d: %w", r.offset, err)
	}
	return e, err
}

func (r *Reader) next() (*Entry, error) {
	if err := r.finish(); err != nil {
		return nil, err
	}
	if r.data == nil {
		if err := r.open(); err != nil {
			return nil, err
		}
	}
	e := &Entry{Fields: make([]Field, 0, usualFields)}
	if err := e.readHeader(lineReader{r.data}); err != nil {
		return nil, err
	}
	e.Offset, e.rd, e.left = r.offset, r, e.Length
	r.cur = e
	return e, nil
}

// finish reads what is left of the record in hand, its end and, if the member
// ends with it, the member's checksum.
func (r *Reader) finish() error {
	if r.cur == nil {
		return nil
	}
	if _, err := io.Copy(io.Discard, r.cur); err != nil {
		return corrupt(err)
	}
	r.cur = nil
	var end [len(closing)]byte
	if _, err := io.ReadFull(r.data, end[:]); err != nil {
		return corrupt(err)
	}
	if string(end[:]) != closing {
		return fmt.Errorf("%w: no empty lines at its end", ErrFormat)
	}
	if r.gz == nil {
		r.end, r.data = r.position(), nil
		return nil
	}
	// More text in the member: a writer that does not give each record its own.
	if _, err := r.data.Peek(1); err == nil {
		return nil
	} else if !errors.Is(err, io.EOF) {
		return corrupt(err)
	}
	r.end, r.data = r.position(), nil
	return nil
}

// open begins the next member, or the next record of a plain file.
func (r *Reader) open() error {
	r.offset = r.position()
	magic, err := r.src.Peek(2)
	if len(magic) == 0 {
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		return err
	}
	if len(magic) < 2 {
		return fmt.Errorf("%w: %w", ErrFormat, io.ErrUnexpectedEOF)
	}
	if magic[0] == 'W' && r.gz == nil {
		r.data = r.src
		return nil
	}
	if r.gz == nil {
		r.gz, err = gzip.NewReader(r.src)
	} else {
		err = r.gz.Reset(r.src)
	}
	if err != nil {
		return corrupt(err)
	}
	r.gz.Multistream(false)
	r.data = bufio.NewReaderSize(r.gz, 4<<10)
	return nil
}

func (r *Reader) position() int64 { return r.read.n - int64(r.src.Buffered()) }

// readHeader reads a record's header, the empty line included, into an entry without
// fields.
func (e *Entry) readHeader(b interface{ readLine() (string, error) }) error {
	first, err := b.readLine()
	if err != nil {
		return err
	}
	version, ok := strings.CutPrefix(first, "WARC/")
	if !ok {
		return fmt.Errorf("%w: it begins with %.20q", ErrFormat, first)
	}
	e.Version, e.Length = version, -1
	for total := len(first); ; {
		line, err := b.readLine()
		if err != nil {
			return err
		}
		if line == "" {
			break
		}
		if total += len(line); total > maxHeader {
			return fmt.Errorf("%w: header over %d bytes", ErrFormat, maxHeader)
		}
		if err := e.addLine(line); err != nil {
			return err
		}
	}
	if e.Length < 0 {
		return fmt.Errorf("%w: no Content-Length", ErrFormat)
	}
	return nil
}

func (e *Entry) addLine(line string) error {
	if (line[0] == ' ' || line[0] == '\t') && len(e.Fields) > 0 { // a folded value
		last := &e.Fields[len(e.Fields)-1]
		last.Value += " " + strings.TrimSpace(line)
		return nil
	}
	name, value, ok := strings.Cut(line, ":")
	if !ok || name == "" {
		return fmt.Errorf("%w: header line %.40q", ErrFormat, line)
	}
	value = strings.TrimSpace(value)
	if strings.EqualFold(name, "Content-Length") {
		n, err := strconv.ParseUint(value, 10, 63)
		if err != nil {
			return fmt.Errorf("%w: Content-Length %.40q", ErrFormat, value)
		}
		e.Length = int64(n)
	}
	e.Fields = append(e.Fields, Field{Name: name, Value: value})
	return nil
}

// lineReader reads lines; CR LF is the rule at their ends, LF alone is understood.
type lineReader struct{ *bufio.Reader }

// errLongLine is about a line of a header.
var errLongLine = fmt.Errorf("%w: header line over %d bytes", ErrFormat, maxLine)

func (b lineReader) readLine() (string, error) {
	var line []byte
	for {
		part, err := b.ReadSlice('\n')
		if err == nil && line == nil { // nearly always it is in the buffer whole
			line = part
			break
		}
		line = append(line, part...)
		if err == nil {
			break
		}
		if len(line) > maxLine {
			return "", errLongLine
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", corrupt(err)
		}
	}
	return string(bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'})), nil
}

// corrupt turns an error in the middle of a record into one that says so.
func corrupt(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %w", ErrFormat, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("%w: %w", ErrFormat, err)
}

// LastWhole reads r to the end of its last whole record and returns that offset:
// what is behind it was cut off or damaged. The error is r's own, never about
// the format.
func LastWhole(r io.Reader) (int64, error) {
	rd := NewReader(r)
	for {
		if _, err := rd.Next(); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, ErrFormat) {
				err = nil
			}
			if rd.read.err != nil {
				err = rd.read.err
			}
			return rd.End(), err
		}
	}
}

// SkipHTTPHead reads b past the HTTP headers that a response block begins with.
func SkipHTTPHead(b *bufio.Reader) error {
	for total, inLine := 0, false; ; {
		line, err := b.ReadSlice('\n')
		if total += len(line); total > maxHeader {
			return fmt.Errorf("%w: HTTP headers over %d bytes", ErrFormat, maxHeader)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			inLine = true // a line longer than the buffer comes in pieces
			continue
		}
		if err != nil {
			return corrupt(err)
		}
		if !inLine && len(bytes.TrimRight(line, "\r\n")) == 0 {
			return nil
		}
		inLine = false
	}
}

// HTTPHead reads the lines of the HTTP headers that a response block begins with, the
// status line first.
func HTTPHead(b *bufio.Reader) ([]string, error) {
	var lines []string
	for total := 0; ; {
		line, err := lineReader{b}.readLine()
		if err != nil {
			return nil, err
		}
		if total += len(line) + 2; total > maxHeader {
			return nil, fmt.Errorf("%w: HTTP headers over %d bytes", ErrFormat, maxHeader)
		}
		if line == "" {
			return lines, nil
		}
		lines = append(lines, line)
	}
}

// countingReader counts what was read, and remembers an error of the source as
// opposed to one of the format.
type countingReader struct {
	r   io.Reader
	n   int64
	err error
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}
