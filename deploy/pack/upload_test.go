package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/testing/storagetest"
)

const (
	// buildTime bounds what the go command does here: with an empty cache a
	// small machine compiles for some minutes.
	buildTime = 8 * time.Minute
	// startTime is for a function to listen, answer or exit.
	startTime = 5 * time.Minute
	// root is the path of the module's root from here.
	root   = "../.."
	module = "github.com/jobdrop/jobdrop"
)

// uploaded lists the files that are packed of this tree.
func uploaded(t *testing.T) []string {
	t.Helper()
	names, _, err := files(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// inGit lists the files that git leaves of a tree by its .gcloudignore. What is
// committed makes no difference to gcloud, and none here.
func inGit(t *testing.T, tree string) []string {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("SKIPPED: no git here, to whose reading of .gcloudignore that of the packer is compared")
	}
	dir := t.TempDir()
	ignore := filepath.Join(dir, "ignore")
	if err := os.WriteFile(ignore, gcloudignore(t, tree), 0o600); err != nil {
		t.Fatal(err)
	}
	// A repository of its own, in which no file is committed. Neither the
	// checkout's nor the settings of whoever runs the test have a say.
	repository := filepath.Join(dir, "repository")
	environ := append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_DIR="+repository,
		"GIT_INDEX_FILE="+filepath.Join(repository, "index"), "GIT_WORK_TREE=.")
	run(t, tree, environ, git, "init", "--quiet")
	list := run(t, tree, environ, git, "ls-files", "--others", "-z", "--exclude-from="+ignore)
	files := strings.Split(strings.TrimSuffix(list, "\x00"), "\x00")
	slices.Sort(files)
	return files
}

// gcloudignore returns .gcloudignore with the files that it includes.
func gcloudignore(t *testing.T, tree string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(tree, ".gcloudignore"))
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "#!include:"); ok {
			included, err := os.ReadFile(filepath.Join(tree, strings.TrimSpace(name)))
			if err != nil {
				t.Fatal(err)
			}
			line = string(included) + "\n"
		}
		all = append(all, line...)
	}
	return all
}

// run returns the standard output of a command that has to succeed.
func run(t *testing.T, dir string, environ []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), buildTime)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = dir, environ
	var out, said bytes.Buffer
	c.Stdout, c.Stderr = &out, &said
	if err := c.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(c.Args, " "), err, said.String())
	}
	return out.String()
}

// registered returns the names of the functions in function.go.
func registered(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "function.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		of, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := of.X.(*ast.Ident); !ok || x.Name != "functions" {
			return true
		}
		literal, ok := call.Args[0].(*ast.BasicLit)
		if !ok {
			t.Errorf("a function is registered under a name that is not a literal")
			return true
		}
		name, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Error(err)
		}
		names = append(names, name)
		return true
	})
	if len(names) == 0 {
		t.Fatal("function.go registers no function")
	}
	slices.Sort(names)
	return names
}

// inGcloud lists the files that gcloud sends of a tree.
func inGcloud(t *testing.T, tree string) []string {
	t.Helper()
	gcloud, err := exec.LookPath("gcloud")
	if err != nil {
		t.Skip("SKIPPED: no gcloud here, to whose reading of .gcloudignore that of the packer is compared")
	}
	environ := append(os.Environ(), "CLOUDSDK_CONFIG="+t.TempDir(), "CLOUDSDK_CORE_DISABLE_PROMPTS=1",
		"CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=1", "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK=1")
	list := strings.Split(strings.TrimSpace(run(t, tree, environ, gcloud, "meta", "list-files-for-upload", ".")), "\n")
	slices.Sort(list)
	return list
}

func TestUploadIsWhatGcloudSends(t *testing.T) {
	if diff := cmp.Diff(inGcloud(t, root), uploaded(t)); diff != "" {
		t.Errorf("files (-gcloud +packed):\n%s", diff)
	}
}

// git has rules that differ from gcloud's. The .gcloudignore here uses none of
// them, so that those who know git's read it right.
func TestUploadIsWhatGitLeaves(t *testing.T) {
	if diff := cmp.Diff(inGit(t, root), uploaded(t)); diff != "" {
		t.Errorf("files (-git +packed):\n%s", diff)
	}
}

