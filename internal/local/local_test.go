package local_test

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/local/functions"
	"github.com/jobdrop/jobdrop/internal/local/training"
	"github.com/jobdrop/jobdrop/internal/testing/emulator"
	"github.com/jobdrop/jobdrop/internal/testing/eventtest"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// The stack starts the functions as a process: here that is this binary again.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "functions" {
		if file := os.Getenv("PID_FILE"); file != "" {
			if err := os.WriteFile(file, []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
		if file := os.Getenv(portTaken); file != "" {
			takePort(os.Args[2], file)
		}
		serve := functions.Serve
		if to := os.Getenv(notifyTo); to != "" {
			serve = func(addr string, hosts []string, lifeline io.Reader) error {
				return serveBut(addr, to, hosts, lifeline)
			}
		}
		fmt.Fprintln(os.Stderr, serve(os.Args[2], os.Args[3:], os.Stdin))
		os.Exit(1)
	}
	os.Setenv("PIP_NO_INDEX", "1") // no test waits for a network
	os.Exit(m.Run())
}

func python(t testing.TB) training.Python {
	t.Helper()
	p, err := findPython()
	if err != nil {
		t.Fatalf("these tests run Python programs: %v", err)
	}
	return p
}

// findPython asks the interpreter once for all tests.
var findPython = sync.OnceValues(func() (training.Python, error) {
	return training.FindPython(context.Background(), "")
})

// stack starts a stack that ends with the test.
func stack(t testing.TB, o local.Options) *local.Stack {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	o.Python, o.Tick = python(t), cmp.Or(o.Tick, 100*time.Millisecond)
	o.Functions = []string{os.Args[0], "functions"}
	if dir := flag.Lookup("test.gocoverdir").Value.String(); dir != "" { // make cover counts what their process runs
		o.Env = append(o.Env, "GOCOVERDIR="+dir)
	}
	logs := &lines{}
	if o.FunctionLogs == nil {
		o.FunctionLogs = logs
	} else {
		o.FunctionLogs = io.MultiWriter(logs, o.FunctionLogs)
	}
	s, err := local.Start(t.Context(), o)
	if err != nil {
		t.Fatalf("%v\n%s", err, logs)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if t.Failed() {
			t.Logf("the functions' log:\n%s", logs)
		}
	})
	return s
}

// lines keeps what several writers write.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// follow subscribes to the events. It returns a function that waits for the verdict of
// the next attempt, and returns its body and the types of its events in order.
func follow(t *testing.T, s *local.Stack) func() (event.Body, []event.Type) {
	t.Helper()
	type received struct {
		t event.Type
		b event.Body
	}
	events := make(chan received, 100)
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- s.Subscribe(ctx, path.Base(s.Topic)+"-test", func() { close(ready) },
			func(_ context.Context, e cloudevents.Event) error {
				eventtest.Check(t, e)
				typ, b, err := event.Decode(e)
				events <- received{typ, b}
				return err
			})
	}()
	<-ready
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("subscription: %v", err)
		}
	})
	verdicts := map[string]bool{} // by attempt
	return func() (event.Body, []event.Type) {
		t.Helper()
		var types []event.Type
		sequence := int64(0)
		deadline := time.After(patience)
		for {
			select {
			case e := <-events:
				if verdicts[e.b.Attempt] || e.b.Sequence <= sequence {
					continue // a repeat
				}
				if e.b.Sequence != sequence+1 {
					t.Errorf("event %d follows %d", e.b.Sequence, sequence)
				}
				sequence = e.b.Sequence
				types = append(types, e.t)
				if e.b.State.Terminal() {
					verdicts[e.b.Attempt] = true
					return e.b, types
				}
			case <-deadline:
				t.Fatalf("no verdict after %v", types)
			}
		}
	}
}

const drops = "../../testdata/drops/"

// patience is for a slow machine; nothing waits that long by design.
const patience = 5 * time.Minute

