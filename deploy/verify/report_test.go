package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/local/training"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
)

// The page for people is made of the questions.
func TestManual(t *testing.T) {
	var want bytes.Buffer
	if err := run(t.Context(), []string{"-manual"}, os.Getenv, &want); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../docs/first-project.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(got)); diff != "" {
		t.Errorf("go run ./deploy/verify -manual >docs/first-project.md mends this (-want +got):\n%s", diff)
	}
}

// Each question says all that its reader needs, and names files that there are.
func TestQuestions(t *testing.T) {
	file := regexp.MustCompile(`\b(?:deploy|docs|internal)/[\w./-]*\w`)
	titles := map[string]bool{}
	for _, q := range questions {
		if titles[q.title] {
			t.Errorf("two questions are called %q", q.title)
		}
		titles[q.title] = true
		for what, text := range map[string]string{"ask": q.ask, "commands": q.commands, "expect": q.expect, "otherwise": q.otherwise,
			"rests": q.rests} {
			if text == "" {
				t.Errorf("%s: %s is missing", q.title, what)
			}
		}
		if q.byHand && len(q.want)+len(q.never) > 0 {
			t.Errorf("%s: nobody looks for %q in what people see", q.title, q.want)
		}
		if len(q.want) == 0 && len(q.never) > 0 {
			t.Errorf("%s: an answer to read has something that may not be in it", q.title)
		}
		for _, pattern := range append(q.want, q.never...) {
			if _, err := regexp.Compile(pattern); err != nil {
				t.Errorf("%s: %v", q.title, err)
			}
		}
		if said := unset(q.commands); len(said) > 0 {
			t.Errorf("%s: the commands use %q, which nobody sets", q.title, said)
		}
		parse := exec.Command("sh", "-n")
		parse.Stdin = strings.NewReader(q.commands)
		if said, err := parse.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", q.title, err, said)
		}
		for _, name := range file.FindAllString(q.rests, -1) {
			if _, err := os.Stat(filepath.Join("../..", name)); err != nil {
				t.Errorf("%s rests on %s: %v", q.title, name, err)
			}
		}
	}
	// By hand comes last: the report is made before anything is changed.
	if !slices.IsSortedFunc(questions, func(a, b question) int {
		return map[bool]int{true: 1}[a.byHand] - map[bool]int{true: 1}[b.byHand]
	}) {
		t.Error("a question for people stands before one for the report")
	}
}

// unset returns what stands for a value in commands and has none: variables that are
// neither names nor set by the commands, and placeholders, which are words in capitals.
func unset(commands string) []string {
	words := []string{"AND", "OR", "TICK", "CONFIG", "EXTRACT", "DELTA", "DISTRIBUTION", "WARNING", "JOB_STATE_QUEUED", "JOB_STATE_SUCCEEDED"}
	var found []string
	for _, m := range regexp.MustCompile(`(^|.)\b([A-Z][A-Z_]*)\b(.|$)`).FindAllStringSubmatch(strings.ReplaceAll(commands, "\n", " "), -1) {
		word := m[2]
		set := m[1] == `"` && slices.Contains(names, word) || regexp.MustCompile(`\b`+word+`=`).MatchString(commands)
		switch {
		case m[1] == "$" && !set && !slices.Contains(names, word), m[1] != "$" && !set && len(word) > 1 && !slices.Contains(words, word):
			found = append(found, word)
		}
	}
	return found
}

func TestUnset(t *testing.T) {
	for commands, want := range map[string][]string{
		"gcloud x --location=SCHEDULER_REGION": {"SCHEDULER_REGION"}, "cat gs://b/FOLDER/x": {"FOLDER"}, "cat $NOTHING": {"NOTHING"},
		"J=$(x)\necho $J $PROJECT": nil, "x a AND b": nil, "export DROPPER=… && y $DROPPER": nil,
	} {
		if diff := cmp.Diff(want, unset(commands)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", commands, diff)
		}
	}
}

