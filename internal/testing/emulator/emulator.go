// Package emulator starts Google's Pub/Sub emulator for tests, where it is
// installed.
package emulator

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Start starts the emulator, which ends with the test, and returns its host:port.
// Where it is not installed the test is skipped.
func Start(t testing.TB) string {
	t.Helper()
	binary := find()
	if binary == "" {
		t.Skip("SKIPPED: Google's Pub/Sub emulator is not on this machine (gcloud components install pubsub-emulator)")
	}
	address := free(t)
	_, port, _ := net.SplitHostPort(address)
	ctx, cancel := context.WithCancel(context.Background())
	c := exec.CommandContext(ctx, binary, "--host=127.0.0.1", "--port="+port)
	// The program is a script that starts Java, and both end with their group.
	inGroup(c)
	c.WaitDelay = 5 * time.Second
	if err := c.Start(); err != nil {
		cancel()
		t.Fatalf("the Pub/Sub emulator: %v", err)
	}
	exited := make(chan struct{})
	go func() {
		_ = c.Wait() // it is killed
		close(exited)
	}()
	t.Cleanup(func() {
		cancel()
		<-exited
	})
	await(t, "http://"+address, exited)
	return address
}

// find returns the program's path in the installation of gcloud.
func find() string {
	gcloud, err := exec.LookPath("gcloud")
	if err != nil {
		return ""
	}
	if gcloud, err = filepath.EvalSymlinks(gcloud); err != nil {
		return ""
	}
	path := filepath.Join(filepath.Dir(gcloud), "../platform/pubsub-emulator/bin/cloud-pubsub-emulator")
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// free returns a free address.
func free(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func await(t testing.TB, url string, exited <-chan struct{}) {
	t.Helper()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	patience := time.After(time.Minute)
	for {
		if response, err := http.Get(url); err == nil {
			response.Body.Close()
			return
		}
		select {
		case <-poll.C:
		case <-exited:
			t.Fatal("the Pub/Sub emulator ended at once: does it find Java?")
		case <-patience:
			t.Fatal("the Pub/Sub emulator does not answer")
		}
	}
}
