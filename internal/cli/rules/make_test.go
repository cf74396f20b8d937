package rules

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/pkg/job"
)

var update = flag.Bool("update", false, "write rules.json and docs/rules.md anew")

const (
	root = "../../.."
	docs = root + "/docs/rules.md"
	// address is where docs/rules.md is read.
	address = "https://github.com/jobdrop/jobdrop/blob/main/docs/rules.md"
)

// areas are those of the packages that name rules.
var areas = map[string]string{
	"pkg/job": "drop", "pkg/jobspec": "file", "internal/check/inspect": "drop", "internal/check/pypkg": "package",
	"internal/check/policy": "policy", "internal/check/plan": "backend", "internal/backend/internal/rest": "backend",
	"internal/check/routes": "routes", "internal/flow/submitter": "backend", "internal/cli": "drop",
}

// maker gathers pages from the sources.
type maker struct {
	t     *testing.T
	files *token.FileSet
	pages []Page
	names map[string]string // constants of the rules' type, each with its rule
}

// makePages returns the pages of all rules that the sources declare: constants of the type job.Rule, and the
// functions in the tables of type []rule.
func makePages(t *testing.T) []Page {
	t.Helper()
	m := &maker{t: t, files: token.NewFileSet(), names: map[string]string{}}
	packages := map[string][]*ast.File{}
	for _, top := range []string{"pkg", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() && d.Name() == "testdata" {
				return cmpOr(err, fs.SkipDir)
			}
			if d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			f, err := parser.ParseFile(m.files, path, nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			dir, err := filepath.Rel(root, filepath.Dir(path))
			packages[filepath.ToSlash(dir)] = append(packages[filepath.ToSlash(dir)], f)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for dir, files := range packages {
		if strings.HasPrefix(dir, "internal/testing") {
			continue
		}
		for _, f := range files {
			m.constants(dir, f)
		}
	}
	for dir, files := range packages {
		for _, f := range files {
			m.tables(dir, f, files)
			if !strings.HasPrefix(dir, "internal/testing") {
				m.literals(f)
			}
		}
	}
	order := Areas()
	slices.SortFunc(m.pages, func(a, b Page) int {
		rank := func(p Page) int { return slices.IndexFunc(order, func(o [2]string) bool { return o[0] == p.Area }) }
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(string(a.Rule), string(b.Rule))
	})
	return m.pages
}

func cmpOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// isRule reports whether an expression names the type of rules.
func isRule(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "Rule"
	case *ast.SelectorExpr:
		x, ok := e.X.(*ast.Ident)
		return ok && x.Name == "job" && e.Sel.Name == "Rule"
	}
	return false
}

// constants makes a page of each constant that is a rule.
func (m *maker) constants(dir string, f *ast.File) {
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			c := s.(*ast.ValueSpec)
			if !isRule(c.Type) || len(c.Values) != 1 {
				continue
			}
			name := literal(c.Values[0])
			m.names[c.Names[0].Name] = name
			area := areas[dir]
			if strings.HasPrefix(name, "faults-") {
				area = "faults"
			}
			if strings.HasPrefix(name, "package-") && area == "file" || name == "package-extension" {
				area = "job"
			}
			m.page(name, area, c.Names[0].Name, c.Doc.Text(), c.Pos())
		}
	}
}

// tables makes a page of each function in a table of rules.
func (m *maker) tables(dir string, f *ast.File, files []*ast.File) {
	ast.Inspect(f, func(n ast.Node) bool {
		table, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		array, ok := table.Type.(*ast.ArrayType)
		if !ok {
			return true
		}
		if of, ok := array.Elt.(*ast.Ident); !ok || of.Name != "rule" || dir != "pkg/jobspec" {
			return true
		}
		for _, e := range table.Elts {
			row := e.(*ast.CompositeLit)
			if name := literal(row.Elts[0]); name != "" {
				check := row.Elts[1].(*ast.Ident).Name
				m.page(name, "job", check, docOf(files, check), row.Pos())
			}
		}
		return false
	})
}

// literals refuses a violation whose rule is a text: it could be one that has no page.
func (m *maker) literals(f *ast.File) {
	refuse := func(e ast.Expr) {
		if literal(e) != "" {
			m.t.Errorf("%s: the rule %s is a text; declare a constant of the type job.Rule, with its page",
				m.files.Position(e.Pos()), literal(e))
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Rule" {
				refuse(n.Value)
			}
		case *ast.AssignStmt:
			for i, to := range n.Lhs {
				if s, ok := to.(*ast.SelectorExpr); ok && s.Sel.Name == "Rule" && len(n.Rhs) == len(n.Lhs) {
					refuse(n.Rhs[i])
				}
			}
		case *ast.CallExpr:
			if isRule(n.Fun) {
				m.t.Errorf("%s: a text is turned into a rule; declare a constant", m.files.Position(n.Pos()))
			}
			if s, ok := n.Fun.(*ast.SelectorExpr); ok && len(n.Args) > 1 &&
				slices.Contains([]string{"fail", "warn", "failAt", "Report", "ReportAt", "refuse", "object"}, s.Sel.Name) &&
				isViolation(n.Args[len(n.Args)-1]) && !ownRule(n) {
				refuse(n.Args[0])
			}
		}
		return true
	})
}

