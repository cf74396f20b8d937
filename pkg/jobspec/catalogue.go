package jobspec

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// Catalogue is what is known of the service's choices: data, since they change
// and no list of them was ever complete. A name that looks right and is not in
// it earns a warning only. An operator adds to it with [Catalogue.With]; its
// JSON is that of catalogue.json in this package.
type Catalogue struct {
	// Date is the day (YYYY-MM-DD) up to which the sources were read.
	Date string `json:"date"`
	// Sources says where the entries come from.
	Sources  []string  `json:"sources"`
	Machines []Machine `json:"machines"`
	Regions  []Region  `json:"regions"`
	Runtimes []Runtime `json:"runtimes"`
	Pythons  []Python  `json:"pythons"`
	// MinWait is the shortest scheduling.maxWaitTime that the service takes, as
	// text in seconds.
	MinWait string `json:"minWait"`
}

// minWait returns the service's shortest wait, or 0 if the catalogue has none.
func (c *Catalogue) minWait() time.Duration {
	d, _ := job.ParseDuration(c.MinWait)
	return d
}

// Machine is machine types that are alike in everything that is checked.
type Machine struct {
	Names    []string `json:"names"`
	Category Category `json:"category"`
	// Accelerators maps an accelerator to the numbers of it that one machine
	// can have: an empty list says that it can have none. Of an accelerator
	// that is missing nothing is known.
	Accelerators map[string][]int64 `json:"accelerators,omitempty"`
	// Deduced says that no source states Accelerators: a contradiction is then
	// a warning, not an error.
	Deduced bool `json:"deduced,omitempty"`
}

// Category is a kind of machine types. Those of one job must not mix the first
// two.
type Category string

// The categories. TPU goes with either of the others.
const (
	Legacy        Category = "legacy"
	ComputeEngine Category = "Compute Engine"
	TPU           Category = "TPU"
)

// Region is a region that trains.
type Region struct {
	Name string `json:"name"`
	// TPU reports that the machine has TPUs.
	TPU bool `json:"tpu,omitempty"`
}

// Runtime is a runtime version.
type Runtime struct {
	Version string `json:"version"` // MAJOR.MINOR
	// Ended is the day (YYYY-MM-DD) since when the service no longer trains
	// with it, if any.
	Ended string `json:"ended,omitempty"`
	// TPU is yes or no; empty is not known.
	TPU string `json:"tpu,omitempty"`
}

// Python is a Python version with the runtime versions that have it: from From
// to To, both included. An empty one sets no bound.
type Python struct {
	Version string `json:"version"`
	From    string `json:"from,omitempty"`
	To      string `json:"to,omitempty"`
	// ManualFrom is a later From that the manual gives, other than the
	// reference: the versions in between are a warning.
	ManualFrom string `json:"manualFrom,omitempty"`
}

//go:embed catalogue.json
var catalogueJSON []byte

// Parsing takes some hundred microseconds, which a cold start need not spend.
var defaultCatalogue = sync.OnceValue(func() *Catalogue {
	c := new(Catalogue)
	if err := json.Unmarshal(catalogueJSON, c); err != nil {
		panic("jobspec: catalogue.json: " + err.Error()) // a test reads it
	}
	return c
})

// DefaultCatalogue returns the catalogue that comes with jobdrop. It is shared: to
// change it, use [Catalogue.With].
func DefaultCatalogue() *Catalogue { return defaultCatalogue() }

// With returns a catalogue that also has more's entries. Where both have an entry of
// the same name, more's counts. Neither is changed.
func (c *Catalogue) With(more Catalogue) *Catalogue {
	out := &Catalogue{
		Date:     c.Date,
		Sources:  slices.Concat(more.Sources, c.Sources),
		Machines: slices.Concat(more.Machines, c.Machines),
		Regions:  slices.Concat(more.Regions, c.Regions),
		Runtimes: slices.Concat(more.Runtimes, c.Runtimes),
		Pythons:  slices.Concat(more.Pythons, c.Pythons),
		MinWait:  cmp.Or(more.MinWait, c.MinWait),
	}
	if more.Date != "" {
		out.Date = more.Date
	}
	return out
}

func (c *Catalogue) machine(name string) (Machine, bool) {
	for _, m := range c.Machines {
		if slices.Contains(m.Names, name) {
			return m, true
		}
	}
	return Machine{}, false
}

func (c *Catalogue) machineNames() []string {
	var names []string
	for _, m := range c.Machines {
		names = append(names, m.Names...)
	}
	return names
}

// category returns the category of a machine type. For one that is not in the
// catalogue it guesses from the name; "" means not known.
func (c *Catalogue) category(name string) Category {
	m, ok := c.machine(name)
	switch {
	case ok:
		return m.Category
	case strings.Contains(name, "tpu"):
		return TPU
	case strings.Contains(name, "-"):
		return ComputeEngine
	case strings.Contains(name, "_"):
		return Legacy
	}
	return ""
}

// guessed makes a warning of what rests on the category of a machine type that
// only looks like one.
func (c *check) guessed(v job.Violation, types ...string) job.Violation {
	for _, name := range types {
		if _, ok := c.known.machine(name); !ok {
			v.Severity = job.Warning
		}
	}
	return v
}

func (c *Catalogue) region(name string) (Region, bool) {
	for _, r := range c.Regions {
		if r.Name == name {
			return r, true
		}
	}
	return Region{}, false
}

func (c *Catalogue) regionNames() []string {
	var names []string
	for _, r := range c.Regions {
		names = append(names, r.Name)
	}
	return names
}

func (c *Catalogue) runtime(v version) (Runtime, bool) {
	for _, r := range c.Runtimes {
		if w, ok := parseVersion(r.Version); ok && w.major == v.major && w.minor == v.minor {
			return r, true
		}
	}
	return Runtime{}, false
}

func (c *Catalogue) python(name string) (Python, bool) {
	for _, p := range c.Pythons {
		if p.Version == name {
			return p, true
		}
	}
	return Python{}, false
}

// has reports whether a runtime version has the Python version.
func (p Python) has(v version) bool {
	from, bounded := parseVersion(p.From)
	if bounded && v.less(from) {
		return false
	}
	to, bounded := parseVersion(p.To)
	return !bounded || !to.less(v)
}

// runtimes returns in words which runtime versions have the Python version.
func (p Python) runtimes() string {
	switch {
	case p.From == "":
		return p.To + " or earlier"
	case p.To == "":
		return p.From + " or later"
	}
	return p.From + " to " + p.To
}

// version is a runtime version. Whether the service takes a patch number is not
// documented.
type version struct {
	major, minor int
	patch        bool
}

func parseVersion(text string) (version, bool) {
	parts := strings.Split(text, ".")
	if len(parts) < 2 || len(parts) > 3 {
		return version{}, false
	}
	var numbers [3]int
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil || len(part) > 4 {
			return version{}, false
		}
		numbers[i] = int(n)
	}
	return version{numbers[0], numbers[1], len(parts) == 3}, true
}

func (v version) less(w version) bool {
	return v.major < w.major || v.major == w.major && v.minor < w.minor
}
