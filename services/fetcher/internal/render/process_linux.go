package render

import (
	"bytes"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ownGroup makes the program the head of a group of processes, so that all that it
// starts can be ended and counted together.
func ownGroup(cmd *exec.Cmd) {
	// Children of a browser that is killed become ours, to be reaped here: in a
	// container there is often no init that would.
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

// killGroup ends all processes of a group.
func killGroup(group int) { _ = syscall.Kill(-group, syscall.SIGKILL) }

// reapTime bounds the wait for processes that were killed to be gone.
const reapTime = 5 * time.Second

// strays finds the processes that belong to a profile and are not in its group: the
// handlers of crashes, which detach themselves.
func strays(group int, profile string) []int {
	var out []int
	for pid := range processes() {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil || !bytes.Contains(line, []byte(profile)) {
			continue
		}
		if g, err := syscall.Getpgid(pid); err == nil && g != group {
			out = append(out, pid)
		}
	}
	return out
}

// reap ends what is left of a browser that was killed and takes the exit states of
// its processes. One becomes ours only when its parent has ended, so there may be
// some left without one of them being ours yet.
func reap(group int, profile string, known []int) {
	for _, pid := range strays(group, profile) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
		if !slices.Contains(known, pid) {
			known = append(known, pid)
		}
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(reapTime); time.Now().Before(end); <-tick.C {
		_, _ = syscall.Wait4(-group, nil, syscall.WNOHANG, nil)
		known = slices.DeleteFunc(known, func(pid int) bool {
			got, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
			return got == pid || err != nil // of no child of ours there is nothing to take
		})
		if syscall.Kill(-group, 0) != nil && len(known) == 0 {
			return
		}
	}
}

// processes yields the numbers of all processes.
func processes() iter.Seq[int] {
	return func(yield func(int) bool) {
		entries, err := os.ReadDir("/proc")
		if err != nil {
			return
		}
		for _, e := range entries {
			if pid, err := strconv.Atoi(e.Name()); err == nil && !yield(pid) {
				return
			}
		}
	}
}

// groupMemory adds up what the processes of a group hold and do not share: the
// program and its libraries are in memory once, whatever each process says.
func groupMemory(group int) int64 {
	var pages int64
	for pid := range processes() {
		if g, err := syscall.Getpgid(pid); err != nil || g != group {
			continue
		}
		held, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if err != nil {
			continue // it has ended
		}
		if m := bytes.Fields(held); len(m) > 2 {
			resident, _ := strconv.ParseInt(string(m[1]), 10, 64)
			shared, _ := strconv.ParseInt(string(m[2]), 10, 64)
			pages += resident - shared
		}
	}
	return pages * int64(os.Getpagesize())
}
