package storage

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// timeFormat is the format of Cloud Storage: UTC, to the millisecond.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

const (
	// maxName and maxMetadata are Cloud Storage's own limits, in bytes.
	// https://cloud.google.com/storage/quotas#objects
	maxName     = 1024
	maxMetadata = 8 << 10
)

// settings are what a client may say about an object.
type settings struct {
	ContentType        string            `json:"contentType,omitempty"`
	ContentEncoding    string            `json:"contentEncoding,omitempty"`
	ContentDisposition string            `json:"contentDisposition,omitempty"`
	ContentLanguage    string            `json:"contentLanguage,omitempty"`
	CacheControl       string            `json:"cacheControl,omitempty"`
	CustomTime         string            `json:"customTime,omitempty"`
	StorageClass       string            `json:"storageClass,omitempty"`
	Metadata           map[string]string `json:"metadata,omitempty"`

	// What protects an object from deletion is refused.
	TemporaryHold  bool            `json:"temporaryHold,omitempty"`
	EventBasedHold bool            `json:"eventBasedHold,omitempty"`
	Retention      json.RawMessage `json:"retention,omitempty"`
	// So is what would be promised in vain, or would be left out unsaid.
	KMSKeyName string          `json:"kmsKeyName,omitempty"`
	Contexts   json.RawMessage `json:"contexts,omitempty"`
	ACL        []any           `json:"acl,omitempty"`
}

func (s settings) check() error {
	if s.TemporaryHold || s.EventBasedHold || len(s.Retention) > 0 && string(s.Retention) != "null" {
		return errUnsupported("holds and retention")
	}
	switch contexts := string(s.Contexts); {
	case s.KMSKeyName != "":
		return errUnsupported("keys for objects")
	case contexts != "" && contexts != "null" && contexts != "{}":
		return errUnsupported("contexts of objects")
	case len(s.ACL) > 0:
		return errNoACL()
	}
	size := 0
	for k, v := range s.Metadata {
		size += len(k) + len(v)
	}
	if size > maxMetadata {
		return errInvalid("The metadata for this object is %d bytes, over the limit of %d bytes.", size, maxMetadata)
	}
	if s.CustomTime != "" {
		if _, err := time.Parse(time.RFC3339, s.CustomTime); err != nil {
			return errInvalid("Invalid customTime: %s", s.CustomTime)
		}
	}
	return nil
}

// object is an object's record. It is not changed once it is stored: a change
// makes another one.
type object struct {
	Bucket         string `json:"bucket"`
	Name           string `json:"name"`
	Generation     int64  `json:"generation,string"`
	Metageneration int64  `json:"metageneration,string"`
	settings
	Size           int64  `json:"size,string"`
	CRC32C         string `json:"crc32c"`
	MD5Hash        string `json:"md5Hash,omitempty"` // none of what was composed
	ComponentCount int    `json:"componentCount,omitempty"`
	TimeCreated    string `json:"timeCreated"`
	Updated        string `json:"updated"`

	movedFrom *movedFrom // of the record; no client sees it
}

// movedFrom is what an object was moved from.
type movedFrom struct {
	Name       string `json:"name"`
	Generation int64  `json:"generation,string"`
}

// objectRecord is an object as it lies on the disk. What it was moved from is gone, but for the moment
// in which the object has both names.
type objectRecord struct {
	object
	MovedFrom *movedFrom `json:"movedFrom,omitempty"`
}

func (o *object) created() time.Time {
	t, _ := time.Parse(timeFormat, o.TimeCreated)
	return t
}

// etag names the state of an object; it is Cloud Storage's own encoding of the
// two numbers.
func (o *object) etag() string { return etag(o.Generation, o.Metageneration) }

// xmlETag is the ETag of the XML API: the MD5 of the content, or, of what was composed, a text that is not
// one. https://cloud.google.com/storage/docs/hashes-etags#etags
func (o *object) xmlETag() string {
	sum, err := base64.StdEncoding.DecodeString(o.MD5Hash)
	if o.MD5Hash == "" || err != nil {
		return "-" + o.etag()
	}
	return hex.EncodeToString(sum)
}

func etag(generation, metageneration int64) string {
	b := binary.AppendUvarint([]byte{0x08}, uint64(generation))
	b = binary.AppendUvarint(append(b, 0x10), uint64(metageneration))
	return base64.StdEncoding.EncodeToString(b)
}

// resource is an object as the JSON API shows it.
type resource struct {
	Kind      string `json:"kind"`
	ID        string `json:"id"`
	SelfLink  string `json:"selfLink"`
	MediaLink string `json:"mediaLink"`
	*object
	Etag                    string `json:"etag"`
	TimeStorageClassUpdated string `json:"timeStorageClassUpdated"`
	TimeFinalized           string `json:"timeFinalized"`
}

// resource returns an object's resource. Its links begin with base.
func (o *object) resource(base string) resource {
	path := "/storage/v1/b/" + o.Bucket + "/o/" + url.PathEscape(o.Name)
	return resource{
		Kind: "storage#object", ID: fmt.Sprintf("%s/%s/%d", o.Bucket, o.Name, o.Generation),
		SelfLink:  base + path,
		MediaLink: fmt.Sprintf("%s/download%s?generation=%d&alt=media", base, path, o.Generation),
		object:    o, Etag: o.etag(),
		TimeStorageClassUpdated: o.TimeCreated, TimeFinalized: o.TimeCreated,
	}
}

