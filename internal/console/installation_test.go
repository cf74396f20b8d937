package console

import (
	"strings"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/flow/watcher"
)

// The page says what its numbers count, and of a queue that does not change that it is not old.
func TestHeartbeat(t *testing.T) {
	s := newSite(t, nil)
	if err := s.ledger.Beat(t.Context(), watcher.Pulse{At: now, Changed: 1, Failed: 2, Complete: true}); err != nil {
		t.Fatal(err)
	}
	at := now.Add(-time.Hour)
	queue := attempt.Queue{At: at, Total: 1, Waiting: []attempt.Place{{Place: 1, Attempt: "a", Folder: "a/"}}}
	if _, err := s.ledger.WriteQueue(t.Context(), queue, 0); err != nil {
		t.Fatal(err)
	}
	body := s.get("/installation").body
	for _, want := range []string{
		"<dd>1 attempt changed, 2 things failed</dd>", "1 waits, unchanged since " + string(timeElement(at)),
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s\n%s", want, body)
		}
	}
}
