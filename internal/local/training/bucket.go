package training

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
)

const (
	// maxPackageBytes bounds one package as it is fetched; a gibibyte holds the
	// largest wheels in use.
	maxPackageBytes = 1 << 30
	// answerTime is for a server on this machine to begin its answer.
	answerTime = 60 * time.Second
)

// bucketClient is the part of Cloud Storage's JSON API that a job needs.
type bucketClient struct {
	base string
	http *http.Client
}

func newBucketClient(base string) *bucketClient {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = answerTime
	return &bucketClient{base: strings.TrimRight(base, "/"), http: &http.Client{Transport: t}}
}

// statusError is an answer of Cloud Storage other than 2xx.
type statusError struct {
	code int
	body string
}

func (e *statusError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s %s", e.code, http.StatusText(e.code), e.body))
}

func notFound(err error) bool {
	var s *statusError
	return errors.As(err, &s) && s.code == http.StatusNotFound
}

// fetch writes an object to a new file.
func (c *bucketClient) fetch(ctx context.Context, bucket, object, file string, limit int64) (err error) {
	body, err := c.do(ctx, http.MethodGet, "/storage/v1/b/"+url.PathEscape(bucket)+"/o/"+url.PathEscape(object)+
		"?alt=media", nil)
	if err != nil {
		return err
	}
	defer body.Close()
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	n, err := io.Copy(f, io.LimitReader(body, limit+1))
	if err != nil {
		return err
	}
	if n > limit {
		return fmt.Errorf("it is larger than %d bytes", limit)
	}
	return nil
}

// checkWritable writes an object below a job's folder and deletes it. The object is empty: whoever acts on uploads
// skips those.
func (c *bucketClient) checkWritable(ctx context.Context, out jobs.OutputFolder, jobID string) error {
	bucket, object, _ := jobs.SplitURI(out.Dir)
	if object = strings.TrimRight(object, "/"); object != "" {
		object += "/"
	}
	object += ".jobdrop-write-check-" + jobID + "-" + rand.Text()[:8]
	body, err := c.do(ctx, http.MethodPost, "/upload/storage/v1/b/"+url.PathEscape(bucket)+"/o?uploadType=media&name="+
		url.QueryEscape(object), http.NoBody)
	if notFound(err) {
		return messagef("Field: %s Error: The %s %s can't be written to: the bucket %s does not exist.", out.Field, out.Title,
			out.Dir, bucket)
	}
	if err != nil {
		return messagef("Field: %s Error: The %s %s can't be written to (bucket %s): %v", out.Field, out.Title, out.Dir,
			bucket, err)
	}
	_ = body.Close()
	body, err = c.do(ctx, http.MethodDelete, "/storage/v1/b/"+url.PathEscape(bucket)+"/o/"+url.PathEscape(object), nil)
	if err != nil {
		return messagef("Field: %s Error: The object %s of the bucket %s, which checked the %s, can't be deleted: %v",
			out.Field, object, bucket, out.Title, err)
	}
	return body.Close()
}

// do returns the body of a 2xx answer; the caller closes it.
func (c *bucketClient) do(ctx context.Context, method, path string, body io.Reader) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode/100 != 2 {
		defer res.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(res.Body, 512))
		return nil, &statusError{res.StatusCode, strings.TrimSpace(string(text))}
	}
	return res.Body, nil
}
