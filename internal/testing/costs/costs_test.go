// Package costs recomputes the figures of docs/costs.md from what the page itself says of prices and
// counts, so that a change of one of them shows which amounts are wrong.
package costs

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../../.."

// table is a table of the page: a row's cells by its first cell, less emphasis.
type table struct {
	title  string
	header []string
	rows   map[string][]string
}

// tables returns the first table below each heading of a page.
func tables(t *testing.T, page string) map[string]table {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]table{}
	var now table
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if title, ok := strings.CutPrefix(line, "## "); ok {
			now = table{title: title}
			continue
		}
		if !strings.HasPrefix(line, "|") {
			continue
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.Trim(strings.TrimSpace(cell), "*"))
		}
		switch {
		case now.header == nil:
			now.header, now.rows = cells, map[string][]string{}
			found[now.title] = now
		case strings.Trim(cells[0], "-: ") == "" && strings.Trim(cells[1], "-: ") == "":
		case now.rows[cells[0]] != nil:
			t.Errorf("%s: %q has two rows named %q", page, now.title, cells[0])
		default:
			now.rows[cells[0]] = cells
		}
	}
	return found
}

// cell returns a cell's text.
func (x table) cell(t *testing.T, row, column string) string {
	t.Helper()
	i := slices.Index(x.header, column)
	cells := x.rows[row]
	if i < 0 || i >= len(cells) {
		t.Fatalf("%q has no row %q with a column %q", x.title, row, column)
	}
	return cells[i]
}

// number returns the number of a cell: 0 if it is empty.
func (x table) number(t *testing.T, row, column string) float64 {
	t.Helper()
	text := x.cell(t, row, column)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseFloat(strings.ReplaceAll(text, ",", ""), 64)
	if err != nil {
		t.Fatalf("%s, %s, %s: %v", x.title, row, column, err)
	}
	return n
}

// check compares a cell with what the formula says.
func (x table) check(t *testing.T, row, column, want string) {
	t.Helper()
	if got := x.cell(t, row, column); got != want {
		t.Errorf("%s: %s, %s: the page says %s, the formula %s", x.title, row, column, got, want)
	}
}

// use is what is paid for.
type use struct {
	classA, classB, requests float64
	seconds                  float64 // of an instance
	bytes                    float64 // through Pub/Sub, each delivery on its own
}

func (u use) plus(v use, times float64) use {
	return use{
		u.classA + times*v.classA, u.classB + times*v.classB, u.requests + times*v.requests,
		u.seconds + times*v.seconds, u.bytes + times*v.bytes,
	}
}

// page is what docs/costs.md says.
type page struct {
	t                                              *testing.T
	amounts, ticks, prices, counts, sizes, changes table
}

func read(t *testing.T) page {
	t.Helper()
	all := tables(t, "docs/costs.md")
	return page{
		t: t, amounts: all["A month"], ticks: all["Active jobs"], prices: all["Prices"], counts: all["Counts"],
		sizes: all["Sizes and times"], changes: all["Knobs"],
	}
}

func (p page) price(of string) float64 { return p.prices.number(p.t, of, "USD") }
func (p page) size(of string) float64  { return p.sizes.number(p.t, of, "figure") }

// step returns what a step uses. Its requests come one after the other, and each is rounded up.
func (p page) step(name string) use {
	p.t.Helper()
	u := use{
		classA: p.counts.number(p.t, name, "Class A"), classB: p.counts.number(p.t, name, "Class B"),
		requests: p.counts.number(p.t, name, "requests"),
	}
	for _, trips := range p.trips(name) {
		took := trips * p.size("ms of a call")
		if u.requests > 0 {
			took = p.billed(took)
		}
		u.seconds += took / 1000
	}
	return u
}

// trips returns the round trips in a row of each request of a step.
func (p page) trips(name string) []float64 {
	p.t.Helper()
	var all []float64
	for n := range strings.SplitSeq(p.counts.cell(p.t, name, "round trips"), "+") {
		trips, err := strconv.Atoi(strings.TrimSpace(n))
		if err != nil {
			p.t.Fatalf("the round trips of %q: %v", name, err)
		}
		all = append(all, float64(trips))
	}
	return all
}

// billed rounds milliseconds of a request up to what is billed.
func (p page) billed(ms float64) float64 {
	unit := p.size("ms that a request is rounded up to")
	return max(1, math.Ceil(ms/unit-1e-9)) * unit
}

// submitted returns what a drop uses until its job is submitted.
func (p page) submitted() use {
	u := p.step("a drop, until its job is submitted, at Vertex AI")
	u.bytes = 2 * p.size("events of storage for a drop") * p.size("bytes of such an event")
	return u
}

// followed returns what its job uses from then on. Its messages are in messages.
func (p page) followed() use {
	u := p.step("a change of a job, found by a tick").plus(p.step("a hint without news"), 1)
	u = u.plus(p.step("a change of a job, by a hint"), 1).plus(p.step("the end of a job, by a hint"), 1)
	u.bytes = 2 * 3 * p.size("bytes of a hint")
	return u
}

