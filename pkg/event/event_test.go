package event_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/testing/eventtest"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

var update = flag.Bool("update", false, "write the golden files anew")

var start = time.Date(2026, 11, 22, 12, 0, 0, 123456789, time.UTC)

const attemptKey = "0123456789012345678901234567890123456789-1587627537231057"

// running returns an event with something in every part of its body.
func running() job.Event {
	jobFile := job.Object{
		Bucket: "inbox", Name: "teams/census/job.yaml", Generation: 1587627537231057, Size: 352,
		CRC32C: "AAAAAA==", Created: start, CorrelationID: "build-42",
	}
	return job.Event{Type: event.JobRunning, Time: start.Add(time.Minute), Body: event.Body{
		Attempt: attemptKey, Sequence: 4, State: job.Running, Reason: "as told",
		Job: job.JobInfo{
			ID: "census_1", Backend: "aiplatform", ResourceName: "projects/p/jobs/census_1",
			State: job.BackendRunning, PreviousState: job.BackendPreparing,
			Labels:  map[string]string{"team": "nlp"},
			Summary: &job.Summary{Region: "us-central1", Packages: []string{"gs://staging/a.tar.gz"}},
		},
		Drop: job.DropInfo{
			Bucket: "inbox", Prefix: "teams/census/", JobFile: jobFile,
			Receipt: &job.Receipt{Objects: []job.Object{jobFile}, Staged: []string{"gs://staging/a.tar.gz"}, Content: "c"},
		},
		Times:     job.Times{Dropped: start, Seen: start.Add(time.Second), Started: start.Add(time.Minute)},
		Deadlines: job.Deadlines{Run: start.Add(time.Hour)},
		Timeout:   &job.Timeout{Kind: "run", Limit: job.Duration(3600 * time.Second), EnforcedBy: "backend"},
		Error:     &job.Failure{Code: "INTERNAL", Message: "once <more>", Retryable: true},
		Violations: []job.Violation{
			{
				Rule: "r", Severity: job.Warning, File: "job.yaml", Position: job.Position{Line: 3, Column: 5}, Field: "jobId",
				Message: "m",
			},
		},
		Links:         job.Links{Console: "https://console.example/?a=1&b=2", Logs: "https://logs.example/"},
		CorrelationID: "build-42",
	}}
}

// message is a Pub/Sub message, less what the service adds.
type message struct {
	Attributes map[string]string `json:"attributes"`
	Data       json.RawMessage   `json:"data"`
}

func encode(t testing.TB, e job.Event) message {
	t.Helper()
	c, err := event.Encode("prod", e)
	if err != nil {
		t.Fatal(err)
	}
	attributes, data := event.ToMessage(c)
	return message{attributes, data}
}

const goldenMessage = "testdata/message.json"

// Subscribers' filters and code stand on this form: it only ever grows.
func TestMessageIsGolden(t *testing.T) {
	var got bytes.Buffer
	w := json.NewEncoder(&got)
	w.SetEscapeHTML(false)
	w.SetIndent("", "  ")
	if err := w.Encode(encode(t, running())); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.MkdirAll(filepath.Dir(goldenMessage), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(goldenMessage, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenMessage)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", goldenMessage, diff)
	}
}

