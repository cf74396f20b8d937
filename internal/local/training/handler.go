package training

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/jobdrop/jobdrop/internal/local/discovery"
	"github.com/jobdrop/jobdrop/internal/local/front"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/rest"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/rpc"
)

// maxBatch is how many calls one batch takes, as at Google's other services.
const maxBatch = 100

// Handler serves the APIs that jobs come through, and entries.list of Cloud Logging (v2) for the jobs' logs. Those of
// them that have gRPC are served by it, too, if the server speaks HTTP/2.
func (s *Service) Handler() http.Handler {
	// A web page must not make its reader's browser run programs.
	origin := http.NewCrossOriginProtection()
	single := http.HandlerFunc(s.serve)
	calls := rpc.Handler(single, s.log, rest.MaxBody, s.protos...)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := origin.Check(r); err != nil {
			rest.Answer(w, nil, false, &rest.Error{Code: http.StatusForbidden, Status: "PERMISSION_DENIED",
				Message: "Requests of other web sites are refused."})
			return
		}
		switch {
		case rpc.Is(r):
			calls.ServeHTTP(w, r)
		case r.URL.Path == "/batch" || strings.HasPrefix(r.URL.Path, "/batch/"):
			if err := (front.Batch{MaxCalls: maxBatch, MaxBytes: rest.MaxBody, Serve: single}).Answer(w, r); err != nil {
				rest.Answer(w, nil, false, errorOf(rest.Invalid("%v", err)))
			}
		default:
			single(w, r)
		}
	})
}

// serve answers a request that is not a batch.
func (s *Service) serve(w http.ResponseWriter, r *http.Request) {
	rest.LimitBody(w, r)
	body, asked, err := s.answer(r)
	if err != nil {
		e := errorOf(err)
		if e.Code == http.StatusInternalServerError {
			s.log.ErrorContext(r.Context(), "a request failed", "method", r.Method, "path", r.URL.Path, "error", err)
		}
		rest.Answer(w, nil, asked.Compact, e)
		return
	}
	rest.Answer(w, body, asked.Compact, nil)
}

// api is an API that is served.
type api interface {
	Document() *rest.Document
	Serve(r *http.Request) (any, error)
}

// served returns the APIs. Of those with a document of the same version the first has the address that all have theirs
// at.
func (s *Service) served() []api {
	all := []api{s.logs}
	for _, a := range s.apis {
		all = append(all, a)
	}
	return all
}

// answer returns the answer to a request of any API, as its system parameters ask for it.
func (s *Service) answer(r *http.Request) (any, front.System, error) {
	var asked front.System
	r, err := front.Overridden(r)
	if err != nil {
		return nil, asked, rest.Invalid("Invalid request: %v.", err)
	}
	query, err := front.Query(r)
	if err != nil {
		return nil, asked, rest.Invalid("The request's query can't be read: %v.", err)
	}
	asked, err = front.Take(query)
	if err != nil {
		return nil, asked, rest.Invalid("Invalid request: %v.", err)
	}
	if d := s.document(r, query.Get("version")); d != nil {
		return d, asked, nil
	}
	for _, a := range s.served() {
		method := a.Document().Method(r)
		if method == nil {
			continue
		}
		if query, err = method.Query(query); err != nil {
			return nil, asked, err
		}
		r = r.WithContext(r.Context())
		r.URL = &url.URL{Path: r.URL.Path, RawQuery: query.Encode()}
		answer, err := a.Serve(r)
		if err != nil || !asked.EnumNumbers && asked.Fields == "" {
			return answer, asked, err
		}
		answer, err = decoded(answer)
		if asked.EnumNumbers {
			answer = a.Document().Numbered(method, answer)
		}
		return front.Selected(answer, asked.Fields), asked, err
	}
	return nil, asked, rest.NotServed(r)
}

// decoded returns an answer as encoding/json decodes it.
func decoded(answer any) (any, error) {
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	var out any
	err = json.Unmarshal(text, &out)
	return out, err
}

// named is where Google's discovery service has the document of each API.
var named = regexp.MustCompile(`^/discovery/v1/apis/([^/]+)/([^/]+)/rest$`)

// document returns the discovery document that a request asks for, or nil. The APIs share an address, where the newer
// ones leave v1 to ml.
func (s *Service) document(r *http.Request, version string) map[string]any {
	if r.Method != http.MethodGet {
		return nil
	}
	name := map[string]string{"": "ml", "v1": "ml", "v2": "logging"}[version]
	if version == "" {
		version = "v1"
	}
	if parts := named.FindStringSubmatch(r.URL.Path); parts != nil {
		name, version = parts[1], parts[2]
	} else if r.URL.Path != discovery.Path {
		return nil
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	for _, a := range s.served() {
		if d := a.Document(); d.Is(name, version) {
			return d.At(scheme + r.Host + "/")
		}
	}
	return nil
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
