package local_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"google.golang.org/api/ml/v1"
	"google.golang.org/api/option"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// number reads a number from the environment.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// subscriber keeps what it is told of each attempt.
type subscriber struct {
	mu      sync.Mutex
	told    map[string][]event.Body
	repeats int
	wrong   []string
}

func (s *subscriber) receive(_ context.Context, e cloudevents.Event) error {
	_, b, err := event.Decode(e)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	log := s.told[b.Attempt]
	switch n := int64(len(log)); {
	case b.Sequence == n+1:
		s.told[b.Attempt] = append(log, b)
	case b.Sequence > n+1:
		s.wrong = append(s.wrong, fmt.Sprintf("attempt %s: event %d, %s, follows %d", b.Attempt, b.Sequence, b.State, n))
	default:
		s.repeats++
		if first := log[b.Sequence-1]; first.State != b.State || first.Job.State != b.Job.State {
			s.wrong = append(s.wrong, fmt.Sprintf("attempt %s: event %d was %s and is %s", b.Attempt, b.Sequence, first.State,
				b.State))
		}
	}
	return nil
}

// dropped is what somebody uploaded together.
type dropped struct {
	folder       string
	job, trainer int64 // generations of the job file and of the package
}

func (d dropped) attempt() string {
	return job.AttemptKey(job.Object{Bucket: local.Inbox, Name: d.folder + "job.yaml", Generation: d.job})
}

// drop uploads a package and a job file, one right after the other. Each round has a job of its own: the
// same again, while the first runs, would be withdrawn.
func drop(ctx context.Context, s *local.Stack, folder string, round int, jobFileFirst bool) (d dropped, err error) {
	d.folder = folder
	upload := func(name string, generation *int64) {
		var data []byte
		if err == nil {
			data, err = os.ReadFile(filepath.Join("../../testdata/drops/hello", name))
		}
		if name == "job.yaml" {
			data = fmt.Appendf(data, "labels: {round: '%d'}\n", round)
		}
		if err == nil {
			*generation, err = s.Storage.Upload(ctx, local.Inbox, folder+name, bytes.NewReader(data), nil)
		}
	}
	if jobFileFirst {
		upload("job.yaml", &d.job)
	}
	upload("trainer-0.1.tar.gz", &d.trainer)
	if !jobFileFirst {
		upload("job.yaml", &d.job)
	}
	return d, err
}

// accepted reports whether an attempt has been accepted.
func accepted(ctx context.Context, s *local.Stack, key string) bool {
	data, _, err := s.Storage.Read(ctx, local.State, "attempts/"+key+".json", 0, 8<<20)
	var r attempt.Record
	return err == nil && json.Unmarshal(data, &r) == nil && r.Drop.Receipt != nil
}

// callTime returns how long a call of the backend may take: CHAOS_CALL_TIME, or less
// than in an installation. The claim of a dead process lasts that long.
func callTime() string { return cmp.Or(os.Getenv("CHAOS_CALL_TIME"), "5s") }

