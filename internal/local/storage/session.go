package storage

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"sync"
	"time"
)

const (
	// sessionLife is how long a session may stand still, a day: Cloud
	// Storage's may live for a week, but disks here are small.
	sessionLife = 24 * time.Hour
	// maxSessions bounds open sessions: each holds an open file.
	maxSessions = 512
)

// uploads are the resumable sessions. They live as long as the process: a client
// whose session is gone gets 404 and begins again.
type uploads struct {
	now func() time.Time

	mu   sync.Mutex
	byID map[string]*session
}

func newUploads(now func() time.Time) *uploads {
	return &uploads{now: now, byID: map[string]*session{}}
}

// session is a resumable upload.
// https://cloud.google.com/storage/docs/performing-resumable-uploads
type session struct {
	object   object
	cond     conditions
	declared declared

	mu    sync.Mutex // held by the request that brings content
	spool *spool
	done  *object // kept for a client that has not heard the last answer

	used     time.Time // of uploads.mu, as is busy
	busy     int       // requests that are in it
	complete bool      // done, as uploads.mu knows it
}

// add keeps a session and returns its ID. It drops idle sessions. If there are too
// many, it drops a complete one, else the one idle for longest. It never drops a
// session that serves a request.
func (u *uploads) add(n *session) (string, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	oldest := ""
	for id, s := range u.byID {
		switch {
		case s.busy > 0:
		case u.now().Sub(s.used) > sessionLife:
			u.drop(id)
		case oldest == "" || s.before(u.byID[oldest]):
			oldest = id
		}
	}
	if len(u.byID) >= maxSessions {
		if oldest == "" {
			return "", &fault{
				http.StatusServiceUnavailable, "backendError", "ServiceUnavailable",
				"Too many uploads are under way. Try again later.",
			}
		}
		u.drop(oldest)
	}
	id := rand.Text()
	n.used = u.now()
	u.byID[id] = n
	return id, nil
}

// before reports whether u is dropped before o.
func (u *session) before(o *session) bool {
	if u.complete != o.complete {
		return u.complete
	}
	return u.used.Before(o.used)
}

// leave ends a request in a session.
func (u *uploads) leave(s *session) {
	u.mu.Lock()
	defer u.mu.Unlock()
	s.busy--
	s.used = u.now()
	s.complete = s.done != nil
}

// drop ends a session; one that is in use ends in its next request.
func (u *uploads) drop(id string) {
	if s := u.byID[id]; s != nil {
		s.spool.discard()
		delete(u.byID, id)
	}
}

// get enters a session; the caller leaves it.
func (u *uploads) get(id string) *session {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.byID[id]
	if s != nil {
		s.used = u.now()
		s.busy++
	}
	return s
}

// nameOf returns the name of a session's object, or "". It does not enter the session, in
// which another request may be.
func (u *uploads) nameOf(id string) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if s := u.byID[id]; s != nil {
		return s.object.Name // which never changes
	}
	return ""
}

func (u *uploads) end(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.drop(id)
}

func (u *uploads) discardAll() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for id := range u.byID {
		u.drop(id)
	}
}

// startSession begins a resumable upload.
func (s *Server) startSession(c *call, cond conditions) error {
	var i insertion
	if err := decode(c.Request, &i); err != nil {
		return err
	}
	o := c.named(i)
	o.ContentType = cmp.Or(o.ContentType, c.Header.Get("X-Upload-Content-Type"))
	id, err := s.newSession(o, cond, i.declared)
	if err != nil {
		return err
	}
	query := url.Values{"uploadType": {"resumable"}, "name": {o.Name}, "upload_id": {id}}
	c.w.Header().Set("Location", fmt.Sprintf("%s/upload/storage/v1/b/%s/o?%s", c.base(), c.bucket, query.Encode()))
	c.w.Header().Set("X-GUploader-UploadID", id)
	c.w.WriteHeader(http.StatusOK)
	return nil
}

// newSession makes a session, and returns its ID.
func (s *Server) newSession(o object, cond conditions, d declared) (string, error) {
	if err := errors.Join(checkName(o.Name), o.settings.check()); err != nil {
		return "", err
	}
	spool, err := s.store.newSpool(s.limit)
	if err != nil {
		return "", err
	}
	id, err := s.uploads.add(&session{object: o, cond: cond, declared: d, spool: spool})
	if err != nil {
		spool.discard()
	}
	return id, err
}

// answerUploaded answers the end of an upload, as the call's API does.
func (c *call) answerUploaded(o *object) {
	if !c.xml {
		c.answerObject(o)
		return
	}
	c.identify(o)
	c.w.WriteHeader(http.StatusOK)
}

