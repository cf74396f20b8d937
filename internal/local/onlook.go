package local

import (
	"context"
	"encoding/json"
	"path"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/local/storage"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// What happens without an event, for people who watch the stack.

const (
	// statusLimit bounds the read of a status.json: an event's body, indented.
	statusLimit = 2 * job.MaxEvent
	// statusAfter is how old a status.json is when it is passed on: the files of a drop
	// come one after the other, and nobody calls that waiting.
	statusAfter = time.Second
)

// readStatus passes a status.json on that was written. One that was overwritten
// meanwhile is left out: the next says more.
func (s *Stack) readStatus(ctx context.Context, o storage.Object) {
	if s.options.Status == nil || path.Base(o.Name) != "status.json" {
		return
	}
	s.task(func() {
		select {
		case <-time.After(statusAfter):
		case <-ctx.Done():
			return
		}
		data, _, err := s.Storage.Read(ctx, o.Bucket, o.Name, o.Generation, statusLimit)
		var body job.Snapshot
		if err == nil && json.Unmarshal(data, &body) == nil {
			s.options.Status(body)
		}
	})
}

// aloneAfter is how long a folder may lack its job file before that is said: the
// files of a drop are uploaded one after the other.
const aloneAfter = 3 * time.Second

// awaitJobFile says later that a folder has no job file, unless one comes.
func (s *Stack) awaitJobFile(ctx context.Context, o storage.Object) {
	folder := job.Folder(o.Name)
	if s.options.Alone == nil {
		return
	}
	s.mu.Lock()
	if job.IsJobFile(o.Name) {
		delete(s.uploads, folder)
	} else {
		s.uploads[folder] = o.Generation
	}
	s.mu.Unlock()
	if job.IsJobFile(o.Name) {
		return
	}
	s.task(func() {
		select {
		case <-time.After(aloneAfter):
		case <-ctx.Done():
			return
		}
		s.mu.Lock()
		newest := s.uploads[folder] == o.Generation
		if newest {
			delete(s.uploads, folder)
		}
		s.mu.Unlock()
		if !newest {
			return // a job file came, or another file, which waits for itself
		}
		names, found, err := s.namesIn(ctx, folder)
		if err == nil && !found && len(names) > 0 {
			s.options.Alone(folder, names)
		}
	})
}

// namesIn returns the names of a folder's objects, relative to it, and reports whether
// a job file is among them.
func (s *Stack) namesIn(ctx context.Context, folder string) (names []string, jobFile bool, err error) {
	err = s.Storage.List(ctx, s.options.Names.Inbox, folder, true, func(page []job.Attributes) error {
		for _, o := range page {
			names = append(names, strings.TrimPrefix(o.Name, folder))
			jobFile = jobFile || job.IsJobFile(o.Name)
		}
		return nil
	})
	return names, jobFile, err
}