// What a report runs changes nothing.
func TestQuestionsChangeNothing(t *testing.T) {
	changes := regexp.MustCompile(`\bgcloud(?: [a-z-]+)+ (?:(?:add|commit|create|delete|disable|enable|remove|rollback|set|undelete|` +
		`update)[a-z-]*|cp|import|mv|pause|resume|rm|run)\b|\bterraform(?: -\S+)* (?:apply|destroy|import|state)\b|\bcurl .*-X|\s>>?\s*\w`)
	for command, want := range map[string]bool{
		"gcloud pubsub schemas delete-revision x": true, "gcloud scheduler jobs run x": true, "terraform -chdir=x apply": true,
		"x > out/y": true, "gcloud run services describe x": false, `gcloud logging read "severity>=INFO"`: false,
	} {
		if got := changes.MatchString(command); got != want {
			t.Errorf("whether %q changes something: %v", command, got)
		}
	}
	for _, q := range questions {
		if m := changes.FindString(q.commands); m != "" && !q.byHand {
			t.Errorf("%s: %q changes something", q.title, m)
		}
	}
}

// The training images that are asked for are those that the backend knows, and the
// newest of them is the verification's.
func TestImagesAreKnown(t *testing.T) {
	source, err := os.ReadFile("../../internal/backend/vertex/images.go")
	if err != nil {
		t.Fatal(err)
	}
	var known []string
	var newest [2]string
	for _, m := range regexp.MustCompile(`\{"([\d.]+)", "([\d.]+)", "(tf-cpu\.[^"]+)", "`).FindAllStringSubmatch(string(source), -1) {
		known, newest = append(known, m[3]), [2]string{m[1], m[2]}
	}
	if len(known) < 15 {
		t.Fatalf("images.go has the images %v", known)
	}
	i := slices.IndexFunc(questions, func(q question) bool { return q.title == "Training images" })
	list, _, _ := strings.Cut(questions[i].commands, "; do")
	if diff := cmp.Diff(known, regexp.MustCompile(`tf-cpu\.[\w.-]+\w`).FindAllString(list, -1)); diff != "" {
		t.Errorf("images (-known +asked for):\n%s", diff)
	}
	if got := [2]string{newestRuntime, newestPython}; got != newest {
		t.Errorf("the verification's image is of %v, want the newest, %v", got, newest)
	}
}

// tool stands in for gcloud, Terraform and curl: it says what it is called with.
const tool = `#!/bin/sh
case "$*" in
*print-access-token*) echo ya29.a0AfB_secret-token-of-somebody; exit ;;
esac
echo "$(basename "$0") $*"
case "$*" in
*"scheduler locations list"*) printf 'europe-west1\neurope-west4\n' ;;
*"scheduler jobs describe prod-tick "*--location=europe-west[14]\ *) echo 'state: ENABLED' ;;
*detailed-exitcode*)
	i=0; while [ $i -lt 300 ]; do echo "module.jobdrop.google_storage_bucket.this[\"b$i\"]: Refreshing state... [id=b$i]"; i=$((i+1)); done
	echo 'Plan: 0 to add, 1 to change'; exit 2 ;;
*"logging read resource.type=ml_job"*)
	i=0; while [ $i -lt 3000 ]; do echo "line $i of a log that is long"; i=$((i+1)); done ;;
*get-iam-policy*)
	printf '%s\n' 'roles/storage.legacyObjectOwner user:somebody@example.com' \
		'roles/storage.legacyObjectReader serviceAccount:prod-submit@acme-ml.iam.gserviceaccount.com' '` + "\u202e" + `veiled legacy' ;;
esac
`

func tools(t *testing.T, names ...string) {
	t.Helper()
	bin := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(tool), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
}

