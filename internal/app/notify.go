package app

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"

	"github.com/jobdrop/jobdrop/internal/app/config"
	"github.com/jobdrop/jobdrop/internal/app/telemetry"
	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/internal/destination"
	"github.com/jobdrop/jobdrop/internal/flow/notifier"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/internal/service/secrets"
)

// NewNotify returns an application of Notify alone. It parks in a place of its own: Notify has no right to that of the
// other functions.
func NewNotify(n *notifier.Notifier, records parking, measures *telemetry.Telemetry, logger *slog.Logger) *App {
	return &App{Notifier: n, parking: records, measures: measures, logger: logger}
}

// LoadNotify makes the use case of Notify in the installation that the environment describes. It makes
// clients, but no remote call.
func LoadNotify(ctx context.Context, lookup config.Lookup) (*App, error) {
	c, err := config.LoadNotify(lookup)
	if err != nil {
		return nil, err
	}
	measures, logger, err := observed(ctx, c)
	if err != nil {
		return nil, err
	}
	storage, err := gcs.New(ctx, c.StorageEmulator)
	if err != nil {
		return nil, err
	}
	n, err := newNotifier(c, lookup, storage, measures, logger)
	if err != nil {
		return nil, err
	}
	return NewNotify(n, n, measures, logger), nil
}

// notifyBudget is how long a tick may begin sends: it has to end in the time that inbound gives a request, and each send
// takes up to 15 s.
const notifyBudget = 6 * time.Minute

// newNotifier makes the use case of Notify.
func newNotifier(
	c config.Config, lookup config.Lookup, storage *gcs.Client, measures *telemetry.Telemetry, logger *slog.Logger,
) (*notifier.Notifier, error) {
	current := func(context.Context) (*routes.File, error) { return nil, nil }
	if c.RoutesObject == "" {
		logger.Warn("nobody is told of anything: JOBDROP_ROUTES is not set")
	} else {
		current = (&routesFile[routes.File]{
			storage: storage, bucket: c.RoutesBucket, name: c.RoutesObject, parse: routes.Parse, now: storage.Now,
			fault: measures.RoutesFault, logger: logger,
		}).current
	}
	known, err := secrets.New(secrets.Options{Lookup: lookup, Now: storage.Now})
	if err != nil {
		return nil, err
	}
	secret := func(r routes.Reference) destination.Secret { return destination.Reference(known.Read, string(r)) }
	r := reports{measures, logger}
	destinations := func(_ context.Context, f *routes.File, d routes.Destination) (notifier.Destination, error) {
		guard := destination.NewGuard(destination.Egress(f.Egress()), destination.GuardOptions{})
		return Outward{Guard: guard, Client: guard.Client(), Secret: secret, Now: storage.Now}.Destination(d)
	}
	return notifier.New(storage, c.State, current, destinations, notifier.Options{
		Instance: c.Instance, Status: c.Status, Now: storage.Now, Nonce: rand.Text, Budget: notifyBudget, Parallel: parallel,
		Sent: r.sent, Faulty: r.faulty, Unreached: r.unreached, Ticked: r.ticked,
	})
}
