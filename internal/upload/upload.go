// Package upload brings files into Cloud Storage by resumable uploads that another process can go on with.
//
// The session of an upload is kept in a file until the upload has ended. Whoever uploads the same bytes to the same
// object again, after a kill or a lost line, asks the service how much has arrived and sends the rest. The object
// appears when all of it has arrived and its checksum is right: never in parts.
// https://cloud.google.com/storage/docs/performing-resumable-uploads has the protocol.
package upload

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const (
	// partSize is what one request brings: what is lost at most if the service keeps nothing of a request that breaks
	// off. It has to be a multiple of 256 KiB. A trainer's package is mostly one part.
	partSize = 16 << 20
	// defaultStall is how long a request may stand still. The service answers within seconds.
	defaultStall = time.Minute
	// defaultPatience is longer than the disturbances that the service's status page is silent about.
	defaultPatience = 5 * time.Minute
	// maxSessions is how many sessions an upload may lose. Losing one is rare; losing all of them has a reason that
	// another one does not help against.
	maxSessions = 5
	// maxAnswer bounds the body of an answer, in bytes: an object's metadata are 8 KiB at most.
	maxAnswer = 1 << 20
)

// The longest pause before a request is made again the first time. It doubles with each try, up to longestPause.
const (
	faultPause   = 100 * time.Millisecond
	quotaPause   = 1300 * time.Millisecond // after a 429: one object's name takes one write a second
	longestPause = 30 * time.Second
	maxDoubling  = 10 // of a pause: no more is needed to come to the longest
)

// Client reaches Cloud Storage's JSON API. gcs.Client is one.
type Client interface {
	// HTTP returns what sends requests with the caller's credentials, and the address that they go to.
	HTTP() (client *http.Client, address string)
}

// Options are the settings of an upload. Each may be zero.
type Options struct {
	// IfGeneration is the generation that the object has to have when the upload ends: 0 means that there is no such
	// object yet, attempt.AnyGeneration that anything may be there.
	IfGeneration int64
	// ContentType is the object's, application/octet-stream if empty.
	ContentType string
	Metadata    map[string]string
	// SessionDir is the folder in which the session is kept, so that another process can go on: see [Dir]. Nothing is
	// kept if it is empty.
	SessionDir string
	// Progress is called with the bytes that were sent so far, which become fewer when some were lost. It is never
	// called twice at once.
	Progress func(done, total int64)
	// Retry is called before a request is made again, with what was wrong and the pause before it.
	Retry func(err error, pause time.Duration)
	// Stall is how long a request may stand still before it is made again, a minute if zero.
	Stall time.Duration
	// Patience is how long the service may fail without any progress, five minutes if zero.
	Patience time.Duration
}

// Result is what became of an upload.
type Result struct {
	// Object is what was stored; it has no name if Taken is set.
	Object job.Object
	// Taken reports that the object's generation was not [Options.IfGeneration]: somebody was first, and nothing was
	// stored. That may have been an earlier process of the caller's own, which did not hear the answer.
	Taken bool
	// Resumed is how many bytes an earlier process had brought, Sent how many this one has.
	Resumed, Sent int64
	// Unkept is why the session could not be kept for another process, if it could not.
	Unkept error
}

// Upload stores an object of size bytes, which must not change meanwhile. It goes on where an earlier process that was
// to store the same bytes with the same options ended.
//
// A generation other than [Options.IfGeneration] is a result. Errors are of the classes [job.ErrDenied],
// [job.ErrCredentials], [job.ErrRefused], [job.ErrNotFound] for a bucket, and [job.ErrQuota]; after any other it may
// help to try again. What was sent is kept for that, unless the service has refused the upload for good.
func Upload(
	ctx context.Context, c Client, bucket, name string, content io.ReaderAt, size int64, o Options,
) (Result, error) {
	u, err := newUpload(c, bucket, name, content, size, o)
	if err == nil {
		err = u.run(ctx)
	}
	if err != nil {
		err = fmt.Errorf("upload gs://%s/%s: %w", bucket, name, err)
	}
	if u == nil {
		return Result{}, err
	}
	return u.result, err
}

