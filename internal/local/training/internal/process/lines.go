package process

import (
	"bytes"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxLine bounds a line of output, in bytes; a longer one makes several. It is below the 256 KiB of Cloud Logging's
// entries.
const MaxLine = 64 << 10

// progressEvery is how often a line that a program writes over again is passed on: a bar that moves fifty times a
// second is read by people.
const progressEvery = 2 * time.Second

// readLines calls f with each line of r until r ends. A line of more than limit bytes makes several, cut between
// characters. Where a carriage return begins a line again, as progress bars do, f gets the newest form: at the line's
// end, and meanwhile now and then.
func readLines(r io.Reader, limit int, now func() time.Time, f func(string)) {
	l := lines{limit: limit, now: now, f: f}
	chunk := make([]byte, limit)
	for {
		n, err := r.Read(chunk)
		l.write(chunk[:n])
		if err != nil {
			l.end()
			return
		}
	}
}

// lines makes lines of what a program writes.
type lines struct {
	limit int
	now   func() time.Time
	f     func(string)

	line []byte
	over bool      // a carriage return came: what follows is written over the line
	last time.Time // when a line that is written over again was passed on
}

func (l *lines) write(p []byte) {
	for len(p) > 0 {
		switch p[0] {
		case '\n':
			l.f(string(l.line))
			l.line, l.over = l.line[:0], false
			p = p[1:]
			continue
		case '\r':
			l.over = true
			p = p[1:]
			continue
		}
		if l.over {
			l.rewrite()
		}
		end := bytes.IndexAny(p, "\r\n")
		if end < 0 {
			end = len(p)
		}
		end = min(end, l.limit-len(l.line))
		l.line = append(l.line, p[:end]...)
		p = p[end:]
		if len(l.line) == l.limit {
			l.cut()
		}
	}
}

// rewrite begins the line again.
func (l *lines) rewrite() {
	if at := l.now(); strings.TrimSpace(string(l.line)) != "" && !at.Before(l.last.Add(progressEvery)) {
		l.f(string(l.line))
		l.last = at
	}
	l.line, l.over = l.line[:0], false
}

// cut passes on what is full, up to the begun character at its end.
func (l *lines) cut() {
	n := len(l.line)
	for i := n - 1; i >= 0 && i > n-utf8.UTFMax; i-- {
		if utf8.RuneStart(l.line[i]) {
			if !utf8.FullRune(l.line[i:]) {
				n = i
			}
			break
		}
	}
	l.f(string(l.line[:n]))
	l.line = append(l.line[:0], l.line[n:]...)
}

func (l *lines) end() {
	if len(l.line) > 0 {
		l.f(string(l.line))
	}
}
