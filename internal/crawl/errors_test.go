package crawl

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestKindOf(t *testing.T) {
	t.Parallel()
	inner := Errorf(NotFound, "crawl %s: %w", "x", io.EOF)
	tests := []struct {
		name string
		err  error
		want Kind
	}{
		{"nil", nil, Internal},
		{"plain", io.EOF, Internal},
		{"typed", inner, NotFound},
		{"wrapped", fmt.Errorf("lease: %w", inner), NotFound},
		{"outermost wins", Errorf(Unavailable, "store: %w", inner), Unavailable},
		{"joined", errors.Join(io.EOF, inner), NotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := KindOf(tt.err); got != tt.want {
				t.Errorf("KindOf(%v) = %s, want %s", tt.err, got, tt.want)
			}
		})
	}
	if !errors.Is(inner, io.EOF) || inner.Error() != "crawl x: EOF" {
		t.Errorf("cause or text lost: %v", inner)
	}
	if Unavailable.String() != "unavailable" || Kind(99).String() != "kind(99)" {
		t.Errorf("names: %s, %s", Unavailable, Kind(99))
	}
}
