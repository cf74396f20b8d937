// Command mutate removes one safeguard after another from a copy of this module
// and tells whether the simulator notices, and in how many seeds. It prints the
// table of docs/delivery.md.
//
//	go run ./internal/sim/mutate [-seeds 1000] [NAME...]
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// edit replaces a text that stands in a file once.
type edit struct{ file, text, by string }

// mutation is one safeguard less.
type mutation struct {
	name  string
	edits []edit
}

var mutations = []mutation{
	{"compare labels at 409", []edit{{"pkg/submitter/submitter.go", "errors.As(err, &conflict) && job.SameOwner(conflict.Found.Labels, stored.Spec.Labels)", "errors.As(err, &conflict)"}}},
	{"compare-and-swap", []edit{{"pkg/ledger/ledger.go", "recordName(s.Attempt), data, jsonType, filed(next), s.Generation)", "recordName(s.Attempt), data, jsonType, filed(next), job.AnyGeneration)"}}},
	{"outbox in the swap", []edit{{"pkg/ledger/ledger.go", "data, err := json.Marshal(next)", "kept := next\n\t\tkept.Outbox = nil\n\t\tdata, err := json.Marshal(kept)"}}},
	{"outbox order", []edit{
		{"pkg/relay/relay.go", "s.Record.Published(s.Published).Outbox); err", "reversed(s.Record.Published(s.Published).Outbox)); err"},
		{"pkg/relay/relay.go", "// writeStatus writes the attempt's", "func reversed(events []job.Event) (r []job.Event) {\n\tfor i := range events {\n\t\tr = append(r, events[len(events)-1-i])\n\t}\n\treturn r\n}\n\n// writeStatus writes the attempt's"},
	}},
	{"claim", []edit{{"pkg/job/step.go", "!r.Queued && (r.Creating == nil || !now.Before(r.Creating.Until)) && !now.Before(r.NextTry)", "!r.Queued && !now.Before(r.NextTry)"}}},
	{"fence: a lost claim has no say", []edit{
		{"pkg/job/step.go", "func (o Postpone) apply(r *Record, now time.Time) error {\n\tif r.State != Accepted || r.Creating == nil || r.Creating.Nonce != o.Nonce {", "func (o Postpone) apply(r *Record, now time.Time) error {\n\tif r.State != Accepted {"},
		{"pkg/job/step.go", "func (o Refuse) apply(r *Record, now time.Time) error {\n\tif r.State != Accepted || r.Creating == nil || r.Creating.Nonce != o.Nonce {", "func (o Refuse) apply(r *Record, now time.Time) error {\n\tif r.State != Accepted {"},
	}},
	{"fence: no call after the claim", []edit{
		{"pkg/submitter/submitter.go", "if stored.Creating.Until.Sub(s.Now()) < 2*s.CallTime {", "if false {"},
		{"pkg/submitter/submitter.go", "context.WithDeadline(ctx, stored.Creating.Until)", "context.WithCancel(ctx)"},
	}},
	{"generation pin", []edit{{"pkg/submitter/decide.go", "err := s.objects.Copy(ctx, p, s.Staging, name)", "live := p\n\t\tlive.Generation = 0\n\t\terr := s.objects.Copy(ctx, live, s.Staging, name)"}}},
	{"settle rule", []edit{{"pkg/submitter/decide.go", "if !now.Before(e.until) {", "if true {"}}},
	{"terminal wins", []edit{
		{"pkg/job/step.go", "if r.State.Terminal() {\n\t\treturn r, false, nil\n\t}", ""},
		{"pkg/job/look.go", "func (o seen) apply(r *Record, now time.Time) error {\n\tif r.State != Accepted && r.State != Submitted {", "func (o seen) apply(r *Record, now time.Time) error {\n\tif r.State.Undecided() {"},
	}},
	{"await of the publish", []edit{{"pkg/relay/relay.go", "s.Record.Published(s.Published).Outbox); err != nil {\n\t\t\treturn err\n\t\t}", "s.Record.Published(s.Published).Outbox); err != nil {\n\t\t\t_ = err\n\t\t}"}}},
	{"look-up after an unknown outcome", []edit{{"pkg/submitter/submitter.go", "if doubtful {\n\t\t\treturn s.lookFor(ctx, stored, final)\n\t\t}\n\t\t", ""}}},
	{"look-up before the time for submits ends", []edit{{"pkg/job/step.go", "if r.Overdue(now) && r.UnknownUntil.IsZero() {", "if r.Overdue(now) {"}}},
	{"no refusal while an earlier create may have its effect", []edit{{"pkg/job/step.go", "return !r.UnknownUntil.IsZero(), now.Before(r.UnknownUntil)", "return !r.UnknownUntil.IsZero(), false"}}},
	{"index before record", []edit{{"pkg/submitter/submitter.go", "stored.Replayed = stored.Times.Seen\n\t\t}\n\t\terr = s.records.Open(ctx, job.NewEntry(stored))", "stored.Replayed = stored.Times.Seen\n\t\t}\n\t\terr = nil"}}},
	{"index entry goes last", []edit{{"pkg/relay/relay.go", "if news {\n", "if s.State.Terminal() {\n\t\tif err := r.index.Close(ctx, s.Attempt); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n\tif news {\n"}}},
	{"status.json never goes back", []edit{{"pkg/relay/relay.go", "case there.newer(v):", "case false && there.newer(v):"}}},
	{"an old record tells nothing", []edit{{"pkg/relay/relay.go", "if known.Revision > s.Revision {", "if false && known.Revision > s.Revision {"}}},
	{"turn before the create", []edit{{"pkg/submitter/queue.go", "err := s.records.GiveTurns(ctx, turns)\n", "var err error\n"}}},
	{"look-ups before a create that may be the second", []edit{{"pkg/submitter/submitter.go", "if o := s.lookFor(ctx, stored, nil); o != nil {", "if o := s.lookFor(ctx, stored, nil); o != nil && s.trainer.TakesID() {"}}},
	{"look-ups until no create is under way", []edit{{"pkg/submitter/submitter.go", "case early, !s.trainer", "case early && s.trainer.TakesID(), !s.trainer"}}},
	{"cancel of a second job", []edit{{"pkg/watcher/watcher.go", "err := w.trainer.Cancel(ctx, job.JobInfo{ID: l.JobID, ResourceName: l.ResourceName})", "var err error"}}},
	{"cancel of a second job after the verdict", []edit{{"pkg/watcher/scan.go", "t.cancelDoubles(ctx, stored.Attempt", "t.cancelDoubles(ctx, stored.Attempt[:0]"}}},
	{"cancelRequested before the cancel", []edit{{"pkg/watcher/watcher.go", "stored, _, err := w.records.Apply(ctx, stored, job.CancelJob", "_ = w.trainer.Cancel(ctx, stored.Job)\n\tstored, _, err := w.records.Apply(ctx, stored, job.CancelJob"}}},
	{"grace before a cancel", []edit{{"pkg/job/look.go", "at := l.end().Add(r.Patience.grace(l.kind))", "at := l.end()"}}},
	{"a warning by both clocks", []edit{{"pkg/job/look.go", "since, late := l.seen, l.begin", "since, late := l.begin, l.begin"}}},
	{"a list that lags is only a reason to look", []edit{{"pkg/watcher/watcher.go", " && !stored.Behind(l)", ""}}},
	{"cancel of a job that was given up", []edit{{"pkg/watcher/scan.go", "case !t.trainer.TakesID():", "case !t.trainer.TakesID() && stored.Job.ResourceName != \"\":"}}},
	{"cancel by jobdrop", []edit{{"pkg/watcher/watcher.go", "if cancellable {", "if cancellable && false {"}}},
	{"records compared with the index", []edit{{"pkg/watcher/scan.go", "if t.filed[attempt].State.Terminal() {\n\t\t\tcontinue", "if true {\n\t\t\tcontinue"}, {"pkg/watcher/scan.go", "return errors.Join(err, t.reopen(ctx, stored.Attempt))", "return err"}}},
	{"drops found without their event", []edit{{"pkg/watcher/scan.go", "if err == nil && !known {", "if false && err == nil && !known {"}}},
	{"a round that failed is looked at again", []edit{{"pkg/watcher/scan.go", "t.cursors.Inbox.Failed = true", "t.cursors.Inbox.Failed = false"}}},
	{"pause", []edit{{"pkg/submitter/queue.go", "if start.Paused {\n\t\t\tq.waits", "if false {\n\t\t\tq.waits"}}},
	{"park, then acknowledge", []edit{{"pkg/app/app.go", "a.logger.ErrorContext(ctx, \"event not parked\", append(attributes, \"error\", err.Error())...)\n\t\t\treturn err", "return nil"}}},
	{"one owner of a job ID", []edit{{"pkg/submitter/decide.go", "if claimed || err != nil {\n\t\treturn nil, err\n\t}", "if true || claimed || err != nil {\n\t\treturn nil, err\n\t}"}}},
}

