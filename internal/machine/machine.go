// Package machine says how much memory this process may use: what its control groups
// leave it, or what the machine has.
package machine

import (
	"bufio"
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// share of a limit that the collector is told: what is not Go's, and what it notices
// late, must fit too.
const share = 0.9

// unlimited is beyond what any limit means; version 1 of control groups writes no
// limit as a very large one.
const unlimited = 1 << 60

// Root is the file system of the machine.
func Root() fs.FS { return os.DirFS("/") }

// Memory returns the bytes that this process may use, 0 where that cannot be found
// out; grouped tells a limit of its control groups from all that the machine has.
func Memory(root fs.FS) (bytes int64, grouped bool) {
	total, limit := memTotal(root), groupLimit(root)
	if limit < unlimited && (total == 0 || limit < total) {
		return limit, true
	}
	return total, false
}

// LimitMemory tells the garbage collector of the limit of the process's control
// groups, unless there is none or GOMEMLIMIT is set, and returns what it told; 0 for
// nothing. A process that is not told is killed by the first burst that its garbage
// does not fit.
func LimitMemory(root fs.FS) int64 {
	if os.Getenv("GOMEMLIMIT") != "" || debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return 0
	}
	bytes, grouped := Memory(root)
	if !grouped {
		return 0
	}
	limit := int64(float64(bytes) * share)
	debug.SetMemoryLimit(limit)
	return limit
}

// memTotal is the memory of the machine, 0 where it is not known.
func memTotal(root fs.FS) int64 {
	text, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "MemTotal:" {
			kib, _ := strconv.ParseInt(f[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// groupLimit is the smallest limit of the process's control groups.
func groupLimit(root fs.FS) int64 {
	least := int64(unlimited)
	f, err := root.Open("proc/self/cgroup")
	if err != nil {
		return least
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		// hierarchy:controllers:path; version 2 names no controllers.
		part := strings.SplitN(lines.Text(), ":", 3)
		if len(part) != 3 {
			continue
		}
		dir, file := "sys/fs/cgroup", "memory.max"
		switch {
		case part[1] == "":
		case hasController(part[1], "memory"):
			dir, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		// A container sees its own group as the root, whatever the path says.
		for p := path.Clean("/" + part[2]); ; p = path.Dir(p) {
			least = min(least, readLimit(root, path.Join(dir, p, file)))
			if p == "/" {
				break
			}
		}
	}
	return least
}

func hasController(list, name string) bool {
	for c := range strings.SplitSeq(list, ",") {
		if c == name {
			return true
		}
	}
	return false
}

func readLimit(root fs.FS, file string) int64 {
	text, err := fs.ReadFile(root, file)
	if err != nil {
		return unlimited
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n <= 0 { // "max"
		return unlimited
	}
	return n
}