// upload uploads files of a drop, in the order given.
func upload(t *testing.T, s *local.Stack, drop string, names ...string) {
	t.Helper()
	for _, name := range names {
		f, err := os.Open(filepath.Join(drops, drop, name))
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Storage.Upload(t.Context(), local.Inbox, drop+"/"+name, f,
			map[string]string{"jobdrop-correlation-id": "build-42"})
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
}

// jobs counts the jobs that the training service knows.
func jobs(t *testing.T, s *local.Stack) int {
	t.Helper()
	response, err := http.Get(s.BackendURL + "/v1/projects/local/jobs")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v: %s", response.Status, err, body)
	}
	return strings.Count(string(body), `"jobId"`)
}

// The order of arrival makes no difference, and neither do repeated deliveries,
// over the real protocols.
func TestStackRunsADrop(t *testing.T) {
	t.Parallel()
	const tarball, file = "trainer-0.1.tar.gz", "job.yaml"
	tests := []struct {
		name       string
		order      []string
		deliveries int
	}{
		{"package first", []string{tarball, file}, 1},
		{"job file first", []string{file, tarball}, 1},
		{"each event five times", []string{tarball, file}, 5},
		{"job file first, each event five times", []string{file, tarball}, 5},
	}
	// Google's own emulator of Pub/Sub has to make no difference either. Its
	// stacks share it, as someone's stacks would.
	t.Run("built-in Pub/Sub", func(t *testing.T) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				runsADrop(t, local.Options{Deliveries: test.deliveries}, test.order)
			})
		}
	})
	t.Run("Google's Pub/Sub emulator", func(t *testing.T) {
		address := emulator.Start(t)
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				runsADrop(t, local.Options{Deliveries: test.deliveries, PubSubEmulator: address, OwnTopic: true}, test.order)
			})
		}
	})
}

func runsADrop(t *testing.T, o local.Options, order []string) {
	s := stack(t, o)
	verdict := follow(t, s)
	upload(t, s, "hello", order...)
	body, types := verdict()
	if body.State != job.Succeeded || body.CorrelationID != "build-42" {
		t.Errorf("verdict %s (%s) for %q", body.State, body.Reason, body.CorrelationID)
	}
	if types[0] != event.DropAccepted || types[1] != event.JobSubmitted || types[len(types)-2] != event.JobRunning {
		t.Errorf("events are %v", types)
	}
	if n := jobs(t, s); n != 1 {
		t.Errorf("%d jobs, want 1", n)
	}
	data, _, err := s.Storage.Read(t.Context(), local.Output, "hello/hello.txt", 0, 1<<10)
	if err != nil || !strings.Contains(string(data), "Hello, jobdrop!") {
		t.Errorf("output is %q, %v", data, err)
	}
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	within(t, patience, what, holds)
}

// within waits for at most a time until a condition holds.
func within(t *testing.T, most time.Duration, what string, holds func() bool) {
	t.Helper()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	deadline := time.After(most)
	for !holds() {
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatalf("after %v: %s", most, what)
		}
	}
}

