package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/jobdrop/jobdrop/internal/app/config"
	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/internal/flow/notifier"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// notified is an installation whose function Notify tells people.
type notified struct {
	config   config.Config
	storage  *gcs.Client
	notifier *notifier.Notifier
}

// notifyEnvironment says in the help of commands what they read of the environment.
const notifyEnvironment = `The command works with your own credentials, and reads the environment of the
function Notify, which gcloud functions describe Notify shows and the --env-file
of jobdrop local holds: JOBDROP_INSTANCE, JOBDROP_PROJECT and
JOBDROP_STATE_BUCKET have to be set.`

// notAnAttempt is the error of a text that should be an attempt.
func notAnAttempt(text string) error {
	return fmt.Errorf("%.80q is not an attempt, which has 40 hex digits, a hyphen and a number\n"+
		"That of a drop: gcloud storage cat gs://STATUS/FOLDER/status.json, field attempt", text)
}

// notifyInstallation returns the installation that the environment of Notify describes. It sends nothing.
func notifyInstallation(ctx context.Context, env Env) (*notified, error) {
	c, err := config.LoadNotify(env.lookup)
	if err != nil {
		return nil, exit(exitUsage, "%w", err)
	}
	if err := gcs.Answers(ctx, c.StorageEmulator); err != nil {
		return nil, missing(err)
	}
	storage, err := gcs.New(ctx, c.StorageEmulator)
	if err != nil {
		return nil, fault(err)
	}
	in := &notified{config: c, storage: storage}
	in.notifier, err = notifier.New(storage, c.State, in.routes, sendsNothing, notifier.Options{
		Instance: c.Instance, Now: storage.Now, Nonce: rand.Text, Budget: time.Minute, Parallel: 1,
	})
	return in, fault(err)
}

// sendsNothing makes no destination: the commands leave sending to the function.
func sendsNothing(context.Context, *routes.File, routes.Destination) (notifier.Destination, error) {
	return nil, errors.New("only the function Notify sends")
}

// routesURI returns where the installation's routes file is.
func (n *notified) routesURI() string {
	return "gs://" + n.config.RoutesBucket + "/" + n.config.RoutesObject
}

// routes returns the installation's routes as they are now, nil if there are none.
func (n *notified) routes(ctx context.Context) (*routes.File, error) {
	if n.config.RoutesObject == "" {
		return nil, nil
	}
	data, _, err := n.storage.Read(ctx, n.config.RoutesBucket, n.config.RoutesObject, 0, jobspec.MaxSize)
	if err != nil {
		return nil, fmt.Errorf("routes: %w", err)
	}
	file, vs := routes.Parse(path.Base(n.config.RoutesObject), data)
	for _, v := range vs {
		if v.Severity != job.Warning {
			return nil, fmt.Errorf("%s is not valid, so Notify uses the last one that was: %s", n.routesURI(), v)
		}
	}
	return file, nil
}
