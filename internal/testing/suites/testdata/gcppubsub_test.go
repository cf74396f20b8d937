package gcppubsub

import (
	"context"
	"os"
	"testing"

	"gocloud.dev/pubsub/drivertest"
)

// TestLocal runs the conformance tests on the Pub/Sub of PUBSUB_EMULATOR_HOST; the
// package's own TestConformance replays what the cloud once answered.
func TestLocal(t *testing.T) {
	drivertest.RunConformanceTests(t, newLocalHarness, []drivertest.AsTest{gcpAsTest{}})
}

func newLocalHarness(ctx context.Context, _ *testing.T) (drivertest.Harness, error) {
	conn, err := dialEmulator(ctx, os.Getenv("PUBSUB_EMULATOR_HOST"))
	if err != nil {
		return nil, err
	}
	h := &harness{closer: func() { _ = conn.Close() }}
	if h.pubClient, err = PublisherClient(ctx, conn); err != nil {
		return nil, err
	}
	h.subClient, err = SubscriberClient(ctx, conn)
	return h, err
}
