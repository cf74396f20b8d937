package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/internal/testing/eventtest"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const clientsDir = "../../docs/clients"

// systemPython is Debian's, for which its packages install modules.
const systemPython = "/usr/bin/python3"

// command runs a program with the settings that jobdrop local has for its clients,
// and returns its standard output.
func (r *running) command(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Env = append(os.Environ(), "CLOUDSDK_CORE_DISABLE_PROMPTS=1")
	for name, value := range r.env {
		c.Env = append(c.Env, name+"="+value)
	}
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s%s", filepath.Base(name), err, stdout.String(), stderr.String())
	} else {
		t.Logf("%s %s\n%s%s", filepath.Base(name), strings.Join(args, " "), stdout.String(), stderr.String())
	}
	return stdout.String(), err
}

// need skips a test, visibly, where the machine lacks a program.
func need(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("SKIPPED: %s is not on this machine", name)
		}
	}
}

// needs returns a function that skips a test as [need] does.
func needs(name string) func(*testing.T) {
	return func(t *testing.T) {
		t.Helper()
		need(t, name)
	}
}

// needPythonClient skips a test where the system's Python lacks Google's API client.
func needPythonClient(t *testing.T) {
	t.Helper()
	need(t, systemPython)
	if err := exec.Command(systemPython, "-c", "import googleapiclient, httplib2").Run(); err != nil {
		t.Skip("SKIPPED: Debian's python3-googleapi is not on this machine")
	}
}

// nodeModules is where Google's Node libraries are installed, see package.json
// beside the client.
const nodeModules = clientsDir + "/node/node_modules"

// copyDrop copies a drop to a folder of another name: one attempt for each test.
func copyDrop(t *testing.T, drop, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(dropsDir, drop))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// fakeService stands for curl and gcloud: each pull is the next of the files beside it.
const fakeService = `#!/bin/sh
cd "$(dirname "$0")"
case "$*" in
*pull*) set -- pull.*; cat "$1"; rm "$1" ;;
*uploadType*) echo '{"generation": "7"}' ;;
*describe*) echo 7 ;;
*acknowledge*|*subscriptions*|*\ cp\ *) ;;
*) echo 'Hello, jobdrop!' ;;
esac
`

// The clients in shell show an event that comes again once, as the others do.
func TestShellClientsShowAnEventOnce(t *testing.T) {
	t.Parallel()
	need(t, "bash")
	events := []struct {
		typ, state string
		sequence   int
	}{
		{"drop.accepted", "accepted", 1}, {"job.running", "running", 9}, {"drop.accepted", "accepted", 1},
		{"job.running", "running", 9}, {"job.succeeded", "succeeded", 10},
	}
	for _, name := range []string{"curl", "gcloud"} {
		dir := t.TempDir()
		write := func(name, text string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		write(name, fakeService)
		var all strings.Builder
		for i, e := range events {
			body := fmt.Sprintf(`{"attempt":"a","sequence":%d,"state":"%s","reason":"%d","drop":{"jobFile":{"generation":"7"}}}`,
				e.sequence, e.state, e.sequence)
			fmt.Fprintf(&all, "%s\t%s\n", e.typ, body)
			if name == "curl" {
				write(fmt.Sprintf("pull.%d", i), fmt.Sprintf(`{"ackId": "x", "ce-type": "%s", "data": "%s"}`, e.typ,
					base64.StdEncoding.EncodeToString([]byte(body))))
			}
		}
		if name == "gcloud" {
			write("pull.0", all.String())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "bash", clientsDir+"/"+name+".sh", filepath.Join(dropsDir, "hello"), "hello/hello.txt")
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "STORAGE_EMULATOR_HOST=", "PUBSUB_EMULATOR_HOST=")
		out, err := cmd.CombinedOutput()
		want := "drop.accepted accepted \"reason\":\"1\"\njob.running running \"reason\":\"9\"\n" +
			"job.succeeded succeeded \"reason\":\"10\"\nHello, jobdrop!\n"
		if err != nil || string(out) != want {
			t.Errorf("%s: %v, output\n%swant\n%s", name, err, out, want)
		}
	}
}

