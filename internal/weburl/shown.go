package weburl

import "strings"

// Shown returns a URL as it may stand in an error or a log, however wrong it is: without
// the user information, which may hold a password. It may stand inside a longer text.
func Shown(text string) string {
	start := 0
	if i := strings.Index(text, "//"); i >= 0 {
		start = i + 2
		for start < len(text) && text[start] == '/' { // as browsers pass over them
			start++
		}
	}
	end := start + strings.IndexAny(text[start:]+"/", "/?#\\'\" ")
	if at := strings.LastIndexByte(text[start:end], '@'); at >= 0 {
		return text[:start] + "…" + text[start+at:]
	}
	return text
}
