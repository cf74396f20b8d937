package console

import (
	"bytes"
	"net/http"
	"strings"
	"sync"
	"time"
)

// events is a stream of server-sent events. It is safe for concurrent use.
type events struct {
	w   http.ResponseWriter
	out *http.ResponseController

	mu sync.Mutex
}

func newEvents(w http.ResponseWriter) *events {
	return &events{w: w, out: http.NewResponseController(w)}
}

// begin sends the head of the answer, and how long the browser waits before it comes again.
func (e *events) begin() bool {
	h := e.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // a proxy must not gather events
	return e.write([]byte("retry: 2000\n\n"))
}

// quiet sends something that the browser does not see.
func (e *events) quiet() bool { return e.write([]byte(":\n\n")) }

// send sends an event; name is empty for the usual kind.
func (e *events) send(name, id string, data []byte) bool {
	var b bytes.Buffer
	if name != "" {
		b.WriteString("event: " + name + "\n")
	}
	if id != "" {
		b.WriteString("id: " + id + "\n")
	}
	if len(data) == 0 {
		b.WriteString("data:\n")
	}
	for line := range strings.Lines(string(data)) {
		b.WriteString("data: " + strings.TrimRight(line, "\r\n") + "\n")
	}
	b.WriteByte('\n')
	return e.write(b.Bytes())
}

// write reports whether the follower is still there.
func (e *events) write(data []byte) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_ = e.out.SetWriteDeadline(time.Now().Add(writeTime)) // a server without deadlines waits for its followers
	_, err := e.w.Write(data)
	return err == nil && e.out.Flush() == nil
}
