package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/envfile"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/local/storage"
	"github.com/jobdrop/jobdrop/internal/local/training"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/internal/testing/hostile"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const (
	// maxBytes is how large a page may be, with its assets, and maxMemory what a console may take with its followers, in
	// kilobytes.
	maxBytes  = 300_000
	maxMemory = 128 << 10
	// followers is how many follow the page of drops, and how many a log.
	followers = 100
	// callTime is how long a call takes where the times of pages are measured.
	callTime = 20 * time.Millisecond
)

// scale is an installation: attempts that were dropped a second apart, of which the last ones are open. Every second of
// those runs, the others wait for their turn; every fourth of the ended ones failed. The log of the last that runs has so
// many bytes.
type scale struct {
	attempts, open int
	log            int64
	// searches is how many calls a page needs that finds nothing in the log: each reads so much of it.
	searches int

	resource string // the name of the job that has the log
	began    time.Time
}

// whole is how many of the newest attempts that ended have all that the functions write. The others are at their places
// by time alone: nobody reads more of them.
const whole = 450

func (c *scale) folder(i int) string { return fmt.Sprintf("teams/%d/a%d/", i%10, i%200) }

// running returns the number of the attempt whose job has the log, failed that of the newest that failed.
func (c *scale) running() int { return c.attempts - 2 }
func (c *scale) failed() int  { return (c.attempts - c.open - 1) / 4 * 4 }

// jobFile returns the job file of an attempt.
func (c *scale) jobFile(i int) job.Object {
	at := c.began.Add(time.Duration(i-c.attempts) * time.Second)
	return job.Object{Bucket: local.Inbox, Name: c.folder(i) + "job.yaml", Generation: at.UnixMicro(), Created: at}
}

// record returns the record of an attempt.
func (c *scale) record(i int) (r attempt.Record, err error) {
	o := c.jobFile(i)
	at := o.Created
	step := func(by attempt.Observation, at time.Time) {
		if err == nil {
			r, _, err = attempt.Step(r, by, at)
		}
	}
	r = attempt.NewRecord(o, at)
	accept := attempt.Accept{Receipt: job.Receipt{Content: "c"}, Spec: job.Spec{
		JobID: fmt.Sprintf("j%d", i), TrainingInput: &job.TrainingInput{Region: "us-central1", JobDir: "gs://" + local.Output + "/large"},
	}}
	if i >= c.attempts-c.open && i%2 > 0 {
		accept.Waits = "waiting: 3 of 3 jobs are active"
		step(accept, at)
		return r, err
	}
	accept.Claim = attempt.Claim{Owner: "w", Until: at.Add(time.Minute), Nonce: "n"}
	step(accept, at)
	listed := attempt.BackendJob{
		JobID: accept.Spec.JobID, ResourceName: c.resource, State: job.BackendRunning, Created: at, Started: at,
	}
	if i == c.running() { // its log is older than the ledger
		listed.Created, listed.Started = at.Add(-logAge), at.Add(-logAge)
	}
	step(attempt.Seen(listed, at), at)
	if i < c.attempts-c.open {
		listed.State, listed.Ended = job.BackendSucceeded, at.Add(time.Minute)
		if i%4 == 0 {
			listed.State, listed.Message, listed.Excerpt = job.BackendFailed, "exit status 1", "ValueError"
		}
		step(attempt.Seen(listed, listed.Ended), listed.Ended)
	}
	return r, err
}

