package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The longest come first, and nothing is left out or tested twice.
func TestOrder(t *testing.T) {
	ours := slices.Concat(plain, longest)
	packages := append([]string{module, module + "/deploy", module + "/deploy/pack", module + "/deployment"}, ours...)
	racing, others, err := order(packages)
	if err != nil {
		t.Fatal(err)
	}
	want := append(slices.Clone(longest), module, module+"/deployment")
	if diff := cmp.Diff(want, racing); diff != "" {
		t.Errorf("with the race detector (-want +got):\n%s", diff)
	}
	want = append([]string{module + "/deploy", module + "/deploy/pack"}, plain...)
	if diff := cmp.Diff(want, others); diff != "" {
		t.Errorf("without it (-want +got):\n%s", diff)
	}
	for _, gone := range []string{plain[0], longest[0]} {
		rest := slices.DeleteFunc(slices.Clone(packages), func(p string) bool { return p == gone })
		if _, _, err := order(rest); err == nil {
			t.Errorf("%s is gone, and may be in a list", gone)
		}
	}
}

// goroutines are the packages by which a program comes to more than one goroutine, or shares with one.
var goroutines = []string{"sync", "golang.org/x/sync/", "testing/synctest", "net/http/httptest"}

// What is tested without the race detector begins no goroutine: neither the package nor its tests.
func TestPlain(t *testing.T) {
	for _, p := range plain {
		dir := filepath.Join("..", "..", "..", filepath.FromSlash(strings.TrimPrefix(p, module+"/")))
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", p, len(files), err)
		}
		for _, file := range files {
			for _, fault := range concurrent(t, file, nil) {
				t.Errorf("%s: take the package off the list of the plain", fault)
			}
		}
	}
	for source, want := range map[string]int{
		"package p; func f() { go f() }": 1, "package p; func f(t T) { t.Parallel() }": 1,
		"package p; func f(g G) { g.Go(f) }": 1, `package p; import _ "sync"`: 1, `package p; import _ "sync/atomic"`: 1,
		`package p; import _ "golang.org/x/sync/errgroup"`: 1, `package p; import _ "net/http"; func f() { f() }`: 0,
	} {
		if faults := concurrent(t, "p.go", source); len(faults) != want {
			t.Errorf("%s: %q", source, faults)
		}
	}
}

// concurrent returns where a file, or the source if there is one, has to do with goroutines.
func concurrent(t *testing.T, file string, source any) (faults []string) {
	t.Helper()
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		what := ""
		switch n := n.(type) {
		case *ast.GoStmt:
			what = "a go statement"
		case *ast.SelectorExpr:
			if n.Sel.Name == "Parallel" || n.Sel.Name == "Go" {
				what = n.Sel.Name
			}
		case *ast.ImportSpec:
			name, _ := strconv.Unquote(n.Path.Value)
			if slices.ContainsFunc(goroutines, func(p string) bool { return strings.HasPrefix(name, p) }) {
				what = name
			}
		}
		if what != "" {
			faults = append(faults, set.Position(n.Pos()).String()+": "+what)
		}
		return true
	})
	return faults
}
