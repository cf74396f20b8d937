package jobdrop

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/jobdrop/jobdrop"

// deps returns the dependencies of a package, without the package itself but with those
// in the standard library.
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

// arrows says what the packages below a folder may depend on. Of several the one with
// the longest folder holds.
type arrows struct {
	folder string
	// allowed are the folders of this module, beside their own, whose packages they
	// may depend on.
	allowed []string
	// pure forbids everything but the standard library and the module.
	pure bool
	// cloud allows clients of remote services.
	cloud bool
}

// allArrows point one way: functions → app → flow → attempt → job; check → job; service
// and backend → attempt, job. Only adapters reach a cloud client.
func allArrows() []arrows {
	check := []string{"pkg/job", "pkg/jobspec", "internal/check/glob", "internal/image", "internal/text"}
	return []arrows{
		{folder: "pkg/job", pure: true},
		{folder: "pkg/jobspec", allowed: []string{"pkg/job", "internal/image", "internal/text"}},
		{folder: "pkg/event", allowed: []string{"pkg/job"}},
		{folder: "internal/text", pure: true},
		{folder: "internal/image"},
		{folder: "internal/envfile", pure: true},
		{folder: "internal/gcloud", allowed: []string{"pkg/job", "internal/text"}},
		{folder: "internal/logs", allowed: []string{"pkg/job"}, pure: true},
		{folder: "internal/attempt", allowed: []string{"pkg/job"}, pure: true},
		{folder: "internal/check", allowed: check},
		{folder: "internal/check/glob", pure: true},
		{folder: "internal/check/plan", allowed: []string{"pkg/job"}, pure: true},
		{folder: "internal/check/inspect", allowed: append(check, "internal/check")},
		{folder: "internal/check/policy", allowed: append(check, "internal/check/plan")},
		{folder: "internal/notice", allowed: []string{"pkg/job", "pkg/event", "internal/text"}},
		{folder: "internal/delivery", allowed: []string{"pkg/job", "pkg/event", "internal/text", "internal/notice"}},
		{folder: "internal/check/routes", allowed: append(check, "pkg/event", "internal/check", "internal/notice")},
		{folder: "internal/destination", allowed: []string{
			"pkg/job", "pkg/event", "internal/text", "internal/notice", "internal/delivery",
		}},
		{folder: "internal/flow", allowed: []string{"pkg/job", "internal/attempt"}, pure: true},
		{folder: "internal/flow/notifier", allowed: []string{
			"pkg/job", "pkg/jobspec", "pkg/event", "internal/attempt", "internal/text", "internal/image", "internal/notice",
			"internal/delivery", "internal/check",
		}},
		{folder: "internal/flow/submitter", allowed: append(check, "internal/attempt", "internal/check")},
		{folder: "internal/flow/watcher", allowed: []string{"pkg/job", "internal/attempt"}},
		{
			folder: "internal/service", cloud: true,
			allowed: []string{"pkg/job", "pkg/event", "internal/attempt", "internal/text"},
		},
		{
			folder: "internal/service/joblogs", cloud: true,
			allowed: []string{"pkg/job", "internal/attempt", "internal/logs", "internal/service/joblog", "internal/text"},
		},
		{
			folder: "internal/service/inbound",
			allowed: []string{
				"pkg/job", "pkg/event", "internal/attempt", "internal/notice", "internal/text", "internal/app/logging",
			},
		},
		{
			folder:  "internal/backend",
			allowed: []string{"pkg/job", "internal/attempt", "internal/check/plan", "internal/backend/internal"},
			cloud:   true,
		},
		{folder: "internal/app", cloud: true, allowed: []string{
			"pkg", "internal/attempt", "internal/backend", "internal/check", "internal/delivery", "internal/destination",
			"internal/flow", "internal/image", "internal/notice", "internal/service", "internal/text",
		}},
		{folder: "internal/app/config", pure: true},
		{folder: "internal/app/logging", pure: true},
		{folder: "internal/app/telemetry", allowed: []string{"pkg/job", "internal/attempt", "internal/flow/watcher"}, cloud: true},
		{folder: "internal/account", allowed: append(check, "internal/check", "internal/attempt", "internal/logs",
			"internal/flow/submitter", "internal/flow/watcher")},
		{folder: "internal/pyproject", allowed: []string{"internal/text"}},
		{folder: "internal/upload", allowed: []string{"pkg/job", "internal/attempt"}, pure: true},
		{folder: "internal/console/iap", cloud: true},
		{folder: "internal/doctor", cloud: true, allowed: append(check, "internal/app/config", "internal/attempt",
			"internal/check", "internal/flow/watcher", "internal/notice", "pkg/event")},
		{folder: "internal/console/scalars", allowed: []string{"pkg/job", "internal/text"}},
		{folder: "internal/console", allowed: append(check, "internal/account", "internal/attempt", "internal/check",
			"internal/flow", "internal/logs")},
		{folder: "internal/cli", allowed: []string{"pkg", "internal", "functions"}, cloud: true},
		{folder: "internal/local", allowed: []string{"pkg", "internal", "functions"}, cloud: true},
		{folder: "internal/local/absent", pure: true},
		{folder: "internal/local/front", pure: true},
		{folder: "internal/local/loopback", pure: true},
		{folder: "internal/local/discovery"},
		{
			folder: "internal/local/storage",
			allowed: []string{
				"internal/local/absent", "internal/local/discovery", "internal/local/front", "internal/local/lock",
				"internal/local/loopback",
			},
		},
		{
			folder: "internal/local/messaging",
			allowed: []string{
				"internal/local/absent", "internal/local/discovery", "internal/local/front", "internal/local/loopback",
			},
			cloud: true,
		},
		{folder: "internal/testing", allowed: []string{"pkg", "internal", "functions"}, cloud: true},
	}
}

