package bench

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/weircrawl/weir/internal/testkit/measure"
)

// Committed is the ratio that the guard compares with.
type Committed struct {
	// Ratio of CPU a page of Weir embedded to the bare loop, in the workload of
	// GuardConfig on two idle cores.
	Ratio float64 `json:"ratio"`
	// Source says where it was measured.
	Source string `json:"source"`
}

// grossLoss is how many times worse than the committed one a ratio may be: machines and
// their neighbours differ by less, and a mistake that matters is more.
const grossLoss = 1.5

// Guard compares the ratio of a report with the one in a file, and says both. The error
// tells of a gross loss.
func Guard(r *Report, file string) (said string, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("guard: %w", err)
	}
	var c Committed
	if err := json.Unmarshal(data, &c); err != nil {
		return "", fmt.Errorf("guard: %s: %w", file, err)
	}
	if c.Ratio <= 0 {
		return "", fmt.Errorf("guard: %s has no ratio", file)
	}
	ratios := r.Ratio("guard", Subject{Kind: Embedded}.Name(), Subject{Kind: Bare}.Name())
	if len(ratios) == 0 {
		return "", fmt.Errorf("guard: no run counts")
	}
	got := measure.Median(ratios)
	said = fmt.Sprintf("CPU of a page, Weir embedded to the bare loop of the same round: %s; committed: %.2f", measure.Spread(ratios, 2), c.Ratio)
	if got > grossLoss*c.Ratio {
		return said, fmt.Errorf("guard: the ratio is %.2f times the committed one: find out what became dear (docs/performance.md says how), or commit another one with its reason in %s", got/c.Ratio, file)
	}
	return said, nil
}
