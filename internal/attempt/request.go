package attempt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// MaxRequest is the largest size of a request, in bytes.
const MaxRequest = 4 << 10

// The kinds of requests.
const (
	KindCancel = "cancel"
	KindRerun  = "rerun"
)

// Request is what somebody asks for: to cancel an attempt, or to run it again. Nobody verified what
// it says.
type Request struct {
	// Kind is cancel or rerun.
	Kind string `json:"kind"`
	// Reason is why, in the words of who asks. By is who asks.
	Reason string `json:"reason,omitempty"`
	By     string `json:"by,omitempty"`
	// At is when it was written, by the clock of who asks.
	At time.Time `json:"at,omitzero"`
}

// ParseRequest reads a request. The error says what is wrong, what is allowed and how to go on.
func ParseRequest(data []byte) (Request, error) {
	var r Request
	if len(data) > MaxRequest {
		return r, fmt.Errorf("the request is longer than %d bytes: shorten its reason, and ask again", MaxRequest)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return Request{}, fmt.Errorf(`the request is not valid JSON of the form {"kind": "cancel", "reason": "...", `+
			`"by": "...", "at": "2026-11-23T09:05:00Z"}, where kind may be rerun, too: %s; correct it, and ask again`, fault(err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Request{}, errors.New("more follows after the request: write one JSON object, and ask again")
	}
	if r.Kind != KindCancel && r.Kind != KindRerun {
		return Request{}, fmt.Errorf("the request's kind is %q, and may be %s or %s: correct it, and ask again",
			job.BoundText(r.Kind, job.MaxPerson), KindCancel, KindRerun)
	}
	r.Reason, r.By = job.BoundText(line(r.Reason), job.MaxText/2), job.BoundText(line(r.By), job.MaxPerson)
	return r, nil
}

// fault says what is wrong with a request's JSON.
func fault(err error) string {
	var field *json.UnmarshalTypeError
	var at *time.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return "it is empty"
	case errors.As(err, &field) && field.Field != "":
		return fmt.Sprintf("%s is of JSON's type %s, and has to be a text", field.Field, field.Value)
	case errors.As(err, &field):
		return "it is of JSON's type " + field.Value + ", and has to be an object"
	case errors.As(err, &at):
		return "at is " + at.Value + ", and has to be a time of RFC 3339"
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// line returns a text without line breaks and other control characters: it becomes part of a
// sentence.
func line(text string) string {
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, text))
}

// Asked is a request's object in the ledger.
type Asked struct {
	// Name is what follows requests/ in the object's name.
	Name string
	// Generation, Size and Created are the object's.
	Generation, Size int64
	Created          time.Time
}

// Made returns the attempt that the request makes if it asks for a rerun: of the same folder, with the
// request's generation.
func (a Asked) Made() string {
	folder, _, _ := strings.Cut(a.Attempt(), "-")
	return folder + "-" + strconv.FormatInt(a.Generation, 10)
}

// requestName matches the names of requests.
var requestName = regexp.MustCompile(`^([0-9a-f]{40}-[0-9]{1,19})/[A-Za-z0-9_-]{1,64}\.json$`)

// Attempt returns the attempt that the request is for. It is empty if the request's name is not
// valid.
func (a Asked) Attempt() string {
	if m := requestName.FindStringSubmatch(a.Name); m != nil {
		return m[1]
	}
	return ""
}

// The outcomes of a request.
const (
	RequestAccepted = "accepted"
	RequestRefused  = "refused"
)

// Answer says what came of a request.
type Answer struct {
	// Outcome is accepted or refused.
	Outcome string `json:"outcome"`
	// Message says in a sentence what happens now, or why nothing does and how to go on.
	Message string `json:"message"`
	// Attempt is the attempt that a rerun made.
	Attempt string `json:"attempt,omitempty"`
	// Request is what was asked for, if it could be read.
	Request *Request `json:"request,omitempty"`
	// Generation is that of the request's object. A later request of the same name has another.
	Generation int64     `json:"generation,string"`
	At         time.Time `json:"at"`
}

// DeclinedError reports that what a request asks for can't be done.
type DeclinedError struct{ Reason string }

func (e *DeclinedError) Error() string { return e.Reason }

// Decline returns a [*DeclinedError].
func Decline(format string, args ...any) error { return &DeclinedError{fmt.Sprintf(format, args...)} }

// asked says that somebody asked for something, in whose words and why.
func asked(by, reason string) string {
	text := "somebody asked for it"
	if by != "" {
		text = by + " asked for it, as the request says"
	}
	if reason != "" {
		text += ": " + reason
	}
	return text
}

// Cancel says that somebody asks to end the attempt. One without a job ends at once. Of one with a
// job, the backend is asked to cancel that, until it does. If a create is under way, the attempt
// waits until its outcome is known.
type Cancel struct {
	Request Request
	// Generation is that of the request's object.
	Generation int64
}

func (o Cancel) apply(r *Record, now time.Time) error {
	if r.CancelAsked() || r.BeingCancelled(now) {
		return errNothingNew
	}
	before := r.State
	r.Request = o.Generation
	r.CancelRequested = &job.CancelRequest{
		Kind: job.KindRequest, Reason: o.Request.Reason, By: o.Request.By, At: now,
	}
	switch {
	case before.Undecided():
		return Withdraw{Reason: "cancelled before the drop was accepted: " + r.whoAsked()}.apply(r, now)
	case before == job.Accepted && r.Creating == nil && !r.CreateUnknown():
		r.neverRan(now)
	case before == job.Accepted:
		r.Reason = "to be cancelled once it is known whether its job was created: " + r.whoAsked()
	}
	return nil
}

// CancelAsked reports whether somebody's request to end the attempt was recorded.
func (r Record) CancelAsked() bool {
	return r.CancelRequested != nil && r.CancelRequested.Kind == job.KindRequest
}

// BeingCancelled reports whether the backend cancels the job already, or is being asked to since a
// limit is over.
func (r Record) BeingCancelled(now time.Time) bool {
	if r.State != job.Submitted {
		return false
	}
	kind := r.CancelDue(now)
	return r.Job.State == job.BackendCancelling || kind != "" && r.CancelRequested != nil && r.CancelRequested.Kind == kind
}

// whoAsked says who asked to cancel the attempt, and why.
func (r *Record) whoAsked() string { return asked(r.CancelRequested.By, r.CancelRequested.Reason) }

// neverRan ends an accepted attempt, by somebody's request, that has no job. The caller knows that
// none exists, and that none can appear.
func (r *Record) neverRan(now time.Time) {
	r.Reason = "cancelled before its job was created, so it never ran: " + r.whoAsked()
	r.Job.State, r.Error, r.Deadlines = job.BackendCancelled, nil, job.Deadlines{}
	r.conclude(job.Cancelled, job.JobCancelled, now)
}

// NeverRan reports whether the attempt was cancelled before its job was created.
func (r Record) NeverRan() bool { return r.State == job.Cancelled && r.Times.Created.IsZero() }

// NewRerun returns the record of an attempt that runs again what an earlier one was accepted with,
// as somebody asked. The attempt is named by the request's generation, as others are by their job
// file's: so one request makes one attempt.
func NewRerun(of Record, r Request, a Asked, now time.Time) Record {
	jobFile := of.Drop.JobFile
	n := NewRecord(jobFile, now)
	n.Uploader = of.Uploader
	n.Attempt = job.AttemptKey(a.as(jobFile))
	n.Rerun = &job.Rerun{Of: of.Attempt, Reason: r.Reason, By: r.By, At: now.UTC()}
	n.RerunRequest = a.Name
	n.Times.Dropped = a.Created
	return n
}

// Granted returns the request that made the attempt, and its answer as of now. ok is false if no request did, or if
// an earlier revision did not note which.
func (r Record) Granted(now time.Time) (a Asked, answer Answer, ok bool) {
	if r.Rerun == nil || r.RerunRequest == "" {
		return Asked{}, Answer{}, false
	}
	a = Asked{Name: r.RerunRequest, Generation: r.Number()}
	answer = Reruns(r.Attempt)
	answer.Request = &Request{Kind: KindRerun, Reason: r.Rerun.Reason, By: r.Rerun.By}
	answer.Generation, answer.At = a.Generation, now.UTC()
	return a, answer, true
}

// Reruns returns the answer to a request that made an attempt.
func Reruns(made string) Answer {
	return Answer{
		Outcome: RequestAccepted, Attempt: made,
		Message: "the drop runs again as attempt " + made + ", whose events tell what becomes of it",
	}
}

// as returns a job file with the time and the generation of a request.
func (a Asked) as(jobFile job.Object) job.Object {
	return job.Object{Bucket: jobFile.Bucket, Name: jobFile.Name, Generation: a.Generation, Created: a.Created}
}

// JobID returns the ID of the job of a rerun whose job file names none.
func (a Asked) JobID(jobFile job.Object) string { return job.DefaultJobID(a.as(jobFile)) }

// Number returns the number that the attempt's name ends with: the generation of its job file or, of
// a rerun, that of the request. The folder's attempts are in this order.
func (r Record) Number() int64 {
	if r.Rerun == nil {
		return r.Drop.JobFile.Generation
	}
	return numberOf(r.Attempt)
}

// numberOf returns the number that an attempt's name ends with; 0 if it has none.
func numberOf(key string) int64 {
	_, text, _ := strings.Cut(key, "-")
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}
