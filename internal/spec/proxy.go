package spec

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/weircrawl/weir/internal/secret"
)

// Proxy is the address of a proxy, parted. User and password may have the names of
// secrets in them.
type Proxy struct {
	// Scheme is http, https or socks5.
	Scheme string
	// Host is host:port.
	Host string
	// User and Password, unescaped; HasUser where the address has them.
	User, Password string
	HasUser        bool
}

// ErrSecretProxy is the error of ParseProxy for a text that is the name of a secret
// as a whole: it is an address only once the secret is in its place.
var ErrSecretProxy = errors.New("the address is a secret")

// ParseProxy reads scheme://user:password@host:port; the port may be left out.
func ParseProxy(text string) (*Proxy, error) {
	if names := secret.Names(text); len(names) == 1 && text == "{"+names[0]+"}" {
		return nil, ErrSecretProxy
	}
	scheme, rest, ok := strings.Cut(text, "://")
	port, known := map[string]string{"http": "80", "https": "443", "socks5": "1080"}[scheme]
	if !ok || !known {
		return nil, errors.New("must begin with http://, https:// or socks5://")
	}
	p := &Proxy{Scheme: scheme}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		user, password, _ := strings.Cut(rest[:i], ":")
		var err1, err2 error
		p.User, err1 = url.PathUnescape(user)
		p.Password, err2 = url.PathUnescape(password)
		if err1 != nil || err2 != nil || user == "" || hasControl(p.User+p.Password) {
			return nil, errors.New("has a user or password that is not escaped as in URLs")
		}
		p.HasUser, rest = true, rest[i+1:]
	}
	rest = strings.TrimSuffix(rest, "/")
	if err := checkHost(rest, true); err != nil || secret.Has(rest) {
		return nil, fmt.Errorf("has no host such as proxy.example:%s after the user", port)
	}
	p.Host = rest
	if i := strings.LastIndexByte(rest, ':'); i < 0 || strings.HasSuffix(rest, "]") {
		p.Host = rest + ":" + port
	}
	return p, nil
}

// ParseNet reads a network in CIDR form, or an address as the network of it alone, as
// fetch.allow_nets has them.
func ParseNet(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err == nil {
		return p.Masked(), nil
	}
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.Prefix{}, errors.New(strconv.Quote(text) + " is not a network such as 10.1.0.0/16")
}