// write writes the attempts as the functions do: by the ledger's own calls, in parallel.
func (c *scale) write(ctx context.Context, client *gcs.Client) error {
	l, err := ledger.New(client, local.State, ledger.Options{})
	if err != nil {
		return err
	}
	queue, queued := attempt.Queue{At: c.began}, sync.Mutex{}
	one := func(i int) error {
		r, err := c.record(i)
		if err != nil {
			return err
		}
		first := r
		first.State, first.Job = "", job.JobInfo{}
		e := attempt.NewEntry(attempt.Stored{Record: r, Published: r.Sequence})
		if !r.State.Terminal() {
			_, err = l.Open(ctx, attempt.NewEntry(attempt.Stored{Record: first}))
			err = errors.Join(err, l.Mark(ctx, e))
		} else if _, err = l.Place(ctx, attempt.Filed{Summary: first.Summary()}); i < c.attempts-c.open-whole {
			return err
		} else {
			_, placed := l.Place(ctx, attempt.Filed{Summary: r.Summary()})
			err = errors.Join(err, placed)
		}
		if r.Queued {
			queued.Lock()
			queue.Add(e, r.Reason)
			queued.Unlock()
		}
		_, _, claimed := l.ClaimID(ctx, r.Job.ID, attempt.Owner{Attempt: r.Attempt})
		data, encoded := json.Marshal(r)
		if err := errors.Join(err, claimed, encoded); err != nil {
			return err
		}
		metadata := r.Summary().Metadata("")
		metadata["revision"] = fmt.Sprint(r.Revision)
		_, err = client.Write(ctx, local.State, "attempts/"+r.Attempt+".json", data, "application/json", metadata, 0)
		return err
	}
	var group sync.WaitGroup
	faults, next := make([]error, 16), make(chan int)
	for worker := range faults {
		group.Go(func() {
			for i := range next {
				faults[worker] = errors.Join(faults[worker], one(i))
			}
		})
	}
	for i := range c.attempts {
		next <- i
	}
	close(next)
	group.Wait()
	_, err = l.WriteQueue(ctx, queue, 0)
	return errors.Join(append(faults, err)...)
}

// logAge is how long ago the log begins.
const logAge = 20 * 24 * time.Hour

// logLine returns a line of the log, as the training service keeps it.
func logLine(id string, n int64, at time.Time, text string) string {
	stream := "stdout"
	if n%1000 == 0 {
		stream = "stderr"
	}
	return fmt.Sprintf(`{"jobId":%q,"task":"master-replica-0","seq":%d,"time":%q,"stream":%q,"text":%q}`+"\n",
		id, n, at.UTC().Format(time.RFC3339Nano), stream, text)
}

// writeLog writes a log of lines a millisecond apart, and returns the number of the last.
func (c *scale) writeLog(path, id string) (n int64, err error) {
	file, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	w := bufio.NewWriterSize(file, 1<<20)
	rest := strings.Repeat(" and what a trainer says", 20)
	for written := int64(0); written < c.log && err == nil; {
		n++
		var wrote int
		wrote, err = w.WriteString(logLine(id, n, c.began.Add(time.Duration(n)*time.Millisecond-logAge), fmt.Sprintf("line %d", n)+rest))
		written += int64(wrote)
	}
	return n, errors.Join(err, w.Flush(), file.Close())
}

// counter stands before a service: it counts calls by their kinds, and lets each take a while.
type counter struct {
	url   string
	delay atomic.Int64

	mu    sync.Mutex
	calls map[string]int
}

// count returns a counter before the service at an address.
func count(t testing.TB, to string, kind func(*http.Request) string) *counter {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{calls: map[string]int{}}
	proxy := &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = target.Host },
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.calls[kind(r)]++
		c.mu.Unlock()
		time.Sleep(time.Duration(c.delay.Load()))
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *counter) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = map[string]int{}
}

func (c *counter) get() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.calls)
}

// storageCall names a call of Cloud Storage.
func storageCall(r *http.Request) string {
	_, object, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/download"), "/o")
	switch {
	case r.Method != http.MethodGet:
		return r.Method
	case object == "":
		return "list"
	case r.URL.Query().Get("alt") == "media":
		return "read"
	}
	return "stat"
}

// viewed is a console in a process of its own, and what it calls.
type viewed struct {
	process *os.Process
	url     string
	cookies []*http.Cookie // let the test in
	storage *counter
	log     *counter
}

