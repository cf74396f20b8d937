package ledger_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/internal/local/storage"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/internal/testing/storagetest"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// history is an installation's: attempts that were dropped a second apart, in two hundred folders. The first ones
// have their verdict, every fourth of them failed; the last ones are open, and every second of those runs.
type history struct {
	attempts, open int
	// whole is how many of the newest have all that the functions write, as do those of the folder that [look] looks
	// for. The others are at their places by time alone: nobody reads more of them.
	whole int
}

// at returns an attempt's record.
func (h history) at(t testing.TB, i int) attempt.Record {
	t.Helper()
	o := job.Object{
		Bucket: "inbox", Name: fmt.Sprintf("teams/%d/a%d/job.yaml", i%10, i%200), Generation: 1_795_424_700_000_000 + int64(i),
		Created: now.Add(time.Duration(i) * time.Second), CorrelationID: fmt.Sprintf("größe %d", i%50),
	}
	r := attempt.NewRecord(o, o.Created)
	listed := attempt.BackendJob{JobID: fmt.Sprintf("j%d", i), ResourceName: "projects/p/jobs/j", State: job.BackendQueued}
	steps := []attempt.Observation{attempt.Accept{
		Spec: job.Spec{JobID: listed.JobID, TrainingInput: &job.TrainingInput{}}, Receipt: job.Receipt{Content: "c"},
		Claim: attempt.Claim{Owner: "w", Until: now.Add(time.Minute), Nonce: "n"},
	}, attempt.Seen(listed, o.Created)}
	if i%2 == 0 {
		running := listed
		running.State, running.Started = job.BackendRunning, o.Created
		steps = append(steps, attempt.Seen(running, o.Created))
	}
	if i < h.attempts-h.open {
		ended := listed
		ended.State, ended.Started, ended.Ended = job.BackendSucceeded, o.Created, o.Created.Add(time.Minute)
		if i%4 == 0 {
			ended.State = job.BackendFailed
		}
		steps = append(steps, attempt.Seen(ended, ended.Ended))
	}
	for _, step := range steps {
		var err error
		if r, _, err = attempt.Step(r, step, o.Created); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// write writes the history as the functions do: by the ledger's own calls, in parallel.
func (h history) write(t testing.TB, client *gcs.Client) {
	t.Helper()
	from := now.Add(time.Duration(h.attempts-h.whole) * time.Second)
	h.each(t, client, func(ctx context.Context, l *ledger.Ledger, client *gcs.Client, r attempt.Record) error {
		if r.Times.Dropped.Before(from) && r.Drop.Prefix != lookedFor {
			_, err := l.Place(ctx, attempt.Filed{Summary: first(r).Summary()})
			return err
		}
		return writeOne(ctx, l, client, r)
	})
}

// each does the same for each attempt, some at once.
func (h history) each(t testing.TB, client *gcs.Client,
	do func(context.Context, *ledger.Ledger, *gcs.Client, attempt.Record) error) {
	t.Helper()
	l, err := ledger.New(client, "state", ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	next := make(chan int)
	for range 16 {
		group.Go(func() {
			for i := range next {
				if err := do(t.Context(), l, client, h.at(t, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range h.attempts {
		next <- i
	}
	close(next)
	group.Wait()
}

// first returns a record as it was before its drop was judged.
func first(r attempt.Record) attempt.Record {
	r.State, r.Job = "", job.JobInfo{}
	return r
}

// writeOne writes an attempt. The record comes last.
func writeOne(ctx context.Context, l *ledger.Ledger, client *gcs.Client, r attempt.Record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	metadata := r.Summary().Metadata("")
	metadata["revision"] = fmt.Sprint(r.Revision)
	// Of what ended, the way through the index is left out: it leaves nothing.
	if r.State.Terminal() {
		if _, err := l.Place(ctx, attempt.Filed{Summary: first(r).Summary()}); err != nil {
			return err
		}
		_, err = l.Place(ctx, attempt.Filed{Summary: r.Summary()})
	} else if _, err = l.Open(ctx, attempt.NewEntry(attempt.Stored{Record: first(r)})); err == nil {
		err = l.Mark(ctx, attempt.NewEntry(attempt.Stored{Record: r, Published: r.Sequence}))
	}
	if err != nil {
		return err
	}
	_, err = client.Write(ctx, "state", "attempts/"+r.Attempt+".json", data, "application/json", metadata, 0)
	return err
}

// localStorage starts a Cloud Storage of the local stack.
func localStorage(t testing.TB) (url string, client *gcs.Client) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := storage.Serve(context.Background(), storage.Options{Dir: t.TempDir(), Listener: l, Buckets: []string{"state"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if client, err = gcs.New(t.Context(), s.URL()); err != nil {
		t.Fatal(err)
	}
	return s.URL(), client
}

// lookedFor is the folder of which [look] reads a page.
const lookedFor = "teams/7/a177/"

// look reads the pages that people open first, and returns how many calls of each kind each of them took.
func look(ctx context.Context, t testing.TB, client *gcs.Client, h history) map[string]map[string]int {
	t.Helper()
	counted := &storagetest.Faults{Client: client}
	reader, err := ledger.NewReader(counted, "state")
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]map[string]int{}
	page := func(name string, q ledger.Query) ledger.Page {
		counted.Reset()
		p, err := reader.Page(ctx, q)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		calls[name] = kinds(counted.Calls())
		return p
	}
	newest := page("newest", ledger.Query{})
	second := page("second", ledger.Query{Token: newest.Next})
	failed := page("failed", ledger.Query{State: job.Failed})
	running := page("running", ledger.Query{State: job.Running})
	found := page("folder", ledger.Query{Folder: lookedFor})
	last, ended := h.attempts-1, h.attempts-h.open
	sameFolder := last
	for sameFolder%200 != 177 {
		sameFolder--
	}
	for name, got := range map[string]struct {
		page  ledger.Page
		first int
		state job.State
		step  int
	}{
		"newest": {newest, last, job.Queued, 1}, "second": {second, last - ledger.PageSize, job.Queued, 1},
		"failed": {failed, (ended - 1) / 4 * 4, job.Failed, 4}, "running": {running, last / 2 * 2, job.Running, 2},
		"folder": {found, sameFolder, "", 200},
	} {
		for i, row := range got.page.Attempts {
			want := h.at(t, got.first-i*got.step)
			if row.Attempt != want.Attempt || row.State != want.Shown() || row.JobID != want.Job.ID ||
				row.Folder != want.Drop.Prefix || row.CorrelationID != want.CorrelationID {
				t.Errorf("%s: row %d is %+v, want %s %s", name, i, row, want.Attempt, want.Shown())
				break
			}
		}
		if n := len(got.page.Attempts); n != ledger.PageSize && name != "folder" || n == 0 || got.page.Next == "" {
			t.Errorf("%s: %d rows, next page %q", name, n, got.page.Next)
		}
	}
	if want := now.Add(time.Duration(last-ledger.PageSize+1) * time.Second); !newest.Back.Equal(want) {
		t.Errorf("the newest page goes back to %s, want %s", newest.Back, want)
	}
	// The second list begins with the name that the first one ended with.
	if want := now.Add(time.Duration(last-ledger.MaxScan+2) * time.Second); !found.Back.Equal(want) {
		t.Errorf("the search went back to %s, want %s", found.Back, want)
	}
	counted.Reset()
	one, err := reader.Attempt(ctx, newest.Attempts[0].Attempt)
	if err != nil || one.Attempt != newest.Attempts[0].Attempt || len(one.History) < 2 {
		t.Errorf("attempt: %+v, %v", one, err)
	}
	calls["attempt"] = kinds(counted.Calls())
	return calls
}

func kinds(calls []storagetest.Call) map[string]int {
	n := map[string]int{}
	for _, c := range calls {
		n[c.Kind]++
	}
	return n
}

// wantCalls says what each page costs, however many attempts there are: one list, and what it shows.
var wantCalls = map[string]map[string]int{
	"newest": {"list": 1, "stat": ledger.PageSize}, "second": {"list": 1, "stat": ledger.PageSize},
	"failed": {"list": 1}, "running": {"list": 1}, "attempt": {"read": 1},
	"folder": {"list": 2, "stat": 10}, // 2,000 entries, of which ten are the folder's
}

const elsewhere = "JOBDROP_TEST_READ_AT"

// TestReadElsewhere is run by [checkHistory], in a process of its own. The environment says what it reads, and where.
func TestReadElsewhere(t *testing.T) {
	var h history
	var url string
	if n, _ := fmt.Sscanf(os.Getenv(elsewhere), "%s %d %d", &url, &h.attempts, &h.open); n != 3 {
		t.Skip("it has nothing to read")
	}
	client, err := gcs.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantCalls, look(t.Context(), t, client, h)); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// checkHistory writes a history and reads it: here, and in two fresh processes at once.
func checkHistory(t testing.TB, h history) {
	t.Helper()
	url, client := localStorage(t)
	began := time.Now()
	h.write(t, client)
	t.Logf("%d attempts were written in %.1f s", h.attempts, time.Since(began).Seconds())
	began = time.Now()
	if diff := cmp.Diff(wantCalls, look(t.Context(), t, client, h)); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	t.Logf("read in %d ms, with the calls %v", time.Since(began).Milliseconds(), wantCalls)
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			// #nosec G204 -- this test itself
			c := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestReadElsewhere$", "-test.v")
			c.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d", elsewhere, url, h.attempts, h.open))
			if out, err := c.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: TestReadElsewhere")) {
				t.Errorf("another process: %v\n%s", err, out)
			}
		})
	}
	group.Wait()
}

func TestHistory(t *testing.T) {
	// The first page of those that failed goes back 400 attempts, and wants one more.
	checkHistory(t, history{attempts: 2200, open: 200, whole: 450})
}

// BenchmarkHistory reads the pages of 100,000 attempts. To write them takes minutes.
func BenchmarkHistory(b *testing.B) {
	checkHistory(b, history{attempts: 100_000, open: 1000, whole: 100_000})
	for b.Loop() {
		b.ReportMetric(0, "ns/op") // the calls count, not the time
	}
}

// few is a short history that has been written.
func few(t *testing.T, h history) (*ledger.Reader, *storagetest.Faults) {
	t.Helper()
	_, client := localStorage(t)
	h.write(t, client)
	faults := &storagetest.Faults{Client: client}
	r, err := ledger.NewReader(faults, "state")
	if err != nil {
		t.Fatal(err)
	}
	return r, faults
}

// walk reads all pages of a query, and returns the attempts' job IDs.
func walk(t *testing.T, r *ledger.Reader, q ledger.Query) (ids []string, sizes []int) {
	t.Helper()
	for {
		p, err := r.Page(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range p.Attempts {
			ids = append(ids, row.JobID)
		}
		sizes = append(sizes, len(p.Attempts))
		if q.Token = p.Next; q.Token == "" {
			return ids, sizes
		}
	}
}

// The pages of a query together show each of its attempts once, the newest first.
func TestReaderWalks(t *testing.T) {
	h := history{attempts: 230, open: 120, whole: 230}
	r, _ := few(t, h)
	of := func(takes func(i int) bool) (ids []string) {
		for i := h.attempts - 1; i >= 0; i-- {
			if takes(i) {
				ids = append(ids, fmt.Sprintf("j%d", i))
			}
		}
		return ids
	}
	ended := func(i int) bool { return i < h.attempts-h.open }
	for _, test := range []struct {
		name  string
		query ledger.Query
		want  []string
		sizes []int
	}{
		{"all", ledger.Query{}, of(func(int) bool { return true }), []int{50, 50, 50, 50, 30}},
		{"succeeded", ledger.Query{State: job.Succeeded}, of(func(i int) bool { return ended(i) && i%4 > 0 }), []int{50, 32}},
		{"lost", ledger.Query{State: job.Lost}, nil, []int{0}},
		{"queued", ledger.Query{State: job.Queued}, of(func(i int) bool { return !ended(i) && i%2 > 0 }), []int{50, 10}},
		{"below a folder", ledger.Query{Folder: "teams/3/"}, of(func(i int) bool { return i%10 == 3 }), []int{23}},
		{"by correlation ID", ledger.Query{CorrelationID: "größe 7"}, of(func(i int) bool { return i%50 == 7 }), []int{5}},
		{"both", ledger.Query{Folder: "teams/7/", CorrelationID: "größe 7"}, of(func(i int) bool { return i%50 == 7 }), []int{5}},
		{"failed below a folder", ledger.Query{State: job.Failed, Folder: "teams/4/"},
			of(func(i int) bool { return ended(i) && i%4 == 0 && i%10 == 4 }), []int{6}},
		{"running below a folder", ledger.Query{State: job.Running, Folder: "teams/4/"},
			of(func(i int) bool { return !ended(i) && i%10 == 4 }), []int{12}},
		{"of a job", ledger.Query{JobID: "nothing"}, nil, []int{0}},
		{"since a time", ledger.Query{Since: h.at(t, 170).Times.Dropped}, of(func(i int) bool { return i >= 170 }), []int{50, 10}},
		{"failed since a time", ledger.Query{State: job.Failed, Since: h.at(t, 100).Times.Dropped},
			of(func(i int) bool { return ended(i) && i%4 == 0 && i >= 100 }), []int{3}},
		{"queued since a time", ledger.Query{State: job.Queued, Since: h.at(t, 200).Times.Dropped},
			of(func(i int) bool { return i%2 > 0 && i >= 200 }), []int{15}},
		{"below a folder since a time", ledger.Query{Folder: "teams/3/", Since: h.at(t, 200).Times.Dropped},
			of(func(i int) bool { return i%10 == 3 && i >= 200 }), []int{3}},
		{"all, in small pages", ledger.Query{Most: 49}, of(func(int) bool { return true }), []int{49, 49, 49, 49, 34}},
		{"queued, in small pages", ledger.Query{State: job.Queued, Most: 45}, of(func(i int) bool { return !ended(i) && i%2 > 0 }),
			[]int{45, 15}},
		{"below a folder, in small pages", ledger.Query{Folder: "teams/3/", Most: 20}, of(func(i int) bool { return i%10 == 3 }),
			[]int{20, 3}},
		{"visible", ledger.Query{Visible: below("teams/3/")}, of(func(i int) bool { return i%10 == 3 }), []int{23}},
		{"visible and failed", ledger.Query{State: job.Failed, Visible: below("teams/4/")},
			of(func(i int) bool { return ended(i) && i%4 == 0 && i%10 == 4 }), []int{6}},
		{"visible and running", ledger.Query{State: job.Running, Visible: below("teams/4/")},
			of(func(i int) bool { return !ended(i) && i%10 == 4 }), []int{12}},
		{"visible, of a folder", ledger.Query{Folder: "teams/3/", Visible: below("teams/4/")}, nil, []int{0}},
		{"nothing visible", ledger.Query{Visible: below("none/")}, nil, []int{0}},
		{"visible, in small pages", ledger.Query{Most: 20, Visible: below("teams/3/")},
			of(func(i int) bool { return i%10 == 3 }), []int{20, 3}},
	} {
		ids, sizes := walk(t, r, test.query)
		if diff := cmp.Diff(test.want, ids); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
		if diff := cmp.Diff(test.sizes, sizes); diff != "" {
			t.Errorf("%s: rows of pages (-want +got):\n%s", test.name, diff)
		}
	}
}

func below(folder string) func(string) bool {
	return func(f string) bool { return strings.HasPrefix(f, folder) }
}

// The page of a job, too, has only what is visible, and a token does not depend on that.
func TestReaderVisible(t *testing.T) {
	h := history{attempts: 30, open: 10, whole: 30}
	r, faults := few(t, h)
	l, err := ledger.New(faults.Client, "state", ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.ClaimID(t.Context(), "j3", attempt.Owner{Attempt: h.at(t, 3).Attempt}); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"teams/3/", "teams/4/"} {
		p, err := r.Page(t.Context(), ledger.Query{JobID: "j3", Visible: below(folder)})
		if err != nil || (len(p.Attempts) == 1) != (folder == "teams/3/") {
			t.Errorf("of a job, below %s: %+v, %v", folder, p.Attempts, err)
		}
	}
	all, err := r.Page(t.Context(), ledger.Query{Most: 10})
	if err != nil || all.Next == "" {
		t.Fatal(all.Next, err)
	}
	q := ledger.Query{Most: 10, Token: all.Next, Visible: below("teams/3/")}
	if p, err := r.Page(t.Context(), q); err != nil || len(p.Attempts) != 2 || p.Attempts[0].JobID != "j13" {
		t.Errorf("after the page of somebody who sees all: %+v, %v", p.Attempts, err)
	}
}

// shelf is a bucket in memory that keeps the metadata of many objects. Nothing else of them is asked for.
type shelf struct {
	*gcs.Client
	objects map[string]map[string]string
	lists   int
}

func (s *shelf) Write(
	_ context.Context, _, name string, _ []byte, _ string, metadata map[string]string, _ int64,
) (int64, error) {
	s.objects[name] = metadata
	return 1, nil
}

func (s *shelf) ListPage(
	_ context.Context, _, prefix, after string, most int,
) (page []job.Attributes, more bool, err error) {
	s.lists++
	for _, name := range slices.Sorted(maps.Keys(s.objects)) {
		if !strings.HasPrefix(name, prefix) || name <= after {
			continue
		}
		if len(page) == most {
			return page, true, nil
		}
		page = append(page, job.Attributes{Object: job.Object{Name: name}, Metadata: s.objects[name]})
	}
	return page, false, nil
}

// A search stops after 2,000 attempts and says so, and its token goes on. Of the attempts that are open, the pages of
// the first 2,000 come before the others.
func TestReaderScansLittle(t *testing.T) {
	shelf := &shelf{objects: map[string]map[string]string{}}
	l, err := ledger.New(shelf, "state", ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := history{attempts: 2100, open: 2100}
	for i := range h.attempts { // no record is read
		r := h.at(t, i)
		_, err := l.Place(t.Context(), attempt.Filed{Summary: r.Summary()})
		err = errors.Join(err, l.Mark(t.Context(), attempt.NewEntry(attempt.Stored{Record: r, Published: r.Sequence})))
		if err != nil {
			t.Fatal(err)
		}
	}
	r, err := ledger.NewReader(shelf, "state")
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []ledger.Query{{CorrelationID: "nobody's"}, {Visible: below("nobody's/")}} {
		shelf.lists = 0
		first, err := r.Page(t.Context(), q)
		if err != nil || len(first.Attempts) > 0 || first.Next == "" || first.Back.IsZero() || shelf.lists != 2 {
			t.Fatalf("first: %+v, %v, after %d lists", first, err, shelf.lists)
		}
		q.Token = first.Next
		if last, err := r.Page(t.Context(), q); err != nil || last.Next != "" || !last.Back.IsZero() {
			t.Errorf("last: %+v, %v", last, err)
		}
	}
	for _, state := range []job.State{job.Running, job.Queued} {
		shelf.lists = 0
		ids, sizes := walk(t, r, ledger.Query{State: state})
		seen := map[string]bool{}
		for _, id := range ids {
			seen[id] = true
		}
		if len(ids) != h.attempts/2 || len(seen) != len(ids) {
			t.Errorf("%s: %d rows of %d attempts, want %d", state, len(ids), len(seen), h.attempts/2)
		}
		if shelf.lists > 2*len(sizes) {
			t.Errorf("%s: %d lists for %d pages", state, shelf.lists, len(sizes))
		}
	}
}

// An attempt is found by its job ID, by two calls.
func TestReaderFindsJobs(t *testing.T) {
	h := history{attempts: 3, open: 3, whole: 3}
	r, faults := few(t, h)
	l, err := ledger.New(faults, "state", ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for id, key := range map[string]string{"j1": h.at(t, 1).Attempt, "claimed": "0123"} {
		if _, _, err := l.ClaimID(t.Context(), id, attempt.Owner{Attempt: key}); err != nil {
			t.Fatal(err)
		}
	}
	faults.Reset()
	p, err := r.Page(t.Context(), ledger.Query{JobID: "j1"})
	if err != nil || len(p.Attempts) != 1 || p.Attempts[0].Attempt != h.at(t, 1).Attempt || p.Attempts[0].State != job.Queued {
		t.Errorf("%+v, %v", p, err)
	}
	if diff := cmp.Diff(map[string]int{"read": 1, "stat": 1}, kinds(faults.Calls())); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	// The metadata that an earlier revision wrote do not say of what the record is: it is read.
	name := "attempts/" + h.at(t, 1).Attempt + ".json"
	data, generation, err := faults.Client.Read(t.Context(), "state", name, 0, 1<<20)
	if err == nil {
		_, err = faults.Client.Write(t.Context(), "state", name, data, "application/json",
			map[string]string{"state": "submitted", "revision": "2"}, generation)
	}
	if err != nil {
		t.Fatal(err)
	}
	old, err := r.Page(t.Context(), ledger.Query{JobID: "j1"})
	if diff := cmp.Diff(p.Attempts, old.Attempts); err != nil || diff != "" {
		t.Errorf("with metadata of an earlier revision: %v (-now +then):\n%s", err, diff)
	}
	if p, err := r.Page(t.Context(), ledger.Query{JobID: "claimed"}); err != nil || len(p.Attempts) > 0 {
		t.Errorf("of a job that is not recorded yet: %+v, %v", p, err)
	}
}

// A folder's newest attempt is found by its note and one list: also one without a decision, which the note has not, and
// whatever attempts there are elsewhere.
func TestReaderFindsTheNewestOfAFolder(t *testing.T) {
	h := history{attempts: 210, open: 10, whole: 210} // in 200 folders
	r, faults := few(t, h)
	l, err := ledger.New(faults, "state", ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	decided := h.at(t, 7).Drop.JobFile
	note := attempt.FolderNote{}.Enter(job.Drop{}, decided, nil)
	if err := l.SwapFolderNote(t.Context(), "inbox", "teams/7/a7/", note); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		folder string
		want   int
		lists  int
	}{
		{"teams/7/a7/", 207, 1}, // later than the note's
		{"teams/8/a8/", 208, 1}, // without a note
		{"teams/5/a55/", 55, 1}, // the only one
	} {
		faults.Reset()
		got, err := r.Newest(t.Context(), "inbox", test.folder)
		if want := h.at(t, test.want).Attempt; err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", test.folder, got, err, want)
		}
		if diff := cmp.Diff(map[string]int{"read": 1, "list": test.lists}, kinds(faults.Calls())); diff != "" {
			t.Errorf("%s: calls (-want +got):\n%s", test.folder, diff)
		}
	}
	for _, elsewhere := range [][2]string{{"inbox", "teams/7/"}, {"inbox", ""}, {"other", "teams/7/a7/"}} {
		if got, err := r.Newest(t.Context(), elsewhere[0], elsewhere[1]); !errors.Is(err, job.ErrNotFound) {
			t.Errorf("%v: %q, %v", elsewhere, got, err)
		}
	}
	// Nothing is after the note's.
	newest := h.at(t, 207).Drop.JobFile
	stored, err := l.FolderNote(t.Context(), "inbox", "teams/7/a7/")
	if err == nil {
		err = l.SwapFolderNote(t.Context(), "inbox", "teams/7/a7/", stored.Enter(job.Drop{}, newest, nil))
	}
	if got, found := r.Newest(t.Context(), "inbox", "teams/7/a7/"); err != nil || found != nil || got != h.at(t, 207).Attempt {
		t.Errorf("%s, %v, %v", got, found, err)
	}
}

// full is a bucket in which each list has more.
type full struct{ askedFor }

func (f *full) ListPage(ctx context.Context, bucket, prefix, after string, most int) ([]job.Attributes, bool, error) {
	_, _, err := f.askedFor.ListPage(ctx, bucket, prefix, after, most)
	o := job.Attributes{Object: job.Object{Name: fmt.Sprintf("%s%d.json", prefix, len(f.lists))}}
	return []job.Attributes{o}, true, err
}

// A folder with more attempts without a decision than a search looks at is refused.
func TestReaderFindsNoNewestAmongTooMany(t *testing.T) {
	var f full
	r, err := ledger.NewReader(&f, "state")
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Newest(t.Context(), "inbox", "a/")
	if !errors.Is(err, ledger.ErrQuery) || !strings.Contains(err.Error(), "name one of them") || len(f.lists) != 2 {
		t.Errorf("%q, %v, after %d lists", got, err, len(f.lists))
	}
}

// What a client sends is checked: states, folders, and tokens, which are of one query alone.
func TestReaderRefuses(t *testing.T) {
	r, faults := few(t, history{attempts: 120, open: 120, whole: 120})
	good, err := r.Page(t.Context(), ledger.Query{})
	if err != nil {
		t.Fatal(err)
	}
	live, err := r.Page(t.Context(), ledger.Query{State: job.Running, Folder: "teams/"})
	if err != nil {
		t.Fatal(err)
	}
	token := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	data, err := base64.RawURLEncoding.DecodeString(good.Next)
	if err != nil {
		t.Fatal(err)
	}
	faults.Reset()
	for _, test := range []struct {
		query ledger.Query
		want  string
	}{
		{ledger.Query{State: "broken"}, `"broken" is not a state; there are`},
		{ledger.Query{Folder: "teams"}, "lacks its final slash"},
		{ledger.Query{Folder: strings.Repeat("x", 2000) + "/"}, "at most 1024 bytes"},
		{ledger.Query{Most: 51}, "from 1 to 50 attempts"},
		{ledger.Query{Most: -1}, "from 1 to 50 attempts"},
		{ledger.Query{JobID: "../j"}, "it has a slash"},
		{ledger.Query{JobID: "j", State: job.Failed}, "leave the other filters out"},
		{ledger.Query{State: job.Failed, Token: good.Next}, "of another query"},
		{ledger.Query{Folder: "teams/", Token: good.Next}, "of another query"},
		{ledger.Query{Token: "%"}, "not one of a page"},
		{ledger.Query{Token: token("{}")}, "not one of a page"},
		{ledger.Query{Token: token("[]")}, "not one of a page"},
		{ledger.Query{Token: token(strings.Replace(string(data), `"a":"`, `"a":"../`, 1))}, "not one of a page"},
		{ledger.Query{Token: strings.Repeat("A", 5000)}, "not one of a page"},
		{ledger.Query{State: job.Running, Token: good.Next}, "not one of a page"},
		{ledger.Query{State: job.Failed, Folder: "teams/", Token: live.Next}, "of another query"},
	} {
		_, err := r.Page(t.Context(), test.query)
		if !errors.Is(err, ledger.ErrQuery) || !strings.Contains(fmt.Sprint(err), test.want) {
			t.Errorf("%.200v: %v, want %q", test.query, err, test.want)
		}
	}
	if _, err := r.Attempt(t.Context(), "../epoch"); !errors.Is(err, ledger.ErrQuery) {
		t.Errorf("attempt: %v", err)
	}
	if n := len(faults.Calls()); n > 0 {
		t.Errorf("%d calls for what is refused", n)
	}
	if _, err := ledger.NewReader(nil, "state"); err == nil {
		t.Error("a reader without a store")
	}
}

// An attempt is placed under the time of its job file, once, and among the ended only with its verdict.
func TestPlace(t *testing.T) {
	l, faults := start(t)
	ctx := t.Context()
	record := attempt.NewRecord(jobFile("a/", 7), now)
	entry := attempt.NewEntry(attempt.Stored{Record: record})
	names := func() (names []string) {
		for _, folder := range []string{"recent/", "ended/"} {
			if err := faults.Client.ListAfter(ctx, "state", folder, "", func(page []job.Attributes) error {
				for _, o := range page {
					names = append(names, o.Name)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		return names
	}
	for range 2 {
		if _, err := l.Open(ctx, entry); err != nil {
			t.Fatal(err)
		}
	}
	const place = "8204651199999-" // 9999999999999 without 2026-11-22 12:00:00 UTC in milliseconds
	recent := "recent/" + place + record.Attempt
	if diff := cmp.Diff([]string{recent}, names()); diff != "" {
		t.Errorf("opened (-want +got):\n%s", diff)
	}
	open := apply(t, l, attempt.Stored{Record: record}, accepted)
	filed := func() (all []attempt.Filed) {
		if err := l.Filed(ctx, "", func(page []attempt.Filed) error {
			all = append(all, page...)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return all
	}
	if n, err := l.Place(ctx, filed()[0]); n != 0 || err != nil {
		t.Errorf("%d places were missing, %v", n, err)
	}
	done := apply(t, l, open, attempt.Seen(attempt.BackendJob{JobID: "j", State: job.BackendSucceeded, Started: now,
		Ended: now}, now))
	ended := "ended/succeeded/" + place + record.Attempt
	if err := faults.Client.Delete(ctx, "state", recent); err != nil {
		t.Fatal(err)
	}
	if n, err := l.Place(ctx, filed()[0]); n != 2 || err != nil {
		t.Errorf("%d places were missing, %v, want both", n, err)
	}
	if diff := cmp.Diff([]string{recent, ended}, names()); diff != "" {
		t.Errorf("placed (-want +got):\n%s", diff)
	}
	if err := l.Close(ctx, done.Record); err != nil {
		t.Fatal(err)
	}
	// A record of an earlier revision has no such metadata, and is read.
	old := attempt.Filed{Summary: attempt.Summary{Attempt: record.Attempt, State: job.Succeeded}}
	for _, name := range []string{recent, ended} {
		if err := faults.Client.Delete(ctx, "state", name); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := l.Place(ctx, old); n != 2 || err != nil || !cmp.Equal([]string{recent, ended}, names()) {
		t.Errorf("%d, %v: %q", n, err, names())
	}
	old.Attempt = "gone"
	if n, err := l.Place(ctx, old); n != 0 || err != nil {
		t.Errorf("of a record that is gone: %d, %v", n, err)
	}
	// The index entry stays until the attempt is among the ended.
	broken := errors.New("unavailable")
	if err := faults.Client.Delete(ctx, "state", ended); err != nil {
		t.Fatal(err)
	}
	if err := l.Mark(ctx, attempt.NewEntry(done)); err != nil {
		t.Fatal(err)
	}
	faults.Before = func(c storagetest.Call) error {
		if strings.HasPrefix(c.Name, "ended/") {
			return broken
		}
		return nil
	}
	if err := l.Close(ctx, done.Record); !errors.Is(err, broken) {
		t.Errorf("close: %v", err)
	}
	if _, err := l.Entry(ctx, record.Attempt); err != nil {
		t.Errorf("entry: %v", err)
	}
	// The same with the newest: without its place no attempt is opened.
	faults.Before = func(c storagetest.Call) error {
		if strings.HasPrefix(c.Name, "recent/") {
			return broken
		}
		return nil
	}
	if _, err := l.Open(ctx, entry); !errors.Is(err, broken) {
		t.Errorf("open: %v", err)
	}
}

// The note of the queue is written over the note that was written last. Who comes too late learns what is there.
func TestWriteQueue(t *testing.T) {
	l, faults := start(t)
	ctx := t.Context()
	r, err := ledger.NewReader(faults, "state")
	if err != nil {
		t.Fatal(err)
	}
	if q, err := r.Queue(ctx); err != nil || q.Total != 0 {
		t.Errorf("before: %+v, %v", q, err)
	}
	q := attempt.Queue{At: now}
	q.Add(attempt.Entry{Attempt: "a", JobFile: "f/job.yaml", JobID: "j", Accepted: now}, "waiting: paused by the operator")
	first, err := l.WriteQueue(ctx, q, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := l.WriteQueue(ctx, attempt.Queue{}, 0); !errors.Is(err, attempt.ErrStale) || got != first {
		t.Errorf("too late: generation %d, %v, want %d", got, err, first)
	}
	got, err := r.Queue(ctx)
	want := attempt.Place{Place: 1, Attempt: "a", Folder: "f/", JobID: "j", Reason: "waiting: paused by the operator", Since: now}
	if err != nil || !got.At.Equal(now) || got.Total != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if diff := cmp.Diff([]attempt.Place{want}, got.Waiting); diff != "" {
		t.Errorf("waiting (-want +got):\n%s", diff)
	}
	if err := faults.Client.Delete(ctx, "state", "queue.json"); err != nil {
		t.Fatal(err)
	}
	if got, err := l.WriteQueue(ctx, q, first); !errors.Is(err, attempt.ErrStale) || got != 0 {
		t.Errorf("over a note that somebody deleted: generation %d, %v", got, err)
	}
}

// Every record of an earlier revision is placed, page by page, also by a run that goes on where another ended. What is
// older than asked for is left out.
func TestReindex(t *testing.T) {
	client, _ := storagetest.New(t, "state")
	faults := &storagetest.Faults{Client: client}
	l, err := ledger.New(faults, "state", ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := history{attempts: 40, open: 10}
	h.each(t, client, func(ctx context.Context, _ *ledger.Ledger, client *gcs.Client, r attempt.Record) error {
		data, err := json.Marshal(r)
		if err != nil {
			return err
		}
		old := map[string]string{"state": string(r.State), "revision": "3"} // no more than that
		_, err = client.Write(ctx, "state", "attempts/"+r.Attempt+".json", data, "application/json", old, 0)
		return err
	})
	since := h.at(t, 5).Times.Dropped
	broken := errors.New("unavailable")
	faults.Before = func(c storagetest.Call) error {
		if c.Kind == "write" && strings.HasSuffix(c.Name, h.at(t, 20).Attempt) {
			return broken
		}
		return nil
	}
	unused := func(did ledger.Reindexed) error { return fmt.Errorf("a failed page counts: %+v", did) }
	if err := l.Reindex(t.Context(), "", since, 4, unused); !errors.Is(err, broken) {
		t.Errorf("a write that fails: %v", err)
	}
	faults.Before = nil
	var did ledger.Reindexed
	report := func(d ledger.Reindexed) error { did = d; return nil }
	if err := l.Reindex(t.Context(), "", since, 4, report); err != nil || did.Records != h.attempts || did.Last == "" {
		t.Errorf("%+v, %v", did, err)
	}
	r, err := ledger.NewReader(faults, "state")
	if err != nil {
		t.Fatal(err)
	}
	if ids, _ := walk(t, r, ledger.Query{}); len(ids) != 35 || ids[0] != "j39" || ids[34] != "j5" {
		t.Errorf("attempts: %q", ids)
	}
	if ids, _ := walk(t, r, ledger.Query{State: job.Failed}); len(ids) != 6 { // 8, 12 … 28
		t.Errorf("failed: %q", ids)
	}
	if err := l.Reindex(t.Context(), "", since, 4, report); err != nil || did.Missing != 0 {
		t.Errorf("again: %+v, %v", did, err)
	}
	if err := l.Reindex(t.Context(), did.Last, since, 4, unused); err != nil {
		t.Errorf("after the last: %v", err)
	}
}

// askedFor is an empty bucket that keeps what is asked for.
type askedFor struct{ lists, reads []string }

func (a *askedFor) ListPage(_ context.Context, _, prefix, after string, most int) ([]job.Attributes, bool, error) {
	if most > 1000 || !strings.HasPrefix(after, prefix) {
		return nil, false, fmt.Errorf("a list of %d after %q in %s", most, after, prefix)
	}
	a.lists = append(a.lists, after)
	return nil, false, nil
}

func (a *askedFor) Read(_ context.Context, _, name string, _, _ int64) ([]byte, int64, error) {
	a.reads = append(a.reads, name)
	return nil, 0, job.ErrNotFound
}

func (a *askedFor) Stat(context.Context, string, string) (job.Attributes, error) {
	return job.Attributes{}, job.ErrNotFound
}

// Whatever a client sends is refused without a call, or leads to one list or one read, of what it may name.
func FuzzReader(f *testing.F) {
	f.Add("", "", "", "")
	f.Add("failed", "teams/", "", "eyJxIjoiIiwiYSI6IiJ9")
	f.Add("", "", "census_1", "")
	f.Add("running", "", "", base64.RawURLEncoding.EncodeToString([]byte(`{"q":"00","a":"../x","s":"../y"}`)))
	names := regexp.MustCompile(`^(recent/|ended/[a-z_]+/)([0-9]{13}-[0-9a-f]{40}-[0-9]+)?$|^open/([0-9a-f]{40}-[0-9]+)?$`)
	f.Fuzz(func(t *testing.T, state, folder, jobID, token string) {
		a := &askedFor{}
		r, err := ledger.NewReader(a, "state")
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Page(t.Context(), ledger.Query{State: job.State(state), Folder: folder, JobID: jobID, Token: token})
		if err != nil && (!errors.Is(err, ledger.ErrQuery) || len(a.lists)+len(a.reads) > 0) {
			t.Fatalf("%v, after the lists %q", err, a.lists)
		}
		if err == nil && len(a.lists)+len(a.reads) != 1 {
			t.Errorf("lists %q, reads %q", a.lists, a.reads)
		}
		for _, after := range a.lists {
			if !names.MatchString(after) {
				t.Errorf("a list after %q", after)
			}
		}
		for _, name := range a.reads {
			if strings.Count(name, "/") != 1 || !strings.HasPrefix(name, "jobs/") {
				t.Errorf("read %q", name)
			}
		}
	})
}
