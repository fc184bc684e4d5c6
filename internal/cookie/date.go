package cookie

import (
	"strings"
	"time"
)

// parseDate reads the date of an Expires attribute as browsers do (RFC 6265bis
// §5.1.1): tokens in any order, of which the first that looks like a time, a day, a
// month and a year are taken.
func parseDate(s string) (time.Time, bool) {
	var hour, minute, second, day, year int
	var month time.Month
	var hasTime, hasDay, hasYear bool
	for token := range strings.FieldsFuncSeq(s, dateDelimiter) {
		if !hasTime {
			if hour, minute, second, hasTime = clock(token); hasTime {
				continue
			}
		}
		if !hasDay {
			if day, hasDay = digits(token, 1, 2); hasDay {
				continue
			}
		}
		if month == 0 {
			if month = monthOf(token); month != 0 {
				continue
			}
		}
		if !hasYear {
			year, hasYear = digits(token, 2, 4)
		}
	}
	switch {
	case year >= 70 && year <= 99:
		year += 1900
	case year <= 69:
		year += 2000
	}
	if !hasTime || !hasDay || month == 0 || !hasYear || year < 1601 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	t := time.Date(year, month, day, hour, minute, second, 0, time.UTC)
	return t, t.Day() == day // the 30th of February is no date
}

func dateDelimiter(r rune) bool {
	return r == '\t' || r >= 0x20 && r <= 0x2f || r >= 0x3b && r <= 0x40 || r >= 0x5b && r <= 0x60 || r >= 0x7b && r <= 0x7e
}

// clock reads h:m:s, with anything but a digit behind it.
func clock(token string) (hour, minute, second int, ok bool) {
	h, rest, _ := strings.Cut(token, ":")
	m, s, _ := strings.Cut(rest, ":")
	if len(h) > 2 || len(m) > 2 {
		return 0, 0, 0, false
	}
	hour, ok1 := allDigits(h)
	minute, ok2 := allDigits(m)
	second, ok3 := digits(s, 1, 2)
	return hour, minute, second, ok1 && ok2 && ok3
}

// digits reads the number at the front of a token that has from least to most
// digits and behind them none.
func digits(token string, least, most int) (n int, ok bool) {
	i := 0
	for i < len(token) && token[i] >= '0' && token[i] <= '9' {
		if i == most {
			return 0, false
		}
		n = n*10 + int(token[i]-'0')
		i++
	}
	return n, i >= least
}

func allDigits(s string) (int, bool) {
	n, ok := digits(s, 1, 2)
	for i := range len(s) {
		ok = ok && s[i] >= '0' && s[i] <= '9'
	}
	return n, ok
}

// monthOf goes by the first three letters.
func monthOf(token string) time.Month {
	if len(token) < 3 {
		return 0
	}
	for m := time.January; m <= time.December; m++ {
		if strings.EqualFold(token[:3], m.String()[:3]) {
			return m
		}
	}
	return 0
}
