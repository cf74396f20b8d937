package training

import (
	"errors"
	"net/http"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/logs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/rest"
)

// Handler serves the APIs that jobs come through, and entries.list of Cloud Logging (v2) for the jobs' logs.
func (s *Service) Handler() http.Handler {
	// A web page must not make its reader's browser run programs.
	origin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := origin.Check(r); err != nil {
			rest.Answer(w, nil, &rest.Error{Code: http.StatusForbidden, Status: "PERMISSION_DENIED",
				Message: "Requests of other web sites are refused."})
			return
		}
		rest.LimitBody(w, r)
		body, err := s.serve(r)
		if err != nil {
			e := errorOf(err)
			if e.Code == http.StatusInternalServerError {
				s.log.ErrorContext(r.Context(), "a request failed", "method", r.Method, "path", r.URL.Path, "error", err)
			}
			rest.Answer(w, nil, e)
			return
		}
		rest.Answer(w, body, nil)
	})
}

// serve answers a request of any API.
func (s *Service) serve(r *http.Request) (any, error) {
	if r.URL.Path == "/v2/entries:list" && r.Method == http.MethodPost {
		return (&logs.Reader{Jobs: s.loggedJobs}).Serve(r)
	}
	for _, a := range s.apis {
		if answer, known, err := a.Serve(r); known {
			return answer, err
		}
	}
	return nil, rest.UnknownMethod(r)
}

// errorOf returns the APIs' answer to an error of the service.
func errorOf(err error) *rest.Error {
	if e := (*rest.Error)(nil); errors.As(err, &e) {
		return e
	}
	switch {
	case errors.Is(err, jobs.ErrJobEnded):
		return &rest.Error{Code: http.StatusBadRequest, Status: "FAILED_PRECONDITION",
			Message: "Cannot cancel a job that has already ended."}
	case errors.Is(err, jobs.ErrClosed):
		return &rest.Error{Code: http.StatusServiceUnavailable, Status: "UNAVAILABLE",
			Message: "The local training service is being stopped."}
	}
	return &rest.Error{Code: http.StatusInternalServerError, Status: "INTERNAL", Message: "Internal error encountered."}
}
