package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/weircrawl/weir/cmd/weir/internal/client"
	"github.com/weircrawl/weir/internal/crawl"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

func (a *app) deadCmd() *cobra.Command {
	var (
		limit  uint64
		asJSON bool
	)
	cmd := a.clientCmd("dead [CRAWL]", "List the messages that were given up, or retry them", nil, func(ctx context.Context, c *client.Client, args []string) error {
		name, err := optional(args, "weir dead")
		if err != nil {
			return err
		}
		return c.DeadLetters(ctx, &schedulerv1.ListDeadLettersRequest{Crawl: name}, limit, func(letters []*schedulerv1.DeadLetterInfo) error {
			if asJSON {
				return writeProtoLines(a.Stdout, letters)
			}
			return a.writeLetters(letters)
		})
	})
	cmd.Long = `List the messages that a stage gave up after several tries, oldest first: number,
time, stream, URL and reason. Their URLs have failed with dead_letter.`
	cmd.Flags().Uint64Var(&limit, "limit", 0, "at most this many (0: all)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	cmd.AddCommand(a.deadRetryCmd())
	return cmd
}

func (a *app) deadRetryCmd() *cobra.Command {
	var name string
	cmd := a.clientCmd("retry ID… | --crawl CRAWL", "Put the URLs of dead letters back into their queues", nil, func(ctx context.Context, c *client.Client, args []string) error {
		if (len(args) > 0) == (name != "") {
			return crawl.Errorf(crawl.Invalid, "weir dead retry takes the numbers of letters (see weir dead), or --crawl CRAWL for all of a crawl")
		}
		req := &schedulerv1.RetryDeadLettersRequest{Crawl: name}
		for _, arg := range args {
			id, err := strconv.ParseUint(arg, 10, 64)
			if err != nil || id == 0 {
				return crawl.Errorf(crawl.Invalid, "%q is not the number of a dead letter: see weir dead", arg)
			}
			req.Ids = append(req.Ids, id)
		}
		resp, err := c.Crawls.RetryDeadLetters(ctx, req)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.Stdout, "retried %d, skipped %d\n", resp.GetRetried(), resp.GetSkipped())
		return err
	})
	cmd.Long = `Put the URLs of dead letters back into their queues and delete the letters. What
cannot be retried (a message that cannot be read, a crawl that is gone, a URL that
was visited meanwhile) is skipped, and its letter deleted too.`
	cmd.Flags().StringVar(&name, "crawl", "", "all dead letters of this crawl, by id or name")
	return cmd
}

// writeLetters writes lines of: number, time, stream, URL, reason.
func (a *app) writeLetters(letters []*schedulerv1.DeadLetterInfo) error {
	var out strings.Builder
	for _, l := range letters {
		url := l.GetUrl()
		if url == "" {
			url = "-"
		}
		fmt.Fprintf(&out, "%d %s %s %s %s\n", l.GetId(), l.GetAt().AsTime().Format(time.RFC3339), l.GetStream(), url, strings.ReplaceAll(l.GetReason(), "\n", " "))
	}
	_, err := fmt.Fprint(a.Stdout, out.String())
	return err
}

// confirm asks a question on the terminal; anything but yes is an error.
func (a *app) confirm(question string) error {
	f, ok := a.Stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return crawl.Errorf(crawl.Invalid, "there is nobody to ask: add --yes")
	}
	if _, err := fmt.Fprint(a.Stderr, question); err != nil {
		return err
	}
	return agreed(f)
}

// agreed reads an answer: yes or no, no without one.
func agreed(r io.Reader) error {
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return errors.New("not confirmed: nothing was done")
}
