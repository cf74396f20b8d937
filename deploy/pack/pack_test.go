package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// unpack writes the files of an archive.
func unpack(t *testing.T, archive []byte, to string) {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.File {
		if !filepath.IsLocal(f.Name) {
			t.Fatalf("the archive has a file %q", f.Name)
		}
		content, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(content)
		name := filepath.Join(to, f.Name)
		if err := errors.Join(err, os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, data, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

// lay writes a tree; a name that ends with a slash is a folder.
func lay(t *testing.T, dir string, tree map[string]string) string {
	t.Helper()
	for name, content := range tree {
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if !strings.HasSuffix(name, "/") {
			err = errors.Join(err, os.WriteFile(path, []byte(content), 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Each file is as it is in the tree, all say the same of themselves, and nothing
// is left for a reader to guess.
func TestPack(t *testing.T) {
	archive, _, err := pack(root)
	if err != nil {
		t.Fatal(err)
	}
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range r.File {
		names = append(names, f.Name)
		want, err := os.ReadFile(filepath.Join(root, f.Name))
		if err != nil {
			t.Fatal(err)
		}
		content, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(content); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is another file in the archive (%v)", f.Name, err)
		}
		if f.Mode() != 0o644 || f.Modified.Year() != 1980 || f.Flags != 0 || f.Method != zip.Store {
			t.Errorf("%s: mode %v, time %v, flags %#x, method %d", f.Name, f.Mode(), f.Modified, f.Flags, f.Method)
		}
	}
	if diff := cmp.Diff(uploaded(t), names); diff != "" {
		t.Errorf("files of the archive (-want +got):\n%s", diff)
	}
}

// Two clones of what is committed here, at other times, paths, modes and by people
// with other settings, give the same bytes: by the command, as it is called.
func TestPackIsTheSameFromTwoClones(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("SKIPPED: no git here, to clone the repository")
	}
	here, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	environ := append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
		// Not the owner's repository is no reason here to refuse it.
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*")
	if _, err := os.Stat(filepath.Join(here, ".git")); err != nil {
		t.Skip("SKIPPED: this is not a clone, of which others could be made")
	}
	clone := func(to string, settings ...string) string {
		t.Helper()
		run(t, "", environ, git, append([]string{"clone", "--quiet", "--no-hardlinks"}, append(settings, here, to)...)...)
		return to
	}
	dir := t.TempDir()
	first := clone(filepath.Join(dir, "a"))
	second := clone(filepath.Join(dir, "another place", "b"), "--config=core.autocrlf=true")
	// What lies about in a tree in which somebody works.
	lay(t, second, map[string]string{"jobdrop": "binary", "bin/jobdrop": "binary", "x.test": "binary",
		".vscode/settings.json": "{}",
		"pkg/job/own_test.go":   "package job", "out/jobdrop-0123456789abcdef.zip": "an earlier archive",
		"terraform.tfstate": "{}"})
	old := time.Date(2001, 9, 9, 0, 0, 0, 0, time.UTC)
	err = filepath.WalkDir(second, func(name string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Type().IsRegular() {
			err = os.Chmod(name, 0o700)
		}
		return errors.Join(err, os.Chtimes(name, old, old))
	})
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "pack")
	run(t, "", os.Environ(), "go", "build", "-o", program, ".")
	packed := func(tree, out string, environ ...string) (string, []byte) {
		t.Helper()
		name := strings.TrimSpace(run(t, tree, append(os.Environ(), environ...), program, out))
		if !filepath.IsAbs(name) {
			name = filepath.Join(tree, name)
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return filepath.Base(name), data
	}
	nameA, a := packed(first, "out", "TZ=UTC", "LC_ALL=C")
	nameB, b := packed(second, filepath.Join(dir, "elsewhere"), "TZ=Asia/Tokyo", "LC_ALL=de_DE.UTF-8")
	if nameA != nameB || !bytes.Equal(a, b) {
		t.Errorf("%s with %d bytes and %s with %d bytes, want the same", nameA, len(a), nameB, len(b))
	}
	if sum := sha256.Sum256(a); nameA != "jobdrop-"+hex.EncodeToString(sum[:8])+".zip" {
		t.Errorf("the name %s is not by the digest %x", nameA, sum)
	}
	// And again, with an archive in the tree.
	if again, c := packed(first, "out"); again != nameA || !bytes.Equal(a, c) {
		t.Errorf("the second archive of a tree is %s, the first %s", again, nameA)
	}
	lay(t, first, map[string]string{"function.go": "package jobdrop\n"})
	if changed, _ := packed(first, "out"); changed == nameA {
		t.Errorf("another source is %s, too", changed)
	}
}

func TestPackRefuses(t *testing.T) {
	tests := []struct {
		name string
		tree map[string]string
		make func(dir string) error
		out  string // in the tree
		want string
	}{
		{"no .gcloudignore", map[string]string{"a.go": ""}, nil, "", ".gcloudignore: no such file"},
		{"a link out of the tree", map[string]string{".gcloudignore": ""},
			func(dir string) error { return os.Symlink("/etc/passwd", filepath.Join(dir, "a.go")) }, "",
			"a.go is not a regular file"},
		{"a link in the tree", map[string]string{".gcloudignore": "", "b.go": ""},
			func(dir string) error { return os.Symlink("b.go", filepath.Join(dir, "a.go")) }, "", "a.go is not a regular file"},
		{"a link to a folder", map[string]string{".gcloudignore": "", "b/c.go": ""},
			func(dir string) error { return os.Symlink("b", filepath.Join(dir, "a")) }, "", "a is not a regular file"},
		{"a pipe", map[string]string{".gcloudignore": ""},
			func(dir string) error { return exec.Command("mkfifo", filepath.Join(dir, "p")).Run() }, "", "p is not a regular file"},
		{
			"a large file", map[string]string{
				".gcloudignore": "",
				"a":             strings.Repeat("x", maxFile+1),
			}, nil, "", "a has more than",
		},
		{
			"many files", map[string]string{
				".gcloudignore": "",
				"a":             strings.Repeat("x", maxFile),
				"b":             strings.Repeat("x", maxFile),
				"c":             strings.Repeat("x", maxFile),
				"d":             strings.Repeat("x", maxFile),
			}, nil, "", "with d the archive has more",
		},
		{
			"an archive in what is packed", map[string]string{".gcloudignore": "", "a.go": ""}, nil, "out",
			"would be packed themselves",
		},
		{
			"an archive in the root", map[string]string{".gcloudignore": "", "a.go": ""}, nil, ".", "would be packed themselves",
		},
		{
			"an include from elsewhere", map[string]string{".gcloudignore": "#!include:a/b\n"}, nil, "",
			"only files of the same folder",
		},
		{
			"an include that is not there", map[string]string{".gcloudignore": "#!include:.gitignore\n"}, nil, "",
			"no such file",
		},
		{"a backslash", map[string]string{".gcloudignore": "a\\*\n"}, nil, "", "backslashes mean something else"},
		{"a set that is none", map[string]string{".gcloudignore": "[b-a]\n"}, nil, "", "invalid character class range"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := lay(t, t.TempDir(), test.tree)
			if test.make != nil {
				if err := test.make(dir); err != nil {
					t.Fatal(err)
				}
			}
			out := t.TempDir()
			if test.out != "" {
				out = filepath.Join(dir, test.out)
			}
			if name, err := write(dir, out); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("it gives %s, %v, want %q", name, err, test.want)
			}
			if found, _ := filepath.Glob(filepath.Join(out, "*.zip")); len(found) != 0 {
				t.Errorf("it leaves %v", found)
			}
		})
	}
}

// What is left out may be anything.
func TestPackSkipsWhatIsIgnored(t *testing.T) {
	dir := lay(t, t.TempDir(), map[string]string{
		".gcloudignore": "/out/\n/link\n.gcloudignore\n",
		"a.go":          "x",
		"out/b":         "y",
	})
	if err := os.Symlink("/etc", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	name, err := write(dir, filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := zip.OpenReader(name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if len(r.File) != 1 || r.File[0].Name != "a.go" {
		t.Errorf("%d files are packed, want a.go alone", len(r.File))
	}
}

// ignoreTree has a file for each of the patterns below to match or to miss.
var ignoreTree = []string{
	"a.go", "a_test.go", "b/a.go", "b/a_test.go", "b/c/a.go", "b/c/d/e.go", "c/d/e.go", "x/b/c/y.go", "x/y/b/z", "build/x",
	"x/build/y", "sub/build",
	"keep/a.log", "keep/b.log", "a.log", "data/1.csv", "data/2.csv", "data/x/3.csv", "deep/a/b/c/d/f.txt", "deep/f.txt",
	"file.tmp", "tmp/file", "[x].go",
	"ü.go", "d1/f", "d2/f", "dx/f", "#c", "!n", "with space", "trailing ", "x/y/z.md", "z.md", "y/z.md", "ab", "q/ab",
	"qq/ab", "-dash", "cab/f", "node/x/y",
}

// ignores are .gcloudignore files. gcloud takes some seconds for each.
var ignores = map[string]string{
	"nothing":  "",
	"stars":    "**/c\ndeep/**/f.txt\nx/**\nx/*/b\n*/ab\n*_test.go\n*.md\n!/z.md\ny/*.md\n",
	"one star": "*\n!keep/\n!keep/*.log\n",
	"places": "build/\ntmp/\n/b/\n/ab\n/file.tmp/\nd/e.go\nx/y\n!a.go\n*.log\n!keep/a.log\ndata/*\n!data/1.csv\n" +
		"!data/x/3.csv\n",
	"sets":       "d[0-9]/\n[!d]?.log\n[[]x].go\n[a-c]b\n[z\n[!z\n?.go\n??/f\nü*\n-*\n",
	"blanks":     "# a.go\n #c\n#c\n\n   \n!\n/\nwith space  \ntrailing\nfile.tmp \nbuild/ \n",
	"an include": "#!include:other\n# !include:other\n*.csv\n*.go\r\n/b/\r\n",
	"only stars": "**\n",
}

func TestIgnoreIsGcloud(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(ignores)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree := map[string]string{".gcloudignore": ignores[name], "other": "#!include:.gcloudignore\nb/\n*.md"}
			for _, file := range ignoreTree {
				tree[file] = file
			}
			dir := lay(t, t.TempDir(), tree)
			got, _, err := files(os.DirFS(dir))
			if err != nil {
				t.Fatal(err)
			}
			want := inGcloud(t, dir)
			if diff := cmp.Diff(strings.TrimSpace(strings.Join(want, "\n")),
				strings.TrimSpace(strings.Join(got, "\n"))); diff != "" {
				t.Errorf("files (-gcloud +packed):\n%s", diff)
			}
		})
	}
}

// The difference to git's rules that matters: it is gcloud that sends.
func TestIgnoreIsNotGit(t *testing.T) {
	dir := lay(t, t.TempDir(), map[string]string{
		".gcloudignore": "b/c\n.*\n",
		"b/c":           "",
		"x/b/c":         "",
		"x/.gitignore":  "d\n",
		"x/d":           "",
	})
	got, _, err := files(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"x/d"}, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}
