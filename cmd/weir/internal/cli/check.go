package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weircrawl/weir/cmd/weir/internal/settings"
	"github.com/weircrawl/weir/cmd/weir/internal/summary"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/storage"
)

// storageCheckCmd is `weir storage check`.
func (a *app) storageCheckCmd() *cobra.Command {
	var repair bool
	s := settings.New(settings.Storage)
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Verify what a storage keeps: every record, digest and place",
		Long: `Verify what a storage keeps. Every WARC record is read, its checksum and the digest
of its body are compared, and every page of the catalogue must have its record
where the catalogue says. --data is the directory of a storage, or of a crawl.

It may run beside the storage, and changes nothing but, with --repair, the indexes
that are missing. Findings are printed one a line: missing, corrupt, orphaned,
unindexed. The exit code is 1 if there are any.`,
		Example: `  weir storage check --data weir-data/shop
  weir storage check --data data/storage --archive s3://bucket/prefix --catalogue postgres://weir@db/weir`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.Load(a.Environ, cmd.Flags().Changed); err != nil {
				return err
			}
			if s.Data == "" && s.Storage.Dir == "" {
				return crawl.Errorf(crawl.Invalid, "name the directory of the storage, or of a crawl, with --data")
			}
			s.SetData(s.Data)
			if err := s.Validate(); err != nil {
				return err
			}
			f, err := storage.Check(cmd.Context(), s.Storage, storage.CheckOptions{Repair: repair, Say: func(kind, line string) {
				_, _ = fmt.Fprintf(a.Stdout, "%-10s %s\n", kind, line) // the exit code says it too
			}})
			if err != nil {
				return err
			}
			return a.reportCheck(f)
		},
	}
	addSettings(cmd, s, "data", "catalogue", "archive", "config")
	cmd.Flags().BoolVar(&repair, "repair", false, "make the indexes that are missing")
	return cmd
}

func (a *app) reportCheck(f storage.Findings) error {
	_, err := fmt.Fprintf(a.Stdout, "%s pages, %s records in %s segments: %s missing, %s corrupt, %s orphaned, %s unindexed, %s repaired; %s records are no page's\n",
		summary.Count(f.Pages), summary.Count(f.Records), summary.Count(f.Segments), summary.Count(f.Missing+f.Gone), summary.Count(f.Corrupt),
		summary.Count(f.Orphaned), summary.Count(f.Unindexed), summary.Count(f.Repaired), summary.Count(f.Unreferenced))
	if err == nil && f.Wrong() {
		err = errQuiet
	}
	return err
}
