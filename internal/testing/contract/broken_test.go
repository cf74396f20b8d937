package contract

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/api/googleapi"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/backend/aiplatform"
	"github.com/jobdrop/jobdrop/internal/backend/vertex"
	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/internal/testing/hostile"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// broken is a backend that breaks a promise. Fields that are nil do what the backend does.
type broken struct {
	Backend
	url string
	// impatient reports that it gives up where the service is down for a moment.
	impatient bool

	name   func() string
	check  func(told []plan.Diagnostic) []plan.Diagnostic
	create func(ctx context.Context, o job.Order) (attempt.BackendJob, error)
	get    func(ctx context.Context, j job.JobInfo) (attempt.BackendJob, error)
	find   func(ctx context.Context, o job.Order) ([]attempt.BackendJob, error)
	cancel func(ctx context.Context, j job.JobInfo) error
	list   func(ctx context.Context, instance, from string, page func([]attempt.BackendJob, string) error) error

	// errors reports that create changes errors alone.
	errors bool

	mu   sync.Mutex
	made []attempt.BackendJob
	last map[string]job.BackendState
}

// changed returns the uses of a backend that are other than they should be; nil if all may be.
func (b *broken) changed() map[use]bool {
	if b.impatient {
		return nil
	}
	return map[use]bool{
		useName: b.name != nil, useCheck: b.check != nil, useCreate: b.create != nil && !b.errors,
		useFailure: b.create != nil, useGet: b.get != nil, useFind: b.find != nil, useCancel: b.cancel != nil,
		useList: b.list != nil,
	}
}

// use is a way in which a promise's check uses a backend.
type use int

const (
	useName use = iota
	useCheck
	useCreate
	useFailure // of a create
	useGet
	useFind
	useCancel
	useList
)

// noted is a backend that keeps in which ways it is used.
type noted struct {
	Backend
	mu   sync.Mutex
	uses map[use]bool
}

func (n *noted) use(u use) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.uses[u] = true
}

func (n *noted) Name() string {
	n.use(useName)
	return n.Backend.Name()
}

func (n *noted) Check(o job.Order) []plan.Diagnostic {
	n.use(useCheck)
	return n.Backend.Check(o)
}

func (n *noted) Create(ctx context.Context, o job.Order) (attempt.BackendJob, error) {
	made, err := n.Backend.Create(ctx, o)
	n.use(useCreate)
	if err != nil {
		n.use(useFailure)
	}
	return made, err
}

func (n *noted) Get(ctx context.Context, j job.JobInfo) (attempt.BackendJob, error) {
	n.use(useGet)
	return n.Backend.Get(ctx, j)
}

func (n *noted) Find(ctx context.Context, o job.Order) ([]attempt.BackendJob, error) {
	n.use(useFind)
	return n.Backend.Find(ctx, o)
}

func (n *noted) Cancel(ctx context.Context, j job.JobInfo) error {
	n.use(useCancel)
	return n.Backend.Cancel(ctx, j)
}

func (n *noted) ListActive(ctx context.Context, instance, from string,
	page func([]attempt.BackendJob, string) error) error {
	n.use(useList)
	return n.Backend.ListActive(ctx, instance, from, page)
}

// usesOf returns in which ways each promise that is quick to check uses a backend.
func usesOf(t *testing.T, s Service) map[string]map[use]bool {
	t.Helper()
	uses := map[string]map[use]bool{}
	open := s.Open
	for _, p := range Promises() {
		n := &noted{uses: map[use]bool{}}
		s.Open = func(url string) (_ Backend, err error) {
			n.Backend, err = open(url)
			return n, err
		}
		if b, err := open(s.URL); err != nil || p.programs || slow[p.Name] || !p.isOf(b) {
			continue
		}
		if err := s.keeps(t.Context(), p); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		uses[p.Name] = n.uses
	}
	return uses
}

func (b *broken) Name() string {
	if b.name != nil {
		return b.name()
	}
	return b.Backend.Name()
}

func (b *broken) Check(o job.Order) []plan.Diagnostic {
	if b.check != nil {
		return b.check(b.Backend.Check(o))
	}
	return b.Backend.Check(o)
}