var summary = regexp.MustCompile(`(\d+) seeds, .*; (\d+) seeds broke an invariant`)

func main() {
	seeds := flag.Int("seeds", 1000, "seeds for each mutation")
	flag.Parse()
	fmt.Printf("| without | seeds of %d in which the simulator finds it |\n|---|---|\n", *seeds)
	missed := 0
	for _, m := range mutations {
		if flag.NArg() > 0 && !slices.Contains(flag.Args(), m.name) {
			continue
		}
		found, err := try(m, *seeds)
		if err != nil {
			fmt.Fprintf(os.Stderr, "mutate: %s: %v\n", m.name, err)
			os.Exit(1)
		}
		if found == "0" {
			missed++
		}
		fmt.Printf("| %s | %s |\n", m.name, found)
	}
	if missed > 0 {
		fmt.Fprintf(os.Stderr, "mutate: %d mutations were not found\n", missed)
		os.Exit(1)
	}
}

// try runs the simulator over a mutated copy, and gives the number of seeds that
// broke an invariant.
func try(m mutation, seeds int) (string, error) {
	dir, err := os.MkdirTemp("", "jobdrop-mutate-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	for _, part := range []string{"go.mod", "go.sum", "functions", "pkg", "internal"} {
		if err := copyTree(part, filepath.Join(dir, part)); err != nil {
			return "", err
		}
	}
	for _, e := range m.edits {
		path := filepath.Join(dir, e.file)
		data, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		if n := bytes.Count(data, []byte(e.text)); n != 1 {
			return "", fmt.Errorf("%q stands %d times in %s", e.text, n, e.file)
		}
		if err := os.WriteFile(path, bytes.Replace(data, []byte(e.text), []byte(e.by), 1), 0o600); err != nil {
			return "", err
		}
	}
	c := exec.Command("go", "test", "./internal/sim", "-run", "^TestSim$", "-v", "-count=1", "-timeout=30m")
	c.Dir = dir
	c.Env = append(os.Environ(), fmt.Sprintf("SIM_SEEDS=%d", seeds), "SIM_ALL=1", "SIM_SEED=")
	out, _ := c.CombinedOutput() // a run that finds something fails
	found := summary.FindStringSubmatch(string(out))
	switch {
	case found == nil && strings.Contains(string(out), "panic: "):
		return "the first: it crashes", nil
	case found == nil:
		return "", fmt.Errorf("no summary in\n%s", out)
	}
	return found[2], nil
}

func copyTree(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return os.CopyFS(to, os.DirFS(from))
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}
