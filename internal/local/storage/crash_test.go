package storage

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// startChild serves a folder in a process of its own, and returns its URL and what
// kills it.
func startChild(t *testing.T, dir string) (url string, kill func()) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, self)
	c.Env = append(os.Environ(), childDir+"="+dir)
	c.Stderr = os.Stderr
	if _, err := c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("child: %v", err)
	}
	return strings.TrimSpace(line), func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	}
}

// version is one state of an object, or its absence as 0.
type version int

// content returns the bytes of a version. They show by themselves whether they are
// complete.
func (v version) content(name string) []byte {
	r := rand.New(rand.NewPCG(uint64(v), uint64(len(name))))
	size := 1 + r.IntN(2000)
	if v%10 == 0 {
		size = 300_000 // several writes, so that a kill comes between them
	}
	return bytes.Repeat(fmt.Appendf(nil, "%s %d\n", name, v), size/8+1)
}

// ledger is what a client knows of its objects.
type ledger struct {
	mu    sync.Mutex
	acked map[string]version
	tried map[string]version // in place of acked where an answer is missing
	next  version
}

// change writes or deletes an object and books it.
func (l *ledger) change(ctx context.Context, r *rand.Rand, server, name string) error {
	l.mu.Lock()
	l.next++
	v := l.next
	if l.acked[name] != 0 && r.IntN(5) == 0 {
		v = 0
	}
	l.tried[name] = v
	l.mu.Unlock()
	if err := send(ctx, r.IntN(3), server, name, v); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[name] = v
	delete(l.tried, name)
	return nil
}

// send changes an object in one of several ways.
func send(ctx context.Context, way int, server, name string, v version) error {
	path := server + "/storage/v1/b/" + bucketA + "/o/" + url.PathEscape(name)
	upload := server + "/upload/storage/v1/b/" + bucketA + "/o?name=" + url.QueryEscape(name) + "&uploadType="
	content := string(v.content(name))
	switch {
	case v == 0:
		_, err := exchange(ctx, http.MethodDelete, path, "", "", http.StatusNoContent)
		return err
	case way == 0:
		_, err := exchange(ctx, http.MethodPost, upload+"media", content, "text/plain", http.StatusOK)
		return err
	case way == 1:
		_, err := exchange(ctx, http.MethodPost, upload+"multipart", multipartBody("{}", content),
			"multipart/related; boundary=B", http.StatusOK)
		return err
	}
	h, err := exchange(ctx, http.MethodPost, upload+"resumable", "", "", http.StatusOK)
	if err != nil {
		return err
	}
	_, err = exchange(ctx, http.MethodPut, h.Get("Location"), content, "text/plain", http.StatusOK)
	return err
}

var keepAlive = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: 5 * time.Minute}

func exchange(ctx context.Context, method, url, body, contentType string, want int) (http.Header, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	res, err := keepAlive.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != want {
		return nil, errStatus{res.StatusCode, string(text)}
	}
	return res.Header, nil
}

// errStatus is an answer that no kill explains.
type errStatus struct {
	status int
	body   string
}

func (e errStatus) Error() string { return fmt.Sprintf("status %d: %s", e.status, e.body) }

// A server that is killed in the middle of writes has every one that it has
// answered, whole, and nothing of another by half.
func TestKilledServerKeepsItsWord(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := &ledger{acked: map[string]version{}, tried: map[string]version{}}
	const rounds, writers = 10, 8
	for round := range rounds {
		server, kill := startChild(t, dir)
		// The kill comes at an answer, at which the other writers are anywhere.
		var left sync.WaitGroup
		answers := make(chan struct{})
		dead := make(chan struct{})
		for w := range writers {
			left.Go(func() {
				r := rand.New(rand.NewPCG(uint64(round), uint64(w)))
				for n := 0; ; n++ {
					err := l.change(t.Context(), r, server, fmt.Sprintf("w%d/%d", w, r.IntN(5)))
					if status := (errStatus{}); errors.As(err, &status) {
						t.Errorf("round %d: %v", round, err)
					}
					if err != nil {
						return
					}
					select {
					case answers <- struct{}{}:
					case <-dead:
					}
				}
			})
		}
		for range 40 + 17*round {
			select {
			case <-answers:
			case <-time.After(5 * time.Minute):
				t.Error("no answers")
			}
		}
		kill()
		close(dead)
		left.Wait()
		if t.Failed() {
			return
		}
		l.verify(t, dir)
	}
}

