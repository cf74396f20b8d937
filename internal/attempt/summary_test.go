package attempt

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// What a summary says comes back from its metadata, whatever people named their folders. Any interface of Cloud
// Storage can pass it on in headers of HTTP.
func TestSummaryMetadata(t *testing.T) {
	long := strings.Repeat("é", 507) // 1,014 bytes: with a slash and job.yaml a name is full
	for _, folder := range []string{
		"", "teams/nlp/", "학습 100%/a b/", "a\x01\x7f/%41/ü /", "*/", "//", "a?b#c&d=e+f/", "\xff/", long + "/",
	} {
		r := NewRecord(job.Object{
			Bucket: strings.Repeat("b", 222), Name: folder + "job.yaml", Generation: 7,
			Created: time.Date(2026, 11, 22, 12, 0, 0, 123_999_000, time.UTC), CorrelationID: strings.Repeat("ü", 300),
		}, time.Now())
		r.State, r.Job.ID, r.Times.Concluded = job.TimedOut, strings.Repeat("j", 128), r.Times.Seen
		s := r.Summary()
		if s.Folder != folder || s.Dropped.Nanosecond() != 123_000_000 || s.State != job.TimedOut {
			t.Errorf("summary: %+v", s)
		}
		size := 0
		m := s.Metadata("jobdrop-")
		bare := map[string]string{}
		for key, value := range m {
			size += len(key) + len(value)
			for _, c := range []byte(value) {
				if c <= ' ' || c > '~' {
					t.Errorf("%s has the byte %#x", key, c)
				}
			}
			if http.CanonicalHeaderKey("x-goog-meta-"+key) == "x-goog-meta-"+key {
				t.Errorf("%s is not a header's name", key)
			}
			bare[strings.TrimPrefix(key, "jobdrop-")] = value
		}
		if size > 6<<10 { // other metadata have their share of 8 KiB
			t.Errorf("%d bytes of metadata", size)
		}
		if diff := cmp.Diff(s, ParseSummary(r.Attempt, bare)); diff != "" {
			t.Errorf("read back (-written +read):\n%s", diff)
		}
	}
	// What an earlier revision wrote, or somebody damaged.
	got := ParseSummary("k", map[string]string{"state": "failed", "folder": "100%", "dropped": "yesterday"})
	if diff := cmp.Diff(Summary{Attempt: "k", State: job.Failed, Folder: "100%"}, got); diff != "" {
		t.Errorf("damaged (-want +got):\n%s", diff)
	}
}

// The index entry of an attempt shows what its record does, and events show.
func TestEntrySummary(t *testing.T) {
	r := NewRecord(job.Object{Bucket: "inbox", Name: "a/job.yaml", Generation: 7, CorrelationID: "c"}, at(0))
	r.State, r.Job = job.Submitted, job.JobInfo{ID: "j", State: job.BackendCancelling, PreviousState: job.BackendRunning}
	got, want := NewEntry(Stored{Record: r}).Summary(), r.Summary()
	want.Seen = time.Time{}
	if diff := cmp.Diff(want, got); diff != "" || got.State != job.Running || !got.Dropped.Equal(at(0)) {
		t.Errorf("entry (-record +entry):\n%s", diff)
	}
}

// The note of the queue is bounded in places and in bytes. Its digest is of what it says, not of when.
func TestQueueNote(t *testing.T) {
	var q Queue
	if d, err := q.Digest(); d != "" || err != nil {
		t.Errorf("nobody waits: %q, %v", d, err)
	}
	for range MaxWaiting + 5 {
		q.Add(Entry{Attempt: "a", JobFile: "f/job.yaml", JobID: "j", Accepted: at(0)}, "waiting: "+strings.Repeat("x", 500))
	}
	if q.Total != MaxWaiting+5 || len(q.Waiting) != MaxWaiting || q.Waiting[MaxWaiting-1].Place != MaxWaiting {
		t.Errorf("%d of %d places", len(q.Waiting), q.Total)
	}
	if n := len(q.Waiting[0].Reason); n > placeText+3 {
		t.Errorf("a reason of %d bytes", n)
	}
	first, _ := q.Digest()
	q.At = at(time.Hour)
	if again, _ := q.Digest(); again != first || first == "" {
		t.Errorf("digest %q at another time, %q before", again, first)
	}
	q.Waiting[3].Reason = "waiting: paused by the operator"
	if changed, _ := q.Digest(); changed == first {
		t.Error("another reason has the same digest")
	}
	var large Queue
	for range MaxWaiting {
		large.Add(Entry{Attempt: strings.Repeat("f", 60), JobFile: strings.Repeat("\x01", 1000) + "/job.yaml"}, "x")
	}
	if size := encoded(t, large); size > MaxQueue || size < MaxQueue/2 || large.Total != MaxWaiting {
		t.Errorf("a note of %d bytes, with %d of %d places", size, len(large.Waiting), large.Total)
	}
}
