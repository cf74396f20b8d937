package attempt

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/pkg/job"
)

var update = flag.Bool("update", false, "write the golden files")

// forms calls test with each golden record and its form. The code of that form's time wrote them: a
// drop that was never complete, one that waits in the queue, a job that runs, one that timed out.
func forms(t *testing.T, test func(t *testing.T, path string, form int, data []byte)) {
	t.Helper()
	for form := 1; form <= RecordVersion; form++ {
		for _, name := range []string{"incomplete", "queued", "running", "timed-out"} {
			path := filepath.Join("testdata", "records", fmt.Sprintf("form%d-%s.json", form, name))
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			t.Run(filepath.Base(path), func(t *testing.T) { test(t, path, form, data) })
		}
	}
}

// A record of each form is read. Written again, without a change, it is what its golden file holds,
// or for the present form the same bytes.
func TestFormsAreRead(t *testing.T) {
	forms(t, func(t *testing.T, path string, form int, data []byte) {
		var r Record
		if err := json.Unmarshal(data, &r); err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		want := data
		if form < RecordVersion {
			golden := strings.TrimSuffix(path, ".json") + ".read.json"
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want, err = os.ReadFile(golden); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(want, got) {
			t.Errorf("the record (-want +got):\n%s", cmp.Diff(indented(t, want), indented(t, got)))
		}
		var again Record
		if err := json.Unmarshal(got, &again); err != nil {
			t.Fatal(err)
		}
		again.RecordVersion = r.RecordVersion
		if diff := cmp.Diff(r, again); form == RecordVersion && diff != "" {
			t.Errorf("read twice (-once +twice):\n%s", diff)
		}
	})
}

// What the texts of each form say is what the code goes by.
func TestFormsAreFollowed(t *testing.T) {
	forms(t, func(t *testing.T, path string, form int, data []byte) {
		var r Record
		if err := json.Unmarshal(data, &r); err != nil {
			t.Fatal(err)
		}
		now := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
		switch r.State {
		case job.Accepted:
			next, changed, err := Step(r, TakeClaim{Claim: Claim{Until: now.Add(time.Minute)}, Turn: true}, now)
			if err != nil || !changed {
				t.Fatalf("not claimed: changed %t, %v", changed, err)
			}
			var want time.Time // form 1 asked without end
			if form > 1 {
				want = now.Add(24*time.Hour - 3*time.Minute - 250*time.Millisecond) // less what it was asked for
			}
			if got := next.Deadlines.Submit; !got.Equal(want) || next.RecordVersion != RecordVersion {
				t.Errorf("asked until %s, want %s; form %d", got, want, next.RecordVersion)
			}
		case job.Submitted:
			// It runs since 12:39 for at most two hours, with a grace of 15 minutes, and from form 3 on is
			// expected to run for less than a day. In form 7 somebody asked to cancel it.
			if got := r.CancelDue(now); r.CancelAsked() != (form > 6) || r.CancelAsked() && got != job.KindRequest {
				t.Errorf("asked for: %t, cancelled for its %q", r.CancelAsked(), got)
			}
			r.CancelRequested = nil
			if got := r.CancelDue(time.Date(2026, 11, 22, 14, 53, 59, 0, time.UTC)); got != "" {
				t.Errorf("cancelled within the grace, for its %s", got)
			}
			if got := r.CancelDue(time.Date(2026, 11, 22, 14, 55, 0, 0, time.UTC)); got != job.KindRun {
				t.Errorf("cancelled after the grace for its %q", got)
			}
			if _, lasts := r.stuck(); form > 2 && lasts != 24*time.Hour {
				t.Errorf("expected to run for %s", lasts)
			}
		case job.TimedOut:
			if r.Timeout.Limit != job.Duration(2*time.Hour) || r.Backend != "vertex" {
				t.Errorf("timed out after %s of %s", r.Timeout.Limit, r.Backend)
			}
		}
	})
}

func indented(t *testing.T, data []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, data, "", "  "); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
