// Package vacant keeps ports that nobody listens on, for tests that want to be refused or
// to start a server where others already look for it. A port that was merely free a moment
// ago may be given to any other process of the machine.
package vacant

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"testing"
)

// Port is kept until Close: a socket that does not listen is bound to it. The kernel gives
// such a port to nobody who asks for any, neither to listen on nor to call from. Whoever
// knows it may listen on it, again and again, since servers bind with SO_REUSEADDR, as this
// socket does.
type Port struct {
	// Addr is the address, with the port.
	Addr   string
	socket int
}

// Take keeps a port of an IPv4 address of this machine.
func Take(ip string) (*Port, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	p := &Port{socket: fd}
	if err := p.bind(ip); err != nil {
		return nil, errors.Join(fmt.Errorf("keep a port of %s: %w", ip, err), p.Close())
	}
	return p, nil
}

func (p *Port) bind(ip string) error {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return err
	}
	if err := syscall.SetsockoptInt(p.socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := syscall.Bind(p.socket, &syscall.SockaddrInet4{Addr: addr.As4()}); err != nil {
		return err
	}
	got, err := syscall.Getsockname(p.socket)
	if err != nil {
		return err
	}
	in, ok := got.(*syscall.SockaddrInet4)
	if !ok {
		return fmt.Errorf("the address of a socket is a %T", got)
	}
	p.Addr = netip.AddrPortFrom(netip.AddrFrom4(in.Addr), uint16(in.Port)).String()
	return nil
}

// Close gives the port back.
func (p *Port) Close() error { return syscall.Close(p.socket) }

// Addr keeps a port of the loopback until the test ends, and returns its address.
func Addr(tb testing.TB) string {
	tb.Helper()
	p, err := Take("127.0.0.1")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = p.Close() })
	return p.Addr
}