// verify starts a server on the folder and compares.
func (l *ledger) verify(t *testing.T, dir string) {
	t.Helper()
	s, err := serve(t, Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	found := map[string]bool{}
	for o, err := range s.Objects(t.Context(), bucketA, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		found[o.Name] = true
		l.verifyObject(t, s, o.Name)
	}
	for name, v := range l.acked {
		if tried, ok := l.tried[name]; v != 0 && !found[name] && !(ok && tried == 0) {
			t.Errorf("%s: version %d was acknowledged, and is not there", name, v)
		}
		if !found[name] {
			l.acked[name] = 0
		}
	}
	clear(l.tried)
	var files, tmp int
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files++
			if strings.HasPrefix(path, filepath.Join(dir, "tmp")) {
				tmp++
			}
		}
		return err
	})
	// The lock, the bucket's record, and two files for each object.
	if want := 2 + 2*len(found); err != nil || files != want || tmp != 0 {
		t.Errorf("%d files in the folder, %d of them temporary, want %d and none: %v", files, tmp, want, err)
	}
}

func (l *ledger) verifyObject(t *testing.T, s *Server, name string) {
	t.Helper()
	got := s.read(t, name)
	record := do(t, http.MethodGet, s.objectURL(name), "").want(t, 200).fields(t)
	sum := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, castagnoli([]byte(got))))
	if record["crc32c"] != sum || record["size"] != fmt.Sprint(len(got)) {
		t.Errorf("%s: content of %d bytes with sum %s, recorded %v with %v", name, len(got), sum, record["size"],
			record["crc32c"])
	}
	tried, open := l.tried[name]
	switch acked := l.acked[name]; {
	case open && tried != 0 && got == string(tried.content(name)):
		l.acked[name] = tried
	case acked == 0 || got != string(acked.content(name)):
		line, _, _ := strings.Cut(got, "\n")
		t.Errorf("%s: content of %d bytes begins %q, acknowledged is version %d, tried %d (%t)", name, len(got), line, acked,
			tried, open)
	}
}

