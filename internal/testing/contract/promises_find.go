package contract

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// searches are the promises about the search for the jobs of an order. It stands between an outcome that is not
// known and another create.
func searches() []Promise {
	return []Promise{
		{
			Name:   "a search that finds nothing is no error",
			Breach: "after a lost answer a job is never asked for again",
			For:    []string{"submitter.findEarlier", "submitter.found"},
			check:  findNothing,
		},
		{
			Name:   "a search that fails is an error",
			Breach: "a job that is there is asked for again: an attempt has two jobs, or is rejected while its job runs",
			For:    []string{"submitter.findEarlier"}, faults: true,
			check: findFails,
		},
		{
			Name:   "labels come back",
			Breach: "an attempt's job is taken for a stranger's",
			For:    []string{"submitter.own", "watcher.cancel", "attempt.Made"},
			check:  labelsBack,
		},
		{
			Name:   "packages come back",
			Breach: "the second job of an attempt is taken for a person's copy, and goes on",
			For:    []string{"attempt.Made"},
			check:  packagesBack,
		},
		{
			Name:   "a search finds the attempt's own jobs only",
			Breach: "an attempt takes another's job for its own",
			For:    []string{"submitter.own", "submitter.findEarlier"}, of: notTaking,
			check: findOwn,
		},
		{
			Name:   "a search finds what stands in the way",
			Breach: "after a lost answer an attempt whose ID is taken asks for its job for ever",
			For:    []string{"submitter.findEarlier", "submitter.asBackendSays"}, of: taking,
			check: findTaken,
		},
		{
			Name:   "of two jobs the oldest comes first",
			Breach: "two workers keep two different jobs of one attempt",
			For:    []string{"submitter.own"}, of: notTaking,
			check: oldestFirst,
		},
		{
			Name:   "what lists show late is there",
			Breach: "a job that has just been made ends as lost",
			For:    []string{"watcher.ask", "submitter.findEarlier"}, faults: true,
			check: listLag,
		},
	}
}

// lists are the promises about the list of the jobs that have not ended.
func lists() []Promise {
	return []Promise{
		{
			Name:   "a list has the installation's jobs that go on",
			Breach: "a tick polls each job by itself, or reports another installation's as strangers",
			For:    []string{"watcher.list", "watcher.shownBy"},
			check:  listOwn,
		},
		{
			Name:   "a list has all of its pages",
			Breach: "jobs behind the first page are polled one by one, and their quota is gone",
			For:    []string{"watcher.list"}, faults: true,
			check: listPages,
		},
		{
			Name:   "a list stops with its reader",
			Breach: "a tick goes on to list when its time is over",
			For:    []string{"watcher.list"}, faults: true,
			check: listStops,
		},
		{
			Name:   "a list goes on where it stopped",
			Breach: "ticks that are short of time see the same first jobs again and again",
			For:    []string{"watcher.list", "watcher.run"}, faults: true,
			check: listResumes,
		},
		{
			Name:   "a list that breaks off says so",
			Breach: "jobs that were not listed are taken for gone",
			For:    []string{"watcher.list", "watcher.run"}, faults: true,
			check: listBreaks,
		},
		{
			Name:   "an answer that is no list is an error",
			Breach: "a gateway's page makes all jobs look gone, or a tick die",
			For:    []string{"watcher.list"}, faults: true,
			check: noList,
		},
		{
			Name:   "a place that is no more is told",
			Breach: "ticks ask for a page that the service has forgotten, for ever",
			For:    []string{"watcher.tooOld"}, faults: true,
			check: listForgets,
		},
	}
}

func findNothing(c *try) error {
	if found, err := c.found(c.order("a")); err != nil || len(found) > 0 {
		return fmt.Errorf("a search for what is not there: %+v, %v", found, err)
	}
	return nil
}

func findFails(c *try) error {
	o := c.order("a")
	if _, err := c.create(o); err != nil {
		return err
	}
	for _, f := range []Fault{
		c.status(http.StatusForbidden), c.status(http.StatusTooManyRequests), c.status(http.StatusBadRequest),
		c.status(http.StatusInternalServerError), {Status: http.StatusOK, Body: "<html>"}, {Lose: true},
	} {
		f.Times = 1000 // until it gives up
		c.fail(c.lookup(), f)
		short, cancel := context.WithTimeout(c, 100*time.Millisecond)
		found, err := c.backend.Find(short, o)
		cancel()
		c.proxy.clear()
		if err == nil {
			return fmt.Errorf("a search that meets a %d finds %d jobs, without an error", f.Status, len(found))
		}
	}
	return nil
}

