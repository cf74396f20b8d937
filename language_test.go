package jobdrop

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// badDoc matches the rest of a doc comment, after the declared name, that is not in
// one of godoc's forms.
var badDoc = regexp.MustCompile(`^(gives|tells whether)\b`)

// Doc comments use godoc's forms: "F returns", "F reports whether".
func TestDocComments(t *testing.T) {
	files := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" ||
			d.Name() == "docs" || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		f, err := parser.ParseFile(files, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			for _, fault := range docFaults(n) {
				t.Errorf("%s: the doc comment says %q; write \"returns\" or \"reports whether\"",
					files.Position(fault.at), fault.text)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// docFault is a doc comment in a bad form.
type docFault struct {
	at   token.Pos
	text string // its first line
}

// docFaults returns the faults of the doc comments of one declaration, or of the names
// in one spec or field.
func docFaults(n ast.Node) []docFault {
	var names []*ast.Ident
	var doc *ast.CommentGroup
	switch n := n.(type) {
	case *ast.FuncDecl:
		names, doc = []*ast.Ident{n.Name}, n.Doc
	case *ast.GenDecl:
		// The comment of an unparenthesized declaration belongs to the declaration.
		if n.Lparen.IsValid() || len(n.Specs) != 1 {
			return nil
		}
		names, doc = declared(n.Specs[0]), n.Doc
	case *ast.TypeSpec:
		names, doc = declared(n), n.Doc
	case *ast.ValueSpec:
		names, doc = declared(n), n.Doc
	case *ast.Field:
		names, doc = n.Names, n.Doc
	}
	first, _, _ := strings.Cut(doc.Text(), "\n")
	var faults []docFault
	for _, name := range names {
		if rest, ok := strings.CutPrefix(first, name.Name+" "); ok && badDoc.MatchString(rest) {
			faults = append(faults, docFault{doc.Pos(), first})
		}
	}
	return faults
}

// declared returns the names that a spec declares.
func declared(s ast.Spec) []*ast.Ident {
	switch s := s.(type) {
	case *ast.TypeSpec:
		return []*ast.Ident{s.Name}
	case *ast.ValueSpec:
		return s.Names
	}
	return nil
}

// Every kind of declaration is checked, by its own name only.
func TestDocFaults(t *testing.T) {
	const source = `package p

// F gives a number.
func F() int { return 0 }

// M tells whether it holds.
func (T) M() bool { return true }

// T gives much.
type T struct {
	// A tells whether it holds.
	A bool
	// B reports whether F gives a number.
	B bool
}

// I is an interface.
type I interface {
	// N gives a number.
	N() int
}

const (
	// C gives a number.
	C = 1
)

// V gives a number.
var V = 1

// Other gives a number.
func Good() {}

// L gives
// a number.
func L() {}
`
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, "p.go", source, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	ast.Inspect(f, func(n ast.Node) bool {
		for _, fault := range docFaults(n) {
			found = append(found, strings.Fields(fault.text)[0])
		}
		return true
	})
	if got, want := strings.Join(found, " "), "F M T A N C V L"; got != want {
		t.Errorf("found %s, want %s", got, want)
	}
}