// The upload has all that the build needs, which TestUploadBuildsAndAnswers
// proves, and nothing that makes the buildpack do something else, is large, or
// is nobody's business.
func TestUploadHolds(t *testing.T) {
	files := uploaded(t)
	for _, want := range []string{"function.go", "go.mod", "go.sum", "cmd/server/main.go"} {
		if !slices.Contains(files, want) {
			t.Errorf("%s is not uploaded", want)
		}
	}
	unwanted := map[string]*regexp.Regexp{
		"is not source": regexp.MustCompile(`^(\.git|\.ci|deploy|docs|bin|out)/|` +
			`^cloudbuild\.yaml$|(^|/)(testdata|node_modules|__pycache__)/`),
		"is a test": regexp.MustCompile(`_test\.go$`),
		"takes the build out of the module's hands": regexp.MustCompile(`^vendor/|(^|/)go\.work(\.sum)?$`),
		"gives the module a second one":             regexp.MustCompile(`/go\.mod$`),
		"may hold secrets": regexp.MustCompile(
			`\.tfstate|\.tfvars$|(^|/)\.env|\.pem$|(^|/)\.terraform/`),
		"makes it an application in another language": regexp.MustCompile(
			`^(package\.json|requirements\.txt|pyproject\.toml|pom\.xml|Gemfile|composer\.json|Dockerfile|Procfile)$`),
	}
	for _, name := range files {
		for why, pattern := range unwanted {
			if pattern.MatchString(name) {
				t.Errorf("%s is uploaded: it %s", name, why)
			}
		}
	}
}

// The buildpack reads what stands in the root, without regard to build tags, and
// wants one package there, no main, that imports the framework itself.
func TestUploadHasOneRootPackage(t *testing.T) {
	packages, imports := map[string]bool{}, false
	for _, name := range uploaded(t) {
		if path.Dir(name) != "." || path.Ext(name) != ".go" {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		packages[file.Name.Name] = true
		for _, i := range file.Imports {
			imports = imports || i.Path.Value == `"github.com/GoogleCloudPlatform/functions-framework-go/functions"`
		}
	}
	if len(packages) != 1 || packages["main"] {
		t.Errorf("packages in the root are %v, want one that is not main", packages)
	}
	if !imports {
		t.Error("no file of the root imports the framework's package functions")
	}
}

// generatedMain is the program that the buildpack puts beside the functions.
const generatedMain = `package main

import (
	"log"
	"os"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"

	_ "` + module + `"
)

func main() {
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	if err := funcframework.Start(port); err != nil {
		log.Fatalf("funcframework.Start: %v", err)
	}
}
`

// build unpacks the archive and builds it as the Go buildpack does, without a
// network. It returns the path of the program. There is one for all functions:
// FUNCTION_TARGET picks one of them when it starts.
func build(t *testing.T) string {
	t.Helper()
	source := filepath.Join(t.TempDir(), "serverless_function_source_code")
	archive, _, err := pack(root)
	if err != nil {
		t.Fatal(err)
	}
	unpack(t, archive, source)
	main := filepath.Join(source, "functions.local/app/main.go")
	if err := errors.Join(os.MkdirAll(filepath.Dir(main), 0o755),
		os.WriteFile(main, []byte(generatedMain), 0o644)); err != nil {
		t.Fatal(err)
	}
	environ := append(os.Environ(), "GOFLAGS=-mod=readonly", "GOPROXY=off", "GOWORK=")
	if work := strings.TrimSpace(run(t, source, environ, "go", "env", "GOWORK")); work != "" {
		t.Fatalf("the build would be that of the workspace %s", work)
	}
	// One module, whose first path element has a dot.
	if got := strings.TrimSpace(run(t, source, environ, "go", "list", "-m")); got != module {
		t.Fatalf("modules are %q, want %q", got, module)
	}
	// The buildpack runs go mod tidy, which looks at every package, not just at
	// those that the functions need: none may import what stays at home.
	run(t, source, environ, "go", "list", "-deps", "./...")
	program := filepath.Join(source, "main")
	run(t, source, environ, "go", "build", "-o", program, "./functions.local/app")
	for _, name := range []string{"go.mod", "go.sum"} {
		before, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		after, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(before), string(after)); diff != "" {
			t.Errorf("the build changed %s (-before +after):\n%s", name, diff)
		}
	}
	t.Run("tidy", func(t *testing.T) { checkTidy(t, source) })
	return program
}

