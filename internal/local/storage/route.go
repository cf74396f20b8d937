package storage

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/internal/local/absent"
	"github.com/jobdrop/jobdrop/internal/local/discovery"
	"github.com/jobdrop/jobdrop/internal/local/front"
)

// call is a request whose path has been parsed.
type call struct {
	*http.Request
	w     http.ResponseWriter
	query url.Values
	// bucket and name come from the path; path is what follows the bucket.
	bucket, name string
	path         []string
	xml          bool // of the XML API, whose ETags are others
}

// base returns the URL by which the client reaches this server. Links begin with it.
// The port speaks http also to clients that came with https.
func (c *call) base() string { return "http://" + c.Host }

func (c *call) param(name string) string { return c.query.Get(name) }

// flag reports whether a parameter is true. Python's clients write True.
func (c *call) flag(name string) bool { return strings.EqualFold(c.param(name), "true") }

func (c *call) generation() (int64, error) { return c.generationOf("generation") }

func (c *call) generationOf(name string) (int64, error) {
	n, err := number(name, c.param(name))
	return orAny(n), err
}

// orAny returns the generation that a client has named, or 0 for any.
func orAny(generation *int64) int64 {
	if generation == nil {
		return 0
	}
	return *generation
}

func (c *call) conditions() (conditions, error) {
	cond, err := conditionsOf(c.param, "if")
	return cond.byETag(c.Header), err
}

// paths of the JSON API and what serves them. Clients differ in where they let it
// begin: Node's adds nothing to STORAGE_EMULATOR_HOST for calls without content.
// No bucket has a name of one letter, or with a slash.
var prefixes = []struct {
	prefix string
	serve  func(*Server, *call) error
}{
	{"/storage/v1/b", (*Server).json},
	{"/b", (*Server).json},
	{"/upload/storage/v1/b", (*Server).upload},
	{"/resumable/upload/storage/v1/b", (*Server).upload},
	{"/download/storage/v1/b", (*Server).mediaOf},
}

// ServeHTTP serves the API. Requests are expected to have passed the guard.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.serving.RLock()
	defer s.serving.RUnlock()
	if s.store.ended.Load() {
		s.failJSON(w, r, errUnavailable("The server is closing."))
		return
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		refuseRPC(w)
		return
	}
	if s.retryTests(w, r) {
		return
	}
	switch f, err := s.faults.of(s, r); {
	case err != nil:
		s.failJSON(w, r, err)
	case f != nil:
		s.fail(w, r, f)
	default:
		s.serve(w, r)
	}
}

// refuseRPC answers a call over gRPC, which is not here, so that its client stops at once.
func refuseRPC(w http.ResponseWriter) {
	const unimplemented = "12" // google.golang.org/grpc/codes
	h := w.Header()
	h.Set("Content-Type", "application/grpc")
	h.Set("Grpc-Status", unimplemented)
	h.Set("Grpc-Message", absent.Message("Cloud Storage", "the gRPC API"))
	w.WriteHeader(http.StatusOK)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	asked, err := front.Overridden(r)
	if err != nil {
		s.failJSON(w, r, errInvalid("Invalid request: %v", err))
		return
	}
	query, err := front.Query(asked)
	if err != nil {
		s.failJSON(w, r, errInvalid("Invalid query: %v", err))
		return
	}
	c := &call{Request: asked, w: w, query: query}
	if err := checkHeader(r.Header); err != nil {
		s.failJSON(w, r, err)
		return
	}
	for _, name := range []string{"kmsKeyName", "destinationKmsKeyName"} {
		if query.Get(name) != "" {
			s.failJSON(w, r, errUnsupported("keys for objects"))
			return
		}
	}
	path := r.URL.EscapedPath()
	switch path {
	case "/batch/storage/v1", "/batch":
		if err := s.batch(c); err != nil {
			s.failJSON(w, r, err)
		}
		return
	case discovery.Path:
		discovery.Serve(w, r, discovery.Storage)
		return
	case "/", "/storage/v1", "/storage/v1/":
		writeJSON(w, http.StatusOK, map[string]string{"kind": "storage#local"})
		return
	}
	for _, p := range prefixes {
		rest, ok := strings.CutPrefix(path, p.prefix)
		if !ok || rest != "" && rest[0] != '/' {
			continue
		}
		if err := c.parse(rest); err != nil {
			s.failJSON(w, r, err)
		} else if err := c.checkSystem(); err != nil {
			s.failJSON(w, r, err)
		} else if err := p.serve(s, c); err != nil {
			s.failJSON(w, r, err)
		}
		return
	}
	if !isXML(path) {
		s.failJSON(w, r, c.unsupported())
		return
	}
	s.xml(c, path)
}