func TestAttributes(t *testing.T) {
	full := map[string]string{
		"ce-id": attemptKey + "-4", "ce-source": "//jobdrop.dev/prod", "ce-type": "dev.jobdrop.job.running.v1",
		"ce-specversion": "1.0", "ce-subject": "teams/census", "ce-time": "2026-11-22T12:01:00.123456789Z",
		"ce-dataschema": "https://jobdrop.dev/schemas/job.running.v1.json", "content-type": "application/json",
		"ce-jobid": "census_1", "ce-state": "running", "ce-backend": "aiplatform", "ce-sequence": "4",
		"ce-correlationid": "build-42",
	}
	less := func(names ...string) map[string]string {
		m := maps.Clone(full)
		for _, n := range names {
			delete(m, n)
		}
		return m
	}
	with := func(name, value string) map[string]string {
		m := maps.Clone(full)
		m[name] = value
		return m
	}
	tests := []struct {
		name   string
		change func(*job.Event)
		want   map[string]string
	}{
		{"all", func(*job.Event) {}, full},
		{"a drop at the bucket's root", func(e *job.Event) { e.Body.Drop.Prefix = "" }, less("ce-subject")},
		{
			"a folder that ends in two slashes", func(e *job.Event) { e.Body.Drop.Prefix = "teams//" },
			with("ce-subject", "teams/"),
		},
		{"no correlation ID", func(e *job.Event) { e.Body.CorrelationID = "" }, less("ce-correlationid")},
		{
			"no job yet", func(e *job.Event) { e.Body.Job = job.JobInfo{State: job.BackendRunning} },
			less("ce-jobid", "ce-backend"),
		},
		{"another time zone", func(e *job.Event) { e.Time = e.Time.In(time.FixedZone("", 3600)) }, full},
		{
			"a whole second", func(e *job.Event) { e.Time = e.Time.Truncate(time.Second) },
			with("ce-time", "2026-11-22T12:01:00Z"),
		},
		{"letters beyond ASCII", func(e *job.Event) { e.Body.Drop.Prefix = "Köln/数据/" }, with("ce-subject", "Köln/数据")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := running()
			test.change(&e)
			if diff := cmp.Diff(test.want, encode(t, e).Attributes); diff != "" {
				t.Errorf("attributes (-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever is dropped, Pub/Sub takes the message. The same event gives the same
// message.
func TestMessageIsWithinPubSubsLimits(t *testing.T) {
	for _, c := range []string{"a", "\x01", "<", "\u2028", "数"} {
		long := strings.Repeat(c, 8<<10)
		e := running()
		e.Traceparent = long
		b := &e.Body
		b.Drop.Prefix = long[:3<<10/len(c)*len(c)] +
			"/"
		b.CorrelationID = long
		b.Job.ID = long
		b.Reason = long
		b.Error.Message = long
		// As a record of an earlier revision has them.
		object := b.Drop.JobFile
		object.CorrelationID = long
		for range 900 {
			b.Drop.Arrived = append(b.Drop.Arrived, object)
			b.Drop.Receipt.Objects = append(b.Drop.Receipt.Objects, object)
			b.Drop.Missing = append(b.Drop.Missing, long)
			b.Violations = append(b.Violations, job.Violation{Severity: job.Error, File: "job.yaml", Message: long, Found: long})
		}
		m := encode(t, e)
		size := len(m.Data)
		for name, value := range m.Attributes {
			if len(value) > 1024 || !utf8.ValidString(value) {
				t.Errorf("%q: %s has %d bytes", c, name, len(value))
			}
			size += len(name) + len(value)
		}
		if size > job.MaxEvent {
			t.Fatalf("%q: the message has %d bytes", c, size)
		}
		var body event.Body
		if err := json.Unmarshal(m.Data, &body); err != nil || !body.Truncated {
			t.Errorf("%q: truncated %t, %v", c, body.Truncated, err)
		}
		if err := eventtest.Validate(event.BodySchema, m.Data); err != nil {
			t.Errorf("%q: %v", c, err)
		}
		if again := encode(t, e); !maps.Equal(m.Attributes, again.Attributes) || !bytes.Equal(m.Data, again.Data) {
			t.Errorf("%q: the same event again is another message", c)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	e := running()
	e.Type = ""
	if c, err := event.Encode("prod", e); err == nil {
		t.Errorf("an event without a type was encoded: %v", c)
	}
}

func TestRoundTrip(t *testing.T) {
	tests := []struct {
		typ     event.Type
		state   job.State
		backend job.BackendState
		want    string // ce-state
	}{
		{event.DropIncomplete, job.Waiting, "", "waiting"},
		{event.DropRejected, job.Rejected, "", "rejected"},
		{event.DropWithdrawn, job.Withdrawn, "", "withdrawn"},
		{event.DropExpired, job.Expired, "", "expired"},
		{event.DropAccepted, job.Accepted, "", "accepted"},
		{event.JobSubmitted, job.Submitted, "", "submitted"},
		{event.JobSubmitted, job.Submitted, job.BackendQueued, "submitted"},
		{event.JobQueued, job.Queued, job.BackendQueued, "queued"},
		{event.JobPreparing, job.Preparing, job.BackendPreparing, "preparing"},
		{event.JobRunning, job.Running, job.BackendRunning, "running"},
		{event.JobDelayed, job.Running, job.BackendCancelling, "running"},
		{event.JobSucceeded, job.Succeeded, job.BackendSucceeded, "succeeded"},
		{event.JobFailed, job.Failed, job.BackendFailed, "failed"},
		{event.JobCancelled, job.Cancelled, job.BackendCancelled, "cancelled"},
		{event.JobTimedOut, job.TimedOut, job.BackendCancelled, "timed_out"},
		{event.JobLost, job.Lost, job.BackendRunning, "lost"},
	}
	for _, test := range tests {
		t.Run(string(test.typ)+" "+string(test.backend), func(t *testing.T) {
			e := running()
			e.Type, e.Body.State, e.Body.Job.State = test.typ, test.state, test.backend
			m := encode(t, e)
			c, err := event.FromMessage(m.Attributes, m.Data)
			if err != nil {
				t.Fatal(err)
			}
			typ, body, err := event.Decode(c)
			if err != nil || typ != test.typ {
				t.Errorf("type %q, %v", typ, err)
			}
			if diff := cmp.Diff(e.Body, body); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if got := c.Extensions()[event.ExtensionState]; got != test.want {
				t.Errorf("state %q, want %q", got, test.want)
			}
			if !c.Time().Equal(e.Time) {
				t.Errorf("time %s, want %s", c.Time(), e.Time)
			}
			attributes, data := event.ToMessage(c)
			if diff := cmp.Diff(m, message{attributes, data}); diff != "" {
				t.Errorf("message of the event of a message (-want +got):\n%s", diff)
			}
		})
	}
}

// What other senders add is kept, and so is the case in which a proxy writes
// headers.
func TestFromMessageKeepsWhatOthersAdd(t *testing.T) {
	m := encode(t, running())
	m.Attributes["ce-traceparent"] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	m.Attributes["googclient_schemaencoding"] = "JSON"
	delete(m.Attributes, "ce-id")
	m.Attributes["Ce-Id"] = "x"
	c, err := event.FromMessage(m.Attributes, m.Data)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"jobid": "census_1", "state": "running", "backend": "aiplatform", "sequence": "4", "correlationid": "build-42",
		"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	}
	if diff := cmp.Diff(want, c.Extensions()); diff != "" {
		t.Errorf("extensions (-want +got):\n%s", diff)
	}
	if c.ID() != "x" {
		t.Errorf("ID %q", c.ID())
	}
}

func TestFromMessageRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(map[string]string)
	}{
		{"no attributes", func(a map[string]string) { clear(a) }},
		{"a notification of Cloud Storage", func(a map[string]string) {
			clear(a)
			maps.Copy(a, map[string]string{"eventType": "OBJECT_FINALIZE", "bucketId": "b"})
		}},
		{"no ID", func(a map[string]string) { delete(a, "ce-id") }},
		{"no source", func(a map[string]string) { delete(a, "ce-source") }},
		{"no type", func(a map[string]string) { delete(a, "ce-type") }},
		{"no version", func(a map[string]string) { delete(a, "ce-specversion") }},
		{"another version", func(a map[string]string) { a["ce-specversion"] = "2.0" }},
		{"an old version", func(a map[string]string) { a["ce-specversion"] = "0.3" }},
		{"an old version, with an empty encoding", func(a map[string]string) {
			a["ce-specversion"] = "0.3"
			a["ce-datacontentencoding"] = ""
		}},
		{"no time", func(a map[string]string) { a["ce-time"] = "yesterday" }},
		{"a name that is none", func(a map[string]string) { a["ce-job_id"] = "x" }},
		{"an empty name", func(a map[string]string) { a["ce-"] = "x" }},
		{"data among the attributes", func(a map[string]string) { a["ce-data_base64"] = "?" }},
		{"no media type", func(a map[string]string) { a["content-type"] = "a;b" }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := encode(t, running())
			test.change(m.Attributes)
			if c, err := event.FromMessage(m.Attributes, m.Data); err == nil {
				t.Errorf("no error, and the event\n%s", c)
			}
		})
	}
}

func TestDecode(t *testing.T) {
	tests := []struct {
		name, contentType, data string
		want                    event.Body
		bad                     bool
	}{
		{
			name: "a body", contentType: "application/json", data: `{"attempt":"a","sequence":2}`,
			want: event.Body{Attempt: "a", Sequence: 2},
		},
		{
			name: "with parameters", contentType: "application/json; charset=utf-8", data: `{"attempt":"a"}`,
			want: event.Body{Attempt: "a"},
		},
		{
			name: "with fields of a later version", contentType: "application/json", data: `{"attempt":"a","later":{}}`,
			want: event.Body{Attempt: "a"},
		},
		{name: "nothing", contentType: "application/json", data: "", bad: true},
		{name: "null", contentType: "application/json", data: "null", bad: true},
		{name: "of someone else", contentType: "application/json", data: `{"id":1}`, bad: true},
		{name: "cut off", contentType: "application/json", data: `{"attempt":"a"`, bad: true},
		{name: "a list", contentType: "application/json", data: `[]`, bad: true},
		{name: "a number for a text", contentType: "application/json", data: `{"attempt":1}`, bad: true},
		{name: "a text", contentType: "text/plain", data: `{"attempt":"a"}`, bad: true},
		{name: "some bytes", contentType: "application/octet-stream", data: `{"attempt":"a"}`, bad: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := encode(t, running())
			m.Attributes["content-type"] = test.contentType
			m.Attributes["ce-type"] = "dev.jobdrop.job.later.v1" // one that this version does not know
			c, err := event.FromMessage(m.Attributes, []byte(test.data))
			if err != nil {
				t.Fatal(err)
			}
			typ, got, err := event.Decode(c)
			if test.bad {
				if err == nil {
					t.Errorf("no error, and the body %+v", got)
				}
				return
			}
			if err != nil || typ != "dev.jobdrop.job.later.v1" {
				t.Errorf("type %q, %v", typ, err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever comes over a topic gives an event or an error; an event survives
// being sent on.
func FuzzFromMessage(f *testing.F) {
	golden, err := os.ReadFile(goldenMessage)
	if err != nil {
		f.Fatal(err)
	}
	var m message
	if err := json.Unmarshal(golden, &m); err != nil {
		f.Fatal(err)
	}
	a := m.Attributes
	add := func(version, name, value string) {
		f.Add(version, a["ce-id"], a["ce-source"], a["ce-type"], a["ce-time"], a["content-type"], name, value, []byte(m.Data))
	}
	for _, version := range []string{"1.0", "0.3", ""} {
		add(version, "ce-jobid", a["ce-jobid"])
		add(version, "ce-", "x")
		for _, name := range []string{
			"ce-data", "ce-data_base64", "ce-datacontentencoding", "ce-schemaurl", "ce-dataschema", "ce-datacontenttype",
			"CE-ID",
		} {
			add(version, name, "base64")
			add(version, name, "")
		}
	}
	f.Fuzz(func(t *testing.T, version, id, source, typ, when, contentType, name, value string, data []byte) {
		attributes := map[string]string{
			"ce-specversion": version, "ce-id": id, "ce-source": source, "ce-type": typ, "ce-time": when,
			"content-type": contentType, name: value,
		}
		for name, value := range attributes {
			if value == "" {
				delete(attributes, name)
			}
		}
		if value == "" {
			attributes[name] = "" // one attribute is tried empty, too
		}
		c, err := event.FromMessage(attributes, data)
		if err != nil {
			return
		}
		if err := c.Validate(); err != nil {
			t.Errorf("an event that is not valid: %v", err)
		}
		if !bytes.Equal(c.Data(), data) {
			t.Errorf("data %q, want %q", c.Data(), data)
		}
		_, _, _ = event.Decode(c)
		attributes, data = event.ToMessage(c)
		again, err := event.FromMessage(attributes, data)
		if err != nil {
			t.Fatalf("sent on as %v: %v", attributes, err)
		}
		if again.ID() != c.ID() || again.Type() != c.Type() || !again.Time().Equal(c.Time()) ||
			!bytes.Equal(again.Data(), c.Data()) {
			t.Errorf("sent on:\n%s\nwas:\n%s", again, c)
		}
	})
}
