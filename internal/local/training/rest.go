package training

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/jobdrop/jobdrop/pkg/job"
)

const (
	// maxBody is above any job: 100 package URIs and args of the length that a
	// command line takes come to a tenth of it.
	maxBody = 1 << 20
	// The page sizes are the API's.
	defaultPage = 20
	maxPage     = 100
	// maxFilter bounds the parser's recursion.
	maxFilter = 4 << 10
)

// apiError is an error in the form of Google's APIs.
type apiError struct {
	Code       int
	Status     string
	Message    string
	Violations []fieldViolation
}

func (e *apiError) Error() string { return e.Status + ": " + e.Message }

func invalid(format string, args ...any) error {
	return &apiError{Code: http.StatusBadRequest, Status: "INVALID_ARGUMENT", Message: fmt.Sprintf(format, args...)}
}

// invalidFields reports fields as the training service does; verbatim, where
// the descriptions name their fields already.
func invalidFields(vs []fieldViolation, verbatim bool) error {
	var lines []string
	for _, v := range vs {
		if verbatim {
			lines = append(lines, v.Description)
		} else {
			lines = append(lines, fmt.Sprintf("Field: %s Error: %s", v.Field, v.Description))
		}
	}
	return &apiError{http.StatusBadRequest, "INVALID_ARGUMENT", strings.Join(lines, "\n"), vs}
}

// errorOf chooses the API's answer to an error of the service.
func errorOf(err error) *apiError {
	if e := (*apiError)(nil); errors.As(err, &e) {
		return e
	}
	switch {
	case errors.Is(err, errJobUnknown):
		return &apiError{Code: http.StatusNotFound, Status: "NOT_FOUND", Message: "Field: name Error: The specified job was not found."}
	case errors.Is(err, errJobExists):
		v := fieldViolation{"job.job_id", "A job with this id already exists."}
		return &apiError{http.StatusConflict, "ALREADY_EXISTS", "Field: job.job_id Error: A job with this id already exists.", []fieldViolation{v}}
	case errors.Is(err, errJobEnded):
		return &apiError{Code: http.StatusBadRequest, Status: "FAILED_PRECONDITION", Message: "Cannot cancel a job that has already ended."}
	case errors.Is(err, errEtag):
		return &apiError{Code: http.StatusConflict, Status: "ABORTED", Message: "Field: job.etag Error: The job was changed since the etag was read."}
	case errors.Is(err, errClosed):
		return &apiError{Code: http.StatusServiceUnavailable, Status: "UNAVAILABLE", Message: "The local training service is being stopped."}
	}
	return &apiError{Code: http.StatusInternalServerError, Status: "INTERNAL", Message: "Internal error encountered."}
}

// Handler serves the APIs: projects.jobs of ml/v1 with its discovery document, and
// entries.list of Cloud Logging (v2) for the jobs' logs.
func (s *Service) Handler() http.Handler {
	// A web page must not make its reader's browser run programs.
	origin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := origin.Check(r); err != nil {
			answer(w, nil, &apiError{Code: http.StatusForbidden, Status: "PERMISSION_DENIED", Message: "Requests of other web sites are refused."})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		body, err := s.serve(r)
		if err != nil {
			e := errorOf(err)
			if e.Code == http.StatusInternalServerError {
				s.log.ErrorContext(r.Context(), "a request failed", "method", r.Method, "path", r.URL.Path, "error", err)
			}
			answer(w, nil, e)
			return
		}
		answer(w, body, nil)
	})
}

