// Command site serves a programmable test site (package testkit/site) as a
// process of its own, so that its work can be told from the crawler's. It prints
// one line of JSON with its hosts and control URL when it is ready, and serves
// until it is interrupted or its standard input ends, so that it never outlives
// the test that started it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/weircrawl/weir/internal/testkit/site"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "site:", err)
		os.Exit(1)
	}
}

func run(args []string, stdin io.Reader, stdout io.Writer) error {
	fs := flag.NewFlagSet("site", flag.ExitOnError)
	var cfg site.Config
	fs.IntVar(&cfg.Hosts, "hosts", 1, "number of hosts, on consecutive loopback addresses")
	fs.StringVar(&cfg.FirstAddr, "first", "127.0.0.2", "address of host 0")
	fs.IntVar(&cfg.Port, "port", 0, "port of every host; 0 takes a free one")
	fs.StringVar(&cfg.ControlAddr, "control", "127.0.0.1:0", "address for stats and behaviour")
	fs.IntVar(&cfg.Pages, "pages", 1, "pages of each host")
	fs.IntVar(&cfg.PageBytes, "page-bytes", 0, "size of a page")
	fs.IntVar(&cfg.Links, "links", 4, "links of a page")
	fs.IntVar(&cfg.CrossEvery, "cross-every", 0, "every n-th pseudo-random link leads to another host")
	fs.StringVar(&cfg.Dir, "dir", "", "serve this directory instead of the graph")
	fs.DurationVar(&cfg.Behaviour.Latency, "latency", 0, "time waited before each answer")
	fs.DurationVar(&cfg.Behaviour.LatencyMax, "latency-max", 0, "with a greater one than latency each page has a latency of its own between the two")
	fs.StringVar(&cfg.Behaviour.Robots, "robots", "", "text of robots.txt")
	names := fs.String("names", "", "names of the hosts, separated by commas: each is a port of every address, for a pod")
	extra := fs.String("extra", "", "paths that every root links to, separated by commas")
	detached := fs.Bool("detached", false, "go on when standard input ends")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *extra != "" {
		cfg.Extra = strings.Split(*extra, ",")
	}
	if *names != "" {
		cfg.Names = strings.Split(*names, ",")
	}
	s, err := site.Start(cfg)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := json.NewEncoder(stdout).Encode(s.Info()); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if !*detached {
		// The reader is not joined: it may be blocked on standard input for ever, and the
		// process ends with main.
		go func() {
			_, _ = io.Copy(io.Discard, stdin)
			stop()
		}()
	}
	<-ctx.Done()
	return nil
}