// isViolation reports whether an expression is a violation's literal.
func isViolation(e ast.Expr) bool {
	l, ok := e.(*ast.CompositeLit)
	if !ok {
		return false
	}
	s, ok := l.Type.(*ast.SelectorExpr)
	return ok && s.Sel.Name == "Violation"
}

// ownRule reports whether a call's constructor knows the rule by itself: the functions of pkg/jobspec's tables run
// under theirs, and pass a field first.
func ownRule(call *ast.CallExpr) bool { return len(call.Args) == 2 && literal(call.Args[0]) != "" }

func literal(e ast.Expr) string {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return ""
	}
	s, _ := strconv.Unquote(l.Value) // it was parsed
	return s
}

func docOf(files []*ast.File, name string) string {
	for _, f := range files {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == name {
				return fn.Doc.Text()
			}
		}
	}
	return ""
}

// page makes a page of a comment: its meaning, its source, an example.
func (m *maker) page(name, area, ident, doc string, at token.Pos) {
	p := Page{Rule: job.Rule(name), Area: area, URL: address + "#" + name}
	meaning, ok := strings.CutPrefix(doc, ident+": ")
	if !ok {
		m.t.Errorf("%s: the comment of %s does not begin with %q", m.files.Position(at), name, ident+": ")
		return
	}
	parts := strings.Split(strings.TrimRight(meaning, "\n"), "\n\n")
	for i, part := range parts {
		flat := strings.Join(strings.Fields(part), " ")
		switch {
		case i == 0:
			p.Meaning = sentence(flat)
		case strings.HasPrefix(part, "\t"):
			for line := range strings.Lines(part) {
				p.Diff += strings.TrimPrefix(line, "\t")
			}
			p.Diff = strings.TrimRight(p.Diff, "\n") + "\n"
		case strings.HasPrefix(flat, "Source: "):
			p.Source = source(strings.TrimPrefix(flat, "Source: "))
		case strings.HasPrefix(flat, "For example: "):
			p.Example = sentence(strings.TrimPrefix(flat, "For example: "))
		default: // what matters to readers of the code alone
		}
	}
	if area == "" || p.Meaning == "" || p.Source == "" || p.Example == "" && p.Diff == "" {
		m.t.Errorf("%s: the page of %s lacks its area, meaning, source or example: %+v", m.files.Position(at), name, p)
	}
	for _, other := range m.pages {
		if string(other.Rule) == name {
			m.t.Errorf("%s: there is another page of %s", m.files.Position(at), name)
		}
	}
	m.pages = append(m.pages, p)
}

// source writes out what comments call the reference.
func source(text string) string {
	const reference = "the reference of ml/v1"
	for _, end := range []string{", ", ": "} {
		if rest, ok := strings.CutPrefix(text, "reference"+end); ok {
			text = reference + end + rest
		}
		text = strings.ReplaceAll(text, "; reference"+end, "; "+reference+end)
	}
	return text
}

// sentence returns a text that begins with a capital, unless it begins with a name.
func sentence(text string) string {
	word, _, _ := strings.Cut(text, " ")
	names := []string{"jobdrop", "gcloud", "pip", "args"}
	if slices.Contains(names, word) || strings.ContainsFunc(word, unicode.IsUpper) {
		return text
	}
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}

// The pages are those of the comments.
func TestPages(t *testing.T) {
	pages := makePages(t)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(pages); err != nil {
		t.Fatal(err)
	}
	upToDate(t, "rules.json", b.Bytes())
	upToDate(t, docs, markdown(pages))
}

func upToDate(t *testing.T, path string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, want, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is not what the comments say; go test ./internal/cli/rules -update writes it (-want +got):\n%s",
			path, diff)
	}
}

// markdown returns docs/rules.md.
func markdown(pages []Page) []byte {
	var b bytes.Buffer
	b.WriteString("# Rules\n\n" +
		"Each violation that jobdrop reports names the rule that it breaks. Names are stable: they never change their " +
		"meaning. " +
		"`jobdrop explain RULE` prints a page, `jobdrop explain` lists them all.\n\n" +
		"In an example, lines that begin with `-` break the rule, and those that begin with `+` mend it. The rest of the " +
		"file is " +
		"as it may be. Each example is a test.\n\n" +
		"This page is made from the comments of the rules: `go test ./internal/cli/rules -update` writes it.\n")
	area := ""
	for _, p := range pages {
		if p.Area != area {
			area = p.Area
			fmt.Fprintf(&b, "\n## %s\n", Heading(area))
		}
		b.WriteString("\n" + p.Markdown("### "))
	}
	return b.Bytes()
}
