package console

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/console/scalars"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/internal/logs"
	"github.com/jobdrop/jobdrop/internal/testing/storagetest"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// now is the time of the tests.
var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// site is an installation with a console.
type site struct {
	t       *testing.T
	store   *storagetest.Faults
	ledger  *ledger.Ledger
	logs    *fakeLogs
	scalars *fakeScalars
	server  *Server
	url     string
	log     logged
	// correlation is the ID of what is dropped.
	correlation string

	mu     sync.Mutex
	who    string // the address of who asks; empty on one's own machine
	refuse error  // of who asks
	rules  policy.Policy
	broken error // of the policy
	clock  time.Time
}

// logged is what the console logs.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

// take returns what was logged since it was last called.
func (l *logged) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}

// The addresses of viewers: two see teams/nlp with its outputs, one without, one another team, and one nothing.
const (
	ann, amy, bob, eve, mallory = "ann@example.com", "amy@example.com", "bob@example.com", "eve@example.com",
		"mallory@example.com"
)

// newSite starts an installation. change may change the settings of its console.
func newSite(t *testing.T, change func(*Config)) *site {
	t.Helper()
	client, _ := storagetest.New(t, "inbox", "state", "out")
	s := &site{
		t: t, store: &storagetest.Faults{Client: client}, logs: &fakeLogs{}, scalars: &fakeScalars{}, clock: now,
		rules: rulesOf(t, `viewers:
- {members: ['user:ann@example.com', 'user:amy@example.com'], prefixes: ['teams/nlp/**'], outputs: ['gs://out/nlp/**']}
- {members: ['user:bob@example.com'], prefixes: ['teams/nlp/**']}
- {members: ['user:eve@example.com'], prefixes: ['teams/vision/**'], outputs: ['gs://out/**']}
`),
	}
	var err error
	if s.ledger, err = ledger.New(client, "state", ledger.Options{}); err != nil {
		t.Fatal(err)
	}
	records, err := ledger.NewReader(s.store, "state")
	if err != nil {
		t.Fatal(err)
	}
	c := Config{
		Instance: "acme", Inbox: "inbox", State: "state", Records: records, Store: s.store, Logs: s.logs, Scalars: s.scalars,
		Act: true, Poll: 5 * time.Millisecond, Logger: slog.New(slog.NewJSONHandler(&s.log, nil)),
		Now: func() time.Time {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.clock
		},
		Policy: func(context.Context) (policy.Policy, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.rules, s.broken
		},
	}
	if change != nil {
		change(&c)
	}
	if s.server, err = New(c); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.server)
	s.url = server.URL
	t.Cleanup(server.Close)
	t.Cleanup(s.server.Close)
	return s
}

// rulesOf returns the policy of a file.
func rulesOf(t *testing.T, file string) policy.Policy {
	t.Helper()
	rules, faults := policy.Parse("policy.yaml", []byte(file))
	if len(faults) > 0 {
		t.Fatalf("%v", faults)
	}
	return policy.Policy{Rules: rules}
}

// identified makes the console ask who it is.
func (s *site) identified() *site {
	s.server.Identify = func(*http.Request) (string, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.who, s.refuse
	}
	return s
}

// as makes who asks another one, and lets the console read the policy anew.
func (s *site) as(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.who, s.refuse, s.broken, s.clock = who, nil, nil, s.clock.Add(policyLasts)
}

// specOf returns a job that writes into a directory.
func specOf(id, dir string) job.Spec {
	return job.Spec{JobID: id, TrainingInput: &job.TrainingInput{
		Region: "us-mars1", ScaleTier: "CUSTOM", MasterType: "n1-standard-4", WorkerType: "n1-standard-4", WorkerCount: 2,
		PackageURIs: []string{"gs://inbox/t.tar.gz"}, PythonModule: "t.task", RuntimeVersion: "2.11", JobDir: dir,
		Hyperparameters: &job.HyperparameterSpec{
			Goal: "MAXIMIZE", HyperparameterMetricTag: "accuracy", MaxTrials: 4, Params: []job.ParameterSpec{{ParameterName: "rate"}},
		},
	}}
}

// drop records an attempt of a folder, by its way.
func (s *site) drop(folder string, steps ...attempt.Observation) attempt.Record {
	s.t.Helper()
	return s.dropAt(folder, 1_795_424_700_000_000+int64(len(s.store.Calls())), steps...)
}

// dropAt records an attempt of a generation of a folder's job file.
func (s *site) dropAt(folder string, generation int64, steps ...attempt.Observation) attempt.Record {
	s.t.Helper()
	o := job.Object{
		Bucket: "inbox", Name: folder + "job.yaml", Generation: generation, Created: now.Add(-time.Hour),
		CorrelationID: s.correlation,
	}
	r := attempt.NewRecord(o, o.Created)
	for i, step := range steps {
		var err error
		if r, _, err = attempt.Step(r, step, o.Created.Add(time.Duration(i+1)*time.Minute)); err != nil {
			s.t.Fatal(err)
		}
	}
	s.put(r)
	return r
}

