// Package account says why an attempt is where it is, step by step, each with the evidence for it: an object, a line of
// the policy, an answer of the backend, the end of a log. It also says which place an attempt has in the queue, what is
// left of the operator's budget for it, and what is due when. Of a folder that no attempt is known of, it says what lies
// there.
//
// A [Reader] reads what that takes, and writes nothing. The rest is pure: of the record, and of what was read, as it is
// at one time. Texts are as they were found: whoever shows them makes them fit for a terminal or a page.
package account

import (
	"time"

	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Account says why an attempt is where it is. Its JSON is what jobdrop why -o json prints.
type Account struct {
	Attempt string `json:"attempt,omitempty"`
	JobID   string `json:"jobId,omitempty"`
	Drop    string `json:"drop"`
	State   string `json:"state,omitempty"`
	// Because is the answer in one sentence, Next what happens next or what to do.
	Because string `json:"because"`
	Next    string `json:"next,omitempty"`
	Chain   []Step `json:"chain"`
}

// Step is one step of an account, with its evidence.
type Step struct {
	// Step is one of the constants below.
	Step string    `json:"step"`
	At   time.Time `json:"at,omitzero"`
	Text string    `json:"text"`
	// Evidence is where it stands: objects with their generations, lines of files, lines of a log.
	Evidence []string `json:"evidence,omitempty"`
}

// The steps.
const (
	StepDrop     = "drop"
	StepPackages = "packages"
	StepCheck    = "check"
	StepPolicy   = "policy"
	StepQueue    = "queue"
	StepBackend  = "backend"
	StepJob      = "job"
	StepLog      = "log"
	StepRequest  = "request"
	StepWatch    = "watch"
)

// add adds a step.
func (a *Account) add(step string, at time.Time, said string, evidence ...string) {
	a.Chain = append(a.Chain, Step{step, at, said, evidence})
}

// By says who dropped a job file, in their own words: ", by ann, commit c0ffee". It returns nothing if they said
// nothing.
func By(u job.Uploader) string {
	said := ""
	for _, part := range [...]struct{ word, value string }{
		{"by", u.Name}, {"commit", u.Commit}, {"branch", u.Branch}, {"see", u.URL},
	} {
		if part.value != "" {
			said += ", " + part.word + " " + part.value
		}
	}
	return said
}

// WithRule returns a violation in one line that ends with its rule in brackets, for people who search for it and ask
// jobdrop explain.
func WithRule(v job.Violation) string {
	line := text.OneLine(v.String())
	if v.Rule != "" {
		line += " [" + text.OneLine(string(v.Rule)) + "]"
	}
	return line
}
