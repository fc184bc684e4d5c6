package pgtest

import "syscall"

// attributes runs a program as somebody else, and ends it with this process however
// that ends.
func attributes(as *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: as, Pdeathsig: syscall.SIGQUIT, Setpgid: true}
}
