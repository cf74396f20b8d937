package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// The stack's functions go by the operator's policy, and by a new one as soon as
// it is there.
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
	if len(body.Violations) != 1 || body.Violations[0].Rule != "policy-region" || !strings.Contains(body.Violations[0].Message, "policy.yaml:1:9") {
		t.Errorf("violations %v", body.Violations)
	}
	if _, err := storage.Write(t.Context(), local.State, "policy.yaml", []byte("allow: {regions: [us-*]}\n"), "application/yaml", nil, attempt.AnyGeneration); err != nil {
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
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"local", "--data", t.TempDir(), "--policy", file}, strings.NewReader(""), &stdout, &stderr)
	if code != exitUsage || !strings.Contains(stderr.String(), "policy.yaml:1:9: allow.regoins") {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
}
