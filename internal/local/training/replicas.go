package training

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/process"
)

// runReplicas runs a job's replicas until the master ends, another one fails or the part is stopped; then the others
// are ended. The part's state is the master's: a replica that ends well before it is not missed.
func (s *Service) runReplicas(e *entry, p places, run part) error {
	leave, err := s.furnish(e, p, run)
	defer leave()
	if err != nil {
		return s.reason(e, err)
	}
	replicas := jobs.ReplicasOf(e.Job.TrainingInput)
	reserved, err := s.ports.reserve(len(replicas))
	if err != nil {
		return messagef("The replicas can't be given addresses: %v", err)
	}
	defer s.ports.release(reserved)
	a := jobs.Addresses{}
	for i, r := range replicas {
		if e.HasAddress(r) {
			a[r] = reserved[i].address()
		}
	}
	// All at once: what a replica sends to one that is yet to start would be taken by the listener that reserves its
	// port, and lost.
	for _, r := range reserved {
		r.open()
	}
	defer s.forgetProcesses(e, run.Trial)
	g := &replicaGroup{
		service: s, e: e, run: run,
		children: map[jobs.Replica]*process.Child{}, ended: make(chan jobs.Replica, len(replicas)),
	}
	for _, r := range replicas {
		if err := g.start(r, a); err != nil {
			g.stopOthers()
			if cause := context.Cause(run.ctx); cause != nil {
				return cause
			}
			return messagef("The %s could not be started: %v", e.Title(r), err)
		}
	}
	s.setRunning(e, run)
	return g.wait()
}

// replicaGroup is the replicas of a part that have been started.
type replicaGroup struct {
	service  *Service
	e        *entry
	run      part
	children map[jobs.Replica]*process.Child
	ended    chan jobs.Replica // holds each replica whose leader has ended
}

// start starts a replica.
func (g *replicaGroup) start(r jobs.Replica, a jobs.Addresses) error {
	c, err := g.service.replicaCommand(g.e, g.run, r, a)
	if err != nil {
		return err
	}
	child, err := g.service.start(g.run.ctx, g.e, c)
	if err != nil {
		return err
	}
	g.children[r] = child
	go func() {
		<-child.Done()
		g.ended <- r
	}()
	return nil
}

// wait waits for the group's end, ends what is left then, and returns why the part failed.
func (g *replicaGroup) wait() error {
	leader := g.children[jobs.Master]
	failure := g.firstFailure()
	if failure != nil {
		g.stopOthers()
		_ = leader.Settle()
		return failure
	}
	// The master's output is complete before the others are waited for.
	err := leader.Settle()
	g.stopOthers()
	if err != nil {
		return exitMessage(g.e.Title(jobs.Master), err)
	}
	return nil
}

// firstFailure waits until the master has ended, and returns nil, or until the part is stopped or another replica
// fails, and returns why.
func (g *replicaGroup) firstFailure() error {
	leader := g.children[jobs.Master]
	for !leader.Exited() {
		select {
		case r := <-g.ended:
			if r == jobs.Master {
				continue
			}
			// What it left behind ends with it, as its machine would.
			if err := g.children[r].Settle(); err != nil && !g.endsSoon(leader) {
				return exitMessage(g.e.Title(r), err)
			}
		case <-g.run.ctx.Done():
			return context.Cause(g.run.ctx)
		}
	}
	return nil
}

// endsSoon waits a grace for the master to end. A replica that loses its master may fail before the master's process is
// gone, and the job's state is the master's.
func (g *replicaGroup) endsSoon(leader *process.Child) bool {
	grace := time.NewTimer(g.service.opts.Grace)
	defer grace.Stop()
	select {
	case <-leader.Done():
		return true
	case <-grace.C:
	case <-g.run.ctx.Done():
	}
	return false
}

// stopOthers ends all replicas and settles all but the master.
func (g *replicaGroup) stopOthers() {
	g.service.host.Terminate(slices.Collect(maps.Values(g.children))...)
	for r, child := range g.children {
		if r != jobs.Master {
			_ = child.Settle()
		}
	}
}

// exitMessage returns how the service tells of a replica's end.
func exitMessage(r string, err error) error {
	if exit := (*process.ExitError)(nil); errors.As(err, &exit) {
		return messagef("The %s exited with a non-zero status of %s", r, exit)
	}
	return messagef("The %s ended: %v", r, err)
}
