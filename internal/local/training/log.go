package training

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	// maxLogBytes bounds a job's log on disk, over all its tasks.
	maxLogBytes = 64 << 20
	// maxLineBytes bounds one entry, below the 256 KiB of Cloud Logging's; a
	// longer line makes several.
	maxLineBytes = 64 << 10
	// maxTailLines and maxTailBytes bound what of a program's stderr stands in
	// errorMessage.
	maxTailLines = 20
	maxTailBytes = 4 << 10
)

// Line is one line of a job's log. The log's file holds one as JSON a line.
type Line struct {
	JobID string `json:"jobId"`
	Trial string `json:"trial,omitempty"` // the ID of the trial that it is of, if any
	Task  string `json:"task"`            // "service" or a replica, e.g. "master-replica-0"
	// Seq counts the lines of a job from 1, over all its tasks and over
	// restarts of the service.
	Seq    int64     `json:"seq"`
	Time   time.Time `json:"time"`   // never before the line before
	Stream string    `json:"stream"` // "stdout" or "stderr"
	Text   string    `json:"text"`
}

// logFile holds the lines of all of a job's tasks in the order of Seq, which is
// that of Time, too: a reader needs no more than a place in one file.
const logFile = "log.jsonl"

// jobLog writes <dir>/log.jsonl and hands each line on.
type jobLog struct {
	jobID string
	dir   string
	sink  func(Line)
	now   func() time.Time
	log   *slog.Logger
	max   int64 // bytes on disk

	mu     sync.Mutex
	seq    int64
	last   time.Time
	left   int64
	cut    bool
	broken bool
	file   *os.File
}

// write adds a line that is of no trial.
func (l *jobLog) write(task, stream, text string) { l.writeTrial("", task, stream, text) }

// writeTrial adds a line. The lines of one job are in one order for file and sink.
func (l *jobLog) writeTrial(trial, task, stream, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut && task != taskService {
		return
	}
	if l.file == nil && !l.broken {
		l.left = l.max
		l.check(l.open())
	}
	l.put(trial, task, stream, text)
	if l.left <= 0 && !l.cut {
		l.cut = true
		l.put("", task, stderr, "The log is full; the lines after this one are left out.")
	}
}

func (l *jobLog) put(trial, task, stream, text string) {
	if now := l.now(); now.After(l.last) { // a clock may be set back
		l.last = now
	}
	l.seq++
	line := Line{l.jobID, trial, task, l.seq, l.last, stream, strings.ToValidUTF8(text, "\uFFFD")}
	data, err := json.Marshal(line)
	if err == nil {
		l.left -= int64(len(data)) + 1
		if l.file != nil {
			_, err = l.file.Write(append(data, '\n'))
		}
	}
	l.check(err)
	if l.sink != nil {
		l.sink(line)
	}
}

func (l *jobLog) check(err error) {
	if err != nil && !l.broken {
		l.broken = true // once: a full disk would say it for each line
		l.log.Error("a job's log was not written", "job_id", l.jobID, "error", err)
	}
}

// open goes on with what an earlier service wrote. Its last line may have no
// end, if it was killed.
func (l *jobLog) open() (err error) {
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(l.dir, logFile), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	size, torn := int64(0), false
	br := bufio.NewReaderSize(f, readBytes)
	for err == nil {
		var data []byte
		if data, err = readLine(br); len(data) == 0 {
			continue
		}
		size += int64(len(data))
		torn = data[len(data)-1] != '\n'
		var line Line
		if json.Unmarshal(data, &line) == nil && line.Seq > l.seq {
			l.seq = line.Seq
			if line.Time.After(l.last) {
				l.last = line.Time
			}
		}
	}
	if err == io.EOF {
		err = nil
	}
	if err == nil && torn {
		_, err = f.Write([]byte{'\n'})
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.left = l.max - size
	l.file = f
	return nil
}

func (l *jobLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		_ = l.file.Close() // each line was written by a write of its own
		l.file = nil
	}
}

// readBytes is above any line of a log: maxLineBytes as JSON are up to six times
// as long, and a little more.
const readBytes = 512 << 10

// readLine gives the next line of a log with its end, which is valid until the
// next call. A longer one than a log has comes in pieces that are no JSON.
func readLine(br *bufio.Reader) ([]byte, error) {
	data, err := br.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		err = nil
	}
	return data, err
}

// readLines calls f with each line of r until r ends. A line of more than limit
// bytes makes several, cut between characters.
func readLines(r io.Reader, limit int, f func(string)) {
	br := bufio.NewReaderSize(r, limit)
	var carry []byte // the begun character at the end of the piece before
	for {
		piece, err := br.ReadSlice('\n')
		whole := append(carry, piece...)
		carry = nil
		if err == bufio.ErrBufferFull {
			n := len(whole)
			for i := n - 1; i >= 0 && i > n-utf8.UTFMax; i-- {
				if utf8.RuneStart(whole[i]) {
					if !utf8.FullRune(whole[i:]) {
						n = i
					}
					break
				}
			}
			carry = append(carry, whole[n:]...)
			f(string(whole[:n]))
			continue
		}
		if err == nil || len(whole) > 0 {
			f(strings.TrimSuffix(strings.TrimSuffix(string(whole), "\n"), "\r"))
		}
		if err != nil {
			return
		}
	}
}

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
	t.lines = append(t.lines, line[max(0, len(line)-maxTailBytes/2):])
}

// excerpt is what fits of the end, from the last traceback's first line if that
// is among it.
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
	text := strings.Join(lines[kept:], "\n")
	if begin >= 0 && (cut || kept > 0) {
		return traceback + "\n  [...]\n" + strings.TrimPrefix(text, traceback+"\n")
	}
	return text
}
