package training

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestArchiveRefuses(t *testing.T) {
	t.Parallel()
	file := func(name string) []tar.Header { return []tar.Header{{Name: name, Mode: 0o644, Typeflag: tar.TypeReg}} }
	link := func(kind byte) []tar.Header {
		return []tar.Header{{Name: "p/a", Linkname: "../../etc/passwd", Mode: 0o644, Typeflag: kind}}
	}
	badZip := func(name string, mode fs.FileMode) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		h := &zip.FileHeader{Name: name}
		h.SetMode(mode)
		if _, err := z.CreateHeader(h); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	// A wheel of folders: of a source archive the race detector sees each byte unpacked.
	var many bytes.Buffer
	wheel := zip.NewWriter(&many)
	for range maxEntries + 1 {
		if _, err := wheel.CreateHeader(&zip.FileHeader{Name: "a/"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := wheel.Close(); err != nil {
		t.Fatal(err)
	}
	good := tarball(t, file("p/a"), []string{strings.Repeat("x", 100_000)})
	for _, tt := range []struct {
		name, file string
		data       []byte
		want       string
	}{
		{"parent", "a.tar.gz", tarball(t, file("../a"), nil), "leads out"},
		{"absolute", "a.tar.gz", tarball(t, file("/etc/a"), nil), "leads out"},
		{"inner parent", "a.tar.gz", tarball(t, file("p/../../a"), nil), "leads out"},
		{"symbolic link", "a.tar.gz", tarball(t, link(tar.TypeSymlink), nil), "neither a file nor a folder"},
		{"hard link", "a.tar.gz", tarball(t, link(tar.TypeLink), nil), "neither a file nor a folder"},
		{"device", "a.tar.gz", tarball(t, link(tar.TypeChar), nil), "neither a file nor a folder"},
		{"entries", "a.whl", many.Bytes(), "more than 100000 entries"},
		{"cut", "a.tar.gz", good[:len(good)/2], "unexpected EOF"},
		{"empty", "a.tar.gz", nil, "not a gzip file"},
		{"zip parent", "a.whl", badZip("../a", 0o644), "leads out"},
		{"zip link", "a.whl", badZip("a", fs.ModeSymlink|0o644), "neither a file nor a folder"},
		{"metadata", "a.tar.gz", tarball(t, file("p/pyproject.toml"), []string{strings.Repeat("x", maxMetadataBytes+1)}),
			"pyproject.toml is larger"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), tt.file)
			if err := os.WriteFile(path, tt.data, 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := inspectArchive(path); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestSourceLayout(t *testing.T) {
	for _, tt := range []struct {
		name     string
		files    []string
		topLevel []string
		want     []string
	}{
		{"flat", []string{"a-1/setup.py", "a-1/trainer/__init__.py", "a-1/trainer/sub/x.py", "a-1/docs/conf.py",
			"a-1/helper.py"}, nil, []string{"helper.py", "trainer/__init__.py", "trainer/sub/x.py"}},
		{"src", []string{"a-1/setup.py", "a-1/src/trainer/__init__.py", "a-1/src/helper.py", "a-1/tool.py"}, nil,
			[]string{"helper.py", "trainer/__init__.py"}},
		{"a package called src", []string{"a-1/src/__init__.py", "a-1/src/trainer/__init__.py"}, nil,
			[]string{"src/__init__.py", "src/trainer/__init__.py"}},
		{"namespace", []string{"a-1/setup.py", "a-1/trainer/task.py"}, nil, []string{"trainer/task.py"}},
		{"top_level.txt", []string{"a-1/lib/__init__.py", "a-1/tests/__init__.py", "a-1/a.egg-info/PKG-INFO",
			"a-1/trainer.py"}, []string{"lib"}, []string{"a.egg-info/PKG-INFO", "lib/__init__.py", "trainer.py"}},
		{"src with metadata", []string{"a-1/src/trainer/__init__.py", "a-1/src/a.egg-info/PKG-INFO"}, []string{"trainer"},
			[]string{"a.egg-info/PKG-INFO", "trainer/__init__.py"}},
		{"no common folder", []string{"setup.py", "trainer/__init__.py"}, nil, []string{"trainer/__init__.py"}},
		{"nothing", []string{"a-1/setup.py", "a-1/README"}, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target, modules := sourceLayout(contents{names: tt.files, topLevel: tt.topLevel}, "trainer.task")
			if diff := cmp.Diff(tt.want, slices.Sorted(maps.Values(target))); diff != "" {
				t.Errorf("targets (-want +got):\n%s", diff)
			}
			if (len(modules) == 0) != (len(tt.want) == 0) {
				t.Errorf("modules %v", modules)
			}
		})
	}
}

func TestBuildBackend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.tar.gz")
	data := tarball(t, []tar.Header{{Name: "a-1/pyproject.toml", Mode: 0o644, Typeflag: tar.TypeReg}},
		[]string{"[build-system]\nrequires = [\"hatchling\"]\nbuild-backend = \"hatchling.build\"\n"})
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := inspectArchive(path)
	if err != nil || c.backend != "hatchling.build" {
		t.Errorf("backend %q, %v", c.backend, err)
	}
}

func FuzzArchive(f *testing.F) {
	f.Add(tarball(f, []tar.Header{{Name: "p/trainer/__init__.py", Mode: 0o644, Typeflag: tar.TypeReg}}, []string{"x"}),
		false)
	f.Add(wheel(f, map[string]string{"trainer/__init__.py": ""}), true)
	f.Fuzz(func(t *testing.T, data []byte, isWheel bool) {
		dir := t.TempDir()
		path := filepath.Join(dir, "a.tar.gz")
		if isWheel {
			path = filepath.Join(dir, "a.whl")
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		c, err := inspectArchive(path)
		if err != nil {
			return
		}
		target := wheelLayout(c)
		if !isWheel {
			target, _ = sourceLayout(c, "trainer")
		}
		site := filepath.Join(dir, "site")
		if err := os.Mkdir(site, 0o755); err != nil {
			t.Fatal(err)
		}
		_ = unpack(path, site, target)
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 2 {
			t.Errorf("files beside the target: %v, %v", entries, err)
		}
	})
}
