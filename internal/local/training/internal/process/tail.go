package process

import (
	"slices"
	"strings"
	"sync"

	"github.com/jobdrop/jobdrop/internal/text"
)

// maxTailLines and maxTailBytes bound what of a program's stderr stands in an [ExitError].
const (
	maxTailLines = 20
	maxTailBytes = 4 << 10
)

// traceback is the first line of what Python writes about an exception.
const traceback = "Traceback (most recent call last):"

// tail keeps the last lines of a program's stderr.
type tail struct {
	mu    sync.Mutex
	lines []string
	cut   bool // lines are missing after the first, a traceback's
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == 4*maxTailLines {
		first := 0
		if t.lines[0] == traceback {
			first, t.cut = 1, true
		}
		t.lines = slices.Delete(t.lines, first, first+1)
	}
	line = text.Plain(line[max(0, len(line)-maxTailBytes/2):])
	if begins(line) {
		line = traceback
	}
	t.lines = append(t.lines, line)
}

// begins reports whether a traceback begins in a line. It may follow a progress bar, which leaves its line open. The
// tracebacks of an exception group do not count: each is only a part.
func begins(line string) bool {
	before, found := strings.CutSuffix(line, traceback)
	return found && (before == "" || strings.Trim(strings.TrimSuffix(before, "Exception Group "), " |+") != "")
}

// excerpt returns what fits of the end, from the last traceback's first line if that is among it.
func (t *tail) excerpt() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := t.lines
	for len(lines) > 0 && strings.TrimSpace(lines[len(lines)-1]) == "" {
		lines = lines[:len(lines)-1]
	}
	begin := len(lines) - 1
	for begin >= 0 && lines[begin] != traceback {
		begin--
	}
	cut := begin == 0 && t.cut
	lines = lines[max(0, begin):]
	size := 0
	kept := len(lines)
	for kept > 0 && len(lines)-kept < maxTailLines && size+len(lines[kept-1]) < maxTailBytes {
		kept--
		size += len(lines[kept]) + 1
	}
	end := strings.Join(lines[kept:], "\n")
	if begin >= 0 && (cut || kept > 0) {
		return traceback + "\n  [...]\n" + strings.TrimPrefix(end, traceback+"\n")
	}
	return end
}
