package storage

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// xml serves the XML API's paths, /<bucket>/<object>: single objects and lists.
// https://cloud.google.com/storage/docs/xml-api/overview
func (s *Server) xml(c *call, path string) {
	c.xml = true
	bucket, name, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	var err error
	if c.bucket, err = url.PathUnescape(bucket); err == nil {
		c.name, err = url.PathUnescape(name)
	}
	switch {
	case err != nil:
		err = errInvalid("Invalid path: %v", err)
	case checkBucketName(c.bucket) != nil:
		err = &fault{http.StatusNotFound, "notFound", "InvalidBucketName", "There is nothing here."}
	case ok && name != "":
		err = s.xmlObject(c)
	default:
		err = s.xmlBucket(c)
	}
	if err != nil {
		s.failXML(c.w, c.Request, err)
	}
}

func (s *Server) xmlObject(c *call) error {
	if err := checkName(c.name); err != nil {
		return err
	}
	if id := c.param("upload_id"); id != "" { // which is a secret, and needs no signature
		return s.session(c, id)
	}
	if err := checkSigned(c.Request, time.Now()); err != nil {
		return err
	}
	for _, parameter := range []string{"acl", "uploads", "uploadId", "tagging", "compose"} {
		if c.query.Has(parameter) {
			return errUnsupported("the XML API's ?" + parameter)
		}
	}
	generation, err := c.generation()
	if err != nil {
		return err
	}
	cond, err := conditionsOf(ofHeader(c.Header), "if")
	if err != nil {
		return err
	}
	cond = cond.byETag(c.Header)
	switch c.Method {
	case http.MethodGet, http.MethodHead:
		return s.download(c, generation, cond)
	case http.MethodPut:
		return s.xmlPut(c, cond)
	case http.MethodPost:
		if c.Header.Get("X-Goog-Resumable") == "start" {
			return s.xmlStart(c, cond)
		}
	case http.MethodDelete:
		if err := s.store.remove(c.bucket, c.name, generation, cond); err != nil {
			return err
		}
		c.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return c.unsupported()
}

// xmlSettings reads what headers say about an object.
func xmlSettings(h http.Header) settings {
	set := settings{
		ContentType: h.Get("Content-Type"), ContentEncoding: h.Get("Content-Encoding"),
		ContentDisposition: h.Get("Content-Disposition"), ContentLanguage: h.Get("Content-Language"),
		CacheControl: h.Get("Cache-Control"), CustomTime: h.Get("X-Goog-Custom-Time"),
		StorageClass: h.Get("X-Goog-Storage-Class"),
	}
	for k := range h {
		if name, ok := strings.CutPrefix(k, "X-Goog-Meta-"); ok {
			if set.Metadata == nil {
				set.Metadata = map[string]string{}
			}
			set.Metadata[strings.ToLower(name)] = h.Get(k)
		}
	}
	return set
}

// xmlStart begins a resumable upload.
// https://cloud.google.com/storage/docs/xml-api/resumable-upload
func (s *Server) xmlStart(c *call, cond conditions) error {
	if _, err := s.store.getBucket(c.bucket); err != nil {
		return err
	}
	o := object{Bucket: c.bucket, Name: c.name, settings: xmlSettings(c.Header)}
	id, err := s.newSession(o, cond, declaredBy(c.Header))
	if err != nil {
		return err
	}
	c.w.Header().Set("Location", c.base()+c.URL.EscapedPath()+"?"+url.Values{"upload_id": {id}}.Encode())
	c.w.Header().Set("X-GUploader-UploadID", id)
	c.w.WriteHeader(http.StatusCreated)
	return nil
}

// xmlPut makes an object of a body or, with x-goog-copy-source, of another object.
func (s *Server) xmlPut(c *call, cond conditions) error {
	to := object{Bucket: c.bucket, Name: c.name, settings: xmlSettings(c.Header)}
	if _, err := s.store.getBucket(c.bucket); err != nil {
		return err
	}
	source := c.Header.Get("X-Goog-Copy-Source")
	if source == "" {
		o, err := s.write(to, c.Body, declaredBy(c.Header), cond)
		if err != nil {
			return err
		}
		c.identify(o)
		c.w.WriteHeader(http.StatusOK)
		return nil
	}
	bucket, encoded, _ := strings.Cut(strings.TrimPrefix(source, "/"), "/")
	name, err := url.PathUnescape(encoded)
	if err != nil {
		return errInvalid("Invalid x-goog-copy-source: %q", source)
	}
	if c.Header.Get("X-Goog-Metadata-Directive") != "REPLACE" {
		to.settings = settings{StorageClass: to.StorageClass}
	}
	o, err := s.copyObject(origin{bucket: bucket, name: name}, to, cond)
	if err != nil {
		return err
	}
	c.identify(o)
	writeXML(c.w, http.StatusOK, struct {
		XMLName      xml.Name `xml:"CopyObjectResult"`
		LastModified string
		ETag         string
	}{LastModified: o.Updated, ETag: `"` + o.xmlETag() + `"`})
	return nil
}

// xmlList is a bucket's list, in the forms of list-type 1 and 2.
type xmlList struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	Xmlns                 string   `xml:"xmlns,attr"`
	Name                  string
	Prefix                string
	Delimiter             string `xml:",omitempty"`
	IsTruncated           bool
	NextMarker            string `xml:",omitempty"`
	NextContinuationToken string `xml:",omitempty"`
	Contents              []xmlContents
	CommonPrefixes        []xmlPrefix
}

