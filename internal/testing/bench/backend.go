package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// backendServer answers ml/v1: jobs are made and stay queued.
type backendServer struct {
	calls *calls

	mu   sync.Mutex
	jobs map[string]map[string]any
}

func newBackendServer(c *calls) *backendServer {
	return &backendServer{calls: c, jobs: map[string]map[string]any{}}
}

func (s *backendServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the program went away
	}
	path := segments(r.URL)
	last := path[len(path)-1]
	id, cancels := strings.CutSuffix(last, ":cancel")
	kind := unknown
	switch posted := r.Method == http.MethodPost; {
	case matches(path, "v1/projects/*/jobs") && posted:
		kind = create
	case matches(path, "v1/projects/*/jobs"):
		kind = jobs
	case matches(path, "v1/projects/*/jobs/*") && posted && cancels:
		kind = cancel
	case matches(path, "v1/projects/*/jobs/*") && !posted:
		kind = get
	}
	result := map[string]any{}
	code := s.calls.do(r.Context(), kind, "job", func(arrived time.Time) (code int) {
		switch kind {
		case create:
			result, code = s.create(body, arrived)
		case get:
			result, code = s.get(last)
		case cancel:
			if _, code = s.get(id); code == http.StatusOK {
				result = map[string]any{}
			}
		case jobs:
			code = http.StatusOK // of the instance that asks there is none: the bench has no ticks
		default:
			code = http.StatusNotImplemented
		}
		return code
	})
	if code != http.StatusOK {
		writeFault(w, code, "")
		return
	}
	writeJSON(w, code, result)
}

func (s *backendServer) create(body []byte, arrived time.Time) (map[string]any, int) {
	var asked map[string]any
	var said struct {
		JobID         string `json:"jobId"`
		TrainingInput struct{ Args []string }
	}
	if json.Unmarshal(body, &asked) != nil || json.Unmarshal(body, &said) != nil || said.JobID == "" {
		return nil, http.StatusBadRequest
	}
	s.mu.Lock()
	_, there := s.jobs[said.JobID]
	if !there {
		asked["state"], asked["createTime"] = "QUEUED", arrived.UTC().Format(time.RFC3339)
		s.jobs[said.JobID] = asked
	}
	s.mu.Unlock()
	code := http.StatusOK
	if there {
		asked, code = nil, http.StatusConflict
	}
	if drop, ok := dropOf(said.TrainingInput.Args); ok {
		s.calls.created(drop, arrived, code)
	}
	return asked, code
}

func (s *backendServer) get(id string) (map[string]any, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j, ok := s.jobs[id]; ok {
		return j, http.StatusOK
	}
	return nil, http.StatusNotFound
}