// A drop whose events were all lost is found at the next start, which announces
// what came in the last day.
func TestLostEventsAreAnnouncedAtTheNextStart(t *testing.T) {
	t.Parallel()
	dir, logs := t.TempDir(), &lines{}
	s := stack(t, local.Options{Dir: dir, LoseEvents: 1, Logger: slog.New(slog.NewTextHandler(logs, nil))})
	upload(t, s, "hello", "trainer-0.1.tar.gz", "job.yaml")
	eventually(t, "both events are lost", func() bool {
		return strings.Count(logs.String(), "event lost, as asked for") == 2
	})
	if n := jobs(t, s); n != 0 {
		t.Errorf("%d jobs, want none", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = stack(t, local.Options{Dir: dir})
	eventually(t, "the drop has run", func() bool {
		data, _, err := s.Storage.Read(t.Context(), local.Status, "hello/status.json", 0, 1<<20)
		var body event.Body
		return err == nil && json.Unmarshal(data, &body) == nil && body.State == job.Succeeded
	})
}

// Functions that end are started again where they were.
func TestFunctionsAreStartedAgain(t *testing.T) {
	t.Parallel()
	pidFile := filepath.Join(t.TempDir(), "pid")
	s := stack(t, local.Options{Env: []string{"PID_FILE=" + pidFile}})
	pid := func() int {
		data, _ := os.ReadFile(pidFile)
		n, _ := strconv.Atoi(string(data))
		return n
	}
	first := pid()
	process, err := os.FindProcess(first)
	if err != nil || first == 0 {
		t.Fatalf("the functions' process is %d, %v", first, err)
	}
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	verdict := follow(t, s)
	upload(t, s, "hello", "trainer-0.1.tar.gz", "job.yaml")
	if body, _ := verdict(); body.State != job.Succeeded {
		t.Errorf("verdict %s (%s)", body.State, body.Reason)
	}
	if second := pid(); second == first {
		t.Errorf("the functions' process is still %d", second)
	}
}

// What is wrong with the machine is told as such.
func TestStartFails(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	tests := []struct {
		name    string
		options local.Options
	}{
		{"port of Cloud Storage", local.Options{Listen: local.Addresses{Storage: taken.Addr().String()}}},
		{"port of Pub/Sub", local.Options{Listen: local.Addresses{PubSub: taken.Addr().String()}}},
		{"port of the training service", local.Options{Listen: local.Addresses{Training: taken.Addr().String()}}},
		{"port of the functions", local.Options{Listen: local.Addresses{Functions: taken.Addr().String()}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := test.options
			o.Dir, o.Python, o.Functions = t.TempDir(), python(t), []string{os.Args[0], "functions"}
			if _, err := local.Start(t.Context(), o); !local.PortTaken(err) {
				t.Errorf("error is %v, want that of a taken port", err)
			}
		})
	}
}

// The functions refuse who the stack's other services refuse, and answer others.
func TestFunctionsRefuseWebPages(t *testing.T) {
	t.Parallel()
	s := stack(t, local.Options{Hosts: []string{"functions.test"}})
	for _, test := range []struct {
		host, origin string
		want         int
	}{
		{"", "", http.StatusBadRequest}, // no event, but the function says so
		{"functions.test", "", http.StatusBadRequest},
		{"evil.example", "", http.StatusForbidden},
		{"", "http://evil.example", http.StatusForbidden},
	} {
		r, err := http.NewRequest(http.MethodPost, s.FunctionsURL+"/Submit", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = test.host
		if test.origin != "" {
			r.Header.Set("Origin", test.origin)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != test.want {
			t.Errorf("host %q, origin %q: %s, want %d", test.host, test.origin, response.Status, test.want)
		}
	}
}

// The functions' own server answers after thousands of aborted requests.
func TestFunctionsSurviveAbortedRequests(t *testing.T) {
	t.Parallel()
	s := stack(t, local.Options{})
	address := strings.TrimPrefix(s.FunctionsURL, "http://")
	const body = `{"bucket":"jobdrop-inbox","name":"x/readme.md","generation":"1","size":"9"}`
	header := fmt.Sprintf("POST /Submit HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"+
		"Ce-Id: 1\r\nCe-Specversion: 1.0\r\nCe-Type: google.cloud.storage.object.v1.finalized\r\n"+
		"Ce-Source: //storage.googleapis.com/projects/_/buckets/jobdrop-inbox\r\n\r\n", address, len(body))
	const aborted, workers = 3000, 20
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := range aborted / workers {
				c, err := net.Dial("tcp", address)
				if err != nil {
					t.Error(err)
					return
				}
				// Some leave in the middle of the body, some before the answer.
				_, _ = io.WriteString(c, header+body[:len(body)-(w+i)%2*20])
				_ = c.(*net.TCPConn).SetLinger(0) // a reset, not a polite end
				c.Close()
			}
		})
	}
	group.Wait()
	client := &http.Client{Timeout: patience}
	for i := range 10 {
		r, err := http.NewRequest(http.MethodPost, s.FunctionsURL+"/Submit", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{
			"Content-Type": {"application/json"}, "Ce-Id": {"1"}, "Ce-Specversion": {"1.0"},
			"Ce-Type":   {"google.cloud.storage.object.v1.finalized"},
			"Ce-Source": {"//storage.googleapis.com/projects/_/buckets/jobdrop-inbox"},
		}
		response, err := client.Do(r)
		if err != nil {
			t.Fatalf("request %d after %d aborted ones: %v", i+1, aborted, err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusNoContent {
			t.Errorf("request %d after %d aborted ones: %s", i+1, aborted, response.Status)
		}
	}
}