// Each client of the documentation drops a package, gets its verdict and reads its
// output, with the settings of jobdrop local and nothing else.
func TestClients(t *testing.T) {
	t.Parallel()
	r := startLocal(t, t.TempDir(), "--max-jobs", "4")
	const succeeded = "dev.jobdrop.job.succeeded.v1"
	tests := []struct {
		name    string
		need    func(t *testing.T)
		command []string
		last    string // the state of the last event as the client prints it
	}{
		{"go", needs("go"), []string{"go", "run", "../../docs/clients/go"}, succeeded},
		{"node", needNode, []string{"node", clientsDir + "/node/client.mjs"}, succeeded},
		{"python", needPythonClient, []string{systemPython, clientsDir + "/python/client.py"}, succeeded},
		{"gcloud", needs("gcloud"), []string{clientsDir + "/gcloud.sh"}, succeeded},
		{"gsutil", needs("gsutil"), []string{clientsDir + "/gsutil.sh"}, "state: succeeded"},
		{"curl", needs("curl"), []string{clientsDir + "/curl.sh"}, succeeded},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.need(t)
			args := append(test.command[1:], copyDrop(t, "hello", "hello-"+test.name), "hello/hello.txt")
			out, err := r.command(t, test.command[0], args...)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out, test.last) || !strings.HasSuffix(out, "Hello, jobdrop!\n") {
				t.Errorf("output is %q, want %s and the job's own output in it", out, test.last)
			}
			// The events of an attempt come in order.
			accepted := strings.Index(out, "drop.accepted.v1")
			submitted := strings.Index(out, "job.submitted.v1")
			last := strings.Index(out, "job.succeeded.v1")
			if test.name != "gsutil" && !(0 <= accepted && accepted < submitted && submitted < last) {
				t.Errorf("the events are out of order in %q", out)
			}
			// The folder's status says succeeded, and the next attempt fails: the client says why.
			failing := filepath.Join(t.TempDir(), "hello-"+test.name)
			if err := os.CopyFS(failing, os.DirFS(filepath.Join(dropsDir, "fails"))); err != nil {
				t.Fatal(err)
			}
			out, err = r.command(t, test.command[0], append(test.command[1:], failing, "hello/hello.txt")...)
			if err == nil || !strings.Contains(err.Error(), "the job failed") || strings.Contains(out, "Hello, jobdrop!") {
				t.Errorf("of a job that fails: output %q, %v", out, err)
			}
			answer, err := http.Get("http://" + r.env["PUBSUB_EMULATOR_HOST"] + "/v1/projects/local/subscriptions")
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			left, err := io.ReadAll(answer.Body)
			if err != nil || strings.Contains(string(left), test.name+"-client") {
				t.Errorf("subscriptions that are left: %s, %v", left, err)
			}
		})
	}
}

