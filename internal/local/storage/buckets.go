package storage

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// bucketsCall serves the list of buckets and makes new ones.
func (s *Server) bucketsCall(c *call) error {
	switch c.Method {
	case http.MethodGet:
		return s.listBuckets(c)
	case http.MethodPost:
		return s.insertBucket(c)
	}
	return c.unsupported()
}

func (s *Server) listBuckets(c *call) error {
	size, err := c.pageSize()
	if err != nil {
		return err
	}
	items, next := []any{}, ""
	for _, b := range s.store.listBuckets() {
		if c.flag("softDeleted") {
			break // nothing is kept of what was deleted
		}
		if !strings.HasPrefix(b.Name, c.param("prefix")) || b.Name < c.param("pageToken") {
			continue
		}
		if len(items) == size {
			next = b.Name
			break
		}
		items = append(items, b.resource(c.base()))
	}
	page := map[string]any{"kind": "storage#buckets", "items": items}
	if next != "" {
		page["nextPageToken"] = next
	}
	c.answer(page)
	return nil
}

// pageSize returns the size of a list's page: at most 1,000, as in Cloud Storage.
func (c *call) pageSize() (int, error) {
	const most = 1000
	value := c.param("maxResults")
	if value == "" {
		return most, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return 0, errInvalid("Invalid value for maxResults: %q", value)
	}
	if n == 0 {
		return most, nil
	}
	return min(n, most), nil
}

func (s *Server) insertBucket(c *call) error {
	set := map[string]any{}
	if err := decode(c.Request, &set); err != nil {
		return err
	}
	name, _ := set["name"].(string)
	if err := checkBucketSettings(set); err != nil {
		return err
	}
	b, err := s.store.createBucket(name, set)
	if err != nil {
		return err
	}
	c.answer(b.resource(c.base()))
	return nil
}

// bucketCall serves one bucket.
func (s *Server) bucketCall(c *call) error {
	cond, err := c.conditions()
	if err != nil {
		return err
	}
	var b *bucketAttributes
	switch c.Method {
	case http.MethodGet, http.MethodHead:
		if c.flag("softDeleted") {
			return errNoBucket(c.bucket)
		}
		if b, err = s.store.getBucket(c.bucket); err == nil {
			err = cond.checkRead(&object{Metageneration: b.Metageneration})
		}
	case http.MethodPatch, http.MethodPut:
		b, err = s.changeBucket(c, cond)
	case http.MethodDelete:
		if err := s.store.deleteBucket(c.bucket, cond); err != nil {
			return err
		}
		c.w.WriteHeader(http.StatusNoContent)
		return nil
	default:
		return notAllowed()
	}
	if err != nil {
		return err
	}
	c.answer(b.resource(c.base()))
	return nil
}

func (s *Server) changeBucket(c *call, cond conditions) (*bucketAttributes, error) {
	patch := map[string]any{}
	if err := decode(c.Request, &patch); err != nil {
		return nil, err
	}
	if err := checkBucketSettings(patch); err != nil {
		return nil, err
	}
	return s.store.patchBucket(c.bucket, cond, func(set map[string]any) (map[string]any, error) {
		if c.Method == http.MethodPut {
			set = nil
		}
		return merge(set, patch), nil
	})
}

// bucketPart serves what tools ask of a bucket besides itself.
func (s *Server) bucketPart(c *call) error {
	b, err := s.store.getBucket(c.bucket)
	if err != nil {
		return err
	}
	part := strings.Join(c.path, "/")
	switch {
	case c.Method == http.MethodGet && part == "storageLayout":
		r := b.resource(c.base())
		c.answer(map[string]any{
			"kind": "storage#storageLayout", "bucket": b.Name, "location": r["location"], "locationType": r["locationType"],
			"hierarchicalNamespace": map[string]any{"enabled": false},
		})
	case c.Method == http.MethodGet && part == "iam":
		c.answer(map[string]any{
			"kind": "storage#policy", "resourceId": "projects/_/buckets/" + b.Name, "version": 1,
			"etag": etag(0, b.Metageneration), "bindings": []any{},
		})
	case c.Method == http.MethodGet && part == "iam/testPermissions":
		c.answer(map[string]any{"kind": "storage#testIamPermissionsResponse", "permissions": c.query["permissions"]})
	case c.Method == http.MethodGet && part == "notificationConfigs":
		c.answer(map[string]any{"kind": "storage#notifications", "items": []any{}})
	case c.Method == http.MethodGet && part == "managedFolders": // gcloud asks before it removes a bucket
		c.answer(map[string]any{"kind": "storage#managedFolders", "items": []any{}})
	case slices.Contains([]string{"acl", "defaultObjectAcl"}, c.path[0]):
		return errNoACL()
	default:
		return c.unsupported()
	}
	return nil
}
