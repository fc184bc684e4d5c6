package driver

import (
	"errors"

	"github.com/weircrawl/weir/internal/testkit/vacant"
)

// Ports are kept for processes until Close, also while those are dead.
type Ports struct{ kept []*vacant.Port }

// Take keeps n further ports of this machine and returns their addresses.
func (p *Ports) Take(n int) ([]string, error) {
	var out []string
	for range n {
		port, err := vacant.Take("127.0.0.1")
		if err != nil {
			return nil, err
		}
		p.kept = append(p.kept, port)
		out = append(out, port.Addr)
	}
	return out, nil
}

// Close gives the ports back.
func (p *Ports) Close() error {
	var errs []error
	for _, port := range p.kept {
		errs = append(errs, port.Close())
	}
	p.kept = nil
	return errors.Join(errs...)
}
