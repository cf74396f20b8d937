package messaging

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestGcloud drives the server with Google's own tool.
func TestGcloud(t *testing.T) {
	t.Parallel()
	s := serve(t)
	gcloud := newGcloud(t, s.Addr())
	gcloud.run("topics", "create", "events")
	gcloud.run("subscriptions", "create", "reader", "--topic=events", "--enable-message-ordering",
		`--message-filter=attributes."ce-type" = "done"`)
	gcloud.run("topics", "publish", "events", "--message=hello", "--ordering-key=k", "--attribute=ce-type=done")
	got := gcloud.run("subscriptions", "pull", "reader", "--auto-ack", "--limit=5",
		"--format=csv[no-heading](message.data.decode(base64),message.orderingKey,ackStatus)")
	if diff := cmp.Diff("hello,k,SUCCESS", got); diff != "" {
		t.Errorf("pulled (-want +got):\n%s", diff)
	}
	wantEmpty(t, s.broker, "projects/local/subscriptions/reader")
	got = gcloud.run("subscriptions", "list", "--format=value(name,topic)")
	if diff := cmp.Diff([]string{"projects/local/subscriptions/reader", "projects/local/topics/events"},
		strings.Fields(got)); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	gcloud.run("subscriptions", "delete", "reader")
	gcloud.run("topics", "delete", "events")
}

// gcloud asks once for what is not here, and shows the reason.
func TestGcloudNotHere(t *testing.T) {
	t.Parallel()
	address, requests := counted(t)
	gcloud := newGcloud(t, address)
	for _, test := range []struct {
		want string
		args []string
	}{
		{"POST /v1/projects/local/schemas", []string{"schemas", "create", "s", "--type=avro", "--definition={}"}},
		{"GET /v1/projects/local/schemas", []string{"schemas", "list"}},
		{"PUT /v1/projects/local/snapshots/s", []string{"snapshots", "create", "s", "--subscription=reader"}},
		{"POST /v1/projects/local/subscriptions/reader:seek",
			[]string{"subscriptions", "seek", "reader", "--time=2024-01-01T00:00:00Z"}},
		{"GET /v1/projects/local/topics/events:getIamPolicy", []string{"topics", "get-iam-policy", "events"}},
	} {
		_, err := gcloud.try(test.args...)
		if err == nil || !strings.Contains(err.Error(), "docs/local.md") {
			t.Errorf("%s: %v", test.args, err)
		}
		if diff := cmp.Diff([]string{test.want}, requests()); diff != "" {
			t.Errorf("%s: requests (-want +got):\n%s", test.args, diff)
		}
	}
}

// Google's library for Node asks once for what is not here, and shows the reason.
func TestNodeNotHere(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil || testing.Short() {
		t.Skipf("SKIPPED: runs node: %v", err)
	}
	modules, err := filepath.Abs("../../../docs/clients/node/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(modules); err != nil {
		t.Skip("SKIPPED: Google's libraries for Node are not installed: make clients")
	}
	t.Parallel()
	address, requests := counted(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, "node", "testdata/not_here.cjs", modules)
	command.Env = append(os.Environ(), "PUBSUB_EMULATOR_HOST="+address)
	out, err := command.CombinedOutput()
	if err != nil || strings.Count(string(out), "docs/local.md") != 4 {
		t.Errorf("%v: %s", err, out)
	}
	if diff := cmp.Diff([]string{
		"POST /google.iam.v1.IAMPolicy/GetIamPolicy", "POST /google.pubsub.v1.SchemaService/CreateSchema",
		"POST /google.pubsub.v1.Subscriber/CreateSnapshot", "POST /google.pubsub.v1.Subscriber/Seek",
	}, requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// gcloud runs Google's own tool against a server.
type gcloud struct {
	t    *testing.T
	path string
	env  []string
}

func newGcloud(t *testing.T, address string) gcloud {
	t.Helper()
	path, err := exec.LookPath("gcloud")
	if err != nil {
		t.Skipf("gcloud is not installed: %v", err)
	}
	if testing.Short() {
		t.Skip("gcloud takes seconds to start")
	}
	return gcloud{t, path, append(os.Environ(),
		"CLOUDSDK_CONFIG="+t.TempDir(),
		"CLOUDSDK_CORE_PROJECT=local",
		"CLOUDSDK_CORE_DISABLE_PROMPTS=true",
		"CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB=http://"+address+"/",
	)}
}

func (g gcloud) run(args ...string) string {
	g.t.Helper()
	out, err := g.try(args...)
	if err != nil {
		g.t.Fatal(err)
	}
	return out
}

func (g gcloud) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, g.path, append([]string{"pubsub"}, args...)...)
	own(command)
	command.Cancel = func() error { end(command); return nil }
	command.Env = g.env
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("gcloud pubsub %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}
