package cli

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/app/config"
	"github.com/jobdrop/jobdrop/internal/local/training"
)

// tailed is the log of a job that is waited for, as far as it was shown, and what was said of it.
type tailed struct {
	*tail
	mu          sync.Mutex
	lines, said []string
}

// tailOf begins to show the log that a Cloud Logging has.
func tailOf(t *testing.T, f *fakeLogging) *tailed {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	l := &tailed{}
	keep := func(list *[]string, text string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		*list = append(*list, text)
	}
	l.tail = &tail{
		target: &target{Config: config.Config{Project: "p", LoggingEndpoint: server.URL}},
		say:    func(format string, args ...any) { keep(&l.said, fmt.Sprintf(format, args...)) },
		line:   func(line training.Line) { keep(&l.lines, line.Text) },
	}
	l.start(t.Context(), loggedJob)
	t.Cleanup(l.stop)
	return l
}

// at calls do with the answer to a read, counted from the next one. do holds the lock.
func (f *fakeLogging) at(read int, do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	read += len(f.requests)
	f.answered = func(n int) {
		if n == read {
			do()
		}
	}
}

// While a job is waited for, its log comes from Cloud Logging: also what comes a while after the verdict, and in
// spite of reads that are refused for now.
func TestWaitShowsTheLog(t *testing.T) {
	t.Parallel()
	f := &fakeLogging{fail: []int{http.StatusTooManyRequests, http.StatusServiceUnavailable}}
	f.add(20, "b", "workerpool0-0", "two")
	read := make(chan struct{})
	f.at(3, func() { close(read) })
	l := tailOf(t, f)
	<-read
	f.add(25, "a", "workerpool0-0", "three")
	f.at(1, func() { f.entries = append(f.entries, written(30, "c", "workerpool0-0", "after the verdict")) })
	l.drain()
	if diff := cmp.Diff([]string{"two", "three", "after the verdict"}, l.lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if len(l.said) != 1 || !strings.HasPrefix(l.said[0], "the log can't be read for now: ") || !strings.Contains(l.said[0], "429") {
		t.Errorf("said %q", l.said)
	}
}

// Where the log can't be read, that is said once, with the right that is missing; the verdict does not wait for it.
func TestWaitWithoutTheLog(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		http.StatusForbidden:       "the log is not shown any more: you lack the right logging.logEntries.list on projects/p",
		http.StatusTooManyRequests: "the log is not shown any more: googleapi: Error 429: as asked for",
	} {
		f := &fakeLogging{fail: slices.Repeat([]int{status}, 100)}
		l := tailOf(t, f)
		l.drain()
		if n := len(l.said); n == 0 || !strings.Contains(strings.Join(l.said, "\n"), want) || n > 2 {
			t.Errorf("after a %d: %q", status, l.said)
		}
		if status == http.StatusForbidden && len(f.requests) != 1 {
			t.Errorf("after a 403 the log is read %d times", len(f.requests))
		}
	}
}