// view starts jobdrop console: nothing is in its caches.
func view(t testing.TB, env map[string]string) *viewed {
	t.Helper()
	v := &viewed{
		storage: count(t, env["STORAGE_EMULATOR_HOST"], storageCall),
		log:     count(t, env["JOBDROP_LOGGING_ENDPOINT"], func(*http.Request) string { return "log" }),
	}
	own := []string{"STORAGE_EMULATOR_HOST=" + v.storage.url, "JOBDROP_LOGGING_ENDPOINT=" + v.log.url}
	for name, value := range env {
		if strings.HasPrefix(name, "JOBDROP_") && name != "JOBDROP_LOGGING_ENDPOINT" || name == "GOOGLE_CLOUD_PROJECT" {
			own = append(own, name+"="+value)
		}
	}
	file := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(file, []byte(envfile.Format(own)), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(os.Args[0], "console", "--env", file, "--port", "0")
	c.Args[0] = command
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(os.Interrupt)
		_ = c.Wait()
	})
	said := bufio.NewReader(out)
	_, _ = said.ReadString('\n')
	line, err := said.ReadString('\n') // the second one is the address
	at := regexp.MustCompile(`(http://[^/ ]+)/\?key=\w+`).FindStringSubmatch(line)
	if at == nil {
		t.Fatalf("the console said %q, %v", line, err)
	}
	v.process, v.url = c.Process, at[1]
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	v.cookies = answer.Cookies()
	return v
}

var (
	assets = regexp.MustCompile(`(?:src|href)="(/static/[^"]+)"`)
	rows   = regexp.MustCompile(`<tr[ >]|<div class="row`)
)

// request returns a request for a page.
func (v *viewed) request(ctx context.Context, path string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, v.url+path, nil)
	if err != nil {
		return nil, err
	}
	for _, c := range v.cookies {
		r.AddCookie(c)
	}
	return r, nil
}

// get reads a page.
func (v *viewed) get(t testing.TB, path string) string {
	t.Helper()
	r, err := v.request(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v\n%.2000s", path, answer.Status, err, text)
	}
	return string(text)
}

// shown is what a page costs: its calls, and whether it is small.
type shown struct {
	Calls map[string]int
	Small bool
}

// pages returns the pages that are looked at, by their names.
func (c *scale) pages(newest string) (names []string, paths map[string]string) {
	key := func(i int) string { return "/attempts/" + job.AttemptKey(c.jobFile(i)) }
	paths = map[string]string{
		"drops": "/", "failed": "/?state=failed", "running": "/?state=running", "queued": "/?state=accepted",
		"folder": "/?folder=teams/7/a177/", "job ID": fmt.Sprintf("/?job=j%d", c.running()), "second page": newest,
		"attempt": key(c.running()), "waiting attempt": key(c.attempts - 1), "failed attempt": key(c.failed()),
		"job": key(c.running()) + "/job", "log": key(c.running()) + "/log",
		"log errors":     key(c.running()) + "/log?errors=1",
		"log search":     key(c.running()) + "/log?text=nobody+wrote+this",
		"log of replica": key(c.running()) + "/log?replica=master-replica-0",
		"outputs":        key(c.running()) + "/outputs", "curves": key(c.running()) + "/curves", "installation": "/installation",
	}
	return slices.Sorted(maps.Keys(paths)), paths
}

// look reads each page once, and returns what it costs.
func (c *scale) look(t testing.TB, v *viewed) map[string]shown {
	t.Helper()
	first := regexp.MustCompile(`rel="next" href="([^"]+)"`).FindStringSubmatch(v.get(t, "/"))
	if first == nil {
		t.Fatal("the first page does not lead to a second one")
	}
	names, paths := c.pages(strings.ReplaceAll(first[1], "&amp;", "&"))
	costs := map[string]shown{}
	for _, name := range names {
		v.storage.reset()
		v.log.reset()
		began := time.Now()
		text := v.get(t, paths[name])
		took := time.Since(began)
		s := shown{Calls: v.storage.get()}
		maps.Copy(s.Calls, v.log.get())
		bytes := len(text)
		for _, asset := range assets.FindAllStringSubmatch(text, -1) {
			bytes += len(v.get(t, asset[1]))
		}
		s.Small = bytes < maxBytes
		costs[name] = s
		t.Logf("%-16s %4d ms, %6d bytes, of assets %6d, %3d rows, %v", name, took.Milliseconds(), bytes, bytes-len(text),
			len(rows.FindAllString(text, -1)), s.Calls)
	}
	return costs
}

