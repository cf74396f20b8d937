// Command go drops a folder into jobdrop's inbox with Google's Go libraries,
// follows its lifecycle events to the verdict, and prints the job's output. The
// environment says where the services are: STORAGE_EMULATOR_HOST and
// PUBSUB_EMULATOR_HOST, or nothing for Google's own.
//
//	go run ./docs/clients/go testdata/drops/hello hello/hello.txt
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/storage"

	"github.com/jobdrop/jobdrop/pkg/event"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: go FOLDER OUTPUT")
	}
	if err := drop(context.Background(), os.Args[1], os.Args[2], os.Stdout); err != nil {
		log.Fatal(err)
	}
}

const (
	project = "local"
	inbox   = "jobdrop-inbox"
	output  = "jobdrop-output"
	topic   = "projects/" + project + "/topics/jobdrop-lifecycle"
)

func drop(ctx context.Context, folder, result string, out io.Writer) error {
	messages, err := pubsub.NewClient(ctx, project)
	if err != nil {
		return err
	}
	defer messages.Close()
	subscription := fmt.Sprintf("projects/%s/subscriptions/go-client-%d", project, os.Getpid())
	if _, err := messages.SubscriptionAdminClient.CreateSubscription(ctx, &pubsubpb.Subscription{
		Name: subscription, Topic: topic, EnableMessageOrdering: true,
		Filter: fmt.Sprintf(`attributes."ce-subject" = %q`, filepath.Base(folder)),
	}); err != nil {
		return err
	}
	defer messages.SubscriptionAdminClient.DeleteSubscription(ctx,
		&pubsubpb.DeleteSubscriptionRequest{Subscription: subscription})

	objects, err := storage.NewClient(ctx)
	if err != nil {
		return err
	}
	defer objects.Close()
	files, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	var generation int64 // the job file's: it makes the attempt
	for _, f := range files {
		name := filepath.Base(folder) + "/" + f.Name()
		made, err := upload(ctx, objects.Bucket(inbox).Object(name), filepath.Join(folder, f.Name()))
		if err != nil {
			return err
		}
		if strings.HasPrefix(f.Name(), "job.") {
			generation = made
		}
	}

	var last event.Body
	receiving, stop := context.WithCancel(ctx)
	defer stop()
	if err := messages.Subscriber(subscription).Receive(receiving, func(_ context.Context, m *pubsub.Message) {
		m.Ack()
		e, err := event.FromMessage(m.Attributes, m.Data)
		if err != nil {
			log.Print(err)
			return
		}
		t, body, err := event.Decode(e)
		if err != nil {
			log.Print(err)
			return
		}
		// The folder may have had other attempts. Delivery is at least once.
		if body.Drop.JobFile.Generation != generation || body.Sequence <= last.Sequence {
			return
		}
		last = body
		fmt.Fprintln(out, t, body.Reason)
		if body.State.Terminal() {
			stop()
		}
	}); err != nil {
		return err
	}

	if last.State != event.Succeeded {
		return fmt.Errorf("%s: %s", last.State, last.Reason)
	}
	r, err := objects.Bucket(output).Object(result).NewReader(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(out, r)
	return err
}

// upload returns the generation that it made.
func upload(ctx context.Context, o *storage.ObjectHandle, path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	w := o.NewWriter(ctx)
	if _, err := io.Copy(w, f); err != nil {
		return 0, err
	}
	if err := w.Close(); err != nil {
		return 0, err
	}
	return w.Attrs().Generation, nil
}
