package sim

import (
	"context"
	"errors"
	"fmt"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// lifecycle is the topic's name.
const lifecycle = "projects/project/topics/lifecycle"

// wire is a connection to Pub/Sub whose calls reach the topic in the caller's
// goroutine.
type wire struct{ *transport }

func (c wire) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, grpcstatus.Error(codes.Unimplemented, "no streams")
}

func (c wire) Invoke(ctx context.Context, method string, args, reply any, _ ...grpc.CallOption) error {
	request, ok := args.(*pubsubpb.PublishRequest)
	if !ok || method != pubsubpb.Publisher_Publish_FullMethodName {
		return grpcstatus.Error(codes.Unimplemented, method)
	}
	if request.Topic != lifecycle {
		return grpcstatus.Errorf(codes.NotFound, "no topic %q", request.Topic)
	}
	var key string
	var all []job.Event
	for _, m := range request.Messages {
		e, err := c.received(m)
		if err != nil {
			return grpcstatus.Error(codes.InvalidArgument, err.Error())
		}
		key = e.Body.Attempt
		all = append(all, e)
	}
	err := c.w.topic.Publish(context.WithValue(ctx, overWireKey{}, true), key, all)
	var refused *statusError
	switch {
	case err == nil:
		for range all {
			answer := reply.(*pubsubpb.PublishResponse)
			answer.MessageIds = append(answer.MessageIds, fmt.Sprint(len(answer.MessageIds)))
		}
		return nil
	case errors.As(err, &refused):
		return grpcstatus.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, job.ErrQuota):
		return grpcstatus.Error(codes.ResourceExhausted, err.Error())
	case errors.Is(err, errServer), errors.Is(err, errCut):
		return grpcstatus.Error(codes.Unavailable, err.Error())
	case ctx.Err() != nil:
		return grpcstatus.FromContextError(ctx.Err()).Err()
	}
	return err
}

// received reads a message as a subscriber does, who drops a repeat by its ID and gets
// messages in order by their key alone.
func (c wire) received(m *pubsubpb.PubsubMessage) (job.Event, error) {
	e, err := event.FromMessage(m.Attributes, m.Data)
	if err != nil {
		return job.Event{}, err
	}
	kind, body, err := event.Decode(e)
	if err != nil {
		return job.Event{}, err
	}
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if m.OrderingKey != body.Attempt {
		c.w.fail("attempt %s: event %d has the ordering key %q", body.Attempt, body.Sequence, m.OrderingKey)
	}
	if id := fmt.Sprintf("%s-%d", body.Attempt, body.Sequence); e.ID() != id || e.Source() != event.Source(instance) {
		c.w.fail("attempt %s: event %d is %s of %s", body.Attempt, body.Sequence, e.ID(), e.Source())
	}
	traceparent, _ := e.Extensions()[event.ExtensionTraceparent].(string)
	return job.Event{Type: kind, Time: e.Time(), Body: body, Traceparent: traceparent}, nil
}
