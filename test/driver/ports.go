package driver

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// Ports are kept for processes, until Close: a socket that does not listen is bound to
// each. The kernel gives such a port to nobody who asks for any, neither to listen on nor
// to call from, also while the process that it is kept for is dead; that one may have it,
// since it binds with SO_REUSEADDR, as servers do, and is the first to listen.
type Ports struct{ sockets []int }

// Take keeps n further ports of this machine and returns their addresses.
func (p *Ports) Take(n int) ([]string, error) {
	var out []string
	for range n {
		addr, err := p.take()
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		out = append(out, addr)
	}
	return out, nil
}

func (p *Ports) take() (string, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	p.sockets = append(p.sockets, fd)
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return "", err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return "", err
	}
	got, err := syscall.Getsockname(fd)
	if err != nil {
		return "", err
	}
	in, ok := got.(*syscall.SockaddrInet4)
	if !ok {
		return "", fmt.Errorf("the address of a socket is a %T", got)
	}
	return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), uint16(in.Port)).String(), nil
}

// Close gives the ports back.
func (p *Ports) Close() error {
	var errs []error
	for _, fd := range p.sockets {
		errs = append(errs, syscall.Close(fd))
	}
	p.sockets = nil
	return errors.Join(errs...)
}
