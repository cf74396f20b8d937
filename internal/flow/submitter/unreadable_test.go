package submitter_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fsouza/fake-gcs-server/fakestorage"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/internal/testing/storagetest"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// closed is a transport to a storage service that answers for some objects as Cloud Storage does
// for those that can't be read. It goes to the emulator for all others.
type closed struct {
	to *url.URL

	mu sync.Mutex
	// answers holds what the service answers for objects that can't be read, by name.
	answers map[string]answer
}

type answer struct {
	status          int
	reason, message string
}

func (c *closed) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	for name, a := range c.answers {
		reads := r.URL.Query().Get("alt") == "media" || strings.Contains(r.URL.Path, "/rewriteTo/")
		escaped := url.PathEscape(name)
		if !reads || !strings.Contains(r.URL.EscapedPath(), "/o/"+escaped) {
			continue
		}
		c.mu.Unlock()
		body, err := json.Marshal(map[string]any{"error": map[string]any{
			"code": a.status, "message": a.message,
			"errors": []any{map[string]any{"message": a.message, "domain": "global", "reason": a.reason}},
		}})
		return &http.Response{
			StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
			Header: http.Header{"Content-Type": {"application/json; charset=UTF-8"}},
			Body:   io.NopCloser(bytes.NewReader(body)),
		}, err
	}
	c.mu.Unlock()
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = c.to.Scheme, c.to.Host
	r.Host = c.to.Host
	return http.DefaultTransport.RoundTrip(r)
}

func (c *closed) open() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers = nil
}

// An object that can't be read is told of, with the service's words. Its attempt waits for the right
// to read it, and expires. Nothing that Submit or a tick does fails for it.
func TestSubmitUnreadableObject(t *testing.T) {
	t.Parallel()
	kinds := map[string]answer{
		"a key of the uploader's": {http.StatusBadRequest, "resourceIsEncryptedWithCustomerEncryptionKey",
			"The target object is encrypted by a customer-supplied encryption key."},
		"a key that is disabled": {http.StatusForbidden, "forbidden",
			"Cloud KMS key projects/p/locations/us/keyRings/r/cryptoKeys/k is disabled."},
		"a closed object": {http.StatusForbidden, "forbidden",
			"jobdrop@p.iam.gserviceaccount.com does not have storage.objects.get access to the object."},
		"requester pays": {http.StatusBadRequest, "required",
			"Bucket is a requester pays bucket but no user project provided."},
	}
	for name, a := range kinds {
		for _, object := range []string{"a/" + tarball, "a/job.yaml"} {
			t.Run(name+"/"+object, func(t *testing.T) {
				w, c := closedWorld(t, map[string]answer{object: a})
				f := w.drop("a/", spec)
				for range 3 {
					w.pass(time.Minute)
					w.tick()
				}
				w.want(f, job.Waiting, "can read "+strings.TrimPrefix(object, "a/"), 0)
				w.want(f, job.Waiting, a.message, 0)
				if n := strings.Count(w.log.String(), "object can't be read"); n != 1 {
					t.Errorf("%d lines in the log, want 1:\n%s", n, w.log.String())
				}
				w.pass(20 * time.Minute)
				w.tick()
				if told := w.topic.of(job.AttemptKey(f)); !strings.Contains(told, "drop.incomplete") {
					t.Errorf("events %s, want that the drop is incomplete", told)
				}
				c.open()
				w.pass(time.Minute)
				w.tick()
				w.want(f, job.Submitted, "", 1)
			})
		}
	}
	t.Run("for ever", func(t *testing.T) {
		w, _ := closedWorld(t, map[string]answer{"a/" + tarball: kinds["a closed object"]})
		f := w.drop("a/", spec)
		w.pass(25 * time.Hour)
		w.tick()
		w.want(f, job.Expired, "never able to read "+tarball, 0)
		w.want(w.drop("b/", spec), job.Submitted, "", 1) // the others are not held up
	})
}

