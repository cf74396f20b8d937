package watcher_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/flow/watcher"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// misnamed is a watcher that reports folders whose job file is misnamed, and what it reported.
type misnamed struct {
	*fake
	*watcher.Watcher
	log   bytes.Buffer
	told  []job.Misnamed
	alone time.Duration // the patience with packages alone
	err   error         // of each report
	lists []string
}

func (m *misnamed) ListAfter(ctx context.Context, bucket, prefix, after string,
	page func([]job.Attributes) error) error {
	m.lists = append(m.lists, prefix)
	return m.fake.ListAfter(ctx, bucket, prefix, after, page)
}

func watchMisnamed(t *testing.T, f *fake) *misnamed {
	t.Helper()
	m := &misnamed{fake: f}
	o := f.options()
	o.Logger = slog.New(slog.NewTextHandler(&m.log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	o.Patience = func(context.Context) (func(string) job.Patience, error) {
		return func(folder string) job.Patience {
			if strings.HasPrefix(folder, "never/") {
				return job.Patience{}
			}
			return job.Patience{Incomplete: time.Hour, Alone: m.alone}
		}, f.broken["patience"]
	}
	o.Near = func(names []string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name != "config.yaml" })
	}
	o.TellMisnamed = func(_ context.Context, told job.Misnamed) error {
		m.told = append(m.told, told)
		return m.err
	}
	w, err := watcher.New(f.fakeLedger, f.fakeBackend, m, f.fakeRelay, f.fakeSubmitter, o)
	if err != nil {
		t.Fatal(err)
	}
	m.Watcher = w
	return m
}

// ticks ticks every five minutes for some hours.
func (m *misnamed) ticks(t *testing.T, hours int) {
	t.Helper()
	for range hours * 12 {
		m.now = m.now.Add(5 * time.Minute)
		ticked(t, m.Watcher)
	}
}

func (m *misnamed) folders() []string {
	var names []string
	for _, told := range m.told {
		names = append(names, told.Prefix)
	}
	return names
}

