package main

import (
	"errors"
	"net"
	"net/http"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc"
)

// project and topicName are what the programs are told.
const (
	project   = "bench"
	topicName = "projects/" + project + "/topics/lifecycle"
)

// world holds the stand-ins of one run.
type world struct {
	calls   *calls
	store   *store
	backend *backendServer
	topic   *topicServer

	storageURL, backendURL, topicAddress string

	servers []*http.Server
	grpc    *grpc.Server
}

// newWorld starts the stand-ins.
func newWorld(l load) (*world, error) {
	c := newCalls(l)
	w := &world{
		calls: c, store: newStore(l), backend: newBackendServer(c), topic: &topicServer{calls: c}, grpc: grpc.NewServer(),
	}
	var errs []error
	serve := func(h http.Handler) string {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			errs = append(errs, err)
			return ""
		}
		server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
		w.servers = append(w.servers, server)
		go func() { _ = server.Serve(listener) }() // ends with close
		return "http://" + listener.Addr().String()
	}
	w.storageURL = serve(&storageServer{store: w.store, calls: c})
	w.backendURL = serve(w.backend)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.close()
		return nil, errors.Join(append(errs, err)...)
	}
	w.topicAddress = listener.Addr().String()
	pubsubpb.RegisterPublisherServer(w.grpc, w.topic)
	go func() { _ = w.grpc.Serve(listener) }() // ends with close
	if len(errs) > 0 {
		w.close()
		return nil, errors.Join(errs...)
	}
	return w, nil
}

func (w *world) close() {
	for _, s := range w.servers {
		_ = s.Close()
	}
	w.grpc.Stop()
}

// environment returns what a program is told of its installation: docs/performance.md has the contract.
func (w *world) environment() []string {
	return []string{
		"FUNCTION_TARGET=Submit",
		"JOBDROP_INSTANCE=bench",
		"JOBDROP_PROJECT=" + project,
		"JOBDROP_INBOX=" + inbox,
		"JOBDROP_STATE_BUCKET=" + state,
		"JOBDROP_STAGING_BUCKET=" + staging,
		"JOBDROP_STATUS_BUCKET=" + status,
		"JOBDROP_TOPIC=" + topicName,
		"JOBDROP_BACKEND=aiplatform",
		"JOBDROP_BACKEND_ENDPOINT=" + w.backendURL,
		"STORAGE_EMULATOR_HOST=" + w.storageURL,
		"PUBSUB_EMULATOR_HOST=" + w.topicAddress,
		"GOOGLE_CLOUD_PROJECT=" + project,
	}
}
