// Package logs describes the logs of jobs as people read them: lines, places in a log, and windows of it. Who reads a
// log shares it with who shows it.
package logs

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// RightList is the right that a reader of a project's logs needs, as IAM names it.
const RightList = "logging.logEntries.list"

// Job names a job whose log is read.
type Job struct {
	ID      string    // the last part of its resource name, by which its log goes
	Created time.Time // bounds searches; zero if it is not known
	Ended   bool
}

// JobOf returns the job of an attempt. Its ID is empty if the attempt has none.
func JobOf(s job.Snapshot) Job {
	name := s.Job.ResourceName
	return Job{ID: name[strings.LastIndexByte(name, '/')+1:], Created: s.Times.Created, Ended: s.State.Terminal()}
}

// Line is a line of a job's log. Its text is as the program wrote it: it may steer a terminal, or be mark-up.
type Line struct {
	Time           time.Time // zero if the entry has none
	InsertID       string    // tells lines of one time apart, and orders them
	JobID          string
	Replica, Trial string
	Severity       string // as Cloud Logging names it, e.g. ERROR
	Text           string
	Cut            int // the bytes of the text that were left out
}

// Cursor returns the line's place.
func (l Line) Cursor() Cursor { return Cursor{Time: l.Time, ID: l.InsertID} }

// Error reports whether the line's severity is ERROR or above.
func (l Line) Error() bool {
	switch l.Severity {
	case "ERROR", "CRITICAL", "ALERT", "EMERGENCY":
		return true
	}
	return false
}

// Short returns the line with at most so many bytes of its text.
func (l Line) Short(most int) Line {
	if len(l.Text) > most {
		kept := strings.ToValidUTF8(l.Text[:most], "")
		l.Cut += len(l.Text) - len(kept)
		l.Text = kept
	}
	return l
}

// Cursor is a place in a log: that of a line, or how far a search came that has found nothing yet. The zero value is
// no place.
type Cursor struct {
	Time  time.Time
	ID    string
	Token string // of the service, where the search goes on
}

// Compare compares the places of lines.
func (c Cursor) Compare(d Cursor) int {
	if n := c.Time.Compare(d.Time); n != 0 {
		return n
	}
	return strings.Compare(c.ID, d.ID)
}

// IsZero reports whether c is no place.
func (c Cursor) IsZero() bool { return c.Time.IsZero() && c.ID == "" && c.Token == "" }

// String returns the cursor as [ParseCursor] reads it; empty if it is no place.
func (c Cursor) String() string {
	if c.IsZero() {
		return ""
	}
	var at string
	if !c.Time.IsZero() {
		at = c.Time.UTC().Format(time.RFC3339Nano)
	}
	text := at + "!" + url.QueryEscape(c.ID)
	if c.Token != "" {
		text += "!" + url.QueryEscape(c.Token)
	}
	return text
}

// ErrCursor is returned for a text that is not a cursor.
var ErrCursor = errors.New("not a place in a log")

// maxCursor bounds the text of a cursor. An insert ID has some tens of bytes, and the token of a page some hundred.
const maxCursor = 2 << 10

// ParseCursor reads what [Cursor.String] wrote.
func ParseCursor(text string) (c Cursor, err error) {
	parts := strings.Split(text, "!")
	switch {
	case text == "":
		return c, nil
	case len(text) > maxCursor || len(parts) < 2 || len(parts) > 3:
		return c, fmt.Errorf("%.40q: %w", text, ErrCursor)
	}
	if parts[0] != "" {
		c.Time, err = time.Parse(time.RFC3339Nano, parts[0])
	}
	if err == nil {
		c.ID, err = url.QueryUnescape(parts[1])
	}
	if err == nil && len(parts) == 3 {
		c.Token, err = url.QueryUnescape(parts[2])
	}
	if err != nil || c.Time.IsZero() && c.Token == "" {
		return Cursor{}, fmt.Errorf("%.40q: %w", text, ErrCursor)
	}
	return c, nil
}

// Filter chooses lines of a log. The zero value chooses all.
type Filter struct {
	Replica  string // e.g. master-replica-0; service is the backend's own
	Text     string // which a line contains, without regard to case
	Errors   bool   // those of severity ERROR and above
	Programs bool   // those that the job's own programs wrote
}

// Match reports whether the filter chooses a line.
func (f Filter) Match(l Line) bool {
	return (f.Replica == "" || strings.EqualFold(f.Replica, l.Replica)) && (!f.Errors || l.Error()) &&
		(!f.Programs || !strings.EqualFold(l.Replica, "service")) &&
		(f.Text == "" || strings.Contains(strings.ToLower(l.Text), strings.ToLower(f.Text)))
}

// Query asks for a window of a log: before, after or around a place, of which one at most is set; else the log's end.
type Query struct {
	Filter
	Before, After, Around Cursor
	Lines                 int // at most; 0 is the reader's usual number
}

// Window is a part of a log, in the order of time.
type Window struct {
	Lines []Line
	// Before and After are where the log goes on; they are zero at its begin and at its end. A window without lines may
	// have them: so much of the log was searched so far.
	Before, After Cursor
	// Note says that a search is not over.
	Note string
}

// ErrFollowed is returned when too many logs are followed.
var ErrFollowed = errors.New("too many logs are followed at once: try again in a minute")

// Batch is what comes of a log that is followed.
type Batch struct {
	Lines []Line
	// Skipped is how many lines that the filter chooses were left out before these, since who follows the log was too slow.
	// Gap reports that lines of the log are left out whose number is not known: a window has them.
	Skipped int64
	Gap     bool
	// Last is the place from which to follow the log again.
	Last Cursor
	// Note says that the log can't be read for now.
	Note string
	// Ended reports that the job has ended, and no line is to come.
	Ended bool
}

// DeniedError reports that whoever reads a log lacks the right to.
type DeniedError struct {
	On  string // projects/PROJECT, or a log view
	Err error
}

func (e *DeniedError) Error() string {
	return fmt.Sprintf("you lack the right %s on %s: ask whoever runs the installation for it (%v)", RightList, e.On, e.Err)
}

func (e *DeniedError) Unwrap() error { return e.Err }
