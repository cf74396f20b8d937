// Package doctor checks an installation: its settings, the services that it uses, what Terraform set there, and what
// the caller may do. Each finding says what to do about it.
//
// A check is a name and a function. It makes its calls, and passes what they return to functions that only judge, so
// that no check depends on another one's. All of them run, each within its time. A right that the caller lacks skips
// what it is needed for, and nothing else.
//
// Nothing is changed: package doctor can only send requests that read, or that ask which rights the caller has.
package doctor

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/jobdrop/jobdrop/internal/app/config"
)

// Status is how a finding is.
type Status string

// The statuses. A warning is worth a look; a problem keeps something from working.
const (
	OK      Status = "ok"
	Warning Status = "warning"
	Problem Status = "problem"
	// Skipped is the status of what could not be checked. The finding says why.
	Skipped Status = "skipped"
)

// Finding is what a check found. Its JSON is part of what -o json prints.
type Finding struct {
	// Check is the check's name, and On the resource: a URI, or a service's name of it. On is empty if there is none.
	Check string `json:"check"`
	On    string `json:"on,omitempty"`
	// Text says what was found, and Remedy what to do about it.
	Status Status `json:"status"`
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"`
	// Right is the right that the caller lacks, as IAM names it.
	Right string `json:"right,omitempty"`

	// unreached is the service that did not answer; only findings that say nothing else have it.
	unreached service
	// probes is the service whose reachability the finding is about.
	probes service
}

// Report is what an examination found. Its JSON is what -o json prints.
type Report struct {
	Instance string `json:"instance,omitempty"`
	Project  string `json:"project,omitempty"`
	// Findings are in the order of the checks.
	Findings []Finding `json:"findings"`
}

// Count returns how many findings have a status.
func (r Report) Count(s Status) int {
	n := 0
	for _, f := range r.Findings {
		if f.Status == s {
			n++
		}
	}
	return n
}

// Options are an examination's settings. Lookup, Client and Now are required.
type Options struct {
	// Lookup returns a setting of the installation.
	Lookup config.Lookup
	// Client sends the requests, with the caller's credentials.
	Client *http.Client
	// Credentials is why there are none; nil if there are. Without them only the settings are checked.
	Credentials error
	// SchedulerRegion is the region of Cloud Scheduler; empty if it is the functions' own.
	SchedulerRegion string
	// Now is this machine's clock.
	Now func() time.Time
}

const (
	// checkTime bounds a check: the services answer within a second or two, and a call is made three times at most.
	checkTime = 20 * time.Second
	// parallel is how many checks run at once: they wait for answers most of the time.
	parallel = 8
)

// Examine checks an installation. It returns an error only if ctx ends.
func Examine(ctx context.Context, o Options) (Report, error) {
	c, valid, faults := settings(o.Lookup)
	in := newInstallation(c, valid, o)
	checks := in.checks(faults)
	found := make([][]Finding, len(checks))
	var all sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for i, check := range checks {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			found[i] = in.run(ctx, check)
		})
	}
	all.Wait()
	if err := ctx.Err(); err != nil {
		return Report{}, err
	}
	return Report{Instance: c.Instance, Project: c.Project, Findings: settle(slices.Concat(found...))}, nil
}

// check is one thing to look at.
type check struct {
	name string
	// on is what it looks at, if that is known before.
	on string
	// needs are the settings that it can't do without.
	needs []string
	// absent is what jobdrop local has in place of what is looked at; empty if the check can be made there.
	absent string
	// offline is set if the check makes no call.
	offline bool
	run     func(ctx context.Context) []Finding
}

// run makes a check, or says why it can't be made.
func (in *installation) run(ctx context.Context, c check) []Finding {
	skip := func(text, remedy string) []Finding {
		return []Finding{{Check: c.name, On: c.on, Status: Skipped, Text: text, Remedy: remedy}}
	}
	if in.local() && c.absent != "" {
		return skip("jobdrop local "+c.absent, "")
	}
	if i := slices.IndexFunc(c.needs, func(name string) bool { return !in.valid[name] }); i >= 0 {
		c.on = "" // it has no name without the setting
		return skip(c.needs[i]+" is not set, or not valid", "name the installation's settings with --env")
	}
	if in.credentials != nil && !c.offline {
		return skip("there are no credentials", "")
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	found := c.run(ctx)
	for i := range found {
		found[i].Check = c.name
		if found[i].On == "" {
			found[i].On = c.on
		}
	}
	return found
}

// settle returns findings of which those are skipped that only say that a service does not answer, if another one says
// so already.
func settle(all []Finding) []Finding {
	down := map[service]bool{}
	for _, f := range all {
		if f.probes != "" && f.Status == Problem {
			down[f.probes] = true
		}
	}
	for i, f := range all {
		if f.unreached != "" && f.probes == "" && down[f.unreached] {
			all[i].Status, all[i].Text, all[i].Remedy = Skipped, string(f.unreached)+" can't be used", ""
		}
	}
	return all
}
