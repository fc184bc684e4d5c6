// Command demo shows a crawl without the network: it serves a small site (or a
// folder) on loopback addresses, crawls it with the built binary, prints the command
// it ran, and shows the first items.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/weircrawl/weir/internal/testkit/site"
)

func main() {
	weir := flag.String("weir", "bin/weir", "the binary")
	dir := flag.String("dir", "", "serve this folder instead of a made-up site")
	pages := flag.Int("pages", 250, "pages of each of the four hosts of the made-up site")
	flag.Parse()
	if err := run(*weir, *dir, *pages, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(weir, dir string, pages int, out io.Writer) error {
	cfg := site.Config{Hosts: 4, Pages: pages, Links: 40, PageBytes: 16 << 10, CrossEvery: 4, Dir: dir}
	if dir != "" {
		cfg.Hosts = 1
	}
	s, err := site.Start(cfg)
	if err != nil {
		return err
	}
	defer s.Close()
	data, err := os.MkdirTemp("", "weir-demo-")
	if err != nil {
		return err
	}
	items := filepath.Join(data, "items.jsonl")
	args := append([]string{"crawl"}, s.Seeds()...)
	args = append(args, "--allow-net", "127.0.0.0/8", "--set", "politeness.delay=0s",
		"--data", filepath.Join(data, "data"), "-o", items)
	fmt.Fprintln(out, "$", weir, strings.Join(args, " "))
	cmd := exec.Command(weir, args...)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	if err := cmd.Run(); err != nil {
		return err
	}
	fmt.Fprintln(out, "\n$ head -3", items)
	return head(out, items, 3)
}

// head copies the first lines of a file.
func head(out io.Writer, file string, lines int) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	for range lines {
		line, err := r.ReadString('\n')
		if _, werr := io.WriteString(out, line); werr != nil {
			return werr
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}
