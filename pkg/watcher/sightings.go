package watcher

import (
	"context"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// sighting is what the list of the trainer's jobs tells of one, as small as can
// be: a tick holds all of them, and there may be a hundred thousand.
type sighting struct {
	id, resource, attempt, message string
	state                          job.TrainerState
	created, started               int64 // Unix nanoseconds; 0 where it did not happen
	next                           int32 // of the same job ID; 0 is none
	matched                        bool  // an open attempt owns the job ID
}

// sightings are all of the trainer's jobs that have not ended, by job ID. Where
// the trainer takes no ID, several may have one.
type sightings struct {
	all   []sighting // the first stands for none
	first map[string]int32
	// known are texts that many jobs share.
	known map[string]string
}

func newSightings() *sightings {
	return &sightings{all: make([]sighting, 1), first: map[string]int32{}, known: map[string]string{}}
}

// shared gives the one copy of a text that many jobs share.
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

func (s *sightings) add(l job.Look) {
	s.all = append(s.all, sighting{
		id: l.JobID, resource: l.ResourceName, attempt: l.Labels[job.LabelAttempt], message: l.Message, state: job.TrainerState(s.shared(string(l.State))),
		created: nanoseconds(l.Created), started: nanoseconds(l.Started), next: s.first[l.JobID],
	})
	s.first[l.JobID] = int32(len(s.all) - 1)
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

// of gives the jobs of an ID, with no label but the attempt's.
func (s *sightings) of(jobID string) []job.Look {
	if s == nil {
		return nil
	}
	var looks []job.Look
	for i := s.first[jobID]; i != 0; i = s.all[i].next {
		looks = append(looks, s.all[i].look())
	}
	return looks
}

// match marks the jobs of an ID: an open attempt owns it. Calls of it must not
// overlap.
func (s *sightings) match(jobID string) {
	for i := s.first[jobID]; i != 0; i = s.all[i].next {
		s.all[i].matched = true
	}
}

func (s *sighting) look() job.Look {
	return job.Look{
		JobID: s.id, ResourceName: s.resource, State: s.state, Message: s.message,
		Created: instant(s.created), Started: instant(s.started),
		Labels: map[string]string{job.LabelAttempt: s.attempt},
	}
}

// unchanged tells whether the list shows a job as the index knows it.
func (s *sightings) unchanged(e job.Entry) bool {
	for i := s.first[e.JobID]; i != 0; i = s.all[i].next {
		if j := &s.all[i]; j.resource == e.Resource && j.state == e.TrainerState {
			return true
		}
	}
	return false
}

// single tells whether one job at most has the ID.
func (s *sightings) single(jobID string) bool { return s.all[s.first[jobID]].next == 0 }

// unmatched gives the IDs that no open attempt owns, in the order of the list.
func (s *sightings) unmatched() []string {
	var ids []string
	for i := 1; i < len(s.all); i++ {
		if !s.all[i].matched && s.first[s.all[i].id] == int32(i) {
			ids = append(ids, s.all[i].id)
		}
	}
	return ids
}

func (s *sightings) len() int { return len(s.all) - 1 }

// sight lists the trainer's jobs that have not ended.
func (w *Watcher) sight(ctx context.Context) (*sightings, error) {
	s := newSightings()
	err := w.trainer.ListActive(ctx, w.Instance, func(page []job.Look) error {
		for _, l := range page {
			s.add(l)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}
