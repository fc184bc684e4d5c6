//go:build !linux

package render

import (
	"os"
	"os/exec"
)

// Elsewhere than on Linux a browser ends its own processes when it ends, and its
// memory is not watched.

func ownGroup(*exec.Cmd) {}

func killGroup(pid int) {
	if p, err := os.FindProcess(pid); err == nil {
		_ = p.Kill()
	}
}

func strays(int, string) []int { return nil }

func reap(int, string, []int) {}

func groupMemory(int) int64 { return 0 }