// messages returns the bytes of a drop's lifecycle events with so many subscriptions.
func (p page) messages(subscriptions float64) use {
	return use{bytes: (1 + subscriptions) * p.size("bytes of a job's six lifecycle events")}
}

// tick returns what a tick uses over so many active jobs in one region, and how many of them there are
// in a month: a run that takes longer than a minute delays the next one.
func (p page) tick(jobs, every float64) (u use, ticks float64) {
	u = p.step("a tick, nothing to do")
	index := max(1, math.Ceil(jobs/p.size("attempts of a list"))) - 1
	backend := max(1, math.Ceil(jobs/p.size("jobs of the backend's list"))) - 1 // the first is in the step
	u.classA += index
	const atOnce = 20 - 2 // pages, less those of the step; what is beyond waits for the quota
	ms := (p.trips("a tick, nothing to do")[0]+index+min(backend, atOnce))*p.size("ms of a call") +
		max(0, backend-atOnce)*60_000/p.size("pages of the backend's list in a minute") +
		jobs*p.size("ms of the processor for each job")
	u.seconds = p.billed(ms) / 1000
	minutes := max(every, math.Ceil(u.seconds/60))
	return u, p.size("minutes of a month") / minutes
}

// instance is the price of a second of an instance.
func (p page) instance() float64 {
	return p.price("vCPU-second") + p.price("GiB-second")*p.size("MiB of an instance")/1024
}

// cost returns what a use costs, but for Pub/Sub.
func (p page) cost(u use) float64 {
	return u.classA*p.price("1,000 Class A operations")/1000 + u.classB*p.price("1,000 Class B operations")/1000 +
		u.requests*p.price("1,000,000 requests of a function")/1e6 + u.seconds*p.instance()
}

// pubsub returns the price of a month's bytes, beyond those that are free.
func (p page) pubsub(bytes float64) float64 {
	const gib = 1 << 30
	return max(0, bytes-p.size("GiB of Pub/Sub that are free")*gib) / (1024 * gib) * p.price("TiB of Pub/Sub")
}

func usd(x float64) string {
	s := strconv.FormatFloat(x, 'f', 2, 64)
	if s == "-0.00" {
		s = "0.00"
	}
	return strings.Replace(s, "-", "−", 1)
}

// Each amount of the first table follows from the prices, the counts and the sizes below it.
func TestCostsOfAMonth(t *testing.T) {
	p := read(t)
	for _, column := range []struct {
		title       string
		drops, jobs float64
	}{
		{"nothing", 0, 0},
		{"100 drops", 100, 0},
		{"10,000 drops", 10_000, 0},
		{"1,000,000 drops", 1_000_000, 0},
		{"1,000 active jobs", 0, 1000},
	} {
		n := column.drops
		tick, ticks := p.tick(column.jobs, 1)
		kept := n * p.size("bytes that are kept of a drop") / (1 << 30) * p.price("GiB of storage, a month")
		amounts := []struct {
			row string
			usd float64
		}{
			{"drops, until their jobs are submitted", n * p.cost(p.submitted())},
			{"their jobs, until the verdict", n * p.cost(p.followed())},
			{"Pub/Sub", p.pubsub(n * (p.submitted().bytes + p.followed().bytes + p.messages(1).bytes))},
			{"records and status of these drops", kept},
			{"ticks", ticks * p.cost(tick)},
			{"Cloud Scheduler", p.price("job of Cloud Scheduler, a month")},
		}
		total := 0.0
		for _, a := range amounts {
			p.amounts.check(t, a.row, column.title, usd(a.usd))
			total += a.usd
		}
		p.amounts.check(t, "jobdrop", column.title, usd(total))
		plain := p.step("plain Node.js: a drop")
		bytes := p.submitted().bytes + 2*p.size("bytes of a plain function's message")
		p.amounts.check(t, "plain Node.js", column.title, usd(n*p.cost(plain)+p.pubsub(n*bytes)))
	}
}

// So does what active jobs cost.
func TestCostsOfActiveJobs(t *testing.T) {
	p := read(t)
	for _, jobs := range []float64{0, 1000, 10_000, 100_000} {
		row := thousands(jobs)
		tick, ticks := p.tick(jobs, 1)
		p.ticks.check(t, row, "seconds of a tick", strconv.FormatFloat(tick.seconds, 'f', 1, 64))
		p.ticks.check(t, row, "ticks a month", thousands(ticks))
		p.ticks.check(t, row, "USD a month", usd(ticks*p.cost(tick)))
	}
}

