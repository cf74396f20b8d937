package storage

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"syscall"

	"github.com/jobdrop/jobdrop/internal/local/absent"
)

// fault is an answer that is an error, as Cloud Storage words it.
// https://cloud.google.com/storage/docs/json_api/v1/status-codes
type fault struct {
	status  int
	reason  string // of the JSON API
	code    string // of the XML API
	message string
}

func (f *fault) Error() string { return f.message }

// detailed is a fault of which the XML API says more.
type detailed struct {
	error
	parameter, details string
}

// Unwrap returns the fault.
func (d *detailed) Unwrap() error { return d.error }

func errInvalid(format string, args ...any) error {
	return &fault{http.StatusBadRequest, "invalid", "InvalidArgument", fmt.Sprintf(format, args...)}
}

func errNoBucket(bucket string) error {
	return &fault{http.StatusNotFound, "notFound", "NoSuchBucket", "The specified bucket does not exist: " + bucket}
}

func errNoObject(bucket, name string) error {
	return &fault{http.StatusNotFound, "notFound", "NoSuchKey", "No such object: " + bucket + "/" + name}
}

func errCondition() error {
	return &fault{http.StatusPreconditionFailed, "conditionNotMet", "PreconditionFailed",
		"At least one of the pre-conditions you specified did not hold."}
}

func errConflict(message string) error {
	return &fault{http.StatusConflict, "conflict", "Conflict", message}
}

// errUnsupported answers what is not here: see [absent.Status].
func errUnsupported(what string) error {
	return &fault{absent.Status, "notImplemented", "NotImplemented", absent.Message("Cloud Storage", what)}
}

func (c *call) unsupported() error {
	return errUnsupported("the method " + c.Method + " " + c.URL.EscapedPath())
}

// errUnavailable returns an error after which a client may try again.
func errUnavailable(message string) error {
	return &fault{http.StatusServiceUnavailable, "backendError", "ServiceUnavailable", message}
}

func errTooLarge(limit int64) error {
	return &fault{http.StatusRequestEntityTooLarge, "uploadTooLarge", "EntityTooLarge",
		fmt.Sprintf("The object exceeds the maximum size of %d bytes.", limit)}
}

// errNotModified answers a read whose caller has the object already.
var errNotModified = &fault{status: http.StatusNotModified}

// asFault returns an error as an answer. An error that is not yet an answer is a fault
// of the disk or of the connection.
func asFault(err error) *fault {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	return &fault{http.StatusInternalServerError, "internalError", "InternalError", err.Error()}
}

func (s *Server) failJSON(w http.ResponseWriter, r *http.Request, err error) {
	f := s.logged(r, err)
	if f.status == http.StatusNotModified {
		w.WriteHeader(f.status)
		return
	}
	writeJSON(w, f.status, map[string]any{"error": map[string]any{
		"code": f.status, "message": f.message,
		"errors": []map[string]string{{"message": f.message, "domain": "global", "reason": f.reason}},
	}})
}

// failMedia answers a download of the JSON API: with the message alone.
func (s *Server) failMedia(w http.ResponseWriter, r *http.Request, err error) {
	f := s.logged(r, err)
	// Plain, where Google says text/html: a message holds names that someone
	// else may have chosen.
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(f.status)
	_, _ = w.Write([]byte(f.message))
}

func (s *Server) failXML(w http.ResponseWriter, r *http.Request, err error) {
	f := s.logged(r, err)
	if f.status == http.StatusNotModified {
		w.WriteHeader(f.status)
		return
	}
	more := &detailed{}
	errors.As(err, &more)
	writeXML(w, f.status, struct {
		XMLName       xml.Name `xml:"Error"`
		Code          string
		Message       string
		ParameterName string `xml:",omitempty"`
		Details       string `xml:",omitempty"`
	}{Code: f.code, Message: f.message, ParameterName: more.parameter, Details: more.details})
}

// logged logs what is nobody's fault but ours.
func (s *Server) logged(r *http.Request, err error) *fault {
	f := asFault(err)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		s.full()
	}
	if f.status == http.StatusInternalServerError && r.Context().Err() == nil {
		s.log.ErrorContext(r.Context(), "storage request not served", "method", r.Method, "path", r.URL.Path, "error",
			err.Error())
	}
	return f
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

func writeXML(w http.ResponseWriter, status int, v any) {
	body, err := xml.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/xml; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write(append([]byte(xml.Header), body...))
}
