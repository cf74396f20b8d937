package training

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// collection is a kind of jobs of aiplatform/v1, as its resource names have it.
type collection string

const (
	customJobs collection = "customJobs"
	tuningJobs collection = "hyperparameterTuningJobs"
)

// kind is what differs between the collections.
type kind struct {
	schema  string // of its resource, whose name that is, too
	message string // the resource's place in error messages
	methods string // the begin of its methods' IDs
}

var kinds = map[collection]kind{
	customJobs: {"CustomJob", "custom_job", "aiplatform.projects.locations.customJobs."},
	tuningJobs: {"HyperparameterTuningJob", "hyperparameter_tuning_job", "aiplatform.projects.locations.hyperparameterTuningJobs."},
}

// vertexSchema begins the names of the API's schemas.
const vertexSchema = "GoogleCloudAiplatformV1"

// vertexStates are the API's words for the states of jobs. None of its others
// (PAUSED, EXPIRED, UPDATING, PARTIALLY_SUCCEEDED) happens here.
var vertexStates = map[state]string{
	queued:     "JOB_STATE_QUEUED",
	preparing:  "JOB_STATE_PENDING",
	running:    "JOB_STATE_RUNNING",
	succeeded:  "JOB_STATE_SUCCEEDED",
	failed:     "JOB_STATE_FAILED",
	cancelling: "JOB_STATE_CANCELLING",
	cancelled:  "JOB_STATE_CANCELLED",
}

// The codes of google.rpc.Code that a job's error has. 1 is the API's own word for
// a cancelled job; 3 is what is seen of jobs whose replica exited with a status.
const (
	codeCancelled       = 1
	codeInvalidArgument = 3
	codeInternal        = 13
)

// vertexJob is what a record has of a job that came through aiplatform/v1, beside
// what every job has: its ID is the record's job ID, and its TrainingInput is
// what the runner counts and bounds the job by.
type vertexJob struct {
	Location   string     `json:"location"`
	Collection collection `json:"collection"`
	// Body is the request's, in the API's own form, less what only the service
	// sets.
	Body       json.RawMessage `json:"body"`
	UpdateTime time.Time       `json:"updateTime"`
	Code       int             `json:"code,omitempty"` // of the job's error
}

func (v *vertexJob) parse() (body vertexBody, err error) {
	if _, ok := kinds[v.Collection]; !ok {
		return body, fmt.Errorf("jobs of an unknown kind, %q", v.Collection)
	}
	if err := json.Unmarshal(v.Body, &body); err != nil {
		return body, err
	}
	if body.spec() == nil || (v.Collection == tuningJobs) != (body.StudySpec != nil) {
		return body, errors.New("a job without a spec")
	}
	return body, nil
}

// touch notes the time of a change. The caller holds mu.
func (e *entry) touch(now time.Time) {
	if e.Vertex != nil {
		e.Vertex.UpdateTime = now
	}
}

// setCode notes which error a job ended with. The caller holds mu.
func (e *entry) setCode(err error) {
	if e.Vertex == nil {
		return
	}
	switch {
	case e.Job.State == cancelled:
		e.Vertex.Code = codeCancelled
	case e.Job.State != failed:
	case errors.Is(err, errClosed):
		e.Vertex.Code = codeInternal
	default:
		e.Vertex.Code = codeInvalidArgument
	}
}

func (e *entry) vertexName() string {
	return fmt.Sprintf("projects/%s/locations/%s/%s/%s", e.Project, e.Vertex.Location, e.Vertex.Collection, e.Job.JobID)
}

// vertexView is the job as the API shows it. The caller holds mu.
func (e *entry) vertexView() map[string]any {
	view := map[string]any{}
	_ = json.Unmarshal(e.Vertex.Body, &view) // it was written by Marshal
	view["name"], view["state"] = e.vertexName(), vertexStates[e.Job.State]
	view["createTime"], view["updateTime"] = e.Job.CreateTime, e.Vertex.UpdateTime
	if !e.Job.StartTime.IsZero() {
		view["startTime"] = e.Job.StartTime
	}
	if !e.Job.EndTime.IsZero() {
		view["endTime"] = e.Job.EndTime
	}
	if e.Job.State == failed || e.Job.State == cancelled {
		view["error"] = map[string]any{"code": e.Vertex.Code, "message": e.Job.ErrorMessage}
	}
	if trials := e.vertexTrials(); len(trials) > 0 {
		view["trials"] = trials
	}
	return view
}