func thousands(x float64) string {
	s := strconv.FormatFloat(x, 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// And what a knob changes.
func TestCostsOfKnobs(t *testing.T) {
	p := read(t)
	tick, ticks := p.tick(0, 1)
	slow, fewer := p.tick(0, 5)
	hints := p.followed()
	byTicks := p.step("a change of a job, found by a tick").plus(p.step("a change of a job, found by a tick"), 1)
	byTicks = byTicks.plus(p.step("the end of a job, found by a tick"), 1)
	seconds := p.size("minutes of a month") * 60
	memory := 512.0 / 1024 * p.price("GiB-second")
	const million = 1e6
	for row, change := range map[string]float64{
		"`tick_schedule`": fewer*p.cost(slow) - ticks*p.cost(tick),
		"`hints`":         million * (p.cost(byTicks) - p.cost(hints) - p.rate(hints.bytes)),
		"`routes`": million*(5*p.cost(p.step("an event that nobody is to hear of"))+
			p.cost(p.step("an event that one destination is told of"))+p.rate(p.messages(1).bytes-p.messages(0).bytes)) +
			p.waits(ticks),
		"policy":          million * p.price("1,000 Class B operations") / 1000,
		"`logExcerpt`":    0, // reads of Cloud Logging are free
		"`subscriptions`": million * p.rate(p.messages(1).bytes-p.messages(0).bytes),
		"`memory_mib`":    million*memory*(p.submitted().seconds+p.followed().seconds) + ticks*memory*tick.seconds,
		"least instances": seconds * (p.price("idle vCPU-second") +
			p.price("idle GiB-second")*p.size("MiB of an instance")/1024),
		"`job_regions`": ticks * p.instance() *
			(p.billed((p.trips("a tick, nothing to do")[0]+2)*p.size("ms of a call"))/1000 - tick.seconds),
		"`JOBDROP_STATUS_BUCKET`": million * 8 * p.price("1,000 Class A operations") / 1000,
	} {
		p.changes.check(t, row, "USD a month", usd(change))
	}
}

// waits returns what Notify costs in a month in which nobody is told of anything.
func (p page) waits(ticks float64) float64 {
	return ticks*p.cost(p.step("a tick of Notify, nothing due")) + p.price("job of Cloud Scheduler, a month")
}

// rate returns the price of bytes through Pub/Sub once the free ones are used up.
func (p page) rate(bytes float64) float64 { return bytes / (1 << 40) * p.price("TiB of Pub/Sub") }

// And what the page and others say in words.
func TestCostsInWords(t *testing.T) {
	p := read(t)
	drop := p.submitted().plus(p.followed(), 1).plus(p.messages(1), 1)
	each := p.cost(drop) + p.rate(drop.bytes)
	tick, ticks := p.tick(0, 1)
	many := func(jobs float64) float64 {
		u, n := p.tick(jobs, 1)
		return n*p.cost(u) - ticks*p.cost(tick)
	}
	tens := 10 * p.size("minutes of a month") * 60 * p.instance()
	for file, words := range map[string][]string{
		"docs/costs.md": {
			fmt.Sprintf("each 1,000 drops add %.0f cents", 100*1000*each), fmt.Sprintf("all month are $%.0f", tens),
			fmt.Sprintf("$%.2f of it are ticks of Notify", p.waits(ticks)),
		},
		"deploy/README.md": {
			fmt.Sprintf("%.0f writes, lists and copies, %.0f reads of Cloud Storage; 6 messages | $%.2f for 1,000",
				drop.classA, drop.classB, 1000*each),
			fmt.Sprintf("%.0f writes and lists, %.0f reads of Cloud Storage", tick.classA, tick.classB),
			fmt.Sprintf("%.1f s | $%.0f a month for one each minute", tick.seconds, ticks*p.cost(tick)),
			fmt.Sprintf("$%.2f a month for 1,000, $%.0f for 10,000", many(1000), many(10_000)),
		},
	} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range words {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s does not say: %s", file, want)
			}
		}
	}
}

// The bytes of a job's lifecycle events are those of the examples.
func TestCostsOfEvents(t *testing.T) {
	p := read(t)
	total := 0
	for _, name := range []string{
		"drop.accepted", "job.submitted", "job.queued", "job.preparing", "job.running", "job.succeeded",
	} {
		text, err := os.ReadFile(filepath.Join(root, "docs/events", name+".v1.json"))
		if err != nil {
			t.Fatal(err)
		}
		var message struct {
			Attributes  map[string]string `json:"attributes"`
			Data        json.RawMessage   `json:"data"`
			OrderingKey string            `json:"orderingKey"`
		}
		if err := json.Unmarshal(text, &message); err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(message.Data) // without the examples' spaces
		if err != nil {
			t.Fatal(err)
		}
		const timestamp, id = 20, 16 // Pub/Sub counts both
		total += len(body) + len(message.OrderingKey) + timestamp + id
		for k, v := range message.Attributes {
			total += len(k) + len(v)
		}
	}
	p.sizes.check(t, "bytes of a job's six lifecycle events", "figure", thousands(float64(total)))
}

// What the page takes for granted of an installation is what Terraform makes.
func TestCostsOfAnInstallation(t *testing.T) {
	p := read(t)
	variables, err := os.ReadFile(filepath.Join(root, "deploy/terraform/variables.tf"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"memory_mib": fmt.Sprint(p.size("MiB of an instance")), "tick_schedule": `"\* \* \* \* \*"`, "hints": "true",
	} {
		whole := regexp.MustCompile(`(?s)variable "` + name + `" \{.*?\n  default     = ` + want + "\n.*?\n}\n")
		if !whole.Match(variables) {
			t.Errorf("the default of %s is not %s", name, want)
		}
	}
}
