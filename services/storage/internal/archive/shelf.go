package archive

import (
	"context"
	"io"
	"iter"
)

// shelf keeps the bytes of segments: in files, or in objects. Its methods may be
// called for different segments at the same time.
type shelf interface {
	// open prepares a segment to be appended to, and returns how many bytes it has;
	// whole: finish was done, nothing can be appended.
	open(ctx context.Context, file string) (end int64, whole bool, err error)
	// write puts size bytes at the end of a segment, which is at; durable on return.
	write(ctx context.Context, file string, at int64, r io.Reader, size int64) error
	// cut takes away what an opened segment has beyond size.
	cut(ctx context.Context, file string, size int64) error
	// finish makes an opened segment one whole that is not appended to any more, and
	// returns a reader of it all.
	finish(ctx context.Context, file string, size int64) (io.ReadCloser, error)
	// tidy gives back what a finished and sealed segment still takes besides itself.
	tidy(ctx context.Context, file string) error
	// unfinished returns the segments that there is something for tidy of.
	unfinished(ctx context.Context) ([]string, error)
	// read reads a range of a segment, open or finished; errors wrap fs.ErrNotExist
	// where the segment is not there.
	read(ctx context.Context, file string, offset, length int64) (io.ReadCloser, error)
	// put stores a file beside the segments, in place of what it was before.
	put(ctx context.Context, name string, r io.Reader, size int64) error
	// list goes through the names of the segments and what is beside them, in order,
	// without the parts of segments that are open.
	list(ctx context.Context, prefix string) iter.Seq2[string, error]
	// remove deletes a segment or what is beside one; without an error if it is not there.
	remove(ctx context.Context, name string) error
	// close ends the use of what is open.
	close() error
	// String says where it is, for people.
	String() string
}
