package job

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Object is one generation of an object in Cloud Storage.
type Object struct {
	Bucket     string `json:"bucket"`
	Name       string `json:"name"`
	Generation int64  `json:"generation,string"`
	// Size is in bytes.
	Size int64 `json:"size,string"`
	// CRC32C is the base64 of the big-endian sum, as Cloud Storage writes it.
	CRC32C string `json:"crc32c,omitempty"`
	// DecodedSize and DecodedCRC32C are those of the content if the object is stored packed for
	// transport, with contentEncoding gzip. The content is what was checked, and what runs. They are
	// empty if the stored bytes are the content.
	DecodedSize   int64  `json:"decodedSize,omitempty,string"`
	DecodedCRC32C string `json:"decodedCrc32c,omitempty"`
	// Created is the storage service's time of this generation.
	Created time.Time `json:"created,omitzero"`
	// CorrelationID is the uploader's own, from the metadata [MetadataCorrelationID].
	CorrelationID string `json:"correlationId,omitempty"`
	// Traceparent names the span of the upload, from the metadata [MetadataTraceparent].
	Traceparent string `json:"-"`
	// Uploader is from the metadata [MetadataUploader].
	Uploader Uploader `json:"-"`
	// Encoding is the object's contentEncoding, as its uploader set it.
	Encoding string `json:"-"`
}

// Decoded reports whether the object is stored packed for transport, and its content is known.
func (o Object) Decoded() bool { return o.DecodedCRC32C != "" }

// Content returns the size in bytes and the CRC32C of what the object holds, unpacked if it is
// stored packed for transport.
func (o Object) Content() (size int64, crc32c string) {
	if o.Decoded() {
		return o.DecodedSize, o.DecodedCRC32C
	}
	return o.Size, o.CRC32C
}

// Object metadata that uploaders set on a job file.
const (
	// MetadataCorrelationID passes an ID of the uploader's own through logs and events.
	MetadataCorrelationID = "jobdrop-correlation-id"
	// MetadataTraceparent names the span of the upload, as W3C's Trace Context writes it.
	MetadataTraceparent = "jobdrop-traceparent"
	// MetadataUploader begins the names of what the uploader says of itself: name, commit, branch and
	// url, for example jobdrop-uploader-commit.
	MetadataUploader = "jobdrop-uploader-"
	// MetadataRerun, with any value, runs a drop even if the same content ran before.
	MetadataRerun = "jobdrop-rerun"
)

// UploaderOf returns what an object's metadata say of its uploader, within its bounds: it becomes a
// part of lines, and the URL a link, in mails and on pages. So what breaks or reorders a line is left
// out, and a URL that is not of http or https, or has a user or password in it.
func UploaderOf(metadata map[string]string) Uploader {
	of := func(name string) string {
		return BoundText(strings.TrimSpace(strings.Map(plain, metadata[MetadataUploader+name])), uploaderText)
	}
	u := Uploader{Name: of("name"), Commit: of("commit"), Branch: of("branch")}
	if link, err := url.Parse(metadata[MetadataUploader+"url"]); err == nil && link.Host != "" && link.User == nil &&
		(link.Scheme == "https" || link.Scheme == "http") && TextSize(link.String()) <= MaxText {
		u.URL = link.String()
	}
	return u
}

// plain returns a character as a line of text can have it: a space for a control character, and
// nothing for one without a shape, such as those that reorder text.
func plain(r rune) rune {
	switch {
	case unicode.IsControl(r), unicode.In(r, unicode.Zl, unicode.Zp):
		return ' '
	case unicode.Is(unicode.Cf, r):
		return -1
	}
	return r
}

// Attributes are what Cloud Storage tells of an object beside its content.
type Attributes struct {
	Object
	Metadata map[string]string
}

// URI returns gs://bucket/name.
func (o Object) URI() string { return "gs://" + o.Bucket + "/" + o.Name }

// Base returns the object's name without its folder.
func (o Object) Base() string { return path.Base(o.Name) }

// Folder returns the folder of an object's name, with its final slash. It is empty
// for an object at the bucket's root.
func Folder(name string) string { return name[:strings.LastIndexByte(name, '/')+1] }

// JobFileNames returns the names that a job file may have in its folder.
func JobFileNames() []string { return []string{"job.yaml", "job.yml", "job.json"} }

// IsJobFile reports whether name is the name of a job file.
func IsJobFile(name string) bool {
	return !strings.HasSuffix(name, "/") && slices.Contains(JobFileNames(), path.Base(name))
}

