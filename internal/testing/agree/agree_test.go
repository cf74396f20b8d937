package agree_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/backend/aiplatform"
	"github.com/jobdrop/jobdrop/internal/backend/vertex"
	"github.com/jobdrop/jobdrop/internal/check/inspect"
	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/cli"
	"github.com/jobdrop/jobdrop/internal/local/training"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// The rule sets that validate is compared with.
const (
	atML     = "ml/v1"         // the local service's projects.jobs.create
	atVertex = "aiplatform/v1" // the local service's create of what Vertex AI would get
	onVertex = "vertex"        // plan --backend vertex, and the backend's own check
	byPip    = "pip"
	// inInstallation is validate with the flags that say what an installation knows.
	inInstallation = "installation"
)

// The installation that the drops are meant for.
const (
	project = "my-project"
	inbox   = "inbox"
)

// TestEveryoneAgrees puts each drop through all rule sets. What validate passes every one takes,
// and what it refuses none takes. Each disagreement is in the table, or in [lenient] or
// [doubtful], with its reason, and is real. What an installation alone knows, validate says with
// the flag that supplies it, and plan and the installation's own check say the same.
func TestEveryoneAgrees(t *testing.T) {
	local := startService(t)
	dir := t.TempDir()
	var all []*checked
	rules, needed, listed := map[string]bool{}, map[string]bool{}, 0
	for i, d := range drops() {
		if d.packages == nil {
			d.packages = plain
		}
		c := &checked{drop: d, folder: fmt.Sprintf("d%03d", i), needed: needed}
		all = append(all, c)
		c.write(t, dir)
		c.check(t, local)
		for _, word := range strings.Fields(d.found) {
			rules[strings.TrimPrefix(word, "~")] = true
		}
		listed += c.listed
	}
	for _, of := range []map[string]string{lenient, doubtful} {
		for rule := range of {
			if !needed[rule] {
				t.Errorf("%s is listed, and no drop shows it", rule)
			}
		}
	}
	listed += comparePip(t, all)
	t.Logf("%d drops, %d rules, %d disagreements, each listed with its reason", len(all), len(rules), listed)
	if len(all) < 150 || len(rules) < 60 {
		t.Errorf("%d drops of %d rules, want 150 of 60", len(all), len(rules))
	}
}

// checked is a drop on its way through the rule sets.
type checked struct {
	drop
	folder string
	path   string
	// full is what validate says if it knows as much as an installation.
	full   report
	listed int
	needed map[string]bool
}