// A copy reads the package and writes to the staging bucket. Only an object that can't be read is the
// uploader's to mend; a right on the staging bucket is the installation's.
func TestSubmitDeniedCopy(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		// denies reports whether the service denies a call that comes after the check.
		denies func(storagetest.Call) bool
		waits  bool
	}{
		{"the staging bucket takes no writes", func(c storagetest.Call) bool { return c.Bucket == "staging" }, false},
		{"the package can't be read any more", func(c storagetest.Call) bool {
			return c.Kind == "copy" || c.Kind == "read" && c.Name == "a/"+tarball
		}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.put("a/"+tarball, pkg(t, "hello"))
			f := w.put("a/job.yaml", []byte(spec))
			var staging atomic.Bool // the ID is claimed at the same time
			w.storage.Before = func(c storagetest.Call) error {
				if c.Kind == "copy" {
					staging.Store(true)
				}
				if staging.Load() && test.denies(c) {
					return fmt.Errorf("%s gs://%s/%s: %w", c.Kind, c.Bucket, c.Name, job.ErrDenied)
				}
				return w.before()
			}
			err := w.submit.Submit(t.Context(), f)
			if test.waits {
				if err != nil {
					t.Errorf("Submit: %v", err)
				}
				w.want(f, job.Waiting, "can read "+tarball, 0)
			} else {
				if !errors.Is(err, job.ErrDenied) {
					t.Errorf("Submit: %v, want that the copy was denied", err)
				}
				if r, err := w.ledger.Get(t.Context(), job.AttemptKey(f)); !errors.Is(err, job.ErrNotFound) {
					t.Errorf("the attempt is %s: %q, %v; want no record", r.State, r.Reason, err)
				}
			}
			w.storage.Before = func(storagetest.Call) error { return w.before() }
			w.pass(redelivery)
			w.wake(f)
			w.want(f, job.Submitted, "", 1)
		})
	}
}

// A package that was packed for transport is unpacked on its way to staging, and compared with what
// was checked.
func TestSubmitStagesWhatWasChecked(t *testing.T) {
	t.Parallel()
	for _, cut := range []bool{false, true} {
		w := newWorld(t)
		w.putPacked("a/" + tarball)
		f := w.put("a/job.yaml", []byte(spec))
		w.submitOver(&cutter{w.storage, cut})
		err := w.submit.Submit(t.Context(), f)
		if cut {
			if err == nil || len(w.created()) != 0 {
				t.Errorf("%v, jobs %q; want an error: what was staged is not what was checked", err, w.created())
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		w.want(f, job.Submitted, "", 1)
		receipt := w.record(f).Drop.Receipt
		name := strings.TrimPrefix(receipt.Staged[0], "gs://staging/")
		data, _, err := w.storage.Client.Read(t.Context(), "staging", name, 0, 1<<20)
		if err != nil || !bytes.Equal(data, pkg(t, "hello")) {
			t.Errorf("%d bytes are staged, %v; want the package unpacked", len(data), err)
		}
	}
}

// putPacked uploads the package as it is packed for transport.
func (w *world) putPacked(name string) {
	w.t.Helper()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(pkg(w.t, "hello")); err != nil {
		w.t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.server.CreateObject(fakestorage.Object{
		ObjectAttrs: fakestorage.ObjectAttrs{BucketName: inbox, Name: name, ContentEncoding: "gzip"},
		Content:     packed.Bytes(),
	})
}

// A package that was packed for transport is stored once, however often its drop is looked at, if what
// is staged is what was checked.
func TestSubmitStagesPackedPackagesOnce(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		meddle func(*world, storagetest.Call) // with what was stored
		denied bool
		stores int
	}{
		{name: "as it was checked", stores: 1},
		{name: "other content", stores: 2, meddle: func(w *world, c storagetest.Call) {
			if _, err := w.storage.Client.Write(w.t.Context(), c.Bucket, c.Name, []byte("other"), "", nil,
				attempt.AnyGeneration); err != nil {
				w.t.Error(err)
			}
		}},
		{name: "without the right to look", stores: 2, denied: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.putPacked("a/" + tarball)
			f := w.put("a/job.yaml", []byte(spec))
			var stored storagetest.Call
			var begun, over atomic.Bool
			w.storage.Before = func(c storagetest.Call) error {
				switch {
				case c.Kind == "store":
					stored = c
					begun.Store(true)
				case c.Kind == "stat" && c.Bucket == "staging" && test.denied:
					return job.ErrDenied
				case c.Kind == "write" && begun.Load() && !over.Load():
					return errors.New("connection reset")
				}
				return w.before()
			}
			if err := w.submit.Submit(t.Context(), f); err == nil {
				t.Error("the first visit succeeded")
			}
			over.Store(true)
			if test.meddle != nil {
				test.meddle(w, stored)
			}
			w.pass(redelivery)
			w.wake(f)
			w.want(f, job.Submitted, "", 1)
			if n := count(w.storage.Calls())["store staging"]; n != test.stores {
				t.Errorf("stored %d times, want %d", n, test.stores)
			}
			data, _, err := w.storage.Client.Read(t.Context(), stored.Bucket, stored.Name, 0, 1<<20)
			if err != nil || !bytes.Equal(data, pkg(t, "hello")) {
				t.Errorf("%d bytes are staged, %v; want the package unpacked", len(data), err)
			}
		})
	}
}

// cutter is a storage that may lose the end of what it stores.
type cutter struct {
	*storagetest.Faults
	cut bool
}

func (c *cutter) Store(ctx context.Context, bucket, name string, content io.Reader) (job.Object, error) {
	if c.cut {
		content = io.LimitReader(content, 100)
	}
	return c.Faults.Store(ctx, bucket, name, content)
}

// closedWorld returns a world whose storage answers so for some objects, and what opens them.
func closedWorld(t *testing.T, answers map[string]answer) (*world, *closed) {
	t.Helper()
	_, server := storagetest.New(t, inbox, "state", "staging", "status")
	to, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	c := &closed{to: to, answers: answers}
	client, err := gcs.Over(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return newWorldOver(t, client, server), c
}

// lockedBuffer is a buffer for several writers.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// An object outside the folder that can't be looked at, or that is replaced each time it is read, fails
// no tick: the attempt waits, with the service's words, or is looked at again.
func TestSubmitUnreadablePackageFromElsewhere(t *testing.T) {
	t.Parallel()
	shared := func(t *testing.T) (w *world, upload func()) {
		t.Helper()
		w = newWorld(t)
		w.operator("allow: {packageSources: ['gs://shared/*.gz']}\n")
		w.server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "shared"})
		upload = func() {
			t.Helper()
			if _, err := w.storage.Client.Write(t.Context(), "shared", "lib-0.1.tar.gz", pkg(t, "hello"), "application/gzip",
				nil, attempt.AnyGeneration); err != nil {
				t.Fatal(err)
			}
		}
		upload()
		return w, upload
	}
	const file = spec + "  packageUris: [gs://shared/lib-0.1.tar.gz]\n"
	t.Run("refused", func(t *testing.T) {
		w, _ := shared(t)
		w.storage.Before = func(c storagetest.Call) error {
			if c.Kind == "stat" && c.Bucket == "shared" {
				return fmt.Errorf("bucket is a requester pays bucket: %w", job.ErrRefused)
			}
			return w.before()
		}
		f := w.put("a/job.yaml", []byte(file))
		w.wake(f)
		w.pass(time.Minute)
		w.tick()
		w.want(f, job.Waiting, "requester pays", 0)
	})
	t.Run("replaced", func(t *testing.T) {
		w, upload := shared(t)
		w.storage.Before = func(c storagetest.Call) error {
			if c.Kind == "read" && c.Bucket == "shared" {
				upload()
			}
			return w.before()
		}
		f := w.put("a/job.yaml", []byte(file))
		if err := w.submit.Submit(t.Context(), f); !attempt.Contended(err) {
			t.Errorf("Submit: %v, want that the object changed", err)
		}
		w.pass(time.Minute)
		w.tick()
		w.storage.Before = func(storagetest.Call) error { return w.before() }
		w.tick()
		w.want(f, job.Submitted, "", 1)
	})
}

