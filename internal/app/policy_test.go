package app

import (
	"bytes"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/app/logging"
	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/testing/storagetest"
	"github.com/jobdrop/jobdrop/pkg/job"
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

// The patience is that of a folder's prefix, and as the policy is now; what it does not say is the
// installation's.
func TestPatience(t *testing.T) {
	storage, _ := storagetest.New(t, "ops")
	o := &operator{storage: storage, bucket: "ops", name: "policy.yaml", logger: logging.New(io.Discard, nil)}
	patience := o.patience(job.Patience{Incomplete: 15 * time.Minute, Expire: time.Hour})
	if _, err := patience(t.Context()); err == nil {
		t.Error("no policy, and no error")
	}
	for _, test := range []struct {
		text string
		want []time.Duration // alone in team/a/ and in slow/a/
	}{
		{"patience: {alone: 3600s}\nprefixes: [{match: slow/**, patience: {alone: 7200s}}]\n",
			[]time.Duration{time.Hour, 2 * time.Hour}},
		{"patience: {alone: 60s}\nprefixes: [{match: slow/**, patience: {alone: 120s}}]\n",
			[]time.Duration{time.Minute, 2 * time.Minute}},
	} {
		if _, err := storage.Write(t.Context(), "ops", o.name, []byte(test.text), "application/yaml", nil,
			attempt.AnyGeneration); err != nil {
			t.Fatal(err)
		}
		of, err := patience(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := []time.Duration{of("team/a/").Alone, of("slow/a/").Alone}; !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.text, got, test.want)
		}
		if got := of("slow/a/").Incomplete; got != 15*time.Minute {
			t.Errorf("what the policy does not say is %s", got)
		}
	}
}
