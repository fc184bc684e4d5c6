package chart

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestLines(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	for _, tt := range []struct {
		name         string
		least        float64
		points       []Point
		top          float64
		stroke, area string
	}{
		{"nothing", 1, nil, 1, "", ""},
		{"flat", 1, []Point{{0, 0}, {1, 0}}, 1, "M0 100L600 100", "M0 100L600 100L600 100L0 100Z"},
		{"rise", 0, []Point{{0, 0}, {0.5, 5}, {1, 10}}, 10, "M0 100L300 50L600 0", "M0 100L300 50L600 0L600 100L0 100Z"},
		{"gap", 10, []Point{{0, 10}, {0.25, 10}, {0.5, nan}, {0.75, 5}, {1, 5}}, 10, "M0 0L150 0M450 50L600 50", "M0 0L150 0L150 100L0 100ZM450 50L600 50L600 100L450 100Z"},
		{"outside", 1, []Point{{-1, -5}, {2, 1}}, 1, "M0 100L600 0", "M0 100L600 0L600 100L0 100Z"},
		{"no number", 1, []Point{{0, math.Inf(1)}, {nan, 1}}, 1, "", ""},
		{"axis above the values", 0, []Point{{1, 7}}, 10, "M600 30", "M600 30L600 100L600 100Z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			lines, top := Lines(tt.least, tt.points)
			if top != tt.top || lines[0].Stroke != tt.stroke || lines[0].Area != tt.area {
				t.Errorf("%v, top %v", lines[0], top)
			}
		})
	}
}

func TestCeil(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ v, want float64 }{
		{0, 1}, {-3, 1}, {math.NaN(), 1}, {math.Inf(1), 1}, {1, 1}, {1.1, 2}, {2.2, 2.5}, {3, 5}, {5, 5}, {5.1, 10}, {99, 100}, {101, 200}, {0.03, 0.05}, {1e6, 1e6},
	} {
		if got := Ceil(tt.v); math.Abs(got-tt.want) > tt.want*1e-9 {
			t.Errorf("Ceil(%v) = %v, want %v", tt.v, got, tt.want)
		}
	}
}

func TestBar(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		whole float64
		parts []float64
		want  []Part
	}{
		{"nothing", 0, []float64{0, 0}, []Part{{"0", "0"}, {"0", "0"}}},
		{"halves", 10, []float64{5, 5}, []Part{{"0", "300"}, {"300", "300"}}},
		{"rest", 10, []float64{1, 2}, []Part{{"0", "60"}, {"60", "120"}}},
		{"a trace is seen", 1e6, []float64{1, 0, 2}, []Part{{"0", "2"}, {"2", "0"}, {"2", "2"}}},
		{"more than the whole", 1, []float64{3, 3}, []Part{{"0", "300"}, {"300", "300"}}},
		{"negative", 10, []float64{-5, 5}, []Part{{"0", "0"}, {"0", "300"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := Bar(tt.whole, tt.parts...)
			for i := range tt.want {
				if got[i] != tt.want[i] {
					t.Errorf("%v, want %v", got, tt.want)
				}
			}
		})
	}
}

// FuzzLines: whatever the numbers are, a path has nothing but steps inside the drawing.
func FuzzLines(f *testing.F) {
	f.Add(0.0, 0.1, 1.0, 5.0, 2.0)
	f.Add(math.NaN(), math.Inf(1), -1.0, 1e308, 1e-308)
	path := regexp.MustCompile(`^([ML]\d+(\.\d)? \d+(\.\d)?Z?)*$`)
	f.Fuzz(func(t *testing.T, x1, y1, x2, y2, least float64) {
		lines, top := Lines(least, []Point{{x1, y1}, {x2, y2}})
		if !(top > 0) || math.IsInf(top, 0) {
			t.Fatalf("the axis ends at %v", top)
		}
		for _, d := range []string{lines[0].Stroke, lines[0].Area} {
			if !path.MatchString(d) {
				t.Fatalf("path %q", d)
			}
			for _, n := range strings.FieldsFunc(d, func(r rune) bool { return strings.ContainsRune("MLZ ", r) }) {
				if v, err := strconv.ParseFloat(n, 64); err != nil || v < 0 || v > Width {
					t.Fatalf("number %q in %q", n, d)
				}
			}
		}
	})
}
