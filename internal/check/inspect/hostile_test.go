package inspect_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/check/inspect"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/testing/hostile"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// inspectFile makes the test binary, run again, inspect a package and nothing else.
// Its memory is then the inspection's.
const inspectFile = "INSPECT_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(inspectFile); path != "" {
		if err := inspectAlone(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// alone is what a process tells that inspected one drop.
type alone struct {
	KiB        int // its peak memory
	Took       time.Duration
	Violations []job.Violation
}

func inspectAlone(path string) error {
	name := filepath.Base(path)
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	d := job.Drop{
		Bucket: "inbox", Folder: "drop/",
		JobFiles: []job.Object{{Bucket: "inbox", Name: "drop/job.yaml", Size: int64(len(valid))}},
		Packages: []job.Object{{Bucket: "inbox", Name: "drop/" + name, Size: info.Size()}},
	}
	open := func(_ context.Context, o job.Object) (io.ReadCloser, error) {
		if o.Base() == "job.yaml" {
			return io.NopCloser(strings.NewReader(valid)), nil
		}
		return os.Open(path)
	}
	began := time.Now()
	r, err := inspect.Drop(context.Background(), d, inspect.Objects{Open: open},
		policy.Policy{Project: "project", Inbox: "inbox"})
	if err != nil {
		return err
	}
	told := alone{Took: time.Since(began), Violations: r.Violations}
	if told.KiB, err = hostile.PeakMemory("self"); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(told)
}

// checkAlone checks a drop of a job file with its metadata and no packages, and
// returns what that took.
func checkAlone(t testing.TB, file []byte, metadata map[string]string) (inspect.Result, uint64, time.Duration) {
	f := folder{files: map[string]string{"job.yaml": string(file)}}
	d := f.drop()
	d.Metadata = metadata
	var r inspect.Result
	var err error
	began := time.Now()
	allocated := hostile.Allocated(func() {
		r, err = inspect.Drop(t.Context(), d, inspect.Objects{Open: f.open},
			policy.Policy{Project: "project", Inbox: "inbox"})
	})
	took := time.Since(began)
	if err != nil {
		t.Errorf("error %v", err)
	}
	if len(r.Violations) > 1000 {
		t.Errorf("%d violations", len(r.Violations))
	}
	for _, v := range r.Violations {
		if len(v.String()) > 4000 {
			t.Errorf("violation of %d bytes: %.200q", len(v.String()), v)
		}
	}
	return r, allocated, took
}

// verdict returns the first thing that is wrong.
func verdict(vs []job.Violation) string {
	if i := slices.IndexFunc(vs, func(v job.Violation) bool { return v.Severity != job.Warning }); i >= 0 {
		return fmt.Sprintf("%.150s", vs[i])
	}
	return "accepted"
}

// Whatever a job file and its metadata hold, the check ends within its memory, and
// with a verdict. With -v it prints what each takes.
func TestHostileJobFiles(t *testing.T) {
	hostile.Measures(t)
	check := func(name string, file []byte, metadata map[string]string, rejected bool) {
		t.Run(name, func(t *testing.T) {
			r, allocated, took := checkAlone(t, file, metadata)
			if allocated > hostile.JobFileMemory {
				t.Errorf("the check allocates %d MiB", allocated>>20)
			}
			if rejected && !job.HasErrors(r.Violations) {
				t.Error("no violation")
			}
			t.Logf("%6.1f MiB in %8v: %s", float64(allocated)/(1<<20), took.Round(100*time.Microsecond), verdict(r.Violations))
		})
	}
	for _, file := range hostile.JobFiles() {
		check(file.Name, file.Data, nil, true)
	}
	for _, name := range slices.Sorted(maps.Keys(hostile.Metadata())) {
		check("metadata/"+name, []byte(valid), hostile.Metadata()[name], false)
	}
}

// BenchmarkHostileJobFiles fails where a check takes more than a second.
func BenchmarkHostileJobFiles(b *testing.B) {
	for _, file := range hostile.JobFiles() {
		b.Run(file.Name, func(b *testing.B) {
			for b.Loop() {
				checkAlone(b, file.Data, nil)
			}
			if took := b.Elapsed() / time.Duration(b.N); took > time.Second {
				b.Errorf("%v for one check", took)
			}
		})
	}
}

// Whatever a package holds, the process that inspects it keeps within its memory,
// and the drop gets a verdict. With -v it prints what each takes, with HOSTILE=all
// of every package.
func TestHostilePackages(t *testing.T) {
	hostile.Measures(t)
	if runtime.GOOS != "linux" {
		t.Skip("reads the peak memory from /proc")
	}
	dir := t.TempDir()
	for _, p := range hostile.Some(hostile.Packages()) {
		t.Run(p.File+"/"+p.Name, func(t *testing.T) {
			path := filepath.Join(dir, p.File)
			if err := os.WriteFile(path, p.Make(), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), inspectFile+"="+path)
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			var told alone
			if err := json.Unmarshal(out, &told); err != nil {
				t.Fatal(err)
			}
			if told.KiB > hostile.PackageMemory>>10 {
				t.Errorf("the process has %d MiB", told.KiB>>10)
			}
			if p.Refused && !job.HasErrors(told.Violations) {
				t.Error("no violation")
			}
			t.Logf("%6d MiB in %8v: %s", told.KiB>>10, told.Took.Round(100*time.Microsecond), verdict(told.Violations))
		})
	}
}
