package watcher

import (
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// sighting is what the backend's list shows of a job. It is as small as can be: a tick holds all
// of them, and there may be a hundred thousand.
type sighting struct {
	id, resource, attempt, message string
	state                          job.BackendState
	created, started               int64 // Unix nanoseconds; 0 if it did not happen
	next                           int32 // of the same job ID; 0 means none
	matched                        bool  // an open attempt owns the job ID
}

// extent is how much of the backend's list a tick has.
type extent int

const (
	noJobs   extent = iota // no page could be listed: nothing is known of the jobs
	someJobs               // a job that is missing may still exist
	allJobs
)

// sightings holds the backend's jobs that have not ended, by job ID. If the backend takes no IDs,
// several may have the same.
type sightings struct {
	extent extent
	all    []sighting // the first stands for none
	first  map[string]int32
	// known holds the texts that many jobs share.
	known map[string]string
}

func newSightings() *sightings {
	return &sightings{all: make([]sighting, 1), first: map[string]int32{}, known: map[string]string{}}
}

// shared returns the one copy of a text that many jobs share.
func (s *sightings) shared(text string) string {
	if text == "" {
		return ""
	}
	if known, ok := s.known[text]; ok {
		return known
	}
	s.known[text] = text
	return text
}

// add adds a job, unless it was added before: a job that moved from page to page is listed twice.
func (s *sightings) add(l attempt.BackendJob) {
	for i := s.first[l.JobID]; i != 0; i = s.all[i].next {
		if s.all[i].resource == l.ResourceName {
			return
		}
	}
	s.all = append(s.all, sighting{
		id: l.JobID, resource: l.ResourceName, attempt: l.Labels[job.LabelAttempt], message: l.Message,
		state:   job.BackendState(s.shared(string(l.State))),
		created: nanoseconds(l.Created), started: nanoseconds(l.Started), next: s.first[l.JobID],
	})
	s.first[l.JobID] = int32(len(s.all) - 1) // #nosec G115 -- as many jobs as 2^31 fit in no memory
}

func nanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func instant(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// of returns the jobs of an ID. Of their labels they have only the attempt's.
func (s *sightings) of(jobID string) []attempt.BackendJob {
	var listed []attempt.BackendJob
	for i := s.first[jobID]; i != 0; i = s.all[i].next {
		listed = append(listed, s.all[i].backendJob())
	}
	return listed
}

// match marks the jobs of an ID as owned by an open attempt. Calls must not overlap.
func (s *sightings) match(jobID string) {
	for i := s.first[jobID]; i != 0; i = s.all[i].next {
		s.all[i].matched = true
	}
}

func (s *sighting) backendJob() attempt.BackendJob {
	return attempt.BackendJob{
		JobID: s.id, ResourceName: s.resource, State: s.state, Message: s.message,
		Created: instant(s.created), Started: instant(s.started),
		Labels: map[string]string{job.LabelAttempt: s.attempt},
	}
}

// whole reports whether the list is complete.
func (s *sightings) whole() bool { return s.extent == allJobs }

// unchanged reports whether the list shows a job as the index knows it.
func (s *sightings) unchanged(e attempt.Entry) bool {
	for i := s.first[e.JobID]; i != 0; i = s.all[i].next {
		if j := &s.all[i]; j.resource == e.Resource && j.state == e.BackendState {
			return true
		}
	}
	return false
}

// shows reports whether s holds a job of the ID.
func (s *sightings) shows(jobID string) bool { return s.first[jobID] != 0 }

// single reports whether at most one job has the ID.
func (s *sightings) single(jobID string) bool { return s.all[s.first[jobID]].next == 0 }

// unmatched returns the IDs that no open attempt owns, in the order of the list.
func (s *sightings) unmatched() []string {
	var ids []string
	for i := 1; i < len(s.all); i++ {
		if !s.all[i].matched && s.first[s.all[i].id] == int32(i) {
			ids = append(ids, s.all[i].id)
		}
	}
	return ids
}

// count returns how many jobs there are, or -1 if the list is not complete.
func (s *sightings) count() int {
	if !s.whole() {
		return -1
	}
	return len(s.all) - 1
}
