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
	u, err := url.Parse(strings.ToLower(raw[:len(raw)-len(rest)] + withoutWWW(rest)))
	if err != nil || u.Host == "" {
		return raw
	}
	host := u.Hostname()
	if _, err := netip.ParseAddr(host); err != nil {
		labels := strings.Split(host, ".")
		slices.Reverse(labels)
		host = strings.Join(labels, ",")
	}
	var b strings.Builder
	b.WriteString(host)
	if port := u.Port(); port != "" && (u.Scheme != "http" || port != "80") && (u.Scheme != "https" || port != "443") {
		b.WriteString(":" + port)
	}
	b.WriteByte(')')
	if u.EscapedPath() == "" {
		b.WriteByte('/')
	}
	b.WriteString(u.EscapedPath())
	if u.RawQuery != "" {
		args := strings.Split(u.RawQuery, "&")
		slices.Sort(args)
		b.WriteString("?" + strings.Join(args, "&"))
	}
	return b.String()
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
