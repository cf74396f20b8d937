// Package messaging is Pub/Sub on one machine: topics and subscriptions in
// memory, behind the gRPC API and the REST API of the service on one port. Client
// libraries find it by PUBSUB_EMULATOR_HOST=host:port, gcloud by
// CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB=http://host:port/.
//
// A message is delivered at least once: again after its acknowledgment deadline
// or a refusal, and after the backoff of the retry policy. In a subscription that
// orders, the messages of an ordering key are delivered in their order, and the key
// stays with one subscriber as long as messages of it are outstanding: a stream gets
// as many of them as its flow control allows, a response to Pull those that there are,
// a push one. If one of them is not acknowledged, it and those after it come again in
// their order, also those that were acknowledged; with exactly-once delivery, none can be
// acknowledged before those that precede it. A message that goes to a dead letter topic lets those
// after it go on. Messages are kept for the subscription's retention while nobody
// acknowledges them, and are forgotten once all subscriptions have. Filters, dead
// letter topics, exactly-once delivery, flow control and push with and without
// wrapper work, and the service's limits of names, messages and deadlines hold.
//
// What is not here is refused, with UNIMPLEMENTED over gRPC and with [absent.Status] over
// REST, never only stored: snapshots,
// Seek and retention of acknowledged messages, schemas, message transforms,
// ingestion, encryption keys, IAM, push with a token of OpenID Connect, and
// subscriptions that write to BigQuery, Bigtable or Cloud Storage. Different from
// the service, push endpoints may have http URLs, unused subscriptions don't
// expire, deleted names are free at once, and nothing outlives the process.
package messaging

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // publishers may compress
	"google.golang.org/grpc/status"

	"github.com/jobdrop/jobdrop/internal/local/absent"
	"github.com/jobdrop/jobdrop/internal/local/discovery"
	"github.com/jobdrop/jobdrop/internal/local/front"
	"github.com/jobdrop/jobdrop/internal/local/loopback"
)

const (
	// maxRequest is the largest request that the service receives, in bytes. It leaves Publish room to say
	// itself that a request is too large.
	maxRequest = 10 << 20
	// tooLarge is what the service says of a larger one.
	tooLarge = "Request payload size exceeds the limit: 10485760 bytes."
	// maxBatch is how many calls one batch takes, as at Google's other services.
	maxBatch = 100
	// maxStreams is how many calls a connection has at once: each subscriber of a
	// process keeps one open or more.
	maxStreams = 1000
	// headerTimeout is for clients that connect and say nothing.
	headerTimeout = 10 * time.Second
	// farewell is how long Close waits for calls that are under way.
	farewell = time.Second
)

// Server is Pub/Sub, listening.
type Server struct {
	addr   string
	http   *http.Server
	broker *broker
	cancel context.CancelFunc
	served chan error
}

// Serve serves Pub/Sub on listener until [Server.Close]. Clients are on this
// machine, or call it by one of hosts: see [loopback.Guard].
func Serve(listener net.Listener, hosts ...string) (*Server, error) {
	if listener == nil {
		return nil, errors.New("messaging: listener is missing")
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{addr: listener.Addr().String(), broker: newBroker(ctx), cancel: cancel, served: make(chan error, 1)}
	if a, ok := listener.Addr().(*net.TCPAddr); ok && a.IP.IsUnspecified() {
		s.addr = fmt.Sprintf("127.0.0.1:%d", a.Port)
	}
	s.http = &http.Server{
		Handler:           loopback.Guard(hosts, handler(s.broker)),
		Protocols:         new(http.Protocols),
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ReadHeaderTimeout: headerTimeout,
	}
	s.http.Protocols.SetHTTP1(true)
	s.http.Protocols.SetUnencryptedHTTP2(true)
	go func() { s.served <- s.http.Serve(listener) }()
	return s, nil
}

// handler serves the broker over both transports.
func handler(b *broker) http.Handler {
	rpc := grpc.NewServer(grpc.MaxRecvMsgSize(maxRequest), grpc.UnaryInterceptor(explain),
		grpc.UnknownServiceHandler(unknownMethod))
	rest := &transcoder{interceptor: explain}
	for _, r := range []grpc.ServiceRegistrar{rpc, rest} {
		pubsubpb.RegisterPublisherServer(r, b)
		pubsubpb.RegisterSubscriberServer(r, b)
		pubsubpb.RegisterSchemaServiceServer(r, b)
		iampb.RegisterIAMPolicyServer(r, b)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			serveRPC(rpc, w, r)
			return
		}
		switch r.URL.Path {
		case discovery.Path:
			discovery.Serve(w, r, discovery.PubSub)
		case "/batch":
			batch := front.Batch{MaxCalls: maxBatch, MaxBytes: maxBody, Serve: rest.ServeHTTP}
			if err := batch.Answer(w, r); err != nil {
				writeError(w, invalid("%v", err))
			}
		default:
			rest.ServeHTTP(w, r)
		}
	})
}

// serveRPC serves gRPC. What is too large to be received is an invalid argument, as in the service: the
// library has another word for it, after which clients try again.
func serveRPC(rpc *grpc.Server, w http.ResponseWriter, r *http.Request) {
	rpc.ServeHTTP(w, r)
	const code, message = "Grpc-Status", "Grpc-Message" // trailers, which may be changed until the handler returns
	if w.Header().Get(code) == strconv.Itoa(int(codes.ResourceExhausted)) {
		w.Header().Set(code, strconv.Itoa(int(codes.InvalidArgument)))
		w.Header().Set(message, tooLarge)
	}
}

// unimplemented is the error for what is not here.
func unimplemented(what string) error {
	return status.Error(codes.Unimplemented, absent.Message("Pub/Sub", what))
}

// explain says of a method that is not here that this is on purpose.
func explain(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	response, err := next(ctx, request)
	if status.Code(err) == codes.Unimplemented && strings.HasPrefix(status.Convert(err).Message(), "method ") {
		err = unknown(info.FullMethod)
	}
	return response, err
}

// unknown is the error for a method that is not here, given as /service/method.
func unknown(method string) error {
	return unimplemented("the method " + strings.TrimPrefix(method, "/"))
}

// unknownMethod answers calls of methods that nobody has registered.
func unknownMethod(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	return unknown(method)
}

// Addr returns the host:port by which clients on this machine reach the server.
func (s *Server) Addr() string { return s.addr }

// Close ends all calls, including streams and calls that wait, and frees the port. It
// takes some seconds at most. All messages are lost.
func (s *Server) Close() error {
	s.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close() // clients that keep their connections
	}
	s.broker.pushers.Wait()
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	s.served <- http.ErrServerClosed // for another Close
	return err
}
