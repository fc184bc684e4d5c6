package export

import (
	"compress/gzip"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/weircrawl/weir/internal/crawl"
)

// Format of a file.
type Format string

// The formats, a closed set.
const (
	// JSONL is one JSON object a line, as the parser made it.
	JSONL Format = "jsonl"
	// CSV has a column for every field of any item; the fields of nested objects have
	// dotted names, lists are JSON.
	CSV Format = "csv"
	// Parquet has a typed column for every field, by the spec's types where it has them
	// and by the values where it has not. It is compressed in itself.
	Parquet Format = "parquet"
	// WARC is not of items: it is the crawl's archive, which storage alone can write. Its
	// records are compressed one by one, so that it is always of Gzip.
	WARC Format = "warc"
)

// Compression of a file.
type Compression string

// The compressions, a closed set.
const (
	// None: as it is.
	None Compression = ""
	// Gzip: RFC 1952, several members where an export was interrupted.
	Gzip Compression = "gzip"
	// Zstd: RFC 8878, several frames where an export was interrupted.
	Zstd Compression = "zstd"
)

// Kind is a format with its compression.
type Kind struct {
	Format      Format
	Compression Compression
}

// KindOf finds the kind of a file: by format ("jsonl", "csv", "ndjson", each also with
// .gz or .zst, "parquet", "warc" or "warc.gz") where one is given, else by the file's
// name, which must say that a WARC file is compressed. The error says what would be right.
func KindOf(name, format string) (Kind, error) {
	text := strings.ToLower(format)
	if text == "" {
		text = strings.ToLower(path.Base(strings.ReplaceAll(name, "\\", "/")))
		_, text, _ = strings.Cut(text, ".")
		// Only the last one or two extensions say what it is: shop.2026.jsonl.gz
		parts := strings.Split(text, ".")
		n := 1
		if _, ok := compressions()[parts[len(parts)-1]]; ok {
			n = 2
		}
		text = strings.Join(parts[max(len(parts)-n, 0):], ".")
	}
	var k Kind
	base, ext, _ := strings.Cut(text, ".")
	if ext != "" {
		c, ok := compressions()[ext]
		if !ok {
			return Kind{}, crawl.Errorf(crawl.Invalid, "unknown compression %q: use gz or zst", ext)
		}
		k.Compression = c
	}
	switch base {
	case "jsonl", "ndjson", "json":
		k.Format = JSONL
	case "csv":
		k.Format = CSV
	case "parquet":
		k.Format = Parquet
		if k.Compression != None {
			return Kind{}, crawl.Errorf(crawl.Invalid, "parquet is compressed in itself: leave .%s out", ext)
		}
	case "warc":
		if k.Format = WARC; k.Compression == None && format != "" {
			k.Compression = Gzip
		}
		if k.Compression != Gzip {
			return Kind{}, crawl.Errorf(crawl.Invalid, "the records of an archive are compressed by gzip: use warc.gz")
		}
	case "":
		return Kind{}, crawl.Errorf(crawl.Invalid, "%s has no extension to tell the format by: add --format jsonl, csv, parquet or warc", name)
	default:
		return Kind{}, crawl.Errorf(crawl.Invalid, "unknown output format %q: use jsonl, csv or parquet, with .gz or .zst to compress, or warc.gz", text)
	}
	return k, nil
}

func compressions() map[string]Compression {
	return map[string]Compression{"gz": Gzip, "gzip": Gzip, "zst": Zstd, "zstd": Zstd}
}

// Extension of files of the kind: ".jsonl.gz".
func (k Kind) Extension() string {
	switch k.Compression {
	case Gzip:
		return "." + string(k.Format) + ".gz"
	case Zstd:
		return "." + string(k.Format) + ".zst"
	}
	return "." + string(k.Format)
}

// resumable: what is written later goes on where it ended.
func (k Kind) resumable() bool { return k.Format != Parquet }

// compressor wraps w; closing it ends a member or frame and leaves w open.
func (c Compression) compressor(w io.Writer) (io.WriteCloser, error) {
	switch c {
	case Gzip:
		return gzip.NewWriter(w), nil
	case Zstd:
		// One goroutine, since exports run beside crawls.
		z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return nil, fmt.Errorf("compress: %w", err)
		}
		return z, nil
	}
	return open{w}, nil
}

// open is a writer whose end is somebody else's business.
type open struct{ io.Writer }

func (open) Close() error { return nil }
