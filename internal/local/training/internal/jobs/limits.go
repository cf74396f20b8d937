package jobs

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/image"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// MaxLabels is the APIs' own limit.
const MaxLabels = 64

// Limits are what a service's options let a job have.
type Limits struct {
	Replicas   int
	Containers bool
}

// Image returns why an image can't be run.
func (l Limits) Image(uri string) string {
	if !l.Containers {
		return "The local training service runs no containers, as it was given nothing to run them with: " +
			"start jobdrop local with --container-runner docker or --container-runner podman, or give packageUris and " +
			"pythonModule instead of an image."
	}
	// It is part of the runner's command line: its grammar keeps it from being read
	// as an option.
	if _, err := image.Parse(uri); err != nil {
		return fmt.Sprintf("%q is not the name of a container image.", uri)
	}
	return ""
}

// Count returns why so many replicas can't be run, in a sentence that lacks its end.
func (l Limits) Count(n counts) string {
	if n.Total() <= l.Replicas {
		return ""
	}
	return fmt.Sprintf("The job needs %d replicas (%v), and the local training service runs at most %d at once on this "+
		"machine: "+
		"start jobdrop local with --max-replicas %[1]d or more, or ask for fewer workers", n.Total(), n, l.Replicas)
}

// Parallel says how many replicas a job's trials need, in a sentence that lacks
// its end.
func (l Limits) Parallel(in *job.TrainingInput) string {
	return fmt.Sprintf("%d trials at once need %d replicas (%v for each), and the local training service runs at most "+
		"%d at once on this machine",
		in.Hyperparameters.Parallel(), Needs(in), CountsOf(in), l.Replicas)
}

// Needs returns how many replicas a job has at once.
func Needs(in *job.TrainingInput) int {
	n := CountsOf(in).Total()
	if in.Hyperparameters != nil {
		n = int(min(int64(n)*in.Hyperparameters.Parallel(), math.MaxInt32))
	}
	return n
}

// MaxRunningTime returns how long a job may run.
func MaxRunningTime(in *job.TrainingInput) time.Duration {
	_, run := in.Scheduling.Limits()
	return cmp.Or(run, job.DefaultRunningTime)
}

// SplitURI takes gs://bucket/object apart; the object may be empty.
func SplitURI(uri string) (bucket, object string, ok bool) {
	rest, ok := strings.CutPrefix(uri, "gs://")
	bucket, object, _ = strings.Cut(rest, "/")
	return bucket, object, ok && bucket != ""
}
