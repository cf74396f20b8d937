package storage

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/jobdrop/jobdrop/internal/local/front"
)

// answer sends a resource, or those of its fields that the client has asked for.
func (c *call) answer(v any) {
	writeJSON(c.w, http.StatusOK, front.Selected(v, c.param("fields")))
}

func (c *call) answerObject(o *object) {
	c.w.Header().Set("ETag", o.etag())
	c.answer(o.resource(c.base()))
}

func (s *Server) getObject(c *call) error {
	generation, cond, err := c.target()
	if err != nil {
		return err
	}
	o, err := s.store.get(c.bucket, c.name, generation, cond)
	if err != nil {
		return err
	}
	c.answerObject(o)
	return nil
}

// target reads which generation a call means, and its conditions.
func (c *call) target() (int64, conditions, error) {
	generation, err := c.generation()
	if err != nil {
		return 0, conditions{}, err
	}
	cond, err := c.conditions()
	return generation, cond, err
}

func (s *Server) deleteObject(c *call) error {
	generation, cond, err := c.target()
	if err != nil {
		return err
	}
	if err := s.store.remove(c.bucket, c.name, generation, cond); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) patchObject(c *call) error {
	var patch map[string]any
	if err := decode(c.Request, &patch); err != nil {
		return err
	}
	return s.change(c, func(old settings) (settings, error) { return old.patched(patch) })
}

// updateObject replaces all settings.
func (s *Server) updateObject(c *call) error {
	var set settings
	if err := decode(c.Request, &set); err != nil {
		return err
	}
	return s.change(c, func(old settings) (settings, error) {
		set.StorageClass = old.StorageClass
		return set, set.check()
	})
}

func (s *Server) change(c *call, change func(settings) (settings, error)) error {
	generation, cond, err := c.target()
	if err != nil {
		return err
	}
	o, err := s.store.update(c.bucket, c.name, generation, cond, change)
	if err != nil {
		return err
	}
	c.answerObject(o)
	return nil
}

// copy serves rewriteTo and copyTo. A rewrite is done in one call.
func (s *Server) copy(c *call, source []string, toBucket string, to []string, rewrite bool) error {
	if err := c.object(source); err != nil {
		return err
	}
	fromBucket, fromName := c.bucket, c.name
	c.bucket = toBucket
	if err := c.object(to); err != nil {
		return err
	}
	generation, err := c.generationOf("sourceGeneration")
	if err != nil {
		return err
	}
	ifSource, err := conditionsOf(c.param, "ifSource")
	if err != nil {
		return err
	}
	cond, err := c.conditions()
	if err != nil {
		return err
	}
	var set settings
	if err := decode(c.Request, &set); err != nil {
		return err
	}
	o, err := s.copyObject(origin{fromBucket, fromName, generation, ifSource},
		object{Bucket: c.bucket, Name: c.name, settings: set}, cond)
	if err != nil {
		return err
	}
	if !rewrite {
		c.answerObject(o)
		return nil
	}
	c.answer(rewriteResponse{"storage#rewriteResponse", o.Size, o.Size, true, o.resource(c.base())})
	return nil
}

// moveObject serves moveTo.
// https://cloud.google.com/storage/docs/json_api/v1/objects/move
func (s *Server) moveObject(c *call, source, to []string) error {
	if err := c.object(source); err != nil {
		return err
	}
	from := c.name
	if err := c.object(to); err != nil {
		return err
	}
	if c.name == from {
		return errInvalid("The source and destination objects must have different names.")
	}
	ifSource, err := conditionsOf(c.param, "ifSource")
	if err != nil {
		return err
	}
	cond, err := c.conditions()
	if err != nil {
		return err
	}
	o, err := s.store.move(c.bucket, from, c.name, ifSource, cond)
	if err != nil {
		return err
	}
	e, err := s.event(o)
	if err != nil {
		return err
	}
	s.finalized(e)
	c.answerObject(o)
	return nil
}