func (b *broken) Create(ctx context.Context, o job.Order) (attempt.BackendJob, error) {
	create := b.Backend.Create
	if b.create != nil {
		create = b.create
	}
	made, err := create(ctx, o)
	if err == nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.made = append(b.made, made)
	}
	return made, err
}

func (b *broken) Get(ctx context.Context, j job.JobInfo) (attempt.BackendJob, error) {
	if b.get != nil {
		return b.get(ctx, j)
	}
	return b.Backend.Get(ctx, j)
}

func (b *broken) Find(ctx context.Context, o job.Order) ([]attempt.BackendJob, error) {
	if b.find != nil {
		return b.find(ctx, o)
	}
	return b.Backend.Find(ctx, o)
}

func (b *broken) Cancel(ctx context.Context, j job.JobInfo) error {
	if b.cancel != nil {
		return b.cancel(ctx, j)
	}
	return b.Backend.Cancel(ctx, j)
}

func (b *broken) ListActive(ctx context.Context, instance, from string,
	page func([]attempt.BackendJob, string) error) error {
	if b.list != nil {
		return b.list(ctx, instance, from, page)
	}
	return b.Backend.ListActive(ctx, instance, from, page)
}

// fails changes the error of each create.
func (b *broken) fails(change func(err error) error) {
	b.errors = true
	b.create = func(ctx context.Context, o job.Order) (attempt.BackendJob, error) {
		made, err := b.Backend.Create(ctx, o)
		if err != nil {
			err = change(err)
		}
		return made, err
	}
}

// sees changes what each look shows.
func (b *broken) sees(change func(j *attempt.BackendJob)) {
	b.get = func(ctx context.Context, j job.JobInfo) (attempt.BackendJob, error) {
		got, err := b.Backend.Get(ctx, j)
		if err == nil {
			change(&got)
		}
		return got, err
	}
}

// finds changes what each search finds.
func (b *broken) finds(change func(o job.Order, found []attempt.BackendJob) []attempt.BackendJob) {
	b.find = func(ctx context.Context, o job.Order) ([]attempt.BackendJob, error) {
		found, err := b.Backend.Find(ctx, o)
		if err == nil {
			found = change(o, found)
		}
		return found, err
	}
}

// asks changes the order of each create.
func (b *broken) asks(change func(in *job.TrainingInput)) {
	b.create = func(ctx context.Context, o job.Order) (attempt.BackendJob, error) {
		if o.TrainingInput != nil {
			in := *o.TrainingInput
			change(&in)
			o.TrainingInput = &in
		}
		return b.Backend.Create(ctx, o)
	}
}

// code returns the status that an error is of; 0 if it is of none.
func code(err error) int {
	var api *googleapi.Error
	if errors.As(err, &api) {
		return api.Code
	}
	return 0
}

var errRefused = &attempt.RefusedError{Code: "INVALID_ARGUMENT", Message: "broken"}