// TestChaos kills the functions' server with SIGKILL at random moments, CHAOS_KILLS
// (8) times, while CHAOS_DROPS (60) drops are in flight, and holds what the
// buckets, the training service and a subscriber have at the end to the
// invariants. Each folder is used twice, the second time once its first attempt is
// accepted, and in all four orders of uploads. Cloud Storage, Pub/Sub and the
// training service run on in this process.
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	t.Parallel()
	kills, drops := number(t, "CHAOS_KILLS", 8), number(t, "CHAOS_DROPS", 60)
	pidFile := filepath.Join(t.TempDir(), "pid")
	s := stack(t, local.Options{Env: []string{"PID_FILE=" + pidFile, "JOBDROP_CALL_TIME=" + callTime()}, MaxJobs: 4})
	sub := &subscriber{told: map[string][]event.Body{}}
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- s.Subscribe(ctx, path.Base(s.Topic)+"-chaos", func() { close(ready) }, sub.receive)
	}()
	<-ready

	began := time.Now()
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		taken []dropped
	)
	slots := make(chan struct{}, 16)
	for i := range drops / 2 {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			for again := range 2 {
				d, err := drop(ctx, s, fmt.Sprintf("drop%03d/", i), again, i>>again&1 == 0)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				taken = append(taken, d)
				mu.Unlock()
				for again == 0 && !accepted(ctx, s, d.attempt()) && ctx.Err() == nil {
					<-time.After(50 * time.Millisecond)
				}
			}
		})
	}
	pid := func() int {
		data, _ := os.ReadFile(pidFile)
		n, _ := strconv.Atoi(string(data))
		return n
	}
	atKill := 0 // attempts without a verdict at the last kill
	for range kills {
		<-time.After(time.Duration(50+rand.IntN(450)) * time.Millisecond)
		victim := pid()
		process, err := os.FindProcess(victim)
		if err != nil || victim == 0 {
			t.Fatalf("the functions' process is %d, %v", victim, err)
		}
		if err := process.Kill(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the functions are there again", func() bool { n := pid(); return n != 0 && n != victim })
		atKill = open(t, s)
	}
	group.Wait()
	killed := time.Since(began)
	until := time.Now().Add(8 * time.Minute) // claims of the dead hold for four times as long as a call
	for open(t, s) > 0 || verdicts(sub) < drops {
		if time.Now().After(until) {
			t.Fatalf("%d attempts are open, %d of %d verdicts told", open(t, s), verdicts(sub), drops)
		}
		<-time.After(200 * time.Millisecond)
	}
	t.Logf("%d kills within %s, %d attempts open after the last one; all had their verdict %s later; %d repeats of events",
		kills, killed.Round(time.Millisecond), atKill, (time.Since(began) - killed).Round(time.Millisecond), sub.repeats)
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("subscription: %v", err)
	}

	if len(taken) != drops || len(sub.told) != drops {
		t.Errorf("%d drops, %d attempts told of, want %d", len(taken), len(sub.told), drops)
	}
	for _, w := range sub.wrong {
		t.Error(w)
	}
	newest := map[string]int64{} // job file of each folder
	for _, d := range taken {
		newest[d.folder] = max(newest[d.folder], d.job)
	}
	owners := backendJobs(t, s)
	for _, d := range taken {
		key := d.attempt()
		var r attempt.Record
		readJSON(t, s, local.State, "attempts/"+key+".json", &r)
		log := sub.told[key]
		terminal := 0
		for _, b := range log {
			if b.State.Terminal() {
				terminal++
			}
		}
		var status event.Body
		name := d.folder + "status.json"
		if d.job != newest[d.folder] {
			name = fmt.Sprintf("%sstatus-%d.json", d.folder, d.job)
		}
		readJSON(t, s, local.Status, name, &status)
		jobs := owners[r.Job.Labels[job.LabelAttempt]]
		switch {
		case r.State != job.Succeeded:
			t.Errorf("attempt %s is %s: %s", key, r.State, r.Reason)
		case terminal != 1 || int64(len(log)) != r.Sequence || log[len(log)-1].State != r.State:
			t.Errorf("attempt %s: %d of %d events, %d verdicts", key, len(log), r.Sequence, terminal)
		case len(jobs) != 1:
			t.Errorf("attempt %s has %d jobs", key, len(jobs))
		case !strings.Contains(jobs[0].TrainingInput.PackageUris[0], fmt.Sprintf("/%d/", d.trainer)):
			t.Errorf("attempt %s runs %q, and was uploaded with generation %d", key, jobs[0].TrainingInput.PackageUris,
				d.trainer)
		case status.Attempt != key || status.Sequence != r.Sequence:
			t.Errorf("%s says %d of attempt %s, the record %d of %s", name, status.Sequence, status.Attempt, r.Sequence, key)
		}
	}
	if total := len(owners); total != drops {
		t.Errorf("jobs of %d attempts, want %d", total, drops)
	}
}

func verdicts(s *subscriber) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, log := range s.told {
		if log[len(log)-1].State.Terminal() {
			n++
		}
	}
	return n
}

// open counts the attempts on the index.
func open(t *testing.T, s *local.Stack) int {
	t.Helper()
	n := 0
	if err := s.Storage.List(t.Context(), local.State, "open/", true, func(page []job.Attributes) error {
		n += len(page)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

func readJSON(t *testing.T, s *local.Stack, bucket, name string, into any) {
	t.Helper()
	data, _, err := s.Storage.Read(t.Context(), bucket, name, 0, 8<<20)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		t.Fatalf("gs://%s/%s: %v", bucket, name, err)
	}
}

// backendJobs returns the jobs at the training service by their attempt's label.
func backendJobs(t *testing.T, s *local.Stack) map[string][]*ml.GoogleCloudMlV1__Job {
	t.Helper()
	service, err := ml.NewService(t.Context(), option.WithEndpoint(strings.TrimSuffix(s.BackendURL, "/")+"/"),
		option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	owners := map[string][]*ml.GoogleCloudMlV1__Job{}
	err = service.Projects.Jobs.List("projects/"+local.Project).Pages(t.Context(),
		func(page *ml.GoogleCloudMlV1__ListJobsResponse) error {
			for _, j := range page.Jobs {
				owners[j.Labels[job.LabelAttempt]] = append(owners[j.Labels[job.LabelAttempt]], j)
			}
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	return owners
}