// What jobdrop local prints can be pasted into a shell, and is what its env file
// holds.
func TestPrintedSettings(t *testing.T) {
	t.Parallel()
	need(t, "bash")
	r := startLocal(t, t.TempDir())
	const end = "Events, as they come"
	r.awaitOutput(t, end)
	text, _, _ := strings.Cut(r.output.String(), end)
	sections := map[string][]string{}
	for section := range strings.SplitSeq(text, "\n\n") {
		lines := strings.Split(section, "\n  ")
		sections[lines[0]] = lines[1:]
	}
	libraries := sections["Go, Node and Python, with Google's libraries"]
	gcloud, curl := sections["gcloud and gsutil"], sections["curl"]
	if len(libraries) != 4 || len(gcloud) < 10 || len(curl) != 5 {
		t.Fatalf("the settings are\n%s", text)
	}
	exported := 0
	for _, line := range append(libraries, gcloud...) {
		setting, ok := strings.CutPrefix(line, "export ")
		if !ok {
			continue
		}
		exported++
		if name, value, _ := strings.Cut(setting, "="); r.env[name] != value {
			t.Errorf("%s is printed as %s, the env file says %q", name, value, r.env[name])
		}
	}
	others := 0 // but those of jobdrop's own commands
	for name := range r.env {
		if !strings.HasPrefix(name, "JOBDROP_") {
			others++
		}
	}
	if exported != others {
		t.Errorf("%d settings are printed, the env file has %d", exported, others)
	}

	dir := copyDrop(t, "hello", "hello")
	paste := func(t *testing.T, lines ...string) string {
		t.Helper()
		out, err := r.command(t, "bash", "-euc", fmt.Sprintf("cd %q\n%s", dir, strings.Join(lines, "\n")))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	t.Run("curl", func(t *testing.T) {
		need(t, "curl")
		paste(t, curl[:3]...) // subscribes, uploads
		awaitStatus(t, r.storage(t), "hello/", string(job.Succeeded))
		var body event.Body
		if out := paste(t, curl[3]); json.Unmarshal([]byte(out), &body) != nil || body.State != job.Succeeded {
			t.Errorf("status.json is %s", out)
		}
		if out := paste(t, curl[4]); !strings.Contains(out, "dev.jobdrop.drop.accepted.v1") {
			t.Errorf("pulled was %s", out)
		}
	})
	t.Run("gcloud", func(t *testing.T) {
		need(t, "gcloud")
		var exports, commands []string
		for _, line := range gcloud {
			if strings.HasPrefix(line, "export ") {
				exports = append(exports, line)
			} else {
				commands = append(commands, line)
			}
		}
		create, copyTo, pull, logs := commands[0], commands[1], commands[2], commands[3]
		if err := r.storage(t).Delete(t.Context(), local.Status, "hello/status.json"); err != nil { // of the drop before
			t.Fatal(err)
		}
		paste(t, append(exports, create, copyTo)...)
		body := awaitStatus(t, r.storage(t), "hello/", string(job.Succeeded))
		if out := paste(t, append(exports, pull)...); !strings.Contains(out, "dev.jobdrop.drop.accepted.v1") {
			t.Errorf("pulled was %s", out)
		}
		logs = strings.Replace(logs, "JOB", body.Job.ID, 1)
		if out := paste(t, append(exports, logs)...); !strings.Contains(out, "Hello, jobdrop!") {
			t.Errorf("the log is %s", out)
		}
	})
}

func needNode(t *testing.T) {
	t.Helper()
	need(t, "node")
	if _, err := os.Stat(nodeModules); err != nil {
		t.Skip("SKIPPED: Google's Node libraries are not installed: make clients")
	}
}

// awaitStatus waits until status.json of a folder has a state, the attempt's or the
// backend's, and returns its content. It fails at another verdict.
func awaitStatus(t *testing.T, storage *gcs.Client, folder, want string) event.Body {
	t.Helper()
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	patience := time.After(5 * time.Minute)
	for {
		var body event.Body
		data, _, err := storage.Read(t.Context(), local.Status, folder+"status.json", 0, 8<<20)
		if err == nil {
			err = json.Unmarshal(data, &body)
			eventtest.CheckStatus(t, data)
		}
		switch {
		case err == nil && (string(body.State) == want || string(body.Job.State) == want):
			return body
		case err == nil && want == string(job.Submitted) && body.Job.ID != "":
			return body // a job of a second may be over by now
		case body.State.Terminal():
			t.Fatalf("%s is %s: %s", folder, body.State, body.Reason)
		}
		select {
		case <-poll.C:
		case <-patience:
			t.Fatalf("%s is %q after five minutes, want %s (%v)", folder, body.State, want, err)
		}
	}
}
