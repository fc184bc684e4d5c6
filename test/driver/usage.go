package driver

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Written is how much the process has had written to disks, in bytes, as far as that is
// known: its cache that was never written counts too.
func (p *Proc) Written() (int64, error) {
	if !p.Running() {
		if ru, ok := p.cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			return ru.Oublock << 9, nil
		}
		return 0, fmt.Errorf("output of %s: no resource usage", p.Name)
	}
	data, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID()) + "/io")
	if err != nil {
		return 0, fmt.Errorf("output of %s: %w", p.Name, err)
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "write_bytes:"); ok {
			return strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
		}
	}
	return 0, fmt.Errorf("output of %s: no write_bytes", p.Name)
}

// Tree is what a process and its children use together.
type Tree struct {
	// CPU time of those that run and of those that have ended.
	CPU time.Duration
	// Memory of those that run, in bytes; what several share counts once.
	Memory int64
}

// ReadTree reads what a process that is not ours and its children use.
func ReadTree(pid int) (Tree, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return Tree{}, err
	}
	var out Tree
	var ticks int64
	server := strconv.Itoa(pid)
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		// The fields follow the program's name, which is in parentheses: state, parent, …
		_, rest, _ := strings.Cut(string(data), ") ")
		fields := strings.Fields(rest)
		if len(fields) < 15 {
			return Tree{}, fmt.Errorf("%s has %d fields", name, len(fields))
		}
		used := fields[11:13] // user and system time
		if filepath.Base(filepath.Dir(name)) == server {
			used = fields[11:15] // with those of children that have ended
		} else if fields[1] != server {
			continue
		}
		for _, f := range used {
			n, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				return Tree{}, fmt.Errorf("%s: %w", name, err)
			}
			ticks += n
		}
		out.Memory += shareOfMemory(filepath.Dir(name))
	}
	const hertz = 100 // USER_HZ, the same on every Linux that Go runs on
	out.CPU = time.Duration(ticks) * time.Second / hertz
	return out, nil
}

// shareOfMemory is a process's part of the memory that it uses, 0 where it has ended.
func shareOfMemory(proc string) int64 {
	data, err := os.ReadFile(filepath.Join(proc, "smaps_rollup"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// Flushes counts the cache flushes that the disk under a folder has done since the
// machine began, whoever asked for them: every fsync and fdatasync with something to
// write ends in one, and those at the same moment may share it. False where the system
// does not count them.
func Flushes(dir string) (int64, bool) {
	var st syscall.Stat_t
	if err := syscall.Stat(dir, &st); err != nil {
		return 0, false
	}
	major, minor := st.Dev>>8&0xfff, st.Dev&0xff|st.Dev>>12&0xfff00
	dev := fmt.Sprintf("/sys/dev/block/%d:%d", major, minor)
	for _, name := range []string{dev + "/../stat", dev + "/stat"} { // a partition's disk counts
		data, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		if fields := strings.Fields(string(data)); len(fields) >= 16 {
			n, err := strconv.ParseInt(fields[15], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
