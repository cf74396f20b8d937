// Package rest holds what REST APIs of Google's have in common: errors, requests that are checked by a discovery
// document, filters, field masks and pages.
package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/jobdrop/jobdrop/internal/local/absent"
)

const (
	// MaxBody is above any job: 100 package URIs and args of the length that a command line takes come to a tenth of it.
	MaxBody = 1 << 20
	// The page sizes are the APIs'.
	defaultPage = 20
	maxPage     = 100
	// MaxFilter bounds the parser's recursion.
	MaxFilter = 4 << 10
)

// Violation is google.rpc.BadRequest.FieldViolation.
type Violation struct {
	Field       string `json:"field"`
	Description string `json:"description"`
}

// Violations collects what is wrong with a request.
type Violations []Violation

// Add adds what is wrong with a field.
func (vs *Violations) Add(field, format string, args ...any) {
	*vs = append(*vs, Violation{field, fmt.Sprintf(format, args...)})
}

// Error is an error in the form of Google's APIs.
type Error struct {
	Code       int
	Status     string
	Message    string
	Violations []Violation
}

func (e *Error) Error() string { return e.Status + ": " + e.Message }

// Invalid returns the error of a request that can't be taken as it is.
func Invalid(format string, args ...any) error {
	return &Error{Code: http.StatusBadRequest, Status: "INVALID_ARGUMENT", Message: fmt.Sprintf(format, args...)}
}

// malformed reports fields whose descriptions name them already.
func malformed(vs []Violation) error {
	var lines []string
	for _, v := range vs {
		lines = append(lines, v.Description)
	}
	return &Error{http.StatusBadRequest, "INVALID_ARGUMENT", strings.Join(lines, "\n"), vs}
}

// Answer writes a method's answer or, if there is one, its error.
func Answer(w http.ResponseWriter, body any, compact bool, e *Error) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Header().Set("Cache-Control", "private")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if e != nil {
		status := map[string]any{"code": e.Code, "message": e.Message, "status": e.Status}
		if len(e.Violations) > 0 {
			status["details"] = []any{map[string]any{"@type": "type.googleapis.com/google.rpc.BadRequest",
				"fieldViolations": e.Violations}}
		}
		body = map[string]any{"error": status}
		w.WriteHeader(e.Code)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if !compact {
		enc.SetIndent("", "  ")
	}
	_ = enc.Encode(body) // the client is gone
}

// NotServed returns the error of a request that names no method of the service.
func NotServed(r *http.Request) error {
	return &Error{Code: absent.Status, Status: "UNIMPLEMENTED",
		Message: absent.Message("training service", "the method "+r.Method+" "+r.URL.Path)}
}

// LimitBody has a body that is too large refused as it is read.
func LimitBody(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
}

// ReadBody returns a request's body in the schema's own form. Violations are told of under paths that begin with name.
func ReadBody(d *Document, r *http.Request, schema, name string) ([]byte, error) {
	data, err := io.ReadAll(r.Body)
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, Invalid("Request payload size exceeds the limit: %d bytes.", MaxBody)
	}
	if err != nil {
		return nil, Invalid("The request's body can't be read: %v", err)
	}
	body, vs := d.Decode(data, schema, name)
	if len(vs) > 0 {
		return nil, malformed(vs)
	}
	return body, nil
}

// PageSize reads a request's page size.
func PageSize(text string) (int, error) {
	if text == "" {
		return defaultPage, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0, Invalid("Invalid value at 'page_size' (TYPE_INT32), %q", text)
	}
	if n == 0 {
		return defaultPage, nil
	}
	return int(min(n, maxPage)), nil
}
