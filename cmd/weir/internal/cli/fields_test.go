package cli

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	parserv1 "github.com/weircrawl/weir/proto/weir/parser/v1"
)

func TestFieldTable(t *testing.T) {
	t.Parallel()
	got := fieldTable([]*parserv1.FieldState{
		{Rule: "product", Field: "name", Filled: 1200, Past: 1, Present: 1},
		{Rule: "product", Field: "price", Filled: 1000, Empty: 190, Invalid: 10, Past: 0.98, Present: 0.12, Fallen: true},
	})
	const want = `
field          filled  empty  invalid  
product.name   1200    0      0        
product.price  1000    190    10       warning: filled in 12% of the last items, 98% before; has the site changed?
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}
