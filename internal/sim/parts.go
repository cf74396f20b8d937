package sim

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/jobdrop/jobdrop/pkg/gcs"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/publisher"
	"github.com/jobdrop/jobdrop/pkg/trainer/aiplatform"
	"github.com/jobdrop/jobdrop/pkg/trainer/vertex"
)

// objects, backend and events are what the use cases ask of the services.
type objects interface {
	List(ctx context.Context, bucket, prefix string, flat bool, page func([]job.Attributes) error) error
	ListAfter(ctx context.Context, bucket, prefix, after string, page func([]job.Attributes) error) error
	Open(ctx context.Context, bucket, name string, generation int64) (io.ReadCloser, error)
	Read(ctx context.Context, bucket, name string, generation, limit int64) ([]byte, int64, error)
	Stat(ctx context.Context, bucket, name string) (job.Attributes, error)
	Write(ctx context.Context, bucket, name string, data []byte, contentType string, metadata map[string]string, ifGeneration int64) (int64, error)
	Copy(ctx context.Context, source job.Object, bucket, name string) error
	Delete(ctx context.Context, bucket, name string) error
}

type backend interface {
	Name() string
	TakesID() bool
	EnforcesWait() bool
	Check(o job.Order) []job.Diagnostic
	Create(ctx context.Context, o job.Order) (job.Look, error)
	Find(ctx context.Context, o job.Order) ([]job.Look, error)
	Get(ctx context.Context, j job.JobInfo) (job.Look, error)
	ListActive(ctx context.Context, instance, from string, page func(looks []job.Look, next string) error) error
	Cancel(ctx context.Context, j job.JobInfo) error
}

type events interface {
	Publish(ctx context.Context, attempt string, events []job.Event) error
}

// parts are the services as a process reaches them.
type parts struct {
	storage objects
	trainer backend
	topic   events
	// now is the process's clock, but for its skew.
	now func() time.Time
}

// partsOf returns the services as a process reaches them: the stand-ins themselves, or
// the real adapters over them.
func (w *world) partsOf(p *process) parts {
	all := parts{w.storage, p.trainer, w.topic, time.Now}
	if w.adapters {
		all = w.adapted(p.trainer)
	}
	all.storage, all.topic = noted{all.storage}, notedEvents{all.topic}
	return all
}

// adapted returns the adapters of a new process.
func (w *world) adapted(t *trainer) parts {
	ctx, over := context.Background(), newTransport(w, t)
	client := &http.Client{Transport: over}
	storage, err := gcs.Over(ctx, over)
	must(err)
	all := parts{storage: storage, topic: publisher.Over(wire{over}, lifecycle, instance), now: storage.Now}
	if t.TakesID() {
		jobs, err := aiplatform.Over(ctx, client, t.name)
		must(err)
		all.trainer = named{jobs, t.name}
		return all
	}
	jobs, err := vertex.New(ctx, vertex.Options{Project: t.name, Regions: regions, Client: client, Now: storage.Now})
	must(err)
	all.trainer = named{jobs, t.name}
	return all
}

// regions are those of the installation.
var regions = []string{anyRegion, "europe-west1"}

// named is a backend by the name that the simulation gives it: an installation is
// switched from one to another of the same kind.
type named struct {
	backend
	name string
}

func (n named) Name() string { return n.name }

// noted keeps what a process could not write.
type noted struct{ objects }

func (n noted) Write(ctx context.Context, bucket, name string, data []byte, contentType string, metadata map[string]string, ifGeneration int64) (int64, error) {
	written, err := n.objects.Write(ctx, bucket, name, data, contentType, metadata, ifGeneration)
	if bucket == state && name != "heartbeat.json" && name != "cursors.json" { // the next tick writes these anew
		workerOf(ctx).note("write "+bucket+"/"+name, err)
	}
	return written, err
}

// notedEvents keeps what a process could not publish.
type notedEvents struct{ events }

func (n notedEvents) Publish(ctx context.Context, attempt string, events []job.Event) error {
	err := n.events.Publish(ctx, attempt, events)
	workerOf(ctx).note("publish "+attempt, err)
	return err
}
