package fetcher

import (
	"flag"
	"runtime"
	"time"

	"github.com/weircrawl/weir/services/fetcher/internal/render"
)

// BrowserConfig is that of the browser which shows the pages of the render pool.
type BrowserConfig struct {
	// Path of the program. Default: the first of chromium, chromium-browser,
	// google-chrome and google-chrome-stable that is found.
	Path string
	// Pages are shown at a time. Default: one for each processor, at least two.
	Pages int
	// RecyclePages and RecycleMemory are how many pages a browser shows and how many
	// bytes its processes may hold before it is replaced. Default: 200 and 1 GiB for
	// each page at a time.
	RecyclePages  int
	RecycleMemory int64
	// Idle is how long a browser without pages is kept. Default: 1m.
	Idle time.Duration
	// NoSandbox runs the browser without its sandbox, as is done for root anyway, who
	// cannot have one. Default: false.
	NoSandbox bool
}

func defaultBrowser() BrowserConfig {
	n := max(2, runtime.GOMAXPROCS(0))
	return BrowserConfig{Pages: n, RecyclePages: 200, RecycleMemory: int64(n) << 30, Idle: time.Minute}
}

func (c *BrowserConfig) registerFlags(prefix string, fs *flag.FlagSet) {
	fs.StringVar(&c.Path, prefix+"path", c.Path, "program of the browser (default: chromium or google-chrome, as found)")
	fs.IntVar(&c.Pages, prefix+"pages", c.Pages, "pages shown in the browser at a time")
	fs.IntVar(&c.RecyclePages, prefix+"recycle-pages", c.RecyclePages, "pages after which the browser is replaced")
	fs.Int64Var(&c.RecycleMemory, prefix+"recycle-memory", c.RecycleMemory, "bytes of memory with which the browser is replaced")
	fs.DurationVar(&c.Idle, prefix+"idle", c.Idle, "time after which a browser without pages ends")
	fs.BoolVar(&c.NoSandbox, prefix+"no-sandbox", c.NoSandbox, "run the browser without its sandbox, as is done for root anyway")
}

// Check returns nil when there is a browser, otherwise what to do about it.
func (c *BrowserConfig) Check() error {
	_, err := render.Find(c.Path)
	return err
}

// atATime is how many tasks are taken at a time.
func (c *Config) atATime() int {
	if c.Pool == RenderPool {
		return c.Browser.Pages
	}
	return c.Concurrency
}