// checkScale looks at the pages of an installation: in two fresh processes at once, and then with many followers. It
// returns the settings of others that look.
func checkScale(t testing.TB, c *scale) map[string]string {
	t.Helper()
	data := t.TempDir()
	s := startStack(t, data)
	key := s.drop(t, os.DirFS(filepath.Join(drops, "hello")), "hello/", nil)
	s.awaitState(t, key, job.Succeeded)
	r, err := s.reader.Record(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	s.end() // from here on, nothing changes by itself
	c.resource, c.began = r.Job.ResourceName, time.Now().Truncate(time.Second)
	id := c.resource[strings.LastIndexByte(c.resource, '/')+1:]
	found, err := filepath.Glob(filepath.Join(data, "training", "jobs", id, "logs", "log.jsonl"))
	if err != nil || len(found) != 1 {
		t.Fatalf("the log of job %s: %v, %v", id, found, err)
	}
	began := time.Now()
	n, err := c.writeLog(found[0], id)
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, err := storage.Serve(context.Background(), storage.Options{Dir: filepath.Join(data, "storage"), Listener: l})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	client, err := gcs.New(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	// The drop that made the log may have been stopped before it was taken out of the index of open attempts.
	err = client.List(t.Context(), local.State, "open/", false, func(page []job.Attributes) error {
		for _, o := range page {
			if err := client.Delete(t.Context(), o.Bucket, o.Name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.write(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		name := fmt.Sprintf("large/checkpoints/%03d", i)
		if _, err := client.Write(t.Context(), local.Output, name, []byte("x"), "", nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	var curve strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&curve, `{"step": %d, "loss": %g, "accuracy": %g}`+"\n", i, 1/float64(i+1), 1-1/float64(i+1))
	}
	if _, err := client.Write(t.Context(), local.Output, "large/metrics.jsonl", []byte(curve.String()), "", nil, 0); err != nil {
		t.Fatal(err)
	}
	python, err := training.FindPython(t.Context(), "")
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	service, err := training.New(context.Background(), training.Options{
		Storage: server.URL(), Dir: filepath.Join(data, "training"), Python: python, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = service.Close() })
	logging := httptest.NewServer(service.Handler())
	t.Cleanup(logging.Close)
	t.Logf("%d attempts, of which %d are open, and a log of %d MB in %d lines were written in %.0f s", c.attempts, c.open,
		c.log>>20, n, time.Since(began).Seconds())

	s.env["STORAGE_EMULATOR_HOST"], s.env["JOBDROP_LOGGING_ENDPOINT"] = server.URL(), logging.URL
	var group sync.WaitGroup
	views := []*viewed{view(t, s.env), view(t, s.env)}
	costs := make([]map[string]shown, len(views))
	for i, v := range views {
		group.Go(func() { costs[i] = c.look(t, v) })
	}
	group.Wait()
	want := wantCosts()
	want["log search"].Calls["log"] = c.searches
	for _, got := range costs {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
	}
	c.follow(t, views[0], func() {
		file, err := os.OpenFile(found[0], os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			_, err = file.WriteString(logLine(id, n+1, time.Now(), "the line that comes"))
			err = errors.Join(err, file.Close())
		}
		if err != nil {
			t.Error(err)
		}
	})
	return s.env
}

// follow opens the page of drops and a log many times. All who follow a page share its looks.
func (c *scale) follow(t testing.TB, v *viewed, add func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	path := "/attempts/" + job.AttemptKey(c.jobFile(c.running())) + "/log"
	stream := regexp.MustCompile(`data-stream="([^"]+)"`).FindStringSubmatch(v.get(t, path))
	if stream == nil {
		t.Fatal("the log is not followed")
	}
	var group sync.WaitGroup
	var begun, came atomic.Int64
	for i := range 2 * followers {
		group.Go(func() {
			from, wants := "/", "teams/"
			if i%2 == 0 {
				from, wants = strings.ReplaceAll(stream[1], "&amp;", "&"), "the line that comes"
			}
			r, err := v.request(ctx, from)
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Accept", "text/event-stream")
			answer, err := (&http.Transport{}).RoundTrip(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer answer.Body.Close()
			begun.Add(1)
			in := bufio.NewScanner(answer.Body)
			in.Buffer(nil, 1<<20)
			for seen := false; in.Scan(); {
				if !seen && strings.Contains(in.Text(), wants) {
					seen = true
					came.Add(1)
				}
			}
		})
	}
	await(t, "all follow", func() bool { return begun.Load() == 2*followers })
	v.storage.reset()
	v.log.reset()
	const looks = 5
	time.Sleep(looks * time.Second)
	storage, log := v.storage.get(), v.log.get()
	add()
	await(t, "all were told", func() bool { return came.Load() == 2*followers })
	t.Logf("%d followers in %d s: %v %v", 2*followers, looks, storage, log)
	// A console beside a local stack looks each second.
	const most = looks + 1
	if lists := storage["list"]; lists == 0 || lists > most || storage["read"] > 2*most || log["log"] == 0 || log["log"] > most {
		t.Errorf("%d followers make %v and %v in %d s", 2*followers, storage, log, looks)
	}
	if runtime.GOOS == "linux" && !hostile.Racing {
		peak, err := hostile.PeakMemory(fmt.Sprint(v.process.Pid))
		if err != nil || peak > maxMemory {
			t.Errorf("the console took %d kB, %v", peak, err)
		}
		t.Logf("the console took %d kB", peak)
	}
	cancel()
	group.Wait()
}

// wantCosts returns what each page costs, however many attempts there are: one list, and what it shows.
func wantCosts() map[string]shown {
	return map[string]shown{
		"attempt":         {map[string]int{"list": 1, "read": 2}, true},
		"curves":          {map[string]int{"list": 1, "read": 2}, true},
		"drops":           {map[string]int{"list": 1, "read": 1, "stat": ledger.PageSize}, true},
		"failed":          {map[string]int{"list": 1}, true},
		"failed attempt":  {map[string]int{"list": 1, "read": 1}, true},
		"folder":          {map[string]int{"list": 2, "read": 1, "stat": 10}, true}, // of 2,000 entries, ten are the folder's
		"installation":    {map[string]int{"list": 1, "read": 3}, true},
		"job":             {map[string]int{"read": 1}, true},
		"job ID":          {map[string]int{"read": 1, "stat": 1}, true},
		"log":             {map[string]int{"log": 1, "read": 1}, true},
		"log errors":      {map[string]int{"log": 1, "read": 1}, true},
		"log of replica":  {map[string]int{"log": 1, "read": 1}, true},
		"log search":      {map[string]int{"log": 1, "read": 1}, true},
		"outputs":         {map[string]int{"list": 1, "read": 1}, true},
		"queued":          {map[string]int{"list": 1, "read": 1}, true},
		"running":         {map[string]int{"list": 1}, true},
		"second page":     {map[string]int{"list": 1, "read": 1, "stat": ledger.PageSize}, true},
		"waiting attempt": {map[string]int{"list": 1, "read": 3}, true},
	}
}

func TestScale(t *testing.T) {
	checkScale(t, &scale{attempts: 2200, open: 200, log: 4 << 20, searches: 1})
}

// BenchmarkScale looks at the pages of 100,000 attempts, and at a log of 1 GiB, at last with calls that take as long as
// those of a cloud. To write them takes minutes.
func BenchmarkScale(b *testing.B) {
	c := &scale{attempts: 100_000, open: 1000, log: 1 << 30, searches: 2}
	slow := view(b, checkScale(b, c))
	slow.storage.delay.Store(int64(callTime))
	slow.log.delay.Store(int64(callTime))
	b.Logf("with calls of %s:", callTime)
	c.look(b, slow)
	for b.Loop() {
		b.ReportMetric(0, "ns/op") // the calls count, not the time
	}
}