// IsPackage reports whether name is the name of a Python package.
func IsPackage(name string) bool {
	for _, suffix := range [...]string{".tar.gz", ".tgz", ".whl"} {
		if strings.HasSuffix(name, suffix) && path.Base(name) != suffix {
			return true
		}
	}
	return false
}

// IsPart reports whether an object can be part of a drop. Other names are ignored
// before any remote call, and so are empty objects, which gcsfuse and some consoles
// write first.
func IsPart(name string, size int64) bool {
	return size > 0 && (IsJobFile(name) || IsPackage(name))
}

// Drop is a folder of the inbox as one listing showed it.
type Drop struct {
	Bucket string
	// Folder ends in a slash, or is empty for the bucket's root.
	Folder string
	// JobFiles and Packages are sorted by name.
	JobFiles []Object
	Packages []Object
	// Others are some of the other objects, whose names are nearly those of parts.
	Others []string
	// Metadata is the object metadata of the job file that [Drop.JobFile]
	// gives; settings of jobs are among it.
	Metadata map[string]string
	// Listed is when the listing began, by the storage service's clock.
	Listed time.Time
	// TooMany says what the folder holds more of than the folder of a drop may
	// have; its packages were not listed then. It is empty for other folders.
	TooMany Excess
}

// Excess is what a folder holds too much of.
type Excess string

// The kinds of excess.
const (
	ManyParts   Excess = "job files and packages"
	ManyObjects Excess = "objects"
	// ManyFolders: the folders in it are part of each listing, whatever they hold.
	ManyFolders Excess = "sub-folders"
)

// Assemble makes a drop of the objects that lie directly in a folder.
func Assemble(bucket, folder string, objects []Object) Drop {
	d := Drop{Bucket: bucket, Folder: folder}
	for _, o := range objects {
		switch {
		case Folder(o.Name) != folder || !IsPart(o.Name, o.Size):
		case IsJobFile(o.Name):
			d.JobFiles = append(d.JobFiles, o)
		default:
			d.Packages = append(d.Packages, o)
		}
	}
	byName := func(a, b Object) int { return cmp.Compare(a.Name, b.Name) }
	slices.SortFunc(d.JobFiles, byName)
	slices.SortFunc(d.Packages, byName)
	return d
}

// JobFile returns the newest job file of the drop, from which an attempt is made. A
// second one is a violation of that attempt.
func (d Drop) JobFile() (Object, bool) {
	if len(d.JobFiles) == 0 {
		return Object{}, false
	}
	return slices.MaxFunc(d.JobFiles, func(a, b Object) int { return cmp.Compare(a.Generation, b.Generation) }), true
}

// Rerun reports whether the job file's uploader wants a job whatever ran before.
func (d Drop) Rerun() bool {
	_, set := d.Metadata[MetadataRerun]
	return set
}

// Package finds a package by its plain file name.
func (d Drop) Package(base string) (Object, bool) {
	for _, p := range d.Packages {
		if p.Base() == base {
			return p, true
		}
	}
	return Object{}, false
}

// FolderKey returns the name of a drop's folder in the ledger: 40 hex digits of
// SHA-256 over bucket and folder.
func FolderKey(bucket, folder string) string { return digest(bucket, folder) }

// AttemptKey returns the name of an attempt: the folder's key and the job file's
// generation.
func AttemptKey(jobFile Object) string {
	return FolderKey(jobFile.Bucket, Folder(jobFile.Name)) + "-" + strconv.FormatInt(jobFile.Generation, 10)
}

// DefaultJobID returns the ID of a job whose file names none: the drop's name made
// valid, the time of the job file, and 12 hex digits of a hash over its bucket, name
// and generation. It is the same at each redelivery.
func DefaultJobID(jobFile Object) string {
	name := path.Base(strings.TrimSuffix(Folder(jobFile.Name), "/"))
	if name == "." {
		name = "job"
	}
	valid := []byte(name)
	for i, c := range valid {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9') {
			valid[i] = '_'
		}
	}
	// An ID begins with a letter; its length is bounded to what services and
	// tools are known to take (128 characters in all).
	if c := valid[0]; !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') {
		valid = append([]byte("job_"), valid...)
	}
	if len(valid) > 96 {
		valid = valid[:96]
	}
	return fmt.Sprintf("%s_%s_%s", valid, jobFile.Created.UTC().Format("20060102_150405"),
		digest(jobFile.Bucket, jobFile.Name, strconv.FormatInt(jobFile.Generation, 10))[:12])
}

// digest returns 40 hex digits of SHA-256 over the parts. No part holds a NUL,
// because object names can't.
func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])[:40]
}
