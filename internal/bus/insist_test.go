package bus

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestInsist asks again what a server has not answered, and nothing else.
func TestInsist(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	for _, tc := range []struct {
		name   string
		silent int // tries without an answer
		answer error
		limit  time.Duration
		want   error
		tries  int
	}{
		{"answered", 0, nil, time.Minute, nil, 1},
		{"answered late", 3, nil, time.Minute, nil, 4},
		{"refused", 1, refused, time.Minute, refused, 2},
		{"never answered", 100, nil, 12 * time.Second, context.DeadlineExceeded, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tc.limit)
				defer cancel()
				tries := 0
				err := insist(ctx, func(ctx context.Context) error {
					if tries++; tries <= tc.silent {
						<-ctx.Done()
						return ctx.Err()
					}
					return tc.answer
				})
				if !errors.Is(err, tc.want) || tries != tc.tries {
					t.Errorf("error %v after %d tries, want %v after %d", err, tries, tc.want, tc.tries)
				}
			})
		})
	}
}
