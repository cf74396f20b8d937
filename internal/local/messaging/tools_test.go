package messaging

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestGcloud drives the server with Google's own tool.
func TestGcloud(t *testing.T) {
	path, err := exec.LookPath("gcloud")
	if err != nil {
		t.Skipf("gcloud is not installed: %v", err)
	}
	if testing.Short() {
		t.Skip("gcloud takes seconds to start")
	}
	t.Parallel()
	s := serve(t)
	env := append(os.Environ(),
		"CLOUDSDK_CONFIG="+t.TempDir(),
		"CLOUDSDK_CORE_PROJECT=local",
		"CLOUDSDK_CORE_DISABLE_PROMPTS=true",
		"CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB=http://"+s.Addr()+"/",
	)
	gcloud := func(args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		command := exec.CommandContext(ctx, path, append([]string{"pubsub"}, args...)...)
		own(command)
		command.Cancel = func() error { end(command); return nil }
		command.Env = env
		var stderr strings.Builder
		command.Stderr = &stderr
		out, err := command.Output()
		if err != nil {
			t.Fatalf("gcloud pubsub %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
		}
		return strings.TrimSpace(string(out))
	}
	gcloud("topics", "create", "events")
	gcloud("subscriptions", "create", "reader", "--topic=events", "--enable-message-ordering",
		`--message-filter=attributes."ce-type" = "done"`)
	gcloud("topics", "publish", "events", "--message=hello", "--ordering-key=k", "--attribute=ce-type=done")
	got := gcloud("subscriptions", "pull", "reader", "--auto-ack", "--limit=5",
		"--format=csv[no-heading](message.data.decode(base64),message.orderingKey,ackStatus)")
	if diff := cmp.Diff("hello,k,SUCCESS", got); diff != "" {
		t.Errorf("pulled (-want +got):\n%s", diff)
	}
	wantEmpty(t, s.broker, "projects/local/subscriptions/reader")
	got = gcloud("subscriptions", "list", "--format=value(name,topic)")
	if diff := cmp.Diff([]string{"projects/local/subscriptions/reader", "projects/local/topics/events"},
		strings.Fields(got)); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	gcloud("subscriptions", "delete", "reader")
	gcloud("topics", "delete", "events")
}
