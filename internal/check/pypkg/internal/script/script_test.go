package script

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// write writes a value as Python would, with ? for what is unknown.
func write(v Value) string {
	var parts []string
	switch v.Kind {
	case Text:
		b, _ := json.Marshal(v.Text)
		return string(b)
	case Constant:
		return v.Text
	case List, Call:
		for _, item := range v.Items {
			parts = append(parts, write(item))
		}
		for _, p := range v.Pairs {
			parts = append(parts, p.Name+"="+write(p.Value))
		}
		if v.Kind == List {
			return "[" + strings.Join(parts, ", ") + "]"
		}
		return v.Text + "(" + strings.Join(parts, ", ") + ")"
	case Dict:
		for _, p := range v.Pairs {
			parts = append(parts, p.Name+": "+write(p.Value))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return "?"
}

func TestSetup(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, source, want string }{
		{"literals", "setup(name='a', version=\"1\", packages=['a', 'b'])", `setup(name="a", version="1", packages=["a", ` +
			`"b"])`},
		{"lines", "setup(\n  packages=[  # of them\n    'a',\n  ],\n)\n", `setup(packages=["a"])`},
		{"tuple and set", "setup(a=('x',), b=(), c=('x'), d=('x', 'y'))", `setup(a=["x"], b=[], c="x", d=["x", "y"])`},
		{"call", "setuptools.setup(packages=setuptools.find_packages('src', exclude=['t']))",
			`setuptools.setup(packages=setuptools.find_packages("src", exclude=["t"]))`},
		{"guarded", "if __name__ == '__main__': setup(packages=[])", `setup(packages=[])`},
		{"in a function", "def main():\n    setup(packages=[])\nmain()\n", `setup(packages=[])`},
		{"joined lists", "setup(p=['a'] + ['b'])", `setup(p=["a", "b"])`},
		{"joined with a call", "setup(p=['a'] + find_packages())", `setup(p=?)`},
		{"joined texts", "setup(p='a' 'b' \"c\")", `setup(p="abc")`},
		{"formatted", "setup(a=f'{x}', b='%s' % x, c='{}'.format(x), d=x.y, e=-1, f=not x)",
			`setup(a=?, b=?, c=?, d=?, e=?, f=?)`},
		{"comprehension", "setup(a=[x for x in y], b=[p + '.z' for p in find_packages()], c=1)", `setup(a=[?], b=[?], c=1)`},
		{"condition", "setup(a=['x'] if y else ['z'], b=lambda x: 1, c=x[1:2], d=None)", `setup(a=?, b=?, c=?, d=None)`},
		{"dict", "setup(a={'': 'src', \"b\": ['c']}, d={x: 1}, e={**x}, f={'a', 'b'})",
			`setup(a={: "src", b: ["c"]}, d=?, e=?, f=?)`},
		{"stars", "setup(*a, **b)", `setup(*=?, **=?)`},
		{"variable", "P = ['a']\nsetup(packages=P)\n", `setup(packages=["a"])`},
		{"variable of a variable", "A = 'a'\nP = [A]\nsetup(packages=P)\n", `setup(packages=["a"])`},
		{"variable that grows", "P = ['a']\nP.append('b')\nsetup(packages=P)\n", `setup(packages=?)`},
		{"variable that grows so", "P = ['a']\nP += ['b']\nsetup(packages=P)\n", `setup(packages=?)`},
		{"variable of a branch", "if x:\n  P = ['a']\nsetup(packages=P)\n", `setup(packages=?)`},
		{"variable assigned twice", "P = ['a']\nP = ['b']\nsetup(packages=P)\n", `setup(packages=?)`},
		{"argument of the same name", "packages = ['a']\nsetup(packages=packages)\n", `setup(packages=?)`},
		{"text about it", "\"\"\"setup(packages=['a'])\"\"\"\n# setup()\nsetup(packages=['b'])", `setup(packages=["b"])`},
		{"escapes", `setup(a='x\'y\\z\n', b=r'\d', c='\x41', d=u'e', e=b'f')`,
			`setup(a="x'y\\z\n", b="\\d", c=?, d="e", e="f")`},
		{"byte order mark", "\ufeffsetup(a='b')\r\n", `setup(a="b")`},
		{"continued", "setup \\\n  (a='b')", `setup(a="b")`},
		{"imported", "from setuptools import find_packages, setup\nsetup(a='b')", `setup(a="b")`},
		{"of distutils", "from distutils.core import setup\nsetup(a='b')", `setup(a="b")`},
		{"of another library", "from skbuild import setup\nsetup(a='b')", ""},
		{"by another name", "from x import (y,\n  z as setup)\nsetup(a='b')", ""},
		{"own function", "def setup(**k): pass\nsetup(a='b')", ""},
		{"own find_packages", "def find_packages(): return []\nsetup(a='b')", ""},
		{"method", "x.setup(a='b')\nsetup(c='d')", `setup(c="d")`},
		{"twice", "setup(a='b')\nsetup(c='d')", ""},
		{"none", "print('x')", ""},
		{"not closed", "setup(a='b'", ""},
		{"text without end", "setup(a='b)", ""},
		{"odd brackets", "setup(a=])", ""},
		{"deep", "setup(a=" + strings.Repeat("[", 100) + strings.Repeat("]", 100) + ", b='c')",
			"setup(a=" + strings.Repeat("[", 30) + "?" + strings.Repeat("]", 30) + `, b="c")`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if s, ok := Read(tt.source); ok {
				if v, ok := s.Setup(); ok {
					got = write(v)
				}
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestOpens(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, source string
		want         []string
	}{
		{"open", "open('README.md').read()\nwith open(\"a/b.txt\", 'r') as f: pass\n", []string{"README.md", "a/b.txt"}},
		{"modes", "open('a', 'w')\nopen('b', mode='rb')\nopen('c', m)\nopen('d', 'r+')\nopen('e', encoding='x')\n",
			[]string{"b", "e"}},
		{"io", "io.open('a')\ncodecs.open('b', 'r', 'utf8')\nzf.open('c')\n", []string{"a", "b"}},
		{"joined", "import os\nhere = os.path.dirname(os.path.abspath(__file__))\nopen(os.path.join(here, 'a', 'b'))\n",
			[]string{"a/b"}},
		{"joined in place", "open(os.path.join(os.path.dirname(__file__), './a'))\n", []string{"a"}},
		{"joined elsewhere", "open(os.path.join(X, 'a'))\nopen(join(os.path.dirname(os.path.dirname(__file__)), 'b'))\n",
			nil},
		{"path", "here = pathlib.Path(__file__).parent.resolve()\n(here / 'a').read_text()\nPath('b').read_text()\n",
			[]string{"a", "b"}},
		{"variable", "F = 'a'\nopen(F)\nfor f in x: open(f)\n", []string{"a"}},
		{"elsewhere", "open('/etc/x')\nopen('../y')\nopen('*.z')\nopen('.')\n", nil},
		{"an attempt", "try:\n  open('a')\nexcept IOError: pass\n", nil},
		{"asked first", "if os.path.exists('a'):\n  open('a')\n", nil},
		{"main", "if __name__ == '__main__':\n  open('a')\n", []string{"a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, ok := Read(tt.source)
			if !ok {
				t.Fatal("not read")
			}
			if diff := cmp.Diff(tt.want, s.Opens()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Python's own parser reads the same literals.
func TestPythonAgrees(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("SKIPPED: there is no python3")
	}
	sources := []string{
		"setup(a='x', b=['y', 'z'], c=('p',), d={'k': 'v', '': ['w']})",
		"setup(a='x' \"y\", b=[ 'a' ,], c=r'\\d', d=u'e')",
		"setup(\n a='''x\ny''', # c\n b=(\n  ('p', 'q'),\n  'r'\n ),\n)",
		"setup(a='a\\\\b\\'c\\n', b=\"'\", c='\"', d='#')",
		"setup(a=True, b=None, c=[], d={}, e=())",
	}
	input, err := json.Marshal(sources)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), python, "-c", `
import ast, json, sys
def write(v):
    if isinstance(v, str):
        return json.dumps(v)
    if isinstance(v, (list, tuple)):
        return "[" + ", ".join(map(write, v)) + "]"
    if isinstance(v, dict):
        return "{" + ", ".join(k + ": " + write(x) for k, x in v.items()) + "}"
    return repr(v)
out = []
for source in json.load(sys.stdin):
    call = ast.parse(source).body[0].value
    out.append("setup(" + ", ".join(k.arg + "=" + write(ast.literal_eval(k.value)) for k in call.keywords) + ")")
json.dump(out, sys.stdout)
`)
	c.Stdin = strings.NewReader(string(input))
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	for i, source := range sources {
		s, ok := Read(source)
		if !ok {
			t.Errorf("%s: not read", source)
			continue
		}
		v, _ := s.Setup()
		if got := write(v); got != want[i] {
			t.Errorf("got  %s\nwant %s", got, want[i])
		}
	}
}

func FuzzScript(f *testing.F) {
	f.Add("from setuptools import setup\nP = ['a'] + ['b']\nsetup(packages=P, x={'a': (1, *b)}, **k)\nopen('c')\n")
	f.Add("here = Path(__file__).parent\n(here / 'a').read_text()\nif x:\n  open(os.path.join(here, 'b'))")
	f.Add("setup(((({'a': [)]}")
	f.Fuzz(func(t *testing.T, source string) {
		s, ok := Read(source)
		if !ok {
			return
		}
		s.Setup()
		for _, file := range s.Opens() {
			if strings.HasPrefix(file, "/") || strings.HasPrefix(file, "..") {
				t.Errorf("%q lies elsewhere", file)
			}
		}
	})
}