func labelsBack(c *try) error {
	o := c.order("a")
	made, err := c.create(o)
	if err != nil {
		return err
	}
	got, err := c.get(made)
	if err != nil {
		return err
	}
	found, err := c.found(o)
	if err != nil {
		return err
	}
	seen := append(found, got)
	if err := c.backend.ListActive(c, c.name, "", func(page []attempt.BackendJob, _ string) error {
		seen = append(seen, page...)
		return nil
	}); err != nil {
		return fmt.Errorf("list: %w", err)
	}
	for _, l := range seen {
		for name, value := range o.Labels {
			if l.Labels[name] != value {
				return fmt.Errorf("label %s=%s comes back as %q", name, value, l.Labels[name])
			}
		}
	}
	return nil
}

func packagesBack(c *try) error {
	o := c.order("a")
	made, err := c.create(o)
	if err != nil {
		return err
	}
	got, err := c.get(made)
	if err == nil && !slices.Equal(got.Packages, o.TrainingInput.PackageURIs) {
		err = fmt.Errorf("packages %q come back as %q", o.TrainingInput.PackageURIs, got.Packages)
	}
	return err
}

func findOwn(c *try) error {
	o := c.order("a")
	for _, foreign := range []job.Order{c.as(o, c.name, "b"), c.as(o, c.name+"x", "a")} {
		if _, err := c.create(foreign); err != nil {
			return err
		}
	}
	found, err := c.found(o)
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("found %+v, of others", found)
	}
	return err
}

func findTaken(c *try) error {
	o := c.order("a")
	foreign := c.as(o, c.name, "b")
	if _, err := c.create(foreign); err != nil {
		return err
	}
	found, err := c.found(o)
	if err == nil && (len(found) != 1 || !job.SameOwner(found[0].Labels, foreign.Labels)) {
		err = fmt.Errorf("found %+v, want the job that has the ID", found)
	}
	return err
}

func oldestFirst(c *try) error {
	o := c.order("a")
	var names []string
	for range 3 {
		made, err := c.create(o)
		if err != nil {
			return err
		}
		names = append(names, made.ResourceName)
	}
	found, err := c.found(o)
	if err != nil {
		return err
	}
	var got []string
	for _, l := range found {
		got = append(got, l.ResourceName)
	}
	if !slices.Equal(got, names) {
		return fmt.Errorf("found %q, want %q", got, names)
	}
	return nil
}

func listLag(c *try) error {
	o := c.order("a")
	made, err := c.create(o)
	if err != nil {
		return err
	}
	late := Fault{Times: 3, Rewrite: func(body []byte) []byte {
		return rewritten(body, func(answer map[string]any) {
			for name, v := range answer {
				if _, is := v.([]any); is {
					delete(answer, name)
				}
			}
		})
	}}
	c.fail(List, late)
	defer c.proxy.clear()
	if got, err := c.get(made); err != nil || got.ResourceName != made.ResourceName {
		return fmt.Errorf("while lists lag: %+v, %w", got, err)
	}
	found, err := c.found(o)
	if err != nil {
		return err
	}
	if c.backend.TakesID() == (len(found) == 0) {
		return fmt.Errorf("while lists lag a search finds %d jobs", len(found))
	}
	c.proxy.clear()
	if found, err = c.found(o); err != nil || len(found) != 1 {
		return fmt.Errorf("when lists show it a search finds %d jobs, %w", len(found), err)
	}
	return nil
}

func listOwn(c *try) error {
	var made []attempt.BackendJob
	for _, o := range []job.Order{c.order("a"), c.order("b"), c.as(c.order("c"), c.name+"x", "c")} {
		m, err := c.create(o)
		if err != nil {
			return err
		}
		made = append(made, m)
	}
	_ = c.backend.Cancel(c, c.info(made[1])) // another promise is about cancels
	if _, err := c.ended(made[1]); err != nil {
		return err
	}
	ids, err := c.active(c.name)
	if err == nil && !slices.Equal(ids, []string{made[0].JobID}) {
		err = fmt.Errorf("listed %q, want %q alone", ids, made[0].JobID)
	}
	return err
}

