package storage

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
)

// maxBatch is how many calls one batch takes, as at Cloud Storage.
const maxBatch = 100

// batch serves several calls without content in one request.
// https://cloud.google.com/storage/docs/batch
func (s *Server) batch(c *call) error {
	_, params, err := mime.ParseMediaType(singleQuoted.ReplaceAllString(c.Header.Get("Content-Type"), `boundary="$1"`))
	if c.Method != http.MethodPost || err != nil || params["boundary"] == "" {
		return errInvalid("A batch is a multipart/mixed request.")
	}
	reader := multipart.NewReader(http.MaxBytesReader(c.w, c.Body, maxBatch*maxBody), params["boundary"])
	var answer bytes.Buffer
	out := multipart.NewWriter(&answer)
	for n := 0; ; n++ {
		part, err := reader.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return errInvalid("Invalid batch: %v", err)
		}
		if n == maxBatch {
			return errInvalid("The batch request exceeds the maximum of %d calls.", maxBatch)
		}
		if err := s.batched(c, part, out); err != nil {
			return err
		}
	}
	if err := out.Close(); err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "multipart/mixed; boundary="+out.Boundary())
	_, err = c.w.Write(answer.Bytes())
	return err
}

// batched serves one call of a batch. Its host is the batch's, which was checked.
func (s *Server) batched(c *call, part *multipart.Part, out *multipart.Writer) error {
	inner, err := http.ReadRequest(bufio.NewReader(part))
	if err != nil {
		return errInvalid("Invalid batch: %v", err)
	}
	inner = inner.WithContext(c.Context())
	inner.Host = c.Host
	answer := &recorder{header: http.Header{}, status: http.StatusOK}
	if path := inner.URL.EscapedPath(); strings.HasPrefix(path, "/storage/v1/") &&
		inner.URL.Query().Get("alt") != "media" {
		s.serve(answer, inner)
	} else {
		s.failJSON(answer, inner, errInvalid("A batch does not take %s.", path))
	}
	header := textproto.MIMEHeader{"Content-Type": {"application/http"}}
	if id := part.Header.Get("Content-ID"); id != "" {
		header.Set("Content-ID", strings.Replace(id, "<", "<response-", 1))
	}
	w, err := out.CreatePart(header)
	if err != nil {
		return err
	}
	return answer.write(w)
}

// recorder keeps the answer to a call of a batch.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements [http.ResponseWriter].
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader implements [http.ResponseWriter].
func (r *recorder) WriteHeader(status int) { r.status = status }

// Write implements [http.ResponseWriter].
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

func (r *recorder) write(w io.Writer) error {
	r.header.Set("Content-Length", fmt.Sprint(r.body.Len()))
	if _, err := fmt.Fprintf(w, "HTTP/1.1 %d %s\r\n", r.status, http.StatusText(r.status)); err != nil {
		return err
	}
	if err := r.header.Write(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\r\n%s", r.body.Bytes())
	return err
}