// below reports whether a package is a folder's, or one of those below it.
func below(pkg, folder string) bool { return pkg == folder || strings.HasPrefix(pkg, folder+"/") }

// Every package is held to its arrows: one that is new has to be entered above.
func TestArrows(t *testing.T) {
	out, err := exec.Command("go", "list", "./pkg/...", "./internal/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range strings.Fields(string(out)) {
		own := strings.TrimPrefix(pkg, module+"/")
		t.Run(own, func(t *testing.T) {
			var rule arrows
			for _, a := range allArrows() {
				if below(own, a.folder) && len(a.folder) > len(rule.folder) {
					rule = a
				}
			}
			if rule.folder == "" {
				t.Fatalf("%s is not in the table of the arrows", own)
			}
			for _, d := range deps(t, pkg) {
				to, ours := strings.CutPrefix(d, module+"/")
				switch {
				case standard(d):
				case ours:
					if own != rule.folder && below(to, rule.folder) {
						continue // within the folder
					}
					if !below(to, own) && !slices.ContainsFunc(rule.allowed, func(a string) bool { return below(to, a) }) {
						t.Errorf("%s depends on %s", own, to)
					}
				case rule.pure:
					t.Errorf("%s depends on %s, which is not in the standard library", own, d)
				case cloud(d) && !rule.cloud:
					t.Errorf("%s depends on the cloud client %s", own, d)
				}
			}
		})
	}
}

// Only what others import is public.
func TestPublicPackages(t *testing.T) {
	out, err := exec.Command("go", "list", "./pkg/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := module + "/pkg/event\n" + module + "/pkg/job\n" + module + "/pkg/jobspec\n"
	if string(out) != want {
		t.Errorf("public packages:\n%swant:\n%s", out, want)
	}
}

// heavy are packages that a function's binary must not link: the local stack,
// and clients that bring much with them.
var heavy = []string{
	module + "/internal/cli", module + "/internal/local", module + "/internal/testing", module + "/internal/envfile",
	"github.com/fsouza/fake-gcs-server", "github.com/spf13/cobra",
	"cloud.google.com/go/storage", "cloud.google.com/go/pubsub/v2/pstest", "github.com/envoyproxy",
	"google.golang.org/grpc/xds",
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
