package browser

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const (
	drops = "../../../testdata/drops"
	// markup is what a page shows as text, wherever it stands.
	markup = `<img src=x onerror="window.owned=1"><script>window.owned=1</script>`
	// patience is how long the browser has.
	patience = 4 * time.Minute
)

// chromium returns a browser's path, or skips the test visibly.
func chromium(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("SKIPPED: node is not on this machine")
	}
	if _, err := os.Stat("node_modules"); err != nil {
		t.Skip("SKIPPED: playwright-core is not installed: make browser does it")
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("SKIPPED: Chromium is not on this machine")
	return ""
}

// tour is what the script is told.
type tour struct {
	Chromium string `json:"chromium"`
	Base     string `json:"base"`
	Storage  string `json:"storage"`
	// Attempts are the keys of the drops by their names, Output the bucket of their job directories.
	Attempts map[string]string `json:"attempts"`
	Output   string            `json:"output"`
	Markup   string            `json:"markup"`
	// Shots is the folder for screenshots; empty for none.
	Shots string `json:"shots,omitempty"`
}

// jobFile is one whose job ends when it is told to.
func jobFile(dir string) string {
	return fmt.Sprintf(`labels: {team: research}
trainingInput:
  scaleTier: BASIC
  region: us-central1
  runtimeVersion: '2.11'
  pythonVersion: '3.7'
  pythonModule: trainer.task
  args: ['--note=%s']
  jobDir: gs://%s/%s
  scheduling: {maxRunningTime: 3600s, maxWaitTime: 1800s}
`, `<b onclick="x">y</b>`, local.Output, dir)
}

// TestPages shows the console's pages of a local stack to a browser. What the script pages.mjs finds wrong is a line
// each.
func TestPages(t *testing.T) {
	path := chromium(t)
	data := t.TempDir()
	if *update {
		data = filepath.Join(os.TempDir(), "jobdrop") // tracebacks show it
		t.Cleanup(func() { _ = os.RemoveAll(data) })
	}
	s := startStack(t, data)
	trainer := sdist(t, os.DirFS("testdata/hostile"))
	waits := func(dir string) fs.FS {
		return fstest.MapFS{
			"trainer-0.1.tar.gz": {Data: trainer}, "job.yaml": {Data: []byte(jobFile(dir))},
		}
	}
	hostile := map[string]string{
		job.MetadataCorrelationID: "c " + markup + " \u202e", job.MetadataUploader + "name": markup,
		job.MetadataUploader + "branch": `"><script>owned=1</script>`, job.MetadataUploader + "commit": "<i>0</i>",
		job.MetadataUploader + "url": "https://example.org/?q=%22%3E<script>owned=1</script>",
	}
	u := tour{
		Chromium: path, Base: s.console, Storage: s.env["STORAGE_EMULATOR_HOST"], Output: local.Output, Markup: markup,
		Attempts: map[string]string{
			"ends":      s.drop(t, waits("ends"), "teams/"+markup+"\u202e/", hostile),
			"cancelled": s.drop(t, waits("cancelled"), "teams/vision/resnet/", nil),
			"wrong": s.drop(t, fstest.MapFS{
				"trainer-0.1.tar.gz": {Data: trainer},
				"job.yaml": {Data: []byte("jobId: '" + markup + "'\n\"</pre>" + "\\u202e\": '\\e[31m'\n" +
					"trainingInput: {scaleTier: '<b>HUGE</b>', jobDir: \"/tmp/\\e[31m\\u202e\"}\n")},
			}, "teams/wrong/", hostile),
		},
	}
	for _, name := range []string{"hello", "fails", "rejected-many", "incomplete", "tune"} {
		u.Attempts[name] = s.drop(t, os.DirFS(filepath.Join(drops, name)), "teams/nlp/"+name+"/", nil)
	}
	for _, wait := range []struct {
		name  string
		state job.State
	}{
		{"rejected-many", job.Rejected}, {"wrong", job.Rejected}, {"hello", job.Succeeded}, {"fails", job.Failed},
		{"tune", job.Succeeded}, {"ends", job.Running}, {"cancelled", job.Running}, {"incomplete", job.Waiting},
	} {
		s.awaitState(t, u.Attempts[wait.name], wait.state)
	}
	for _, name := range []string{"ends", "cancelled"} {
		await(t, name+" has written its metrics", func() bool {
			_, err := s.client.Stat(t.Context(), local.Output, name+"/runs/<b>bold<b>/metrics.jsonl")
			return err == nil
		})
	}
	for _, rate := range []float64{0.02, 0.1} {
		plant(t, s, fmt.Sprintf("hello/runs/rate-%v/metrics.jsonl", rate), rate)
	}
	if *update {
		var err error
		if u.Shots, err = filepath.Abs("../../../docs/console"); err != nil {
			t.Fatal(err)
		}
	}
	look(t, u)
}

// plant writes what a trainer would have written: its loss and accuracy in 200 steps.
func plant(t *testing.T, s *stack, name string, rate float64) {
	t.Helper()
	var b bytes.Buffer
	for step := range 200 {
		noise := 0.05 * math.Sin(float64(step*step))
		loss := 2*math.Exp(-rate*float64(step)) + 0.2 + noise
		fmt.Fprintf(&b, `{"step": %d, "train/loss": %.4f, "train/accuracy": %.4f}`+"\n", step, loss, 1/(1+loss))
	}
	if _, err := s.client.Write(t.Context(), local.Output, name, b.Bytes(), "", nil, 0); err != nil {
		t.Fatal(err)
	}
}

// look runs the script, and reports each fault that it finds.
func look(t *testing.T, u tour) {
	t.Helper()
	config, err := json.Marshal(u)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), "node", "pages.mjs", string(config))
	c.WaitDelay = 10 * time.Second
	c.Stderr = os.Stderr
	c.Env = append(os.Environ(), "NO_COLOR=1")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(patience, func() { _ = c.Process.Kill() }).Stop()
	checks := 0
	in := bufio.NewScanner(out)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var line struct {
			Check   string   `json:"check"`
			Seconds float64  `json:"seconds"`
			Faults  []string `json:"faults"`
		}
		if err := json.Unmarshal(in.Bytes(), &line); err != nil {
			t.Errorf("the script said: %s", in.Bytes())
			continue
		}
		checks++
		t.Logf("%s: %d faults, %.1f s", line.Check, len(line.Faults), line.Seconds)
		for _, f := range line.Faults {
			t.Errorf("%s: %s", line.Check, f)
		}
	}
	if err := c.Wait(); err != nil {
		t.Errorf("the script ended: %v", err)
	}
	if checks != scriptChecks {
		t.Errorf("the script made %d checks, want %d", checks, scriptChecks)
	}
}

// scriptChecks is how many checks the script has.
const scriptChecks = 11