// checkSystem refuses system parameters that can't be met. Those that can stay in the query; alt=media is
// one of them here.
func (c *call) checkSystem() error {
	query := maps.Clone(c.query)
	if c.param("alt") == "media" {
		query.Del("alt")
	}
	if _, err := front.Take(query); err != nil {
		return errInvalid("Invalid request: %v.", err)
	}
	return nil
}

// parse reads /<bucket>/<more>, each segment encoded.
func (c *call) parse(path string) error {
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, s := range segments {
		decoded, err := url.PathUnescape(s)
		if err != nil {
			return errInvalid("Invalid path: %v", err)
		}
		segments[i] = decoded
	}
	c.bucket, c.path = segments[0], segments[1:]
	return nil
}

// object reads the name of an object that a path ends with. Its slashes ought to
// be encoded, and not all clients do.
func (c *call) object(path []string) error {
	c.name = strings.Join(path, "/")
	return checkName(c.name)
}

// json serves the part of the JSON API below .../b.
func (s *Server) json(c *call) error {
	switch {
	case c.bucket == "" && len(c.path) == 0:
		return s.bucketsCall(c)
	case len(c.path) == 0 || len(c.path) == 1 && c.path[0] == "":
		return s.bucketCall(c)
	case c.path[0] == "o" && (len(c.path) == 1 || len(c.path) == 2 && c.path[1] == ""):
		if c.Method == http.MethodPost {
			return s.upload(c) // of an empty object, by some clients
		}
		return s.list(c)
	case c.path[0] == "o":
		return s.objectCall(c, c.path[1:])
	}
	return s.bucketPart(c)
}

func notAllowed() error {
	return &fault{
		http.StatusMethodNotAllowed, "methodNotAllowed", "MethodNotAllowed", "The HTTP method is not allowed here.",
	}
}

// unsupportedHeaders begin the names of headers that would be left out unsaid: content would lie here
// as it came, a copy be made all the same, an object be empty that should be another's copy.
var unsupportedHeaders = []string{
	"X-Amz-", "X-Goog-Acl", "X-Goog-Contexts", "X-Goog-Copy-Source-", "X-Goog-Encryption-", "X-Goog-Object-Lock-",
}

// checkHeader refuses what asks for something that is not here.
func checkHeader(header http.Header) error {
	for name := range header {
		if slices.ContainsFunc(unsupportedHeaders, func(begin string) bool { return strings.HasPrefix(name, begin) }) {
			return errUnsupported("the header " + name)
		}
	}
	scheme, _, _ := strings.Cut(header.Get("Authorization"), " ")
	if strings.HasPrefix(scheme, "AWS") || strings.HasPrefix(scheme, "GOOG") {
		return errUnsupported("HMAC keys, and signatures by them")
	}
	return nil
}

// objectCall serves /o/<name> and what stands below it.
func (s *Server) objectCall(c *call, path []string) error {
	if err := c.noACL(); err != nil {
		return err
	}
	switch word, i := objectVerb(c.Method, path); {
	case word == "rewriteTo" || word == "copyTo":
		return s.copy(c, path[:i], path[i+2], path[i+4:], word == "rewriteTo")
	case word == "moveTo":
		return s.moveObject(c, path[:i], path[i+2:])
	case word == "compose":
		if err := c.object(path[:i]); err != nil {
			return err
		}
		return s.compose(c)
	case belowObject(path) && path[1] == "acl":
		return errNoACL()
	case belowObject(path):
		return c.unsupported() // 404 would say that there is no such object
	}
	if err := c.object(path); err != nil {
		return err
	}
	switch c.Method {
	case http.MethodGet, http.MethodHead:
		if c.param("alt") == "media" {
			return s.media(c)
		}
		return s.getObject(c)
	case http.MethodDelete:
		return s.deleteObject(c)
	case http.MethodPatch:
		return s.patchObject(c)
	case http.MethodPut:
		return s.updateObject(c)
	}
	return c.unsupported()
}

// noACL refuses what would give single objects a list of their own.
func (c *call) noACL() error {
	for _, name := range []string{"predefinedAcl", "destinationPredefinedAcl", "predefinedDefaultObjectAcl"} {
		if c.param(name) != "" {
			return errInvalid("Cannot use %s when uniform bucket-level access is enabled. Read more at "+
				"https://cloud.google.com/storage/docs/uniform-bucket-level-access", name)
		}
	}
	return nil
}

// errNoACL returns the error of Cloud Storage for a bucket with uniform access.
func errNoACL() error {
	return errInvalid("Cannot get legacy ACL for an object when uniform bucket-level access is enabled. Read more at " +
		"https://cloud.google.com/storage/docs/uniform-bucket-level-access")
}
