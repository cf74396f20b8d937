package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// codeBlocks returns the indented blocks of a language in a page's list, in their order.
func codeBlocks(page, language string) []string {
	var blocks []string
	block := regexp.MustCompile("(?s)\n *```" + language + "\n(.*?)\n *```\n")
	for _, m := range block.FindAllStringSubmatch(page, -1) {
		blocks = append(blocks, strings.ReplaceAll(strings.TrimPrefix(m[1], "   "), "\n   ", "\n"))
	}
	return blocks
}

// webhook stands for a chat's: it refuses the first post to each of its paths, and keeps the texts of
// the others.
type webhook struct {
	*httptest.Server
	mu      sync.Mutex
	refused map[string]bool
	texts   map[string][]string
}

func newWebhook(t *testing.T) *webhook {
	t.Helper()
	w := &webhook{refused: map[string]bool{}, texts: map[string][]string{}}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var body struct{ Text string }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: a post of %q: %v", r.URL, r.Header.Get("Content-Type"), err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if !w.refused[r.URL.Path] {
			w.refused[r.URL.Path] = true
			http.Error(rw, "not now", http.StatusServiceUnavailable)
			return
		}
		w.texts[r.URL.Path] = append(w.texts[r.URL.Path], body.Text)
	}))
	t.Cleanup(w.Close)
	return w
}

// told returns what was posted to a path.
func (w *webhook) told(path string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.texts[path])
}

// publish publishes documented events, which a change may alter, to the stack's lifecycle topic.
func (r *running) publish(t *testing.T, change func(name, data string) string, names ...string) {
	t.Helper()
	for _, name := range names {
		text, err := os.ReadFile("../../docs/events/" + name + ".v1.json")
		if err != nil {
			t.Fatal(err)
		}
		var message struct {
			Attributes  map[string]string `json:"attributes"`
			Data        any               `json:"data"`
			OrderingKey string            `json:"orderingKey"`
		}
		if err := json.Unmarshal(text, &message); err != nil {
			t.Fatal(err)
		}
		var full struct{ Data json.RawMessage }
		var data bytes.Buffer
		if err := json.Unmarshal(text, &full); err != nil {
			t.Fatal(err)
		}
		if err := json.Compact(&data, full.Data); err != nil {
			t.Fatal(err)
		}
		message.Data = base64.StdEncoding.EncodeToString([]byte(change(name, data.String())))
		body, err := json.Marshal(map[string]any{"messages": []any{message}})
		if err != nil {
			t.Fatal(err)
		}
		url := "http://" + r.env["PUBSUB_EMULATOR_HOST"] + "/v1/projects/local/topics/jobdrop-lifecycle:publish"
		answer, err := http.Post(url, "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Fatalf("publish of %s: %s", name, answer.Status)
		}
	}
}

// program is a program of docs/subscribe.md: what it needs, and how the page starts it.
type program struct{ language, need, start string }

// programs returns the programs of the page's table.
func programs(t *testing.T, page string) []program {
	t.Helper()
	needs := map[string]string{"Go": "go", "Node": "node", "Python": "python3", "shell": "curl"}
	var all []program
	row := regexp.MustCompile("(?m)^   \\| \\[([A-Za-z]+)\\].* `(.*) &` \\|")
	for _, m := range row.FindAllStringSubmatch(page, -1) {
		all = append(all, program{m[1], needs[m[1]], m[2]})
	}
	if len(all) != len(needs) {
		t.Fatalf("%d programs are found, want %d", len(all), len(needs))
	}
	return all
}

// subscription returns the name of the program's own subscription, in place of the page's.
func (p program) subscription() string { return "failures-" + strings.ToLower(p.language) }

// own returns a command of the page for the program's own subscription, with less patience than people have.
func (p program) own(command string) string {
	return strings.NewReplacer("subscriptions/failures", "subscriptions/"+p.subscription(),
		`"ackDeadlineSeconds": 60`, `"ackDeadlineSeconds": 10`,
		`"minimumBackoff": "10s"`, `"minimumBackoff": "0.1s"`).Replace(command)
}

