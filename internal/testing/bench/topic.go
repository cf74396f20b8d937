package main

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
)

// topicServer answers Pub/Sub's Publish, and forgets what was published.
type topicServer struct {
	pubsubpb.UnimplementedPublisherServer
	calls *calls
	last  atomic.Int64
	// messages counts what was published: a call may take several.
	messages atomic.Int64
}

// Publish takes messages.
func (s *topicServer) Publish(ctx context.Context, r *pubsubpb.PublishRequest) (*pubsubpb.PublishResponse, error) {
	result := &pubsubpb.PublishResponse{MessageIds: make([]string, len(r.GetMessages()))}
	code := s.calls.do(ctx, publish, "topic", func(time.Time) int {
		for i := range result.MessageIds {
			result.MessageIds[i] = strconv.FormatInt(s.last.Add(1), 10)
		}
		s.messages.Add(int64(len(result.MessageIds)))
		return 200
	})
	if code != 200 {
		return nil, grpcstatus.Error(codes.Unavailable, "the service is unavailable, as asked for")
	}
	return result, nil
}

// GetTopic returns the topic that is asked for: every topic is there.
func (s *topicServer) GetTopic(_ context.Context, r *pubsubpb.GetTopicRequest) (*pubsubpb.Topic, error) {
	return &pubsubpb.Topic{Name: r.GetTopic()}, nil
}