type xmlContents struct {
	Key            string
	Generation     int64
	MetaGeneration int64
	LastModified   string
	ETag           string
	Size           int64
}

type xmlPrefix struct{ Prefix string }

func (s *Server) xmlBucket(c *call) error {
	if err := checkSigned(c.Request, time.Now()); err != nil {
		return err
	}
	if c.Method == http.MethodHead {
		_, err := s.store.getBucket(c.bucket)
		return err
	}
	if c.Method != http.MethodGet {
		return c.unsupported()
	}
	for _, parameter := range []string{"acl", "cors", "iam", "lifecycle", "location", "logging", "policy", "uploads",
		"versioning", "website"} {
		if c.query.Has(parameter) {
			return errUnsupported("the XML API's ?" + parameter)
		}
	}
	q := listing{prefix: c.param("prefix"), delimiter: c.param("delimiter"), size: 1000}
	if n, err := strconv.Atoi(c.param("max-keys")); err == nil && n > 0 {
		q.size = min(n, q.size)
	}
	// A marker is the last name of the page before: the next begins after it,
	// and after all of a folder.
	for _, last := range []string{c.param("marker"), c.param("start-after")} {
		if last != "" {
			q.from = last + "\x00"
			if q.delimiter != "" && strings.HasSuffix(last, q.delimiter) {
				q.from = successor(last)
			}
		}
	}
	if token := c.param("continuation-token"); token != "" {
		var err error
		if q.from, err = fromToken(token); err != nil {
			return err
		}
	}
	p, err := s.store.list(c.bucket, q)
	if err != nil {
		return err
	}
	out := xmlList{
		Xmlns:     "http://doc.s3.amazonaws.com/2006-03-01",
		Name:      c.bucket,
		Prefix:    q.prefix,
		Delimiter: q.delimiter,
	}
	last := ""
	for _, o := range p.objects {
		out.Contents = append(out.Contents, xmlContents{
			o.Name, o.Generation, o.Metageneration, o.Updated, `"` + o.xmlETag() + `"`, o.Size,
		})
		last = max(last, o.Name)
	}
	for _, name := range p.prefixes {
		out.CommonPrefixes = append(out.CommonPrefixes, xmlPrefix{name})
		last = max(last, name)
	}
	if p.next != "" {
		out.IsTruncated, out.NextMarker, out.NextContinuationToken = true, last, toToken(p.next)
	}
	writeXML(c.w, http.StatusOK, out)
	return nil
}
