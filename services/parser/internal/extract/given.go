package extract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/weircrawl/weir/services/parser/internal/jsontext"
)

// Given is an item that somebody else made of a page: a user's program.
type Given struct {
	// Rule that it counts for.
	Rule string
	// URL of the page and when its exchange began.
	URL       string
	FetchedAt time.Time
	// Media are the files that the item names, in canonical form.
	Media []string
	// Check of the rule of that name; nil for none.
	Check func([]byte) string
}

// Wrap makes an item of the fields in a JSON object, which keep their order and their
// numbers. Where the check does not take the item, reason says why and the item has it
// too. The error says why the fields cannot be those of an item at all.
func (g Given) Wrap(fields []byte) (item []byte, reason string, err error) {
	switch {
	case len(fields) > maxItemSize:
		return nil, "", fmt.Errorf("is longer than %d bytes", maxItemSize)
	case !utf8.Valid(fields):
		return nil, "", errors.New("is not UTF-8")
	}
	if _, ok := jsontext.Whole(string(fields)); !ok {
		return nil, "", errors.New("is not JSON, or nests too deep")
	}
	if err := checkNames(fields); err != nil {
		return nil, "", err
	}
	var b bytes.Buffer
	if err := json.Compact(&b, fields); err != nil {
		return nil, "", err
	}
	item = b.Bytes()
	if g.Check != nil {
		reason = g.Check(slices.Clone(item))
	}
	item = item[:len(item)-1]
	if len(item) > 1 {
		item = append(item, ',')
	}
	item = appendMedia(item, g.Media)
	item = appendTail(item, &Page{URL: g.URL, FetchedAt: g.FetchedAt}, g.Rule)
	if reason != "" {
		item = append(appendString(append(item[:len(item)-1], `,"_reason":`...), reason), '}')
	}
	return item, reason, nil
}

// appendMedia appends the files of an item, as those of rules are.
func appendMedia(dst []byte, urls []string) []byte {
	if len(urls) == 0 {
		return dst
	}
	dst = append(dst, `"_media":{"media":`...)
	for i, u := range urls {
		sep := byte(',')
		if i == 0 {
			sep = '['
		}
		dst = appendString(append(dst, sep), u)
	}
	return append(dst, `]},`...)
}

// checkNames refuses what is no object, and names that are not the user's to give.
func checkNames(fields []byte) error {
	d := json.NewDecoder(bytes.NewReader(fields))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.New("is not a JSON object")
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := t.(string) // the names of an object are nothing else
		switch {
		case strings.HasPrefix(name, "_"):
			return fmt.Errorf("has the field %.100q: names that begin with _ are Weir's own", name)
		case seen[name]:
			return fmt.Errorf("has the field %.100q twice", name)
		}
		seen[name] = true
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
	}
	return nil
}
