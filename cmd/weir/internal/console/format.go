package console

import (
	"fmt"
	"html/template"
	"math"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/cmd/weir/internal/summary"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// maxShown bounds a value in a table, in runes; the whole is in its title, up to maxTitle.
const (
	maxShown = 120
	maxTitle = 1000
)

// funcs are what templates call. What they return is text: html/template escapes it.
func funcs(now func() time.Time) template.FuncMap {
	return template.FuncMap{
		"count":     summary.Count,
		"size":      size,
		"rate":      rate,
		"percent":   percent,
		"ago":       func(t *timestamppb.Timestamp) string { return ago(now(), t) },
		"until":     func(t *timestamppb.Timestamp) string { return until(now(), t) },
		"stamp":     stamp,
		"span":      span,
		"micros":    func(n uint64) string { return span(durationpb.New(time.Duration(n) * time.Microsecond)) },
		"cut":       func(s string) string { return cut(s, maxShown) },
		"title":     func(s string) string { return cut(s, maxTitle) },
		"weblink":   weblink,
		"plural":    plural,
		"lease":     leaseName,
		"hex":       func(b []byte) string { return fmt.Sprintf("%x", b) },
		"dict":      dict,
		"cutlong":   func(s string) string { return cut(s, maxTitle) },
		"errorName": errorName,
		"urlClass":  urlClass,
		"stateName": stateName,
		"picture":   picture,
	}
}

// size writes a number of bytes.
func size(n uint64) string { return summary.Bytes(n) }

// rate writes a number a second with as many digits as mean something.
func rate(v float64) string {
	switch {
	case math.IsNaN(v) || v < 0.005:
		return "0"
	case v < 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return summary.Count(uint64(math.Round(v)))
	}
}

// percent writes a share of a whole.
func percent(part, whole uint64) string {
	switch {
	case whole == 0:
		return "–"
	case part == whole:
		return "100 %"
	}
	p := 100 * float64(part) / float64(whole)
	if part > 0 && p < 1 {
		return "< 1 %"
	}
	return fmt.Sprintf("%d %%", int(min(p, 99)))
}

// ago writes how long ago something was.
func ago(now time.Time, t *timestamppb.Timestamp) string {
	if t == nil {
		return "–"
	}
	d := now.Sub(t.AsTime())
	switch {
	case d < 10*time.Second:
		return "just now"
	case d < time.Minute:
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days ago", int(d.Hours()/24))
	}
}

// until writes how far away something to come is.
func until(now time.Time, t *timestamppb.Timestamp) string {
	if t == nil {
		return "–"
	}
	if d := t.AsTime().Sub(now); d >= 100*time.Millisecond {
		return "in " + summary.Duration(d)
	}
	return "now"
}

// stamp writes a time in full.
func stamp(t *timestamppb.Timestamp) string {
	if t == nil {
		return "–"
	}
	return t.AsTime().UTC().Format("2006-01-02 15:04:05 UTC")
}

// span writes a duration.
func span(d *durationpb.Duration) string {
	switch v := d.AsDuration(); {
	case v == 0:
		return "0 s"
	case v < time.Second:
		return fmt.Sprintf("%d ms", max(v.Milliseconds(), 1))
	case v < time.Minute:
		return fmt.Sprintf("%.1f s", v.Seconds())
	default:
		return summary.Duration(v)
	}
}

// cut shortens text to n runes, leaves the end of it visible, and puts what would break a
// line or turn it round in the form of its number.
func cut(s string, n int) string {
	if len(s) > 8*n {
		s = strings.ToValidUTF8(s[:6*n], "") + "…" + strings.ToValidUTF8(s[len(s)-n:], "")
	}
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
			return '\uFFFD'
		}
		return r
	}, s)
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	tail := n / 4
	return string(r[:n-tail-1]) + "…" + string(r[len(r)-tail:])
}

// weblink is a URL that may be a link away from the console, "" for what may not.
func weblink(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return u.String()
}

// plural writes a number with its noun.
func plural(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return summary.Count(n) + " " + many
}

// leaseName writes a lease as logs do: the run that made it and its number there.
func leaseName(id uint64) string {
	if id == 0 {
		return "–"
	}
	return fmt.Sprintf("%d-%d", id>>40, id&(1<<40-1))
}

// dict gives a template several values.
func dict(pairs ...any) (map[string]any, error) {
	out := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		key, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: name %v is no text", pairs[i])
		}
		out[key] = pairs[i+1]
	}
	return out, nil
}

// errorName is the name of a class of errors, "" for none.
func errorName(class crawlv1.ErrorClass) string {
	if class == crawlv1.ErrorClass_ERROR_CLASS_UNSPECIFIED {
		return ""
	}
	return strings.ToLower(strings.TrimPrefix(class.String(), "ERROR_CLASS_"))
}

// picture reports whether browsers may show a file of this type: bitmaps only, since
// other pictures have scripts and links.
func picture(contentType string) bool {
	switch contentType {
	case "image/png", "image/jpeg", "image/gif", "image/webp", "image/avif":
		return true
	}
	return false
}
