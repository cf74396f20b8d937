package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
)

// part is which of a drop's two objects an event is about.
type part int

const (
	jobPart part = iota
	packagePart
)

// event is an event of one object.
type event struct {
	drop int
	part part
	// again reports that the event has been planned before.
	again bool
}

// plan says which events are sent, in which order. It depends on the load alone.
type plan struct {
	load    load
	rng     *rand.Rand
	begun   int // drops that were planned
	steps   int // steps that were planned
	waiting [][]event
	// copies are the duplicates that are still to come, the next first.
	copies []copied
}

// copied is an event that comes again at some step.
type copied struct {
	at    int
	event event
}

func newPlan(l load) *plan { return &plan{load: l, rng: rand.New(rand.NewPCG(l.seed, 0))} }

// next returns the next step: events that are sent one after the other, each when the one before is acknowledged.
// Steps are sent together, as many as may be in flight. A duplicate comes within twice that many steps after its first
// delivery: at the same time, or soon after. more is whether another drop may begin.
func (p *plan) next(more bool) (step []event, ok bool) {
	due := len(p.copies) > 0 && (p.copies[0].at <= p.steps || len(p.waiting) == 0 && !more)
	switch {
	case due:
		step = []event{p.copies[0].event}
		p.copies = p.copies[1:]
	case len(p.waiting) == 0 && !more:
		return nil, false
	default:
		if len(p.waiting) == 0 {
			p.begin()
		}
		step, p.waiting = p.waiting[0], p.waiting[1:]
		p.copy(step)
	}
	p.steps++
	return step, true
}

// copy plans the duplicates of a step's events, by chance.
func (p *plan) copy(step []event) {
	for _, e := range step {
		if p.rng.Float64() < p.load.duplicates {
			e.again = true
			p.copies = append(p.copies, copied{p.steps + 1 + p.rng.IntN(2*p.load.inFlight), e})
		}
	}
	slices.SortStableFunc(p.copies, func(a, b copied) int { return cmp.Compare(a.at, b.at) })
}

// begin plans one more drop.
func (p *plan) begin() {
	events := []event{{drop: p.begun, part: jobPart}, {drop: p.begun, part: packagePart}}
	p.begun++
	if p.load.order == packageFirst || p.load.order == anyOrder && p.rng.IntN(2) == 0 {
		slices.Reverse(events)
	}
	if p.load.apart {
		p.waiting = [][]event{events}
		return
	}
	for _, e := range events {
		p.waiting = append(p.waiting, []event{e})
	}
}

// folder returns the folder of a drop.
func folder(drop int) string { return fmt.Sprintf("bench/%07d/", drop) }

// jobText returns the job file of a drop. Its argument names the drop, so that the stand-in of ml/v1 knows whose job is
// made, whatever ID a program chooses.
func jobText(drop int) []byte {
	return fmt.Appendf(nil, `# A job of the load harness.
trainingInput:
  scaleTier: BASIC
  region: us-central1
  runtimeVersion: '2.11'
  pythonVersion: '3.7'
  pythonModule: trainer.task
  args: [%s%d, --verbose]
`, dropArgument, drop)
}

// dropArgument begins the argument that names the drop.
const dropArgument = "--drop="
