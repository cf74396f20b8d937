package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
)

// unsentLog reads the log of a stack's functions, and says which messages Notify did not send.
type unsentLog struct {
	next io.Writer // gets the log as it is; nil for nobody
	say  func(format string, args ...any)

	mu   sync.Mutex
	rest []byte // of a line whose end is yet to come
	// failed holds the messages of which it was said that they were not sent.
	failed map[string]bool
}

func newUnsentLog(next io.Writer, say func(format string, args ...any)) *unsentLog {
	return &unsentLog{next: next, say: say, failed: map[string]bool{}}
}

// maxLogLine bounds what is kept of a line, in bytes: those that are looked for have less than 10 kB.
const maxLogLine = 64 << 10

// Write takes a part of the log. Its errors are those of the writer that gets the log next.
func (u *unsentLog) Write(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.rest = append(u.rest, p...)
	for {
		line, rest, ok := bytes.Cut(u.rest, []byte("\n"))
		if !ok {
			break
		}
		u.read(line)
		u.rest = bytes.Clone(rest)
	}
	if len(u.rest) > maxLogLine {
		u.rest = nil
	}
	if u.next == nil {
		return len(p), nil
	}
	return u.next.Write(p)
}

// read reads a line. The caller holds mu.
func (u *unsentLog) read(line []byte) {
	var l struct {
		Message, Destination, Kind, Route, Drop, Error string

		Event string `json:"event_id"`
		Again string `json:"again_in"`
	}
	if !bytes.Contains(line, []byte(`"message":"message `)) || json.Unmarshal(line, &l) != nil {
		return
	}
	message := strings.Join([]string{l.Event, l.Route, l.Destination}, " ")
	to := fmt.Sprintf("%s (%s)", l.Destination, l.Kind)
	switch first := !u.failed[message]; {
	case l.Message == "message sent":
		if !first {
			u.say("told at last: %s, of %s", to, l.Drop)
		}
		delete(u.failed, message)
	case l.Message == "message given up":
		u.say("not told: %s, of %s: %s: it is not tried again", to, l.Drop, l.Error)
		delete(u.failed, message)
	case l.Message == "message not sent" && first:
		u.say("not told yet: %s, of %s: %s: the next try is in %s", to, l.Drop, l.Error, l.Again)
		u.failed[message] = true
	}
}
