package webform

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/html"

	"github.com/weircrawl/weir/services/parser/internal/tree"
)

// inputType returns the type of an input, text where it names none that there is.
func inputType(n *html.Node) string {
	t, _ := tree.Attr(n, "type")
	switch t = strings.ToLower(t); t {
	case "hidden", "search", "tel", "url", "email", "password", "date", "month", "week", "time", "datetime-local", "number", "range", "color",
		"checkbox", "radio", "file", "submit", "image", "reset", "button":
		return t
	}
	return "text"
}

// inputValue returns what an input sends; ok is false where it sends nothing.
func inputValue(n *html.Node, name string) (value string, ok bool) {
	value, given := tree.Attr(n, "value")
	switch t := inputType(n); t {
	case "submit", "image", "reset", "button":
		return "", false
	case "checkbox", "radio":
		if _, checked := tree.Attr(n, "checked"); !checked {
			return "", false
		}
		if !given {
			return "on", true
		}
		return value, true
	case "file":
		return "", true // the name of no file
	case "hidden":
		if strings.EqualFold(name, "_charset_") {
			return "UTF-8", true
		}
		return value, true
	default:
		return sanitized(n, t, value), true
	}
}

// sanitized is a value after the value sanitization algorithm of its type: what is no
// date is no value.
func sanitized(n *html.Node, inputType, value string) string {
	switch inputType {
	case "color":
		if isColor(value) {
			return strings.ToLower(value)
		}
		return "#000000"
	case "range":
		return inRange(n, value)
	case "number":
		if !isFloat(value) {
			return ""
		}
		return value
	case "date", "month", "time", "datetime-local":
		return dated(inputType, value)
	case "week":
		if !isWeek(value) {
			return ""
		}
		return value
	}
	value = strings.NewReplacer("\n", "", "\r", "").Replace(value)
	if _, several := tree.Attr(n, "multiple"); several && inputType == "email" {
		list := strings.Split(value, ",")
		for i := range list {
			list[i] = strings.TrimFunc(list[i], isSpace)
		}
		return strings.Join(list, ",")
	}
	if inputType == "url" || inputType == "email" {
		value = strings.TrimFunc(value, isSpace)
	}
	return value
}

func isColor(s string) bool {
	if len(s) != len("#000000") || s[0] != '#' {
		return false
	}
	_, err := strconv.ParseUint(s[1:], 16, 32)
	return err == nil
}

// Forms of values.
var (
	floatForm = regexp.MustCompile(`^-?([0-9]+(\.[0-9]+)?|\.[0-9]+)([eE][+-]?[0-9]+)?$`)
	weekForm  = regexp.MustCompile(`^[0-9]{4,}-W(0[1-9]|[1-4][0-9]|5[0-3])$`)
)

// isFloat tells a valid floating-point number of HTML, which is not all that Go reads.
func isFloat(s string) bool { return floatForm.MatchString(s) }

func isWeek(s string) bool { return weekForm.MatchString(s) }

// dated returns a date or time that is one.
func dated(inputType, value string) string {
	layouts := map[string][]string{
		"date": {"2006-01-02"}, "month": {"2006-01"}, "time": {"15:04", "15:04:05"},
		"datetime-local": {"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05"},
	}[inputType]
	for _, layout := range layouts {
		if _, err := time.Parse(layout, value); err == nil {
			if inputType == "datetime-local" {
				return strings.Replace(value, " ", "T", 1)
			}
			return value
		}
	}
	return ""
}

// inRange returns the value of a slider: the middle where it has none, and one between
// its ends.
func inRange(n *html.Node, value string) string {
	least, most := 0.0, 100.0
	if v, _ := tree.Attr(n, "min"); isFloat(v) {
		least, _ = strconv.ParseFloat(v, 64)
	}
	if v, _ := tree.Attr(n, "max"); isFloat(v) {
		most, _ = strconv.ParseFloat(v, 64)
	}
	middle := least + (most-least)/2
	if most < least {
		middle = least
	}
	v := middle
	if isFloat(value) {
		v, _ = strconv.ParseFloat(value, 64)
	}
	v = max(min(v, most), least)
	v = onStep(n, v, least, most)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return ""
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// onStep rounds a slider's value to one of its steps, up where it is between two.
func onStep(n *html.Node, v, least, most float64) float64 {
	step := 1.0
	switch text, _ := tree.Attr(n, "step"); {
	case strings.EqualFold(text, "any"):
		return v
	case isFloat(text):
		if s, _ := strconv.ParseFloat(text, 64); s > 0 {
			step = s
		}
	}
	base := least
	if _, given := tree.Attr(n, "min"); !given {
		if value, _ := tree.Attr(n, "value"); isFloat(value) {
			base, _ = strconv.ParseFloat(value, 64)
		}
	}
	steps := math.Floor((v-base)/step + 0.5)
	rounded := base + steps*step
	if rounded > most {
		rounded -= step
	}
	if rounded < least {
		return v
	}
	// 0.1 steps would show the dust of binary fractions.
	return math.Round(rounded*1e9) / 1e9
}
