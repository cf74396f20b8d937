package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"github.com/jobdrop/jobdrop/internal/app/config"
	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/local/storage"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	resumable "github.com/jobdrop/jobdrop/internal/upload"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// submitFlags are those of a drop without faults, with a package of the drops to try.
func submitFlags(more ...string) []string {
	return append([]string{
		"--packages", filepath.Join(dropsDir, "hello", "trainer-0.1.tar.gz"), "--module-name", "trainer.task",
		"--region", "us-central1", "--scale-tier", "basic", "--runtime-version", "2.11", "--python-version", "3.7",
	}, more...)
}

// submitBench is a Cloud Storage with an inbox and a status bucket.
type submitBench struct {
	*gcs.Client
	address string
	mu      sync.Mutex
	drops   []string // job files as they were written, by their names
}

func newSubmitBench(t *testing.T, faults ...storage.Fault) *submitBench {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &submitBench{}
	s, err := storage.Serve(t.Context(), storage.Options{
		Dir: t.TempDir(), Listener: l, Buckets: []string{"inbox", "status", "state", "policy"}, Faults: faults,
		Finalized: func(o storage.Object) {
			if name := o.Name; job.IsJobFile(name) {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.drops = append(b.drops, name)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	b.address = s.URL()
	if b.Client, err = gcs.New(t.Context(), b.address); err != nil {
		t.Fatal(err)
	}
	return b
}

// run submits with the settings of the bench and more, in this process.
func (b *submitBench) run(t *testing.T, settings map[string]string, args ...string) result {
	t.Helper()
	text := "JOBDROP_INBOX=inbox\nJOBDROP_STATUS_BUCKET=status\nSTORAGE_EMULATOR_HOST=" + b.address + "\n"
	for name, value := range settings {
		text += name + "=" + value + "\n"
	}
	file := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return run(t, append([]string{"submit", "--env", file}, submitFlags(args...)...)...)
}

// written returns how many job files were written into a folder.
func (b *submitBench) written(folder string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range b.drops {
		if job.Folder(name) == folder {
			n++
		}
	}
	return n
}

// draftOf returns the draft of a command line, which has to be valid.
func draftOf(t *testing.T, args ...string) (*draft, submitOptions) {
	t.Helper()
	o, err := parse(newSubmit, nil, args...)
	if err != nil {
		t.Fatal(err)
	}
	env := Env{Out: io.Discard, Err: io.Discard, Now: time.Now, Getenv: func(string) string { return "" }}
	d, err := newDrop(t.Context(), env, o, nil, func(string, ...any) {})
	if err == nil {
		err = d.check(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	if !d.report.Valid {
		t.Fatalf("the drop is not valid: %v", d.report.Violations)
	}
	return d, o
}

// uploadingTo returns the uploading of a draft, whose calls go through a store.
func uploadingTo(store inboxStore, d *draft, rerun bool) uploading {
	return uploading{
		draft: d, bucket: "inbox", status: "status", rerun: rerun, store: store, say: func(string, ...any) {},
		send: func(ctx context.Context, bucket, name string, p packed, content io.ReaderAt) (bool, error) {
			data, err := io.ReadAll(io.NewSectionReader(content, 0, p.Size))
			if err != nil {
				return false, err
			}
			_, err = store.Write(ctx, bucket, name, data, "", nil, 0)
			if errors.Is(err, attempt.ErrStale) {
				return true, nil
			}
			return false, err
		},
	}
}

// dying is a store whose process dies at one of its calls: before the service has it, or before its answer is heard.
type dying struct {
	inboxStore
	calls, at int
	heard     bool // the service has the call at which the process dies
}

var errDead = errors.New("the process is dead")

func (s *dying) call(do func()) error {
	s.calls++
	if s.calls < s.at || s.at == 0 {
		do()
		return nil
	}
	if s.calls == s.at && s.heard {
		do()
	}
	return errDead
}

func (s *dying) Read(ctx context.Context, bucket, name string, generation, limit int64) (data []byte, g int64, err error) {
	dead := s.call(func() { data, g, err = s.inboxStore.Read(ctx, bucket, name, generation, limit) })
	return data, g, errors.Join(dead, err)
}

func (s *dying) Stat(ctx context.Context, bucket, name string) (a job.Attributes, err error) {
	dead := s.call(func() { a, err = s.inboxStore.Stat(ctx, bucket, name) })
	return a, errors.Join(dead, err)
}

func (s *dying) Write(ctx context.Context, bucket, name string, data []byte, contentType string,
	metadata map[string]string, ifGeneration int64) (g int64, err error) {
	dead := s.call(func() { g, err = s.inboxStore.Write(ctx, bucket, name, data, contentType, metadata, ifGeneration) })
	return g, errors.Join(dead, err)
}

// A submission that was killed at any of its calls, and is begun again, makes one drop. Until the job file is up there
// is none, and then its packages are there.
func TestSubmitSurvivesEachKill(t *testing.T) {
	t.Parallel()
	bench := newSubmitBench(t)
	second := filepath.Join(t.TempDir(), "other-1.0.tar.gz")
	data, err := os.ReadFile(filepath.Join(dropsDir, "train", packageIn(t, "train")))
	if err == nil {
		err = os.WriteFile(second, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	flags := submitFlags()
	flags[1] += "," + second
	clean := &dying{inboxStore: bench}
	whole, _ := draftOf(t, append(flags, "clean")...)
	if _, err := uploadingTo(clean, whole, false).run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if clean.calls < 8 {
		t.Fatalf("a submission has %d calls: a look and a write for each object at the least", clean.calls)
	}
	for at := 1; at <= clean.calls; at++ {
		for _, heard := range []bool{false, true} {
			name := fmt.Sprintf("killed_%d_%t", at, heard)
			d, _ := draftOf(t, append(flags, name)...)
			_, err := uploadingTo(&dying{inboxStore: bench, at: at, heard: heard}, d, false).run(t.Context())
			if !errors.Is(err, errDead) {
				t.Fatalf("%s: %v, want that it is dead", name, err)
			}
			if bench.written(name+"/") == 1 {
				for _, p := range d.packages {
					if _, err := bench.Stat(t.Context(), "inbox", name+"/"+p.Name); err != nil {
						t.Errorf("%s: a half drop: %v", name, err)
					}
				}
			}
			var results []submitted
			for range 2 {
				d, _ := draftOf(t, append(flags, name)...)
				r, err := uploadingTo(bench, d, false).run(t.Context())
				if err != nil {
					t.Fatalf("%s, again: %v", name, err)
				}
				results = append(results, r)
			}
			if n := bench.written(name + "/"); n != 1 {
				t.Errorf("%s: %d job files were written", name, n)
			}
			if r := results[1]; !r.Attached || r.Generation != results[0].Generation {
				t.Errorf("%s: the third run has %+v, after %+v", name, r, results[0])
			}
		}
	}
}

// packageIn returns the name of the only package of a drop to try.
func packageIn(t *testing.T, drop string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dropsDir, drop, "*.tar.gz"))
	if err != nil || len(found) == 0 {
		t.Fatalf("packages of %s: %v, %v", drop, found, err)
	}
	return filepath.Base(found[0])
}

// overtaken is a store in which somebody else is faster: other runs before the job file is written.
type overtaken struct {
	inboxStore
	other func()
}

func (s *overtaken) Write(ctx context.Context, bucket, name string, data []byte, contentType string,
	metadata map[string]string, ifGeneration int64) (int64, error) {
	if job.IsJobFile(name) && s.other != nil {
		other := s.other
		s.other = nil
		other()
	}
	return s.inboxStore.Write(ctx, bucket, name, data, contentType, metadata, ifGeneration)
}

// Two runners submit at once: the same is one drop, and of two different ones the second is refused. That holds when
// the first is between its look and its write, when it has written, and for reruns.
func TestSubmitByTwo(t *testing.T) {
	t.Parallel()
	bench := newSubmitBench(t)
	for _, rerun := range []bool{false, true} {
		for _, same := range []bool{true, false} {
			folder := fmt.Sprintf("two_%t_%t/", rerun, same)
			args := submitFlags("census", "--drop", folder)
			others := args
			if !same {
				others = append(submitFlags("census", "--drop", folder), "--", "--other")
			}
			first, _ := draftOf(t, args...)
			before := 0
			if rerun {
				r, err := uploadingTo(bench, first, false).run(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				bench.status(t, r, job.Snapshot{State: job.Failed})
				before = 1
			}
			var other submitted
			store := &overtaken{inboxStore: bench, other: func() {
				d, _ := draftOf(t, others...)
				var err error
				if other, err = uploadingTo(bench, d, rerun).run(t.Context()); err != nil {
					t.Errorf("%s: the faster one: %v", folder, err)
				}
			}}
			r, err := uploadingTo(store, first, rerun).run(t.Context())
			if n := bench.written(folder) - before; n != 1 {
				t.Errorf("%s: %d job files were written, want one", folder, n)
			}
			if same {
				if err != nil || !r.Attached || r.Generation != other.Generation || r.JobID != other.JobID {
					t.Errorf("%s: %+v, %v, want that it is attached to %+v", folder, r, err, other)
				}
			} else if codeOf(err) != exitRejected {
				t.Errorf("%s: %v, want exit %d", folder, err, exitRejected)
			}
			// Once more, when the other is there already.
			late, _ := draftOf(t, args...)
			r, err = uploadingTo(bench, late, rerun).run(t.Context())
			if same && (err != nil || !r.Attached) || !same && codeOf(err) != exitRejected || bench.written(folder)-before != 1 {
				t.Errorf("%s, later: %+v, %v", folder, r, err)
			}
		}
	}
}

// status writes the status object of an attempt.
func (b *submitBench) status(t *testing.T, r submitted, s job.Snapshot) {
	t.Helper()
	s.Attempt = r.Attempt
	data, err := json.Marshal(s)
	if err == nil {
		_, err = b.Write(t.Context(), "status", fmt.Sprintf("%sstatus-%d.json", r.Folder, r.Generation), data, "", nil,
			attempt.AnyGeneration)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What is there decides what the same command, or another for the same folder, does.
func TestSubmitAgain(t *testing.T) {
	t.Parallel()
	bench := newSubmitBench(t)
	accepted := job.Times{Accepted: time.Now()}
	taken := []job.Violation{{Rule: "job-id-unique", Severity: job.Error}}
	const attached = -1 // ends well, without a job file
	tests := []struct {
		name   string
		status *job.Snapshot
		other  bool // the second command is of another drop
		rerun  bool
		want   int    // exit code; 0 for a new job file
		jobID  string // of the new job file
	}{
		{name: "not looked at", want: attached},
		{name: "waiting", status: &job.Snapshot{State: job.Waiting}, want: attached},
		{name: "running", status: &job.Snapshot{State: job.Running, Times: accepted}, want: attached},
		{name: "running, and a rerun", status: &job.Snapshot{State: job.Running, Times: accepted}, rerun: true, want: attached},
		{name: "succeeded", status: &job.Snapshot{State: job.Succeeded, Times: accepted}, want: attached},
		{name: "succeeded, and a rerun", status: &job.Snapshot{State: job.Succeeded, Times: accepted}, rerun: true,
			jobID: "census_rerun2"},
		{name: "failed", status: &job.Snapshot{State: job.Failed, Times: accepted}, want: exitFailed},
		{name: "failed, and a rerun", status: &job.Snapshot{State: job.Failed, Times: accepted}, rerun: true,
			jobID: "census_rerun2"},
		{name: "rejected", status: &job.Snapshot{State: job.Rejected}, want: exitRejected},
		{name: "rejected, and a rerun", status: &job.Snapshot{State: job.Rejected}, rerun: true, jobID: "census"},
		{name: "cancelled", status: &job.Snapshot{State: job.Cancelled, Times: accepted}, want: exitCancelled},
		{name: "expired", status: &job.Snapshot{State: job.Expired}, want: exitTimedOut},
		{name: "rejected for its ID, and a rerun", status: &job.Snapshot{State: job.Rejected, Violations: taken}, rerun: true,
			jobID: "census_rerun2"},
		{name: "other, rejected for its ID", other: true, status: &job.Snapshot{State: job.Rejected, Violations: taken},
			want: exitRejected},
		{name: "other, not looked at", other: true, want: exitRejected},
		{name: "other, running", other: true, status: &job.Snapshot{State: job.Running, Times: accepted}, want: exitRejected},
		{name: "other, running, and a rerun", other: true, rerun: true,
			status: &job.Snapshot{State: job.Running, Times: accepted}, want: exitRejected},
		{name: "other, rejected", other: true, status: &job.Snapshot{State: job.Rejected}, jobID: "census"},
		{name: "other, its ID used up", other: true, status: &job.Snapshot{
			State: job.Succeeded, Times: accepted, Job: job.JobInfo{ID: "census"},
		}, want: exitRejected},
		{name: "other, its ID used up before a rerun", other: true, status: &job.Snapshot{
			State: job.Succeeded, Times: accepted, Job: job.JobInfo{ID: "census_rerun2"},
		}, want: exitRejected},
		{name: "other, its ID used up before a rerun that was rejected", other: true, status: &job.Snapshot{
			State: job.Rejected, Job: job.JobInfo{ID: "census_rerun3"},
		}, want: exitRejected},
		{name: "other, of another ID", other: true, status: &job.Snapshot{
			State: job.Succeeded, Times: accepted, Job: job.JobInfo{ID: "earlier"},
		}, jobID: "census"},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			folder := fmt.Sprintf("again-%d/", i)
			args := submitFlags("census", "--drop", folder)
			d, _ := draftOf(t, args...)
			first, err := uploadingTo(bench, d, false).run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if test.status != nil {
				bench.status(t, first, *test.status)
			}
			if test.other {
				args = append(args, "--", "--other")
			}
			d, _ = draftOf(t, args...)
			r, err := uploadingTo(bench, d, test.rerun).run(t.Context())
			if test.want > 0 {
				code := codeOf(err)
				if err == nil && r.Attached {
					code = exitOf(r.State)
				}
				if code != test.want || bench.written(folder) != 1 {
					t.Errorf("%+v, %v, %d job files, want exit %d and one", r, err, bench.written(folder), test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if test.want == attached {
				if !r.Attached || r.Generation != first.Generation || bench.written(folder) != 1 {
					t.Errorf("%+v, %d job files, want that it is attached", r, bench.written(folder))
				}
				return
			}
			live, err := bench.Stat(t.Context(), "inbox", folder+jobFileName)
			if err != nil || r.Attached || r.JobID != test.jobID || live.Generation != r.Generation {
				t.Errorf("%+v of %+v, %v, want a new job %s", r, live, err, test.jobID)
			}
			if _, set := live.Metadata[job.MetadataRerun]; set != test.rerun {
				t.Errorf("the metadata are %v", live.Metadata)
			}
			// The same once more attaches to the rerun, whether it says so or not.
			r2, err := uploadingTo(bench, d, false).run(t.Context())
			if err != nil || !r2.Attached || r2.Generation != r.Generation || r2.JobID != test.jobID {
				t.Errorf("once more: %+v, %v", r2, err)
			}
		})
	}
}

// A rerun of what was rejected for its job ID has the number after the folder's last run, and one of a rerun that was
// rejected so the number after its own: none is rejected for the same ID again.
func TestSubmitRerunsWhatWasRejectedForItsID(t *testing.T) {
	t.Parallel()
	bench := newSubmitBench(t)
	d, _ := draftOf(t, submitFlags("census")...)
	first, err := uploadingTo(bench, d, false).run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for generation, id := range map[int64]string{5: "census", 6: "census_rerun7", 7: "census_other"} {
		bench.status(t, submitted{Folder: first.Folder, Generation: generation},
			job.Snapshot{State: job.Succeeded, Times: job.Times{Accepted: time.Now()}, Job: job.JobInfo{ID: id}})
	}
	r := first
	for _, want := range []string{"census_rerun8", "census_rerun9"} {
		bench.status(t, r, job.Snapshot{State: job.Rejected, Violations: []job.Violation{
			{Rule: "job-id-unique", Severity: job.Error},
		}})
		if r, err = uploadingTo(dropper{bench, "census/"}, d, true).run(t.Context()); err != nil || r.JobID != want {
			t.Fatalf("%+v, %v, want the job %s", r, err, want)
		}
	}
}

// A drop that jobdrop must have looked at, without a status, is one whose status was deleted. What became of it is what
// is recorded, to whoever may read that; others are told that it is not known, and may run it again.
func TestSubmitAfterTheStatusIsDeleted(t *testing.T) {
	t.Parallel()
	bench := newSubmitBench(t)
	for i, tt := range []struct {
		name         string
		other, rerun bool
		record       job.State
		repeats      bool // its status is there, and not that of the attempt that it repeats
		code         int
		jobID        string // of the new job file
	}{
		{name: "unknown", code: exitUnknown},
		{name: "unknown, and a rerun", rerun: true, jobID: "census_rerun2"},
		{name: "another drop", other: true, code: exitUnknown},
		{name: "another drop, and a rerun", other: true, rerun: true, jobID: "census_rerun2"},
		{name: "recorded", record: job.Succeeded},
		{name: "recorded, failed", record: job.Failed, code: exitFailed},
		{name: "a repeat", repeats: true, code: exitUnknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			folder := fmt.Sprintf("old-%d/", i)
			args := submitFlags("census", "--drop", folder)
			d, _ := draftOf(t, args...)
			first, err := uploadingTo(bench, d, false).run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if tt.repeats {
				bench.status(t, first, job.Snapshot{State: job.Withdrawn, DuplicateOf: job.FolderKey("inbox", folder) + "-7"})
			}
			if tt.other {
				args = append(args, "--", "--other")
			}
			d, _ = draftOf(t, args...)
			if !tt.repeats {
				d.now = d.now.Add(2 * 24 * time.Hour)
			}
			u := uploadingTo(bench, d, tt.rerun)
			u.record = func(_ context.Context, key string) (job.Snapshot, error) {
				if tt.record == "" || key != first.Attempt {
					return job.Snapshot{}, job.ErrNotFound
				}
				return job.Snapshot{Attempt: key, State: tt.record}, nil
			}
			r, err := u.run(t.Context())
			code := codeOf(err)
			if err == nil && r.Attached {
				code = exitOf(r.State)
			}
			if code != tt.code || tt.jobID != "" && (r.Attached || r.JobID != tt.jobID) {
				t.Errorf("exit %d, %+v, %v; want exit %d and job %q", code, r, err, tt.code, tt.jobID)
			}
		})
	}
}

// Each fault has the code that says who can do something about it; only what may be over at another try is 75.
func TestSubmitFaults(t *testing.T) {
	t.Parallel()
	_, gone := os.Open(filepath.Join(t.TempDir(), "gone"))
	interrupted, interrupt := context.WithCancel(t.Context())
	interrupt()
	for _, tt := range []struct {
		ctx  context.Context
		err  error
		code int
		text string
	}{
		{t.Context(), job.ErrRefused, exitRejected, ""},
		{t.Context(), gone, exitUsage, "gone"},
		{t.Context(), job.ErrNotFound, exitUnknown, "such a bucket"},
		{t.Context(), job.ErrDenied, exitMissing, "storage.objects.create"},
		{t.Context(), job.ErrCredentials, exitMissing, "application-default login"},
		{t.Context(), &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, exitMissing, "certificate"},
		{t.Context(), fault(errDead), exitFault, ""},
		{t.Context(), io.ErrUnexpectedEOF, exitRunning, "goes on"},
		{interrupted, io.ErrUnexpectedEOF, exitInterrupted, "goes on"},
	} {
		err := submitFault(tt.ctx, fmt.Errorf("write: %w", tt.err))
		if codeOf(err) != tt.code || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%v: %v, want exit %d and %q", tt.err, err, tt.code, tt.text)
		}
	}
}

// Credentials that are refused end a command at once, and say how to get others: in a wait, and in an upload.
func TestRefusedCredentials(t *testing.T) {
	t.Parallel()
	refused := &url.Error{Op: "Post", URL: "token", Err: &oauth2.RetrieveError{
		Response: &http.Response{StatusCode: http.StatusBadRequest}, ErrorCode: "invalid_grant",
	}}
	for name, transport := range map[string]http.RoundTripper{
		"status 401": &cloud{status: http.StatusUnauthorized}, "no token": tokenless{refused},
	} {
		store, err := gcs.Over(t.Context(), transport)
		if err != nil {
			t.Fatal(err)
		}
		in := &target{Config: config.Config{Inbox: "inbox", Status: "status"}, storage: store}
		_, err = in.follow(t.Context(), Env{Now: time.Now}, followOptions{folder: "a/", generation: 7, timeout: 5 * time.Second})
		if codeOf(err) != exitMissing || !strings.Contains(err.Error(), login) {
			t.Errorf("%s: a wait: %v", name, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, err = resumable.Upload(ctx, store, "inbox", "a", strings.NewReader("x"), 1, resumable.Options{})
		if !errors.Is(err, job.ErrCredentials) {
			t.Errorf("%s: an upload: %v", name, err)
		}
		cancel()
	}
}

// tokenless is a transport that gets no token.
type tokenless struct{ err error }

func (r tokenless) RoundTrip(*http.Request) (*http.Response, error) { return nil, r.err }

// What the file of --config pins has to be what is dropped.
func TestSubmitComparesPins(t *testing.T) {
	t.Parallel()
	d, _ := draftOf(t, submitFlags("census")...)
	for pin, want := range map[string]int{
		"{name: trainer-0.1.tar.gz, crc32c: " + d.packages[0].CRC32C + "}": exitSucceeded,
		"{name: trainer-0.1.tar.gz, crc32c: AAAAAA==}":                     exitRejected,
		"{name: other-0.1.tar.gz, crc32c: AAAAAA==}":                       exitRejected,
	} {
		config := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(config, []byte("jobdrop:\n  packages:\n    - "+pin+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := run(t, append([]string{"submit", "census", "--dry-run", "--config", config}, submitFlags()...)...); r.code != want {
			t.Errorf("%s: exit %d, want %d\n%s", pin, r.code, want, r.stderr)
		}
	}
}

// A status that may not be read is not taken for one that is not there yet.
func TestSubmitNeedsTheStatus(t *testing.T) {
	t.Parallel()
	bench := newSubmitBench(t, storage.Fault{Do: "return-403", Bucket: "status", Always: true})
	if r := bench.run(t, nil, "census"); r.code != exitSucceeded {
		t.Fatalf("exit %d: %s", r.code, r.stderr)
	}
	if r := bench.run(t, nil, "census"); r.code != exitMissing || r.stdout != "" ||
		!strings.Contains(r.stderr, "the rights storage.objects.get and list on gs://status") {
		t.Errorf("exit %d: %s%s", r.code, r.stdout, r.stderr)
	}
}

// A folder has one job file: submit looks for those of other names before it uploads, and before it drops.
func TestSubmitBesideAnotherJobFile(t *testing.T) {
	t.Parallel()
	bench := newSubmitBench(t)
	for _, during := range []bool{false, true} {
		folder := fmt.Sprintf("beside-%t/", during)
		d, _ := draftOf(t, submitFlags("census", "--drop", folder)...)
		other := func() {
			if _, err := bench.Write(t.Context(), "inbox", folder+"job.yml", []byte("x"), "", nil, 0); err != nil {
				t.Error(err)
			}
		}
		u := uploadingTo(bench, d, false)
		if during {
			send := u.send
			u.send = func(ctx context.Context, bucket, name string, p packed, content io.ReaderAt) (bool, error) {
				other()
				return send(ctx, bucket, name, p, content)
			}
		} else {
			other()
		}
		_, err := u.run(t.Context())
		if codeOf(err) != exitRejected || bench.written(folder) != 1 {
			t.Errorf("%s: %v, and %d job files, want exit 2 and the other one", folder, err, bench.written(folder))
		}
		if _, err := bench.Stat(t.Context(), "inbox", folder+d.packages[0].Name); errors.Is(err, job.ErrNotFound) == during {
			t.Errorf("%s: the package: %v", folder, err)
		}
	}
}

// An attempt that repeats another has that one's verdict.
func TestSubmitFollowsADuplicate(t *testing.T) {
	t.Parallel()
	bench := newSubmitBench(t)
	d, _ := draftOf(t, submitFlags("census")...)
	r, err := uploadingTo(bench, d, false).run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	earlier := submitted{Folder: r.Folder, Generation: 7}
	bench.status(t, earlier, job.Snapshot{State: job.Succeeded})
	bench.status(t, r, job.Snapshot{State: job.Withdrawn, DuplicateOf: job.FolderKey("inbox", r.Folder) + "-7"})
	r, err = uploadingTo(bench, d, false).run(t.Context())
	if err != nil || r.State != job.Succeeded {
		t.Errorf("%+v, %v, want the success of the earlier one", r, err)
	}
}

// dropper is a store with the rights of a dropper: an object that is not there is denied to whoever may not list, and so is
// everything outside its folder.
type dropper struct {
	inboxStore
	folder string
}

// denied returns the error of a call about an object, whose error it has without a look at rights.
func (s dropper) denied(name string, err error) error {
	if !strings.HasPrefix(name, s.folder) || errors.Is(err, job.ErrNotFound) {
		return fmt.Errorf("%s: %w", name, job.ErrDenied)
	}
	return err
}

func (s dropper) Read(ctx context.Context, bucket, name string, generation, limit int64) ([]byte, int64, error) {
	data, g, err := s.inboxStore.Read(ctx, bucket, name, generation, limit)
	return data, g, s.denied(name, err)
}

// ListPage lists a folder: lists below the own one are allowed.
func (s dropper) ListPage(
	ctx context.Context, bucket, prefix, after string, most int,
) (page []job.Attributes, more bool, err error) {
	page, more, err = s.inboxStore.ListPage(ctx, bucket, prefix, after, most)
	return page, more, s.denied(prefix, err)
}

func (s dropper) Stat(ctx context.Context, bucket, name string) (job.Attributes, error) {
	a, err := s.inboxStore.Stat(ctx, bucket, name)
	return a, s.denied(name, err)
}

func (s dropper) Write(ctx context.Context, bucket, name string, data []byte, contentType string,
	metadata map[string]string, ifGeneration int64) (int64, error) {
	if err := s.denied(name, nil); err != nil || bucket != "inbox" {
		return 0, errors.Join(err, job.ErrDenied)
	}
	return s.inboxStore.Write(ctx, bucket, name, data, contentType, metadata, ifGeneration)
}

// A dropper may write and read its folder, and read the status bucket: that is enough to drop, attach, read a verdict and
// drop again.
func TestSubmitTakesADroppersRights(t *testing.T) {
	t.Parallel()
	bench := newSubmitBench(t)
	d, _ := draftOf(t, submitFlags("census", "--prefix", "teams/nlp")...)
	store := dropper{bench, "teams/nlp/census/"}
	first, err := uploadingTo(store, d, false).run(t.Context())
	if err != nil || first.Attached {
		t.Fatalf("the first: %+v, %v", first, err)
	}
	if r, err := uploadingTo(store, d, false).run(t.Context()); err != nil || !r.Attached || r.State != "" {
		t.Errorf("before there is a status: %+v, %v", r, err)
	}
	bench.status(t, first, job.Snapshot{State: job.Failed})
	if r, err := uploadingTo(store, d, false).run(t.Context()); err != nil || r.State != job.Failed {
		t.Errorf("after a failure: %+v, %v", r, err)
	}
	if r, err := uploadingTo(store, d, true).run(t.Context()); err != nil || r.Attached {
		t.Errorf("a rerun: %+v, %v", r, err)
	}
	if n := bench.written("teams/nlp/census/"); n != 2 {
		t.Errorf("%d job files were written, want 2", n)
	}
}

// A drop needs no right to read the policy or the state bucket. With the right, the queue is shown.
func TestSubmitSaysWhatMayBeRead(t *testing.T) {
	t.Parallel()
	settings := map[string]string{"JOBDROP_STATE_BUCKET": "state", "JOBDROP_POLICY": "gs://policy/policy.yaml"}
	denied := func(bucket string) storage.Fault {
		return storage.Fault{Do: "return-403", Bucket: bucket, Always: true}
	}
	r := newSubmitBench(t, denied("state"), denied("policy")).run(t, settings, "census")
	if r.code != exitSucceeded || !strings.Contains(r.stderr, "the installation's policy can't be read") ||
		strings.Contains(r.stderr, "wait for their turn") {
		t.Errorf("exit %d\n%s", r.code, r.stderr)
	}
	if lines := strings.Count(r.stdout, "\n"); lines != 1 || !strings.HasPrefix(r.stdout, "census  gs://inbox/census/#") {
		t.Errorf("the output is %q", r.stdout)
	}
	if want := "to wait for its verdict: jobdrop wait 'gs://inbox/census/#"; !strings.Contains(r.stderr, want) {
		t.Errorf("the output lacks %q: %s", want, r.stderr)
	}

	bench := newSubmitBench(t)
	const paused = "waiting: paused by the operator"
	q := attempt.Queue{At: time.Now(), Total: 1, Waiting: []attempt.Place{
		{Place: 1, Attempt: "other-1", Folder: "other/a/", Reason: paused},
	}}
	queued := func() {
		data, err := json.Marshal(q)
		if err == nil {
			_, err = bench.Write(t.Context(), "state", "queue.json", data, "", nil, attempt.AnyGeneration)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	delete(settings, "JOBDROP_POLICY")
	settings["JOBDROP_PROJECT"] = "project" // so that it is known that there is no policy
	for _, want := range []string{
		"", "an accepted drop waits for its turn before it: full\n",
		"2 accepted drops wait for their turn before it, the first: full\n",
	} {
		queued()
		r = bench.run(t, settings, "census", "-o", "json")
		if r.code != exitSucceeded || !strings.Contains(r.stderr, want) || strings.Contains(r.stderr, "paused") ||
			want == "" && strings.Contains(r.stderr, " turn before it") {
			t.Errorf("exit %d: want %q alone of the queue: %s", r.code, want, r.stderr)
		}
		q.Total++
		q.Waiting = append(q.Waiting, attempt.Place{
			Place: q.Total, Attempt: fmt.Sprintf("own-%d", q.Total), Folder: "census/", Reason: "waiting: full",
		})
	}
	q.Total, q.Waiting = 2, q.Waiting[:1]
	var s submitted
	if err := json.Unmarshal([]byte(r.stdout), &s); err != nil {
		t.Fatal(err)
	}
	q.Waiting = append(q.Waiting, attempt.Place{Place: 2, Attempt: s.Attempt, Reason: "waiting: full"})
	queued()
	r = bench.run(t, settings, "census")
	if want := "it is the 2nd of 2 in the queue: full"; !strings.Contains(r.stderr, want) {
		t.Errorf("exit %d: the output lacks %q: %s", r.code, want, r.stderr)
	}
	// A wait says the place, and each change of it once.
	var said []string
	p := placing{
		target: &target{Config: config.Config{State: "state"}, storage: bench.Client},
		say:    func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) },
	}
	look := func(state job.State) { p.look(t.Context(), job.Snapshot{Attempt: s.Attempt, State: state}) }
	look(job.Waiting)
	look(job.Accepted)
	look(job.Accepted)
	q.Total, q.Waiting = 1, []attempt.Place{{Place: 1, Attempt: s.Attempt}}
	queued()
	look(job.Accepted)
	look(job.Running)
	if diff := cmp.Diff([]string{"it is the 2nd of 2 in the queue", "it is the 1st of 1 in the queue"}, said); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
	// What has ended has its code, and its state in the line.
	bench.status(t, s, job.Snapshot{State: job.TimedOut, Reason: "it ran too long"})
	r = bench.run(t, settings, "census", "-o", "json")
	checkSubmitted(t, "submitted.v1.json", r.stdout)
	if r.code != exitTimedOut || !strings.Contains(r.stdout, `"state":"timed_out","reason":"it ran too long"`) ||
		!strings.Contains(r.stderr, "--rerun runs it again") {
		t.Errorf("exit %d: %s%s", r.code, r.stdout, r.stderr)
	}
}

// A request to cancel says which command was interrupted.
func TestSubmitCancelsOnAnInterrupt(t *testing.T) {
	t.Parallel()
	bench := newSubmitBench(t)
	settings := map[string]string{"JOBDROP_INBOX": "inbox", "JOBDROP_STATUS_BUCKET": "status", "JOBDROP_STATE_BUCKET": "state",
		"STORAGE_EMULATOR_HOST": bench.address}
	d, _ := draftOf(t, submitFlags("census")...)
	first, err := uploadingTo(bench, d, false).run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bench.status(t, first, job.Snapshot{State: job.Running})
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	asked := sync.OnceFunc(func() { bench.status(t, first, job.Snapshot{State: job.Cancelled}) })
	out := io.MultiWriter(&awaited{text: "waiting for gs://", seen: interrupt}, &awaited{text: "asked to cancel", seen: asked})
	env := Env{Out: out, Err: io.Discard, Now: time.Now, Getenv: func(name string) string { return settings[name] }}
	if code := Run(ctx, env, append([]string{"submit"}, submitFlags("census", "--wait", "--cancel-on-interrupt")...)); code !=
		exitCancelled {
		t.Errorf("exit %d, want %d", code, exitCancelled)
	}
	const folder = "requests/"
	found, _, err := bench.ListPage(t.Context(), "state", folder, folder, 2)
	if err != nil || len(found) != 1 {
		t.Fatalf("the requests are %v, %v", found, err)
	}
	data, _, err := bench.Read(t.Context(), "state", found[0].Name, 0, attempt.MaxRequest)
	if err != nil || !strings.Contains(string(data), `"jobdrop submit was interrupted"`) {
		t.Errorf("the request is %s, %v", data, err)
	}
}

// An answer that is lost on its way makes no second drop: the write is tried again, and finds its own.
func TestSubmitLosesAnAnswer(t *testing.T) {
	t.Parallel()
	for object, said := range map[string]string{
		"census/trainer-*": "tar.gz: tried again in ", "census/job.yaml": "the same was dropped meanwhile",
	} {
		bench := newSubmitBench(t, storage.Fault{Do: "lose-answer", Method: "storage.objects.insert", Object: object})
		r := bench.run(t, nil, "census")
		if n := bench.written("census/"); r.code != exitSucceeded || n != 1 || !strings.Contains(r.stderr, said) {
			t.Errorf("%s: exit %d, %d job files\n%s", object, r.code, n, r.stderr)
		}
	}
}

// What the installation's policy may allow or fill in is no fault where the policy is not known, and is one where it is.
func TestSubmitWithoutThePolicy(t *testing.T) {
	t.Parallel()
	flags := []string{
		"submit", "census", "--packages", filepath.Join(dropsDir, "hello", "trainer-0.1.tar.gz"), "--module-name=trainer.task",
		"--region=us-central1", "--scale-tier=basic", "--service-account=a@p.iam.gserviceaccount.com", "--dry-run",
	}
	r := run(t, flags...)
	for _, want := range []string{
		"warning: trainingInput.runtimeVersion: the job has no runtime version; the installation's policy is not known here, " +
			"and may fill it in",
		"warning: trainingInput.serviceAccount: ", "the installation's policy is not known here, and may allow it",
	} {
		if r.code != exitSucceeded || !strings.Contains(r.stderr, want) {
			t.Errorf("exit %d, want %q in\n%s", r.code, want, r.stderr)
		}
	}
	if want := "plan: vertex, with what the installation's policy fills in\n"; !strings.HasSuffix(r.stdout, want) {
		t.Errorf("the output lacks %q: %s", want, r.stdout)
	}
	checkSubmitted(t, "dry-run.v1.json", run(t, append(flags, "-o", "json")...).stdout)
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte("defaults: {runtimeVersion: '2.11'}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r = run(t, append(flags, "--policy", policy)...); r.code != exitRejected ||
		!strings.Contains(r.stderr, "census is not dropped: 2 errors") {
		t.Errorf("exit %d\n%s", r.code, r.stderr)
	}
}

// The line of an upload is written when it changes, and taken away.
func TestUploadLine(t *testing.T) {
	var out bytes.Buffer
	l := uploadLine{to: &out}
	for _, done := range []int64{0, 1, 2 << 20, 4<<20 - 1, 4 << 20} {
		l.show("a.tar.gz", done, 4<<20)
	}
	l.clear()
	l.clear()
	const begin = "\r\x1b[Ka.tar.gz: "
	want := begin + "0 % of 4.0 MiB" + begin + "50 % of 4.0 MiB" + begin + "99 % of 4.0 MiB" + begin + "100 % of 4.0 MiB" + "\r\x1b[K"
	if got := out.String(); got != want {
		t.Errorf("written is %q, want %q", got, want)
	}
	none := uploadLine{} // without a terminal
	none.show("a", 1, 2)
	none.clear()
}

// The plan is said in words.
func TestAsks(t *testing.T) {
	for _, tt := range []struct {
		in   job.TrainingInput
		want string
	}{
		{job.TrainingInput{Region: "us-east1"}, "plan: vertex, us-east1: master n1-standard-4"},
		{job.TrainingInput{
			Region: "r", ScaleTier: "CUSTOM", MasterType: "n1-standard-8", WorkerType: "n1-standard-4", WorkerCount: 2,
			MasterConfig: &job.ReplicaConfig{AcceleratorConfig: &job.AcceleratorConfig{Count: 2, Type: "NVIDIA_TESLA_T4"}},
			Scheduling:   &job.Scheduling{MaxRunningTime: "7200s", MaxWaitTime: "3600s"},
		}, "plan: vertex, r: master n1-standard-8 with 2 NVIDIA_TESLA_T4, workers 2 x n1-standard-4; may run for 2h0m; " +
			"may wait for 1h0m"},
		{job.TrainingInput{Region: "r", ScaleTier: "BASIC_TPU"}, "plan: vertex, r: BASIC_TPU"},
	} {
		if got := asks("vertex", job.Order{Spec: job.Spec{TrainingInput: &tt.in}}); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// A package that lies there under a name of another content is not taken.
func TestSubmitRefusesAFalsePackage(t *testing.T) {
	t.Parallel()
	bench := newSubmitBench(t)
	d, _ := draftOf(t, submitFlags("census")...)
	if _, err := bench.Write(t.Context(), "inbox", "census/"+d.packages[0].Name, []byte("false"), "", nil, 0); err != nil {
		t.Fatal(err)
	}
	_, err := uploadingTo(bench, d, false).run(t.Context())
	if codeOf(err) != exitRejected || bench.written("census/") != 0 {
		t.Errorf("%v, and %d job files, want exit 2 and none", err, bench.written("census/"))
	}
}

// The job file has the same bytes each time, pins what is dropped, and is what the command line says.
func TestSubmitJobFile(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "config.yaml")
	text := "jobId: other\ntrainingInput:\n  region: us-east1\n  runtimeVersion: '2.11'\n  pythonVersion: '3.7'\n" +
		"  scheduling: {maxWaitTime: 3600s}\n  args: [--from-file]\njobdrop:\n  notify: [team]\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{
		"census", "--config", config, "--packages", filepath.Join(dropsDir, "hello", "trainer-0.1.tar.gz"),
		"--module-name=trainer.task", "--region=us-central1", "--scale-tier=basic", "--", "--x", "yes",
	}
	d, _ := draftOf(t, args...)
	got, err := d.jobFile("census")
	if err != nil {
		t.Fatal(err)
	}
	p := d.packages[0]
	want := `jobId: census
trainingInput:
  args:
    - --x
    - "yes"
  packageUris:
    - ` + p.Name + `
  pythonModule: trainer.task
  pythonVersion: "3.7"
  region: us-central1
  runtimeVersion: "2.11"
  scaleTier: BASIC
  scheduling:
    maxWaitTime: "3600s"
jobdrop:
  packages:
    - name: ` + p.Name + `
      crc32c: ` + p.CRC32C + `
  notify:
    - team
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("the job file (-want +got):\n%s", diff)
	}
	again, _ := draftOf(t, args...)
	if text, err := again.jobFile("census"); err != nil || !bytes.Equal(text, got) {
		t.Errorf("again: %v\n%s", err, text)
	}
}

// Whatever the trainer's arguments are, the job file says them.
func TestSubmitJobFileKeepsTexts(t *testing.T) {
	t.Parallel()
	texts := []string{
		"yes", "No", "y", "on", "~", "null", "true", "1", "1.10", "0x1f", "017", "12:30:45", "1e3", "2026-11-29", ".inf", "=", "<<", "",
		" ", "a: b", "a:", ":a", "- x", "-", "--", "---", "-1", "--x=yes", "#c", "a #b", "'", `"`, `\n`, "\n", "a\nb\n", "é", "\u2028",
		"*a", "&a", "!a", "%a", "@a", "`a", "{a}", "[a]", "a,b", "?", "gs://b/x", "\t", "a\\b", "😀", "<&>",
	}
	d, _ := draftOf(t, append(submitFlags("census", "--"), texts...)...)
	text, err := d.jobFile("census")
	if err != nil {
		t.Fatal(err)
	}
	file, vs := jobspec.Parse(jobFileName, text)
	if diff := cmp.Diff(texts, file.Spec.TrainingInput.Args); diff != "" || job.HasErrors(vs) {
		t.Errorf("%v (-want +got):\n%s\n%s", vs, diff, text)
	}
}

func TestWithDigest(t *testing.T) {
	digest := []byte{0xab, 0xcd, 0xef, 1, 2, 3, 4, 5}
	for name, want := range map[string]string{
		"trainer-0.1.tar.gz":                        "trainer-0.1-abcdef010203.tar.gz",
		"trainer-0.1-abcdef010203.tar.gz":           "trainer-0.1-abcdef010203.tar.gz",
		"trainer.tgz":                               "trainer-abcdef010203.tgz",
		"trainer-0.1-py3-none-any.whl":              "trainer-0.1-0_abcdef010203-py3-none-any.whl",
		"trainer-0.1-7-py3-none-any.whl":            "trainer-0.1-7_abcdef010203-py3-none-any.whl",
		"trainer-0.1-0_abcdef010203-py3-none-a.whl": "trainer-0.1-0_abcdef010203-py3-none-a.whl",
		"trainer.whl":                               "trainer.whl",
	} {
		if got := withDigest(name, digest); got != want {
			t.Errorf("withDigest(%s) = %s, want %s", name, got, want)
		}
	}
}

// A fault is told where it can be mended: at its line of the file, or at the flag.
func TestSubmitSaysWhereAFaultIs(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "config.yaml")
	text := "trainingInput:\n  region: mars\n  workerCount: 3\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := run(t, append([]string{"submit", "bad-name", "--dry-run", "--config", config}, submitFlags()[:4]...)...)
	for _, want := range []string{
		config + ":2:11: trainingInput.region: ", "  2 |   region: mars",
		"the command line: jobId: ", "the value comes from the argument JOB", "bad-name is not dropped: ",
		"the job has no runtime version", "; on the command line it is --runtime-version",
	} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("%q is not in\n%s", want, r.stderr)
		}
	}
	if r.code != exitRejected || r.stdout != "" {
		t.Errorf("exit %d, output %q", r.code, r.stdout)
	}
	r = run(t, "submit", "census", "--dry-run", "--module-name", "trainer.task", "--region", "us-central1")
	if r.code != exitRejected || !strings.Contains(r.stderr, "missing a package") ||
		!strings.Contains(r.stderr, "--package-path or --packages") {
		t.Errorf("exit %d\n%s", r.code, r.stderr)
	}
}

func TestParseSubmit(t *testing.T) {
	tests := []struct {
		args []string
		want string // what the error has
	}{
		{[]string{}, "JOB is missing"},
		{[]string{"a", "b"}, `"b" is one argument too many: arguments of the trainer come after --`},
		{[]string{"a", "--packges", "x"}, "did you mean --packages?"},
		{[]string{"a", "--dry-run", "--wait"}, "exclude each other"},
		{[]string{"a", "--dry-run", "--stream-logs"}, "exclude each other"},
		{[]string{"a", "--timeout", "1h"}, "need --wait"},
		{[]string{"a", "--logs"}, "need --wait"},
		{[]string{"a", "--cancel-on-interrupt"}, "need --wait"},
		{[]string{"a", "--wait", "--timeout", "-1s"}, "must not be negative"},
		{[]string{"a", "--drop", "gs://inbox/x/"}, "without gs://BUCKET/: /x/"},
		{[]string{"a", "--drop", "/"}, "name a folder, such as a/"},
		{[]string{"a", "--output", "xml"}, "text or json"},
		{[]string{"a", "--backend", "x"}, "vertex or aiplatform"},
		{[]string{"gcloud", "ai-platform", "jobs", "submit", "training", "j", "--region", "a"}, `--from-gcloud "gcloud …"`},
		{[]string{"--from-gcloud", "gsutil cp"}, "--from-gcloud: the line does not begin with gcloud"},
	}
	for _, test := range tests {
		if _, err := parse(newSubmit, nil, test.args...); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, want an error with %q", test.args, err, test.want)
		}
	}
	if r := run(t, "gcloud", "ai-platform", "--region", "a"); r.code != exitUsage || !strings.Contains(r.stderr, "--from-gcloud") {
		t.Errorf("exit %d: %s", r.code, r.stderr)
	}
	o, err := parse(newSubmit, nil, "--from-gcloud", "gcloud ai-platform jobs submit training j --region a --stream-logs -- --x",
		"--region", "b", "--drop", "/teams/nlp")
	if err != nil {
		t.Fatal(err)
	}
	var got job.Spec
	o.line.Apply(&got)
	want := job.Spec{JobID: "j", TrainingInput: &job.TrainingInput{Region: "b", Args: []string{"--x"}}}
	if diff := cmp.Diff(want, got); diff != "" || !o.wait || !o.logs || o.drop != "teams/nlp/" {
		t.Errorf("wait %t, drop %q, the job (-want +got):\n%s", o.wait, o.drop, diff)
	}
}

// A dry run needs no connection, and says where the drop would go if the settings say so.
func TestSubmitDryRun(t *testing.T) {
	t.Parallel()
	settings := filepath.Join(t.TempDir(), "env")
	text := "JOBDROP_INBOX=acme-inbox\nJOBDROP_PREFIX=teams/nlp\nJOBDROP_BACKEND=aiplatform\n"
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := run(t, append([]string{"submit", "census", "--dry-run", "-o", "json", "--env", settings}, submitFlags()...)...)
	var got drawn
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || r.code != exitSucceeded {
		t.Fatalf("exit %d, %v\n%s%s", r.code, err, r.stdout, r.stderr)
	}
	checkSubmitted(t, "dry-run.v1.json", r.stdout)
	if got.Drop != "gs://acme-inbox/teams/nlp/census/" || got.Job.JobID != "census" || len(got.Packages) != 1 ||
		got.Plan.Backend != "aiplatform" || !strings.Contains(got.JobFile, got.Packages[0].Name) {
		t.Errorf("shown is\n%s", r.stdout)
	}
	r = run(t, append([]string{"submit", "census", "--dry-run", "--quiet"}, submitFlags()...)...)
	if !strings.HasPrefix(r.stdout, "gs://INBOX/census/trainer-0.1-") || !strings.Contains(r.stderr, "--quiet is not used") {
		t.Errorf("exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}
