package warc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// AppendCDXJ appends the line of an index for a record, its line end included; ok is
// false for records that indexes leave out: warcinfo, requests, and metadata in WARC's
// own form. The lines of an index are sorted by bytes.
//
//	example,shop)/p/1 20261126101112 {"url": …, "mime": …, "status": …, "digest": …, "length": …, "offset": …, "filename": …}
func AppendCDXJ(dst []byte, h *Head, filename string) (line []byte, ok bool) {
	mime := ""
	switch h.Type() {
	case Response:
		mime = httpField(h.Block, "Content-Type")
	case Revisit:
		mime = "warc/revisit"
	case Info, Request:
		return dst, false
	default:
		if mime = h.Get("Content-Type"); mime == TypeFields {
			return dst, false
		}
	}
	mime, _, _ = strings.Cut(mime, ";")
	target := h.Get("WARC-Target-URI")
	target = strings.TrimSuffix(strings.TrimPrefix(target, "<"), ">") // as wget writes it
	for _, c := range []byte(SURT(target)) {
		if c <= ' ' { // would end the key, or the line
			dst = fmt.Appendf(dst, "%%%02X", c)
			continue
		}
		dst = append(dst, c)
	}
	dst = append(dst, ' ')
	dst = appendTimestamp(dst, h.Get("WARC-Date"))
	dst = append(dst, ' ')
	_, digest, _ := strings.Cut(h.Get("WARC-Payload-Digest"), ":")
	fields := []struct{ name, value string }{
		{"url", target}, {"mime", strings.TrimSpace(mime)}, {"status", httpStatus(h)}, {"digest", digest},
		{"length", strconv.FormatInt(h.Packed, 10)}, {"offset", strconv.FormatInt(h.Offset, 10)}, {"filename", filename},
	}
	sep := byte('{')
	for _, f := range fields {
		if f.value == "" {
			continue
		}
		dst = append(dst, sep)
		sep = ','
		dst = appendJSON(append(appendJSON(dst, f.name), ':'), f.value)
	}
	return append(dst, "}\n"...), true
}

// SURT is the sort key of a URL: the labels of its host in reverse, so that hosts of a
// domain are neighbours, then path and query. As in other archives' indexes it is in
// lower case, without scheme and a leading www, the arguments of the query in order.
// What is not http keeps its form.
func SURT(raw string) string {
	rest, ok := strings.CutPrefix(raw, "https://")
	if !ok {
		if rest, ok = strings.CutPrefix(raw, "http://"); !ok {
			return raw
		}
	}
	scheme, rest := raw[:len(raw)-len(rest)], strings.ToLower(withoutWWW(rest))
	host, port, path, query, ok := split(rest)
	if !ok {
		u, err := url.Parse(scheme + rest)
		if err != nil || u.Host == "" {
			return raw
		}
		host, port, path, query = u.Hostname(), u.Port(), u.EscapedPath(), u.RawQuery
	}
	if port == "80" && scheme == "http://" || port == "443" && scheme == "https://" {
		port = ""
	}
	b := make([]byte, 0, 128)
	if _, err := netip.ParseAddr(host); err == nil {
		b = append(b, host...)
	} else {
		for labels := host; labels != ""; {
			n := strings.LastIndexByte(labels, '.')
			b = append(b, labels[n+1:]...)
			if n >= 0 {
				b = append(b, ',')
			}
			labels = labels[:max(0, n)]
		}
	}
	if port != "" {
		b = append(append(b, ':'), port...)
	}
	b = append(b, ')')
	if path == "" {
		b = append(b, '/')
	}
	b = append(b, path...)
	if strings.Contains(query, "&") {
		args := strings.Split(query, "&")
		slices.Sort(args)
		query = strings.Join(args, "&")
	}
	if query != "" {
		b = append(append(b, '?'), query...)
	}
	return string(b)
}

// split takes apart what is behind the scheme of a URL that nothing is odd about, which
// is nearly every one; others are net/url's.
func split(s string) (host, port, path, query string, ok bool) {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', strings.IndexByte("-._~/?&=:", c) >= 0:
		default:
			return "", "", "", "", false
		}
	}
	n := strings.IndexAny(s, "/?")
	if n < 0 {
		n = len(s)
	}
	host, port, colon := strings.Cut(s[:n], ":")
	if host == "" || colon && strings.Trim(port, "0123456789") != "" {
		return "", "", "", "", false
	}
	path, query, _ = strings.Cut(s[n:], "?")
	return host, port, path, query, true
}

// withoutWWW takes www., www1. and so on away from the front of a host.
func withoutWWW(s string) string {
	if len(s) < 4 || !strings.EqualFold(s[:3], "www") {
		return s
	}
	rest := strings.TrimLeft(s[3:], "0123456789")
	if after, ok := strings.CutPrefix(rest, "."); ok {
		return after
	}
	return s
}

// appendTimestamp turns a WARC-Date into the 14 digits of an index.
func appendTimestamp(dst []byte, date string) []byte {
	t, err := time.Parse(time.RFC3339Nano, date)
	if err != nil {
		return append(dst, "00000000000000"...)
	}
	return t.UTC().AppendFormat(dst, "20060102150405")
}

// httpStatus is the status of a response's block.
func httpStatus(h *Head) string {
	if t := h.Type(); t != Response && t != Revisit {
		return ""
	}
	line, _, _ := bytes.Cut(h.Block, []byte("\n"))
	_, after, _ := bytes.Cut(line, []byte(" "))
	code, _, _ := bytes.Cut(bytes.TrimSpace(after), []byte(" "))
	if !bytes.HasPrefix(line, []byte("HTTP/")) || len(code) != 3 {
		return ""
	}
	return string(code)
}

// httpField is the value of a field of a block's HTTP headers.
func httpField(block []byte, name string) string {
	for line := range bytes.Lines(block) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if n, value, ok := bytes.Cut(line, []byte(":")); ok && strings.EqualFold(string(n), name) {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}

// appendJSON appends a string as JSON; what is not UTF-8 in it is replaced.
func appendJSON(dst []byte, s string) []byte {
	plain := true
	for i := range len(s) {
		c := s[i]
		plain = plain && c >= 0x20 && c < 0x7f && c != '"' && c != '\\'
	}
	if plain {
		return append(append(append(dst, '"'), s...), '"')
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string cannot fail
	return append(dst, bytes.TrimRight(b.Bytes(), "\n")...)
}