func answer(w http.ResponseWriter, body any, e *apiError) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Header().Set("Cache-Control", "private")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if e != nil {
		status := map[string]any{"code": e.Code, "message": e.Message, "status": e.Status}
		if len(e.Violations) > 0 {
			status["details"] = []any{map[string]any{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": e.Violations}}
		}
		body = map[string]any{"error": status}
		w.WriteHeader(e.Code)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(body) // the client is gone
}

// serve finds a request's method; names have the form of the API's flatPath.
func (s *Service) serve(r *http.Request) (any, error) {
	if r.URL.Path == "/$discovery/rest" && r.Method == http.MethodGet {
		if v := r.URL.Query().Get("version"); v == "" || v == "v1" {
			scheme := "http://"
			if r.TLS != nil {
				scheme = "https://"
			}
			return s.discovery.at(scheme + r.Host + "/"), nil
		}
	}
	if r.URL.Path == "/v2/entries:list" && r.Method == http.MethodPost {
		return s.serveEntries(r)
	}
	if at, ok := vertexAddress(r.URL.Path); ok {
		return s.serveVertex(r, at)
	}
	parts := strings.Split(r.URL.Path, "/")
	if len(parts) < 5 || len(parts) > 6 || parts[0] != "" || parts[1] != "v1" || parts[2] != "projects" || parts[3] == "" || parts[4] != "jobs" {
		return nil, unknownMethod(r)
	}
	project := parts[3]
	if len(parts) == 5 {
		switch r.Method {
		case http.MethodPost:
			return s.serveCreate(r, project)
		case http.MethodGet:
			return s.serveList(r, project)
		}
		return nil, unknownMethod(r)
	}
	id, verb, _ := strings.Cut(parts[5], ":")
	switch {
	case id == "":
	case r.Method == http.MethodGet && verb == "":
		return s.get(project, id)
	case r.Method == http.MethodPatch && verb == "":
		return s.servePatch(r, project, id)
	case r.Method == http.MethodPost && verb == "cancel":
		if _, err := s.read(r, "GoogleCloudMlV1__CancelJobRequest", "request"); err != nil {
			return nil, err
		}
		return struct{}{}, s.cancelByRequest(project, id)
	}
	return nil, unknownMethod(r)
}

func unknownMethod(r *http.Request) error {
	return &apiError{Code: http.StatusNotFound, Status: "NOT_FOUND", Message: fmt.Sprintf("The local training service has no method %s %s.", r.Method, r.URL.Path)}
}

// read gives the body of a request of ml/v1 in the schema's own form.
func (s *Service) read(r *http.Request, schema, name string) ([]byte, error) {
	return readBody(s.discovery, r, schema, name)
}

func readBody(d *document, r *http.Request, schema, name string) ([]byte, error) {
	data, err := io.ReadAll(r.Body)
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, invalid("Request payload size exceeds the limit: %d bytes.", maxBody)
	}
	if err != nil {
		return nil, invalid("The request's body can't be read: %v", err)
	}
	body, violations := d.decode(data, schema, name)
	if len(violations) > 0 {
		return nil, invalidFields(violations, true)
	}
	return body, nil
}

// jobBody is a Job as a request gives it: what only the service sets is ignored.
type jobBody struct {
	job.Spec
	Etag            string          `json:"etag"`
	PredictionInput json.RawMessage `json:"predictionInput"`
}

func (s *Service) readJob(r *http.Request) (jobBody, error) {
	var body jobBody
	data, err := s.read(r, "GoogleCloudMlV1__Job", "job")
	if err != nil {
		return body, err
	}
	if err := json.Unmarshal(data, &body); err != nil {
		return body, invalid("Invalid JSON payload received. %v", err)
	}
	return body, nil
}

func (s *Service) serveCreate(r *http.Request, project string) (any, error) {
	body, err := s.readJob(r)
	if err != nil {
		return nil, err
	}
	if body.PredictionInput != nil {
		return nil, invalidFields([]fieldViolation{{"prediction_input", "The local training service runs training jobs only."}}, false)
	}
	if vs := checkJob(body.Spec, s.limits()); len(vs) > 0 {
		return nil, invalidFields(vs, false)
	}
	return s.create(project, body.Spec)
}

func (s *Service) serveList(r *http.Request, project string) (any, error) {
	q := r.URL.Query()
	filter := q.Get("filter")
	if len(filter) > maxFilter {
		return nil, invalid("Invalid filter: it is longer than %d bytes.", maxFilter)
	}
	match, err := parseFilter(filter)
	if err != nil {
		return nil, invalid("Invalid filter: %v.", err)
	}
	size, err := pageSize(q.Get("pageSize"))
	if err != nil {
		return nil, err
	}
	after, err := base64.RawURLEncoding.DecodeString(q.Get("pageToken"))
	if err != nil {
		return nil, invalid("Invalid page token.")
	}
	page, more, err := s.list(project, string(after), size, match)
	if errors.Is(err, errJobUnknown) {
		return nil, invalid("Invalid page token.")
	}
	if err != nil {
		return nil, err
	}
	var answer struct {
		Jobs          []resource `json:"jobs,omitempty"`
		NextPageToken string     `json:"nextPageToken,omitempty"`
	}
	answer.Jobs = page
	if more {
		answer.NextPageToken = base64.RawURLEncoding.EncodeToString([]byte(page[len(page)-1].JobID))
	}
	return answer, nil
}

func pageSize(text string) (int, error) {
	if text == "" {
		return defaultPage, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0, invalid("Invalid value at 'page_size' (TYPE_INT32), %q", text)
	}
	if n == 0 {
		return defaultPage, nil
	}
	return int(min(n, maxPage)), nil
}

func (s *Service) servePatch(r *http.Request, project, id string) (any, error) {
	body, err := s.readJob(r)
	if err != nil {
		return nil, err
	}
	mask := strings.Split(r.URL.Query().Get("updateMask"), ",")
	if !slices.Contains(mask, "labels") {
		return nil, invalid("Field: update_mask Error: The update mask must name labels.")
	}
	etag := ""
	for _, field := range mask {
		switch field {
		case "labels":
		case "etag":
			if etag = body.Etag; etag == "" {
				return nil, invalid("Field: job.etag Error: The update mask names etag, and the job has none.")
			}
		default:
			return nil, invalid("Field: update_mask Error: Only labels and etag can be named, not %q.", field)
		}
	}
	if vs := checkLabels(body.Labels); len(vs) > 0 {
		return nil, invalidFields(vs, false)
	}
	return s.relabel(project, id, body.Labels, etag)
}
