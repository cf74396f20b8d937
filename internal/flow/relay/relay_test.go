package relay_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/internal/flow/relay"
	"github.com/jobdrop/jobdrop/internal/testing/eventtest"
	"github.com/jobdrop/jobdrop/internal/testing/storagetest"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// topic keeps what was published, request by request. Like Pub/Sub it refuses requests without
// messages, and messages of more than 10 MB.
type topic struct {
	requests [][]job.EventType
	fail     error
}

func (p *topic) Publish(_ context.Context, _ string, events []job.Event) error {
	if p.fail != nil {
		return p.fail
	}
	if len(events) == 0 {
		return errors.New("INVALID_ARGUMENT: the request has no messages")
	}
	var types []job.EventType
	for _, e := range events {
		c, err := event.Encode("prod", e)
		if err != nil {
			return err
		}
		if _, data := event.ToMessage(c); len(data) > 10_000_000 {
			return errors.New("INVALID_ARGUMENT: a message is too large")
		}
		types = append(types, e.Type)
	}
	p.requests = append(p.requests, types)
	return nil
}

type setup struct {
	*relay.Relay
	ledger *ledger.Ledger
	topic  *topic
	faults *storagetest.Faults
	// published counts what the relay said that it published.
	published *int
	// at is the clock.
	at time.Time
}

func start(t *testing.T) *setup {
	t.Helper()
	client, _ := storagetest.New(t, "state", "status")
	s := &setup{topic: &topic{}, faults: &storagetest.Faults{Client: client}, published: new(int), at: now}
	var err error
	if s.ledger, err = ledger.New(s.faults, "state", ledger.Options{}); err != nil {
		t.Fatal(err)
	}
	if s.Relay, err = relay.New(s.topic, s.ledger, s.faults, "status", func() time.Time { return s.at }, relay.Options{
		Published: func(context.Context, []job.Event) { *s.published++ },
	}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *setup) status(t *testing.T, name string) job.Snapshot {
	t.Helper()
	data, _, err := s.faults.Client.Read(t.Context(), "status", name, 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var b job.Snapshot
	if err := json.Unmarshal(data, &b); err != nil {
		t.Fatal(err)
	}
	return b
}

func stored(t *testing.T, generation int64, observations ...attempt.Observation) attempt.Stored {
	t.Helper()
	r := attempt.NewRecord(job.Object{Bucket: "inbox", Name: "a/job.yaml", Generation: generation, Created: now}, now)
	for _, o := range observations {
		var err error
		if r, _, err = attempt.Step(r, o, now); err != nil {
			t.Fatal(err)
		}
	}
	return attempt.Stored{Record: r, Own: true}
}

var (
	accept  = attempt.Accept{Spec: job.Spec{JobID: "j"}, Claim: attempt.Claim{Nonce: "n"}}
	running = attempt.Seen(attempt.BackendJob{JobID: "j", State: job.BackendRunning, Created: now, Started: now}, now)
	done    = attempt.Seen(attempt.BackendJob{JobID: "j", State: job.BackendSucceeded, Created: now, Started: now,
		Ended: now},
		now)
)

func TestTell(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	record := stored(t, 7, accept, running)
	if err := s.Tell(ctx, record, attempt.Entry{}); err != nil {
		t.Fatal(err)
	}
	want := [][]job.EventType{{job.DropAccepted, job.JobSubmitted, job.JobRunning}}
	if diff := cmp.Diff(want, s.topic.requests); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	e, err := s.ledger.Entry(ctx, record.Attempt)
	if err != nil || e.Published != 3 || e.State != job.Submitted || e.BackendState != job.BackendRunning {
		t.Errorf("entry %+v, %v", e, err)
	}
	for _, name := range []string{"a/status.json", "a/status-7.json"} {
		if b := s.status(t, name); b.Sequence != 3 || b.Job.State != job.BackendRunning {
			t.Errorf("%s is at sequence %d", name, b.Sequence)
		}
		// A list shows what the object is of.
		o, err := s.faults.Client.Stat(ctx, "status", name)
		if m := o.Metadata; err != nil || m["jobdrop-state"] != "running" || m["jobdrop-folder"] != "a/" ||
			m["jobdrop-job-id"] != "j" || m["jobdrop-attempt-generation"] != "7" {
			t.Errorf("metadata of %s: %v, %v", name, m, err)
		}
	}
	// Told again with nothing new, it makes no call.
	s.faults.Reset()
	if err := s.Tell(ctx, record, e); err != nil || len(s.faults.Calls()) != 0 || len(s.topic.requests) != 1 {
		t.Errorf("told again: %v, calls %v", err, s.faults.Calls())
	}
	// Only new events are published, and the verdict closes the entry. The generations in the
	// entry save reading the status objects.
	s.faults.Reset()
	if err := s.Tell(ctx, stored(t, 7, accept, running, done), e); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]job.EventType{job.JobSucceeded}, s.topic.requests[1]); diff != "" {
		t.Errorf("second request (-want +got):\n%s", diff)
	}
	if _, err := s.ledger.Entry(ctx, record.Attempt); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("entry after the verdict: %v", err)
	}
	if calls := s.faults.Calls(); len(calls) != 5 { // two writes, an entry among the ended, a delete, and the look above
		t.Errorf("calls %v, want two writes, the entry among the ended and a delete", calls)
	}
}

