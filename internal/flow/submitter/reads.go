package submitter

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/inspect"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// reads is what a visit reads once it has listed the folder. Each is read once, when it is first asked for,
// or at once.
type reads struct {
	record func() (attempt.Stored, error)
	// note comes after the list: it says whether the list is too old.
	note   func() (attempt.FolderNote, error)
	policy func() (policy.Policy, error)
	// open opens the content of an object, which may have been read already.
	open inspect.Open
}

// readAhead is the most bytes of an object that is read before it is known to be needed. Job files and
// packages of people's own code are smaller, and of each request there are two in memory. aheadTime bounds
// such a read.
const (
	readAhead = 256 << 10
	aheadTime = 15 * time.Second
)

// read returns what a visit needs to read. For an event, which somebody waits for, all of it is read at
// once: the job file and the only package, too, if they are small. Others read what they need: a tick often
// needs less. The caller calls end when it is done with the visit.
func (s *Submitter) read(ctx context.Context, d job.Drop, jobFile job.Object, why cause) (r reads, end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	now := why == byEvent
	r = reads{
		record: begun(&group, now, func() (attempt.Stored, error) { return s.records.Get(ctx, job.AttemptKey(jobFile)) }),
		note:   begun(&group, now, func() (attempt.FolderNote, error) { return s.records.FolderNote(ctx, d.Bucket, d.Folder) }),
		policy: begun(&group, now, func() (policy.Policy, error) { return s.options.Policy(ctx) }),
		open:   s.open,
	}
	if now {
		r.open = s.openAhead(ctx, &group, ahead(d, jobFile))
	}
	return r, func() { cancel(); group.Wait() }
}

// begun returns a call that is made once. It begins in the background if now is set. If it panics there, then
// whoever asks for its answer panics: a request may fail, and no other with it.
func begun[T any](group *sync.WaitGroup, now bool, call func() (T, error)) func() (T, error) {
	if !now {
		return sync.OnceValues(call)
	}
	var (
		answer   T
		err      error
		panicked any
	)
	done := make(chan struct{})
	group.Go(func() {
		defer close(done)
		defer func() {
			if panicked = recover(); panicked != nil {
				panicked = fmt.Sprintf("%v\n%s", panicked, debug.Stack())
			}
		}()
		answer, err = call()
	})
	return func() (T, error) {
		<-done
		if panicked != nil {
			panic(panicked)
		}
		return answer, err
	}
}

// ahead returns the objects of a drop that are read before they are known to be needed.
func ahead(d job.Drop, jobFile job.Object) []job.Object {
	if d.TooMany != "" {
		return nil // it is rejected unread
	}
	objects := []job.Object{jobFile}
	if len(d.Packages) == 1 { // of several, the job file says which
		objects = append(objects, d.Packages[0])
	}
	return slices.DeleteFunc(objects, func(o job.Object) bool { return o.Size > readAhead })
}

// content is an object of the inbox, at its generation.
type content struct {
	name       string
	generation int64
}

// openAhead begins to read objects, and returns what opens them. It opens others as s.open does.
func (s *Submitter) openAhead(ctx context.Context, group *sync.WaitGroup, objects []job.Object) inspect.Open {
	read := map[content]func() ([]byte, error){}
	for _, o := range objects {
		read[content{o.Name, o.Generation}] = begun(group, true, func() ([]byte, error) { return s.whole(ctx, o) })
	}
	return func(ctx context.Context, o job.Object) (io.ReadCloser, error) {
		whole, ok := read[content{o.Name, o.Generation}]
		if !ok || o.Bucket != s.options.Inbox {
			return s.open(ctx, o)
		}
		data, err := whole()
		if err != nil {
			return nil, err
		}
		return io.NopCloser(bytes.NewReader(data)), nil
	}
}

// whole reads an object, as it is stored, whose size a list has shown.
func (s *Submitter) whole(ctx context.Context, o job.Object) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, aheadTime)
	defer cancel()
	stored, err := s.open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer stored.Close()
	data, err := io.ReadAll(io.LimitReader(stored, o.Size+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", o.URI(), err)
	case int64(len(data)) != o.Size:
		return nil, fmt.Errorf("read %s: %d bytes or more, and its list says %d", o.URI(), len(data), o.Size)
	}
	return data, nil
}
