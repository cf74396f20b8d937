package console

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/account"
	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/flow/submitter"
	"github.com/jobdrop/jobdrop/internal/flow/watcher"
	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// installationPage is the data of the page of what goes on in the installation.
type installationPage struct {
	// Needs is what needs a person, the worst first.
	Needs []need
	// Pulse is what the last tick of Watch found; nil if there was none.
	Pulse *watcher.Pulse
	Queue queueView
	// Limits are those of the policy, with what is left of them.
	Limits []limitRow
	// Pauses are the folders whose jobs the operator does not let begin.
	Pauses []string
	// Parked are the newest messages that could not be decoded; nil if the viewer may not see them.
	Parked *parkedView
	// All reports that the viewer sees every folder.
	All bool
}

// need is something that needs a person.
type need struct {
	// Class is bad or warn.
	Class, What, Remedy string
}

// queueView is who waits for a turn.
type queueView struct {
	At time.Time
	// Total counts all that wait, Hidden those that the viewer may not see.
	Total, Hidden int
	Prefixes      []prefixView
}

// prefixView is who waits under a prefix of the policy.
type prefixView struct {
	Prefix string
	Total  int
	// First are the next of them.
	First []attempt.Place
}

// limitRow is a limit of the policy.
type limitRow struct {
	Folders, What string
	// Used and Most are texts with their units, Left is empty where nothing is left to say.
	Used, Most, Left string
	// Part is how much of it is used, in percent.
	Part int
}

// parkedView is some messages that could not be decoded.
type parkedView struct {
	Rows []job.Attributes
	More bool
}

const (
	// placesOfPrefix is how many of a prefix's queue are shown, mostPrefixes of how many prefixes.
	placesOfPrefix = 10
	mostPrefixes   = 50
	// mostParked is how many parked messages are shown.
	mostParked = 20
)

func (s *Server) installationPage(ctx context.Context, r request) (page, error) {
	d := installationPage{All: r.everything()}
	var (
		rules   policy.Policy
		unread  error
		queue   attempt.Queue
		turns   attempt.Turns
		parked  parkedView
		reading = []func() error{
			func() (err error) { d.Pulse, err = s.accounts.Pulse(ctx); return err },
			func() (err error) { queue, err = s.Records.Queue(ctx); return err },
			func() (err error) { turns, err = s.Records.Turns(ctx); return err },
			func() error { rules, unread = s.policy.get(ctx); return ctx.Err() },
		}
	)
	if r.everything() {
		d.Parked = &parked
		reading = append(reading, func() (err error) {
			parked.Rows, parked.More, err = s.Store.ListPage(ctx, s.State, "parked/", "parked/", mostParked)
			return err
		})
	}
	if err := atOnce(len(reading), func(i int) error { return reading[i]() }); err != nil {
		return page{}, err
	}
	d.Queue = queueOf(queue, rules, r)
	if unread == nil {
		d.Limits, d.Pauses = limitsOf(rules, turns, r)
	}
	d.Needs = needsOf(d, s.cause(unread), r.now)
	return page{view: "installation", title: "Installation", section: "/installation", data: d, live: true}, nil
}

// queueOf returns the queue by the prefixes under which folders take turns, as far as the viewer sees it.
func queueOf(q attempt.Queue, rules policy.Policy, r request) queueView {
	v := queueView{At: q.At, Total: q.Total}
	byPrefix := map[string]*prefixView{}
	for _, p := range q.Waiting {
		if !r.viewer.Sees(p.Folder) {
			v.Hidden++
			continue
		}
		prefix := rules.Prefix(p.Folder)
		own := byPrefix[prefix]
		if own == nil {
			own = &prefixView{Prefix: prefix}
			byPrefix[prefix] = own
		}
		if own.Total++; len(own.First) < placesOfPrefix {
			own.First = append(own.First, p)
		}
	}
	for _, own := range byPrefix {
		v.Prefixes = append(v.Prefixes, *own)
	}
	slices.SortFunc(v.Prefixes, func(a, b prefixView) int { return cmp.Compare(a.First[0].Place, b.First[0].Place) })
	v.Prefixes = v.Prefixes[:min(len(v.Prefixes), mostPrefixes)]
	return v
}

// limitsOf returns the policy's limits on jobs with what is used of them, and the folders that are paused.
func limitsOf(rules policy.Policy, turns attempt.Turns, r request) (rows []limitRow, pauses []string) {
	if !r.everything() {
		return nil, nil
	}
	part := func(used, most int64) int { return int(min(max(100*used/max(most, 1), 0), 100)) }
	for _, section := range rules.Sections() {
		if section.Paused {
			pauses = append(pauses, section.Folders)
		}
		for _, l := range []struct {
			limit  *policy.Limit
			what   string
			counts func(t attempt.Turn) bool
		}{
			{section.Active, "active jobs", func(t attempt.Turn) bool { return !t.Done }},
			{section.PerHour, "jobs started in an hour", func(t attempt.Turn) bool { return attempt.Lately(t.At, r.now) }},
		} {
			if l.limit == nil {
				continue
			}
			used := int64(0)
			for _, t := range turns.Given {
				if l.counts(t) && l.limit.Covers(t.Folder) {
					used++
				}
			}
			rows = append(rows, limitRow{
				Folders: section.Folders, What: l.what, Used: fmt.Sprint(used), Most: fmt.Sprint(l.limit.Most),
				Part: part(used, l.limit.Most),
			})
		}
	}
	for _, a := range submitter.Allowances(turns, rules, r.now) {
		most := a.Budget.Seconds()
		rows = append(rows, limitRow{
			Folders: a.Budget.Folders, What: "accelerator hours in a month", Used: text.Hours(most - a.Seconds),
			Most: fmt.Sprint(a.Budget.Most), Left: text.Hours(a.Seconds) + " left until " + a.Until.Format(time.DateOnly),
			Part: part(most-a.Seconds, most),
		})
	}
	return rows, pauses
}

// needsOf returns what needs a person. unread says why the policy can't be used; it is empty if it can.
func needsOf(d installationPage, unread string, now time.Time) (all []need) {
	add := func(class, what, remedy string) { all = append(all, need{class, what, remedy}) }
	switch p := d.Pulse; {
	case p == nil || p.At.IsZero():
		add("bad", "No tick of Watch has come to its end yet.", "Look at its logs and its schedule: nothing goes on without it.")
	case account.Late(p.At, now):
		add("bad", "Watch's last tick began "+age(now.Sub(p.At))+" ago, and one is due each minute.",
			"Look at its logs and its schedule: nothing goes on without it.")
	default:
		if p.Failed > 0 {
			add("warn", fmt.Sprintf("%d things failed in the last tick.", p.Failed), "The log of Watch names each.")
		}
		if p.Strangers > 0 {
			add("warn", fmt.Sprintf("Nobody follows %d jobs that have this installation's label.", p.Strangers),
				"The log of Watch names them: cancel them if nobody knows what they are for.")
		}
	}
	if unread != "" {
		add("bad", "The policy can't be used: "+unread, "Nothing is decided until it is mended: jobdrop policy validate.")
	}
	if len(d.Pauses) > 0 {
		add("warn", "The operator has paused "+strings.Join(d.Pauses, ", ")+".", "Take pause out of the policy to go on.")
	}
	if d.Parked != nil && len(d.Parked.Rows) > 0 {
		add("warn", "Messages that could not be decoded are parked.", "They are listed below: look at one, and delete it.")
	}
	slices.SortStableFunc(all, func(a, b need) int { return cmp.Compare(a.Class, b.Class) })
	return all
}
