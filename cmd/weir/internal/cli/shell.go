package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/weircrawl/weir/cmd/weir/internal/shell"
	"github.com/weircrawl/weir/cmd/weir/internal/trial"
)

func (a *app) shellCmd() *cobra.Command {
	var f parseFlags
	cmd := &cobra.Command{
		Use:   "shell URL | FILE",
		Short: "Try selectors, paths and expressions on one page, at a prompt",
		Long: `Try selectors, paths and expressions on one page, at a prompt with history and
completion (Tab). The page is fetched once from this machine, or read from a file.

` + shell.Help,
		Example: `  weir shell https://shop.example/p/1
  echo 'css h1' | weir shell page.html`,
		Args: exact("a URL or a FILE"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.shell(cmd.Context(), f, args[0]) },
	}
	f.register(cmd, "the spec whose items and links are shown")
	return cmd
}

func (a *app) shell(ctx context.Context, f parseFlags, arg string) error {
	s, err := pageSpec(f, arg)
	if err != nil {
		return err
	}
	page, err := a.onePage(ctx, f, arg, s)
	if err != nil {
		return err
	}
	p, err := trial.NewParser()
	if err != nil {
		return err
	}
	defer p.Close()
	in, isFile := a.Stdin.(*os.File)
	if !isFile || !term.IsTerminal(int(in.Fd())) {
		return shell.New(p, page, s, a.Stdout).Run(ctx, &plainLines{bufio.NewReader(a.Stdin)})
	}
	if _, err := fmt.Fprintf(a.Stdout, "%s: %d bytes; help lists the commands, Ctrl-D ends\n", page.URL, len(page.Body)); err != nil {
		return err
	}
	return a.terminal(in, func(t *term.Terminal) error { return shell.New(p, page, s, t).Run(ctx, t) })
}

// terminal runs something with line editing, history and completion, and leaves the
// terminal as it was.
func (a *app) terminal(in *os.File, run func(*term.Terminal) error) (err error) {
	old, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return fmt.Errorf("prepare the terminal: %w", err)
	}
	defer func() { err = errors.Join(err, term.Restore(int(in.Fd()), old)) }()
	t := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{in, a.Stdout}, "weir> ")
	t.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		if key != '\t' || pos != len(line) {
			return "", 0, false
		}
		done, ok := shell.Complete(line)
		if !ok {
			return line, pos, true // or a Tab would be typed
		}
		return done, len(done), true
	}
	return run(t)
}

// plainLines reads lines that no person types.
type plainLines struct{ r *bufio.Reader }

// ReadLine implements shell.Lines.
func (l *plainLines) ReadLine() (string, error) {
	line, err := l.r.ReadString('\n')
	if errors.Is(err, io.EOF) && line != "" {
		return line, nil
	}
	return line, err
}
