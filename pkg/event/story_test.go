package event_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/flow/relay"
	"github.com/jobdrop/jobdrop/internal/testing/eventtest"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// The examples of docs/events tell of one folder, census/, over a day. They are
// made by the domain's own transitions, told by the relay and encoded as they
// are published, so they show what subscribers get.

const (
	examples      = "../../docs/events"
	statusExample = examples + "/status.json"

	inbox, staging, project, instance = "acme-inbox", "acme-staging", "acme-ml", "prod"
)

// received is a Pub/Sub message as a subscriber has it, less what the service
// adds: its own ID and time.
type received struct {
	message
	OrderingKey string `json:"orderingKey"`
}

// story is what became of the folder. It stands in for Pub/Sub, the ledger's
// index and the status bucket.
type story struct {
	*testing.T
	relay *relay.Relay
	// messages are all that were published, statuses all that status.json ever
	// was.
	messages []received
	statuses [][]byte

	record attempt.Record
}

func (s *story) Publish(_ context.Context, key string, events []job.Event) error {
	for _, e := range events {
		c, err := event.Encode(instance, e)
		if err != nil {
			return err
		}
		eventtest.Check(s, c)
		attributes, data := event.ToMessage(c)
		s.messages = append(s.messages, received{message{attributes, data}, key})
	}
	return nil
}

func (s *story) Mark(context.Context, attempt.Entry) error                  { return nil }
func (s *story) Grant(context.Context, attempt.Asked, attempt.Answer) error { return nil }

func (s *story) Close(context.Context, attempt.Record) error { return nil }
func (s *story) Entry(context.Context, string) (attempt.Entry, error) {
	return attempt.Entry{}, job.ErrNotFound
}

func (s *story) Stat(context.Context, string, string) (job.Attributes, error) {
	return job.Attributes{}, job.ErrNotFound
}

func (s *story) Write(_ context.Context, _, name string, data []byte, _ string, _ map[string]string,
	_ int64) (int64, error) {
	if name == "census/status.json" {
		eventtest.CheckStatus(s, data)
		s.statuses = append(s.statuses, data)
	}
	return 1, nil
}

// clock returns a time on the day of the story.
func clock(text string) time.Time {
	t, err := time.Parse(time.DateTime, "2026-11-23 "+text)
	if err != nil {
		panic(err) // the story's own text
	}
	return t
}

// stored returns an object of the folder. Cloud Storage's generations are the
// microseconds of its clock.
func stored(name, text, crc32c string, size int64) job.Object {
	created := clock(text).Add(381 * time.Millisecond)
	return job.Object{
		Bucket: inbox, Name: "census/" + name, Generation: created.UnixMicro(), Size: size, CRC32C: crc32c, Created: created,
	}
}

// begin makes an attemptKey of a job file that was dropped at a time.
func (s *story) begin(dropped string) {
	jobFile := stored("job.yaml", dropped, "3q2+7w==", 331)
	jobFile.CorrelationID = "build-" + strings.ReplaceAll(dropped[:5], ":", "")
	jobFile.Uploader = job.Uploader{
		Name: "ci@acme.example", Commit: "4f2c9e1", Branch: "main", URL: "https://ci.acme.example/runs/" + jobFile.CorrelationID,
	}
	s.record = attempt.NewRecord(jobFile, jobFile.Created.Add(2*time.Second))
}

// step takes an observation at a time, and records the events of what it changed.
func (s *story) step(now time.Time, o attempt.Observation) {
	s.Helper()
	next, changed, err := attempt.Step(s.record, o, now)
	if err != nil || !changed {
		s.Fatalf("%T at %s: changed %t, %v", o, now, changed, err)
	}
	s.record = next
	s.tell()
}

func (s *story) tell() {
	s.Helper()
	before := s.record.Sequence
	if len(s.record.Outbox) > 0 {
		before = s.record.Outbox[0].Body.Sequence - 1
	}
	stored := attempt.Stored{Record: s.record, Published: before, Own: true}
	if err := s.relay.Tell(s.Context(), stored, attempt.Entry{}); err != nil {
		s.Fatal(err)
	}
	s.record = s.record.TrimOutbox(s.record.Sequence)
}

// violations are what is wrong in the first job file, in the words of package
// jobspec.
var violations = []job.Violation{
	{
		Rule: "region-required", Severity: job.Error, File: "job.yaml", Position: job.Position{Line: 1, Column: 1},
		Field: "trainingInput.region", Message: "the job has no region",
		Remedy: "write region: and the region of the data's bucket, e.g. us-central1",
	},
	{
		Rule: "max-wait-time", Severity: job.Error, File: "job.yaml", Position: job.Position{Line: 8, Column: 18},
		Field: "trainingInput.scheduling.maxWaitTime", Found: "60s", Allowed: "1800s or more",
		Message: "the wait is shorter than the service's minimum",
		Remedy:  "write 1800s, or remove the field to wait without limit",
	},
}

