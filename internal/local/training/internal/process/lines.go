package process

import (
	"bytes"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jobdrop/jobdrop/internal/text"
)

// MaxLine bounds a line of output, in bytes; a longer one makes several. It is below the 256 KiB of Cloud Logging's
// entries.
const MaxLine = 64 << 10

// progressEvery is how often a line that a program writes over again is passed on: a bar that moves fifty times a
// second is read by people.
const progressEvery = 2 * time.Second

// readLines calls f with each line of r until r ends. A line of more than limit bytes makes several, cut between
// characters. Where a carriage return begins a line again, as progress bars do, f gets the newest form: at the line's
// end, and meanwhile now and then. If the line is blank at its end, that is the newest form with words in it.
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
	lost []byte    // the line's newest form that was not blank, if it was not passed on
}

func (l *lines) write(p []byte) {
	for len(p) > 0 {
		switch p[0] {
		case '\n':
			l.pass()
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
	if !blank(l.line) {
		l.lost = append(l.lost[:0], l.line...)
		if at := l.now(); !at.Before(l.last.Add(progressEvery)) {
			l.f(string(l.line))
			l.last, l.lost = at, l.lost[:0]
		}
	}
	l.line, l.over = l.line[:0], false
}

// pass passes on the line at its end. Programs wipe a bar before they go on, and an error's words with it.
func (l *lines) pass() {
	if len(l.lost) > 0 && blank(l.line) {
		l.line = append(l.line[:0], l.lost...)
	}
	l.f(string(l.line))
	l.line, l.lost, l.over = l.line[:0], l.lost[:0], false
}

// blank reports whether a terminal shows nothing of a line.
func blank(line []byte) bool { return strings.TrimSpace(text.Plain(string(line))) == "" }

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
	l.line, l.lost = append(l.line[:0], l.line[n:]...), l.lost[:0]
}

func (l *lines) end() {
	if len(l.line) > 0 {
		l.pass()
	}
}