// address is what a request's path names.
type address struct {
	project, location string
	collection        collection
	id, verb          string
}

// vertexAddress reads a path of the API's, of the form
// /v1/projects/P/locations/L/customJobs[/ID[:cancel]].
func vertexAddress(path string) (a address, ok bool) {
	parts := strings.Split(path, "/")
	if len(parts) < 7 || len(parts) > 8 || parts[0] != "" || parts[1] != "v1" || parts[2] != "projects" || parts[3] == "" ||
		parts[4] != "locations" || parts[5] == "" {
		return a, false
	}
	a = address{project: parts[3], location: parts[5], collection: collection(parts[6])}
	if _, ok := kinds[a.collection]; !ok {
		return a, false
	}
	if len(parts) == 8 {
		a.id, a.verb, _ = strings.Cut(parts[7], ":")
		return a, a.id != ""
	}
	return a, true
}

// locationFormat is that of regions, the only locations with jobs.
var locationFormat = regexp.MustCompile(`^[a-z]+-[a-z]+[0-9]+$`)

func (s *Service) serveVertex(r *http.Request, a address) (any, error) {
	method, serve := "", func() (any, error) { return nil, unknownMethod(r) }
	switch {
	case r.Method == http.MethodPost && a.id == "":
		method, serve = "create", func() (any, error) { return s.serveVertexCreate(r, a) }
	case r.Method == http.MethodGet && a.id == "":
		method, serve = "list", func() (any, error) { return s.serveVertexList(r, a) }
	case r.Method == http.MethodGet && a.verb == "":
		method, serve = "get", func() (any, error) { return s.getVertex(a) }
	case r.Method == http.MethodPost && a.verb == "cancel":
		method, serve = "cancel", func() (any, error) { return s.serveVertexCancel(r, a) }
	}
	if method == "" {
		return serve()
	}
	for name := range r.URL.Query() {
		if known := s.vertex.queries[kinds[a.collection].methods+method]; !known[name] && !known[camel(name)] {
			return nil, invalid("Invalid JSON payload received. Unknown name %q: Cannot bind query parameter. Field '%[1]s' could not be found in request message.", name)
		}
	}
	if !locationFormat.MatchString(a.location) {
		return nil, invalid("Unsupported location %q: jobs are created in regions, e.g. us-central1.", a.location)
	}
	return serve()
}

// vertexInvalid reports fields as the API does.
func vertexInvalid(vs []fieldViolation) error {
	var b strings.Builder
	b.WriteString("List of found errors:\t")
	for i, v := range vs {
		fmt.Fprintf(&b, "%d.Field: %s; Message: %s\t", i+1, v.Field, v.Description)
	}
	return &apiError{http.StatusBadRequest, "INVALID_ARGUMENT", b.String(), vs}
}

func (s *Service) serveVertexCreate(r *http.Request, a address) (any, error) {
	k := kinds[a.collection]
	data, err := readBody(s.vertex, r, vertexSchema+k.schema, k.message)
	if err != nil {
		return nil, err
	}
	data, err = s.vertex.input(data, vertexSchema+k.schema)
	if err != nil {
		return nil, err
	}
	v := &vertexJob{Location: a.location, Collection: a.collection, Body: data}
	var body vertexBody
	if err := json.Unmarshal(data, &body); err != nil {
		return nil, invalid("Invalid JSON payload received. %v", err)
	}
	vs := checkVertex(body, a)
	if len(vs) == 0 {
		vs = s.limits().checkVertex(v)
	}
	if len(vs) > 0 {
		return nil, vertexInvalid(vs)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		// The ID is new: a create of the same again is another job.
		e, err := s.enqueue(record{Project: a.project, Vertex: v, Job: resource{Spec: job.Spec{JobID: vertexID(), Labels: body.Labels, TrainingInput: body.input(a)}}})
		if errors.Is(err, errJobExists) {
			continue
		}
		if err != nil {
			return nil, err
		}
		answer := e.vertexView()
		s.dispatch()
		return answer, nil
	}
}

// vertexID is a new ID of 19 digits, as the API's are. No job of ml/v1 has one that
// begins with a digit.
func vertexID() string {
	const first = 1_000_000_000_000_000_000
	return strconv.FormatInt(first+rand.Int64N(8*first), 10)
}

