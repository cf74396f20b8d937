package account

import (
	"fmt"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/text"
)

// Place is an attempt's place in the queue.
type Place struct {
	// Place counts from 1. Total is how many attempts wait, At when a tick saw them so.
	Place int       `json:"place"`
	Total int       `json:"total"`
	At    time.Time `json:"at"`
	// Prefix is the prefix under which the folder takes turns, PrefixPlace the place among those that wait under it, and
	// PrefixTotal how many those are; absent if the policy can't be read.
	Prefix      string `json:"prefix,omitempty"`
	PrefixPlace int    `json:"prefixPlace,omitempty"`
	PrefixTotal int    `json:"prefixTotal,omitempty"`
	// Reason is what it waits for, Since when it was accepted, and NextTry when the backend is asked again.
	Reason  string    `json:"reason"`
	Since   time.Time `json:"since"`
	NextTry time.Time `json:"nextTry,omitzero"`
}

// PlaceIn returns the place of an attempt in a queue; nil if it has none there. Without the policy, which is nil then,
// it is the place among all.
func PlaceIn(q attempt.Queue, key string, p *policy.Policy) *Place {
	for _, w := range q.Waiting {
		if w.Attempt != key {
			continue
		}
		own := &Place{Place: w.Place, Total: q.Total, At: q.At, Reason: w.Reason, Since: w.Since, NextTry: w.NextTry}
		if p != nil {
			own.within(q, p, w.Folder)
		}
		return own
	}
	return nil
}

// within adds the place among those that wait under the prefix of a folder.
func (own *Place) within(q attempt.Queue, p *policy.Policy, folder string) {
	own.Prefix = p.Prefix(folder)
	for _, w := range q.Waiting {
		if p.Prefix(w.Folder) != own.Prefix {
			continue
		}
		own.PrefixTotal++
		if w.Place <= own.Place {
			own.PrefixPlace++
		}
	}
}

// String returns the place in words: "3rd of 5 in the queue of prefix teams/nlp/** (7th of 12 in all)".
func (own Place) String() string {
	all := fmt.Sprintf("%s of %d", text.Ordinal(own.Place), own.Total)
	if own.PrefixPlace == 0 || own.Prefix == "" {
		return all + " in the queue"
	}
	return fmt.Sprintf("%s of %d in the queue of prefix %s (%s in all)", text.Ordinal(own.PrefixPlace), own.PrefixTotal,
		own.Prefix, all)
}
