// Package chart draws lines and bars as the numbers of inline SVG: paths, and where the
// axis ends. Templates put them into elements and style sheets colour them, so that
// nothing here is markup. It is pure.
//
// A drawing is stretched to whatever width the page has (preserveAspectRatio="none"), so
// it has no text: what a reader needs to read stands around it as text of the page.
package chart

import (
	"math"
	"strconv"
	"strings"
)

// Width and Height of a drawing in its own units.
const (
	Width  = 600
	Height = 100
)

// Point is a value at a place of the time axis.
type Point struct {
	// X is the place: 0 is the left end, 1 the right one. Points come in rising order.
	X float64
	// Y is the value, 0 or more. NaN leaves a gap.
	Y float64
}

// Line is one drawn series.
type Line struct {
	// Stroke is the path of the line, Area that of the surface under it. Both are empty
	// without points.
	Stroke, Area string
}

// Lines draws series on one axis, and returns where the axis ends: a round number not
// below any value, at least least.
func Lines(least float64, series ...[]Point) ([]Line, float64) {
	top := least
	for _, s := range series {
		for _, p := range s {
			if p.Y > top && !math.IsInf(p.Y, 0) {
				top = p.Y
			}
		}
	}
	top = Ceil(top)
	out := make([]Line, len(series))
	for i, s := range series {
		out[i] = draw(s, top)
	}
	return out, top
}

// draw makes the paths of one series: a run for each stretch without a gap.
func draw(points []Point, top float64) Line {
	var stroke, area strings.Builder
	first, last, open := 0.0, 0.0, false
	shut := func() {
		if open {
			area.WriteString("L" + number(last) + " " + number(Height) + "L" + number(first) + " " + number(Height) + "Z")
			open = false
		}
	}
	for _, p := range points {
		if math.IsNaN(p.Y) || math.IsInf(p.Y, 0) || math.IsNaN(p.X) || top <= 0 {
			shut()
			continue
		}
		x, y := min(max(p.X, 0), 1)*Width, Height-min(max(p.Y/top, 0), 1)*Height
		step := "L"
		if !open {
			step, first, open = "M", x, true
		}
		at := step + number(x) + " " + number(y)
		stroke.WriteString(at)
		area.WriteString(at)
		last = x
	}
	shut()
	return Line{Stroke: stroke.String(), Area: area.String()}
}

// number writes a coordinate: a tenth of a unit is below a pixel.
func number(v float64) string {
	return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
}

// Ceil returns the next number at or above v of those that people read easily: 1, 2, 2.5
// or 5 times a power of ten. It is 1 for what is not a positive number.
func Ceil(v float64) float64 {
	if !(v > 0) || math.IsInf(v, 0) {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 2.5, 5, 10} {
		if c := m * unit; c >= v*(1-1e-9) && !math.IsInf(c, 0) {
			return c
		}
	}
	return v // so large that ten times the unit is none any more
}

// Part is a stretch of a bar.
type Part struct {
	// X is where it begins and W how long it is, in units of Width.
	X, W string
}

// Bar lays parts of a whole side by side; parts that are not 0 are at least visible. The
// whole is the sum where that is more.
func Bar(whole float64, parts ...float64) []Part {
	const least = Width / 300.0
	sum := 0.0
	for _, p := range parts {
		sum += max(p, 0)
	}
	whole = max(whole, sum)
	out := make([]Part, len(parts))
	x := 0.0
	for i, p := range parts {
		w := 0.0
		if p > 0 && whole > 0 {
			w = min(max(p/whole*Width, least), Width-x)
		}
		out[i] = Part{X: number(x), W: number(w)}
		x += w
	}
	return out
}
