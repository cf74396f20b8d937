package script

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func written(c Config) (lines []string) {
	for _, key := range slices.Sorted(maps.Keys(c)) {
		lines = append(lines, key+" = "+write(c[key]))
	}
	return lines
}

func TestReadINI(t *testing.T) {
	t.Parallel()
	got := written(ReadINI("[metadata]\nname = a\nVersion: 1\n# no\n\n[options]\r\npackages =\r\n    a\r\n    # b\n    " +
		"c\n" +
		"package_dir=\n  =src\n; no\nodd\n  lost\n[options.packages.find]\nwhere = src\n"))
	want := []string{
		`metadata.name = "a"`, `metadata.version = "1"`, `options.package_dir = "\n=src"`, `options.packages = "\na\nc"`,
		`options.packages.find.where = "src"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a", "b"}, append(Lines("a, "), Lines("\n b ")...)); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestReadTOML(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, source string
		want         []string // nil if it is not read
	}{
		{"tables", "a = 'x' # no\n[b.c]\nd = \"y\\\"\"\n\"e f\" = true\n[ g . \"h\" ]\ni.j = 1979-05-27\n",
			[]string{`a = "x"`, `b.c.d = "y\""`, `b.c.e f = true`, `g.h.i.j = 1979-05-27`}},
		{"arrays", "a = [\n  'x', # no\n  \"y\",\n]\nb = []\nc = [['z'], {d = 'e'}]\n",
			[]string{`a = ["x", "y"]`, `b = []`, `c = [["z"], {d: "e"}]`}},
		{"inline", "a = {\"\" = \"src\", b.c = ['x']}\r\n",
			[]string{`a = {: "src", b.c: ["x"]}`, `a. = "src"`, `a.b.c = ["x"]`}},
		{"texts", "a = \"\"\"x\n\"y\" \"\"\"\nb = '''z\\n'''\nc = ''\n", []string{`a = "x\n\"y\" "`, `b = "z\\n"`, `c = ""`}},
		{"arrays of tables", "[[a]]\nb = 'c'\n[d]\ne = 'f'\n", []string{`d.e = "f"`}},
		{"nothing", "# no\n", []string{}},
		{"no value", "a =\n", nil},
		{"two on a line", "a = 'b' c = 'd'\n", nil},
		{"open", "a = ['b'\n", nil},
		{"open table", "[a\n", nil},
		{"no key", "= 'a'\n", nil},
		{"text of two lines", "a = 'b\nc'\n", nil},
		{"deep", "a = " + strings.Repeat("[", 100) + strings.Repeat("]", 100), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, ok := ReadTOML(tt.source)
			if ok != (tt.want != nil) {
				t.Fatalf("read: %v", ok)
			}
			if diff := cmp.Diff(tt.want, written(c)); ok && len(tt.want) > 0 && diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzConfig(f *testing.F) {
	f.Add("[a.b]\nc = ['d', {e = \"f\"}]\n[[g]]\nh.i = '''x'''\n")
	f.Add("[options]\npackages =\n  a\n  b\n")
	f.Fuzz(func(t *testing.T, source string) {
		ReadINI(source)
		if c, ok := ReadTOML(source); ok && len(c) > maxValues {
			t.Errorf("%d values", len(c))
		}
	})
}