// What a kill leaves between any two steps is repaired at the start, and damage
// that no kill explains hides no other object.
func TestStartRepairsAFolder(t *testing.T) {
	files := func(t *testing.T, dir, name, suffix string) string {
		t.Helper()
		found, err := filepath.Glob((&store{dir: dir}).base(bucketA, name) + suffix)
		if err != nil || len(found) != 1 {
			t.Fatalf("files of %s: %q, %v", name, found, err)
		}
		return found[0]
	}
	for _, test := range []struct {
		name    string
		damage  func(t *testing.T, dir string) error
		present bool // the object "hit" is seen as it was
		removed string
	}{
		{"content of a write that was not recorded", func(t *testing.T, dir string) error {
			return os.WriteFile((&store{dir: dir}).base(bucketA, "hit")+".99999", []byte("half"), 0o600)
		}, true, "*.99999"},
		{"content of a new object that was not recorded", func(t *testing.T, dir string) error {
			path := (&store{dir: dir}).base(bucketA, "new") + ".99999"
			return errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("half"), 0o600))
		}, true, "*.99999"},
		{"content of an object whose record was deleted", func(t *testing.T, dir string) error {
			return os.Remove(files(t, dir, "hit", ".json"))
		}, false, ""},
		{"upload that did not end", func(t *testing.T, dir string) error {
			return os.WriteFile(filepath.Join(dir, "tmp", "half"), []byte("half"), 0o600)
		}, true, "half"},
		{"bucket that was not made", func(t *testing.T, dir string) error {
			return os.MkdirAll(filepath.Join(dir, "buckets", "bucket-c"), 0o700)
		}, true, "bucket-c"},
		{"bucket's record is gone", func(t *testing.T, dir string) error {
			return os.Remove(filepath.Join(dir, "buckets", bucketA, bucketRecord))
		}, true, ""},
		{"record is cut", func(t *testing.T, dir string) error {
			return os.Truncate(files(t, dir, "hit", ".json"), 20)
		}, false, ""},
		{"record is another object's", func(t *testing.T, dir string) error {
			data, err := os.ReadFile(files(t, dir, "other", ".json"))
			return errors.Join(err, os.WriteFile(files(t, dir, "hit", ".json"), data, 0o600))
		}, false, ""},
		{"content is cut", func(t *testing.T, dir string) error {
			return os.Truncate(files(t, dir, "hit", ".[0-9]*"), 1)
		}, false, ""},
		{"content is gone", func(t *testing.T, dir string) error {
			return os.Remove(files(t, dir, "hit", ".[0-9]*"))
		}, false, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			one, err := serve(t, Options{Dir: dir, Buckets: []string{bucketA}})
			if err != nil {
				t.Fatal(err)
			}
			one.put(t, "hit", "as it was")
			one.put(t, "other", "another")
			if err := one.Close(); err != nil {
				t.Fatal(err)
			}
			if err := test.damage(t, dir); err != nil {
				t.Fatal(err)
			}
			two := start(t, Options{Dir: dir})
			if two.read(t, "other") != "another" {
				t.Error("the other object is not what it was")
			}
			if test.present && two.read(t, "hit") != "as it was" {
				t.Error("the object is not what it was")
			} else if !test.present {
				do(t, http.MethodGet, two.objectURL("hit"), "").want(t, 404)
			}
			if test.removed != "" {
				_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
					if ok, _ := filepath.Match(test.removed, filepath.Base(path)); ok {
						t.Errorf("%s is still there", path)
					}
					return err
				})
			}
			two.put(t, "hit", "again")
			if two.read(t, "hit") != "again" {
				t.Error("the object can't be written again")
			}
		})
	}
}

// A process that dies while it moves an object leaves one of the two names.
func TestStartEndsAMove(t *testing.T) {
	dir := t.TempDir()
	one, err := serve(t, Options{Dir: dir, Buckets: []string{bucketA}})
	if err != nil {
		t.Fatal(err)
	}
	one.put(t, "here", "content")
	files, err := filepath.Glob((&store{dir: dir}).base(bucketA, "here") + ".*")
	if err != nil || len(files) != 2 {
		t.Fatalf("%q, %v", files, err)
	}
	before := map[string][]byte{}
	for _, file := range files {
		if before[file], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	moved := do(t, http.MethodPost, one.objectURL("here")+"/moveTo/o/there", "").want(t, 200)
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	for file, data := range before { // it died before it removed them
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	two, err := serve(t, Options{Dir: dir, Buckets: []string{bucketA}})
	if err != nil {
		t.Fatal(err)
	}
	do(t, http.MethodGet, two.objectURL("here"), "").want(t, 404)
	if got := two.read(t, "there"); got != "content" || strings.Contains(moved.body, "movedFrom") {
		t.Errorf("moved: %q, answered with %s", got, moved.body)
	}
	// A later object of the old name is another one.
	two.put(t, "here", "again")
	if err := two.Close(); err != nil {
		t.Fatal(err)
	}
	three := start(t, Options{Dir: dir})
	if three.read(t, "here") != "again" || three.read(t, "there") != "content" {
		t.Error("an object of the old name is taken for what was moved")
	}
}
