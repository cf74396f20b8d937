package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

const testdata = "../../../testdata"

// sizeLimit bounds what a test reads from one tarball; the largest has a few
// kilobytes.
const sizeLimit = 1 << 20

// read is the inverse of write.
func read(packed []byte) ([]entry, error) {
	compressor, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(compressor, sizeLimit+1))
	if err != nil {
		return nil, err
	}
	if len(content) > sizeLimit {
		return nil, fmt.Errorf("more than %d bytes", sizeLimit)
	}
	var entries []entry
	for archive := tar.NewReader(bytes.NewReader(content)); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return entries, nil
		}
		// The tarball of rejected-traversal is insecure on purpose.
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return nil, err
		}
		if header.Typeflag != tar.TypeReg && header.Typeflag != tar.TypeDir {
			return nil, fmt.Errorf("%s is neither a file nor a folder", header.Name)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{name: header.Name, mode: header.Mode, content: string(text)})
	}
}

// TestTarballsMatchSources keeps the tree free of opaque files: what stands in
// each tarball can be read in its source.
func TestTarballsMatchSources(t *testing.T) {
	for _, tb := range tarballs {
		t.Run(tb.drop+"/"+tb.name, func(t *testing.T) {
			want, err := tb.entries(os.DirFS(testdata))
			if err != nil {
				t.Fatal(err)
			}
			packed, err := os.ReadFile(filepath.Join(testdata, tb.path()))
			if err != nil {
				t.Fatalf("%v; make testdata writes it", err)
			}
			got, err := read(packed)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(entry{})); diff != "" {
				t.Errorf("entries (-want +got), make testdata writes them:\n%s", diff)
			}
		})
	}
}

// TestNoOtherPackages finds packages in the drops that no source explains. A
// file of plain text explains itself.
func TestNoOtherPackages(t *testing.T) {
	made := map[string]bool{}
	for _, tb := range tarballs {
		if made[tb.path()] {
			t.Errorf("%s is listed twice", tb.path())
		}
		made[tb.path()] = true
	}
	found, err := filepath.Glob(filepath.Join(testdata, "drops", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range found {
		name, err := filepath.Rel(testdata, file)
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := utf8.Valid(content) && !bytes.ContainsRune(content, 0)
		if !made[name] && !text {
			t.Errorf("%s is neither made by this command nor plain text", name)
		}
	}
}

func TestSameSourcesSameBytes(t *testing.T) {
	for _, tb := range tarballs {
		var packed [2][]byte
		for i := range packed {
			entries, err := tb.entries(os.DirFS(testdata))
			if err != nil {
				t.Fatal(err)
			}
			if packed[i], err = write(entries); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(packed[0], packed[1]) {
			t.Errorf("%s: two runs gave different bytes", tb.path())
		}
	}
}

// TestLeftovers makes a source folder as it looks after Python ran there.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		"setup.py",
		"trainer/task.py",
		"trainer/task.pyc",
		"trainer/__pycache__/task.cpython-311.pyc",
		"build/lib/trainer/task.py",
		"dist/trainer-0.1.tar.gz",
		"trainer.egg-info/PKG-INFO",
	} {
		file := filepath.Join(dir, "trainers", "x", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := tarball{name: "trainer-0.1", source: "x"}.entries(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.name)
	}
	want := []string{
		"trainer-0.1/",
		"trainer-0.1/PKG-INFO",
		"trainer-0.1/setup.py",
		"trainer-0.1/trainer/",
		"trainer-0.1/trainer/task.py",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

var (
	setupName    = regexp.MustCompile(`(?m)^ +name="(.*)",$`)
	setupVersion = regexp.MustCompile(`(?m)^ +version="(.*)",$`)
)

// TestSetupAgreesWithName compares what pip would install with what the
// tarball and its PKG-INFO are called.
func TestSetupAgreesWithName(t *testing.T) {
	for _, tb := range tarballs {
		setup, err := os.ReadFile(filepath.Join(testdata, "trainers", tb.source, "setup.py"))
		if err != nil {
			t.Fatal(err)
		}
		name, version := setupName.FindSubmatch(setup), setupVersion.FindSubmatch(setup)
		if name == nil || version == nil {
			t.Errorf("%s: setup.py has no name or no version", tb.source)
			continue
		}
		if got := string(name[1]) + "-" + string(version[1]); got != tb.name {
			t.Errorf("%s: setup.py says %s, want %s", tb.path(), got, tb.name)
		}
	}
}

// TestStorageCopies keeps all copies of storage.py equal: a trainer package has
// to hold all of its own code.
func TestStorageCopies(t *testing.T) {
	copies, err := filepath.Glob(filepath.Join(testdata, "trainers", "*", "trainer", "storage.py"))
	if err != nil {
		t.Fatal(err)
	}
	if len(copies) < 3 {
		t.Fatalf("copies are %q, want those of distributed, hello and train", copies)
	}
	var first []byte
	for _, file := range copies {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = text
		}
		if diff := cmp.Diff(string(first), string(text)); diff != "" {
			t.Errorf("%s and %s differ (-first +second):\n%s", copies[0], file, diff)
		}
	}
}

// TestDataSet makes the data set of train again.
func TestDataSet(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 here")
	}
	source := filepath.Join(testdata, "trainers", "train")
	want, err := os.ReadFile(filepath.Join(source, "trainer", "data.csv"))
	if err != nil {
		t.Fatal(err)
	}
	// -B: no byte code in the source folder, where other tests read.
	maker := exec.CommandContext(t.Context(), python, "-B", "-m", "trainer.make_data")
	maker.Dir = source
	got, err := maker.Output()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("data.csv is not what make_data.py prints (-want +got):\n%s", diff)
	}
}

// TestReadme wants each drop in the table of testdata/README.md, and no row
// without its drop.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(testdata, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	drops, err := os.ReadDir(filepath.Join(testdata, "drops"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, d := range drops {
		want = append(want, d.Name())
	}
	var got []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|.*\\| [0-4] \\|$").FindAllStringSubmatch(string(readme),
		-1) {
		got = append(got, row[1])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("drops in the table, sorted (-want +got):\n%s", diff)
	}
	if !strings.Contains(string(readme), "make testdata") {
		t.Error("the README does not say how packages are made")
	}
}
