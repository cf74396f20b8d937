package attempt

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// Queue is the ledger's note of the accepted attempts that wait for their turn, as a tick saw them last. It is for
// people and programs to read. Nothing is decided by it.
type Queue struct {
	// At is when the tick began that found the queue so. The note is written only if something has changed.
	At time.Time `json:"at"`
	// Total counts all attempts that wait. Waiting holds the first of them, in the order of their places.
	Total   int     `json:"total"`
	Waiting []Place `json:"waiting"`

	size int // of the places, in bytes; an upper bound
}

// Place is an attempt's place in the queue.
type Place struct {
	// Place counts from 1. Prefixes of the policy take turns. Within one the oldest comes first, and after the others
	// those that the backend turned down. Those that the operator paused come last.
	Place   int    `json:"place"`
	Attempt string `json:"attempt"`
	// Folder is the drop's.
	Folder string `json:"folder"`
	JobID  string `json:"jobId"`
	// Reason says what it waits for, for example "waiting: 3 of 3 jobs are active".
	Reason string `json:"reason"`
	// Since is when it was accepted. NextTry is when the backend is asked again, if it had no room.
	Since   time.Time `json:"since"`
	NextTry time.Time `json:"nextTry,omitzero"`
}

// The bounds of the queue's note.
const (
	// MaxWaiting is how many places the note of the queue has.
	MaxWaiting = 1000
	// MaxQueue is the largest size of the note, in bytes. A place of usual length takes 300.
	MaxQueue = 2 << 20
	// placeRest is what a place takes beside its texts, placeText the longest reason and job ID.
	placeRest = 300
	placeText = 200
)

// Add adds an attempt that waits to the end of the queue.
func (q *Queue) Add(e Entry, reason string) {
	q.Total++
	if len(q.Waiting) < q.Total-1 || len(q.Waiting) == MaxWaiting {
		return
	}
	p := Place{
		Place: q.Total, Attempt: e.Attempt, Folder: job.Folder(e.JobFile), JobID: job.BoundText(e.JobID, placeText),
		Reason: job.BoundText(reason, placeText), Since: e.Accepted, NextTry: e.Due,
	}
	size := placeRest
	for _, w := range []string{p.Attempt, p.Folder, p.JobID, p.Reason} {
		size += job.TextSize(w)
	}
	if q.size+size > MaxQueue-placeRest {
		return
	}
	q.size += size
	q.Waiting = append(q.Waiting, p)
}

// Digest returns a digest of what the note says, whenever it was written; empty if nobody waits.
func (q Queue) Digest() (string, error) {
	if q.Total == 0 {
		return "", nil
	}
	q.At = time.Time{}
	data, err := json.Marshal(q)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// QueueNote says which note of the queue was written last.
type QueueNote struct {
	// Digest is the note's, Generation its object's. They are zero as long as nobody has waited.
	Digest     string `json:"digest,omitempty"`
	Generation int64  `json:"generation,omitempty"`
}
