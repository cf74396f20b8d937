package sim

import (
	"context"
	"net/http"
	"time"

	"github.com/jobdrop/jobdrop/internal/backend/aiplatform"
	"github.com/jobdrop/jobdrop/internal/backend/vertex"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/internal/service/pubsub"
	"github.com/jobdrop/jobdrop/internal/testing/contract"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// parts are the services as a process reaches them.
type parts struct {
	storage contract.Storage
	backend contract.Backend
	topic   contract.Publisher
	// now is the process's clock, but for its skew.
	now func() time.Time
}

// partsOf returns the services as a process reaches them: the stand-ins themselves, or
// the real adapters over them.
func (w *world) partsOf(p *process) parts {
	all := parts{w.storage, p.backend, w.topic, time.Now}
	if w.adapters {
		all = w.adapted(p.backend)
	}
	all.storage, all.topic = noted{all.storage}, notedEvents{all.topic}
	return all
}

// adapted returns the adapters of a new process.
func (w *world) adapted(t *backend) parts {
	ctx, over := context.Background(), newTransport(w, t)
	client := &http.Client{Transport: over}
	storage, err := gcs.Over(ctx, over)
	must(err)
	all := parts{storage: storage, topic: pubsub.Over(wire{over}, lifecycle, instance), now: storage.Now}
	if t.TakesID() {
		jobs, err := aiplatform.Over(ctx, client, t.name)
		must(err)
		all.backend = named{jobs, t.name}
		return all
	}
	jobs, err := vertex.New(ctx, vertex.Options{Project: t.name, Regions: regions, Client: client, Now: storage.Now})
	must(err)
	all.backend = named{jobs, t.name}
	return all
}

// regions are the regions of the installation.
var regions = []string{anyRegion, "europe-west1"}

// named is a backend under a name of the simulation: an installation is switched from
// one to another of the same kind.
type named struct {
	contract.Backend
	name string
}

func (n named) Name() string { return n.name }

// noted keeps what a process could not write.
type noted struct{ contract.Storage }

func (n noted) Write(ctx context.Context, bucket, name string, data []byte, contentType string,
	metadata map[string]string, ifGeneration int64) (int64, error) {
	written, err := n.Storage.Write(ctx, bucket, name, data, contentType, metadata, ifGeneration)
	switch {
	case bucket != state:
	case name == "heartbeat.json", name == "cursors.json", name == "queue.json": // the next tick writes these anew
	default:
		workerOf(ctx).note("write "+bucket+"/"+name, err)
	}
	return written, err
}

// notedEvents keeps what a process could not publish.
type notedEvents struct{ contract.Publisher }

func (n notedEvents) Publish(ctx context.Context, attempt string, events []job.Event) error {
	err := n.Publisher.Publish(ctx, attempt, events)
	workerOf(ctx).note("publish "+attempt, err)
	return err
}