func (c *checked) write(t *testing.T, dir string) {
	t.Helper()
	c.path = filepath.Join(dir, c.folder)
	if err := os.Mkdir(c.path, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range c.packages {
		if err := os.WriteFile(filepath.Join(c.path, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(c.path, "job.yaml"), []byte(c.job), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (c *checked) errorf(t *testing.T, format string, args ...any) {
	t.Helper()
	t.Errorf("%s: %s", c.name, fmt.Sprintf(format, args...))
}

// report is what validate says of a drop.
type report struct {
	Valid      bool            `json:"valid"`
	Missing    []string        `json:"missing"`
	Violations []job.Violation `json:"violations"`
}

// incomplete stands for a rule where something is missing.
const incomplete = "incomplete"

// rules returns the rules that a report names, as the table has them.
func (r report) rules() string {
	names := map[string]bool{}
	for _, v := range r.Violations {
		name := string(v.Rule)
		if v.Severity == job.Warning {
			name = "~" + name
		}
		names[name] = true
	}
	if len(r.Missing) > 0 {
		names[incomplete] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(names)), " ")
}

// command runs a command line in this process.
func command(t *testing.T, args ...string) (code int, stdout string) {
	t.Helper()
	var out bytes.Buffer
	env := cli.Env{In: strings.NewReader(""), Out: &out, Err: io.Discard, Now: now,
		Getenv: func(string) string { return "" }}
	return cli.Run(t.Context(), env, args), out.String()
}

func (c *checked) validate(t *testing.T, flags ...string) report {
	t.Helper()
	code, out := command(t, append([]string{"validate", c.path, "--format", "json"}, flags...)...)
	var reports []report
	if err := json.Unmarshal([]byte(out), &reports); err != nil || len(reports) != 1 {
		t.Fatalf("%s: validate exits %d: %v, %s", c.name, code, err, out)
	}
	if (code == 0) != reports[0].Valid {
		c.errorf(t, "validate exits %d, and says valid: %v", code, reports[0].Valid)
	}
	return reports[0]
}

// check puts the drop through all rule sets but pip.
func (c *checked) check(t *testing.T, local *service) {
	t.Helper()
	plainly := c.validate(t, c.flags...)
	if want := strings.Join(slices.Sorted(slices.Values(strings.Fields(c.found))), " "); plainly.rules() != want {
		c.errorf(t, "validate names %q, want %q", plainly.rules(), want)
	}
	flags := []string{"--project", project, "--inbox", inbox}
	full := c.validate(t, flags...)
	c.full = full
	c.installationKnows(t, plainly, full)

	backends := map[string]backend{aiplatform.Name: local.ml, vertex.Name: local.vertex}
	orders := map[string]*job.Order{}
	for name, b := range backends {
		r, order := c.installation(t, b)
		orders[name] = order
		code, _ := command(t, append([]string{"plan", c.path, "--backend", name}, flags...)...)
		if (code == 0) != (order != nil) {
			c.errorf(t, "plan for %s exits %d, and an installation accepts: %v: %v", name, code, order != nil, r.Violations)
		}
		if name == aiplatform.Name && full.Valid != (order != nil) {
			c.errorf(t, "validate says %q, and an installation accepts: %v: %v", full.rules(), order != nil, r.Violations)
		}
	}
	c.compare(t, onVertex, full, orders[vertex.Name] != nil, "")
	c.create(t, local, full, orders)
}

// installationKnows compares validate without flags with what it says if it knows as much as an
// installation. What it can't know it says with the flag.
func (c *checked) installationKnows(t *testing.T, plainly, full report) {
	t.Helper()
	for _, v := range plainly.Violations {
		open := v.Severity == job.Warning && strings.HasPrefix(string(v.Rule), "policy-")
		if open && !strings.Contains(v.Remedy, "--") {
			c.errorf(t, "%s: what an installation would say depends, and no flag is named: %v", v.Rule, v)
		}
		if open {
			return
		}
	}
	refused := plainly.rules() == "" && !full.Valid
	if why := c.says[inInstallation]; refused != (why != "") {
		c.errorf(t, "without flags validate says %q, an installation %v, and the table: %q", plainly.rules(),
			full.Violations, why)
	}
	if refused {
		c.listed++
	}
}

func now() time.Time { return time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC) }

// backend is what an installation asks of a service before it accepts a job.
type backend interface {
	Name() string
	Check(o job.Order) []plan.Diagnostic
	Create(ctx context.Context, o job.Order) (attempt.BackendJob, error)
}

// inspect checks the drop as the Submit function does, before it asks the backend.
func (c *checked) inspect(t *testing.T, backend string) inspect.Result {
	t.Helper()
	var objects []job.Object
	add := func(name string, size int) {
		if job.IsPart(name, int64(size)) {
			objects = append(objects, job.Object{Bucket: inbox, Name: c.folder + "/" + name, Size: int64(size), Generation: 1,
				Created: now()})
		}
	}
	add("job.yaml", len(c.job))
	for name, content := range c.packages {
		add(name, len(content))
	}
	d := job.Assemble(inbox, c.folder+"/", objects)
	if _, ok := d.JobFile(); !ok {
		return inspect.Result{Resolution: job.Resolution{Missing: []string{"a job file"}}}
	}
	open := func(_ context.Context, o job.Object) (io.ReadCloser, error) {
		return os.Open(filepath.Join(c.path, o.Base()))
	}
	r, err := inspect.Drop(t.Context(), d, inspect.Objects{Open: open}, installed(backend))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// installed returns the policy of an installation that has no file for it.
func installed(backend string) policy.Policy {
	return policy.Policy{Project: project, Inbox: inbox, Backend: backend}
}

// installation checks the drop as the Submit function does. It returns the order for the
// backend, or nil if the drop is not accepted.
func (c *checked) installation(t *testing.T, b backend) (inspect.Result, *job.Order) {
	t.Helper()
	r := c.inspect(t, b.Name())
	if r.Incomplete() || job.HasErrors(r.Violations) {
		return r, nil
	}
	order := job.Order{Spec: r.Spec, Mapping: installed(b.Name()).For(c.folder).Mapping(r.Spec.TrainingInput, r.Options.Vertex)}
	r.Map(b.Check(order), false)
	if job.HasErrors(r.Violations) {
		return r, nil
	}
	order.Labels = job.Labels(r.Spec.Labels, "agree", c.folder, "content")
	return r, &order
}

// create asks the local service for the job: for what jobdrop would ask for, or if the drop is
// refused for what its file says.
func (c *checked) create(t *testing.T, local *service, full report, orders map[string]*job.Order) {
	t.Helper()
	if order := orders[aiplatform.Name]; order != nil {
		_, err := local.ml.Create(t.Context(), *order)
		c.compare(t, atML, full, c.taken(t, err), fmt.Sprint(err))
	} else if body := c.raw(); body != nil {
		err := local.post(t.Context(), "projects/"+project+"/jobs", body)
		c.compare(t, atML, full, c.taken(t, err), fmt.Sprint(err))
	}
	if order := orders[vertex.Name]; order != nil {
		request, _ := vertex.NewRequest(project, *order, now())
		body, err := json.Marshal(request.Body())
		if err != nil {
			t.Fatal(err)
		}
		err = local.post(t.Context(), request.Parent+"/"+request.Collection(), body)
		c.compare(t, atVertex, full, c.taken(t, err), fmt.Sprint(err))
	}
}

// taken reports whether the service took a job. An answer other than yes and no is a fault.
func (c *checked) taken(t *testing.T, err error) bool {
	t.Helper()
	var refused *attempt.RefusedError
	if err != nil && !errors.As(err, &refused) {
		c.errorf(t, "the local service answers %v", err)
	}
	return err == nil
}

// compare holds what a rule set says against what validate says.
func (c *checked) compare(t *testing.T, who string, full report, takes bool, answer string) {
	t.Helper()
	why, excepted := c.says[who]
	switch {
	case takes == full.Valid:
		if excepted {
			c.errorf(t, "%s agrees, and the table has a reason why not: %s", who, why)
		}
	case excepted:
		c.listed++
	case takes && who == atML && c.known(full, lenient), !takes && c.known(full, doubtful):
		c.listed++
	default:
		c.errorf(t, "%s takes it: %v (%s), and validate says %q", who, takes, answer, full.rules())
	}
}

// known reports whether a list has the reason for each error of a report, or for its warnings if
// it has none.
func (c *checked) known(full report, reasons map[string]string) bool {
	found := false
	if len(full.Missing) > 0 {
		full.Violations = append(full.Violations, job.Violation{Rule: incomplete})
	}
	for _, v := range full.Violations {
		if v.Severity == job.Warning && !full.Valid {
			continue
		}
		if reasons[string(v.Rule)] == "" {
			if full.Valid {
				continue
			}
			return false
		}
		c.needed[string(v.Rule)] = true
		found = true
	}
	return found
}

// raw returns the job file as a request of ml/v1, or nil if it can't be written as JSON.
func (c *checked) raw() []byte {
	var doc map[string]any
	if err := yaml.Unmarshal([]byte(c.job), &doc); err != nil || doc == nil {
		return nil
	}
	delete(doc, "jobdrop") // which is not the API's
	if _, ok := doc["jobId"]; !ok {
		doc["jobId"] = c.folder
	}
	if in, ok := doc["trainingInput"].(map[string]any); ok {
		c.resolve(in)
	}
	body, err := json.Marshal(doc)
	if err != nil {
		return nil
	}
	return body
}

// resolve puts URIs in the place of the names of packages.
func (c *checked) resolve(in map[string]any) {
	uris, ok := in["packageUris"].([]any)
	if in["packageUris"] == nil {
		for _, name := range slices.Sorted(maps.Keys(c.packages)) {
			uris, ok = append(uris, name), true
		}
	}
	if !ok {
		return
	}
	for i, uri := range uris {
		if name, isText := uri.(string); isText && !strings.Contains(name, "/") {
			uris[i] = "gs://" + inbox + "/" + c.folder + "/" + name
		}
	}
	in["packageUris"] = uris
}

// service is the local training service over HTTP, and the backends that speak to it.
type service struct {
	url        string
	ml, vertex backend
}

// startService starts a service that never gets as far as to run a job: Cloud Storage does not
// answer it.
func startService(t *testing.T) *service {
	t.Helper()
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	dir := t.TempDir()
	docker := filepath.Join(dir, "docker")
	if err := os.WriteFile(docker, []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := training.New(t.Context(), training.Options{
		Storage: silent.URL, Dir: filepath.Join(dir, "jobs"), Python: training.Python{Path: docker}, MaxJobs: 1,
		MaxReplicas: 10_000, ContainerRunner: docker,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		server.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		silent.CloseClientConnections()
		silent.Close()
	})
	ml, err := aiplatform.New(t.Context(), project, server.URL)
	if err != nil {
		t.Fatal(err)
	}
	v, err := vertex.New(t.Context(), vertex.Options{Project: project, Regions: append(vertex.Regions(),
		"mars-central1"),
		Endpoint: server.URL, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return &service{url: server.URL, ml: ml, vertex: v}
}

// post asks for a job of a collection. Its error is an [attempt.RefusedError] if the service refuses it.
func (s *service) post(ctx context.Context, collection string, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/"+collection, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	switch {
	case err != nil:
		return err
	case response.StatusCode == http.StatusOK:
		return nil
	case response.StatusCode == http.StatusBadRequest:
		return &attempt.RefusedError{Code: "INVALID_ARGUMENT", Message: string(answer)}
	}
	return fmt.Errorf("%s: %s", response.Status, answer)
}
