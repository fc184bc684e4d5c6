// Package cli is weir's command line: commands, flags, exit codes and the one
// line that an error becomes.
//
//	0    done; a reached limit of a crawl is an end like any other
//	1    failed
//	2    wrong usage, wrong spec, wrong settings
//	130  interrupted; a crawl can be resumed
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/run"
)

// Env is what a process is given.
type Env struct {
	// Args without the program's name, and the environment as os.Environ has it.
	Args, Environ []string
	// Stdin, Stdout and Stderr.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Version of the program.
	Version string
	// Context ends a command as a first Ctrl-C would. Nil: signals do.
	Context context.Context
}

// Main runs a command and returns the exit code.
func Main(env Env) int {
	ctx := env.Context
	if ctx == nil {
		var stop context.CancelFunc
		ctx, stop = run.Signals(context.Background())
		defer stop()
	}
	root := newRoot(&env)
	root.SetArgs(env.Args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	err := root.ExecuteContext(ctx)
	code := exitCode(ctx, err)
	if text := explain(err, code); text != "" {
		_, _ = fmt.Fprintln(env.Stderr, text) // there is nowhere else to complain
	}
	return code
}

// app is what commands share.
type app struct{ *Env }

func newRoot(env *Env) *cobra.Command {
	a := &app{env}
	root := &cobra.Command{
		Use:   "weir",
		Short: "Crawl web sites: politely, durably, from one command to a cluster",
		Long: `Weir crawls web sites. One command fetches a site and keeps its pages and items:

  weir crawl https://shop.example/ -o items.jsonl

The same binary is a server (weir up), the services of a cluster (weir scheduler,
fetcher, parser, storage) and their client (weir submit, ls, status, …).`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		Args:              cobra.ArbitraryArgs,
		CompletionOptions: cobra.CompletionOptions{},
		Version:           env.Version,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	root.SetVersionTemplate("weir {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return crawl.Errorf(crawl.Invalid, "%w: see %s --help", err, cmd.CommandPath())
	})
	root.AddGroup(
		&cobra.Group{ID: "crawl", Title: "Crawl on this machine:"},
		&cobra.Group{ID: "server", Title: "Servers:"},
		&cobra.Group{ID: "client", Title: "Clients of a running server:"},
	)
	group := func(id string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = id
			root.AddCommand(c)
		}
	}
	group("crawl", a.crawlCmd(), a.fetchCmd(), a.parseCmd(), a.shellCmd(), a.demoCmd())
	group("server", a.upCmd(), a.schedulerCmd(), a.fetcherCmd(), a.parserCmd(), a.storageCmd(), a.consoleCmd())
	group("client", a.submitCmd(), a.updateCmd(), a.reparseCmd(), a.lsCmd(), a.statusCmd(), a.watchCmd(), a.waitCmd(),
		a.pauseCmd(), a.resumeCmd(), a.closeCmd(), a.cancelCmd(), a.addCmd(),
		a.deleteCmd(), a.urlsCmd(), a.hostsCmd(), a.hostCmd(), a.deadCmd(),
		a.itemsCmd(), a.pagesCmd(), a.mediaCmd(), a.bodyCmd(), a.exportCmd(), a.explainCmd())
	root.AddCommand(a.specCmd(), a.configCmd(), a.topologyCmd(), a.migrateCmd(), a.certsCmd(), a.tokenCmd(), a.versionCmd())
	return root
}

func unknownCommand(cmd *cobra.Command, name string) error {
	text := fmt.Sprintf("unknown command %q", name)
	cmd.SuggestionsMinimumDistance = 2
	if s := cmd.SuggestionsFor(name); len(s) > 0 {
		text += fmt.Sprintf("; did you mean %q?", s[0])
	} else {
		text += ": see weir --help"
	}
	return crawl.Errorf(crawl.Invalid, "%s", text)
}

// exact, atLeast and atMost check the number of arguments and name what is missing.
func exact(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return crawl.Errorf(crawl.Invalid, "%s takes %s: usage: %s", cmd.CommandPath(), strings.Join(names, " and "), cmd.UseLine())
		}
		return nil
	}
}

func none(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return crawl.Errorf(crawl.Invalid, "%s takes no arguments, not %q: see %s --help", cmd.CommandPath(), args[0], cmd.CommandPath())
	}
	return nil
}

// exitCode gives an error its number.
func exitCode(ctx context.Context, err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, run.ErrStopping), errors.Is(context.Cause(ctx), run.ErrStopping):
		return 130
	case crawl.KindOf(err) == crawl.Invalid:
		return 2
	default:
		return 1
	}
}

// explain writes an error for people: one line for one mistake, nothing for an
// interrupt, which needs no explanation.
func explain(err error, code int) string {
	if err == nil || code == 130 || errors.Is(err, errQuiet) {
		return ""
	}
	text := strings.TrimSpace(err.Error())
	if code == 2 {
		// All mistakes of a spec at once, each in its own line.
		return "weir: " + strings.ReplaceAll(text, "\n", "\nweir: ")
	}
	text = strings.ReplaceAll(text, "\n", "; ")
	if first, ok := strings.CutPrefix(text, "disk: "); ok {
		text = first // the ring's own alarm says it all
	} else if errors.Is(err, syscall.ENOSPC) || strings.Contains(text, "no space left on device") {
		text = "the disk is full; nothing is lost: make room and start again (" + text + ")"
	}
	return "weir: " + text
}

// errQuiet is the error of a command that has said everything itself.
var errQuiet = errors.New("failed")

// isFile reports whether a path leads to something that can be read.
func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}
