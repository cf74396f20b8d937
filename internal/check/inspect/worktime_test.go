package inspect

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// slow is a storage whose answers take their time, and content that takes some more
// when it is closed: that is not waited for, and stands for work on it.
type slow struct{ read, work time.Duration }

func (s slow) open(ctx context.Context, o job.Object) (io.ReadCloser, error) {
	text := "not a package"
	if o.Base() == "job.yaml" {
		text = "trainingInput: {scaleTier: BASIC, region: us-central1, runtimeVersion: '2.11', pythonVersion: '3.7', " +
			"pythonModule: a.b, packageUris: [a.tar.gz, b.tar.gz]}\n"
	}
	return &slowContent{strings.NewReader(text), ctx, s}, nil
}

type slowContent struct {
	io.Reader
	ctx  context.Context
	slow slow
}

func (c *slowContent) Read(p []byte) (int, error) {
	select {
	case <-time.After(c.slow.read):
		return c.Reader.Read(p)
	case <-c.ctx.Done():
		return 0, c.ctx.Err()
	}
}

func (c *slowContent) Close() error {
	time.Sleep(c.slow.work)
	return nil
}

// A drop that takes too much work is rejected. A drop whose storage is slow, or
// whose caller gives up, is not.
func TestWorkTime(t *testing.T) {
	tests := []struct {
		name    string
		slow    slow
		caller  time.Duration
		rule    string // of the verdict that the time is over
		file    string
		wantErr error
	}{
		{name: "quick", caller: time.Hour},
		{name: "slow storage", slow: slow{read: 10 * time.Minute}, caller: 24 * time.Hour},
		{name: "nearly too much work", slow: slow{work: workTime/3 - time.Second}, caller: time.Hour},
		{
			name: "too much work", slow: slow{work: workTime/2 + time.Second}, caller: time.Hour, rule: "inspection-time",
			file: "b.tar.gz",
		},
		{
			name: "too much work for the job file", slow: slow{work: workTime + time.Second}, caller: time.Hour,
			rule: "inspection-time", file: "job.yaml",
		},
		{
			name: "the caller's time ends first", slow: slow{work: workTime / 3}, caller: workTime / 2,
			wantErr: context.DeadlineExceeded,
		},
		{
			name: "the caller's time ends in a read", slow: slow{read: time.Minute}, caller: 90 * time.Second,
			wantErr: context.DeadlineExceeded,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				object := func(name string) job.Object {
					return job.Object{Bucket: "inbox", Name: "drop/" + name, Generation: 1, Size: 9}
				}
				d := job.Drop{
					Bucket: "inbox", Folder: "drop/", JobFiles: []job.Object{object("job.yaml")},
					Packages: []job.Object{object("a.tar.gz"), object("b.tar.gz")},
				}
				ctx, cancel := context.WithTimeout(t.Context(), test.caller)
				defer cancel()
				r, err := Drop(ctx, d, Objects{Open: test.slow.open}, policy.Policy{Project: "project", Inbox: "inbox"})
				if !errors.Is(err, test.wantErr) {
					t.Fatalf("error %v, want %v", err, test.wantErr)
				}
				var rules []string
				for _, v := range r.Violations {
					rules = append(rules, string(v.Rule))
				}
				if over := strings.Contains(strings.Join(rules, " "), "inspection-time"); over != (test.rule != "") {
					t.Fatalf("violations %v", r.Violations)
				}
				if test.rule != "" &&
					(len(r.Violations) != 1 || r.Violations[0].File != test.file || r.Violations[0].Found == "" ||
						r.Violations[0].Remedy == "") {
					t.Errorf("violations %v, want one of %s", r.Violations, test.file)
				}
			})
		})
	}
}
