// Package ml speaks ml/v1 (AI Platform Training): projects.jobs, and the API's discovery document.
package ml

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/rest"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// API is ml/v1: projects.jobs and the API's discovery document.
type API struct {
	jobs      jobs.Queue
	discovery *rest.Document
}

// New returns the API over a queue.
func New(j jobs.Queue) (*API, error) {
	d, err := Document()
	return &API{jobs: j, discovery: d}, err
}

// Open takes every job.
func (m *API) Open(r *jobs.Record) (jobs.Dialect, error) { return dialect{r}, nil }

// Document implements [jobs.API].
func (m *API) Document() *rest.Document { return m.discovery }

// Serve implements [jobs.API].
func (m *API) Serve(r *http.Request) (any, error) {
	parts := strings.Split(r.URL.Path, "/") // of /v1/projects/P/jobs[/ID[:cancel]]
	answer, err := m.serveJobs(r, parts[3], parts[5:])
	return answer, ownError(err)
}

// serveJobs answers a request to a project's jobs or, with an element of the path below them, to one.
func (m *API) serveJobs(r *http.Request, project string, below []string) (any, error) {
	if len(below) == 0 {
		if r.Method == http.MethodPost {
			return m.serveCreate(r, project)
		}
		return m.serveList(r, project)
	}
	id, _, _ := strings.Cut(below[0], ":")
	switch r.Method {
	case http.MethodGet:
		return m.shown(m.jobs.Get(collectionOf(project), id))
	case http.MethodPatch:
		return m.servePatch(r, project, id)
	}
	if _, err := m.read(r, "GoogleCloudMlV1__CancelJobRequest", "request"); err != nil {
		return nil, err
	}
	return struct{}{}, m.jobs.CancelByRequest(collectionOf(project), id)
}

// shown returns a job as the API shows it.
func (m *API) shown(j jobs.Snapshot, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return resourceOf(j), nil
}

// ownError returns the API's own answer to an error of the queue, if it has one.
func ownError(err error) error {
	field := func(code int, status, name, text string) error {
		return &rest.Error{Code: code, Status: status, Message: "Field: " + name + " Error: " + text}
	}
	switch {
	case errors.Is(err, jobs.ErrJobUnknown):
		return field(http.StatusNotFound, "NOT_FOUND", "name", "The specified job was not found.")
	case errors.Is(err, jobs.ErrJobExists):
		v := rest.Violation{Field: "job.job_id", Description: "A job with this id already exists."}
		return &rest.Error{
			Code: http.StatusConflict, Status: "ALREADY_EXISTS",
			Message: "Field: job.job_id Error: " + v.Description, Violations: []rest.Violation{v},
		}
	case errors.Is(err, jobs.ErrEtag):
		return field(http.StatusConflict, "ABORTED", "job.etag", "The job was changed since the etag was read.")
	}
	return err
}

// invalidFields reports fields as the training service does.
func invalidFields(vs []rest.Violation) error {
	var lines []string
	for _, v := range vs {
		lines = append(lines, fmt.Sprintf("Field: %s Error: %s", v.Field, v.Description))
	}
	return &rest.Error{Code: http.StatusBadRequest, Status: "INVALID_ARGUMENT", Message: strings.Join(lines, "\n"),
		Violations: vs}
}

// read returns the body of a request of ml/v1 in the schema's own form.
func (m *API) read(r *http.Request, schema, name string) ([]byte, error) {
	return rest.ReadBody(m.discovery, r, schema, name)
}

// jobBody is a Job as a request gives it: what only the service sets is ignored.
type jobBody struct {
	job.Spec
	Etag            string          `json:"etag"`
	PredictionInput json.RawMessage `json:"predictionInput"`
}

func (m *API) readJob(r *http.Request) (jobBody, error) {
	var body jobBody
	data, err := m.read(r, "GoogleCloudMlV1__Job", "job")
	if err != nil {
		return body, err
	}
	if err := json.Unmarshal(data, &body); err != nil {
		return body, rest.Invalid("Invalid JSON payload received. %v", err)
	}
	return body, nil
}

func (m *API) serveCreate(r *http.Request, project string) (any, error) {
	body, err := m.readJob(r)
	if err != nil {
		return nil, err
	}
	if body.PredictionInput != nil {
		return nil, invalidFields([]rest.Violation{{Field: "prediction_input", Description: "The local training service " +
			"runs training jobs only."}})
	}
	if vs := checkJob(body.Spec, m.jobs.Limits()); len(vs) > 0 {
		return nil, invalidFields(vs)
	}
	return m.shown(m.jobs.Create(jobs.Record{Project: project, Job: jobs.JobState{Spec: body.Spec}}))
}

func (m *API) serveList(r *http.Request, project string) (any, error) {
	q := r.URL.Query()
	filter := q.Get("filter")
	if len(filter) > rest.MaxFilter {
		return nil, rest.Invalid("Invalid filter: it is longer than %d bytes.", rest.MaxFilter)
	}
	match, err := parseFilter(filter)
	if err != nil {
		return nil, rest.Invalid("Invalid filter: %v.", err)
	}
	size, err := rest.PageSize(q.Get("pageSize"))
	if err != nil {
		return nil, err
	}
	after, err := base64.RawURLEncoding.DecodeString(q.Get("pageToken"))
	if err != nil {
		return nil, rest.Invalid("Invalid page token.")
	}
	page, more, err := m.jobs.List(jobs.PageQuery{Collection: collectionOf(project), After: string(after), Limit: size,
		Match: match})
	if errors.Is(err, jobs.ErrJobUnknown) {
		return nil, rest.Invalid("Invalid page token.")
	}
	if err != nil {
		return nil, err
	}
	var answer struct {
		Jobs          []resource `json:"jobs,omitempty"`
		NextPageToken string     `json:"nextPageToken,omitempty"`
	}
	for _, j := range page {
		answer.Jobs = append(answer.Jobs, resourceOf(j))
	}
	if more {
		answer.NextPageToken = base64.RawURLEncoding.EncodeToString([]byte(page[len(page)-1].Job.JobID))
	}
	return answer, nil
}

func (m *API) servePatch(r *http.Request, project, id string) (any, error) {
	body, err := m.readJob(r)
	if err != nil {
		return nil, err
	}
	mask := strings.Split(r.URL.Query().Get("updateMask"), ",")
	if !slices.Contains(mask, "labels") {
		return nil, rest.Invalid("Field: update_mask Error: The update mask must name labels.")
	}
	etag := ""
	for _, field := range mask {
		switch field = strings.TrimSpace(field); field {
		case "labels":
		case "etag":
			if etag = body.Etag; etag == "" {
				return nil, rest.Invalid("Field: job.etag Error: The update mask names etag, and the job has none.")
			}
		default:
			return nil, rest.Invalid("Field: update_mask Error: Only labels and etag can be named, not %q.", field)
		}
	}
	if vs := checkLabels(body.Labels); len(vs) > 0 {
		return nil, invalidFields(vs)
	}
	return m.shown(m.jobs.Relabel(collectionOf(project), id, body.Labels, etag))
}
