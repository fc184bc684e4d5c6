package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weircrawl/weir/internal/access"
	"github.com/weircrawl/weir/internal/crawl"
)

func (a *app) tokenCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "token", Short: "Make tokens for callers of a server", Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.tokenNewCmd())
	return cmd
}

func (a *app) tokenNewCmd() *cobra.Command {
	var name, role string
	var valid time.Duration
	cmd := &cobra.Command{
		Use: "new --name NAME --role ROLE", Short: "Make a token: it is printed once, and kept nowhere",
		Long: `Make a token: it is printed to stdout once, and kept nowhere. What goes into the
server's file of tokens (access.tokens-file) is printed to stderr: the file has only its
hash. Servers read the file again when it has changed.

  read    looks at crawls, pages and items
  submit  also creates crawls and steers them
  admin   also deletes them, and changes how hosts are treated`,
		Args: none,
		RunE: func(*cobra.Command, []string) error {
			token := access.NewToken()
			entry := fmt.Sprintf("  - name: %s\n    sha256: %s\n    role: %s\n", name, access.HashOf(token), role)
			if valid < 0 {
				return crawl.Errorf(crawl.Invalid, "--valid must not be negative")
			}
			if valid > 0 {
				entry += fmt.Sprintf("    expires: %s\n", time.Now().Add(valid).UTC().Format(time.RFC3339))
			}
			// The file's own rules judge the name and the role.
			if _, err := access.ParseFile([]byte("tokens:\n" + entry)); err != nil {
				return crawl.Errorf(crawl.Invalid, "%s", strings.ReplaceAll(err.Error(), "token 1: ", ""))
			}
			if _, err := fmt.Fprintln(a.Stdout, token); err != nil {
				return err
			}
			a.note("below tokens: in the file that access.tokens-file names:\n%s", strings.TrimSuffix(entry, "\n"))
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the caller, as logs, crawls and the audit log show it")
	cmd.Flags().StringVar(&role, "role", "read", "read, submit or admin")
	cmd.Flags().DurationVar(&valid, "valid", 0, "how long it is good, such as 2160h (default: for ever)")
	return cmd
}
