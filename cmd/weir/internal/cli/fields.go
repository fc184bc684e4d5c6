package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/weircrawl/weir/cmd/weir/internal/client"
	parserv1 "github.com/weircrawl/weir/proto/weir/parser/v1"
)

// writeFields shows how often the fields of a crawl's rules are filled, as a parser
// knows it. Where none can be asked, as in a cluster whose parsers have no address of
// their own, the metrics tell the same.
func (a *app) writeFields(ctx context.Context, c *client.Client, id string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	resp, err := c.Parser.ListFields(ctx, &parserv1.ListFieldsRequest{CrawlId: id})
	if err != nil || len(resp.GetFields()) == 0 {
		return nil // what was asked for has been shown
	}
	_, err = fmt.Fprint(a.Stdout, fieldTable(resp.GetFields()))
	return err
}

// fieldTable writes a line for each field, with a warning for those that are filled far
// less often than they were.
func fieldTable(fields []*parserv1.FieldState) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\nfield\tfilled\tempty\tinvalid\t\n")
	for _, f := range fields {
		note := ""
		if f.GetFallen() {
			note = fmt.Sprintf("warning: filled in %.0f%% of the last items, %.0f%% before; has the site changed?", 100*f.GetPresent(), 100*f.GetPast())
		}
		fmt.Fprintf(w, "%s.%s\t%d\t%d\t%d\t%s\n", f.GetRule(), f.GetField(), f.GetFilled(), f.GetEmpty(), f.GetInvalid(), note)
	}
	if w.Flush() != nil {
		return "" // a strings.Builder takes everything
	}
	return b.String()
}
