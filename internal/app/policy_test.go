package app

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/internal/app/logging"
	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/testing/storagetest"
)

// A policy counts from the moment it is written; one that is missing or not
// valid is an error that says where and why, and never that of before.
func TestPolicyAsItIsNow(t *testing.T) {
	storage, _ := storagetest.New(t, "ops")
	faults := &storagetest.Faults{Client: storage}
	var log bytes.Buffer
	o := &operator{
		storage: faults, bucket: "ops", name: "jobdrop/policy.yaml",
		base: policy.Policy{Project: "project"}, logger: logging.New(&log, slog.LevelInfo),
	}
	write := func(text string) {
		t.Helper()
		if _, err := storage.Write(t.Context(), "ops", o.name, []byte(text), "application/yaml", nil,
			attempt.AnyGeneration); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(parts ...string) {
		t.Helper()
		p, err := o.current(t.Context())
		if err == nil {
			t.Fatalf("policy %+v", p)
		}
		for _, part := range parts {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("error %q does not tell of %q", err, part)
			}
		}
	}
	limit := func(want int64) {
		t.Helper()
		p, err := o.current(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := p.For("a/").Rules.Limits.Replicas; got != want || p.Project != "project" {
			t.Errorf("limit %d of project %s", got, p.Project)
		}
	}
	refused("gs://ops/jobdrop/policy.yaml", "JOBDROP_POLICY")
	write("limits: {replicas: 4}\n")
	limit(4)
	limit(4)
	if n := strings.Count(log.String(), `"policy read"`); n != 1 {
		t.Errorf("read %d times: %s", n, log.String())
	}
	write("limits: {replicas: 8}\n")
	limit(8)
	write("limits: {replicas: four}\nallow: {regoins: []}\n")
	refused("policy.yaml:1:20", "policy.yaml:2:9", "regions")
	refused("policy.yaml:1:20") // and not what was read before
	write("limits: {replicas: 8}\nallow: {accelerators: [nvidia_tesla_t4]}\n")
	log.Reset()
	limit(8)
	if !strings.Contains(log.String(), "policy.yaml:2:24") {
		t.Errorf("the warning is not logged: %s", log.String())
	}
	write(strings.Repeat("#", 1<<20) + "\n")
	refused("limit 262144 bytes")
	if err := storage.Delete(t.Context(), "ops", o.name); err != nil {
		t.Fatal(err)
	}
	refused("JOBDROP_POLICY")
}

func TestNoPolicyFile(t *testing.T) {
	o := &operator{base: policy.Policy{Project: "project"}} // and nothing to read from
	p, err := o.current(t.Context())
	if err != nil || p.Project != "project" {
		t.Errorf("policy %+v, %v", p, err)
	}
}
