package contract

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of the package's comment anew")

// The package's comment has a table of the promises, and what relies on them is there.
func TestPromisesAreDocumented(t *testing.T) {
	t.Parallel()
	const file = "doc.go"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const begin = "// # Promises of a backend\n//\n"
	before, _, ok := strings.Cut(string(data), begin)
	if !ok {
		t.Fatalf("%s has no line %q", file, strings.TrimSpace(begin))
	}
	var table strings.Builder
	seen := map[string]bool{}
	for _, p := range Promises() {
		if seen[p.Name] || p.Breach == "" || len(p.For) == 0 {
			t.Errorf("promise %q has a name of another, no breach, or nobody who relies on it", p.Name)
		}
		seen[p.Name] = true
		only := ""
		switch p.of {
		case taking:
			only = ", where IDs are taken"
		case notTaking:
			only = ", where no IDs are taken"
		}
		fmt.Fprintf(&table, "//   - %s%s: for %s\n", p.Name, only, strings.Join(p.For, ", "))
		for _, name := range p.For {
			exists(t, name)
		}
	}
	want := before + begin + table.String() + "package contract\n"
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(data) != want {
		t.Errorf("%s is not up to date: go test ./internal/testing/contract -run Documented -update", file)
	}
}

// exists fails the test unless a function that relies on a promise, named as package.function, is there.
func exists(t *testing.T, name string) {
	t.Helper()
	pkg, function, _ := strings.Cut(name, ".")
	dir := filepath.Join("..", "..", "flow", pkg)
	if pkg == "attempt" {
		dir = filepath.Join("..", "..", pkg)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`(?m)^func (\([^)]*\) )?` + function + `\(`)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(file, "_test.go") && declared.Match(data) {
			return
		}
	}
	t.Errorf("%s is not there", name)
}
