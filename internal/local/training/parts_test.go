package training

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/pkg/job"
)

func TestFindPython(t *testing.T) {
	dir := t.TempDir()
	script := func(name, body string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct {
		name, python  string
		missing, pack string
	}{
		{"not there", filepath.Join(dir, "none"), "no Python at", "python3"},
		{"broken", script("broken", "echo no such version >&2; exit 127"), "does not run", "python3"},
		{"no answer", script("silent", "exit 0"), "does not run", "python3"},
		{"old", script("old", `echo '{"version": "3.7.9"}'`), "is Python 3.7.9", "python3"},
		{"no venv", script("minimal", `echo '{"version": "3.11.2", "venv": false}'`), "no module venv", "python3-venv"},
	} {
		_, err := FindPython(t.Context(), tt.python)
		var missing *PythonError
		if !errors.As(err, &missing) || !strings.Contains(missing.Missing, tt.missing) || missing.Package != tt.pack || !strings.Contains(err.Error(), "install the package "+tt.pack) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	for _, tt := range []struct {
		answer string
		builds bool
	}{
		{`"pip": true, "setuptools": true, "setuptoolsVersion": "65.5.0"`, false},
		{`"pip": true, "setuptools": true, "setuptoolsVersion": "65.5.0", "wheel": true`, true},
		{`"pip": true, "setuptools": true, "setuptoolsVersion": "70.0.0"`, false},
		{`"pip": true, "setuptools": true, "setuptoolsVersion": "70.1.0"`, true},
		{`"pip": true, "setuptools": true, "setuptoolsVersion": "80"`, true},
		{`"pip": true`, false},
		{`"setuptools": true, "setuptoolsVersion": "80.1"`, false},
	} {
		p, err := FindPython(t.Context(), script("fake", `echo '{"version": "3.12.1", "path": "/x/python3", "venv": true, `+tt.answer+`}'`))
		if err != nil || p.Builds != tt.builds || p.Path != "/x/python3" {
			t.Errorf("%s: %+v, %v", tt.answer, p, err)
		}
	}

	t.Setenv("PATH", dir)
	_, err := FindPython(t.Context(), "")
	if err == nil || err.Error() != "no python3 on PATH: install the package python3" {
		t.Errorf("empty PATH: %v", err)
	}
}

// TestSites: libraries of a virtual environment that the service's Python lives
// in are visible to its jobs.
func TestSites(t *testing.T) {
	python := pythons(t)[0]
	site := t.TempDir()
	if err := os.WriteFile(filepath.Join(site, "library.py"), []byte("NAME = 'found'\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	python.Sites = []string{site}
	h := newHarness(t, python, nil)
	h.create(h.job("library", "import library\nprint('library', library.NAME)\n"))
	h.line("library", "library found")
	h.succeeded("library")
}

func TestTrainerEnv(t *testing.T) {
	got := trainerEnv(
		[]string{"PATH=/bin", "AWS_SECRET_ACCESS_KEY=x", "GITHUB_TOKEN=x", "GOOGLE_APPLICATION_CREDENTIALS=x", "LC_ALL=C", "PIP_INDEX_URL=u", "PYTHONPATH=/p", "no_proxy=a.example"},
		[]string{"A=1", "TMPDIR=/elsewhere"},
		environment{storage: "http://s", project: "p", home: "/h", tmp: "/t", bin: "/e/bin", env: "/e"})
	want := []string{
		"A=1", "GOOGLE_CLOUD_PROJECT=p", "HOME=/h", "LC_ALL=C", "NO_PROXY=127.0.0.1,localhost,::1", "PATH=/e/bin:/bin", "PIP_INDEX_URL=u",
		"PYTHONUNBUFFERED=1", "STORAGE_EMULATOR_HOST=http://s", "TMPDIR=/t", "VIRTUAL_ENV=/e", "no_proxy=a.example,127.0.0.1,localhost,::1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}

	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, ".config", "pip"), 0o755); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(home, ".config", "pip", "pip.conf")
	touch(t, conf)
	got = pipEnv([]string{"PIP_RETRIES=3"}, []string{"HOME=" + home}, "/cache")
	if diff := cmp.Diff([]string{"PIP_CACHE_DIR=/cache", "PIP_CONFIG_FILE=" + conf, "PIP_RETRIES=3"}, got); diff != "" {
		t.Errorf("pip's environment (-want +got):\n%s", diff)
	}
}

func TestReadLines(t *testing.T) {
	var got []string
	readLines(strings.NewReader("one\r\n\n"+strings.Repeat("é", 20)+"\nabc\xff\nlast"), 16, func(line string) { got = append(got, line) })
	want := []string{"one", "", strings.Repeat("é", 8), strings.Repeat("é", 8), "éééé", "abc\xff", "last"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	got = nil
	readLines(strings.NewReader("x"+strings.Repeat("é", 9)), 16, func(line string) { got = append(got, line) })
	if diff := cmp.Diff([]string{"xééééééé", "éé"}, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestLogIsBounded(t *testing.T) {
	dir := t.TempDir()
	var seen []string
	l := &jobLog{jobID: "j", dir: filepath.Join(dir, "jobs", "j", "logs"), max: 1000, now: time.Now, log: slog.New(slog.DiscardHandler), sink: func(l Line) { seen = append(seen, l.Text) }}
	for range 100 {
		l.write(master.task(), stdout, strings.Repeat("x", 50))
	}
	l.write(taskService, stdout, "Job completed successfully.")
	l.close()
	lines := logLines(t, dir, "j", master.task())
	if len(lines) > 10 || !strings.HasPrefix(lines[len(lines)-1].Text, "The log is full") {
		t.Errorf("%d lines, the last is %q", len(lines), lines[len(lines)-1].Text)
	}
	if len(seen) != len(lines)+1 || seen[len(seen)-1] != "Job completed successfully." {
		t.Errorf("%d lines handed on, the last is %q", len(seen), seen[len(seen)-1])
	}
}

func TestExcerpt(t *testing.T) {
	frames := func(frames int) []string {
		lines := []string{traceback}
		for range frames {
			lines = append(lines, "  File \"a.py\", line 1, in f", "    f()")
		}
		return append(lines, "ValueError: boom")
	}
	for _, tt := range []struct {
		name  string
		lines []string
		want  []string
	}{
		{"nothing", nil, []string{""}},
		{"words", []string{"a", "b", ""}, []string{"a", "b"}},
		{"traceback", append([]string{"noise"}, frames(2)...), frames(2)},
		{"long", frames(12), append([]string{traceback, "  [...]"}, frames(12)[26-maxTailLines:]...)},
		{"deep", append([]string{"noise"}, frames(100)...), append([]string{traceback, "  [...]"}, frames(100)[202-maxTailLines:]...)},
		{"second", append(frames(100), frames(1)...), frames(1)},
	} {
		var last tail
		for _, line := range tt.lines {
			last.add(line)
		}
		if diff := cmp.Diff(strings.Join(tt.want, "\n"), last.excerpt()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	var last tail
	for range 100 {
		last.add(strings.Repeat("x", 10*maxTailBytes))
	}
	if n := len(last.excerpt()); n == 0 || n > maxTailBytes {
		t.Errorf("excerpt of %d bytes", n)
	}
}

func TestQuote(t *testing.T) {
	if got, want := quote("python3", []string{"-m", "a.b", "--x=1", "a b", "", "it's"}), `python3 -m a.b --x=1 'a b' '' 'it'\''s'`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCheckWritable(t *testing.T) {
	h := newHarness(t, Python{Path: "python3"}, nil)
	for _, dir := range []string{"gs://out", "gs://out/", "gs://out/a b/c", "gs://out/a/"} {
		if err := h.svc.bucket.checkWritable(t.Context(), "job_dir", "job directory", dir, "j"); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if names := h.objects("out"); len(names) > 0 {
		t.Errorf("left %v", names)
	}
	h.put("inbox", "big", make([]byte, 11))
	file := filepath.Join(t.TempDir(), "f")
	if err := h.svc.bucket.fetch(t.Context(), "inbox", "big", file, 10); err == nil || !strings.Contains(err.Error(), "larger than 10 bytes") {
		t.Errorf("an object past the limit: %v", err)
	}
	name := "a b/ü#?%2F.tar.gz"
	h.put("inbox", name, []byte("x"))
	if err := h.svc.bucket.fetch(t.Context(), "inbox", name, file+"2", 10); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

func TestRecordRoundTrip(t *testing.T) {
	r := record{Project: "p", Revision: 3, Processes: []process{{Task: "worker-replica-0", PID: 1, Start: "s"}}, Job: resource{
		Spec: job.Spec{JobID: "j", TrainingInput: &job.TrainingInput{Region: "r"}}, State: running, CreateTime: time.Unix(1, 5).UTC(), StartTime: time.Unix(2, 0).UTC(),
	}}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got record
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if slices.Contains([]string{"", (&record{}).etag()}, r.etag()) {
		t.Errorf("etag %q", r.etag())
	}
}
