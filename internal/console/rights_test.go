package console

import (
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/testing/storagetest"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// granted returns what Terraform lets the console's account do: the role on each bucket, and the folders of the state
// bucket that it may list.
func granted(t *testing.T) (roles map[string]string, lists []string) {
	t.Helper()
	text, err := os.ReadFile("../../deploy/terraform/console.tf")
	if err != nil {
		t.Fatal(err)
	}
	within := func(form, each string) [][]string {
		m := regexp.MustCompile(form).FindSubmatch(text)
		if m == nil {
			t.Fatalf("console.tf has no %s", form)
		}
		return regexp.MustCompile(each).FindAllStringSubmatch(string(m[1]), -1)
	}
	roles = map[string]string{}
	for _, m := range within(`(?m)^\s*console_buckets\s*=\s*\{(.*)\}$`, `(\w+)\s*=\s*"(\w+)"`) {
		roles[m[1]] = m[2]
	}
	for _, m := range within(`(?m)^\s*console_lists\s*=\s*\[(.*)\]$`, `"([^"]*)"`) {
		lists = append(lists, m[1])
	}
	return roles, lists
}

// The pages make the calls that the console's account on Cloud Run has the rights for, and it has no other right.
func TestRights(t *testing.T) {
	s := newSite(t, nil)
	// A right that the account lacks hides also what is not there.
	s.store.Before = func(c storagetest.Call) error {
		if c.Bucket == "inbox" && c.Name == "gone/job.yaml" {
			return job.ErrDenied
		}
		return nil
	}
	faulty := func(folder string, generation int64) string {
		return s.dropAt(folder, generation, attempt.Reject{Reason: "r", Violations: []job.Violation{
			{File: "job.yaml", Position: job.Position{Line: 1, Column: 1}},
		}}).Attempt
	}
	runs := s.drop("a/", accepted("runs", "gs://out/a")...).Attempt
	failed := s.drop("b/", append(accepted("failed", "gs://out/b"), ended("failed", job.BackendFailed))...).Attempt
	waits := s.drop("c/", attempt.Accept{
		Spec: specOf("waits", ""), Receipt: job.Receipt{Content: "c"}, Waits: "waiting: 3 of 3 jobs are active",
	}).Attempt
	rejected, gone := faulty("d/", s.object("inbox", "d/job.yaml", "a: b\n")), faulty("gone/", 1)
	s.object("state", "requests/"+runs+"/console-x.json", "{}")

	addresses := []string{"/", "/installation", "/folders/a", "/?job=runs", "/?correlation=x", "/?folder=a/"}
	for _, state := range statesAsked {
		addresses = append(addresses, "/?state="+url.QueryEscape(string(state)))
	}
	for _, key := range []string{runs, failed, waits, rejected, gone} {
		for _, p := range pages {
			addresses = append(addresses, "/attempts/"+key+p)
		}
	}
	addresses = append(addresses, "/attempts/"+runs+"?asked=console-"+strings.Repeat("a", 26))
	unseen := map[string]bool{}
	for _, r := range s.server.routes() {
		unseen[r.pattern] = true
	}
	visit := func(method, address string) {
		got := s.do(method, address, "reason=x")
		if got.status >= 400 && got.status != http.StatusNotFound {
			t.Errorf("%s %s: %d\n%s", method, address, got.status, got.body)
			return
		}
		r, err := http.NewRequestWithContext(t.Context(), method, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, pattern := s.server.mux.Handler(r); got.status < 400 {
			delete(unseen, pattern)
		}
	}
	s.store.Reset()
	for _, address := range addresses {
		visit(http.MethodGet, address)
	}
	visit(http.MethodPost, "/attempts/"+runs+"/cancel")
	visit(http.MethodPost, "/attempts/"+failed+"/rerun")
	if len(unseen) > 0 {
		t.Errorf("nobody looked at %q", slices.Sorted(maps.Keys(unseen)))
	}

	roles, listed := map[string]string{}, map[string]bool{}
	for _, c := range s.store.Calls() {
		folder, _, _ := strings.Cut(c.Name, "/")
		switch {
		case c.Bucket == "out": // one of the variable's output_buckets
		case c.Kind == "list":
			roles[c.Bucket] = "read"
			listed[folder+"/"] = true
		case c.Kind == "read" || c.Kind == "stat":
			if roles[c.Bucket] == "" {
				roles[c.Bucket] = "fetch"
			}
			if c.Bucket == "state" && (folder == "deliveries" || c.Name == "policy/routes.yaml") {
				t.Errorf("the console reads %s", c.Name)
			}
		case c.Kind != "write" || c.Bucket != "state" || folder != "requests":
			t.Errorf("the console makes the call %+v", c)
		}
	}
	granted, lists := granted(t)
	if d := cmp.Diff(roles, granted); d != "" {
		t.Errorf("the rights on buckets are not those that the pages need (-need +granted):\n%s", d)
	}
	slices.Sort(lists)
	if d := cmp.Diff(slices.Sorted(maps.Keys(listed)), lists); d != "" {
		t.Errorf("the folders that may be listed are not those that the pages list (-listed +granted):\n%s", d)
	}
}