// accept takes the drop with the package that came in the morning.
func (s *story) accept(now time.Time) {
	s.Helper()
	backend, jobFile := stored("trainer-0.1.tar.gz", "09:21:40", "yZRlqg==", 5120), s.record.Drop.JobFile
	staged := []string{fmt.Sprintf("gs://%s/%s/%d/%s", staging, s.record.Attempt, backend.Generation, backend.Base())}
	spec := job.Spec{JobID: job.DefaultJobID(jobFile), TrainingInput: &job.TrainingInput{
		ScaleTier: "CUSTOM", MasterType: "n1-standard-8", Region: "us-central1", RuntimeVersion: "2.11", PythonVersion: "3.7",
		PythonModule: "trainer.task", Args: []string{"--epochs=20"}, PackageURIs: staged, JobDir: "gs://acme-models/census",
		Scheduling: &job.Scheduling{MaxWaitTime: "1800s", MaxRunningTime: "7200s"},
	}}
	content, err := job.Content(spec, nil, []job.Object{backend})
	if err != nil {
		s.Fatal(err)
	}
	spec.Labels = job.Labels(map[string]string{"team": "forecasting"}, instance, s.record.Attempt, content)
	s.step(now, attempt.Routed{Routes: []string{"forecasting"}, Observation: attempt.Accept{
		Spec: spec, Backend: "aiplatform",
		Receipt: job.Receipt{Objects: []job.Object{jobFile, backend}, Staged: staged, Content: content},
		Claim:   attempt.Claim{Owner: "prod/1", Until: now.Add(3 * time.Minute), Nonce: "1"},
	}})
}

// see takes what the backend says of the job.
func (s *story) see(now time.Time, l attempt.BackendJob) {
	s.Helper()
	id := s.record.Job.ID
	l.JobID, l.ResourceName = id, "projects/"+project+"/jobs/"+id
	l.Links = job.Links{
		Console: "https://console.cloud.google.com/mlengine/jobs/" + id + "?project=" + project,
		Logs:    "https://console.cloud.google.com/logs?resource=ml_job%2Fjob_id%2F" + id + "&project=" + project,
	}
	s.step(now, attempt.Seen(l, now))
}

// submit drops a job file at a time and follows its job until it runs.
func (s *story) submit(hour string) (created, started time.Time) {
	s.Helper()
	s.begin(hour + ":00:00")
	s.accept(clock(hour + ":01:02"))
	created, started = clock(hour+":01:04"), clock(hour+":04:31")
	s.see(clock(hour+":01:04"), attempt.BackendJob{State: job.BackendQueued, Created: created})
	s.see(clock(hour+":05:00"), attempt.BackendJob{State: job.BackendRunning, Created: created, Started: started})
	return created, started
}

// tellStory lets a day go by.
func tellStory(t *testing.T) *story {
	t.Helper()
	s := &story{T: t}
	var err error
	if s.relay, err = relay.New(s, s, s, "acme-status", time.Now, relay.Options{}); err != nil {
		t.Fatal(err)
	}

	// The first job file is wrong.
	s.begin("08:58:00")
	s.step(clock("08:58:03"), attempt.Reject{
		Reason: "the drop is not valid: job.yaml:1:1: trainingInput.region: the job has no region, and one more error; correct " +
			"it; upload changed packages first, then the job file; pin a package that stays, to start at once",
		Violations: violations,
	})

	// The second is right; its package comes late, the machines later.
	s.begin("09:05:00")
	incomplete := attempt.Incomplete{
		Missing: []string{"a package (*.tar.gz, *.tgz or *.whl)"}, ReportAfter: 15 * time.Minute, ExpireAfter: 24 * time.Hour,
	}
	s.step(clock("09:05:03"), incomplete)
	s.step(clock("09:21:00"), incomplete)
	s.accept(clock("09:21:43"))
	created, started := clock("09:21:45"), clock("09:47:12")
	s.see(clock("09:21:45"), attempt.BackendJob{State: job.BackendQueued, Created: created})
	s.see(clock("09:23:00"), attempt.BackendJob{State: job.BackendPreparing, Created: created})
	s.see(clock("09:46:00"), attempt.BackendJob{
		State: job.BackendPreparing, Created: created, Message: "Resources are insufficient in region us-central1.",
	})
	s.see(clock("09:48:00"), attempt.BackendJob{State: job.BackendRunning, Created: created, Started: started})
	s.see(clock("10:32:00"),
		attempt.BackendJob{State: job.BackendSucceeded, Created: created, Started: started, Ended: clock("10:31:26")})

	// The day's other jobs end in other ways. One is dropped again while it runs.
	created, started = s.submit("11")
	running := s.record
	s.begin("11:10:30")
	s.step(clock("11:10:33"), attempt.Withdraw{
		Reason: "a job of the same content had not ended in this folder when this job file was uploaded: attempt " +
			running.Attempt + ", now running; to run it again, upload the job file after its end",
		DuplicateOf: running.Attempt, JobID: running.Job.ID,
	})
	s.record = running
	s.see(clock("13:05:00"),
		attempt.BackendJob{State: job.BackendCancelled, Created: created, Started: started,
			Ended: started.Add(2 * time.Hour)})
	created, started = s.submit("14")
	s.see(clock("14:07:00"), attempt.BackendJob{
		State: job.BackendFailed, Created: created, Started: started, Ended: clock("14:06:18"),
		Message: "The replica master 0 exited with a non-zero status of 1.",
		Excerpt: "Traceback (most recent call last):\n  File \"trainer/task.py\", line 41, in load\n    return float(text)\n" +
			"ValueError: could not convert string to float: 'n/a'",
	})
	created, started = s.submit("15")
	s.see(clock("15:20:00"),
		attempt.BackendJob{State: job.BackendCancelled, Created: created, Started: started, Ended: clock("15:19:07")})
	s.submit("16")
	for _, text := range []string{"16:40:00", "16:41:00", "16:42:00"} {
		s.step(clock(text), attempt.NotFound(clock(text)))
	}

	// The last one never gets its package.
	s.begin("18:00:00")
	incomplete.Missing = []string{"trainer-0.2.tar.gz"}
	s.step(clock("18:00:03"), incomplete)
	s.step(clock("18:15:30"), incomplete)
	s.step(clock("18:00:30").AddDate(0, 0, 1), incomplete)
	return s
}