// A folder with packages and a misnamed job file is reported once, after the patience with its
// newest object, by the list that each tick makes anyway.
func TestMisnamed(t *testing.T) {
	f := newFake()
	f.upload("census/config.yaml", start.Add(time.Minute))
	f.upload("census/trainer.tar.gz", start)
	f.upload("census/dist/other.whl", start.Add(-time.Hour))
	f.upload("drop/config.yaml", start)
	f.upload("drop/job.yaml", start.Add(-100*time.Hour))
	f.upload("drop/trainer.tar.gz", start)
	f.upload("empty/config.yaml", start)
	f.upload("below/config.yaml", start)
	f.upload("below/dist/trainer.tar.gz", start)
	f.upload("never/config.yaml", start)
	f.upload("never/trainer.tar.gz", start)
	f.upload("outer/config.yaml", start)
	f.upload("outer/inner/config.yaml", start)
	f.upload("outer/inner/trainer.tar.gz", start)
	f.upload("outer/trainer.tar.gz", start)
	f.upload("zero/config.yaml", start)
	f.uploaded[len(f.uploaded)-1].Size = 0
	f.upload("zero/trainer.tar.gz", start)
	m := watchMisnamed(t, f)
	m.ticks(t, 3)
	want := []job.Misnamed{
		{Bucket: "inbox", Prefix: "census/", At: start.Add(65 * time.Minute)},
		{Bucket: "inbox", Prefix: "outer/inner/", At: start.Add(65 * time.Minute)},
		{Bucket: "inbox", Prefix: "outer/", At: start.Add(65 * time.Minute)},
	}
	for i := range want {
		want[i].Near = []string{"config.yaml"}
		want[i].Reason = "The folder has packages and no job file, which is called job.yaml, job.yml or job.json: config.yaml."
	}
	if diff := gocmp.Diff(want, m.told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if n := strings.Count(m.log.String(), "packages with a misnamed job file"); n != 3 {
		t.Errorf("%d lines:\n%s", n, &m.log)
	}
	if len(m.lists) != 36 {
		t.Errorf("%d lists in 36 ticks: %q", len(m.lists), slices.Compact(m.lists))
	}
}

// A new installation reports nothing of what lay there.
func TestMisnamedBefore(t *testing.T) {
	f := newFake()
	f.upload("census/config.yaml", start.Add(-3*time.Hour))
	f.upload("census/trainer.tar.gz", start.Add(-3*time.Hour))
	m := watchMisnamed(t, f)
	m.ticks(t, 3)
	if len(m.told) > 0 || m.log.Len() > 0 {
		t.Errorf("told %v:\n%s", m.told, &m.log)
	}
}

// A folder that two slices of the inbox share is seen whole by the second, wherever the first ends.
func TestMisnamedInSlices(t *testing.T) {
	for more := range 30 {
		f := newFake()
		f.pageSize = 4 // twenty objects are a slice
		for i := range more {
			f.upload(fmt.Sprintf("a/%02d.txt", i), start)
		}
		f.upload("b/config.yaml", start)
		f.upload("b/trainer.tar.gz", start)
		for i := range 30 {
			f.upload(fmt.Sprintf("c/%02d.txt", i), start)
		}
		m := watchMisnamed(t, f)
		m.ticks(t, 4)
		if diff := gocmp.Diff([]string{"b/"}, m.folders()); diff != "" {
			t.Errorf("after %d objects (-want +got):\n%s", more, diff)
		}
	}
}

// What a slice has reported, the next one does not report again, though it begins before it.
func TestMisnamedOnceInSlices(t *testing.T) {
	for more := range 30 {
		f := newFake()
		f.pageSize = 4
		for i := range more {
			f.upload(fmt.Sprintf("a/%02d.txt", i), start)
		}
		f.upload("b/a.tar.gz", start)
		for _, folder := range []string{"b/a/", "b/b/"} {
			f.upload(folder+"config.yaml", start)
			f.upload(folder+"trainer.tar.gz", start)
		}
		for i := range 30 {
			f.upload(fmt.Sprintf("c/%02d.txt", i), start)
		}
		m := watchMisnamed(t, f)
		m.alone = time.Hour
		m.ticks(t, 4)
		if diff := gocmp.Diff([]string{"b/a/", "b/b/"}, m.folders()); diff != "" {
			t.Errorf("after %d objects (-want +got):\n%s", more, diff)
		}
		if n := strings.Count(m.log.String(), "packages without a job file"); n != 3 {
			t.Errorf("after %d objects: %d folders with packages alone", more, n)
		}
	}
}

// A folder that spans slices does not hold up the scan, and may go without a report.
func TestMisnamedInALargeFolder(t *testing.T) {
	f := newFake()
	f.pageSize = 4
	f.upload("a/config.yaml", start)
	for i := range 100 {
		f.upload(fmt.Sprintf("a/%03d/config.yaml", i), start)
	}
	f.upload("a/trainer.tar.gz", start)
	f.upload("z/config.yaml", start)
	f.upload("z/trainer.tar.gz", start)
	m := watchMisnamed(t, f)
	m.ticks(t, 6)
	if diff := gocmp.Diff([]string{"z/"}, m.folders()); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// Folders within folders do not hold up the scan, either: a tick gets on by four pages at least.
func TestMisnamedInDeepFolders(t *testing.T) {
	f := newFake()
	f.pageSize = 4
	for i := range 96 {
		f.upload(strings.Repeat("d/", i+1)+"config.yaml", start)
	}
	m := watchMisnamed(t, f)
	ticked(t, m.Watcher) // the first round only begins when the epoch is known
	for range 2 {
		f.now = f.now.Add(5 * time.Minute)
		ticked(t, m.Watcher)
	}
	ends, last := 0, f.cursors.Inbox.Last
	for range 14 {
		f.now = f.now.Add(5 * time.Minute)
		ticked(t, m.Watcher)
		if !f.cursors.Inbox.Last.Equal(last) {
			ends, last = ends+1, f.cursors.Inbox.Last
		}
	}
	if ends < 2 {
		t.Errorf("%d rounds ended in 14 ticks", ends)
	}
}

// Any number of folders costs a tick no more than some writes, and of the rest their number is
// logged. A status that can't be written is tried once, and makes no tick fail.
func TestMisnamedIsBounded(t *testing.T) {
	for _, err := range []error{nil, errors.New("forbidden")} {
		f := newFake()
		f.pageSize = 1000
		for i := range 50 {
			f.upload(fmt.Sprintf("d%02d/config.yaml", i), start)
			f.upload(fmt.Sprintf("d%02d/trainer.tar.gz", i), start)
		}
		m := watchMisnamed(t, f)
		m.err = err
		m.ticks(t, 3)
		want := 20
		if err != nil {
			want = 1
		}
		log := m.log.String()
		if len(m.told) != want || strings.Count(log, "packages with a misnamed job file") != 20 ||
			!strings.Contains(log, "folders=30") || strings.Contains(log, "forbidden") != (err != nil) {
			t.Errorf("%v: told %q:\n%s", err, m.folders(), log)
		}
	}
}

// Without the policy nothing is reported, and the tick says why, once.
func TestMisnamedWithoutPatience(t *testing.T) {
	f := newFake()
	for i := range 5 {
		f.upload(fmt.Sprintf("d%02d/config.yaml", i), start)
		f.upload(fmt.Sprintf("d%02d/trainer.tar.gz", i), start)
	}
	m := watchMisnamed(t, f)
	ticked(t, m.Watcher)
	f.now = f.now.Add(time.Minute)
	ticked(t, m.Watcher)
	f.broken["patience"] = errors.New("the policy is not valid")
	f.now = f.now.Add(time.Hour)
	if err := m.Tick(t.Context()); !errors.Is(err, f.broken["patience"]) || f.beats[2].Failed != 1 || len(m.told) > 0 {
		t.Errorf("%v, %+v, told %v", err, f.beats[2], m.told)
	}
}
