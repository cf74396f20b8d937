package doctor

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/jobdrop/jobdrop/internal/flow/watcher"
)

const (
	heartbeatObject = "heartbeat.json"
	// heartbeatLate is how old a heartbeat may be: ticks come every one to five minutes, and write it at their end.
	heartbeatLate = 6 * time.Minute
	// HeartbeatLost is when the alert watch-heartbeat fires.
	HeartbeatLost = 10 * time.Minute
	playbook      = "deploy/playbooks/watch-heartbeat.md says what to look at, the log of Watch first"
)

// heartbeat checks how old the last tick is, by the storage's clock.
func (in *installation) heartbeat(ctx context.Context) []Finding {
	a, err := in.calls.read(ctx, in.objectURL(in.State, heartbeatObject))
	if code(err) == http.StatusNotFound {
		return []Finding{{Status: Problem, Text: "no tick of Watch has come to its end yet", Remedy: playbook}}
	}
	if err != nil {
		return []Finding{unread(cloudStorage, "", "storage.objects.get", err)}
	}
	pulse, err := decoded[watcher.Pulse](a)
	if err != nil || pulse.At.IsZero() {
		return []Finding{{Status: Problem, Text: heartbeatObject + " can't be read: it is not what a tick writes",
			Remedy: playbook}}
	}
	now := a.date
	if now.IsZero() {
		now = in.now()
	}
	return judgeHeartbeat(*pulse, now)
}

func judgeHeartbeat(p watcher.Pulse, now time.Time) []Finding {
	age := max(0, now.Sub(p.At)).Round(time.Second)
	text := fmt.Sprintf("Watch's last tick that came to its end began %s ago", age)
	switch {
	case age > HeartbeatLost:
		return []Finding{{Status: Problem, Text: text + ": what happens to jobs is not told", Remedy: playbook}}
	case age > heartbeatLate:
		return []Finding{{Status: Warning, Text: text + "; they come every one to five minutes", Remedy: playbook}}
	case p.Failed > 0 || !p.Complete:
		left := "it could not look at everything"
		if p.Failed > 0 {
			left = fmt.Sprintf("%d things in it failed", p.Failed)
		}
		return []Finding{{Status: Warning, Text: text + ", and " + left,
			Remedy: "deploy/playbooks/watch-errors.md says what to look at"}}
	}
	return []Finding{{Status: OK, Text: fmt.Sprintf("%s; %d attempts are open", text, p.Open)}}
}
