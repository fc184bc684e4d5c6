package cli

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weircrawl/weir/cmd/weir/internal/single"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/spec"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/parser"
)

// readSpec makes a spec of the arguments of a command: one file, or URLs. It is
// valid, its rules included, has a name, and its seed files have absolute paths.
func readSpec(args, sets []string) (*crawlv1.CrawlSpec, error) {
	s, dir, err := decodeArgs(args, sets)
	if err != nil {
		return nil, err
	}
	if s, err = single.Absolute(s, dir); err != nil {
		return nil, err
	}
	for _, file := range s.GetSeeds().GetFiles() {
		if file != "-" && !isFile(file) {
			return nil, crawl.Errorf(crawl.Invalid, "seeds.files: there is no file %s", file)
		}
	}
	s.Name = spec.Resolve(s).GetName()
	return s, nil
}

func decodeArgs(args, sets []string) (s *crawlv1.CrawlSpec, dir string, err error) {
	if len(args) == 1 && !isURL(args[0]) {
		data, err := os.ReadFile(args[0])
		if err != nil {
			return nil, "", crawl.Errorf(crawl.Invalid, "%s", noSpec(args[0], err))
		}
		s, err := spec.Decode(args[0], data, sets, readFiles(filepath.Dir(args[0])), parser.CheckSpec)
		return s, filepath.Dir(args[0]), err
	}
	for _, arg := range args {
		if !isURL(arg) && isFile(arg) {
			return nil, "", crawl.Errorf(crawl.Invalid, "%s is a file: give one spec, or URLs, not both", arg)
		}
	}
	s, err = spec.FromURLs(args, sets, readFiles("."), parser.CheckSpec)
	return s, ".", err
}

// isURL tells a URL from the name of a file.
func isURL(arg string) bool { return strings.Contains(arg, "://") }

// noSpec explains a spec that cannot be read: it may have been meant as a URL.
func noSpec(arg string, err error) string {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		err = pe.Err
	}
	ext := strings.ToLower(filepath.Ext(arg))
	if ext != ".yaml" && ext != ".yml" && ext != ".json" && strings.Contains(arg, ".") {
		return fmt.Sprintf("%s is no spec (%v); did you mean https://%s ?", arg, err, arg)
	}
	return fmt.Sprintf("cannot read the spec %s: %v", arg, err)
}

// privateAddr returns the address that a URL plainly has if it is not a public one.
func privateAddr(raw string) (netip.Addr, bool) {
	u, err := weburl.New(weburl.Options{}).Parse(raw)
	if err != nil {
		return netip.Addr{}, false
	}
	addr, ok := u.Addr()
	if !ok {
		if h := u.Host(); h != "localhost" && !strings.HasSuffix(h, ".localhost") {
			return netip.Addr{}, false
		}
		addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	addr = addr.Unmap()
	return addr, addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast() || addr.IsUnspecified()
}

// suggestNet is a network that would let an address through: the whole of
// loopback, otherwise the address alone.
func suggestNet(addr netip.Addr) string {
	if addr.IsLoopback() && addr.Is4() {
		return "127.0.0.0/8"
	}
	return netip.PrefixFrom(addr, addr.BitLen()).String()
}

func (a *app) specCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "spec",
		Short: "Check and test crawl specs, show an example, print their JSON Schema",
		Args:  none,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var sets []string
	validate := &cobra.Command{
		Use:   "validate FILE",
		Short: "Check a spec and say everything that is wrong with it",
		Args:  exact("a FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			file, data, err := a.readFile(args[0])
			if err != nil {
				return err
			}
			s, err := spec.Decode(file, data, sets, readFiles(filepath.Dir(file)), parser.CheckSpec)
			if err != nil {
				return err
			}
			a.warn(s)
			_, err = fmt.Fprintf(a.Stdout, "%s is a valid spec\n", file)
			return err
		},
	}
	validate.Flags().StringArrayVar(&sets, "set", nil, "override a field: path=value; may be repeated")
	example := &cobra.Command{
		Use: "example", Short: "Print a commented spec", Args: none,
		RunE: func(*cobra.Command, []string) error { _, err := a.Stdout.Write(spec.Example()); return err },
	}
	schema := &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of specs, for editors", Args: none,
		RunE: func(*cobra.Command, []string) error { _, err := a.Stdout.Write(spec.JSONSchema()); return err },
	}
	cmd.AddCommand(validate, a.specTestCmd(), example, schema)
	return cmd
}

// readFile reads a file, or stdin for "-".
func (a *app) readFile(name string) (shown string, data []byte, err error) {
	if name == "-" {
		data, err = io.ReadAll(a.Stdin)
		return "stdin", data, err
	}
	if data, err = os.ReadFile(name); err != nil {
		return name, nil, crawl.Errorf(crawl.Invalid, "%s", noSpec(name, err))
	}
	return name, data, nil
}
