package storage

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// store keeps buckets and objects in a folder:
//
//	buckets/<bucket>/bucket.json                 the bucket's record
//	buckets/<bucket>/<xx>/<sha256 of name>.json  an object's record
//	buckets/<bucket>/<xx>/<sha256 of name>.<generation>  its content
//	tmp/                                         what is being written
//
// No name of a client's becomes one of a file. A change is one rename or removal
// of one record: content comes before the record that names it, and goes after
// it. So a process that dies leaves the state of before or of after, and content
// that no record names, which the next start removes. Against the loss of power
// there is no such promise: nothing is synced to disk.
//
// All records are kept in memory, about 1 KB for each object.
type store struct {
	dir string
	log *slog.Logger
	now func() time.Time

	ended atomic.Bool // content that is being written need not be

	mu      sync.RWMutex
	buckets map[string]*bucket
	last    int64 // the newest generation
}

type bucket struct {
	attributes *bucketAttributes
	objects    map[string]*object
	names      []string // of the objects, sorted
}

const bucketRecord = "bucket.json"

// openStore reads a folder's records and removes what a process that died has
// left. The folder must be locked.
func openStore(ctx context.Context, dir string, log *slog.Logger, now func() time.Time) (*store, error) {
	s := &store{dir: dir, log: log, now: now, buckets: map[string]*bucket{}}
	if err := os.RemoveAll(s.tmp()); err != nil {
		return nil, err
	}
	for _, d := range []string{s.tmp(), filepath.Join(dir, "buckets")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	entries, err := os.ReadDir(filepath.Join(dir, "buckets"))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if e.IsDir() && checkBucketName(e.Name()) == nil {
			if err := s.loadBucket(ctx, e.Name()); err != nil {
				return nil, fmt.Errorf("bucket %s: %w", e.Name(), err)
			}
		}
	}
	return s, nil
}

func (s *store) tmp() string { return filepath.Join(s.dir, "tmp") }

func (s *store) bucketDir(name string) string { return filepath.Join(s.dir, "buckets", name) }

// base returns the path of an object's files, without their suffixes.
func (s *store) base(bucket, name string) string {
	sum := sha256.Sum256([]byte(name))
	h := hex.EncodeToString(sum[:])
	return filepath.Join(s.bucketDir(bucket), h[:2], h)
}

func (s *store) record(bucket, name string) string { return s.base(bucket, name) + ".json" }

func (s *store) content(o *object) string {
	return s.base(o.Bucket, o.Name) + "." + strconv.FormatInt(o.Generation, 10)
}

// repairs counts what a start has found.
type repairs struct {
	orphans int // content that no record names, removed
	damaged int // records that can't be read, or whose content is not there, left alone
}

func (s *store) loadBucket(ctx context.Context, name string) error {
	b := &bucket{objects: map[string]*object{}}
	shards, err := os.ReadDir(s.bucketDir(name))
	if err != nil {
		return err
	}
	var found repairs
	for _, shard := range shards {
		if shard.IsDir() {
			if err := s.loadShard(ctx, b, name, shard.Name(), &found); err != nil {
				return err
			}
		}
	}
	if err := s.endMoves(b, &found); err != nil {
		return err
	}
	if found != (repairs{}) {
		s.log.WarnContext(ctx, "bucket repaired", "bucket", name, "orphans_removed", found.orphans, "damaged_ignored",
			found.damaged)
	}
	for n := range b.objects {
		b.names = append(b.names, n)
	}
	slices.Sort(b.names)
	b.attributes, err = readRecord[bucketAttributes](filepath.Join(s.bucketDir(name), bucketRecord))
	switch {
	case err == nil && b.attributes.Name == name:
	case len(b.objects) == 0 && found.damaged == 0:
		// Begun and not made, or half deleted: a bucket has its record
		// before its first object, and loses it after its last.
		return os.RemoveAll(s.bucketDir(name))
	default:
		s.log.WarnContext(ctx, "bucket without a record gets a new one", "bucket", name)
		b.attributes = s.newBucket(name, nil)
		if err := s.writeRecord(filepath.Join(s.bucketDir(name), bucketRecord), b.attributes); err != nil {
			return err
		}
	}
	s.buckets[name] = b
	return nil
}