// checkName refuses names that no object may have. Other control characters than the ends
// of lines, U+0000 among them, are discouraged and taken.
// https://cloud.google.com/storage/docs/objects#naming
func checkName(name string) error {
	switch {
	case name == "":
		return &fault{http.StatusBadRequest, "required", "InvalidArgument", "Required: the name of an object"}
	case len(name) > maxName:
		return errInvalid("The specified object name is longer than %d bytes.", maxName)
	case !utf8.ValidString(name), strings.ContainsAny(name, "\r\n"):
		return errInvalid("Disallowed unicode characters present in object name %q", name)
	case name == ".", name == "..", strings.HasPrefix(name, ".well-known/acme-challenge/"):
		return errInvalid("Invalid object name: %q", name)
	}
	return nil
}

// bucketName is also what makes a bucket's name safe as a folder's.
// https://cloud.google.com/storage/docs/buckets#naming
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{1,220}[a-z0-9]$`)

func checkBucketName(name string) error {
	if !bucketName.MatchString(name) || strings.Contains(name, "..") {
		return errInvalid("Invalid bucket name: '%s'", name)
	}
	return nil
}

// bucketAttributes is a bucket's record, not changed once it is stored.
type bucketAttributes struct {
	Name           string         `json:"name"`
	Metageneration int64          `json:"metageneration"`
	TimeCreated    string         `json:"timeCreated"`
	Updated        string         `json:"updated"`
	Settings       map[string]any `json:"settings,omitempty"`
}

// resource returns a bucket's resource: what clients have set, overlaid with the facts.
func (b *bucketAttributes) resource(base string) map[string]any {
	r := map[string]any{
		"location": "US", "locationType": "multi-region", "storageClass": "STANDARD",
		// Access is the bucket's alone: objects have no lists of their own.
		"iamConfiguration": map[string]any{
			"uniformBucketLevelAccess": map[string]any{"enabled": true},
			"publicAccessPrevention":   "inherited",
		},
	}
	maps.Copy(r, b.Settings)
	if place, _ := r["location"].(string); place != "" {
		r["location"] = strings.ToUpper(place)
		r["locationType"] = locationType(r["location"].(string))
	}
	maps.Copy(r, map[string]any{
		"kind": "storage#bucket", "id": b.Name, "name": b.Name, "projectNumber": "1",
		"selfLink":       base + "/storage/v1/b/" + b.Name,
		"metageneration": fmt.Sprint(b.Metageneration), "etag": etag(0, b.Metageneration),
		"timeCreated": b.TimeCreated, "updated": b.Updated,
	})
	return r
}

// locationType returns the type of a location by the form of its name.
// https://cloud.google.com/storage/docs/locations
func locationType(location string) string {
	switch {
	case location == "US" || location == "EU" || location == "ASIA":
		return "multi-region"
	case strings.Contains(location, "-"):
		return "region"
	}
	return "dual-region" // NAM4, EUR4 and their like
}

// setByServer are the fields of a bucket that a client's word does not change.
var setByServer = []string{
	"kind", "id", "name", "projectNumber", "selfLink", "metageneration", "etag", "timeCreated", "updated", "locationType",
}

// checkBucketSettings takes out what is not a client's to say, and refuses what
// would be promised in vain.
func checkBucketSettings(set map[string]any) error {
	for _, k := range setByServer {
		delete(set, k)
	}
	for _, k := range []string{"versioning", "hierarchicalNamespace"} {
		if m, _ := set[k].(map[string]any); m["enabled"] == true {
			return errUnsupported("buckets with " + k)
		}
	}
	for _, k := range []string{"encryption", "lifecycle", "retentionPolicy"} {
		if m, _ := set[k].(map[string]any); promises(m) {
			return errUnsupported("buckets with " + k)
		}
	}
	for _, k := range []string{"acl", "defaultObjectAcl"} {
		if list, _ := set[k].([]any); len(list) > 0 {
			return errNoACL()
		}
		delete(set, k)
	}
	if m, _ := set["softDeletePolicy"].(map[string]any); m != nil && fmt.Sprint(m["retentionDurationSeconds"]) != "0" &&
		m["retentionDurationSeconds"] != nil {
		return errUnsupported("soft deletion; its duration may be 0")
	}
	if set["defaultEventBasedHold"] == true {
		return errUnsupported("buckets with defaultEventBasedHold")
	}
	return nil
}

// promises reports whether a setting asks for something. An empty one, or one with only
// empty members, does not.
func promises(setting map[string]any) bool {
	for _, v := range setting {
		switch v := v.(type) {
		case nil:
		case []any:
			if len(v) > 0 {
				return true
			}
		default:
			return true
		}
	}
	return false
}

// merge applies a patch to a document: null removes (RFC 7396).
func merge(doc, patch map[string]any) map[string]any {
	out := maps.Clone(doc)
	if out == nil {
		out = map[string]any{}
	}
	for k, v := range patch {
		switch v := v.(type) {
		case nil:
			delete(out, k)
		case map[string]any:
			inner, _ := out[k].(map[string]any)
			out[k] = merge(inner, v)
		default:
			out[k] = v
		}
	}
	return out
}

// patched returns the settings with a patch applied.
func (s settings) patched(patch map[string]any) (settings, error) {
	encoded, err := json.Marshal(s)
	if err != nil {
		return settings{}, err
	}
	var doc map[string]any
	if err := json.Unmarshal(encoded, &doc); err != nil {
		return settings{}, err
	}
	if encoded, err = json.Marshal(merge(doc, patch)); err != nil {
		return settings{}, err
	}
	var out settings
	if err := json.Unmarshal(encoded, &out); err != nil {
		return settings{}, errInvalid("Invalid value: %v", err)
	}
	out.StorageClass = s.StorageClass // only a rewrite changes it
	return out, out.check()
}