// upload is the state of one [Upload].
type upload struct {
	client  http.Client
	address string
	content io.ReaderAt
	options Options
	wanted  session // what a session has to be for
	kept    keeper
	result  Result

	uri    string // of the session, if there is one
	offset int64  // what the service has, if asked is set
	asked  bool
	lost   int // sessions
}

func newUpload(c Client, bucket, name string, content io.ReaderAt, size int64, o Options) (*upload, error) {
	if o.ContentType == "" {
		o.ContentType = "application/octet-stream"
	}
	if o.Stall == 0 {
		o.Stall = defaultStall
	}
	if o.Patience == 0 {
		o.Patience = defaultPatience
	}
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	if n, err := io.Copy(sum, io.NewSectionReader(content, 0, size)); err != nil {
		return nil, err
	} else if n != size {
		return nil, fmt.Errorf("%w: the file has %d bytes, not %d", job.ErrRefused, n, size)
	}
	client, address := c.HTTP()
	u := &upload{client: *client, address: address, content: content, options: o, wanted: session{
		Address: address, Bucket: bucket, Name: name, Size: size,
		CRC32C:       base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum.Sum32())),
		IfGeneration: o.IfGeneration, ContentType: o.ContentType, Metadata: o.Metadata,
	}}
	// 308 says how much there is, and not that it is elsewhere.
	u.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if o.SessionDir != "" {
		u.kept = newKeeper(o.SessionDir, u.wanted)
		u.uri = u.kept.load(u.wanted)
	}
	return u, nil
}

// run takes one step after another, again with backoff while they fail by the fault of the service or the line.
func (u *upload) run(ctx context.Context) error {
	var failing time.Time // the first failure since the last progress
	best, tries, resumed := int64(0), 0, u.uri != ""
	for {
		done, err := u.step(ctx)
		var again *temporary
		switch {
		case err == nil && done:
			if resumed {
				u.result.Resumed = u.wanted.Size
			}
			return nil
		case err == nil:
			if resumed {
				u.result.Resumed, resumed = u.offset, false
			}
			if u.offset > best {
				best, failing, tries = u.offset, time.Time{}, 0
			}
			continue
		case !errors.As(err, &again):
			return err
		case again.lost:
			best, resumed = 0, false // what is sent from here on is progress again
		}
		if failing.IsZero() {
			failing = time.Now()
		}
		pause := min(again.pause<<tries, longestPause)
		pause -= rand.N(pause / 4) // #nosec G404 -- no secret; what fails together comes back apart
		if pause = max(pause, again.after); time.Since(failing)+pause > u.options.Patience {
			return err
		}
		tries = min(tries+1, maxDoubling)
		if u.options.Retry != nil {
			u.options.Retry(err, pause)
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		}
	}
}

// temporary is a failure that may be over when the request is made again.
type temporary struct {
	error
	pause time.Duration // at the most, the first time
	after time.Duration // the least pause, as the service says
	lost  bool          // the session is gone
}

// Unwrap returns what failed.
func (t *temporary) Unwrap() error { return t.error }

// step makes the next request: for a session, for how much of the upload there is, or with a part of it. It reports
// whether the upload has ended.
func (u *upload) step(ctx context.Context) (done bool, err error) {
	var a *answer
	begun := u.uri == ""
	switch {
	case begun:
		a, err = u.begin(ctx)
	case !u.asked:
		a, err = u.put(ctx, 0)
	default:
		a, err = u.put(ctx, min(partSize, u.wanted.Size-u.offset))
	}
	asked := u.asked
	u.asked = false
	switch {
	case err != nil:
		return false, err
	case begun && (a.status == http.StatusOK || a.status == http.StatusCreated):
		return false, u.opened(a.header.Get("Location"))
	case a.status == http.StatusPermanentRedirect:
		return false, u.told(a.header.Get("Range"), asked)
	case a.status == http.StatusOK || a.status == http.StatusCreated:
		u.kept.drop()
		return true, u.stored(a.body)
	case a.status == http.StatusPreconditionFailed:
		u.kept.drop()
		u.result.Taken = true
		return true, nil
	case !begun && (a.status == http.StatusNotFound || a.status == http.StatusGone):
		return false, u.lose(a)
	}
	if err := a.temporary(); err != nil {
		return false, err
	}
	if err = a.refusal(); !errors.Is(err, job.ErrDenied) && !errors.Is(err, job.ErrCredentials) { // rights may come back
		u.kept.drop()
	}
	return false, err
}

