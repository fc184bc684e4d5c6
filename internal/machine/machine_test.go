package machine_test

import (
	"math"
	"runtime/debug"
	"testing"
	"testing/fstest"

	"github.com/weircrawl/weir/internal/machine"
)

func files(m map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range m {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

func TestMemory(t *testing.T) {
	t.Parallel()
	const info = "MemTotal:       2097152 kB\nMemFree: 1 kB\n"
	tests := []struct {
		name    string
		files   map[string]string
		want    int64
		grouped bool
	}{
		{"nothing", nil, 0, false},
		{"no groups", map[string]string{"proc/meminfo": info}, 2 << 30, false},
		{"version 2, no limit", map[string]string{"proc/meminfo": info, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n"}, 2 << 30, false},
		{"version 2", map[string]string{"proc/meminfo": info, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "536870912\n"}, 512 << 20, true},
		{"of the group above", map[string]string{"proc/meminfo": info, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/memory.max": "268435456\n", "sys/fs/cgroup/a/b/memory.max": "536870912\n"}, 256 << 20, true},
		{"in a container", map[string]string{"proc/meminfo": info, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "536870912\n"}, 512 << 20, true},
		{"of a path that the container does not see", map[string]string{"proc/meminfo": info, "proc/self/cgroup": "0::/../../x\n", "sys/fs/cgroup/memory.max": "536870912\n"}, 512 << 20, true},
		{"beyond the machine", map[string]string{"proc/meminfo": info, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "99999999999\n"}, 2 << 30, false},
		{"version 1", map[string]string{"proc/meminfo": info, "proc/self/cgroup": "5:cpu:/x\n4:memory,hugetlb:/docker/1\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "536870912\n"}, 512 << 20, true},
		{"version 1, no limit", map[string]string{"proc/meminfo": info, "proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 2 << 30, false},
		{"garbage", map[string]string{"proc/meminfo": "MemTotal\n", "proc/self/cgroup": "x\n\n:\n", "sys/fs/cgroup/memory.max": "-5"}, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, grouped := machine.Memory(files(tt.files))
			if got != tt.want || grouped != tt.grouped {
				t.Errorf("got %d %v, want %d %v", got, grouped, tt.want, tt.grouped)
			}
		})
	}
}

func TestLimitMemory(t *testing.T) {
	// Changes the process: not beside other tests.
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	group := map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "8589934592\n"}
	t.Setenv("GOMEMLIMIT", "1GiB")
	if got := machine.LimitMemory(files(group)); got != 0 {
		t.Errorf("told %d against GOMEMLIMIT", got)
	}
	t.Setenv("GOMEMLIMIT", "")
	debug.SetMemoryLimit(math.MaxInt64)
	if got := machine.LimitMemory(files(nil)); got != 0 {
		t.Errorf("told %d without groups", got)
	}
	const want = 7730941132 // nine tenths of 8 GiB
	if got := machine.LimitMemory(files(group)); got != want || debug.SetMemoryLimit(-1) != want {
		t.Errorf("told %d, the collector has %d", got, debug.SetMemoryLimit(-1))
	}
}
