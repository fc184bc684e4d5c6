// Command weir is the whole of Weir in one binary: the crawl on a laptop, the
// services of a cluster, and their client.
package main

import (
	"os"
	"runtime/debug"

	"github.com/weircrawl/weir/cmd/weir/internal/cli"
	"github.com/weircrawl/weir/internal/machine"
)

// version is set by the linker (-X main.version=…); empty in other builds. The
// linker needs a variable; nothing writes to it.
var version = ""

func main() {
	machine.LimitMemory(machine.Root())
	machine.LimitGarbage()
	os.Exit(cli.Main(cli.Env{
		Args: os.Args[1:], Environ: os.Environ(),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Version: versionOf(version),
	}))
}

// versionOf is what the linker said, else what the Go tool knows of the build.
func versionOf(linked string) string {
	if linked != "" {
		return linked
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}