// put writes a record and its places in the indexes.
func (s *site) put(r attempt.Record) {
	s.t.Helper()
	ctx := s.t.Context()
	data, err := json.Marshal(r)
	if err == nil {
		_, err = s.store.Client.Write(ctx, "state", "attempts/"+r.Attempt+".json", data, "application/json", r.Summary().Metadata(""), -1)
	}
	first := r
	first.State, first.Job = "", job.JobInfo{}
	if err == nil {
		_, err = s.ledger.Place(ctx, attempt.Filed{Summary: first.Summary()})
	}
	if err == nil && r.State.Terminal() {
		_, err = s.ledger.Place(ctx, attempt.Filed{Summary: r.Summary()})
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// object writes an object, and returns its generation.
func (s *site) object(bucket, name, data string) (generation int64) {
	s.t.Helper()
	generation, err := s.store.Client.Write(s.t.Context(), bucket, name, []byte(data), "text/plain", nil, -1)
	if err != nil {
		s.t.Fatal(err)
	}
	return generation
}

// accepted is the step of an attempt whose job writes into a directory; then it runs.
func accepted(id, dir string) []attempt.Observation {
	at := now.Add(-50 * time.Minute)
	return []attempt.Observation{
		attempt.Accept{
			Spec: specOf(id, dir), Backend: "aiplatform", Receipt: job.Receipt{Content: "c0ffee"},
			Claim: attempt.Claim{Owner: "w", Until: now.Add(time.Hour), Nonce: "n"},
		},
		attempt.Seen(attempt.BackendJob{
			JobID: id, ResourceName: "projects/p/jobs/" + id, State: job.BackendRunning, Created: at, Started: at,
		}, at),
	}
}

// ended is the step of a job that has ended.
func ended(id string, state job.BackendState) attempt.Observation {
	at := now.Add(-50 * time.Minute)
	value := 0.5
	return attempt.Seen(attempt.BackendJob{
		JobID: id, ResourceName: "projects/p/jobs/" + id, State: state, Created: at, Started: at, Ended: at.Add(10 * time.Minute),
		Trials: []job.Trial{{ID: "1", Objective: &value, Parameters: map[string]string{"rate": "0.1"}}},
	}, now)
}

// answer is what the console answered.
type reply struct {
	status int
	header http.Header
	body   string
}

// get asks for a page.
func (s *site) get(path string, change ...func(*http.Request)) reply {
	s.t.Helper()
	return s.do(http.MethodGet, path, "", change...)
}

func (s *site) do(method, path, form string, change ...func(*http.Request)) reply {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second) // a stream has no end
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(form))
	if err != nil {
		s.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, c := range change {
		c(r)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	got, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{got.StatusCode, got.Header, string(body)}
}

// writes returns the names of the objects that the console wrote.
func (s *site) writes() (names []string) {
	for _, c := range s.store.Calls() {
		if c.Kind != "list" && c.Kind != "read" && c.Kind != "stat" {
			names = append(names, c.Kind+" "+c.Name)
		}
	}
	return names
}

// fakeLogs has the lines of one log.
type fakeLogs struct {
	mu    sync.Mutex
	lines []logs.Line
	more  chan logs.Batch // what followers get; nil if nothing comes
	takes time.Duration   // how long a window takes, which nobody waits for
	err   error
}

func (f *fakeLogs) add(texts ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, text := range texts {
		n := len(f.lines)
		f.lines = append(f.lines, logs.Line{
			Time: now.Add(time.Duration(n) * time.Millisecond), InsertID: fmt.Sprintf("i%06d", n), Replica: "master-replica-0", Text: text,
		})
	}
}

func (f *fakeLogs) Window(ctx context.Context, _ logs.Job, q logs.Query) (w logs.Window, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if until, ok := ctx.Deadline(); ok && time.Until(until) < f.takes {
		return w, context.DeadlineExceeded
	}
	var all []logs.Line
	for _, l := range f.lines {
		if q.Match(l) && (q.Before.IsZero() || l.Cursor().Compare(q.Before) < 0) && (q.After.IsZero() || l.Cursor().Compare(q.After) > 0) {
			all = append(all, l)
		}
	}
	most := cmp.Or(q.Lines, 100)
	switch {
	case len(all) <= most:
	case !q.After.IsZero():
		w.After, all = all[most-1].Cursor(), all[:most]
	default:
		all = all[len(all)-most:]
		w.Before = all[0].Cursor()
	}
	w.Lines = slices.Clone(all)
	return w, f.err
}

func (f *fakeLogs) Line(_ context.Context, _ logs.Job, at logs.Cursor) (logs.Line, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.lines {
		if l.Cursor().Compare(at) == 0 {
			return l, nil
		}
	}
	return logs.Line{}, job.ErrNotFound
}

func (f *fakeLogs) Replicas(context.Context, logs.Job) ([]string, error) { return nil, nil }

func (f *fakeLogs) End(logs.Job) {}

func (f *fakeLogs) Follow(ctx context.Context, _ logs.Job, _ logs.Filter, _ logs.Cursor) (iter.Seq2[logs.Batch, error], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return func(yield func(logs.Batch, error) bool) {
		for {
			select {
			case b, open := <-f.more:
				if !open {
					yield(logs.Batch{}, errors.New("the log is not there"))
					return
				}
				if !yield(b, nil) || b.Ended {
					return
				}
			case <-ctx.Done():
				yield(logs.Batch{}, ctx.Err())
				return
			}
		}
	}, f.err
}

// fakeScalars has the series of every directory.
type fakeScalars struct {
	mu    sync.Mutex
	set   scalars.Set
	err   error
	reads []string
}

func (f *fakeScalars) Read(_ context.Context, bucket, prefix string) (scalars.Set, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads = append(f.reads, bucket+"/"+prefix)
	return f.set, f.err
}
