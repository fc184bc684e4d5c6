package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// processCPU and threadCPU are the processor time that the process and the calling
// thread have used, user and system.
func processCPU() time.Duration { return rusage(syscall.RUSAGE_SELF) }

func threadCPU() time.Duration {
	const thread = 1 // RUSAGE_THREAD of Linux
	return rusage(thread)
}

func rusage(who int) time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(who, &u) // it fails for a bad argument only
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// memory fills in what the process holds now.
func (l *line) memory() error {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	l.Heap = int64(m.HeapAlloc)
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for text := range strings.Lines(string(data)) {
		key, rest, _ := strings.Cut(text, ":")
		into := map[string]*int64{"VmRSS": &l.RSS, "VmHWM": &l.Peak}[key]
		if into == nil {
			continue
		}
		kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		if err != nil {
			return fmt.Errorf("/proc/self/status: %q", text)
		}
		*into = kib << 10
	}
	return nil
}
