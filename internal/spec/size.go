package spec

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// unit is a suffix of sizes and its number of bytes.
type unit struct {
	name  string
	bytes int64
}

// units lists the suffixes, the binary ones first since they are written out.
func units() []unit {
	return []unit{
		{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"kB", 1e3}, {"B", 1},
	}
}

// ParseSize reads a number of bytes such as 512, 64KB or 1.5MiB.
func ParseSize(s string) (int64, error) {
	number, scale := strings.TrimSpace(s), int64(1)
	for _, u := range units() {
		if rest, ok := strings.CutSuffix(number, u.name); ok {
			number, scale = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	if n, err := strconv.ParseInt(number, 10, 64); err == nil {
		if n < 0 || n > math.MaxInt64/scale {
			return 0, fmt.Errorf("size %q is out of range", s)
		}
		return n * scale, nil
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || strings.ContainsAny(number, "xXpPeEnN_") {
		return 0, fmt.Errorf("%q is not a size such as 512, 64KB or 10MiB", s)
	}
	if f *= float64(scale); f < 0 || f >= math.MaxInt64 {
		return 0, fmt.Errorf("size %q is out of range", s)
	}
	return int64(f), nil
}

// FormatSize writes n as ParseSize reads it, in the largest binary unit that
// divides it.
func FormatSize(n int64) string {
	for _, u := range units()[:4] {
		if n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}
