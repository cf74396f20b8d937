package storage

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/iam"
	"cloud.google.com/go/iam/apiv1/iampb"
	gcs "cloud.google.com/go/storage"
	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// counted serves s at a second address, and returns a function that returns the requests that came there
// since its last call, in the order of their paths.
func counted(t *testing.T, s *Server) (url string, requests func() []string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	both, err := bothSchemes(l, nil)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var got []string
	server := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			got = append(got, r.Method+" "+r.URL.Path)
			mu.Unlock()
			s.ServeHTTP(w, r)
		}),
	}
	go func() { _ = server.Serve(both) }()
	t.Cleanup(func() { _ = server.Close() })
	return "http://" + l.Addr().String(), func() []string {
		mu.Lock()
		defer mu.Unlock()
		seen := got
		got = nil
		slices.Sort(seen)
		return seen
	}
}

const partsOfA = "/storage/v1/b/" + bucketA

// Google's client for Go asks once for what is not here, and gets the reason.
func TestGoClientNotHere(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	s.put(t, "here", "x")
	url, requests := counted(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c, err := gcs.NewClient(ctx, option.WithEndpoint(url+"/storage/v1/"), option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetRetry(gcs.WithPolicy(gcs.RetryAlways))
	b := c.Bucket(bucketA)
	for want, call := range map[string]func() error{
		"PATCH " + partsOfA: func() error {
			_, err := b.Update(ctx, gcs.BucketAttrsToUpdate{VersioningEnabled: true})
			return err
		},
		"POST " + partsOfA + "/notificationConfigs": func() error {
			_, err := b.AddNotification(ctx, &gcs.Notification{TopicProjectID: "p", TopicID: "t", PayloadFormat: gcs.JSONPayload})
			return err
		},
		"PUT " + partsOfA + "/iam": func() error {
			return b.IAM().SetPolicy(ctx, &iam.Policy{InternalProto: &iampb.Policy{}})
		},
		"POST " + partsOfA + "/lockRetentionPolicy": func() error {
			return b.If(gcs.BucketConditions{MetagenerationMatch: 1}).LockRetentionPolicy(ctx)
		},
		"POST " + partsOfA + "/o/here/restore": func() error {
			_, err := b.Object("here").Generation(1).Restore(ctx, &gcs.RestoreOptions{})
			return err
		},
		"POST /storage/v1/projects/p/hmacKeys": func() error {
			_, err := c.CreateHMACKey(ctx, "p", "a@example.com")
			return err
		},
		"GET /storage/v1/projects/p/serviceAccount": func() error {
			_, err := c.ServiceAccount(ctx, "p")
			return err
		},
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), "docs/local.md") {
			t.Errorf("%s: %v", want, err)
		}
		if diff := gocmp.Diff([]string{want}, requests()); diff != "" {
			t.Errorf("%s: requests (-want +got):\n%s", want, diff)
		}
	}
}

// Google's client for Go that speaks gRPC stops at once, too.
func TestGoClientOverRPC(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c, err := gcs.NewGRPCClient(ctx, option.WithEndpoint(strings.TrimPrefix(s.URL(), "http://")), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())), gcs.WithDisabledClientMetrics())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetRetry(gcs.WithPolicy(gcs.RetryAlways))
	_, err = c.Bucket(bucketA).Attrs(ctx)
	if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "docs/local.md") {
		t.Errorf("got %v", err)
	}
}

// Google's tools ask once for what is not here, after what else they ask, and show the reason.
func TestToolsNotHere(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	s.put(t, "here", "x")
	url, requests := counted(t, s)
	const b = "gs://" + bucketA
	for _, test := range []struct {
		program string
		args    []string
		want    string
	}{
		{"gcloud", []string{"storage", "buckets", "update", b, "--versioning"}, "PATCH " + partsOfA},
		{
			"gcloud", []string{"storage", "buckets", "add-iam-policy-binding", b, "--member=allUsers", "--role=roles/viewer"},
			"PUT " + partsOfA + "/iam",
		},
		{"gcloud", []string{"storage", "hmac", "create", "a@example.com"}, "POST /storage/v1/projects/local/hmacKeys"},
		{"gcloud", []string{"storage", "managed-folders", "create", b + "/f"}, "POST " + partsOfA + "/managedFolders"},
		{"gsutil", []string{"versioning", "set", "on", b}, "PATCH " + partsOfA},
		{"gsutil", []string{"hmac", "create", "a@example.com"}, "POST /storage/v1/projects/local/hmacKeys"},
		{"gsutil", []string{"iam", "ch", "allUsers:objectViewer", b}, "PUT " + partsOfA + "/iam"},
	} {
		t.Run(test.program+" "+strings.Join(test.args, " "), func(t *testing.T) {
			_, err := newTool(t, url, test.program).try(t, test.args...)
			if err == nil || !strings.Contains(err.Error(), "docs/local.md") {
				t.Errorf("got %v", err)
			}
			n := 0
			all := requests()
			for _, r := range all {
				if r == test.want {
					n++
				}
			}
			if n != 1 || len(all) > 4 {
				t.Errorf("%s came %d times, among %q", test.want, n, all)
			}
		})
	}
}

// nodeModules returns the directory with Google's libraries for Node. It skips a test where node or they are missing,
// and a short run.
func nodeModules(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil || testing.Short() {
		t.Skipf("SKIPPED: runs node: %v", err)
	}
	modules, err := filepath.Abs("../../../docs/clients/node/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(modules); err != nil {
		t.Skip("SKIPPED: Google's libraries for Node are not installed: see docs/clients")
	}
	return modules
}

// Google's library for Node asks once for what is not here, and shows the reason.
func TestNodeNotHere(t *testing.T) {
	modules := nodeModules(t)
	t.Parallel()
	url, requests := counted(t, start(t, Options{}))
	out, err := tool{"node", []string{"STORAGE_EMULATOR_HOST=" + url}}.try(t, "testdata/not_here.cjs", modules, bucketA)
	if err != nil || strings.Count(out, "docs/local.md") != 4 {
		t.Errorf("%v: %s", err, out)
	}
	if diff := gocmp.Diff([]string{"PATCH /b/" + bucketA, "POST /b/" + bucketA + "/notificationConfigs",
		"POST /projects/p/hmacKeys", "PUT /b/" + bucketA + "/iam"}, requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}
