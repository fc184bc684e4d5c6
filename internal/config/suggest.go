package config

import "flag"

// suggest returns ", did you mean x?" for the nearest setting, or "".
func (l *loader) suggest(name string) string {
	var names []string
	l.fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	return nearest(name, names)
}

// suggestEnv does so for a variable.
func (l *loader) suggestEnv(name string) string {
	var names []string
	l.fs.VisitAll(func(f *flag.Flag) { names = append(names, EnvName(f.Name)) })
	return nearest(name, names)
}

// nearest returns the name at the smallest edit distance, when that is small
// enough to be a slip of the finger.
func nearest(name string, names []string) string {
	best, dist := "", max(2, len(name)/4)+1
	for _, n := range names {
		if d := distance(name, n); d < dist {
			best, dist = n, d
		}
	}
	if best == "" {
		return ""
	}
	return ", did you mean " + best + "?"
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diag := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			sub := diag
			if a[i-1] != b[j-1] {
				sub++
			}
			diag = row[j]
			row[j] = min(sub, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