// pages makes three jobs that are listed in a page each.
func (c *try) pages() (ids []string, err error) {
	for _, n := range []string{"a", "b", "c"} {
		made, err := c.create(c.order(n))
		if err != nil {
			return nil, err
		}
		ids = append(ids, made.JobID)
	}
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	c.proxy.change = func(r *http.Request) {
		if c.CallOf(r) == List {
			query := r.URL.Query()
			query.Set(c.PageSize, "1")
			r.URL.RawQuery = query.Encode()
		}
	}
	return ids, nil
}

// list lists the jobs from a place on. It returns their IDs, and where the list goes on after each page.
func (c *try) list(from string, stop error) (ids, nexts []string, err error) {
	err = c.backend.ListActive(c, c.name, from, func(page []attempt.BackendJob, next string) error {
		for _, l := range page {
			ids = append(ids, l.JobID)
		}
		nexts = append(nexts, next)
		if len(ids) > 0 {
			return stop
		}
		return nil
	})
	return ids, nexts, err
}

func listPages(c *try) error {
	ids, err := c.pages()
	if err != nil {
		return err
	}
	got, nexts, err := c.list("", nil)
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	slices.Sort(got)
	if !slices.Equal(got, ids) {
		return fmt.Errorf("listed %q, want %q", got, ids)
	}
	for i, next := range nexts {
		if last := i == len(nexts)-1; last != (next == "") {
			return fmt.Errorf("the list goes on at %q", nexts)
		}
	}
	return nil
}

func listStops(c *try) error {
	if _, err := c.pages(); err != nil {
		return err
	}
	stop := errors.New("enough")
	got, _, err := c.list("", stop)
	if !errors.Is(err, stop) || len(got) != 1 {
		return fmt.Errorf("a list that its reader stops gives %q and %v", got, err)
	}
	return nil
}

func listResumes(c *try) error {
	ids, err := c.pages()
	if err != nil {
		return err
	}
	var got []string
	stop := errors.New("enough")
	for from := ""; len(got) < len(ids); {
		part, nexts, err := c.list(from, stop)
		if len(part) != 1 {
			return fmt.Errorf("from %q on there is %q, %v", from, part, err)
		}
		got, from = append(got, part...), nexts[len(nexts)-1]
		if from == "" {
			break
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, ids) {
		return fmt.Errorf("in parts there are %q, want %q", got, ids)
	}
	return nil
}

func listBreaks(c *try) error {
	if _, err := c.pages(); err != nil {
		return err
	}
	var listed atomic.Int32
	f := c.status(http.StatusTooManyRequests)
	f.Times, f.On = 1000, func(r *http.Request) bool { return c.CallOf(r) == List && listed.Load() > 0 }
	c.proxy.Inject(f)
	defer c.proxy.clear()
	err := c.backend.ListActive(c, c.name, "", func(page []attempt.BackendJob, _ string) error {
		listed.Add(int32(len(page))) // #nosec G115 -- a page is small
		return nil
	})
	if n := listed.Load(); n != 1 {
		return fmt.Errorf("before a list breaks off it gives %d jobs, want 1", n)
	}
	return want("a list that breaks off with a 429", err, "quota")
}

func noList(c *try) error {
	if _, err := c.create(c.order("a")); err != nil {
		return err
	}
	for _, body := range []string{"null", "[]", "<html>", `{"jobs": `, `{"jobs": 7, "customJobs": 7, "items": 7}`} {
		c.fail(List, Fault{Status: http.StatusOK, Body: body, Times: 1000})
		ids, err := c.active(c.name)
		c.proxy.clear()
		if err == nil {
			return fmt.Errorf("a list that is answered %s has %q, without an error", body, ids)
		}
	}
	// Jobs that are none do no harm.
	c.fail(List, Fault{Rewrite: func(body []byte) []byte {
		return rewritten(body, func(answer map[string]any) {
			for name, v := range answer {
				if jobs, is := v.([]any); is {
					answer[name] = append([]any{nil, map[string]any{}}, jobs...)
				}
			}
		})
	}, Times: 1000})
	defer c.proxy.clear()
	_, err := c.active(c.name)
	return err
}

func listForgets(c *try) error {
	ids, _, err := c.list("nowhere/at/all", nil)
	if class := classOf(err); class != "refused" && class != "not found" {
		return fmt.Errorf("a list from nowhere on gives %q and is %s: %v", ids, class, err)
	}
	return nil
}
