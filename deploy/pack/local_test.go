package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/local/training"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// The local stack starts one command for all functions; the cloud one service for
// each. Between them stands this binary again.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "front" {
		fmt.Fprintln(os.Stderr, front(os.Args[2], os.Args[3]))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// targets are the functions. The front runs a process for each.
var targets = []string{"Notify", "Submit", "Watch"}

// front serves /NAME by a process of the program whose FUNCTION_TARGET is NAME and
// which knows of no other. It ends when its standard input does, or a process.
func front(program, address string) error {
	mux := http.NewServeMux()
	ended := make(chan error, len(targets)+2)
	var processes []*os.Process
	defer func() {
		for _, p := range processes {
			_ = p.Kill()
		}
	}()
	for _, target := range targets {
		to, err := free()
		if err != nil {
			return err
		}
		c := exec.Command(program)
		_, port, _ := net.SplitHostPort(to)
		c.Env = append(os.Environ(), "FUNCTION_TARGET="+target, "PORT="+port)
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		if err := c.Start(); err != nil {
			return err
		}
		processes = append(processes, c.Process)
		go func() { ended <- fmt.Errorf("%s: %w", target, c.Wait()) }()
		proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: to})
		mux.Handle("/"+target, proxy)
		if err := listening(to); err != nil {
			return err
		}
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		ended <- nil
	}()
	go func() { ended <- http.ListenAndServe(address, mux) }()
	return <-ended
}

// free returns a free loopback address: the framework listens by itself.
func free() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// listening waits until somebody listens.
func listening(address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := net.Dial("tcp", address)
		if err == nil {
			return c.Close()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

// said keeps what processes write.
type said struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// checkRunsADrop checks that the packed program, started once for each function, takes
// a drop from the inbox to its job and to the verdict. Submit handles the finalized
// event, Watch the ticks and the hints, and Notify tells a webhook of the verdict.
func checkRunsADrop(t *testing.T, program string) {
	if diff := cmp.Diff(registered(t), targets); diff != "" {
		t.Fatalf("functions (-registered +started):\n%s", diff)
	}
	python, err := training.FindPython(t.Context(), "")
	if err != nil {
		t.Fatalf("this test runs a Python program: %v", err)
	}
	logs, hook := &said{}, newHook(t)
	stack, err := local.Start(t.Context(), local.Options{
		Dir: t.TempDir(), Python: python, Functions: []string{os.Args[0], "front", program},
		Tick: 100 * time.Millisecond, FunctionLogs: logs,
		Routes: hook.routes(), RoutesEnv: []string{"HOOK_KEY=whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32))},
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, logs)
	}
	t.Cleanup(func() {
		if err := stack.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if t.Failed() {
			t.Logf("the functions said:\n%s", logs)
		}
	})
	var generation int64
	for _, name := range []string{"trainer-0.1.tar.gz", "job.yaml"} {
		f, err := os.Open(filepath.Join(root, "testdata/drops/hello", name))
		if err != nil {
			t.Fatal(err)
		}
		generation, err = stack.Storage.Upload(t.Context(), local.Inbox, "hello/"+name, f, nil)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	body := verdict(t, stack, "hello/status-"+strconv.FormatInt(generation, 10)+".json")
	if body.State != job.Succeeded {
		t.Errorf("the drop ends as %s: %s %v", body.State, body.Reason, body.Violations)
	}
	if _, err := stack.Storage.Stat(t.Context(), local.Output, "hello/hello.txt"); err != nil {
		t.Errorf("what the job leaves: %v", err)
	}
	select {
	case e := <-hook.told:
		if e.Type() != string(job.JobSucceeded) {
			t.Errorf("the webhook is told of %s", e.Type())
		}
	case <-time.After(time.Minute):
		t.Error("nobody is told of the verdict")
	}
	// Each answered for itself: the messages of the others are in their own processes.
	for _, want := range []string{`"attempt decided"`, `"tick"`, `"notify tick"`} {
		if !strings.Contains(logs.String(), want) {
			t.Errorf("no function logs %s", want)
		}
	}
}

// hook is a receiver of webhooks.
type hook struct {
	url  string
	told chan cloudevents.Event
}

func newHook(t *testing.T) *hook {
	t.Helper()
	h := &hook{told: make(chan cloudevents.Event, 10)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := cloudevents.NewEvent()
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil || r.Header.Get("Webhook-Signature") == "" {
			t.Errorf("a webhook with the header %v: %v", r.Header, err)
		}
		h.told <- e
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

// routes returns routes by which the hook is told of outcomes and warnings.
func (h *hook) routes() []byte {
	return fmt.Appendf(nil, `destinations:
  hook: {webhook: {url: '%s', keys: ['env://HOOK_KEY']}}
egress:
  hosts: [127.0.0.1]
  networks: [127.0.0.0/8]
route:
  to: [hook]
`, h.url)
}

// verdict waits for the status of an attempt that is over.
func verdict(t *testing.T, stack *local.Stack, name string) event.Body {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		data, _, err := stack.Storage.Read(ctx, local.Status, name, 0, 1<<20)
		if err == nil {
			var body event.Body
			if err := json.Unmarshal(data, &body); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, data)
			}
			if body.State.Terminal() {
				return body
			}
		} else if !errors.Is(err, job.ErrNotFound) {
			t.Fatal(err)
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("no verdict in %s", name)
		}
	}
}
