package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/flow/watcher"
	"github.com/jobdrop/jobdrop/internal/logs"
	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// records is what a [Reader] needs of an installation's records.
type records interface {
	// Queue returns the note of who waits, as the last tick wrote it.
	Queue(ctx context.Context) (attempt.Queue, error)
	// Turns returns the turns that were given, and the hours that were charged.
	Turns(ctx context.Context) (attempt.Turns, error)
}

// store is what a [Reader] needs of Cloud Storage. Its errors are those of package job.
type store interface {
	ListPage(ctx context.Context, bucket, prefix, after string, most int) (page []job.Attributes, more bool, err error)
	Read(ctx context.Context, bucket, name string, generation, limit int64) ([]byte, int64, error)
	Stat(ctx context.Context, bucket, name string) (job.Attributes, error)
}

// Config is what a [Reader] is made of.
type Config struct {
	Records records
	Store   store
	// State is the bucket of the records. Inbox and Status may be empty where they are not known: then nothing is said
	// of what lies there.
	State, Inbox, Status string
	// Policy returns the operator's policy as it is now, as [ReadPolicy] does.
	Policy func(context.Context) (policy.Policy, error)
	Now    func() time.Time
	// Log returns the last lines of a job's log that its own programs wrote. Nil if logs are not read.
	Log func(ctx context.Context, a job.Snapshot, lines int) ([]logs.Line, error)
	// Cause returns what an account says of why something can't be read. Nil is the error's own text.
	Cause func(error) string
	// Line returns a command line of jobdrop for this installation. Nil is one without flags.
	Line func(command string, names ...string) string
}

// Reader reads what accounts are made of. It is safe for concurrent use.
type Reader struct{ Config }

// New returns a reader.
func New(c Config) (*Reader, error) {
	for _, one := range [...]struct {
		name    string
		missing bool
	}{
		{"records", c.Records == nil}, {"storage", c.Store == nil}, {"bucket of the records", c.State == ""},
		{"policy", c.Policy == nil}, {"clock", c.Now == nil},
	} {
		if one.missing {
			return nil, fmt.Errorf("accounts need a %s", one.name)
		}
	}
	if c.Cause == nil {
		c.Cause = error.Error
	}
	if c.Line == nil {
		c.Line = func(command string, names ...string) string {
			return strings.Join(append([]string{"jobdrop", command}, names...), " ")
		}
	}
	return &Reader{c}, nil
}

// Why returns why an attempt is where it is, by its record. lines is how many lines of a failed job's log it may have.
// What can't be read and is evidence alone is left out, and the account says so.
func (r *Reader) Why(ctx context.Context, record attempt.Record, lines int) (Account, error) {
	c := circumstances{state: "gs://" + r.State, now: r.Now(), lines: lines, line: r.Line, cause: r.Cause}
	if undecided(record) || limit(record) != "" {
		c.policy, c.policyErr = r.Policy(ctx)
	}
	var err error
	if c.place, c.budget, err = r.turn(ctx, record, c.policy, c.policyErr); err != nil {
		return Account{}, err
	}
	c.asked, c.askedErr = r.requests(ctx, record.Attempt)
	if !record.State.Terminal() || len(c.asked) > 0 {
		c.tick = r.lastTick(ctx)
	}
	if record.State == job.Failed && (record.Error == nil || record.Error.Excerpt == "") && lines > 0 && r.Log != nil {
		var last []logs.Line
		last, c.logErr = r.Log(ctx, record.Snapshot(), lines)
		for _, l := range last {
			c.log = append(c.log, l.Replica+" | "+strings.TrimRight(l.Text, "\n"))
		}
	}
	return c.account(record), nil
}

// Turn returns the place of an attempt in the queue, and what is left of the operator's budget for it. Each is nil if
// the attempt does not wait for its turn; the place also if the last tick did not see it, the budget if it waits under
// none. unread says why the policy can't be read, by which an attempt without a job is still to be decided; then the
// place is the one among all.
func (r *Reader) Turn(ctx context.Context, record attempt.Record) (p *Place, b *Budget, unread, err error) {
	if !undecided(record) {
		return nil, nil, nil, nil
	}
	rules, unread := r.Policy(ctx)
	p, b, err = r.turn(ctx, record, rules, unread)
	return p, b, unread, err
}

// undecided reports whether an attempt has neither a verdict nor a job, so that the policy decides what becomes of it.
func undecided(r attempt.Record) bool { return !r.State.Terminal() && r.State != job.Submitted }

func (r *Reader) turn(
	ctx context.Context, record attempt.Record, rules policy.Policy, unread error,
) (p *Place, b *Budget, err error) {
	if record.State != job.Accepted || !record.Queued {
		return nil, nil, nil
	}
	q, err := r.Records.Queue(ctx)
	if err != nil {
		return nil, nil, err
	}
	known := &rules
	if unread != nil {
		known = nil
	}
	p = PlaceIn(q, record.Attempt, known)
	if record.AcceleratorSeconds != nil {
		b, err = r.Budget(ctx, rules, record.Drop.Prefix, *record.AcceleratorSeconds)
	}
	return p, b, err
}

// Budget returns what is left of the budget that decides for a folder, for a job that may take some accelerator
// seconds; nil if there is no budget for it.
func (r *Reader) Budget(ctx context.Context, p policy.Policy, folder string, needs int64) (*Budget, error) {
	if p.Start(folder).Budget == nil {
		return nil, nil
	}
	turns, err := r.Records.Turns(ctx)
	if err != nil {
		return nil, err
	}
	return BudgetFor(turns, p, folder, needs, r.Now()), nil
}

// mostRequests is how many requests without an answer are shown of an attempt.
const mostRequests = 5

// requests returns what people have asked for an attempt and jobdrop has not answered yet, as steps of an account.
func (r *Reader) requests(ctx context.Context, key string) ([]Step, error) {
	folder := "requests/" + key + "/"
	objects, _, err := r.Store.ListPage(ctx, r.State, folder, folder, mostRequests)
	var asked []Step
	for _, o := range objects {
		s := Step{StepRequest, o.Created, "somebody asks for something that can't be read", []string{pinned(o.Object)}}
		data, _, err := r.Store.Read(ctx, r.State, o.Name, 0, attempt.MaxRequest)
		if errors.Is(err, job.ErrNotFound) {
			continue // it has its answer
		}
		if request, fault := attempt.ParseRequest(data); err == nil && fault == nil {
			s.Text = "somebody asks for a " + text.Sentence(request.Kind, request.By, request.Reason)
		}
		asked = append(asked, s)
	}
	return asked, err
}

// lastTick returns when Watch began its last tick; zero if that can't be read.
func (r *Reader) lastTick(ctx context.Context) time.Time {
	pulse, err := r.Pulse(ctx)
	if err != nil || pulse == nil {
		return time.Time{}
	}
	return pulse.At
}

// maxPulse bounds what a tick writes of itself, in bytes.
const maxPulse = 64 << 10

// Pulse returns what the last tick of Watch found; nil if there was none.
func (r *Reader) Pulse(ctx context.Context) (*watcher.Pulse, error) {
	data, _, err := r.Store.Read(ctx, r.State, "heartbeat.json", 0, maxPulse)
	if errors.Is(err, job.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var p watcher.Pulse
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("read gs://%s/heartbeat.json: %w", r.State, err)
	}
	return &p, nil
}