// session takes content for a session, or answers how much of it there is.
func (s *Server) session(c *call, id string) error {
	u := s.uploads.get(id)
	if u == nil {
		return &fault{
			http.StatusNotFound, "notFound", "NoSuchUpload", "The upload session does not exist, or the server was started " +
				"again since. Begin the upload again.",
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	defer s.uploads.leave(u)
	switch c.Method {
	case http.MethodPut, http.MethodPost:
	case http.MethodDelete:
		s.uploads.end(id)
		c.w.WriteHeader(499) // Cloud Storage's word for a cancelled upload
		return nil
	default:
		return notAllowed()
	}
	if u.done != nil {
		c.answerUploaded(u.done)
		return nil
	}
	part, err := parseRange(c.Header.Get("Content-Range"))
	if err != nil {
		return err
	}
	complete, err := u.take(c, part)
	if err != nil {
		if u.ended(err) || part.total >= 0 && u.spool.size > part.total {
			s.uploads.end(id)
		}
		return err
	}
	if !complete {
		u.incomplete(c)
		return nil
	}
	return s.finish(c, id, u)
}

// ended reports whether the session is over after err.
func (u *session) ended(err error) bool {
	var f *fault
	return errors.As(err, &f) && f.status == http.StatusRequestEntityTooLarge
}

// take adds the content of a request, and reports whether it was the last. If the
// connection breaks, take keeps what has arrived.
func (u *session) take(c *call, part contentRange) (complete bool, err error) {
	if part.query() {
		// A query, or the end of a stream whose size was not known.
		return part.total == u.spool.size && part.total >= 0, nil
	}
	if part.start > u.spool.size {
		return false, errUnavailable(fmt.Sprintf("Invalid request. According to the Content-Range header, the upload "+
			"offset is %d byte(s), which exceeds already uploaded size of %d byte(s).", part.start, u.spool.size))
	}
	if err := c.inflate(); err != nil {
		return false, err
	}
	body := io.Reader(c.Body)
	if part.end >= 0 {
		body = io.LimitReader(body, part.end-part.start+1)
	}
	// What is here already is sent once more after a lost answer.
	if _, err := io.CopyN(io.Discard, body, u.spool.size-part.start); err != nil && err != io.EOF {
		return false, unread(err)
	}
	if _, err := io.Copy(u.spool, body); err != nil {
		return false, unread(err)
	}
	switch {
	case part.total >= 0 && u.spool.size > part.total:
		return false, errInvalid("The upload has %d bytes, more than the %d of its Content-Range.", u.spool.size, part.total)
	case part.total >= 0:
		return u.spool.size == part.total, nil
	}
	// Without a total the content ends with the request, unless the request says
	// itself that it is a part.
	return part.end < 0, nil
}

// incomplete answers how much of an upload has arrived.
func (u *session) incomplete(c *call) {
	if u.spool.size > 0 {
		c.w.Header().Set("Range", fmt.Sprintf("bytes=0-%d", u.spool.size-1))
	}
	// Go's clients can't take 308 for what it is meant here.
	if c.Header.Get("X-GUploader-No-308") != "" {
		c.w.Header().Set("X-HTTP-Status-Code-Override", "308")
		c.w.WriteHeader(http.StatusOK)
		return
	}
	c.w.WriteHeader(http.StatusPermanentRedirect)
}

// finish makes the object of a complete upload. The session remains for a client
// that does not hear the answer.
func (s *Server) finish(c *call, id string, u *session) error {
	err := u.spool.check(u.declared)
	if err == nil {
		err = u.spool.check(declaredBy(c.Header))
	}
	if err == nil {
		u.object.ContentType = cmp.Or(u.object.ContentType, c.Header.Get("Content-Type"))
		u.done, err = s.create(u.object, u.spool, u.cond)
	}
	if err != nil {
		s.uploads.end(id)
		return err
	}
	c.answerUploaded(u.done)
	return nil
}

// contentRange is a request's place in an upload, in bytes; -1 is what it leaves
// open.
type contentRange struct{ start, end, total int64 }

// query reports whether a request brings no content.
func (r contentRange) query() bool { return r.start < 0 }

var rangePattern = regexp.MustCompile(`^bytes (?:(\d{1,18})-(\d{1,18}|\*)|\*)/(\d{1,18}|\*)$`)

// parseRange reads a Content-Range; without one the request brings everything.
// Node's client streams as bytes 0-*/*.
func parseRange(value string) (contentRange, error) {
	if value == "" {
		return contentRange{start: 0, end: -1, total: -1}, nil
	}
	m := rangePattern.FindStringSubmatch(value)
	if m == nil {
		return contentRange{}, errInvalid("Invalid Content-Range: %q", value)
	}
	n := func(s string) int64 {
		if v, err := strconv.ParseInt(s, 10, 64); err == nil {
			return v
		}
		return -1
	}
	r := contentRange{n(m[1]), n(m[2]), n(m[3])}
	if r.end >= 0 && (r.end < r.start || r.total >= 0 && r.end >= r.total) {
		return contentRange{}, errInvalid("Invalid Content-Range: %q", value)
	}
	return r, nil
}
