// Command eventarc sets what Terraform can't set on the subscription that Eventarc
// makes for its trigger: a deadline that is longer than Submit works, and a dead
// letter. Eventarc's own deadline is 10 s, and it drops what is not taken within a
// day. It says what it changed, and changes nothing where all is as it should be:
// run it after each deployment.
//
//	go run ./deploy/eventarc -outputs outputs.json
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"google.golang.org/api/eventarc/v1"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
	"google.golang.org/api/pubsub/v1"

	"github.com/jobdrop/jobdrop/deploy/outputs"
)

// The values are those of deploy/terraform/modules/subscription, which the other
// trigger's subscription has.
const (
	deadline = 600 // seconds
	attempts = 20
	// retention is how long Pub/Sub keeps what nobody takes: a weekend and more.
	retention = "604800s"
	// puller takes messages; Pub/Sub does that before it writes a dead letter.
	puller = "roles/pubsub.subscriber"
)

// callTime bounds each call of Google's services.
const callTime = time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "eventarc:", err)
		os.Exit(1)
	}
}

// run takes the clients' options for tests.
func run(ctx context.Context, args []string, out io.Writer, options ...option.ClientOption) error {
	f := flag.NewFlagSet("eventarc", flag.ContinueOnError)
	f.SetOutput(out)
	file := f.String("outputs", "", "file with what terraform output -json prints")
	installation := f.String("installation", "", "which installation of the outputs, where there are several")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *file == "" || f.NArg() != 0 {
		return errors.New("usage: go run ./deploy/eventarc -outputs FILE")
	}
	i, err := outputs.Read(*file, *installation)
	if err != nil {
		return err
	}
	if i.Trigger == nil {
		fmt.Fprintln(out, "nothing to do: Submit is woken by a notification, whose subscription Terraform sets")
		return nil
	}
	triggers, err := eventarc.NewService(ctx, options...)
	if err != nil {
		return err
	}
	messages, err := pubsub.NewService(ctx, options...)
	if err != nil {
		return err
	}
	name, err := subscription(ctx, triggers, i.Trigger.Trigger)
	if err != nil {
		return err
	}
	// The right comes first: a dead letter that can't be written keeps its message.
	if err := allow(ctx, messages, name, "serviceAccount:"+i.Trigger.PubSubAgent, out); err != nil {
		return err
	}
	return set(ctx, messages, name, i.Trigger.DeadLetterTopic, out)
}

var (
	triggerName      = regexp.MustCompile(`^projects/[^/]+/locations/[^/]+/triggers/[^/]+$`)
	subscriptionName = regexp.MustCompile(`^projects/[^/]+/subscriptions/[^/]+$`)
)

// subscription returns the name of a trigger's subscription.
func subscription(ctx context.Context, s *eventarc.Service, trigger string) (string, error) {
	if !triggerName.MatchString(trigger) {
		return "", fmt.Errorf("the trigger is %q, want projects/P/locations/L/triggers/T", trigger)
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	t, err := s.Projects.Locations.Triggers.Get(trigger).Context(ctx).Do()
	if err != nil {
		return "", fmt.Errorf("trigger %s: %w", trigger, err)
	}
	if t.Transport == nil || t.Transport.Pubsub == nil || !subscriptionName.MatchString(t.Transport.Pubsub.Subscription) {
		return "", fmt.Errorf("trigger %s names no subscription", trigger)
	}
	return t.Transport.Pubsub.Subscription, nil
}

// allow grants member the right to consume the subscription. Other grants stay.
func allow(ctx context.Context, s *pubsub.Service, name, member string, out io.Writer) error {
	// Somebody else may write the policy between our read and our write.
	const tries = 5
	for try := 1; ; try++ {
		err := allowOnce(ctx, s, name, member, out)
		var refused *googleapi.Error
		if try < tries && errors.As(err, &refused) &&
			(refused.Code == http.StatusConflict || refused.Code == http.StatusPreconditionFailed) {
			continue
		}
		if err != nil {
			return fmt.Errorf("rights on %s: %w", name, err)
		}
		return nil
	}
}

func allowOnce(ctx context.Context, s *pubsub.Service, name, member string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	policy, err := s.Projects.Subscriptions.GetIamPolicy(name).OptionsRequestedPolicyVersion(3).Context(ctx).Do()
	if err != nil {
		return err
	}
	var binding *pubsub.Binding
	for _, b := range policy.Bindings {
		if b.Role == puller && b.Condition == nil {
			binding = b
		}
	}
	if binding == nil {
		binding = &pubsub.Binding{Role: puller}
		policy.Bindings = append(policy.Bindings, binding)
	}
	if slices.Contains(binding.Members, member) {
		return nil
	}
	binding.Members = append(binding.Members, member)
	if _, err := s.Projects.Subscriptions.SetIamPolicy(name,
		&pubsub.SetIamPolicyRequest{Policy: policy}).Context(ctx).Do(); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %s has %s\n", name, member, puller)
	return nil
}

// set sets deadline, dead letter, retention and that the subscription never expires,
// where they differ.
func set(ctx context.Context, s *pubsub.Service, name, topic string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	now, err := s.Projects.Subscriptions.Get(name).Context(ctx).Do()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	var mask []string
	if now.AckDeadlineSeconds != deadline {
		mask = append(mask, "ackDeadlineSeconds")
	}
	if d := now.DeadLetterPolicy; d == nil || d.DeadLetterTopic != topic || d.MaxDeliveryAttempts != attempts {
		mask = append(mask, "deadLetterPolicy")
	}
	if now.MessageRetentionDuration != retention {
		mask = append(mask, "messageRetentionDuration")
	}
	if e := now.ExpirationPolicy; e == nil || e.Ttl != "" { // without one it expires after a month of silence
		mask = append(mask, "expirationPolicy")
	}
	if len(mask) == 0 {
		fmt.Fprintf(out, "%s: all is set\n", name)
		return nil
	}
	_, err = s.Projects.Subscriptions.Patch(name, &pubsub.UpdateSubscriptionRequest{
		Subscription: &pubsub.Subscription{
			Name: name, AckDeadlineSeconds: deadline, MessageRetentionDuration: retention,
			DeadLetterPolicy: &pubsub.DeadLetterPolicy{DeadLetterTopic: topic, MaxDeliveryAttempts: attempts},
			ExpirationPolicy: &pubsub.ExpirationPolicy{},
		},
		UpdateMask: strings.Join(mask, ","),
	}).Context(ctx).Do()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	fmt.Fprintf(out, "%s: set %s\n", name, strings.Join(mask, ", "))
	return nil
}
