package storage

import (
	"compress/gzip"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// mediaOf serves /download/...: content and nothing else.
func (s *Server) mediaOf(c *call) error {
	if len(c.path) < 2 || c.path[0] != "o" {
		return notAllowed()
	}
	if c.Method != http.MethodGet && c.Method != http.MethodHead {
		return notAllowed()
	}
	if err := c.object(c.path[1:]); err != nil {
		return err
	}
	return s.media(c)
}

// media serves content of the JSON API, whose errors are the message alone.
func (s *Server) media(c *call) error {
	generation, cond, err := c.target()
	if err == nil {
		err = s.download(c, generation, cond)
	}
	if err != nil {
		s.failMedia(c.w, c.Request, err)
	}
	return nil
}

// download sends an object's content.
func (s *Server) download(c *call, generation int64, cond conditions) error {
	o, f, err := s.store.open(c.bucket, c.name, generation, cond)
	if err != nil {
		return err
	}
	defer f.Close()
	h := c.w.Header()
	o.describe(h)
	c.identify(o)
	for parameter, header := range map[string]string{
		"response-content-type": "Content-Type", "response-content-disposition": "Content-Disposition",
	} {
		if v := c.param(parameter); v != "" {
			h.Set(header, v)
		}
	}
	if o.transcoded(c.Request) {
		return unpack(c, f)
	}
	if !strings.HasPrefix(c.Header.Get("Range"), "bytes=") || strings.Contains(c.Header.Get("Range"), ",") {
		c.Header.Del("Range") // Cloud Storage sends everything then
	}
	if o.ContentEncoding != "" {
		h.Set("Content-Encoding", o.ContentEncoding)
		// ServeContent keeps it to itself where there is an encoding, but for
		// ranges, where it knows better.
		h.Set("Content-Length", strconv.FormatInt(o.Size, 10))
	}
	c.Header.Del("If-Match") // checked
	c.Header.Del("If-None-Match")
	http.ServeContent(c.w, c.Request, "", o.created(), f)
	return nil
}

// describe sets the headers that tell of an object.
// https://cloud.google.com/storage/docs/xml-api/reference-headers
func (o *object) describe(h http.Header) {
	for header, value := range map[string]string{
		"Content-Type": o.ContentType, "Content-Disposition": o.ContentDisposition,
		"Content-Language": o.ContentLanguage, "Cache-Control": o.CacheControl,
	} {
		if value != "" {
			h.Set(header, value)
		}
	}
	if o.ContentType == "" {
		h.Set("Content-Type", "application/octet-stream")
	}
	// A page that was stored here must not act in the name of this server: a
	// browser runs it without an origin.
	h.Set("Content-Security-Policy", "sandbox")
	h.Set("X-Content-Type-Options", "nosniff")
	for k, v := range o.Metadata {
		// What the JSON API took may be nothing that a header can hold: the
		// answer would be none that a client reads.
		if k = "X-Goog-Meta-" + k; httpguts.ValidHeaderFieldName(k) && httpguts.ValidHeaderFieldValue(v) {
			h.Set(k, v)
		}
	}
}

// identify sets the headers that tell which object it is, with the ETag of the call's API.
func (c *call) identify(o *object) {
	h, tag := c.w.Header(), o.etag()
	if c.xml {
		tag = o.xmlETag()
	}
	encoding := o.ContentEncoding
	if encoding == "" {
		encoding = "identity"
	}
	hashes := "crc32c=" + o.CRC32C
	if o.MD5Hash != "" {
		hashes += ",md5=" + o.MD5Hash
	}
	h.Set("ETag", `"`+tag+`"`)
	h.Set("X-Goog-Hash", hashes)
	h.Set("X-Goog-Generation", strconv.FormatInt(o.Generation, 10))
	h.Set("X-Goog-Metageneration", strconv.FormatInt(o.Metageneration, 10))
	h.Set("X-Goog-Storage-Class", o.StorageClass)
	h.Set("X-Goog-Stored-Content-Encoding", encoding)
	h.Set("X-Goog-Stored-Content-Length", strconv.FormatInt(o.Size, 10))
}

// transcoded reports whether the server unpacks the content for the client.
// https://cloud.google.com/storage/docs/transcoding
func (o *object) transcoded(r *http.Request) bool {
	return o.ContentEncoding == "gzip" &&
		!strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") &&
		!strings.Contains(o.CacheControl, "no-transform")
}

// unpack sends content unpacked, all of it whatever range was asked for. What is
// not packed in truth goes as it is.
func unpack(c *call, f *os.File) error {
	content := io.Reader(f)
	if z, err := gzip.NewReader(f); err == nil {
		content = z
	} else if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	c.w.Header().Set("Warning", "214 UploadServer gunzipped")
	c.w.WriteHeader(http.StatusOK)
	if c.Method == http.MethodHead {
		return nil
	}
	if _, err := io.Copy(c.w, content); err != nil {
		panic(http.ErrAbortHandler) // the client must not take it for whole
	}
	return nil
}
