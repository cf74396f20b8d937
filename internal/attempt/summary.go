package attempt

import (
	"net/url"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// Summary is what a list of the ledger shows of an attempt, without a read of its record. It stands in
// the metadata of the attempt's objects.
type Summary struct {
	Attempt string `json:"attempt"`
	// Bucket and Folder are the drop's.
	Bucket string `json:"bucket"`
	Folder string `json:"folder"`
	// State is what events show. It is empty before the first decision.
	State         job.State `json:"state,omitempty"`
	JobID         string    `json:"jobId,omitempty"`
	CorrelationID string    `json:"correlationId,omitempty"`
	// Dropped is when the job file was uploaded, to the millisecond. Seen is when jobdrop first saw it,
	// Concluded when the attempt got its verdict.
	Dropped   time.Time `json:"dropped"`
	Seen      time.Time `json:"seen,omitzero"`
	Concluded time.Time `json:"concluded,omitzero"`
}

// Summary returns what lists show of the record.
func (r Record) Summary() Summary {
	return Summary{
		Attempt: r.Attempt, Bucket: r.Drop.Bucket, Folder: r.Drop.Prefix, State: r.Shown(),
		JobID: r.Job.ID, CorrelationID: r.CorrelationID,
		Dropped: r.dropped(), Seen: r.Times.Seen, Concluded: r.Times.Concluded,
	}
}

// dropped returns when the job file was uploaded. If its storage did not say so, that is when jobdrop first
// saw it.
func (r Record) dropped() time.Time {
	at := r.Times.Dropped
	if at.IsZero() {
		at = r.Times.Seen
	}
	return at.UTC().Truncate(time.Millisecond)
}

// Summary returns what lists show of the entry's attempt.
func (e Entry) Summary() Summary {
	return Summary{
		Attempt: e.Attempt, Bucket: e.Bucket, Folder: job.Folder(e.JobFile), State: e.Shown,
		JobID: e.JobID, CorrelationID: e.CorrelationID, Dropped: e.Dropped,
	}
}

// The keys of a summary in an object's metadata.
const (
	keyBucket        = "bucket"
	keyFolder        = "folder"
	keyState         = "state"
	keyJobID         = "job-id"
	keyCorrelationID = "correlation-id"
	keyDropped       = "dropped"
	keySeen          = "seen"
	keyConcluded     = "concluded"
)

// Metadata returns the summary as metadata of an object. Each key begins with prefix. The values are valid in
// headers of HTTP: see [Header]. They take less than the 8 KiB that an object may have; a test makes the longest.
func (s Summary) Metadata(prefix string) map[string]string {
	m := map[string]string{}
	for key, value := range map[string]string{
		keyBucket: s.Bucket, keyFolder: s.Folder, keyState: string(s.State), keyJobID: s.JobID,
		keyCorrelationID: s.CorrelationID, keyDropped: instant(s.Dropped), keySeen: instant(s.Seen),
		keyConcluded: instant(s.Concluded),
	} {
		if value != "" {
			m[prefix+key] = Header(value)
		}
	}
	return m
}

// ParseSummary returns the summary of an attempt in the metadata that [Summary.Metadata] made without a prefix. It
// never fails: what is damaged or was written by an earlier revision is empty.
func ParseSummary(key string, m map[string]string) Summary {
	at := func(name string) time.Time {
		t, _ := time.Parse(time.RFC3339Nano, m[name])
		return t
	}
	return Summary{
		Attempt: key, Bucket: FromHeader(m[keyBucket]), Folder: FromHeader(m[keyFolder]), State: job.State(m[keyState]),
		JobID: FromHeader(m[keyJobID]), CorrelationID: FromHeader(m[keyCorrelationID]),
		Dropped: at(keyDropped), Seen: at(keySeen), Concluded: at(keyConcluded),
	}
}

// instant writes a time; an empty text if it is zero.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// headerText is the longest text in a header, in bytes. The longest are an object's name, and a correlation ID.
const headerText = 1024

// Header returns a text as a value of object metadata that every interface of Cloud Storage passes on as it is.
// The XML interface and downloads have metadata in headers of HTTP, which take visible ASCII. So whatever else
// there is, spaces and percent signs are percent-encoded. A text that is too long is cut.
func Header(text string) string {
	return (&url.URL{Path: text[:min(len(text), headerText)]}).EscapedPath()
}

// FromHeader returns the text that [Header] encoded, or text itself if that was not encoded so.
func FromHeader(text string) string {
	if decoded, err := url.PathUnescape(text); err == nil {
		return decoded
	}
	return text
}