// brokenBackends are backends of which each breaks one promise: that which it is listed under.
func brokenBackends() map[string]map[string]func(b *broken) {
	const ml, va = aiplatform.Name, vertex.Name
	return map[string]map[string]func(b *broken){
		"the name stays": {va: func(b *broken) {
			n := 0
			b.name = func() string { n++; return fmt.Sprint("backend-", n) }
		}},
		"a create tells its job": {ml: func(b *broken) {
			b.create = func(ctx context.Context, o job.Order) (attempt.BackendJob, error) {
				made, err := b.Backend.Create(ctx, o)
				made.Created = time.Time{}
				return made, err
			}
		}},
		"limits reach the service": {ml: func(b *broken) {
			b.asks(func(in *job.TrainingInput) {
				if in.Scheduling != nil {
					in.Scheduling = &job.Scheduling{MaxRunningTime: in.Scheduling.MaxRunningTime}
				}
			})
		}, va: func(b *broken) {
			b.asks(func(in *job.TrainingInput) { in.Scheduling = nil })
		}},
		"a check makes no call": {va: func(b *broken) {
			b.check = func(told []plan.Diagnostic) []plan.Diagnostic {
				return slices.DeleteFunc(told, func(d plan.Diagnostic) bool { return d.Action == plan.Unmappable })
			}
		}},
		"a second create is a conflict": {ml: func(b *broken) {
			b.create = func(ctx context.Context, o job.Order) (attempt.BackendJob, error) {
				made, err := b.Backend.Create(ctx, o)
				var conflict *attempt.ConflictError
				if errors.As(err, &conflict) && job.SameOwner(conflict.Found.Labels, o.Labels) {
					return conflict.Found, nil
				}
				return made, err
			}
		}},
		"another's job with the ID is a conflict": {ml: func(b *broken) {
			b.create = func(ctx context.Context, o job.Order) (attempt.BackendJob, error) {
				made, err := b.Backend.Create(ctx, o)
				var conflict *attempt.ConflictError
				if errors.As(err, &conflict) {
					conflict.Found.Labels = o.Labels
				}
				return made, err
			}
		}},
		"a conflict that can't be looked at leaves the outcome open": {ml: func(b *broken) {
			b.fails(func(err error) error {
				if strings.Contains(err.Error(), "can't be looked at") {
					return errRefused
				}
				return err
			})
		}},
		"a refusal after an open outcome leaves it open": {ml: func(b *broken) {
			b.fails(func(err error) error {
				if strings.Contains(err.Error(), "asked 2 times") && !strings.Contains(err.Error(), "503") {
					return errRefused
				}
				return err
			})
		}},
		"a create is sent once": {va: func(b *broken) {
			b.create = func(ctx context.Context, o job.Order) (attempt.BackendJob, error) {
				made, err := b.Backend.Create(ctx, o)
				if err != nil && classOf(err) == "unknown" {
					_, _ = b.Backend.Create(ctx, o)
				}
				return made, err
			}
		}},
		"a conflict without an ID leaves the outcome open": {va: func(b *broken) {
			b.fails(func(err error) error {
				if code(err) == http.StatusConflict {
					return errRefused
				}
				return err
			})
		}},
		"a lost answer leaves the outcome open": {va: func(b *broken) {
			b.fails(func(err error) error {
				var broken *url.Error
				if errors.As(err, &broken) && errors.Is(err, io.EOF) {
					return fmt.Errorf("%w: %w", job.ErrQuota, err)
				}
				return err
			})
		}},
		"a service that is down leaves the outcome open": {va: func(b *broken) {
			b.fails(func(err error) error {
				if code(err) >= http.StatusInternalServerError {
					return errRefused
				}
				return err
			})
		}},
		"an answer that is no job leaves the outcome open": {va: func(b *broken) {
			b.create = func(ctx context.Context, o job.Order) (attempt.BackendJob, error) {
				made, err := b.Backend.Create(ctx, o)
				if err != nil && strings.Contains(err.Error(), "is not a job") {
					return made, nil
				}
				return made, err
			}
		}},
		"a refusal says what is wrong": {ml: func(b *broken) {
			b.fails(func(err error) error {
				var refused *attempt.RefusedError
				if errors.As(err, &refused) {
					refused.Fields = nil
				}
				return err
			})
		}, va: func(b *broken) {
			b.fails(func(err error) error {
				var refused *attempt.RefusedError
				if errors.As(err, &refused) && refused.Code == "PERMISSION_DENIED" {
					return errors.New("not allowed")
				}
				return err
			})
		}},
		"a quota that is used up says later": {ml: func(b *broken) {
			b.fails(func(err error) error {
				if errors.Is(err, job.ErrQuota) {
					return errRefused
				}
				return err
			})
		}, va: func(b *broken) { // one that waits for as long as the service says
			b.create = func(ctx context.Context, o job.Order) (attempt.BackendJob, error) {
				made, err := b.Backend.Create(ctx, o)
				if _, bounded := ctx.Deadline(); bounded && code(err) == http.StatusTooManyRequests {
					return made, context.DeadlineExceeded
				}
				return made, err
			}
		}},
		"no place for the job says so": {ml: func(b *broken) {
			b.fails(func(err error) error {
				if errors.Is(err, job.ErrNotFound) {
					return errors.New("who knows")
				}
				return err
			})
		}},
		"a search that finds nothing is no error": {ml: func(b *broken) {
			b.find = func(ctx context.Context, o job.Order) ([]attempt.BackendJob, error) {
				found, err := b.Backend.Find(ctx, o)
				if err == nil && len(found) == 0 {
					err = job.ErrNotFound
				}
				return found, err
			}
		}},
		"a search that fails is an error": {ml: swallows, va: swallows},
		"labels come back": {ml: func(b *broken) {
			b.sees(func(j *attempt.BackendJob) { delete(j.Labels, "team") })
		}, va: func(b *broken) {
			b.finds(func(_ job.Order, found []attempt.BackendJob) []attempt.BackendJob {
				for _, l := range found {
					l.Labels["team"] = "vision"
				}
				return found
			})
		}},
		"packages come back": {va: func(b *broken) { b.sees(func(j *attempt.BackendJob) { j.Packages = nil }) }},
		"a search finds the attempt's own jobs only": {va: func(b *broken) {
			b.finds(func(o job.Order, found []attempt.BackendJob) []attempt.BackendJob {
				b.mu.Lock()
				defer b.mu.Unlock()
				for _, l := range b.made {
					if l.JobID == o.JobID && !job.SameOwner(l.Labels, o.Labels) {
						found = append(found, l)
					}
				}
				return found
			})
		}},
		"a search finds what stands in the way": {ml: func(b *broken) {
			b.finds(func(o job.Order, found []attempt.BackendJob) []attempt.BackendJob {
				return slices.DeleteFunc(found, func(l attempt.BackendJob) bool { return !job.SameOwner(l.Labels, o.Labels) })
			})
		}},
		"of two jobs the oldest comes first": {va: func(b *broken) {
			b.finds(func(_ job.Order, found []attempt.BackendJob) []attempt.BackendJob {
				slices.Reverse(found)
				return found
			})
		}},
		"what lists show late is there": {va: looksInLists},
		"a list has the installation's jobs that go on": {va: func(b *broken) {
			b.list = func(ctx context.Context, instance, from string, page func([]attempt.BackendJob, string) error) error {
				return b.Backend.ListActive(ctx, instance, from, func(jobs []attempt.BackendJob, next string) error {
					b.mu.Lock()
					for _, l := range b.made {
						if l.Labels[job.LabelInstance] != job.InstanceLabel(instance) {
							jobs = append(jobs, l)
						}
					}
					b.mu.Unlock()
					return page(jobs, next)
				})
			}
		}},
		"a list has all of its pages": {va: func(b *broken) { // it stops after two jobs
			b.list = func(ctx context.Context, instance, from string, page func([]attempt.BackendJob, string) error) error {
				n, enough := 0, errors.New("enough")
				err := b.Backend.ListActive(ctx, instance, from, func(jobs []attempt.BackendJob, next string) error {
					if n += len(jobs); n == 3 && from == "" {
						return enough
					}
					return page(jobs, next)
				})
				if errors.Is(err, enough) {
					return nil
				}
				return err
			}
		}},
		"a list stops with its reader": {ml: func(b *broken) {
			b.list = func(ctx context.Context, instance, from string, page func([]attempt.BackendJob, string) error) error {
				var stopped error
				err := b.Backend.ListActive(ctx, instance, from, func(jobs []attempt.BackendJob, next string) error {
					stopped = page(jobs, next)
					return stopped
				})
				if stopped != nil {
					return nil
				}
				return err
			}
		}},
		"a list goes on where it stopped": {ml: func(b *broken) {
			b.list = func(ctx context.Context, instance, from string, page func([]attempt.BackendJob, string) error) error {
				if strings.Contains(from, "nowhere") {
					return b.Backend.ListActive(ctx, instance, from, page)
				}
				return b.Backend.ListActive(ctx, instance, "", page)
			}
		}},
		"a list that breaks off says so": {ml: func(b *broken) {
			b.list = func(ctx context.Context, instance, from string, page func([]attempt.BackendJob, string) error) error {
				pages := 0
				err := b.Backend.ListActive(ctx, instance, from, func(jobs []attempt.BackendJob, next string) error {
					pages++
					return page(jobs, next)
				})
				if pages > 0 && errors.Is(err, job.ErrQuota) {
					return nil
				}
				return err
			}
		}},
		"an answer that is no list is an error": {va: func(b *broken) {
			b.list = func(ctx context.Context, instance, from string, page func([]attempt.BackendJob, string) error) error {
				err := b.Backend.ListActive(ctx, instance, from, page)
				var syntax *json.SyntaxError
				if errors.As(err, &syntax) {
					return nil
				}
				return err
			}
		}},
		"a place that is no more is told": {va: func(b *broken) {
			b.list = func(ctx context.Context, instance, from string, page func([]attempt.BackendJob, string) error) error {
				if strings.Contains(from, "nowhere") {
					from = ""
				}
				return b.Backend.ListActive(ctx, instance, from, page)
			}
		}},
		"a look at nothing says so": {ml: func(b *broken) {
			b.get = func(ctx context.Context, j job.JobInfo) (attempt.BackendJob, error) {
				got, err := b.Backend.Get(ctx, j)
				if errors.Is(err, job.ErrNotFound) {
					err = errors.New("404")
				}
				return got, err
			}
		}},
		"states are told": {va: func(b *broken) {
			b.sees(func(j *attempt.BackendJob) {
				if j.State == job.BackendQueued && j.Created.Equal(begin) {
					j.State = job.BackendPreparing
				}
			})
		}},
		"a state of tomorrow ends nothing": {va: func(b *broken) {
			b.sees(func(j *attempt.BackendJob) {
				if j.State == "" {
					j.State = job.BackendFailed
				}
			})
		}},
		"an answer that is no job ends nothing": {ml: func(b *broken) {
			b.get = func(ctx context.Context, j job.JobInfo) (attempt.BackendJob, error) {
				got, err := b.Backend.Get(ctx, j)
				if err != nil && strings.Contains(err.Error(), "is not a job") {
					err = job.ErrNotFound
				}
				return got, err
			}
		}},
		"times are the service's, in UTC": {ml: func(b *broken) {
			b.sees(func(j *attempt.BackendJob) { j.Created = j.Created.In(time.FixedZone("", 3600)) })
		}, va: func(b *broken) {
			b.sees(func(j *attempt.BackendJob) {
				if j.State == job.BackendSucceeded {
					j.Started = time.Time{}
				}
			})
		}},
		"a job that lost its machine starts once": {ml: failsWhenPreempted, va: failsWhenPreempted},
		"a run limit's end is a timeout": {va: func(b *broken) {
			b.sees(func(j *attempt.BackendJob) {
				if j.State.Ended() && j.Ended.Sub(j.Started) == runMost && !j.Started.IsZero() && j.State != job.BackendSucceeded {
					j.State, j.DeadlineExceeded = job.BackendFailed, false
				}
			})
		}},
		"a wait limit's end is a timeout": {ml: func(b *broken) {
			b.sees(func(j *attempt.BackendJob) {
				if j.State == job.BackendCancelled && j.Started.IsZero() && j.Created.Equal(begin) {
					j.Started = j.Ended
				}
			})
		}, va: func(b *broken) {
			b.sees(func(j *attempt.BackendJob) {
				if j.State == job.BackendCancelled && j.Started.IsZero() && j.Created.Equal(begin) {
					j.State = job.BackendFailed
				}
			})
		}},
		"a person's cancel is no timeout": {ml: func(b *broken) {
			b.sees(func(j *attempt.BackendJob) {
				if j.State == job.BackendCancelled && j.Ended.Sub(j.Started) == soon {
					j.State, j.DeadlineExceeded, j.Ended = job.BackendFailed, true, j.Started.Add(runMost)
				}
			})
		}},
		"why a job failed is told, within bounds": {va: func(b *broken) {
			b.sees(func(j *attempt.BackendJob) { j.Message = "" })
		}},
		"trials are told": {ml: func(b *broken) {
			b.sees(func(j *attempt.BackendJob) {
				for i := range j.Trials {
					j.Trials[i].Objective = nil
				}
			})
		}, va: func(b *broken) {
			b.finds(func(_ job.Order, found []attempt.BackendJob) []attempt.BackendJob {
				for i := range found {
					found[i].Trials = nil
				}
				return found
			})
		}},
		"a cancel ends the job": {ml: func(b *broken) {
			b.cancel = func(ctx context.Context, j job.JobInfo) error {
				if err := b.Backend.Cancel(ctx, j); err != nil {
					return err
				}
				return errors.New("it was taken")
			}
		}},
		"a cancel of nothing says so": {ml: func(b *broken) {
			b.cancel = func(ctx context.Context, j job.JobInfo) error {
				err := b.Backend.Cancel(ctx, j)
				if errors.Is(err, job.ErrNotFound) {
					return nil
				}
				return err
			}
		}},
		"a cancel of an ended job changes nothing": {va: func(b *broken) {
			b.cancel = func(ctx context.Context, j job.JobInfo) error {
				err := b.Backend.Cancel(ctx, j)
				if classOf(err) == "refused" {
					return job.ErrNotFound
				}
				return err
			}
		}},
		"a job that is being cancelled has not ended": {va: func(b *broken) {
			b.sees(func(j *attempt.BackendJob) {
				if j.State == job.BackendCancelling {
					j.State = job.BackendCancelled
				}
			})
		}},
		"a service that stumbles is asked again": {
			ml: func(b *broken) { b.impatient = true }, va: func(b *broken) { b.impatient = true },
		},
		"a quota of looks is left to the next tick": {va: func(b *broken) {
			b.get = func(ctx context.Context, j job.JobInfo) (attempt.BackendJob, error) {
				got, err := b.Backend.Get(ctx, j)
				if errors.Is(err, job.ErrQuota) {
					err = job.ErrNotFound
				}
				return got, err
			}
		}},
		"a call ends with its context": {ml: func(b *broken) {
			b.get = func(ctx context.Context, j job.JobInfo) (attempt.BackendJob, error) {
				return b.Backend.Get(context.WithoutCancel(ctx), j)
			}
		}},
		"an answer without an end is cut off": {va: func(b *broken) {
			b.get = func(ctx context.Context, j job.JobInfo) (attempt.BackendJob, error) {
				got, err := b.Backend.Get(ctx, j)
				if errors.Is(err, job.ErrTooLarge) {
					if answer, err := http.Get(b.url + "/v1/" + j.ResourceName); err == nil {
						_, _ = io.Copy(io.Discard, answer.Body)
						_ = answer.Body.Close()
					}
				}
				return got, err
			}
		}},
		"every replica knows its role": {ml: func(b *broken) {
			b.asks(func(in *job.TrainingInput) {
				if in.EvaluatorCount > 0 {
					in.WorkerCount--
					in.ParameterServerCount++
				}
			})
		}},
		"a run limit ends a program": {va: func(b *broken) {
			b.sees(func(j *attempt.BackendJob) {
				if j.State == job.BackendCancelled && !j.Created.Equal(begin) && !j.Started.IsZero() {
					j.State = job.BackendFailed
				}
			})
		}},
		"trials run with their parameters, and few at a time": {ml: func(b *broken) {
			b.asks(func(in *job.TrainingInput) {
				if in.Hyperparameters != nil {
					h := *in.Hyperparameters
					h.MaxParallelTrials = 3
					in.Hyperparameters = &h
				}
			})
		}},
	}
}

