package messaging

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/pubsub/v2"
	pubsubv1 "cloud.google.com/go/pubsub/v2/apiv1"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"
	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// patience is how long a test waits for what comes at once on an idle machine.
const patience = 5 * time.Minute

// inOrder is how long 1,000 messages of one key may take under load: about a second on an idle machine, and
// 100 seconds if one of them is outstanding at a time, for which the client's acknowledgements wait.
const inOrder = 30 * time.Second

func serve(t *testing.T, hosts ...string) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Serve(listener, hosts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func connect(t *testing.T, s *Server, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(s.Addr(), append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// client makes the library's client, with the topic and the subscription.
func client(t *testing.T, s *Server, config *pubsubpb.Subscription, options ...grpc.DialOption) *pubsub.Client {
	t.Helper()
	c, err := pubsub.NewClient(t.Context(), "p", option.WithGRPCConn(connect(t, s, options...)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := c.TopicAdminClient.CreateTopic(t.Context(), &pubsubpb.Topic{Name: testTopic}); err != nil {
		t.Fatal(err)
	}
	config.Name, config.Topic = testSub, testTopic
	if _, err := c.SubscriptionAdminClient.CreateSubscription(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	return c
}

// Google's client has many messages of one ordering key outstanding, and gets them in their order, also
// when some of them come again.
func TestClientReceivesInOrder(t *testing.T) {
	t.Parallel()
	for _, config := range []*pubsubpb.Subscription{
		{EnableMessageOrdering: true},
		{EnableMessageOrdering: true, EnableExactlyOnceDelivery: true},
		{EnableMessageOrdering: true, EnableExactlyOnceDelivery: true, RetryPolicy: &pubsubpb.RetryPolicy{
			MinimumBackoff: durationpb.New(10 * time.Millisecond), MaximumBackoff: durationpb.New(time.Second),
		}},
	} {
		t.Run(fmt.Sprint(config), func(t *testing.T) {
			t.Parallel()
			receiveInOrder(t, config)
		})
	}
}

func receiveInOrder(t *testing.T, config *pubsubpb.Subscription) {
	const messages, nacks = 1000, 4
	s := serve(t)
	var requests atomic.Int64 // to acknowledge
	c := client(t, s, config, grpc.WithUnaryInterceptor(func(ctx context.Context, method string, request, reply any,
		conn *grpc.ClientConn, next grpc.UnaryInvoker, options ...grpc.CallOption) error {
		if method == pubsubpb.Subscriber_Acknowledge_FullMethodName {
			requests.Add(1)
		}
		return next(ctx, method, request, reply, conn, options...)
	}))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	publisher := c.Publisher(testTopic)
	publisher.EnableMessageOrdering = true
	defer publisher.Stop()
	for n := range messages {
		publisher.Publish(ctx, &pubsub.Message{OrderingKey: "k", Data: fmt.Append(nil, n)})
	}
	var mu sync.Mutex
	want, received := 0, 0
	refused := make(map[int]bool) // and whether it has come again
	begin := time.Now()
	err := c.Subscriber(testSub).Receive(ctx, func(_ context.Context, m *pubsub.Message) {
		mu.Lock()
		defer mu.Unlock()
		received++
		n, err := strconv.Atoi(string(m.Data))
		if err != nil {
			t.Error(err)
		}
		again, before := refused[n]
		switch {
		case n != want && (!before || again):
			t.Errorf("got message %d, want %d, or one that was refused", n, want)
			cancel()
		case before:
			refused[n] = true
		}
		want = n + 1
		if n%(messages/nacks) == messages/nacks/2 && !before {
			refused[n] = false
			m.Nack()
			return
		}
		m.Ack()
		if done := slices.Collect(maps.Values(refused)); want == messages && len(done) == nacks && !slices.Contains(done, false) {
			cancel()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	waitEmpty(t, s.broker)
	took := time.Since(begin)
	t.Logf("%d deliveries of %d messages in %v, acknowledged in %d requests", received, messages, took, requests.Load())
	if took > inOrder {
		t.Errorf("%d messages of a key took %v, want at most %v", messages, took, inOrder)
	}
	if n := requests.Load(); n > messages/4 {
		t.Errorf("the client acknowledged %d messages in %d requests: one at a time", messages, n)
	}
}

// TestClientReceivesMuch has more under way than a window of HTTP/2.
func TestClientReceivesMuch(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := client(t, s, &pubsubpb.Subscription{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const messages = 12
	large := bytes.Repeat([]byte("x"), 1<<20)
	publisher := c.Publisher(testTopic)
	defer publisher.Stop()
	for range messages {
		if _, err := publisher.Publish(ctx, &pubsub.Message{Data: large}).Get(ctx); err != nil {
			t.Fatal(err)
		}
	}
	seen := make(chan string, 10*messages)
	go func() {
		ids := make(map[string]bool)
		for len(ids) < messages {
			select {
			case id := <-seen:
				ids[id] = true
			case <-ctx.Done():
				return
			}
		}
		cancel()
	}()
	err := c.Subscriber(testSub).Receive(ctx, func(_ context.Context, m *pubsub.Message) {
		if !bytes.Equal(m.Data, large) {
			t.Errorf("message %s changed", m.ID)
		}
		m.Ack()
		seen <- m.ID
	})
	if err != nil || ctx.Err() != context.Canceled {
		t.Fatalf("%v, %v", err, ctx.Err())
	}
	wantEmpty(t, s.broker, testSub)
}

// counted returns the address of a server, and a function that returns the requests that it has got since
// the last call, in the order of their paths.
func counted(t *testing.T) (address string, requests func() []string) {
	t.Helper()
	b := newBroker(t.Context())
	var mu sync.Mutex
	var got []string
	next := handler(b)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		got = append(got, r.Method+" "+r.URL.Path)
		mu.Unlock()
		next.ServeHTTP(w, r)
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), func() []string {
		mu.Lock()
		defer mu.Unlock()
		seen := got
		got = nil
		slices.Sort(seen)
		return seen
	}
}

// Google's client for Go asks once for what is not here, and gets the reason.
func TestNotHere(t *testing.T) {
	t.Parallel()
	address, requests := counted(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c, err := pubsub.NewClient(ctx, "p", option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	schemas, err := pubsubv1.NewSchemaClient(ctx, option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	subscriptions, topics := c.SubscriptionAdminClient, c.TopicAdminClient
	for name, call := range map[string]func() error{
		"/google.pubsub.v1.Subscriber/Seek": func() error {
			_, err := subscriptions.Seek(ctx, &pubsubpb.SeekRequest{
				Subscription: testSub,
				Target:       &pubsubpb.SeekRequest_Time{Time: timestamppb.Now()},
			})
			return err
		},
		"/google.pubsub.v1.Subscriber/CreateSnapshot": func() error {
			_, err := subscriptions.CreateSnapshot(ctx, &pubsubpb.CreateSnapshotRequest{Subscription: testSub})
			return err
		},
		"/google.pubsub.v1.Subscriber/DeleteSnapshot": func() error {
			return subscriptions.DeleteSnapshot(ctx, &pubsubpb.DeleteSnapshotRequest{Snapshot: "projects/p/snapshots/s"})
		},
		"/google.pubsub.v1.SchemaService/CreateSchema": func() error {
			_, err := schemas.CreateSchema(ctx, &pubsubpb.CreateSchemaRequest{Parent: "projects/p"})
			return err
		},
		"/google.pubsub.v1.SchemaService/ListSchemas": func() error {
			_, err := schemas.ListSchemas(ctx, &pubsubpb.ListSchemasRequest{Parent: "projects/p"}).Next()
			return err
		},
		"/google.iam.v1.IAMPolicy/GetIamPolicy": func() error {
			_, err := topics.GetIamPolicy(ctx, &iampb.GetIamPolicyRequest{Resource: testTopic})
			return err
		},
		"/google.pubsub.v9.Oracle/Ask": func() error {
			return conn.Invoke(ctx, "/google.pubsub.v9.Oracle/Ask", &emptypb.Empty{}, &emptypb.Empty{})
		},
	} {
		err := call()
		wantCode(t, err, codes.Unimplemented)
		if err == nil || !strings.Contains(err.Error(), "docs/local.md") || !strings.Contains(err.Error(), name[1:]) {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff([]string{"POST " + name}, requests()); diff != "" {
			t.Errorf("%s: requests (-want +got):\n%s", name, diff)
		}
	}
}

// A request to publish that is larger than the service's limit has the same answer however large it is.
func TestPublishTooLarge(t *testing.T) {
	t.Parallel()
	s := serve(t)
	client(t, s, &pubsubpb.Subscription{})
	rpc := pubsubpb.NewPublisherClient(connect(t, s)) // without the library's own bound
	for _, size := range []int{maxPublish, maxRequest, 3 * maxRequest, 90 << 20} {
		data := make([]byte, size)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		request := &pubsubpb.PublishRequest{Topic: testTopic, Messages: []*pubsubpb.PubsubMessage{{Data: data}}}
		_, err := rpc.Publish(ctx, request)
		wantCode(t, err, codes.InvalidArgument)
		_, err = rpc.Publish(ctx, request, grpc.UseCompressor("gzip"))
		wantCode(t, err, codes.InvalidArgument)
		cancel()
		status, answer := call(t, "POST", "http://"+s.Addr()+"/v1/"+testTopic+":publish",
			`{"messages":[{"data":"`+strings.Repeat("AAAA", size/3+1)+`"}]}`)
		if e, _ := answer["error"].(map[string]any); status != http.StatusBadRequest || e["status"] != "INVALID_ARGUMENT" {
			t.Errorf("%d bytes over REST: got %d, %v", size, status, answer)
		}
	}
}

// A message for a topic that is not there has Google's answer, with the topic's name in full in a detail.
func TestPublishNowhere(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c, err := pubsub.NewClient(t.Context(), "p", option.WithGRPCConn(connect(t, s)))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	publisher := c.Publisher(testTopic)
	defer publisher.Stop()
	const message = "Resource not found (resource=events)."
	_, err = publisher.Publish(t.Context(), &pubsub.Message{Data: []byte("x")}).Get(t.Context())
	wantCode(t, err, codes.NotFound)
	e, ok := apierror.FromError(err)
	if !ok || e.GRPCStatus().Message() != message || e.Details().ResourceInfo.GetResourceName() != testTopic ||
		e.Details().ResourceInfo.GetResourceType() != "pubsub.googleapis.com/Topic" {
		t.Errorf("got %v, details %v", err, e.Details())
	}
	code, answer := call(t, "POST", "http://"+s.Addr()+"/v1/"+testTopic+":publish", `{"messages":[{"data":"eA=="}]}`)
	want := map[string]any{"error": map[string]any{
		"code": 404.0, "message": message, "status": "NOT_FOUND", "details": []any{map[string]any{
			"@type": "type.googleapis.com/google.rpc.ResourceInfo", "resourceType": "pubsub.googleapis.com/Topic",
			"resourceName": testTopic, "description": message,
		}},
	}}
	if diff := cmp.Diff(want, answer); code != http.StatusNotFound || diff != "" {
		t.Errorf("got %d, answer (-want +got):\n%s", code, diff)
	}
}

func TestCompressed(t *testing.T) {
	t.Parallel()
	s := serve(t)
	client(t, s, &pubsubpb.Subscription{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := pubsubpb.NewPublisherClient(connect(t, s)).Publish(ctx, &pubsubpb.PublishRequest{
		Topic: testTopic, Messages: []*pubsubpb.PubsubMessage{{Data: make([]byte, 1000)}},
	}, grpc.UseCompressor("gzip"))
	wantCode(t, err, codes.OK)
}

func TestGuarded(t *testing.T) {
	s := serve(t, "pubsub.test")
	for _, test := range []struct {
		name, host, origin string
		want               int
	}{
		{name: "ours", want: http.StatusOK},
		{name: "allowed", host: "pubsub.test:1", want: http.StatusOK},
		{name: "page of another site", origin: "http://evil.example", want: http.StatusForbidden},
		{name: "rebound name", host: "evil.example", want: http.StatusForbidden},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPut,
				"http://"+s.Addr()+"/v1/projects/p/topics/t-"+strings.ReplaceAll(test.name, " ", "-"), nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = test.host
			if test.origin != "" {
				r.Header.Set("Origin", test.origin)
			}
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != test.want {
				t.Errorf("got %s, want %d", response.Status, test.want)
			}
		})
	}
	for host, want := range map[string]codes.Code{"evil.example": codes.PermissionDenied, "pubsub.test": codes.OK} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_, err := pubsubpb.NewPublisherClient(connect(t, s, grpc.WithAuthority(host))).ListTopics(ctx,
			&pubsubpb.ListTopicsRequest{Project: "projects/p"})
		wantCode(t, err, want)
		cancel()
	}
}

// TestClose ends a stream and a pull that wait, and frees the port.
func TestClose(t *testing.T) {
	t.Parallel()
	s := serve(t)
	client(t, s, &pubsubpb.Subscription{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	subscriber := pubsubpb.NewSubscriberClient(connect(t, s))
	stream, err := subscriber.StreamingPull(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&pubsubpb.StreamingPullRequest{Subscription: testSub, StreamAckDeadlineSeconds: 10,
		ProtocolVersion: 1}); err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&pubsubpb.StreamingPullRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil { // it is open
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	go func() {
		_, err := stream.Recv()
		ended <- err
	}()
	go func() {
		_, err := subscriber.Pull(ctx, &pubsubpb.PullRequest{Subscription: testSub, MaxMessages: 1})
		ended <- err
	}()
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("Close hangs")
	}
	for range 2 {
		select {
		case err := <-ended:
			wantCode(t, err, codes.Unavailable)
		case <-time.After(patience):
			t.Fatal("a call outlives the server")
		}
	}
	listener, err := net.Listen("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
}

// TestCancelledStreamEnds sees that a client that goes away leaves nothing.
func TestCancelledStreamEnds(t *testing.T) {
	t.Parallel()
	s := serve(t)
	client(t, s, &pubsubpb.Subscription{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		stream, err := pubsubpb.NewSubscriberClient(connect(t, s)).StreamingPull(ctx)
		if err != nil {
			return
		}
		_ = stream.Send(&pubsubpb.StreamingPullRequest{
			Subscription:             testSub,
			StreamAckDeadlineSeconds: 10,
			ProtocolVersion:          1,
		})
		_ = stream.Send(&pubsubpb.StreamingPullRequest{})
		_, _ = stream.Recv()
	}()
	<-ended
	// The server may hear of it later than we publish: then the message comes
	// again when its lease ends, as in the service.
	deadline := time.After(patience)
	publish(t, s.broker, "/a")
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, got := pull(t, s.broker, testSub); len(got) == 1 {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the message stays with a stream that is gone")
		}
	}
}

func TestAddr(t *testing.T) {
	listener, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Serve(listener)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !strings.HasPrefix(s.Addr(), "127.0.0.1:") {
		t.Errorf("got %s", s.Addr())
	}
	if _, err := Serve(nil); err == nil {
		t.Error("no error without a listener")
	}
}
