package weburl

// byteClass is a set of properties of a byte.
type byteClass uint8

const (
	// alphaByte: an ASCII letter.
	alphaByte byteClass = 1 << iota
	// schemeByte: may be part of a scheme.
	schemeByte
	// nameByte: may be part of a host name that needs no mapping but lower case.
	nameByte
	// hostByte: may be part of a host name in canonical form.
	hostByte
	// pathByte: stands for itself in a path segment.
	pathByte
	// queryByte: stands for itself in the query of an http URL.
	queryByte
)

// classes is constant: the properties of each byte.
var classes = classify()

func is(c byte, want byteClass) bool { return classes[c]&want != 0 }

func classify() (t [256]byteClass) {
	mark := func(class byteClass, from, to byte, except string) {
	next:
		for c := from; c <= to; c++ {
			for i := range len(except) {
				if except[i] == c {
					continue next
				}
			}
			t[c] |= class
		}
	}
	mark(alphaByte|schemeByte|nameByte, 'a', 'z', "")
	mark(alphaByte|schemeByte|nameByte, 'A', 'Z', "")
	mark(schemeByte|nameByte, '0', '9', "")
	mark(schemeByte, '+', '.', ",")
	mark(nameByte, '-', '.', "")
	mark(hostByte, '!', '~', "#/:<>?@[\\]^|%ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	// The percent-encode sets of the standard, inverted; a backslash is a slash.
	mark(pathByte, '!', '~', "\"#<>?`{}\\/")
	mark(queryByte, '!', '~', "\"#<>'")
	return t
}