// ending is a context whose time is over once done is closed.
type ending struct {
	context.Context
	done chan struct{}
}

func (e ending) Done() <-chan struct{} { return e.done }

func (e ending) Err() error {
	select {
	case <-e.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// slowWorld returns a world with a drop in a/, the drop's job file, and a submit whose time is over at
// the first call of a kind. A store takes its time once the job ID is claimed, which happens beside it.
func slowWorld(t *testing.T, kind, bucket string) (w *world, f job.Object, submit func() error) {
	t.Helper()
	w = newWorld(t)
	w.tick()
	if kind == "store" {
		w.putPacked("a/" + tarball)
	} else {
		w.put("a/"+tarball, pkg(t, "hello"))
	}
	f = w.put("a/job.yaml", []byte(spec))
	return w, f, func() error {
		ctx := ending{t.Context(), make(chan struct{})}
		claimed := make(chan struct{})
		var claims, once sync.Once
		w.storage.Before = func(c storagetest.Call) error {
			if c.Kind == kind && c.Bucket == bucket {
				if kind == "store" {
					<-claimed
				}
				once.Do(func() { close(ctx.done) })
				return ctx.Err()
			}
			return w.before()
		}
		w.storage.After = func(c storagetest.Call) error {
			if c.Kind == "write" && strings.HasPrefix(c.Name, "jobs/") {
				claims.Do(func() { close(claimed) })
			}
			return nil
		}
		defer func() {
			w.storage.Before, w.storage.After = func(storagetest.Call) error { return w.before() }, nil
		}()
		return w.submit.Replay(ctx, f) // which reads one after the other, as ticks do
	}
}

// A check that the time does not suffice for is told apart from all else that takes the time: from the
// list before it, and from what is written afterwards. Its attempt waits.
func TestSubmitSlowCheck(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name         string
		kind, bucket string
		slow         bool
	}{
		{"the check", "read", inbox, true},
		{"the unpacking on the way to staging", "store", "staging", true},
		{"the list", "list", inbox, false},
		{"the copy", "copy", "staging", false},
		{"the folder's note", "write", "state", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, f, submit := slowWorld(t, test.kind, test.bucket)
			if err := submit(); err == nil || attempt.Slow(err) != test.slow {
				t.Errorf("Submit: %v, want that the check was slow: %v", err, test.slow)
			}
			if test.slow {
				w.want(f, job.Waiting, "cut off by its time", 0)
				w.pass(6 * time.Minute)
			}
			w.tick()
			w.wake(f)
			w.want(f, job.Submitted, "", 1)
		})
	}
}

