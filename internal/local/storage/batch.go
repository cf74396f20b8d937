package storage

import (
	"errors"
	"net/http"
	"strings"

	"github.com/jobdrop/jobdrop/internal/local/front"
)

// maxBatch is how many calls one batch takes, as at Cloud Storage.
const maxBatch = 100

// batch serves several calls without content in one request.
// https://cloud.google.com/storage/docs/batch
func (s *Server) batch(c *call) error {
	err := front.Batch{MaxCalls: maxBatch, MaxBytes: maxBatch * maxBody, Serve: s.batched}.Answer(c.w, c.Request)
	if invalid := (*front.BatchError)(nil); errors.As(err, &invalid) {
		return errInvalid("%s", invalid.Error())
	}
	return err
}

func (s *Server) batched(w http.ResponseWriter, r *http.Request) {
	asked, err := front.Overridden(r) // whose query may be its content
	if err != nil {
		s.failJSON(w, r, errInvalid("Invalid request: %v", err))
		return
	}
	query, err := front.Query(asked)
	if path := r.URL.EscapedPath(); err != nil || !strings.HasPrefix(path, "/storage/v1/") || query.Get("alt") == "media" {
		s.failJSON(w, r, errInvalid("A batch does not take %s.", path))
		return
	}
	s.serve(w, asked)
}