// begin asks for a session.
func (u *upload) begin(ctx context.Context) (*answer, error) {
	w := &u.wanted
	query := url.Values{"uploadType": {"resumable"}, "name": {w.Name}, "prettyPrint": {"false"}}
	if w.IfGeneration != attempt.AnyGeneration {
		query.Set("ifGenerationMatch", strconv.FormatInt(w.IfGeneration, 10))
	}
	body, err := json.Marshal(map[string]any{
		"name": w.Name, "contentType": w.ContentType, "metadata": w.Metadata, "crc32c": w.CRC32C,
	})
	if err != nil {
		return nil, err
	}
	to := u.address + "/upload/storage/v1/b/" + url.PathEscape(w.Bucket) + "/o?" + query.Encode()
	return u.send(ctx, http.MethodPost, to, strings.NewReader(string(body)), int64(len(body)), http.Header{
		"Content-Type":            {"application/json; charset=UTF-8"},
		"X-Upload-Content-Type":   {w.ContentType},
		"X-Upload-Content-Length": {strconv.FormatInt(w.Size, 10)},
	})
}

// opened keeps a new session. Nothing of the upload is there yet, which need not be asked for.
func (u *upload) opened(uri string) error {
	if !u.wanted.ours(uri) {
		return errors.New("the service has begun an upload without saying where it goes on")
	}
	u.uri, u.offset, u.asked = uri, 0, u.wanted.Size > 0
	if u.options.SessionDir != "" {
		u.result.Unkept = u.kept.save(u.wanted, uri)
	}
	return nil
}

// put sends a part of the content, or asks how much of it there is if n is 0. That ends the upload of an empty object.
func (u *upload) put(ctx context.Context, n int64) (*answer, error) {
	place := fmt.Sprintf("bytes */%d", u.wanted.Size)
	if n > 0 {
		place = fmt.Sprintf("bytes %d-%d/%d", u.offset, u.offset+n-1, u.wanted.Size)
	}
	return u.send(ctx, http.MethodPut, u.uri, io.NewSectionReader(u.content, u.offset, n), n, http.Header{
		"Content-Range": {place},
		"Content-Type":  {u.wanted.ContentType},
	})
}

// told takes note of how much has arrived. after reports that a part was sent before.
func (u *upload) told(have string, after bool) error {
	offset := int64(0)
	if _, last, ok := strings.Cut(strings.TrimPrefix(have, "bytes="), "-"); ok {
		n, err := strconv.ParseInt(last, 10, 64)
		if err != nil {
			return fmt.Errorf("the service has the range %q", have)
		}
		offset = n + 1
	} else if have != "" {
		return fmt.Errorf("the service has the range %q", have)
	}
	if offset >= u.wanted.Size && u.wanted.Size > 0 {
		return &temporary{
			error: fmt.Errorf("the service has %d of %d bytes, and does not end the upload", offset, u.wanted.Size),
			pause: faultPause,
		}
	}
	stuck := after && offset <= u.offset
	u.offset, u.asked = offset, true
	u.progress(offset)
	if stuck {
		return &temporary{error: errors.New("the service has kept nothing of what was sent"), pause: faultPause}
	}
	return nil
}

// lose drops a session that has expired, or that the service has forgotten.
func (u *upload) lose(a *answer) error {
	u.kept.drop()
	u.uri = ""
	u.progress(0)
	if u.lost++; u.lost >= maxSessions {
		return fmt.Errorf("the service has lost %d sessions: %w", u.lost, a.refusal())
	}
	return &temporary{error: fmt.Errorf("the session is gone: %w", a.refusal()), pause: faultPause, lost: true}
}