// swallows has a search that fails find nothing.
func swallows(b *broken) {
	b.find = func(ctx context.Context, o job.Order) ([]attempt.BackendJob, error) {
		found, err := b.Backend.Find(ctx, o)
		if code(err) == http.StatusForbidden || err != nil && classOf(err) == "refused" {
			return nil, nil
		}
		return found, err
	}
}

// looksInLists takes a job that the list does not show for one that is not there.
func looksInLists(b *broken) {
	orders := map[string]job.Order{}
	b.create = func(ctx context.Context, o job.Order) (attempt.BackendJob, error) {
		made, err := b.Backend.Create(ctx, o)
		b.mu.Lock()
		defer b.mu.Unlock()
		orders[made.ResourceName] = o
		return made, err
	}
	b.get = func(ctx context.Context, j job.JobInfo) (attempt.BackendJob, error) {
		got, err := b.Backend.Get(ctx, j)
		b.mu.Lock()
		o, known := orders[j.ResourceName]
		b.mu.Unlock()
		if err != nil || !known {
			return got, err
		}
		if listed, err := b.Backend.Find(ctx, o); err == nil && len(listed) == 0 {
			return attempt.BackendJob{}, job.ErrNotFound
		}
		return got, nil
	}
}

// failsWhenPreempted takes a job that lost its machine for one that failed.
func failsWhenPreempted(b *broken) {
	b.last = map[string]job.BackendState{}
	b.sees(func(j *attempt.BackendJob) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if j.State == job.BackendPreparing && b.last[j.ResourceName] == job.BackendRunning {
			j.State = job.BackendFailed
			return
		}
		b.last[j.ResourceName] = j.State
	})
}