// The commands of docs/subscribe.md make an alert, in each of its languages. A program acknowledges what
// it told: what its webhook refuses comes again. An event that comes again is told once, one that the filter
// does not pass is not told, and what a job says stays text.
func TestSubscribePage(t *testing.T) {
	t.Parallel()
	need(t, "bash", "curl")
	var pages [2]string
	for i, name := range [...]string{"docs/subscribe.md", "README.md"} {
		text, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		pages[i] = string(text)
	}
	page, readme := pages[0], pages[1]
	blocks := codeBlocks(page, "bash")
	if len(blocks) != 3 || !strings.Contains(readme, blocks[0]) {
		t.Fatalf("the first of three commands is to be the README's:\n%s", strings.Join(blocks, "\n\n"))
	}
	subscribe, drop := blocks[1], blocks[2]
	_, wish, _ := strings.Cut(page, "| all that went wrong | `")
	filter, _, _ := strings.Cut(wish, "`")
	if !strings.Contains(subscribe, fmt.Sprintf(`"filter": %q`, filter)) {
		t.Errorf("the first filter of the table is not that of the subscription:\n%s\n%s", filter, subscribe)
	}

	r := startLocal(t, t.TempDir())
	hook := newWebhook(t)
	run := func(command string) {
		t.Helper()
		if _, err := r.command(t, "bash", "-euc", "cd ../..\n"+command); err != nil {
			t.Fatal(err)
		}
	}
	programs := programs(t, page)
	for _, p := range programs {
		run(p.own(subscribe))
	}
	run(drop)
	awaitStatus(t, r.storage(t), "fails/", string(job.Failed))
	r.publish(t, func(name, data string) string {
		if name == "job.failed" {
			data = strings.Replace(data, `"reason":"`, `"reason":"\u003c!here> says \"no\": `, 1)
		}
		return data
	}, "job.succeeded", "job.failed", "job.failed", "drop.accepted", "job.timed_out")
	want := []string{"job.failed census: ‹!here› says \"no\": the job failed", "job.failed fails: the job failed after ",
		"job.timed_out census: the job ran for longer"}
	for _, p := range programs {
		t.Run(p.language, func(t *testing.T) {
			t.Parallel()
			need(t, p.need)
			path := "/" + p.subscription()
			var out, stderr lockedBuffer
			// A program may end with a failure: whoever runs it starts it again.
			cmd := exec.CommandContext(t.Context(), "bash", "-c",
				"cd ../..; until "+p.own(p.start)+"; do echo again >&2; done")
			inGroup(cmd)
			cmd.Env = append(os.Environ(), "ALERT_URL="+hook.URL+path)
			for name, value := range r.env {
				cmd.Env = append(cmd.Env, name+"="+value)
			}
			cmd.Stdout, cmd.Stderr = &out, &stderr
			ended := make(chan error, 1)
			go func() { ended <- cmd.Run() }()
			t.Cleanup(func() { <-ended })

			poll := time.NewTicker(50 * time.Millisecond)
			defer poll.Stop()
			patience := time.After(5 * time.Minute)
			// It prints what it told right after it told it.
			for len(hook.told(path)) < len(want) || strings.Count(out.String(), "\n") < len(hook.told(path)) {
				select {
				case <-poll.C:
				case <-patience:
					t.Fatalf("told was %q, want %q; the program says\n%s%s",
						hook.told(path), want, out.String(), stderr.String())
				}
			}
			got := hook.told(path)
			printed := strings.ReplaceAll(out.String(), `\"`, `"`) // the shell prints a text as JSON has it
			if printed != strings.Join(got, "\n")+"\n" {
				t.Errorf("printed is %q, and told %q", printed, got)
			}
			slices.Sort(got) // there is no order between attempts
			for i := range min(len(got), len(want)) {
				got[i] = got[i][:min(len(got[i]), len(want[i]))]
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
			if strings.Contains(stderr.String(), hook.URL) {
				t.Errorf("the webhook's URL, which may be a secret, is in\n%s", stderr.String())
			}
		})
	}
}