// stored takes note of what is stored, and compares it with what was to be.
func (u *upload) stored(body []byte) error {
	var o struct {
		Bucket, Name, CRC32C string
		Generation, Size     int64 `json:",string"`
		TimeCreated          time.Time
	}
	if err := json.Unmarshal(body, &o); err != nil {
		return fmt.Errorf("the service's answer: %w", err)
	}
	if w := u.wanted; o.Size != w.Size || o.CRC32C != w.CRC32C {
		return fmt.Errorf("generation %d has %d bytes with CRC32C %s, and %d bytes with CRC32C %s were sent: "+
			"delete it and upload the file again", o.Generation, o.Size, o.CRC32C, w.Size, w.CRC32C)
	}
	u.result.Object = job.Object{
		Bucket: o.Bucket, Name: o.Name, Generation: o.Generation, Size: o.Size, CRC32C: o.CRC32C,
		Created: o.TimeCreated.UTC(), Uploader: job.UploaderOf(u.wanted.Metadata),
		CorrelationID: u.wanted.Metadata[job.MetadataCorrelationID],
		Traceparent:   u.wanted.Metadata[job.MetadataTraceparent],
	}
	u.progress(u.wanted.Size)
	return nil
}

func (u *upload) progress(done int64) {
	if u.options.Progress != nil {
		u.options.Progress(done, u.wanted.Size)
	}
}

// answer is the service's to one request.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send makes a request, which ends when it stands still.
func (u *upload) send(
	ctx context.Context, method, to string, content io.Reader, size int64, header http.Header,
) (*answer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := &temporary{error: fmt.Errorf("the request stood still for %s", u.options.Stall), pause: faultPause}
	watch := time.AfterFunc(u.options.Stall, func() { cancel(stalled) })
	defer watch.Stop()
	b := &body{content: content, size: size, moved: func(n int, read int64) {
		watch.Reset(u.options.Stall)
		if method == http.MethodPut {
			u.result.Sent += int64(n)
			u.progress(u.offset + read)
		}
	}}
	r, err := http.NewRequestWithContext(ctx, method, to, b)
	if err != nil {
		return nil, err
	}
	if r.ContentLength, r.Header = size, header; size == 0 {
		r.Body = http.NoBody
	}
	a, err := u.exchange(r)
	failed := b.end()
	switch {
	case failed != nil:
		return nil, failed
	case err == nil:
		return a, nil
	case context.Cause(ctx) == error(stalled):
		return nil, stalled
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case isCertificate(err), errors.Is(err, job.ErrCredentials):
		return nil, err
	}
	return nil, &temporary{error: err, pause: faultPause}
}

// isCertificate reports whether the service is not who it should be: waiting does not help.
func isCertificate(err error) bool {
	var bad *tls.CertificateVerificationError
	return errors.As(err, &bad)
}

func (u *upload) exchange(r *http.Request) (*answer, error) {
	response, err := u.client.Do(r)
	if err != nil {
		// The error's text has the session's address, which is a secret.
		if of := (*url.Error)(nil); errors.As(err, &of) {
			err = of.Err
		}
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxAnswer {
		return nil, fmt.Errorf("the answer, status %d, has more than %d bytes", response.StatusCode, maxAnswer)
	}
	return &answer{response.StatusCode, response.Header, text}, nil
}

// temporary returns the answer as an error if the request should be made again.
// https://cloud.google.com/storage/docs/retry-strategy lists the codes.
func (a *answer) temporary() error {
	t := &temporary{error: a.refusal(), pause: faultPause}
	switch a.status {
	case http.StatusTooManyRequests:
		t.pause = quotaPause
	case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable,
		http.StatusGatewayTimeout:
	default:
		return nil
	}
	if seconds, err := strconv.Atoi(a.header.Get("Retry-After")); err == nil && seconds > 0 {
		t.after = min(time.Duration(seconds)*time.Second, longestPause)
	}
	return t
}

// refusal returns the answer as an error of the domain.
func (a *answer) refusal() error {
	var of struct{ Error struct{ Message string } }
	_ = json.Unmarshal(a.body, &of) // what is not JSON has no message
	err := fmt.Errorf("status %d", a.status)
	if of.Error.Message != "" {
		err = fmt.Errorf("status %d: %s", a.status, of.Error.Message)
	}
	switch a.status {
	case http.StatusUnauthorized:
		return fmt.Errorf("%w: %w", job.ErrCredentials, err)
	case http.StatusForbidden:
		return fmt.Errorf("%w: %w", job.ErrDenied, err)
	case http.StatusNotFound:
		return fmt.Errorf("%w: %w", job.ErrNotFound, err)
	case http.StatusTooManyRequests:
		return fmt.Errorf("%w: %w", job.ErrQuota, err)
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		return fmt.Errorf("%w: %w", job.ErrRefused, err)
	}
	return err
}
