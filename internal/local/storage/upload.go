package storage

import (
	"compress/flate"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strings"

	"github.com/jobdrop/jobdrop/internal/local/front"
)

// insertion is the body that describes an object to be made.
type insertion struct {
	Name string `json:"name"`
	settings
	declared
}

// upload serves objects.insert in its three forms, and resumable sessions.
func (s *Server) upload(c *call) error {
	if err := c.noACL(); err != nil {
		return err
	}
	if len(c.path) == 0 || c.path[0] != "o" || len(c.path) > 2 || len(c.path) == 2 && c.path[1] != "" {
		return notAllowed()
	}
	if id := c.param("upload_id"); id != "" {
		return s.session(c, id)
	}
	if c.Method != http.MethodPost {
		return notAllowed()
	}
	if _, err := s.store.getBucket(c.bucket); err != nil {
		return err
	}
	cond, err := c.conditions()
	if err != nil {
		return err
	}
	if err := c.inflate(); err != nil {
		return err
	}
	switch c.param("uploadType") {
	case "media":
		return s.simple(c, cond)
	case "multipart":
		return s.multipart(c, cond)
	case "resumable":
		return s.startSession(c, cond)
	case "":
		return s.withoutContent(c, cond)
	}
	return errInvalid("Invalid value for uploadType: %q", c.param("uploadType"))
}

// inflate unpacks a body that was packed for the way alone; content that stays
// packed says so in its contentEncoding.
func (c *call) inflate() error {
	if c.Header.Get("Content-Encoding") != "gzip" {
		return nil
	}
	z, err := gzip.NewReader(c.Body)
	if err != nil {
		return errInvalid("The request's body is not gzip: %v", err)
	}
	c.Body = io.NopCloser(z)
	return nil
}

// named fills in what the query says about an object.
func (c *call) named(i insertion) object {
	o := object{Bucket: c.bucket, Name: i.Name, settings: i.settings}
	if name := c.param("name"); name != "" {
		o.Name = name
	}
	if e := c.param("contentEncoding"); e != "" {
		o.ContentEncoding = e
	}
	return o
}

// simple serves an upload of content alone.
func (s *Server) simple(c *call, cond conditions) error {
	o := c.named(insertion{settings: settings{ContentType: c.Header.Get("Content-Type")}})
	return s.insert(c, o, c.Body, declaredBy(c.Header), cond)
}

// withoutContent serves an insert that brings a description only: an empty object.
func (s *Server) withoutContent(c *call, cond conditions) error {
	var i insertion
	if err := decode(c.Request, &i); err != nil {
		return err
	}
	return s.insert(c, c.named(i), strings.NewReader(""), i.declared, cond)
}

// multipart serves an upload of a description and content.
func (s *Server) multipart(c *call, cond conditions) error {
	boundary := front.Boundary(c.Header.Get("Content-Type"))
	if boundary == "" {
		return errInvalid("Invalid multipart request: no boundary in %q.", c.Header.Get("Content-Type"))
	}
	reader := multipart.NewReader(c.Body, boundary)
	part, err := reader.NextRawPart()
	if err != nil {
		return errInvalid("Invalid multipart request: %v", err)
	}
	var i insertion
	if err := json.NewDecoder(io.LimitReader(part, maxBody)).Decode(&i); err != nil && !errors.Is(err, io.EOF) {
		return errInvalid("Invalid multipart request: %v", err)
	}
	if part, err = reader.NextRawPart(); err != nil {
		return errInvalid("Invalid multipart request: it must have two parts: %v", err)
	}
	o := c.named(i)
	if o.ContentType == "" {
		o.ContentType = part.Header.Get("Content-Type")
	}
	return s.insert(c, o, part, i.declared, cond)
}

// insert makes an object of a stream and answers with it.
func (s *Server) insert(c *call, o object, content io.Reader, d declared, cond conditions) error {
	created, err := s.write(o, content, d, cond)
	if err != nil {
		return err
	}
	c.answerObject(created)
	return nil
}

// write makes an object of a stream.
func (s *Server) write(o object, content io.Reader, d declared, cond conditions) (*object, error) {
	if err := checkName(o.Name); err != nil {
		return nil, err
	}
	spool, err := s.store.newSpool(s.limit)
	if err != nil {
		return nil, err
	}
	defer spool.discard()
	if _, err := io.Copy(spool, content); err != nil {
		return nil, unread(err)
	}
	if err := spool.check(d); err != nil {
		return nil, err
	}
	return s.create(o, spool, cond)
}

// unread returns the client's error for a body that ended too early, and err itself
// else.
func unread(err error) error {
	var corrupt flate.CorruptInputError
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) ||
		errors.As(err, &corrupt) {
		return errInvalid("The request's body is not whole: %v", err)
	}
	return err
}

// declaredBy reads the checksums that headers give.
func declaredBy(h http.Header) declared {
	d := declared{MD5Hash: h.Get("Content-MD5")}
	for _, line := range h.Values("X-Goog-Hash") {
		for part := range strings.SplitSeq(line, ",") {
			switch name, value, _ := strings.Cut(strings.TrimSpace(part), "="); name {
			case "crc32c":
				d.CRC32C = value
			case "md5":
				d.MD5Hash = value
			}
		}
	}
	return d
}
