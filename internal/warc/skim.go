package warc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// headSize is how much of a block Skim returns at most: the HTTP headers of nearly
// every response.
const headSize = 16 << 10

// Head is a record of which only the beginning was read. It is valid until the next
// record; its strings stay.
type Head struct {
	// Entry has the header. It cannot be read from.
	Entry
	// Packed is the length of the member, or of the plain record, in the input.
	Packed int64
	// Block is the beginning of the block, at most 16 KiB.
	// That of a response has its HTTP headers, if they fit; others may be empty.
	Block []byte
}

// Skim returns the next record without its body: where the file says how long its
// records are, as this package's encoder does, bodies are passed over uninflated and
// unchecked. It can take turns with Next where a record has a member of its own.
// io.EOF at the end; other errors are as those of Next.
func (r *Reader) Skim() (*Head, error) {
	h, err := r.skim()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("record at offset %d: %w", r.offset, err)
	}
	return h, err
}

func (r *Reader) skim() (*Head, error) {
	if err := r.finish(); err != nil {
		return nil, err
	}
	if r.data == nil {
		if h, err := r.skip(); h != nil || err != nil {
			return h, err
		}
	}
	e, err := r.next()
	if err != nil {
		return nil, err
	}
	h := &Head{Entry: *e}
	if cap(r.block) < headSize {
		r.block = make([]byte, headSize)
	}
	n, err := io.ReadFull(e, r.block[:min(headSize, e.Length)])
	if err != nil {
		return nil, corrupt(err)
	}
	h.Block = r.block[:n]
	if err := r.finish(); err != nil {
		return nil, err
	}
	h.Packed = r.end - h.Offset
	if r.data != nil { // more records in the member: it is not known where each begins
		h.Packed = 0
	}
	return h, nil
}

// skip reads a record whose member gives its length and has its headers in a stored
// block; nil for any other.
func (r *Reader) skip() (*Head, error) {
	const before = len(memberHeader) + 5 // of the block's text
	b, _ := r.src.Peek(before)           // the slow way finds out what is wrong
	if len(b) < before || string(b[:lengthsAt]) != memberHeader[:lengthsAt] || b[before-5] != 0 {
		return nil, nil
	}
	packed := int64(binary.LittleEndian.Uint32(b[lengthsAt:]))
	text := int(binary.LittleEndian.Uint16(b[before-4:]))
	if packed < int64(before+text) || before+text > r.src.Size() {
		return nil, nil
	}
	r.offset = r.position()
	b, err := r.src.Peek(before + text)
	if err != nil {
		return nil, corrupt(err)
	}
	b = b[before:]
	end := len(b)
	if n := bytes.Index(b, headerEnd); n >= 0 { // as it should be
		end = n + len(headerEnd)
	}
	lines := textLines{rest: string(b[:end])}
	h := &r.head
	*h = Head{Entry: Entry{Fields: h.Fields[:0], Offset: r.offset}, Packed: packed}
	if err := h.readHeader(&lines); err != nil {
		return nil, err
	}
	at := end - len(lines.rest) // where the block begins
	h.Block = append(r.block[:0], b[at:min(len(b), at+headSize)]...)
	h.Block = h.Block[:min(int64(len(h.Block)), h.Length)]
	r.block = h.Block[:0]
	for left := packed; left > 0; {
		n, err := r.src.Discard(int(min(left, 1<<30))) // an int may have 32 bits
		if left -= int64(n); err != nil {
			return nil, corrupt(err)
		}
	}
	r.end = r.position()
	return h, nil
}

// headerEnd is the empty line behind a header.
var headerEnd = []byte("\r\n\r\n")

// textLines are the lines of a text, which share its memory.
type textLines struct{ rest string }

func (t *textLines) readLine() (string, error) {
	line, rest, ok := strings.Cut(t.rest, "\n")
	switch {
	case len(line) > maxLine:
		return "", errLongLine
	case !ok:
		return "", corrupt(io.EOF)
	}
	t.rest = rest
	return strings.TrimSuffix(line, "\r"), nil
}