// loadShard reads the records of one folder. Of content nothing but the size is
// looked at, so that a start takes no longer with larger objects.
func (s *store) loadShard(ctx context.Context, b *bucket, bucketName, shard string, found *repairs) error {
	dir := filepath.Join(s.bucketDir(bucketName), shard)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	named := map[string]bool{}  // content files that a record names
	unread := map[string]bool{} // hashes whose record says nothing
	for _, e := range entries {
		hash, isRecord := strings.CutSuffix(e.Name(), ".json")
		if !isRecord {
			continue
		}
		r, err := readRecord[objectRecord](filepath.Join(dir, e.Name()))
		var o *object
		if err == nil {
			o = &r.object
			o.movedFrom = r.MovedFrom
			err = s.checkLoaded(o, bucketName, filepath.Join(dir, e.Name()))
		}
		if err != nil {
			unread[hash] = true
			found.damaged++
			s.log.ErrorContext(ctx, "object can't be read and is left out", "bucket", bucketName, "file",
				filepath.Join(dir, e.Name()), "error", err.Error())
			continue
		}
		named[filepath.Base(s.content(o))] = true
		b.objects[o.Name] = o
		s.last = max(s.last, o.Generation)
	}
	for _, e := range entries {
		hash, _, _ := strings.Cut(e.Name(), ".")
		if strings.HasSuffix(e.Name(), ".json") || named[e.Name()] || unread[hash] {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
		found.orphans++
	}
	return nil
}

// endMoves removes what an object was moved from, where a process died in between.
func (s *store) endMoves(b *bucket, found *repairs) error {
	for _, o := range b.objects {
		if o.movedFrom == nil {
			continue
		}
		source := b.objects[o.movedFrom.Name]
		if source == nil || source.Generation != o.movedFrom.Generation {
			continue
		}
		if err := os.Remove(s.record(source.Bucket, source.Name)); err != nil {
			return err
		}
		s.forget(source)
		delete(b.objects, source.Name)
		found.orphans++
	}
	return nil
}

func (s *store) checkLoaded(o *object, bucketName, path string) error {
	if o.Bucket != bucketName || s.record(bucketName, o.Name) != path {
		return errors.New("the record is another object's")
	}
	info, err := os.Stat(s.content(o))
	if err == nil && info.Size() != o.Size {
		err = fmt.Errorf("content of %d bytes, %d recorded", info.Size(), o.Size)
	}
	return err
}

func readRecord[T any](path string) (*T, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	v := new(T)
	if err := json.Unmarshal(data, v); err != nil {
		return nil, err
	}
	return v, nil
}

// writeRecord puts a record in the place of an earlier one.
func (s *store) writeRecord(path string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(s.tmp(), "record-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

func (s *store) stamp() string { return s.now().UTC().Format(timeFormat) }

func (s *store) newBucket(name string, set map[string]any) *bucketAttributes {
	now := s.stamp()
	return &bucketAttributes{Name: name, Metageneration: 1, TimeCreated: now, Updated: now, Settings: set}
}

// createBucket makes a bucket; one that is there is a conflict.
func (s *store) createBucket(name string, set map[string]any) (*bucketAttributes, error) {
	if err := checkBucketName(name); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets[name] != nil {
		return nil, errConflict("Your previous request to create the named bucket succeeded and you already own it.")
	}
	if err := os.MkdirAll(s.bucketDir(name), 0o700); err != nil {
		return nil, err
	}
	a := s.newBucket(name, set)
	if err := s.writeRecord(filepath.Join(s.bucketDir(name), bucketRecord), a); err != nil {
		return nil, err
	}
	s.buckets[name] = &bucket{attributes: a, objects: map[string]*object{}}
	return a, nil
}

func (s *store) getBucket(name string) (*bucketAttributes, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if b := s.buckets[name]; b != nil {
		return b.attributes, nil
	}
	return nil, errNoBucket(name)
}

func (s *store) listBuckets() []*bucketAttributes {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []*bucketAttributes
	for _, b := range s.buckets {
		out = append(out, b.attributes)
	}
	slices.SortFunc(out, func(a, b *bucketAttributes) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// patchBucket changes a bucket's settings.
func (s *store) patchBucket(name string, c conditions,
	change func(map[string]any) (map[string]any, error)) (*bucketAttributes, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[name]
	if b == nil {
		return nil, errNoBucket(name)
	}
	if err := c.check(&object{Metageneration: b.attributes.Metageneration}); err != nil {
		return nil, err
	}
	a := *b.attributes
	var err error
	if a.Settings, err = change(a.Settings); err != nil {
		return nil, err
	}
	a.Metageneration++
	a.Updated = s.stamp()
	if err := s.writeRecord(filepath.Join(s.bucketDir(name), bucketRecord), &a); err != nil {
		return nil, err
	}
	b.attributes = &a
	return &a, nil
}

// deleteBucket removes an empty bucket.
func (s *store) deleteBucket(name string, c conditions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[name]
	if b == nil {
		return errNoBucket(name)
	}
	if err := c.check(&object{Metageneration: b.attributes.Metageneration}); err != nil {
		return err
	}
	if len(b.objects) > 0 {
		return errConflict("The bucket you tried to delete is not empty.")
	}
	if err := os.Remove(filepath.Join(s.bucketDir(name), bucketRecord)); err != nil {
		return err
	}
	delete(s.buckets, name)
	return os.RemoveAll(s.bucketDir(name))
}

// find returns the live object; generation 0 means any. The store must be locked.
func (s *store) find(bucketName, name string, generation int64) (*bucket, *object, error) {
	b := s.buckets[bucketName]
	if b == nil {
		return nil, nil, errNoBucket(bucketName)
	}
	o := b.objects[name]
	if o == nil || generation != 0 && o.Generation != generation {
		return b, nil, errNoObject(bucketName, name)
	}
	return b, o, nil
}

// get returns the record of an object if the conditions hold.
func (s *store) get(bucketName, name string, generation int64, c conditions) (*object, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, o, err := s.find(bucketName, name, generation)
	if err == nil {
		err = c.checkRead(o)
	}
	return o, err
}

// open returns an object and its content. The content stays readable if the object
// changes meanwhile. The caller closes it.
func (s *store) open(bucketName, name string, generation int64, c conditions) (*object, *os.File, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, o, err := s.find(bucketName, name, generation)
	if err == nil {
		err = c.checkRead(o)
	}
	if err != nil {
		return nil, nil, err
	}
	f, err := os.Open(s.content(o))
	return o, f, err
}

// put makes an object, or another generation of it, of content that it takes
// over, where the conditions hold.
func (s *store) put(o object, c *spool, cond conditions) (*object, error) {
	if err := errors.Join(checkName(o.Name), o.settings.check()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, live, err := s.find(o.Bucket, o.Name, 0)
	if b == nil {
		return nil, err
	}
	if err := cond.check(live); err != nil {
		return nil, err
	}
	s.last = max(s.last+1, s.now().UnixMicro())
	o.Generation, o.Metageneration = s.last, 1
	o.TimeCreated = s.stamp()
	o.Updated = o.TimeCreated
	o.Size, o.CRC32C, o.MD5Hash = c.size, c.crc32c(), c.md5Hash()
	if o.StorageClass == "" {
		o.StorageClass = "STANDARD"
	}
	path := s.content(&o)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if err := c.moveTo(path); err != nil {
		return nil, err
	}
	if err := s.writeRecord(s.record(o.Bucket, o.Name), &o); err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	b.insert(&o)
	if live != nil {
		s.forget(live)
	}
	return &o, nil
}

// update changes an object's settings, and not its generation.
func (s *store) update(bucketName, name string, generation int64, c conditions,
	change func(settings) (settings, error)) (*object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, live, err := s.find(bucketName, name, generation)
	if err == nil {
		err = c.check(live)
	}
	if err != nil {
		return nil, err
	}
	o := *live
	if o.settings, err = change(o.settings); err != nil {
		return nil, err
	}
	o.Metageneration++
	o.Updated = s.stamp()
	if err := s.writeRecord(s.record(bucketName, name), &o); err != nil {
		return nil, err
	}
	b.objects[name] = &o
	return &o, nil
}

// remove deletes an object.
func (s *store) remove(bucketName, name string, generation int64, c conditions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, live, err := s.find(bucketName, name, generation)
	if err == nil {
		err = c.check(live)
	}
	if err != nil {
		return err
	}
	return s.drop(b, live)
}

// drop removes a live object. The store must be locked.
func (s *store) drop(b *bucket, live *object) error {
	if err := os.Remove(s.record(live.Bucket, live.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	delete(b.objects, live.Name)
	if i, ok := slices.BinarySearch(b.names, live.Name); ok {
		b.names = slices.Delete(b.names, i, i+1)
	}
	s.forget(live)
	return nil
}

// move renames an object of a bucket in one step: a process that dies leaves the one name or the other.
// An object that has the new name is replaced.
func (s *store) move(bucketName, from, to string, ifSource, cond conditions) (*object, error) {
	if err := checkName(to); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, source, err := s.find(bucketName, from, 0)
	if err == nil {
		err = ifSource.check(source)
	}
	if err != nil {
		return nil, err
	}
	replaced := b.objects[to]
	if err := cond.check(replaced); err != nil {
		return nil, err
	}
	o := *source
	s.last = max(s.last+1, s.now().UnixMicro())
	o.Name, o.Generation, o.Metageneration = to, s.last, 1
	o.TimeCreated = s.stamp()
	o.Updated = o.TimeCreated
	o.movedFrom = &movedFrom{source.Name, source.Generation}
	path := s.content(&o)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if err := os.Link(s.content(source), path); err != nil {
		return nil, err
	}
	if err := s.writeRecord(s.record(bucketName, to), objectRecord{o, o.movedFrom}); err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	b.insert(&o)
	if replaced != nil {
		s.forget(replaced)
	}
	return &o, s.drop(b, source)
}

// forget removes the content of an object whose record is gone. Where that fails
// the next start does it.
func (s *store) forget(o *object) { _ = os.Remove(s.content(o)) }

func (b *bucket) insert(o *object) {
	if b.objects[o.Name] == nil {
		i, _ := slices.BinarySearch(b.names, o.Name)
		b.names = slices.Insert(b.names, i, o.Name)
	}
	b.objects[o.Name] = o
}

// since returns a bucket's objects that were created at t or later, oldest first.
func (s *store) since(bucketName string, t time.Time) ([]*object, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b := s.buckets[bucketName]
	if b == nil {
		return nil, errNoBucket(bucketName)
	}
	t = t.Truncate(time.Millisecond) // as records have it
	var out []*object
	for _, o := range b.objects {
		if !o.created().Before(t) {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b *object) int { return cmp.Compare(a.Generation, b.Generation) })
	return out, nil
}
