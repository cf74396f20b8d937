package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// getenv returns a lookup of the environment with one variable, PORT.
func getenv(port string) func(string) string {
	return func(name string) string {
		if name == "PORT" {
			return port
		}
		return ""
	}
}

// listen listens at a free port, and returns the port.
func listen(t *testing.T) (net.Listener, string) {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return l, port
}

// The functions answer at their names, until the server is told to end.
func TestRun(t *testing.T) {
	l, port := listen(t)
	l.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, nil, getenv(port)) }()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		// A GET is refused, but by the function.
		response, err := http.Get("http://127.0.0.1:" + port + "/Watch")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusNotFound {
				t.Errorf("/Watch is answered with %s", response.Status)
			}
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("it ended: %v", err)
		case <-poll.C:
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("after the signal: %v", err)
	}
}

func TestRunRefuses(t *testing.T) {
	_, taken := listen(t)
	if err := run(t.Context(), nil, getenv(taken)); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a port that is taken: %v", err)
	}
	if err := run(t.Context(), []string{"Watch"}, getenv("0")); err == nil || !strings.Contains(err.Error(), `"Watch"`) {
		t.Errorf("an argument: %v", err)
	}
}