// findVertex gives a job, or an error that says so. The caller holds mu.
func (s *Service) findVertex(a address) (*entry, error) {
	e := s.jobs[a.id]
	if e == nil || e.Vertex == nil || e.Project != a.project || e.Vertex.Location != a.location || e.Vertex.Collection != a.collection {
		return nil, &apiError{Code: http.StatusNotFound, Status: "NOT_FOUND", Message: fmt.Sprintf("%s projects/%s/locations/%s/%s/%s is not found.",
			kinds[a.collection].schema, a.project, a.location, a.collection, a.id)}
	}
	return e, nil
}

func (s *Service) getVertex(a address) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findVertex(a)
	if err != nil {
		return nil, err
	}
	return e.vertexView(), nil
}

func (s *Service) serveVertexCancel(r *http.Request, a address) (any, error) {
	k := kinds[a.collection]
	if _, err := readBody(s.vertex, r, vertexSchema+"Cancel"+k.schema+"Request", "request"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	e, err := s.findVertex(a)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return struct{}{}, s.cancel(e, errByRequest)
}

func (s *Service) serveVertexList(r *http.Request, a address) (any, error) {
	q := map[string]string{}
	for name, values := range r.URL.Query() {
		q[camel(name)] = values[0]
	}
	if len(q["filter"]) > maxFilter {
		return nil, invalid("Invalid filter: it is longer than %d bytes.", maxFilter)
	}
	match, err := parseTerms(q["filter"], vertexTerm)
	if err != nil {
		return nil, invalid("Invalid filter: %v.", err)
	}
	mask, err := s.vertex.mask(q["readMask"], vertexSchema+kinds[a.collection].schema)
	if err != nil {
		return nil, invalid("Invalid read_mask: %v.", err)
	}
	size, err := pageSize(q["pageSize"])
	if err != nil {
		return nil, err
	}
	after, err := base64.RawURLEncoding.DecodeString(q["pageToken"])
	if err != nil {
		return nil, invalid("Invalid page token.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.id = string(after); a.id != "" {
		if _, err := s.findVertex(a); err != nil {
			return nil, invalid("Invalid page token.")
		}
	}
	page, more := s.page(a.id, size, func(e *entry) bool {
		return e.Vertex != nil && e.Project == a.project && e.Vertex.Location == a.location && e.Vertex.Collection == a.collection && match(e)
	})
	answer := map[string]any{}
	if more {
		answer["nextPageToken"] = base64.RawURLEncoding.EncodeToString([]byte(page[len(page)-1].Job.JobID))
	}
	var jobs []any
	for _, e := range page {
		jobs = append(jobs, mask.of(e.vertexView()))
	}
	if len(jobs) > 0 {
		answer[string(a.collection)] = jobs
	}
	return answer, nil
}

// input takes what only the service sets out of a body, and puts in what it sets
// where a job is silent.
func (d *document) input(data []byte, schema string) ([]byte, error) {
	body := map[string]any{}
	if err := json.Unmarshal(data, &body); err != nil {
		return nil, err
	}
	for name, property := range d.schemas[schema].Properties {
		if property.ReadOnly {
			delete(body, name)
		}
	}
	for _, name := range []string{"jobSpec", "trialJobSpec"} {
		spec, _ := body[name].(map[string]any)
		if base, ok := spec["baseOutputDirectory"].(map[string]any); ok {
			// "If the uri doesn't end with '/', a '/' will be automatically appended."
			if uri, _ := base["outputUriPrefix"].(string); uri != "" && !strings.HasSuffix(uri, "/") {
				base["outputUriPrefix"] = uri + "/"
			}
		}
		pools, _ := spec["workerPoolSpecs"].([]any)
		for _, p := range pools {
			pool, _ := p.(map[string]any)
			if pool["containerSpec"] == nil && pool["pythonPackageSpec"] == nil {
				continue
			}
			disk, _ := pool["diskSpec"].(map[string]any)
			if disk == nil {
				disk = map[string]any{}
			}
			// The defaults of the API's reference.
			if disk["bootDiskType"] == nil || disk["bootDiskType"] == "" {
				disk["bootDiskType"] = "pd-ssd"
			}
			if disk["bootDiskSizeGb"] == nil || disk["bootDiskSizeGb"] == float64(0) {
				disk["bootDiskSizeGb"] = 100
			}
			pool["diskSpec"] = disk
		}
	}
	return json.Marshal(body)
}

// fieldMask is a google.protobuf.FieldMask as a tree; nil is all fields.
type fieldMask map[string]fieldMask

// mask reads a mask over a schema. Fields may be named as JSON or proto names them;
// a list or map is taken or left as a whole.
func (d *document) mask(text, schemaName string) (fieldMask, error) {
	if text == "" || text == "*" {
		return nil, nil
	}
	all := fieldMask{}
	for path := range strings.SplitSeq(text, ",") {
		path = strings.TrimSpace(path)
		if !d.addPath(all, d.schemas[schemaName], strings.Split(path, ".")) {
			return nil, fmt.Errorf("%q is no field of a %s", path, strings.TrimPrefix(schemaName, vertexSchema))
		}
	}
	return all, nil
}

// addPath tells whether there is such a field.
func (d *document) addPath(m fieldMask, s *schema, names []string) bool {
	name := camel(names[0])
	if s == nil || s.Properties[name] == nil {
		return false
	}
	if len(names) == 1 {
		m[name] = nil
		return true
	}
	inner, had := m[name]
	if inner == nil {
		inner = fieldMask{}
	}
	if !had {
		m[name] = inner
	}
	return d.addPath(inner, d.schemas[s.Properties[name].Ref], names[1:])
}

// of gives the fields of a message that a mask names.
func (m fieldMask) of(message map[string]any) map[string]any {
	if m == nil {
		return message
	}
	out := map[string]any{}
	for name, inner := range m {
		value, ok := message[name]
		if below, isMessage := value.(map[string]any); ok && isMessage {
			value = inner.of(below)
		}
		if ok {
			out[name] = value
		}
	}
	return out
}

// vertexTerm reads a comparison of the API's list filters.
func vertexTerm(field, op, value string, quoted bool) (predicate[*entry], error) {
	ops := func(allowed ...string) error {
		if !slices.Contains(allowed, op) {
			return fmt.Errorf("%s can't be compared with %s, only with %s", field, op, strings.Join(allowed, ", "))
		}
		return nil
	}
	equal := func(get func(*entry) (string, bool)) predicate[*entry] {
		return func(e *entry) bool { v, ok := get(e); return (ok && v == value) == (op != "!=") }
	}
	if key, ok := strings.CutPrefix(field, "labels."); ok && key != "" {
		if op == ":" && value == "*" && !quoted {
			return func(e *entry) bool { _, ok := e.Job.Labels[key]; return ok }, nil
		}
		if op == ":" {
			return nil, fmt.Errorf("%s: takes * alone, which asks whether the label is there", field)
		}
		return equal(func(e *entry) (string, bool) { v, ok := e.Job.Labels[key]; return v, ok }), ops("=", "!=")
	}
	switch field {
	case "display_name", "displayName":
		if op == ":" {
			return func(e *entry) bool { return matchStars(value, e.body.DisplayName) }, nil
		}
		return equal(func(e *entry) (string, bool) { return e.body.DisplayName, true }), ops("=", "!=", ":")
	case "state":
		if !slices.Contains(jobStates, value) {
			return nil, fmt.Errorf("%q is no state", value)
		}
		return equal(func(e *entry) (string, bool) { return vertexStates[e.Job.State], true }), ops("=", "!=")
	case "create_time", "createTime":
		t, err := time.Parse(time.RFC3339Nano, value)
		if err != nil {
			return nil, fmt.Errorf("%q is no time as of RFC 3339, e.g. \"2026-01-31T12:00:00Z\"", value)
		}
		return func(e *entry) bool { return holds(op, e.Job.CreateTime.Compare(t)) }, ops("=", "!=", "<", "<=", ">", ">=")
	}
	return nil, fmt.Errorf("jobs can't be filtered by %q, only by display_name, state, create_time and labels.key", field)
}

// jobStates are all of the API's JobState.
var jobStates = []string{
	"JOB_STATE_UNSPECIFIED", "JOB_STATE_QUEUED", "JOB_STATE_PENDING", "JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED",
	"JOB_STATE_CANCELLING", "JOB_STATE_CANCELLED", "JOB_STATE_PAUSED", "JOB_STATE_EXPIRED", "JOB_STATE_UPDATING", "JOB_STATE_PARTIALLY_SUCCEEDED",
}
