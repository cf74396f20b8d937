package local_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/local/functions"
	"github.com/jobdrop/jobdrop/internal/service/inbound"
	"github.com/jobdrop/jobdrop/internal/testing/eventtest"
	"github.com/jobdrop/jobdrop/pkg/event"
)

// notifyTo is a variable of the functions' process: the URL of a Notify that stands in for theirs.
const notifyTo = "NOTIFY_TO"

// serveBut serves the functions, all but Notify, whose requests go elsewhere.
func serveBut(addr, notify string, hosts []string, lifeline io.Reader) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	behind := l.Addr().String()
	if err := l.Close(); err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() { ended <- functions.Serve(behind, hosts, lifeline) }()
	for {
		c, err := net.Dial("tcp", behind)
		if err == nil {
			c.Close()
			break
		}
		select {
		case err := <-ended:
			return err
		case <-time.After(5 * time.Millisecond):
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/", httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: behind}))
	to, err := url.Parse(notify)
	if err != nil {
		return err
	}
	mux.Handle("/Notify", httputil.NewSingleHostReverseProxy(to))
	go func() { ended <- http.ListenAndServe(addr, mux) }()
	return <-ended
}

// listener is a Notify that refuses each event twice, and keeps what it took.
type listener struct {
	t     *testing.T
	ticks atomic.Int64

	mu    sync.Mutex
	tries map[string][]int    // delivery attempts by event
	taken map[string][]string // types of events by attempt, in their order
}

func (l *listener) receive(_ context.Context, e cloudevents.Event) error {
	delivery, _ := e.Extensions()["deliveryattempt"].(int32)
	decoded, err := inbound.DecodeLifecycle(e)
	if err != nil {
		l.t.Errorf("a push of something else: %v", err)
		return nil
	}
	eventtest.Check(l.t, decoded.CloudEvent)
	if got := decoded.CloudEvent.Source(); got != event.Source(local.Instance) {
		l.t.Errorf("the event is of %s: the functions have another name than the stack gave them", got)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tries[e.ID()] = append(l.tries[e.ID()], int(delivery))
	if len(l.tries[e.ID()]) <= 2 {
		return errors.New("not now")
	}
	l.taken[decoded.Body.Attempt] = append(l.taken[decoded.Body.Attempt], decoded.Type().Short())
	return nil
}

func listenForEvents(t *testing.T) (*listener, string) {
	l := &listener{t: t, tries: map[string][]int{}, taken: map[string][]string{}}
	server := httptest.NewServer(inbound.Notify(l.receive, func(context.Context) error { l.ticks.Add(1); return nil }))
	t.Cleanup(server.Close)
	return l, server.URL
}

// Notify gets each event as a push, those of an attempt in their order whatever is refused, and ticks of its
// own. The routes lie in the state bucket, and what they name of the environment changes nothing of the
// stack's.
func TestNotifyIsWoken(t *testing.T) {
	t.Parallel()
	l, at := listenForEvents(t)
	s := stack(t, local.Options{
		Routes: []byte("route: {}\n"), Env: []string{notifyTo + "=" + at},
		RoutesEnv: []string{"TOKEN=t", "STORAGE_EMULATOR_HOST=127.0.0.1:1", "JOBDROP_INSTANCE=other"},
	})
	upload(t, s, "hello", "trainer-0.1.tar.gz", "job.yaml")
	body := status(t, s, "hello", "has its verdict", ended)
	var types []string
	eventually(t, "the verdict is taken", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		types = slices.Clone(l.taken[body.Attempt])
		return slices.Contains(types, "job.succeeded")
	})
	var published []string
	for _, h := range body.History {
		published = append(published, strings.TrimPrefix(strings.TrimSuffix(string(h.Type), ".v1"), "dev.jobdrop."))
	}
	if diff := cmp.Diff(published, types); diff != "" {
		t.Errorf("events (-published +taken):\n%s", diff)
	}
	eventually(t, "the stack knows it", func() bool { return s.Notified(body.Attempt) == body.Sequence })
	l.mu.Lock()
	for id, tries := range l.tries {
		if !slices.Equal(tries, []int{1, 2, 3}) {
			t.Errorf("%s came as deliveries %v, want three", id, tries)
		}
	}
	l.mu.Unlock()
	eventually(t, "Notify has ticks", func() bool { return l.ticks.Load() > 1 })
	if data, _, err := s.Storage.Read(t.Context(), local.State, "routes.yaml", 0, 1<<10); err != nil ||
		string(data) != "route: {}\n" {
		t.Errorf("the routes are %q, %v", data, err)
	}
}

// Without routes nothing wakes Notify.
func TestNotifyIsLeftAlone(t *testing.T) {
	t.Parallel()
	l, at := listenForEvents(t)
	s := stack(t, local.Options{Env: []string{notifyTo + "=" + at}})
	upload(t, s, "hello", "trainer-0.1.tar.gz", "job.yaml")
	status(t, s, "hello", "has its verdict", ended)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.tries) > 0 || l.ticks.Load() > 0 {
		t.Errorf("it got %d events and %d ticks", len(l.tries), l.ticks.Load())
	}
	var names []string
	page, err := http.Get(s.StorageURL + "/storage/v1/b/" + local.State + "/o?prefix=routes")
	if err != nil {
		t.Fatal(err)
	}
	defer page.Body.Close()
	var list struct{ Items []struct{ Name string } }
	if err := json.NewDecoder(page.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Items {
		names = append(names, o.Name)
	}
	if len(names) > 0 {
		t.Errorf("there are routes: %v", names)
	}
}