// checkTidy does what the buildpack does to go.mod. Requirements of the tests may
// go; none may come, or change its version, since that would be built and never
// tested.
func checkTidy(t *testing.T, source string) {
	requirements := func() map[string]string {
		t.Helper()
		var file struct {
			Toolchain string
			Require   []struct{ Path, Version string }
		}
		if err := json.Unmarshal([]byte(run(t, source, os.Environ(), "go", "mod", "edit", "-json")), &file); err != nil {
			t.Fatal(err)
		}
		if file.Toolchain != "" {
			t.Errorf("go.mod names the toolchain %s, which the build would have to fetch", file.Toolchain)
		}
		versions := map[string]string{}
		for _, r := range file.Require {
			versions[r.Path] = r.Version
		}
		return versions
	}
	before := requirements()
	ctx, cancel := context.WithTimeout(t.Context(), buildTime)
	defer cancel()
	tidy := exec.CommandContext(ctx, "go", "mod", "tidy")
	tidy.Dir, tidy.Env = source, append(os.Environ(), "GOFLAGS=", "GOPROXY=off")
	if said, err := tidy.CombinedOutput(); err != nil {
		// It also wants modules that only tests of other modules need.
		if strings.Contains(string(said), "module lookup disabled by GOPROXY=off") {
			t.Skipf("SKIPPED: go mod tidy needs modules that are not on this machine; go mod download all fetches them:\n%s",
				said)
		}
		t.Fatalf("go mod tidy: %v\n%s", err, said)
	}
	for name, version := range requirements() {
		if before[name] != version {
			t.Errorf("go mod tidy in the uploaded tree makes %s %q, here it is %q", name, version, before[name])
		}
	}
}

// A function is the program as the service starts it for one target.
type function struct {
	url    string
	exited chan error
	said   bytes.Buffer // to be read when it has exited
}

// start starts the program with nothing in its environment but PORT and this.
func start(t *testing.T, program string, environ ...string) *function {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	f := &function{url: "http://127.0.0.1:" + port, exited: make(chan error, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	c := exec.CommandContext(ctx, program)
	c.Env = append(environ, "PORT="+port)
	c.Stdout, c.Stderr = &f.said, &f.said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.exited <- c.Wait()
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		if t.Failed() {
			t.Logf("the function said:\n%s", f.said.String())
		}
	})
	return f
}

// listens waits until the function takes connections.
func (f *function) listens(t *testing.T) {
	t.Helper()
	deadline := time.After(startTime)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		c, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
		if err == nil {
			c.Close()
			return
		}
		select {
		case err := <-f.exited:
			t.Fatalf("the function exited: %v", err)
		case <-deadline:
			t.Fatalf("the function does not listen: %v", err)
		case <-ticker.C:
		}
	}
}

// post sends an event and returns the status of the answer.
func (f *function) post(t *testing.T, header http.Header, body string) int {
	t.Helper()
	// With a target, every path calls that function.
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url+"/any/path", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	response, err := (&http.Client{Timeout: startTime}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode
}

// Each function answers an event in the program that the buildpack makes, with
// no more of an environment than it documents.
func TestUploadBuildsAndAnswers(t *testing.T) {
	program := build(t)
	_, storage := storagetest.New(t, "inbox", "state", "staging", "status")
	// No job runs; whoever asks for more than a list gets no answer.
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/projects/test/jobs", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}")
	})
	backend := httptest.NewServer(mux)
	t.Cleanup(backend.Close)
	environ := []string{
		"JOBDROP_INSTANCE=test", "JOBDROP_PROJECT=test", "JOBDROP_INBOX=inbox", "JOBDROP_STATE_BUCKET=state",
		"JOBDROP_STAGING_BUCKET=staging", "JOBDROP_STATUS_BUCKET=status", "JOBDROP_TOPIC=projects/test/topics/lifecycle",
		"JOBDROP_BACKEND=aiplatform",
		"STORAGE_EMULATOR_HOST=" + storage.URL(),
		"JOBDROP_BACKEND_ENDPOINT=" + backend.URL,
		// Nobody listens there: these events lead to no message.
		"PUBSUB_EMULATOR_HOST=127.0.0.1:1",
	}
	finalized := func(object string) (http.Header, string) {
		return http.Header{
			"Content-Type": {"application/json"}, "Ce-Id": {"1"}, "Ce-Specversion": {"1.0"},
			"Ce-Type":   {"google.cloud.storage.object.v1.finalized"},
			"Ce-Source": {"//storage.googleapis.com/projects/_/buckets/inbox"}, "Ce-Subject": {"objects/" + object},
		}, fmt.Sprintf(`{"bucket": "inbox", "name": %q, "generation": "1", "size": "9"}`, object)
	}
	eventHeader, eventBody := finalized("census/notes.txt")
	tests := map[string]struct {
		header http.Header
		body   string
	}{
		"Submit": {eventHeader, eventBody},
		"Watch":  {http.Header{}, ""},
		// Nobody is to be told.
		"Notify": {http.Header{"Content-Type": {"application/json"}}, lifecyclePush(t)},
	}
	for _, name := range registered(t) {
		t.Run(name, func(t *testing.T) {
			test, ok := tests[name]
			if !ok {
				t.Fatal("no event here for this function")
			}
			f := start(t, program, append(environ, "FUNCTION_TARGET="+name)...)
			f.listens(t)
			if got := f.post(t, test.header, test.body); got != http.StatusNoContent {
				t.Errorf("the answer is %d, want %d", got, http.StatusNoContent)
			}
		})
		// A deployment that forgot its configuration must not acknowledge.
		t.Run(name+" without configuration", func(t *testing.T) {
			f := start(t, program, "FUNCTION_TARGET="+name)
			f.listens(t)
			if got := f.post(t, tests[name].header, tests[name].body); got != http.StatusServiceUnavailable {
				t.Errorf("the answer is %d, want %d", got, http.StatusServiceUnavailable)
			}
		})
	}
	t.Run("a drop", func(t *testing.T) { checkRunsADrop(t, program) })
	t.Run("no such target", func(t *testing.T) {
		f := start(t, program, append(environ, "FUNCTION_TARGET=submit")...)
		select {
		case err := <-f.exited:
			var exit *exec.ExitError
			if !errors.As(err, &exit) || !strings.Contains(f.said.String(), `no matching function found with name: "submit"`) {
				t.Errorf("it ended with %v and said %q", err, f.said.String())
			}
		case <-time.After(startTime):
			t.Error("it runs on")
		}
	})
}

