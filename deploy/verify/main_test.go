package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/local/functions"
	"github.com/jobdrop/jobdrop/internal/local/training"
	"github.com/jobdrop/jobdrop/internal/testing/contract"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const drops = "../../testdata/drops/"

// The stack starts the functions as a process: here that is this binary again.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "functions" {
		fmt.Fprintln(os.Stderr, functions.Serve(os.Args[2], os.Args[3:], os.Stdin))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// At Vertex AI the drop runs in Google's newest training image, unless something else
// is set: its own may be gone.
func TestVerifyAtVertex(t *testing.T) {
	python, err := training.FindPython(t.Context(), "")
	if err != nil {
		t.Fatalf("this test runs Python programs: %v", err)
	}
	stack, err := local.Start(t.Context(), local.Options{
		Dir: t.TempDir(), Python: python, Functions: []string{os.Args[0], "functions"}, Tick: 100 * time.Millisecond,
		Backend: "vertex", Env: []string{"JOBDROP_SETTLE=0s"}, Policy: []byte("{}\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	outputs := filepath.Join(t.TempDir(), "outputs.json")
	text := fmt.Sprintf(`{"environment": {"value": {"JOBDROP_INBOX": %q, "JOBDROP_STATUS_BUCKET": %q, "JOBDROP_BACKEND": "vertex", `+
		`"JOBDROP_REGIONS": "us-central1", "JOBDROP_POLICY": "gs://%s/policy.yaml"}}}`, local.Inbox, local.Status, local.State)
	if err := os.WriteFile(outputs, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	getenv := func(string) string { return stack.StorageURL }
	older := []string{"-set", "runtimeVersion=2.15", "-set", "pythonVersion=3.10"}
	for _, test := range []struct {
		name   string
		policy string
		args   []string
		set    string // as runtimeVersion
		want   string // in the status; the stack runs no image of one's own
	}{
		{"the newest", "{}", nil, "2.17", "tf-cpu.2-17.py310"},
		{"one that is set", "{}", older, "2.15", "tf-cpu.2-15.py310"},
		{"the policy's, for the drop's versions", "vertex: {images: {'2.11/3.7': gcr.io/p/own}}", nil, "", ""},
		{"the policy's, for the drop's runtime", "vertex: {images: {'2.11': gcr.io/p/own}}", nil, "", ""},
		{"one that is set, in spite of the policy", "vertex: {images: {'2.11': gcr.io/p/own}}", older, "2.15", "tf-cpu.2-15.py310"},
		{"the newest, if the policy has none for the drop", "vertex: {images: {'2.12': gcr.io/p/own}}", nil, "2.17", "tf-cpu.2-17.py310"},
		{"a policy that is wrong", "vertex: [", nil, "2.17", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := stack.Storage.Write(t.Context(), local.State, "policy.yaml", []byte(test.policy+"\n"), "application/yaml", nil,
				attempt.AnyGeneration)
			if err != nil {
				t.Fatal(err)
			}
			args := append(append([]string{"-outputs", outputs, "-poll", "50ms"}, test.args...), drops+"hello")
			var out strings.Builder
			o, dir, err := parse(args, &out)
			if err == nil {
				err = chooseImage(t.Context(), stack.Storage, o, dir)
			}
			if got := o.metadata["jobdrop-set-runtimeVersion"]; err != nil || got != test.set {
				t.Errorf("%v; the runtime is %q, want %q", err, got, test.set)
			}
			if test.want == "" {
				return
			}
			if err := run(t.Context(), args, getenv, &out); err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			data, _, err := stack.Storage.Read(t.Context(), local.Status, "verify/hello/status.json", 0, statusLimit)
			if err != nil || !strings.Contains(string(data), test.want) {
				t.Errorf("%v; the job did not run in %s: %s", err, test.want, data)
			}
		})
	}
}

// Rights that were given a moment ago do not hold everywhere yet: what is denied is
// dropped again, for a while.
func TestVerifyWaitsForRights(t *testing.T) {
	python, err := training.FindPython(t.Context(), "")
	if err != nil {
		t.Fatalf("this test runs Python programs: %v", err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	p := contract.NewProxy(t, "http://"+address)
	stack, err := local.Start(t.Context(), local.Options{
		Dir: t.TempDir(), Python: python, Functions: []string{os.Args[0], "functions"}, Tick: 100 * time.Millisecond,
		Listen: local.Addresses{Training: address}, Env: []string{"JOBDROP_BACKEND_ENDPOINT=" + p.URL},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	getenv := func(name string) string { return map[string]string{"STORAGE_EMULATOR_HOST": stack.StorageURL}[name] }
	args := []string{"-inbox", local.Inbox, "-status", local.Status, "-poll", "50ms", drops + "hello"}
	deny := contract.Fault{On: contract.IsCreate, Status: http.StatusForbidden}
	p.Inject(deny)
	var out strings.Builder
	if err := run(t.Context(), args, getenv, &out); err != nil || !strings.Contains(out.String(), "trying again") {
		t.Errorf("%v; it said:\n%s", err, out.String())
	}
	deny.Times = 100
	p.Inject(deny)
	if err := run(t.Context(), append([]string{"-denied", "1s"}, args...), getenv, &out); !errors.Is(err, job.ErrDenied) {
		t.Errorf("denied for good: %v", err)
	}
}

func TestVerify(t *testing.T) {
	python, err := training.FindPython(t.Context(), "")
	if err != nil {
		t.Fatalf("this test runs Python programs: %v", err)
	}
	stack, err := local.Start(t.Context(), local.Options{
		Dir: t.TempDir(), Python: python, Functions: []string{os.Args[0], "functions"}, Tick: 100 * time.Millisecond,
		Env: []string{"JOBDROP_SETTLE=0s"}, Policy: []byte("sameContent: withdraw\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stack.Close(); err != nil {
			t.Error(err)
		}
	})
	outputs := filepath.Join(t.TempDir(), "outputs.json")
	text := fmt.Sprintf(`{"environment": {"value": {"JOBDROP_INBOX": %q, "JOBDROP_STATUS_BUCKET": %q, `+
		`"JOBDROP_REGIONS": "europe-west4,us-central1"}}}`, local.Inbox, local.Status)
	if err := os.WriteFile(outputs, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		args []string
		out  []string // in what it says, in this order
		err  string
	}{
		{"a job that succeeds", []string{
			"-set", "jobDir=gs://" + local.Output + "/verify", "-correlation", "build-7", drops + "hello",
		},
			[]string{"into gs://jobdrop-inbox/verify/hello/", "succeeded, job hello_"}, ""},
		{"the same again, which the policy withdraws else", []string{
			"-set", "jobDir=gs://" + local.Output + "/verify", drops + "hello",
		},
			[]string{"succeeded"}, ""},
		{"again, with another job directory", []string{"-folder", "verify/hello", drops + "hello"}, []string{"succeeded"}, ""},
		{"a job that fails", []string{drops + "fails"}, []string{"failed", `"state": "failed"`}, "the drop ended as failed"},
		{
			"a drop that is refused", []string{drops + "rejected-scheduling"}, []string{"rejected", "maxWaitTime"},
			"the drop ended as rejected",
		},
		{
			"a verdict that does not come", []string{"-wait", "2s", drops + "incomplete"}, []string{"waiting"},
			"no verdict after 2s; gs://jobdrop-status/verify/incomplete/status-",
		},
		{"a bucket that is not there", []string{"-inbox", "no-such-inbox", drops + "hello"}, nil, "not found"},
		{
			"nobody who takes it", []string{
				"-inbox", local.Output, "-wait", "300ms", drops + "hello",
			}, nil, "nothing is known of it",
		},
		{"no job file", []string{t.TempDir()}, nil, "has no job file"},
		{"no folder", nil, nil, "name one folder"},
		{"no value", []string{"-set", "region", drops + "hello"}, nil, "want FIELD=VALUE"},
		{"no such installation", []string{"-installation", "x", drops + "hello"}, nil, "no installation named x"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			getenv := func(name string) string { return map[string]string{"STORAGE_EMULATOR_HOST": stack.StorageURL}[name] }
			err := run(t.Context(), append([]string{"-outputs", outputs, "-poll", "50ms"}, test.args...), getenv, &out)
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("it ends with %v, want %q; it said:\n%s", err, test.err, out.String())
			}
			rest := out.String()
			for _, want := range test.out {
				_, after, ok := strings.Cut(rest, want)
				if !ok {
					t.Fatalf("it does not say %q, or not in order:\n%s", want, out.String())
				}
				rest = after
			}
		})
	}
	if o, err := stack.Storage.Stat(t.Context(), local.Output, "verify/hello.txt"); err != nil {
		t.Errorf("the field that was set did not reach the job: %v %v", o, err)
	}

	// Regions are the installation's, where nothing else is said.
	for want, args := range map[string][]string{"europe-west4": nil, "us-central1": {"-set", "region=us-central1"}} {
		o, _, err := parse(append(args, "-outputs", outputs, drops+"hello"), io.Discard)
		if got := o.metadata["jobdrop-set-region"]; err != nil || got != want {
			t.Errorf("%q: the region is %q, %v, want %s", args, got, err, want)
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, []string{"-outputs", outputs, drops + "hello"}, func(string) string { return stack.StorageURL },
		&strings.Builder{}); err == nil {
		t.Error("an interrupted run succeeds")
	}
}