func examplePath(typ event.Type) string {
	return filepath.Join(examples, strings.TrimPrefix(string(typ), "dev.jobdrop.")+".json")
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func readExample(t *testing.T, typ event.Type) received {
	t.Helper()
	var m received
	if err := json.Unmarshal(readFile(t, examplePath(typ)), &m); err != nil {
		t.Fatalf("%s: %v", typ, err)
	}
	return m
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(readFile(t, path)), string(got)); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", path, diff)
	}
}

// The table for subscribers leads to everything that there is.
func TestReadmeLinksEveryType(t *testing.T) {
	readme := string(readFile(t, examples+"/README.md"))
	names := []string{
		"status.json", "../../pkg/event/schemas/" + filepath.Base(event.StatusSchema),
		"../../pkg/event/schemas/" + filepath.Base(event.BodySchema),
		"status-misnamed.json", "../../pkg/event/schemas/" + filepath.Base(event.MisnamedSchema),
	}
	for _, typ := range types(t) {
		names = append(names, filepath.Base(examplePath(typ)), "../../pkg/event/schemas/"+filepath.Base(event.SchemaOf(typ)))
	}
	for _, name := range names {
		if !strings.Contains(readme, "]("+name+")") {
			t.Errorf("docs/events/README.md has no link to %s", name)
		}
	}
}

// The example of a folder without an attempt is valid, and what the encoder writes.
func TestMisnamedExample(t *testing.T) {
	data := readFile(t, examples+"/status-misnamed.json")
	if err := eventtest.Validate(event.MisnamedSchema, data); err != nil {
		t.Error(err)
	}
	var m event.Misnamed
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	again, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(data), string(again)+"\n"); diff != "" {
		t.Errorf("the example (-file +encoded):\n%s", diff)
	}
}

func TestExamplesAreGolden(t *testing.T) {
	s := tellStory(t)
	want := []string{"README.md", "status-misnamed.json", "status.json"}
	for _, typ := range types(t) {
		i := slices.IndexFunc(s.messages, func(m received) bool { return m.Attributes["ce-type"] == string(typ) })
		if i < 0 {
			t.Errorf("nothing in the story is of type %s", typ)
			continue
		}
		var text bytes.Buffer
		w := json.NewEncoder(&text)
		w.SetEscapeHTML(false)
		w.SetIndent("", "  ")
		if err := w.Encode(s.messages[i]); err != nil {
			t.Fatal(err)
		}
		golden(t, examplePath(typ), text.Bytes())
		want = append(want, filepath.Base(examplePath(typ)))
	}
	// status.json is the final one of the job that most examples are about.
	i := slices.IndexFunc(s.statuses,
		func(data []byte) bool { return bytes.Contains(data, []byte(`"state": "succeeded"`)) })
	if i < 0 {
		t.Fatal("no status.json tells of a success")
	}
	golden(t, statusExample, s.statuses[i])

	var got []string
	files, err := os.ReadDir(examples)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		got = append(got, f.Name())
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files of %s (-want +got):\n%s", examples, diff)
	}
}

// A subscriber that reads an example gets the event whose example it is, and
// loses nothing.
func TestExamplesAreReadBack(t *testing.T) {
	for _, typ := range types(t) {
		t.Run(string(typ), func(t *testing.T) {
			m := readExample(t, typ)
			c, err := event.FromMessage(m.Attributes, m.Data)
			if err != nil {
				t.Fatal(err)
			}
			eventtest.Check(t, c)
			got, body, err := event.Decode(c)
			if err != nil || got != typ {
				t.Errorf("type %s, %v", got, err)
			}
			if body.Attempt != m.OrderingKey {
				t.Errorf("the ordering key is %s, the attemptKey %s", m.OrderingKey, body.Attempt)
			}
			attributes, data := event.ToMessage(c)
			if diff := cmp.Diff(m.message, message{attributes, data}); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			if err := eventtest.ValidateOpen(c.DataSchema(), data); err != nil {
				t.Error(err)
			}
		})
	}
	eventtest.CheckStatus(t, readFile(t, statusExample))
}