// rewriteResponse is https://cloud.google.com/storage/docs/json_api/v1/objects/rewrite#response.
type rewriteResponse struct {
	Kind                string   `json:"kind"`
	TotalBytesRewritten int64    `json:"totalBytesRewritten,string"`
	ObjectSize          int64    `json:"objectSize,string"`
	Done                bool     `json:"done"`
	Resource            resource `json:"resource"`
}

// origin is what is copied.
type origin struct {
	bucket, name string
	generation   int64
	cond         conditions
}

// copyObject copies an object. Its settings are the source's where none are given.
func (s *Server) copyObject(from origin, to object, cond conditions) (*object, error) {
	source, f, err := s.store.open(from.bucket, from.name, from.generation, from.cond)
	if err != nil {
		if err == errNotModified {
			err = errCondition()
		}
		return nil, err
	}
	defer f.Close()
	if class := to.StorageClass; to.settings.empty() {
		to.settings = source.settings
		if class != "" {
			to.StorageClass = class
		}
	}
	spool, err := s.store.newSpool(s.limit)
	if err != nil {
		return nil, err
	}
	defer spool.discard()
	if source.MD5Hash == "" {
		spool.md5 = nil
		to.ComponentCount = source.ComponentCount
	}
	if _, err := io.Copy(spool, f); err != nil {
		return nil, err
	}
	return s.create(to, spool, cond)
}

// empty reports whether a request sets nothing of an object but its class.
func (s settings) empty() bool {
	return s.Metadata == nil && s.ContentType == "" && s.ContentEncoding == "" && s.ContentDisposition == "" &&
		s.ContentLanguage == "" && s.CacheControl == "" && s.CustomTime == ""
}

// maxComponents is how many objects one composition takes.
const maxComponents = 32

// compose makes an object of several of its bucket's.
func (s *Server) compose(c *call) error {
	var request struct {
		Destination   settings
		SourceObjects []struct {
			Name                string
			Generation          json.Number // Python's libraries write numbers, others strings
			ObjectPreconditions struct {
				IfGenerationMatch json.Number
			}
		}
		DeleteSourceObjects bool
	}
	if err := decode(c.Request, &request); err != nil {
		return err
	}
	if n := len(request.SourceObjects); n == 0 || n > maxComponents {
		return errInvalid("The number of source components provided (%d) is not from 1 to %d.", n, maxComponents)
	}
	cond, err := c.conditions()
	if err != nil {
		return err
	}
	spool, err := s.store.newSpool(s.limit)
	if err != nil {
		return err
	}
	defer spool.discard()
	spool.md5 = nil
	components := 0
	var used []*object
	for _, source := range request.SourceObjects {
		generation, err := number("generation", source.Generation.String())
		if err != nil {
			return err
		}
		var cond conditions
		if cond.generationMatch, err = number("ifGenerationMatch",
			source.ObjectPreconditions.IfGenerationMatch.String()); err != nil {
			return err
		}
		part, err := s.appendObject(spool, origin{c.bucket, source.Name, orAny(generation), cond})
		if err != nil {
			return err
		}
		components += max(part.ComponentCount, 1)
		used = append(used, part)
	}
	o, err := s.create(object{
		Bucket:         c.bucket,
		Name:           c.name,
		settings:       request.Destination,
		ComponentCount: components,
	}, spool, cond)
	if err != nil {
		return err
	}
	if request.DeleteSourceObjects {
		s.deleteUsed(c, used)
	}
	c.answerObject(o)
	return nil
}

// deleteUsed deletes what an object was composed of, in the generations that were used: one that was
// replaced or deleted meanwhile is left.
func (s *Server) deleteUsed(c *call, used []*object) {
	for _, part := range used {
		if part.Name == c.name {
			continue // the composed object has its name
		}
		err := s.store.remove(part.Bucket, part.Name, part.Generation, conditions{})
		if f := (*fault)(nil); err != nil && (!errors.As(err, &f) || f.status != http.StatusNotFound) {
			s.logged(c.Request, err)
		}
	}
}

// appendObject adds the content of an object, and returns the object.
func (s *Server) appendObject(spool *spool, from origin) (*object, error) {
	o, f, err := s.store.open(from.bucket, from.name, from.generation, from.cond)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	_, err = io.Copy(spool, f)
	return o, err
}
