// Package pubsub is the adapter for Pub/Sub: it publishes lifecycle events.
//
// All events of one call go out in one request, in order, and are stored when the
// call returns. What is too large for one goes in several, each awaited before the
// next. It uses the generated client: the high-level one bundles in the background,
// may pause an ordering key after a failure, and lets a later event overtake.
package pubsub

import (
	"context"
	"fmt"
	"time"

	apiv1 "cloud.google.com/go/pubsub/v2/apiv1"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// publishTimeout bounds one publish with its retries: Pub/Sub answers in well
// under a second, and the caller comes again if it does not.
const publishTimeout = 20 * time.Second

// Publisher publishes to one topic. It is safe for concurrent use.
type Publisher struct {
	// publish stores the messages of a request, in order, and close ends the connection.
	publish         func(context.Context, *pubsubpb.PublishRequest) error
	close           func() error
	topic, instance string
}

// Options say where Pub/Sub is. At most one of them is set; neither means the
// global endpoint.
type Options struct {
	// Emulator is host:port, as in PUBSUB_EMULATOR_HOST.
	Emulator string
	// Endpoint is a regional one, e.g. europe-west4-pubsub.googleapis.com:443:
	// ordering holds within a region only.
	Endpoint string
}

// New makes a publisher of an installation's events to a topic, given as
// projects/P/topics/T. It connects at the first publish.
func New(ctx context.Context, topic, instance string, o Options) (*Publisher, error) {
	if topic == "" || instance == "" {
		return nil, fmt.Errorf("publisher: the topic and the instance are required")
	}
	var options []option.ClientOption
	switch {
	case o.Emulator != "":
		options = append(options, option.WithEndpoint(o.Emulator), option.WithoutAuthentication(),
			option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	case o.Endpoint != "":
		options = append(options, option.WithEndpoint(o.Endpoint))
	}
	client, err := apiv1.NewTopicAdminClient(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("pub/sub client: %w", err)
	}
	publish := func(ctx context.Context, r *pubsubpb.PublishRequest) error {
		_, err := client.Publish(ctx, r)
		return err
	}
	return &Publisher{publish: publish, close: client.Close, topic: topic, instance: instance}, nil
}

// Over returns a publisher over a connection that stays the caller's: each publish is
// one call of it.
func Over(conn grpc.ClientConnInterface, topic, instance string) *Publisher {
	client := pubsubpb.NewPublisherClient(conn)
	publish := func(ctx context.Context, r *pubsubpb.PublishRequest) error {
		_, err := client.Publish(ctx, r)
		return err
	}
	return &Publisher{publish: publish, close: func() error { return nil }, topic: topic, instance: instance}
}

// Pub/Sub's limits on a publish request, in messages and bytes. An event takes less
// than half of the bytes.
const (
	maxMessages = 1000
	maxRequest  = 10_000_000
)

// Publish publishes events of one attempt, in order. When it returns without an
// error all of them are stored; with one, any number of the first may be. Published
// again, events are the same messages, so the first occurrences are in order. Of no
// events there is nothing to publish.
func (p *Publisher) Publish(ctx context.Context, attempt string, events []job.Event) error {
	requests, err := p.requests(attempt, events)
	if err != nil {
		return err
	}
	for _, r := range requests {
		if err := p.send(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// requests returns the fewest requests that take events of an attempt.
func (p *Publisher) requests(attempt string, events []job.Event) ([]*pubsubpb.PublishRequest, error) {
	var (
		requests []*pubsubpb.PublishRequest
		last     *pubsubpb.PublishRequest
		size     int
	)
	for _, e := range events {
		c, err := event.Encode(p.instance, e)
		if err != nil {
			return nil, err
		}
		attributes, data := event.ToMessage(c)
		m := &pubsubpb.PubsubMessage{Data: data, Attributes: attributes, OrderingKey: attempt}
		more := proto.Size(m) + 10 // the tag and the length of a field
		if last == nil || size+more > maxRequest || len(last.Messages) == maxMessages {
			last = &pubsubpb.PublishRequest{Topic: p.topic}
			requests, size = append(requests, last), proto.Size(last)
		}
		last.Messages, size = append(last.Messages, m), size+more
	}
	return requests, nil
}

// send sends one request and awaits the answer.
func (p *Publisher) send(ctx context.Context, request *pubsubpb.PublishRequest) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if err := p.publish(ctx, request); err != nil {
		return fmt.Errorf("publish to %s: %w", p.topic, err)
	}
	return nil
}

// Close ends the connection.
func (p *Publisher) Close() error { return p.close() }
