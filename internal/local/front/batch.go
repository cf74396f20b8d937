package front

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"regexp"
	"strings"
)

// Batch serves several calls without content in one multipart/mixed request.
// https://cloud.google.com/storage/docs/batch
type Batch struct {
	// MaxCalls and MaxBytes bound a batch.
	MaxCalls int
	MaxBytes int64
	// Serve answers a call. Its host is the batch's.
	Serve http.HandlerFunc
}

// BatchError reports a batch that can't be read.
type BatchError struct{ message string }

// Error implements [error].
func (e *BatchError) Error() string { return e.message }

func invalidBatch(format string, args ...any) error {
	return &BatchError{fmt.Sprintf(format, args...)}
}

// singleQuoted is a boundary as gsutil writes it, which is none by RFC 2045.
// https://github.com/GoogleCloudPlatform/gsutil/issues/1466
var singleQuoted = regexp.MustCompile(`boundary='([^'"]*)'`)

// Boundary returns the boundary of a multipart body, or "" if its type has none.
func Boundary(contentType string) string {
	_, params, err := mime.ParseMediaType(singleQuoted.ReplaceAllString(contentType, `boundary="$1"`))
	if err != nil {
		return ""
	}
	return params["boundary"]
}

// Answer serves a batch. Nothing has been written if it returns an error, which is a
// [BatchError] unless the client is gone.
func (b Batch) Answer(w http.ResponseWriter, r *http.Request) error {
	boundary := Boundary(r.Header.Get("Content-Type"))
	if r.Method != http.MethodPost || boundary == "" {
		return invalidBatch("A batch is a multipart/mixed request.")
	}
	reader := multipart.NewReader(http.MaxBytesReader(w, r.Body, b.MaxBytes), boundary)
	var answer bytes.Buffer
	out := multipart.NewWriter(&answer)
	for n := 0; ; n++ {
		part, err := reader.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return invalidBatch("Invalid batch: %v", err)
		}
		if n == b.MaxCalls {
			return invalidBatch("The batch request exceeds the maximum of %d calls.", b.MaxCalls)
		}
		if err := b.call(r, part, out, maxAnswer-answer.Len()); err != nil {
			return err
		}
	}
	if err := out.Close(); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "multipart/mixed; boundary="+out.Boundary())
	_, err := w.Write(answer.Bytes())
	return err
}

// call serves one call of a batch, whose answer has at most limit bytes. Its host is the
// batch's, which was checked.
func (b Batch) call(r *http.Request, part *multipart.Part, out *multipart.Writer, limit int) error {
	head := &io.LimitedReader{R: part, N: maxQuery}
	inner, err := http.ReadRequest(bufio.NewReader(head))
	if err != nil && head.N <= 0 {
		return invalidBatch("Invalid batch: the line and the headers of a call have more than %d bytes.", maxQuery)
	}
	head.N = b.MaxBytes // of its content, which the whole batch bounds
	if err != nil {
		return invalidBatch("Invalid batch: %v", err)
	}
	inner = inner.WithContext(r.Context())
	inner.Host = r.Host
	answer := newRecorder(limit)
	b.Serve(answer, inner)
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

// Recorder keeps the answer to a request.
type Recorder struct {
	Status int
	Body   bytes.Buffer
	header http.Header
	left   int // bytes that it still takes; less than 0 once it was refused
}

// maxAnswer bounds an answer that is kept in memory, and those of a batch together, in
// bytes. A page of 1,000 objects with all the metadata that they may have is smaller.
const maxAnswer = 64 << 20

// NewRecorder returns an answer that nobody has written to. One that becomes larger than
// 64 MiB becomes an error instead.
func NewRecorder() *Recorder { return newRecorder(maxAnswer) }

func newRecorder(limit int) *Recorder {
	return &Recorder{Status: http.StatusOK, header: http.Header{}, left: max(limit, 0)}
}

// Header implements [http.ResponseWriter].
func (r *Recorder) Header() http.Header { return r.header }

// WriteHeader implements [http.ResponseWriter].
func (r *Recorder) WriteHeader(status int) { r.Status = status }

// Write implements [http.ResponseWriter].
func (r *Recorder) Write(p []byte) (int, error) {
	if len(p) <= r.left {
		r.left -= len(p)
		return r.Body.Write(p)
	}
	const large = "The answers of a batch, or the answer over gRPC, have too many bytes. Make fewer calls in one " +
		"batch, or this one by itself over HTTP."
	if r.left >= 0 {
		r.left = -1
		r.Status = http.StatusBadRequest
		r.header = http.Header{"Content-Type": {"application/json; charset=UTF-8"}}
		r.Body.Reset()
		fmt.Fprintf(&r.Body, `{"error":{"code":400,"message":%q,"status":"OUT_OF_RANGE"}}`, large)
	}
	return 0, errors.New("the answer has too many bytes")
}

func (r *Recorder) write(w io.Writer) error {
	r.header.Set("Content-Length", fmt.Sprint(r.Body.Len()))
	if _, err := fmt.Fprintf(w, "HTTP/1.1 %d %s\r\n", r.Status, http.StatusText(r.Status)); err != nil {
		return err
	}
	if err := r.header.Write(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\r\n%s", r.Body.Bytes())
	return err
}
