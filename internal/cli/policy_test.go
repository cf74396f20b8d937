package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// The stack's functions apply the operator's policy, and a new one as soon as it is
// there.
func TestLocalPolicy(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte("allow: {regions: [europe-*]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := startLocal(t, t.TempDir(), "--policy", file)
	storage := r.storage(t)
	dropInto(t, storage, "hello")
	body := awaitStatus(t, storage, "hello/", string(job.Rejected))
	vs := body.Violations
	if len(vs) != 1 || vs[0].Rule != "policy-region" || !strings.Contains(vs[0].Message, "policy.yaml:1:9") {
		t.Errorf("violations %v", vs)
	}
	text := []byte("allow: {regions: [us-*]}\n")
	_, err := storage.Write(t.Context(), local.State, "policy.yaml", text, "application/yaml", nil, attempt.AnyGeneration)
	if err != nil {
		t.Fatal(err)
	}
	dropInto(t, storage, "train")
	awaitStatus(t, storage, "train/", string(job.Succeeded))
}

func TestLocalRefusesAFaultyPolicy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte("allow: {regoins: []}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := run(t, "local", "--data", t.TempDir(), "--policy", file)
	if got.code != exitUsage || !strings.Contains(got.stderr, "policy.yaml:1:9: allow.regoins") {
		t.Errorf("exit %d: %s", got.code, got.stderr)
	}
}
