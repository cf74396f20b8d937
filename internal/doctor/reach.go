package doctor

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// How far this machine's clock may be off. The functions go by the storage's clock, so jobs are not harmed. But ages
// are shown by it, and credentials are signed with its time: minutes make Google refuse them.
const (
	clockTolerance = 10 * time.Second
	clockRefused   = time.Minute
)

// clock compares this machine's clock with the storage's.
func (in *installation) clock(ctx context.Context) []Finding {
	a, err := in.calls.read(ctx, in.bucketURL(in.State))
	if a.date.IsZero() {
		if err == nil {
			return []Finding{{Status: Skipped, Text: "Cloud Storage did not say what time it is"}}
		}
		return []Finding{unread(cloudStorage, "", "", err)}
	}
	return []Finding{judgeClock(ahead(a.date, in.now().Add(-time.Since(a.sent)), in.now().Add(-time.Since(a.received))))}
}

// ahead returns how far the clock that sent a call and received its answer is ahead of a date in the answer, at the
// least. The date is in whole seconds, and was written between the two.
func ahead(date, sent, received time.Time) time.Duration {
	switch {
	case sent.After(date.Add(time.Second)):
		return sent.Sub(date.Add(time.Second))
	case received.Before(date):
		return -date.Sub(received)
	}
	return 0
}

func judgeClock(ahead time.Duration) Finding {
	way, off := "ahead of", ahead
	if ahead < 0 {
		way, off = "behind", -ahead
	}
	if off <= clockTolerance {
		return Finding{Status: OK, Text: fmt.Sprintf("this machine's clock is within %s of the storage's", clockTolerance)}
	}
	f := Finding{
		Status: Warning,
		Text: fmt.Sprintf("this machine's clock is %s %s the storage's; %s is tolerated", off.Round(time.Second), way,
			clockTolerance),
		Remedy: "set it by NTP: ages are shown wrong, and Google refuses credentials with a wrong time",
	}
	if off > clockRefused {
		f.Status = Problem
	}
	return f
}

// reachChecks returns a check of each service that jobdrop uses.
func (in *installation) reachChecks() []check {
	project := []string{"JOBDROP_PROJECT"}
	all := []check{
		{name: "reach", on: string(cloudStorage), needs: []string{stateVariable}, run: func(ctx context.Context) []Finding {
			_, err := in.calls.read(ctx, in.bucketURL(in.State))
			return reached(cloudStorage, "storage.buckets.get", err)
		}},
		{name: "reach", on: string(pubSub), needs: []string{"JOBDROP_TOPIC"}, run: func(ctx context.Context) []Finding {
			_, err := in.calls.read(ctx, in.pubSub()+in.Topic)
			return reached(pubSub, "pubsub.topics.get", err)
		}},
	}
	for _, p := range in.places() {
		all = append(all, check{name: "reach", on: p.name, needs: slices.Concat(project, p.needs),
			run: func(ctx context.Context) []Finding {
				_, err := in.calls.read(ctx, in.jobsURL(p.region))
				return reached(backend, p.right, err)
			}})
	}
	return append(all, check{name: "reach", on: string(cloudLogging), needs: project,
		run: func(ctx context.Context) []Finding {
			err := in.calls.entries(ctx, in.logging(), in.Project, `resource.type="ml_job"`)
			return reached(cloudLogging, "logging.logEntries.list", err)
		}})
}

// reached judges whether a service answers. A refusal of what was asked is an answer, too.
func reached(s service, right string, err error) []Finding {
	f := Finding{Status: OK, Text: "it answers"}
	switch status := code(err); {
	case disabled(err):
		f = unread(s, "", right, err)
		f.Status = Problem
	case status == http.StatusForbidden:
		f.Text, f.Right = "it answers; you lack the right "+right, right
	case err == nil || status == http.StatusNotFound:
	default:
		f = unread(s, "", right, err)
		if rest, ok := strings.CutPrefix(f.Text, string(s)); ok { // the finding is about the service
			f.Text = "it" + rest
		}
		if status >= http.StatusBadRequest && status < http.StatusInternalServerError &&
			status != http.StatusUnauthorized && status != http.StatusTooManyRequests {
			f.Text = "it refuses what jobdrop asks: " + cause(err)
			f.Remedy = "look at the project, the region and the endpoint in the settings"
		}
	}
	f.probes = s
	return []Finding{f}
}

// place is where the backend is asked.
type place struct {
	name, region string
	needs        []string
	right        string
}

// places returns where the backend is asked: Vertex AI in each region, unless the regions share an endpoint.
func (in *installation) places() []place {
	if in.Backend == "aiplatform" {
		return []place{{name: "AI Platform Training", right: "ml.jobs.list"}}
	}
	p := place{name: "Vertex AI", needs: []string{"JOBDROP_BACKEND", "JOBDROP_REGIONS"},
		right: "aiplatform.customJobs.list"}
	if len(in.Regions) == 0 {
		return []place{p} // to say what is missing
	}
	if in.BackendEndpoint != "" {
		p.name, p.region = p.name+" at "+in.BackendEndpoint, in.Regions[0]
		return []place{p}
	}
	var all []place
	for _, region := range in.Regions {
		all = append(all, place{p.name + " in " + region, region, p.needs, p.right})
	}
	return all
}