// Who deploys by the documents or the files of deploy/ names a function that is
// registered, and each that is.
func TestEntryPointsAreRegistered(t *testing.T) {
	want := registered(t)
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	quoted := regexp.MustCompile("`(\\w+)`")
	for _, named := range []struct{ file, place string }{
		{"CONTRIBUTING.md", "the Cloud Functions .*: decode"},
		{"deploy/README.md", `functions are built from the root of the module; .* are the entry points\.`},
	} {
		var got []string
		for _, match := range quoted.FindAllStringSubmatch(regexp.MustCompile(named.place).FindString(read(named.file)), -1) {
			got = append(got, match[1])
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: functions in the sentence %q (-registered +named):\n%s", named.file, named.place, diff)
		}
	}

	// The spellings of Terraform, of gcloud's flags, of environments, and of the
	// table in deploy/README.md.
	entry := regexp.MustCompile("(?:entry_point|function_target|FUNCTION_TARGET)" +
		"\"?\\s*[=:]\\s*[\"']?(\\w+)[\"']?\\s*(?:#.*)?$" +
		"|--entry-point[= ](\\w+)|--function[= ](\\w+)|^\\| function `(\\w+)`")
	files := []string{"cloudbuild.yaml", "README.md", "CONTRIBUTING.md"}
	err := fs.WalkDir(os.DirFS(root), "deploy", func(name string, d fs.DirEntry, err error) error {
		if d != nil && d.Name() == "node_modules" {
			return fs.SkipDir
		}
		if err == nil && d.Type().IsRegular() && path.Ext(name) != ".go" {
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, file := range files {
		for line := range strings.Lines(read(file)) {
			for _, match := range entry.FindAllStringSubmatch(strings.TrimSpace(line), -1) {
				name := strings.Join(match[1:], "")
				found[name] = true
				if !slices.Contains(want, name) {
					t.Errorf("%s names the function %q, registered are %q: %s", file, name, want, line)
				}
			}
		}
	}
	for _, name := range want {
		if !found[name] {
			t.Errorf("nothing in deploy/ names the function %q", name)
		}
	}
}

// lifecyclePush returns a push of the example of job.failed.
func lifecyclePush(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs/events/job.failed.v1.json"))
	if err != nil {
		t.Fatal(err)
	}
	var example struct {
		Attributes map[string]string
		Data       json.RawMessage
	}
	if err := json.Unmarshal(text, &example); err != nil {
		t.Fatal(err)
	}
	push, err := json.Marshal(map[string]any{
		"subscription": "projects/test/subscriptions/notify-lifecycle",
		"message": map[string]any{
			"messageId": "1", "attributes": example.Attributes, "data": []byte(example.Data),
			"orderingKey": "468994d0b7bf057f595f5f6a2600fb09492933d3-1795442400381000",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(push)
}
