package main

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// stored is one generation of an object.
type stored struct {
	bucket, name    string
	generation      int64
	data            []byte
	crc32c          string
	contentType     string
	contentEncoding string
	metadata        map[string]string
	created         time.Time
}

// anyGeneration is the condition of a write that has none.
const anyGeneration = -1

// store is an object storage in memory. Objects lie in trees of folders, so a list costs what it returns.
type store struct {
	oneWrite bool
	// expires is whether objects go after a while: a long run would fill the memory.
	expires bool

	mu      sync.Mutex
	buckets map[string]*directory
	last    int64 // the newest generation
	written map[string]time.Time
	oldest  []*stored
}

// directory is a folder.
type directory struct {
	objects map[string]*stored
	folders map[string]*directory
}

func newStore(l load) *store {
	return &store{oneWrite: l.oneWrite, buckets: map[string]*directory{}, written: map[string]time.Time{}}
}

// nodeOf returns the folder of a name, and what follows the folder. Without make it is nil where there is none. The
// caller holds mu.
func (s *store) nodeOf(bucket, name string, make bool) (n *directory, base string) {
	n = s.buckets[bucket]
	if n == nil && make {
		n = &directory{}
		s.buckets[bucket] = n
	}
	for n != nil {
		first, rest, ok := strings.Cut(name, "/")
		if !ok {
			break
		}
		child := n.folders[first]
		if child == nil && make {
			child = &directory{}
			if n.folders == nil {
				n.folders = map[string]*directory{}
			}
			n.folders[first] = child
		}
		n, name = child, rest
	}
	return n, name
}

// at returns an object's live generation, if that is the one asked for; 0 asks for any. The caller holds mu.
func (s *store) at(bucket, name string, generation int64) *stored {
	n, base := s.nodeOf(bucket, name, false)
	if n == nil || n.objects[base] == nil || generation > 0 && n.objects[base].generation != generation {
		return nil
	}
	return n.objects[base]
}

// get returns an object, or nil.
func (s *store) get(bucket, name string, generation int64) *stored {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at(bucket, name, generation)
}

// put writes an object if the live generation is ifGeneration. It returns a code of HTTP.
func (s *store) put(o stored, ifGeneration int64) (*stored, int) {
	sum := crc32.Checksum(o.data, castagnoli)
	o.crc32c = base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	there := s.at(o.bucket, o.name, 0)
	switch {
	case ifGeneration > 0 && (there == nil || there.generation != ifGeneration), ifGeneration == 0 && there != nil:
		return nil, http.StatusPreconditionFailed
	case !s.mayWrite(o.bucket, o.name, now):
		return nil, http.StatusTooManyRequests
	}
	// A generation is a time in microseconds, and no two are equal.
	s.last = max(s.last+1, now.UnixMicro())
	o.generation, o.created = s.last, now
	n, base := s.nodeOf(o.bucket, o.name, true)
	if n.objects == nil {
		n.objects = map[string]*stored{}
	}
	n.objects[base] = &o
	if s.expires {
		s.oldest = append(s.oldest, &o)
	}
	return &o, http.StatusOK
}

// mayWrite reports whether a name may be written now, and remembers it if so. The caller holds mu.
func (s *store) mayWrite(bucket, name string, now time.Time) bool {
	if !s.oneWrite {
		return true
	}
	path := bucket + "/" + name
	if last, ok := s.written[path]; ok && now.Sub(last) < time.Second {
		return false
	}
	s.written[path] = now
	return true
}

// delete removes an object. It returns a code of HTTP.
func (s *store) delete(bucket, name string, generation int64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at(bucket, name, generation) == nil {
		return http.StatusNotFound
	}
	s.drop(bucket, name)
	return http.StatusNoContent
}

// drop removes an object, and the folders that are empty then. The caller holds mu.
func (s *store) drop(bucket, name string) {
	n, base := s.nodeOf(bucket, name, false)
	delete(n.objects, base)
	for len(n.objects) == 0 && len(n.folders) == 0 {
		cut := strings.LastIndexByte(strings.TrimSuffix(name[:len(name)-len(base)], "/"), '/') + 1
		folder := strings.TrimSuffix(name[cut:len(name)-len(base)], "/")
		if folder == "" {
			return
		}
		name, base = name[:cut]+folder, folder
		n, _ = s.nodeOf(bucket, name, false)
		delete(n.folders, base)
	}
}

// expire removes what was written before a time and has not been replaced.
func (s *store) expire(before time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gone := 0
	for _, o := range s.oldest {
		if !o.created.Before(before) {
			break
		}
		gone++
		if s.at(o.bucket, o.name, o.generation) != nil {
			s.drop(o.bucket, o.name)
			delete(s.written, o.bucket+"/"+o.name)
		}
	}
	s.oldest = slices.Clone(s.oldest[gone:])
}

// page is a page of a list: objects and prefixes in the order of their names, and the name at which the next begins.
type page struct {
	objects  []*stored
	prefixes []string
	next     string
}

// list returns at most size objects and prefixes whose names begin with prefix and are not less than from. flat leaves
// out what lies deeper, and returns its prefixes.
func (s *store) list(bucket, prefix, from string, flat bool, size int) page {
	s.mu.Lock()
	defer s.mu.Unlock()
	cut := strings.LastIndexByte(prefix, '/') + 1
	n, partial := s.nodeOf(bucket, prefix, false)
	if n == nil {
		return page{}
	}
	found := map[string]*stored{} // nil of a prefix
	gather(n, prefix[:cut], partial, from, flat, found)
	var p page
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if len(p.objects)+len(p.prefixes) == size {
			p.next = name
			break
		}
		if o := found[name]; o != nil {
			p.objects = append(p.objects, o)
		} else {
			p.prefixes = append(p.prefixes, name)
		}
	}
	return p
}

// gather collects what a folder at a path holds.
func gather(n *directory, at, partial, from string, flat bool, found map[string]*stored) {
	for base, o := range n.objects {
		if strings.HasPrefix(base, partial) && o.name >= from {
			found[o.name] = o
		}
	}
	for base, child := range n.folders {
		switch name := at + base + "/"; {
		case !strings.HasPrefix(base+"/", partial):
		case flat && name >= from:
			found[name] = nil
		case !flat:
			gather(child, name, "", from, false, found)
		}
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