// Two workers of one record do not both publish its events: the one that wrote them does. If that
// one died, another does when its time is over.
func TestTellLeavesEventsToTheirWriter(t *testing.T) {
	tests := []struct {
		name      string
		own       bool
		published int64
		age       time.Duration
		want      int // requests
		err       error
	}{
		{name: "the writer", own: true, want: 1},
		{name: "another, at once", want: 0, err: attempt.ErrTelling},
		{name: "another, a moment later", age: 9 * time.Second, want: 0, err: attempt.ErrTelling},
		{name: "another, when the writer must be dead", age: 10 * time.Second, want: 1},
		{name: "another, of what the index shows as published", published: 3, want: 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := start(t)
			s.at = now.Add(test.age)
			record := stored(t, 7, accept, running)
			record.Own = test.own
			err := s.Tell(t.Context(), record, attempt.Entry{Published: test.published})
			if !errors.Is(err, test.err) || test.err == nil && err != nil || attempt.Contended(err) != (test.err != nil) {
				t.Errorf("error %v, want %v", err, test.err)
			}
			if len(s.topic.requests) != test.want {
				t.Errorf("%d requests, want %d", len(s.topic.requests), test.want)
			}
			if err != nil && len(s.faults.Calls()) > 0 {
				t.Errorf("calls %v: the entry has to stay for a tick", s.faults.Calls())
			}
		})
	}
}

