package jobdrop

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/jobdrop/jobdrop"

// deps gives a package's dependencies, itself left out, the standard library's
// packages among them.
func deps(t *testing.T, pkg string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", pkg).Output()
	if err != nil {
		t.Fatalf("go list -deps %s: %v", pkg, err)
	}
	all := strings.Fields(string(out))
	return all[:len(all)-1] // a package is listed after what it needs
}

func standard(pkg string) bool {
	first, _, _ := strings.Cut(pkg, "/")
	return !strings.Contains(first, ".")
}

// cloud are the client libraries of remote services.
func cloud(pkg string) bool {
	return strings.HasPrefix(pkg, "cloud.google.com/") || strings.HasPrefix(pkg, "google.golang.org/")
}

// arrows says what a package may depend on.
type arrows struct {
	pkg string
	// allowed are the only packages of this module that it may depend on.
	allowed []string
	// pure forbids everything but the standard library and the module.
	pure bool
	// cloud allows clients of remote services.
	cloud bool
}

// allArrows point one way: functions → app, inbound → use cases → job. Only
// adapters reach a cloud client.
func allArrows() []arrows {
	return []arrows{
		{pkg: "pkg/job", pure: true},
		{pkg: "pkg/plan", allowed: []string{"pkg/job"}, pure: true},
		{pkg: "pkg/internal/text", pure: true},
		{pkg: "pkg/internal/image"},
		{pkg: "pkg/jobspec", allowed: []string{"pkg/job", "pkg/internal/image", "pkg/internal/text"}},
		{pkg: "pkg/pypkg", allowed: []string{"pkg/job", "pkg/internal/text"}},
		{pkg: "pkg/policy", allowed: []string{"pkg/job", "pkg/jobspec", "pkg/internal/image", "pkg/internal/text"}},
		{pkg: "pkg/inspect", allowed: []string{"pkg/job", "pkg/jobspec", "pkg/pypkg", "pkg/policy", "pkg/internal/image", "pkg/internal/text"}},
		{pkg: "pkg/event", allowed: []string{"pkg/job"}},
		{pkg: "pkg/config", pure: true},
		{pkg: "pkg/logging", pure: true},
		{pkg: "pkg/telemetry", allowed: []string{"pkg/job"}, cloud: true},
		{pkg: "pkg/inbound", allowed: []string{"pkg/job", "pkg/event", "pkg/logging"}},
		{pkg: "pkg/ledger", allowed: []string{"pkg/job"}, pure: true},
		{pkg: "pkg/relay", allowed: []string{"pkg/job"}, pure: true},
		{pkg: "pkg/submitter", allowed: []string{"pkg/job", "pkg/jobspec", "pkg/pypkg", "pkg/policy", "pkg/inspect", "pkg/internal/image", "pkg/internal/text"}},
		{pkg: "pkg/watcher", allowed: []string{"pkg/job"}},
		{pkg: "pkg/gcs", allowed: []string{"pkg/job"}, cloud: true},
		{pkg: "pkg/publisher", allowed: []string{"pkg/job", "pkg/event"}, cloud: true},
		{pkg: "pkg/trainer/internal/rest", allowed: []string{"pkg/job"}, cloud: true},
		{pkg: "pkg/trainer/aiplatform", allowed: []string{"pkg/job", "pkg/trainer/internal/rest"}, cloud: true},
		{pkg: "pkg/trainer/vertex", allowed: []string{"pkg/job", "pkg/plan", "pkg/trainer/internal/rest"}, cloud: true},
		{pkg: "pkg/local/loopback", pure: true},
		{pkg: "pkg/local/discovery", pure: true},
		{pkg: "pkg/local/storage", allowed: []string{"pkg/local/discovery", "pkg/local/loopback"}},
		{pkg: "pkg/local/messaging", allowed: []string{"pkg/local/discovery", "pkg/local/loopback"}, cloud: true},
	}
}

func TestArrows(t *testing.T) {
	for _, test := range allArrows() {
		t.Run(test.pkg, func(t *testing.T) {
			for _, d := range deps(t, module+"/"+test.pkg) {
				own, ours := strings.CutPrefix(d, module+"/")
				switch {
				case standard(d):
				case ours:
					if !slices.Contains(test.allowed, own) {
						t.Errorf("%s depends on %s", test.pkg, own)
					}
				case test.pure:
					t.Errorf("%s depends on %s, which is not in the standard library", test.pkg, d)
				case cloud(d) && !test.cloud:
					t.Errorf("%s depends on the cloud client %s", test.pkg, d)
				}
			}
		})
	}
}

// heavy are packages that a function's binary must not link: the local stack,
// and clients that bring much with them.
var heavy = []string{
	module + "/pkg/local", module + "/internal", "github.com/fsouza/fake-gcs-server", "github.com/spf13/cobra",
	"cloud.google.com/go/storage", "cloud.google.com/go/pubsub/v2/pstest", "github.com/envoyproxy", "google.golang.org/grpc/xds",
}

func TestFunctionBinaryIsLight(t *testing.T) {
	for _, d := range deps(t, module+"/cmd/server") {
		for _, h := range heavy {
			if d == h || strings.HasPrefix(d, h+"/") {
				t.Errorf("cmd/server links %s", d)
			}
		}
	}
}

// Every package is held to its arrows: one that is new has to be entered above.
func TestArrowsCoverThePackages(t *testing.T) {
	out, err := exec.Command("go", "list", "./pkg/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	known := []string{"pkg/app", "pkg/local", "pkg/local/functions", "pkg/local/training"}
	for _, a := range allArrows() {
		known = append(known, a.pkg)
	}
	for _, p := range strings.Fields(string(out)) {
		own := strings.TrimPrefix(p, module+"/")
		if !slices.Contains(known, own) && !strings.Contains(own, "/internal/") {
			t.Errorf("%s is not in the table of the arrows", own)
		}
	}
}