// impatient returns the URL of a server before a service that hides from clients that they may come again.
func impatient(t *testing.T, service string) string {
	t.Helper()
	target, err := url.Parse(service)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: func(r *http.Response) error {
			if r.StatusCode >= http.StatusInternalServerError {
				r.StatusCode, r.ContentLength, r.Body = http.StatusTeapot, 0, http.NoBody
				r.Header.Del("Content-Length")
			}
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	})
	t.Cleanup(server.Close)
	return server.URL
}

// The suite finds each backend that breaks a promise, by that promise.
func TestBrokenBackends(t *testing.T) {
	t.Parallel()
	url := idle(t)
	runs, why := newPrograms(t)
	all := brokenBackends()
	names := map[string]bool{}
	for _, p := range Promises() {
		names[p.Name] = true
		if len(all[p.Name]) == 0 {
			t.Errorf("no backend breaks the promise %q", p.Name)
		}
	}
	for name := range all {
		if !names[name] {
			t.Errorf("a backend breaks %q, which is not promised", name)
		}
	}
	uses := map[string]map[string]map[use]bool{}
	for of, s := range services(url) {
		uses[of] = usesOf(t, s)
	}
	for name, backends := range all {
		for _, of := range slices.Sorted(maps.Keys(backends)) {
			t.Run(name+"/"+of, func(t *testing.T) {
				t.Parallel()
				s := services(url)[of]
				s.Programs, s.Why = runs, why
				open := s.Open
				s.Open = func(url string) (_ Backend, err error) {
					b := &broken{}
					backends[of](b)
					if b.impatient {
						url = impatient(t, url)
					}
					b.url = url
					b.Backend, err = open(url)
					return b, err
				}
				isFound(t, s, name, uses[of])
			})
		}
	}
}