// After a slow create a tick may have published the acceptance. The worker that wrote it looks.
func TestTellAfterASlowCreate(t *testing.T) {
	for _, test := range []struct {
		name string
		took time.Duration
		want []int // events of each request
	}{
		{"quick", 9 * time.Second, []int{1, 3}}, // by the index as it was known: the acceptance once more
		{"slow", 12 * time.Second, []int{1, 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t)
			accepted := stored(t, 7, accept)
			if err := s.Tell(t.Context(), accepted, attempt.Entry{}); err != nil { // the tick's
				t.Fatal(err)
			}
			s.at = now.Add(test.took)
			if err := s.Tell(t.Context(), stored(t, 7, accept, running), attempt.Entry{}); err != nil {
				t.Fatal(err)
			}
			var got []int
			for _, request := range s.topic.requests {
				got = append(got, len(request))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// If the index is behind, and the record has dropped the published events since, there is nothing
// to publish.
func TestTellOfNothingLeft(t *testing.T) {
	for name, steps := range map[string][]attempt.Observation{
		"under way": {accept, running}, "a verdict": {accept, running, done},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			ctx := t.Context()
			record := stored(t, 7, steps...)
			late := attempt.NewEntry(record)
			late.Revision, late.Published = record.Revision-1, 1 // a slow worker's
			if err := s.ledger.Mark(ctx, late); err != nil {
				t.Fatal(err)
			}
			record.Outbox = nil
			for range 2 {
				known, err := s.ledger.Entry(ctx, record.Attempt)
				if err != nil && !errors.Is(err, job.ErrNotFound) {
					t.Fatal(err)
				}
				if err := s.Tell(ctx, record, known); err != nil {
					t.Fatalf("%v", err)
				}
			}
			if len(s.topic.requests) != 0 || *s.published != 0 {
				t.Errorf("requests %v, %d told as published", s.topic.requests, *s.published)
			}
			if b := s.status(t, "a/status.json"); b.Sequence != record.Sequence {
				t.Errorf("status.json is at sequence %d of %d", b.Sequence, record.Sequence)
			}
			e, err := s.ledger.Entry(ctx, record.Attempt)
			if record.State.Terminal() {
				if !errors.Is(err, job.ErrNotFound) {
					t.Errorf("entry after the verdict: %v", err)
				}
			} else if err != nil || !e.Told() || e.Revision != record.Revision {
				t.Errorf("entry %+v, %v", e, err)
			}
		})
	}
}

// Nothing is marked, closed or written to status.json before it is published, and what failed is
// found again.
func TestTellFailures(t *testing.T) {
	boom := errors.New("boom")
	verdict := stored(t, 7, accept, running, done)
	t.Run("publish", func(t *testing.T) {
		s := start(t)
		if _, err := s.ledger.Open(t.Context(), attempt.NewEntry(verdict)); err != nil {
			t.Fatal(err)
		}
		s.topic.fail = boom
		s.faults.Reset()
		if err := s.Tell(t.Context(), verdict, attempt.Entry{}); !errors.Is(err, boom) || len(s.faults.Calls()) != 0 {
			t.Errorf("%v, calls %v", err, s.faults.Calls())
		}
		if _, err := s.ledger.Entry(t.Context(), verdict.Attempt); err != nil {
			t.Errorf("entry: %v", err)
		}
	})
	t.Run("status", func(t *testing.T) {
		s := start(t)
		s.faults.Before = func(c storagetest.Call) error {
			if c.Bucket == "status" {
				return boom
			}
			return nil
		}
		if err := s.Tell(t.Context(), verdict, attempt.Entry{}); !errors.Is(err, boom) {
			t.Errorf("%v", err)
		}
		e, err := s.ledger.Entry(t.Context(), verdict.Attempt)
		if err != nil || e.Published != verdict.Sequence {
			t.Fatalf("entry %+v, %v; want it there, with what was published", e, err)
		}
		s.faults.Before = nil
		if err := s.Tell(t.Context(), verdict, e); err != nil || len(s.topic.requests) != 1 {
			t.Errorf("told again: %v, %d requests", err, len(s.topic.requests))
		}
		if b := s.status(t, "a/status.json"); b.State != job.Succeeded {
			t.Errorf("status.json says %s", b.State)
		}
	})
}

// Whatever is dropped, its record can be read back, its events can be published, and Cloud Storage
// takes its entry.
func TestHostileAttempts(t *testing.T) {
	const escaped = "\x01" // takes six bytes of JSON
	folder := strings.Repeat(escaped, 890) + "/"
	object := func(name string) job.Object {
		return job.Object{
			Bucket: "inbox", Name: folder + name, Generation: 7, Size: 1, Created: now,
			CorrelationID: strings.Repeat(`"`, 4<<10) + strings.Repeat(escaped, 4<<10),
		}
	}
	packages := func(n int) (all []job.Object) {
		for i := range n {
			all = append(all, object(strings.Repeat(escaped, 100)+strconv.Itoa(i)+".whl"))
		}
		return all
	}
	var violations []job.Violation
	for range 1000 {
		violations = append(violations, job.Violation{Rule: "r", File: "job.yaml", Field: strings.Repeat(escaped, 1000),
			Message: strings.Repeat(`"<>&`, 500), Found: strings.Repeat(escaped, 1000)})
	}
	wide := accept
	wide.Receipt.Objects = append([]job.Object{object("job.yaml")}, packages(100)...)
	for range 100 {
		wide.Receipt.Staged = append(wide.Receipt.Staged, "gs://staging/"+strings.Repeat(escaped, 255))
	}
	wide.Spec.TrainingInput = &job.TrainingInput{PackageURIs: wide.Receipt.Staged,
		Args: []string{strings.Repeat("<", 1<<20)}}
	aliases := accept
	aliases.Spec.TrainingInput = &job.TrainingInput{Args: slices.Repeat([]string{strings.Repeat("<", 1<<20)}, 1000)}
	for name, steps := range map[string][]attempt.Observation{
		"900 packages": {attempt.Incomplete{Arrived: packages(900), Missing: []string{"b.whl"}, ExpireAfter: time.Hour}},
		"900 packages, withdrawn": {
			attempt.Incomplete{Arrived: packages(900), Missing: []string{"b.whl"}, ExpireAfter: time.Hour},
			attempt.Incomplete{Arrived: packages(900)}, attempt.Withdraw{Reason: strings.Repeat(escaped, 1<<20)},
		},
		"100 packages":     {wide, running, done},
		"1,000 violations": {attempt.Reject{Violations: violations}},
		"an amplified job": {aliases},
		"a wordy queue": {accept, attempt.Postpone{Nonce: "n", Reason: "later"},
			attempt.Wait{Reason: strings.Repeat(escaped, 1<<20)}},
		"a backend's refusal": {accept, attempt.Refuse{Nonce: "n",
			Failure: job.Failure{Message: strings.Repeat(escaped, 1<<20)}, Violations: violations}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			ctx := t.Context()
			record := attempt.Stored{Record: attempt.NewRecord(object("job.yaml"), now)}
			if _, err := s.ledger.Open(ctx, attempt.NewEntry(record)); err != nil {
				t.Fatal(err)
			}
			for _, o := range steps {
				applied := false
				var err error
				if record, applied, err = s.ledger.Apply(ctx, record, o, now); err != nil || !applied {
					t.Fatalf("%T: applied %t, %v", o, applied, err)
				}
				back, err := s.ledger.Get(ctx, record.Attempt)
				if err != nil || back.Revision != record.Revision {
					t.Fatalf("%T: read back at revision %d of %d, %v", o, back.Revision, record.Revision, err)
				}
			}
			if err := s.Tell(ctx, record, attempt.Entry{}); err != nil {
				t.Fatal(err)
			}
			events := 0
			for _, request := range s.topic.requests {
				events += len(request)
			}
			if events != int(record.Sequence) {
				t.Errorf("%d of %d events were published", events, record.Sequence)
			}
			size := 0
			for _, o := range []string{"open/" + record.Attempt, "attempts/" + record.Attempt + ".json"} {
				a, err := s.faults.Stat(ctx, "state", o)
				if errors.Is(err, job.ErrNotFound) && record.State.Terminal() {
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				for key, value := range a.Metadata {
					size += len(key) + len(value)
				}
			}
			if size > 8<<10 {
				t.Errorf("metadata of %d bytes, and Cloud Storage takes 8 KiB", size)
			}
			data, _, err := s.faults.Read(ctx, "status", folder+"status.json", 0, 2*job.MaxEvent)
			var b job.Snapshot
			if err == nil {
				err = json.Unmarshal(data, &b)
			}
			if err != nil || b.State != record.State || b.Truncated != record.Snapshot().Truncated {
				t.Errorf("status.json: state %s, truncated %t, %v", b.State, b.Truncated, err)
			}
		})
	}
}

// Status objects never go backwards, whoever writes last.
func TestStatusNeverGoesBackwards(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	tell := func(r attempt.Stored) {
		t.Helper()
		if err := s.Tell(ctx, r, attempt.Entry{}); err != nil {
			t.Fatal(err)
		}
	}
	tell(stored(t, 7, accept, running, done))
	tell(stored(t, 7, accept))
	if b := s.status(t, "a/status.json"); b.State != job.Succeeded {
		t.Errorf("an earlier revision was written over a later one: %s", b.State)
	}
	before, err := s.faults.Client.Stat(ctx, "status", "a/status.json")
	if err != nil {
		t.Fatal(err)
	}
	tell(stored(t, 7, accept, running, done))
	if after, err := s.faults.Client.Stat(ctx, "status", "a/status.json"); err != nil ||
		after.Generation != before.Generation {
		t.Errorf("the same revision was written again: %v", err)
	}
	tell(stored(t, 9, accept))
	if b := s.status(t, "a/status.json"); b.Drop.JobFile.Generation != 9 {
		t.Error("a later attempt did not become the folder's status")
	}
	tell(stored(t, 7, accept, running, done))
	if b := s.status(t, "a/status.json"); b.Drop.JobFile.Generation != 9 {
		t.Error("an earlier attempt was written over a later one")
	}
	if b := s.status(t, "a/status-7.json"); b.State != job.Succeeded {
		t.Errorf("the earlier attempt's own status says %s", b.State)
	}
}

// A folder with the longest name has no status objects, but its verdict is published.
func TestTellOfALongFolder(t *testing.T) {
	s := start(t)
	r := stored(t, 7, attempt.Reject{Reason: "the folder's name is too long"})
	r.Drop.Prefix = strings.Repeat("a", 1010) + "/"
	if _, err := s.ledger.Open(t.Context(), attempt.NewEntry(r)); err != nil {
		t.Fatal(err)
	}
	if err := s.Tell(t.Context(), r, attempt.Entry{}); err != nil || len(s.topic.requests) != 1 {
		t.Errorf("%v, %d requests", err, len(s.topic.requests))
	}
	if _, err := s.ledger.Entry(t.Context(), r.Attempt); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("entry after the verdict: %v", err)
	}
}

// The status of a folder without an attempt is written where there is none, and the first attempt
// replaces it.
func TestTellMisnamed(t *testing.T) {
	s := start(t)
	m := job.Misnamed{Bucket: "inbox", Prefix: "a/", Near: []string{"config.yaml is there"}, Reason: "No.", At: now}
	read := func() []byte {
		t.Helper()
		data, _, err := s.faults.Client.Read(t.Context(), "status", "a/status.json", 0, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	if err := s.TellMisnamed(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	first := read()
	if err := eventtest.Validate(event.MisnamedSchema, first); err != nil {
		t.Errorf("%v: %s", err, first)
	}
	m.Reason = "Another."
	if err := s.TellMisnamed(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(first), string(read())); diff != "" {
		t.Errorf("written again (-first +second):\n%s", diff)
	}
	m.Prefix = strings.Repeat("a", 1020) + "/"
	if err := s.TellMisnamed(t.Context(), m); err != nil {
		t.Errorf("a name that no object can have: %v", err)
	}
	if err := s.Tell(t.Context(), stored(t, 7, accept), attempt.Entry{}); err != nil {
		t.Fatal(err)
	}
	if got := s.status(t, "a/status.json"); got.State != job.Accepted {
		t.Errorf("the attempt's status is %+v", got)
	}
}
