package extract

import (
	"strconv"
	"strings"
	"time"
)

// Layouts that are no layouts of package time: seconds and milliseconds since 1970.
const (
	layoutUnix       = "unix"
	layoutUnixMillis = "unix_ms"
)

// usualLayouts are the forms of dates that are read where a field gives none.
func usualLayouts() []string {
	return []string{
		time.RFC3339, time.DateOnly, "2006-01-02T15:04:05", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04Z07:00", "2006-01-02T15:04",
		time.DateTime, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 Z07:00", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05 MST",
		"2006-01-02 15:04", "20060102", "20060102T150405Z0700", time.RFC1123, time.RFC1123Z, "Mon, 2 Jan 2006 15:04:05 MST",
		"Mon, 2 Jan 2006 15:04:05 -0700", "2 Jan 2006 15:04:05 MST", "2 Jan 2006 15:04:05 -0700", "2 Jan 2006", "2 January 2006",
		"Jan 2, 2006", "January 2, 2006", time.RFC850, time.ANSIC, time.UnixDate,
	}
}

// appendDate appends a date as RFC 3339 has it, with the time of day where its
// layout has one.
func appendDate(dst []byte, text string, layouts []string) ([]byte, bool) {
	text = strings.TrimSpace(text)
	if text == "" || len(text) > 128 {
		return dst, false
	}
	if len(layouts) == 0 {
		layouts = usualLayouts()
	}
	for _, layout := range layouts {
		t, ok := parseDate(layout, text)
		if !ok || t.Year() < 0 || t.Year() > 9999 {
			continue
		}
		dst = append(dst, '"')
		if hasClock(layout) {
			dst = t.AppendFormat(dst, time.RFC3339Nano)
		} else {
			dst = t.AppendFormat(dst, time.DateOnly)
		}
		return append(dst, '"'), true
	}
	return dst, false
}

func parseDate(layout, text string) (time.Time, bool) {
	switch layout {
	case layoutUnix:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || f < -1e11 || f > 1e12 {
			return time.Time{}, false
		}
		return time.UnixMilli(int64(f * 1000)).UTC(), true
	case layoutUnixMillis:
		n, err := strconv.ParseInt(text, 10, 64)
		return time.UnixMilli(n).UTC(), err == nil
	}
	t, err := time.ParseInLocation(layout, text, time.UTC)
	if err != nil {
		return t, false
	}
	name, offset := t.Zone()
	if !strings.Contains(layout, "MST") || offset != 0 {
		return t, true
	}
	// Package time takes any name of a zone that it does not know for UTC.
	hours, known := zoneHours(name)
	if !known {
		return t, false
	}
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.FixedZone(name, hours*3600)), true
}

// zoneHours returns the hours east of UTC of the names of zones that mail and HTTP
// know.
func zoneHours(name string) (int, bool) {
	switch name {
	case "UTC", "GMT", "UT", "Z", "":
		return 0, true
	case "EDT":
		return -4, true
	case "EST", "CDT":
		return -5, true
	case "CST", "MDT":
		return -6, true
	case "MST", "PDT":
		return -7, true
	case "PST":
		return -8, true
	}
	return 0, false
}

// hasClock reports whether a layout has a time of day: an hour of either kind.
func hasClock(layout string) bool {
	return layout == layoutUnix || layout == layoutUnixMillis || strings.Contains(layout, "15") || strings.Contains(layout, "03") ||
		strings.Contains(layout, "3:04")
}
