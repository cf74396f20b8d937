// Package logs keeps the logs of jobs in files and answers for them as Cloud Logging does.
package logs

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// maxLogBytes bounds a job's log on disk, over all its tasks.
const maxLogBytes = 64 << 20

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

// FileName holds the lines of all of a job's tasks in the order of Seq, which is
// that of Time, too: a reader needs no more than a place in one file.
const FileName = "log.jsonl"

// The streams of a line.
const (
	Stdout = "stdout"
	Stderr = "stderr"
)

// ServiceTask is the task of the service's own lines.
const ServiceTask = "service"

// Options are a log's settings.
type Options struct {
	Sink   func(Line) // optional: called with each line, one call at a time
	Now    func() time.Time
	Logger *slog.Logger // told of a file that can't be written
}

// New returns the log of a job that writes <dir>/log.jsonl and hands each line on.
func New(jobID, dir string, o Options) *Log {
	return &Log{jobID: jobID, dir: dir, sink: o.Sink, now: o.Now, log: o.Logger, max: maxLogBytes}
}

// Log is the log of one job, over all its tasks. Its methods may be called from several goroutines.
type Log struct {
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

// Write adds a line that is of no trial.
func (l *Log) Write(task, stream, text string) { l.WriteTrial("", task, stream, text) }

// WriteTrial adds a line. The lines of one job are in one order for file and sink.
func (l *Log) WriteTrial(trial, task, stream, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut && task != ServiceTask {
		return
	}
	if l.file == nil && !l.broken {
		l.left = l.max
		l.check(l.open())
	}
	l.put(trial, task, stream, text)
	if l.left <= 0 && !l.cut {
		l.cut = true
		l.put("", task, Stderr, "The log is full; the lines after this one are left out.")
	}
}

func (l *Log) put(trial, task, stream, text string) {
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

func (l *Log) check(err error) {
	if err != nil && !l.broken {
		l.broken = true // once: a full disk would say it for each line
		l.log.Error("a job's log was not written", "job_id", l.jobID, "error", err)
	}
}

// open goes on with what an earlier service wrote. Its last line may have no
// end, if it was killed.
func (l *Log) open() (err error) {
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(l.dir, FileName), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
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

// End closes the file. A later line opens it again.
func (l *Log) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		_ = l.file.Close() // each line was written by a write of its own
		l.file = nil
	}
}

// readBytes is above any line of a log: process.MaxLine as JSON are up to six times
// as long, and a little more.
const readBytes = 512 << 10

// readLine returns the next line of a log with its end, which is valid until the
// next call. A longer one than a log has comes in pieces that are no JSON.
func readLine(br *bufio.Reader) ([]byte, error) {
	data, err := br.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		err = nil
	}
	return data, err
}
