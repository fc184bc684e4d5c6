// Package dnstest is a DNS server for tests: on a UDP port of the loopback, it
// answers questions for addresses from a function.
package dnstest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// Answer returns the addresses of a name without its final dot; none means that
// the name does not exist. It is called from several goroutines.
type Answer func(name string) []netip.Addr

// Server is a running DNS server. Close it.
type Server struct {
	conn   net.PacketConn
	answer Answer
	wg     sync.WaitGroup
}

// Start serves on a free port until Close is called.
func Start(answer Answer) (*Server, error) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("dns server: %w", err)
	}
	s := &Server{conn: conn, answer: answer}
	s.wg.Go(s.serve)
	return s, nil
}

// Addr is host:port.
func (s *Server) Addr() string { return s.conn.LocalAddr().String() }

// Close stops the server and waits until it is stopped.
func (s *Server) Close() error {
	err := s.conn.Close()
	s.wg.Wait()
	return err
}

func (s *Server) serve() {
	// Questions are short; nobody who asks this server sends longer ones.
	buf := make([]byte, 1500)
	for {
		n, from, err := s.conn.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		if out, err := s.reply(buf[:n]); err == nil {
			_, _ = s.conn.WriteTo(out, from) // who asks will ask again
		}
	}
}

// reply answers a message with one question.
func (s *Server) reply(in []byte) ([]byte, error) {
	var p dnsmessage.Parser
	head, err := p.Start(in)
	if err != nil {
		return nil, err
	}
	q, err := p.Question()
	if err != nil {
		return nil, err
	}
	name := q.Name.String()
	addrs := s.answer(name[:max(len(name)-1, 0)])
	out := dnsmessage.Header{ID: head.ID, Response: true, Authoritative: true, RecursionDesired: head.RecursionDesired, RecursionAvailable: true}
	if len(addrs) == 0 {
		out.RCode = dnsmessage.RCodeNameError
	}
	b := dnsmessage.NewBuilder(nil, out)
	err = errors.Join(b.StartQuestions(), b.Question(q), b.StartAnswers())
	rr := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60}
	for _, a := range addrs {
		switch {
		case a.Is4() && q.Type == dnsmessage.TypeA:
			err = errors.Join(err, b.AResource(rr, dnsmessage.AResource{A: a.As4()}))
		case a.Is6() && q.Type == dnsmessage.TypeAAAA:
			err = errors.Join(err, b.AAAAResource(rr, dnsmessage.AAAAResource{AAAA: a.As16()}))
		}
	}
	if err != nil {
		return nil, err
	}
	return b.Finish()
}