// An attempt whose checks are cut off is not checked by each tick. It is told of, and expires.
func TestSubmitSlowCheckEnds(t *testing.T) {
	t.Parallel()
	w, f, submit := slowWorld(t, "read", inbox)
	checks := 0
	const ticks = 5 * time.Minute
	for range 26 * time.Hour / ticks {
		if err := submit(); attempt.Slow(err) {
			checks++
		} else if err != nil {
			t.Fatal(err)
		}
		w.pass(ticks)
		if w.record(f).State.Terminal() {
			break
		}
	}
	w.want(f, job.Expired, "every check of the drop was cut off by its time", 0)
	if told := w.topic.of(job.AttemptKey(f)); told != "drop.incomplete drop.expired" {
		t.Errorf("events %q, want that the drop was incomplete and expired", told)
	}
	if checks < 20 || checks > 40 {
		t.Errorf("%d checks in a day, want one about each hour, and more at first", checks)
	}
	w.want(w.drop("b/", spec), job.Submitted, "", 1) // the others are not held up
}

// What the folder shows is checked at once if it is not what the check was cut off for.
func TestSubmitChecksANewPackageAtOnce(t *testing.T) {
	t.Parallel()
	w, f, submit := slowWorld(t, "read", inbox)
	if err := submit(); !attempt.Slow(err) {
		t.Fatalf("Submit: %v, want that the check was slow", err)
	}
	w.storage.Reset()
	w.tick()
	if n := count(w.storage.Calls())["read "+inbox]; n > 0 {
		t.Errorf("%d reads of the inbox right after the check, want none", n)
	}
	w.wake(w.put("a/"+tarball, pkg(t, "hello")))
	w.want(f, job.Submitted, "", 1)
}

// A drop that waits for the checks of others is not slow itself.
func TestSubmitWaitsForTheChecksOfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("a/"+tarball, pkg(t, "hello"))
	f := w.put("a/job.yaml", []byte(spec))
	began, end := make(chan struct{}, 1), make(chan struct{})
	w.options.Inspections = 1
	w.submitOver(&hanging{w.storage, began, end})
	w.put("b/"+tarball, pkg(t, "hello"))
	w.put("b/trainer-0.2.tar.gz", pkg(t, "train"))
	other := w.put("b/job.yaml", []byte(spec+"  packageUris: [trainer-0.1.tar.gz]\n"))
	done := make(chan error)
	go func() { done <- w.submit.Submit(t.Context(), other) }()
	<-began
	ctx := ending{t.Context(), make(chan struct{})}
	w.asked = sync.OnceFunc(func() { close(ctx.done) }) // right before the check
	if err := w.submit.Replay(ctx, f); !attempt.Contended(err) || attempt.Slow(err) {
		t.Errorf("Submit: %v, want that others are checked", err)
	}
	if _, err := w.ledger.Get(t.Context(), job.AttemptKey(f)); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("the record: %v, want none", err)
	}
	close(end)
	if err := <-done; err != nil {
		t.Error(err)
	}
	w.pass(redelivery)
	w.wake(f)
	w.want(f, job.Submitted, "", 2)
}

// hanging is a storage whose reads of packages hang until end is closed. Of a drop with several, none is
// read before its check has begun.
type hanging struct {
	*storagetest.Faults
	began, end chan struct{}
}

func (h *hanging) Open(ctx context.Context, bucket, name string, generation int64) (io.ReadCloser, error) {
	if !strings.HasSuffix(name, ".tar.gz") {
		return h.Faults.Open(ctx, bucket, name, generation)
	}
	select {
	case h.began <- struct{}{}:
	default:
	}
	select {
	case <-h.end:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return h.Faults.Open(ctx, bucket, name, generation)
}