// isFound fails the test unless the suite finds a backend that breaks a promise, by that promise alone. Others are
// tried if they use what is broken, and not under the race detector, which multiplies their time.
func isFound(t *testing.T, s Service, name string, uses map[string]map[use]bool) {
	t.Helper()
	opened, err := s.Open(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	changed := opened.(*broken).changed()
	for _, p := range Promises() {
		if p.Name == name {
			if p.programs && s.Programs == nil {
				t.Skip("SKIPPED: " + s.Why)
			}
			if err := s.keeps(t.Context(), p); err == nil {
				t.Error("it was not found")
			}
			continue
		}
		touched := false
		for u := range uses[p.Name] {
			touched = touched || changed == nil || changed[u]
		}
		if !touched || hostile.Racing {
			continue
		}
		if err := s.keeps(t.Context(), p); err != nil {
			t.Errorf("%q fails, too: %v", p.Name, err)
		}
	}
}

// slow are promises that take their time. They are tried with the backends that break them alone.
var slow = map[string]bool{
	"an answer without an end is cut off":            true,
	"why a job failed is told, within bounds":        true,
	"a service that is down leaves the outcome open": true,
	"a search that fails is an error":                true,
	"a refusal after an open outcome leaves it open": true,
	"a call ends with its context":                   true,
	"a service that stumbles is asked again":         true,
}
