package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// The orders in which the two events of a drop are sent.
const (
	jobFirst     = "job-first"
	packageFirst = "package-first"
	anyOrder     = "any"
)

// options are what a user may choose.
type options struct {
	load
	runs     int
	programs []string
	// conditions are whether the load is measured under other conditions, too.
	conditions bool
	out        string
	duration   time.Duration
	profile    string
	// soak is whether a long run fails where the program's memory grows, or a drop has not exactly one job.
	soak    bool
	command []string
}

// load is what one run sends, and how the stand-ins answer.
type load struct {
	drops      int
	inFlight   int
	duplicates float64
	apart      bool
	order      string
	rate       float64
	seed       uint64

	// instances is how many processes of the program take the events in turn.
	instances int

	latency     time.Duration
	oneWrite    bool
	unavailable float64
	// redelivery is the pause before an event is first delivered again.
	redelivery time.Duration
}

// usualRedelivery is much less than Eventarc's ten seconds, so that a run does not take minutes.
const usualRedelivery = 100 * time.Millisecond

// parse returns the options of a command line.
func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	var programs string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "Usage: bench [options] [-- COMMAND ARGS], see docs/performance.md. Options:")
		flags.PrintDefaults()
	}
	flags.IntVar(&o.drops, "drops", 1000, "number of drops")
	flags.IntVar(&o.inFlight, "in-flight", 16, "events that are being answered at once")
	flags.Float64Var(&o.duplicates, "duplicates", 0.1, "share of the events that come twice")
	flags.BoolVar(&o.apart, "apart", false, "send the second event of a drop when the first is acknowledged")
	flags.StringVar(&o.order, "order", anyOrder, "order of a drop's events: job-first, package-first or any")
	flags.IntVar(&o.instances, "instances", 1, "processes of each program, which get the events of a drop in turn")
	flags.DurationVar(&o.latency, "latency", 0, "time that the stand-ins add to each call")
	flags.BoolVar(&o.oneWrite, "one-write-a-second", false, "answer 429 to a second write of one name within a second")
	flags.Float64Var(&o.unavailable, "unavailable", 0, "share of the calls that are answered 503, e.g. 0.01")
	flags.Float64Var(&o.rate, "rate", 0, "events a second, however many are in flight (open loop); 0 is a closed loop")
	flags.DurationVar(&o.redelivery, "redelivery", usualRedelivery, "pause before an event is delivered again; it doubles")
	flags.Uint64Var(&o.seed, "seed", 1, "seed of the plan")
	flags.IntVar(&o.runs, "runs", 1, "runs of each program; the table has the least and the most")
	flags.StringVar(&programs, "programs", strings.Join(allPrograms(), ","), "programs to measure")
	flags.BoolVar(&o.conditions, "conditions", true, "measure with latency, 429 and 503, too, which takes minutes")
	flags.StringVar(&o.out, "o", "docs/performance.md", "page whose tables are rewritten; '' only prints")
	flags.DurationVar(&o.duration, "duration", 0, "go on for so long instead of -drops, and show the memory over time")
	flags.StringVar(&o.profile, "profile", "", "folder for CPU and memory profiles of jobdrop's function")
	flags.BoolVar(&o.soak, "soak", false, "with -duration: fail if memory or goroutines grow, or a drop has not one job")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if o.command = flags.Args(); len(o.command) > 0 {
		if at := len(args) - len(o.command); at == 0 || args[at-1] != "--" {
			return options{}, fmt.Errorf("%q is not an option; a program to measure goes after --", o.command[0])
		}
		if _, err := exec.LookPath(o.command[0]); err != nil {
			return options{}, fmt.Errorf("the program to measure: %w", err)
		}
	}
	if programs != "" {
		o.programs = strings.Split(programs, ",")
	}
	return o, o.check()
}

// check joins what is wrong.
func (o options) check() error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	wrong(o.drops < 1, "-drops is %d, must be at least 1", o.drops)
	wrong(o.inFlight < 1, "-in-flight is %d, must be at least 1", o.inFlight)
	wrong(o.instances < 1, "-instances is %d, must be at least 1", o.instances)
	wrong(o.runs < 1, "-runs is %d, must be at least 1", o.runs)
	wrong(o.duplicates < 0 || o.duplicates > 1, "-duplicates is %g, must be from 0 to 1", o.duplicates)
	wrong(o.unavailable < 0 || o.unavailable > 0.5, "-unavailable is %g, must be from 0 to 0.5", o.unavailable)
	wrong(o.redelivery <= 0, "-redelivery is %s, must be positive", o.redelivery)
	wrong(o.latency < 0 || o.duration < 0 || o.rate < 0, "-latency, -duration and -rate must not be negative")
	wrong(!slices.Contains([]string{jobFirst, packageFirst, anyOrder}, o.order),
		"-order is %q, must be %s, %s or %s", o.order, jobFirst, packageFirst, anyOrder)
	wrong(o.soak && o.duration == 0, "-soak needs a -duration")
	for _, name := range o.programs {
		wrong(!slices.Contains(allPrograms(), name), "-programs names %q, must be of %s", name,
			strings.Join(allPrograms(), ", "))
	}
	wrong(len(o.programs) == 0 && len(o.command) == 0, "there is no program to measure: name some with -programs")
	return errors.Join(errs...)
}

// String returns a load in words.
func (l load) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d drops, ", l.drops)
	if l.rate > 0 {
		fmt.Fprintf(&b, "%g events a second (open loop), ", l.rate)
	} else {
		fmt.Fprintf(&b, "%d events in flight (closed loop), ", l.inFlight)
	}
	fmt.Fprintf(&b, "%g %% of the events twice, ", 100*l.duplicates)
	if l.apart {
		b.WriteString("the events of a drop one after the other, ")
	} else {
		b.WriteString("the events of a drop together, ")
	}
	fmt.Fprintf(&b, "order %s, seed %d", l.order, l.seed)
	if l.instances > 1 {
		fmt.Fprintf(&b, ", %d processes", l.instances)
	}
	if l.latency > 0 {
		fmt.Fprintf(&b, ", each call takes %s", l.latency)
	}
	if l.oneWrite {
		b.WriteString(", one write a second of one name")
	}
	if l.unavailable > 0 {
		fmt.Fprintf(&b, ", 503 in %g %% of the calls", 100*l.unavailable)
	}
	if l.redelivery != usualRedelivery {
		fmt.Fprintf(&b, ", events again after %s", l.redelivery)
	}
	return b.String()
}