// A report has the drop, and what the commands say: all questions in order, each with
// its verdict, and nothing that opens anything.
func TestReport(t *testing.T) {
	python, err := training.FindPython(t.Context(), "")
	if err != nil {
		t.Fatalf("this test runs Python programs: %v", err)
	}
	stack, err := local.Start(t.Context(), local.Options{
		Dir: t.TempDir(), Python: python, Functions: []string{os.Args[0], "functions"}, Tick: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	tools(t, "gcloud", "terraform", "curl")
	work := t.TempDir()
	outputs, file := filepath.Join(work, "outputs.json"), filepath.Join(work, "report.md")
	text := fmt.Sprintf(`{"environment": {"value": {"JOBDROP_INBOX": %q, "JOBDROP_STATUS_BUCKET": %q, "JOBDROP_PROJECT": "acme-ml",
		"JOBDROP_INSTANCE": "prod", "JOBDROP_REGIONS": "us-central1,us-east1", "JOBDROP_PUBSUB_ENDPOINT":
		"europe-west4-pubsub.googleapis.com:443"}}}`, local.Inbox, local.Status)
	if err := os.WriteFile(outputs, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string {
		return map[string]string{"STORAGE_EMULATOR_HOST": stack.StorageURL, "CONFIGURATION": "deploy/mine"}[name]
	}
	var out strings.Builder
	args := []string{"-outputs", outputs, "-poll", "50ms", "-report", file}
	if err := run(t.Context(), append(args, drops+"hello"), getenv, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	got := read(t, file)
	i := 0
	for _, want := range []string{
		"\nProject acme-ml, installation prod in europe-west4, jobs in us-central1.", "| The drop | it succeeded |",
		"| 1. Organisation policies | to be read |", "| 2. Service agents | OTHERWISE |", "| 3. The region of Cloud Scheduler | as expected |",
		"| 4. The second plan | not asked |", "| 5. Metrics of distributions | OTHERWISE |", "| not asked |",
		"  dropped ", "succeeded, job hello_", "A status that is not there, for whoever ran this: 404, as expected",
		"\n## 1. Organisation policies\n", "gcloud resource-manager org-policies describe gcp.resourceLocations --project=acme-ml --effective",
		"\n## 4. The second plan\n\nnot asked, after 0s: ARCHIVE is not set\n", "\n## 7. Default bindings",
		"user:[address]", "serviceAccount:prod-submit@acme-ml.iam.gserviceaccount.com", "\n    veiled legacy\n",
		"\n## 12. Vertex", "line 0 of a log", "bytes are left out]", "line 2999 of a log",
		"curl -sS -m 60 -G -H Authorization: Bearer [secret]",
		"https://us-central1-aiplatform.googleapis.com/v1/projects/acme-ml/locations/us-central1/customJobs",
	} {
		at := strings.Index(got[i:], want)
		if at < 0 {
			t.Fatalf("the report has no %q, or not in order:\n%s", want, got)
		}
		i += at
	}
	for _, never := range []string{"ya29", "somebody@", "\u202e", "## 18."} {
		if strings.Contains(got, never) {
			t.Errorf("the report has %q", never)
		}
	}
	for line := range strings.Lines(got) {
		if len(line) > 2000 && !strings.HasPrefix(line, "    ") {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 || info.Size() > reportLimit {
		t.Errorf("the report: %v, %v", info, err)
	}

	// Another region has another answer.
	elsewhere := newReport(map[string]string{
		"JOBDROP_PROJECT": "acme-ml", "JOBDROP_INSTANCE": "prod", "JOBDROP_PUBSUB_ENDPOINT": "europe-west-pubsub.googleapis.com:443",
	}, getenv)
	if elsewhere.ask(t.Context(), questions[2:3], &out); elsewhere.answers[0].verdict != otherwise {
		t.Errorf("a region that is not in the list is %s", elsewhere.answers[0].verdict)
	}
	// Unless the ticks come from one that is.
	scheduled := newReport(map[string]string{
		"JOBDROP_PROJECT": "acme-ml", "JOBDROP_INSTANCE": "prod", "JOBDROP_PUBSUB_ENDPOINT": "me-central2-pubsub.googleapis.com:443",
	}, func(name string) string { return map[string]string{"SCHEDULER_REGION": "europe-west1"}[name] })
	if scheduled.ask(t.Context(), questions[2:3], &out); scheduled.answers[0].verdict != asExpected {
		t.Errorf("another region of Cloud Scheduler is %+v", scheduled.answers[0])
	}

	// A plan with changes is told with its status; so is a drop that fails, and a report
	// is written all the same.
	getenv2 := func(name string) string {
		if name == "ARCHIVE" {
			return "../out/jobdrop-1.zip"
		}
		return getenv(name)
	}
	if err := run(t.Context(), append(args, drops+"fails"), getenv2, &out); err == nil || err.Error() != "the drop ended as failed" {
		t.Errorf("a drop that fails ends with %v", err)
	}
	got = read(t, file)
	for _, want := range []string{
		"| The drop | OTHERWISE |", "the drop ended as failed", "| 4. The second plan | OTHERWISE |", "exit status 2", "Plan: 0 to add",
		"terraform -chdir=deploy/mine plan -input=false -lock=false -no-color -detailed-exitcode -var source_archive=../out/jobdrop-1.zip",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the report has no %q:\n%s", want, got)
		}
	}

	if strings.Contains(got, "Refreshing state") {
		t.Error("the report has the progress of a plan")
	}

	for want, args := range map[string][]string{
		"-report wants -outputs": {"-inbox", "i", "-status", "s", "-report", file, drops + "hello"},
		"no such file":           {"-outputs", outputs, "-report", filepath.Join(work, "nothing/report.md"), drops + "hello"},
	} {
		if err := run(t.Context(), args, getenv, &out); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("it ends with %v, want %q", err, want)
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// A tool that is not there, commands that do not end, and answers without end are
// told as what they are.
func TestReportIsBounded(t *testing.T) {
	r := newReport(nil, func(string) string { return "x" })
	ctx := t.Context()
	r.ask(ctx, slices.Repeat([]question{
		{title: "long", commands: `i=0; while [ $i -lt 1000 ]; do echo "$i $i $i $i"; i=$((i+1)); done`},
	}, 40), &strings.Builder{})
	r.ask(ctx, []question{{title: "absent", commands: "no-such-tool-zz"}}, &strings.Builder{})
	if a := r.answers[40]; a.verdict != otherwise || !strings.Contains(a.said, "not found") || a.why != "exit status 127" {
		t.Errorf("without its tool, a question has %+v", a)
	}
	var b bytes.Buffer
	if _, err := r.WriteTo(&b); err != nil || b.Len() > reportLimit || !strings.HasSuffix(b.String(), "[the rest is left out]\n") {
		t.Errorf("%v, %d bytes, and an end of %q", err, b.Len(), b.String()[b.Len()-40:])
	}
}

func TestClean(t *testing.T) {
	// Made up, and in two parts: those who look for secrets in sources would find them.
	github, slack, open, aws := "ghp_"+"abcdefghijklmnopqrst0123456789", "xoxb-"+"123456789012-abcdef", "sk-"+"proj-abcdefghij0123",
		"AKIA"+"IOSFODNN7EXAMPLE"
	hook := "https://hooks.slack.com/" + "services/T000/B000/XXXX"
	for text, want := range map[string]string{
		"Authorization: Bearer ya29.abcdefghijklmnop":                        "Authorization: Bearer [secret]",
		"Authorization: Basic dXNlcjpwYXNz":                                  "Authorization: Basic [secret]",
		"token ya29.a0AfB_byC1234567890 end":                                 "token [token] end",
		`"refresh_token": "1//0gabcdefghijk-lmnop"`:                          `"refresh_token": "[token]"`,
		"eyJhbGciOiJSUzI1NiIsImtpZCI6.x.y":                                   "[token]",
		"-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nmore": "[key]\nmore",
		"-----BEGIN RSA PRIVATE KEY-----\nMIIE":                              "[key]",
		"OTEL_HEADERS api-key=0123456789abcdef":                              "OTEL_HEADERS api-key=[secret]",
		"DB_PASSWORD=hunter2 next":                                           "DB_PASSWORD=[secret] next",
		"client_secret: 'x1y2', y":                                           "client_secret: '[secret]', y",
		"AWS_SECRET_ACCESS_KEY=abc/def+g":                                    "AWS_SECRET_ACCESS_KEY=[secret]",
		"OPENAI_API_KEY=k":                                                   "OPENAI_API_KEY=[secret]",
		"https://x.example.com/?token=abc&y=1":                               "https://x.example.com/?token=[secret]&y=1",
		`{"credentials": {"passwd" : "p q"}}`:                                `{"credentials": {"passwd" : "[secret] q"}}`,
		github + " " + slack + " " + open + " " + aws:                        "[token] [token] [token] [token]",
		"posts to " + hook + " now":                                          "posts to [token] now",
		"git clone https://user:pw@host.example.com/x":                       "git clone https://[secret]@host.example.com/x",
		"basic principles, bearer tokens, a secret bucket":                   "basic principles, bearer tokens, a secret bucket",
		"user:jane.doe+x@example.co.uk, group:ml@example.com":                "user:[address], group:[address]",
		"group:x, service-1@gcp-sa-pubsub.iam.gserviceaccount.com":           "group:x, service-1@gcp-sa-pubsub.iam.gserviceaccount.com",
		"1@cloudservices.gserviceaccount.com":                                "1@cloudservices.gserviceaccount.com",
		"\x1b[31mred\x1b[0m\ttab\r\n":                                        "[31mred[0m\ttab\n",
		"a\u202eb\u200bc\xff":                                                "abc?",
		"projects/p/topics/t gs://inbox/x@1 europe-docker.pkg.dev":           "projects/p/topics/t gs://inbox/x@1 europe-docker.pkg.dev",
	} {
		if got := clean(text); got != want {
			t.Errorf("clean(%q) is %q, want %q", text, got, want)
		}
	}
}

// What is cut out of an answer leaves no part of a secret.
func TestReportCutsNoSecret(t *testing.T) {
	const begin, end = "-----BEGIN PRIVATE KEY-----\n", "-----END PRIVATE KEY-----\n"
	key := begin + strings.Repeat("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n", 100) + end
	token := "ya29." + strings.Repeat("Secret", 100) + "\n"
	for name, secret := range map[string]string{"a key": key, "a token": token} {
		for at := 0; at <= len(secret); at += 7 {
			for _, border := range []int{1200, 2000, 2200} { // of the head, of the tail, and in it
				e := ends{limit: 1600}
				text := strings.Repeat(strings.Repeat("x", 99)+"\n", 24)
				io.WriteString(&e, text[:border]+secret[:at])
				io.WriteString(&e, secret[at:]+text[border:])
				head, tail := e.lines()
				if said := clean(head) + clean(tail); strings.Contains(said, "MIIE") || strings.Contains(said, "Secret") {
					t.Fatalf("%s in two at %d shows as %q", name, at, said)
				}
			}
		}
	}
	for _, lines := range []int{0, 1, 12, 16, 17, 100} {
		e := ends{limit: 1600}
		text := strings.Repeat(strings.Repeat("x", 99)+"\n", lines)
		for line := range strings.Lines(text) {
			io.WriteString(&e, line)
		}
		head, tail := e.lines()
		if lines <= 16 && head+tail != text || len(head+tail) > 1700 || lines > 16 && !strings.Contains(tail, " bytes are left out]\n") {
			t.Errorf("of %d lines there are %q and %q", lines, head, tail)
		}
	}
	one := ends{limit: 1600}
	io.WriteString(&one, strings.Repeat("x", 9000))
	if head, tail := one.lines(); head+tail != "[9000 bytes are left out]\n" {
		t.Errorf("of one line there are %q and %q", head, tail)
	}
}

// Commands that do not end are stopped with all that they started.
func TestReportStopsCommands(t *testing.T) {
	file := filepath.Join(t.TempDir(), "late")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	r := newReport(nil, func(string) string { return file })
	began := time.Now()
	r.ask(ctx, []question{{title: "long", commands: "(sleep 2; echo late >$ARCHIVE) | cat"}}, &strings.Builder{})
	if a := r.answers[0]; a.verdict != otherwise || !strings.HasPrefix(a.why, "no end after") || time.Since(began) > 1900*time.Millisecond {
		t.Errorf("after %s: %+v", time.Since(began), a)
	}
	time.Sleep(2500*time.Millisecond - time.Since(began))
	if _, err := os.Stat(file); err == nil {
		t.Error("what the shell started goes on")
	}
}

// What a status that is not there is answered with is told as it is.
func TestReportAsksForAnAbsentStatus(t *testing.T) {
	for status, want := range map[int]string{
		http.StatusNotFound: "404, as expected", http.StatusForbidden: "403: ", http.StatusOK: "it is there", http.StatusTeapot: "418",
	} {
		var asked string
		storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = r.URL.Path
			w.Header().Set("X-Goog-Generation", "1")
			w.WriteHeader(status)
		}))
		client, err := gcs.New(t.Context(), storage.URL)
		if err != nil {
			t.Fatal(err)
		}
		r := newReport(nil, os.Getenv)
		r.askAbsent(t.Context(), client, "status", "verify/hello")
		if !strings.Contains(r.absent, want) || !strings.HasSuffix(asked, "/b/status/o/verify/hello/nothing/status.json") {
			t.Errorf("of %d at %s it is said: %s, want %s", status, asked, r.absent, want)
		}
		storage.Close()
	}
}
