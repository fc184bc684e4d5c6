//go:build unix && !linux

package pgtest

import "syscall"

// attributes runs a program as somebody else.
func attributes(as *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: as, Setpgid: true}
}
