package budget

import (
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestBinary holds the size of the functions' binary, in all and by module. With BUDGET_DEPLOYED=1 it builds
// what is deployed, which compiles all packages anew; else it links what other tests have compiled.
func TestBinary(t *testing.T) {
	most, flags, environ := LocalBinary, []string{"build", "-buildvcs=false"}, os.Environ()
	if os.Getenv("BUDGET_DEPLOYED") != "" {
		most, flags = DeployedBinary, append(flags, "-trimpath")
		environ = append(environ, "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	} else if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("SKIPPED: the budget is linux/amd64's; BUDGET_DEPLOYED=1 builds that")
	}
	file := filepath.Join(t.TempDir(), "server")
	c := exec.CommandContext(t.Context(), "go", append(flags, "-o", file, "../../../cmd/server")...)
	c.Env = environ
	if said, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", c, err, said)
	}
	size, modules := measure(t, file)
	t.Logf("%d bytes without symbols", size)
	for _, name := range slices.SortedFunc(maps.Keys(modules), func(a, b string) int { return modules[b] - modules[a] }) {
		t.Logf("%7d kB  %s", modules[name]/1000, name)
	}
	if size > most {
		t.Errorf("the binary has %d bytes, %d more than its budget of %d", size, size-most, most)
	}
	for _, fault := range grown(modules) {
		t.Error(fault)
	}
}

// measure returns the size of a program without its symbols, and the bytes of code and constants by module.
func measure(t *testing.T, file string) (size int, modules map[string]int) {
	t.Helper()
	f, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, s := range f.Sections {
		symbols := s.Type == elf.SHT_SYMTAB || s.Name == ".strtab" || strings.HasPrefix(s.Name, ".debug_")
		if !symbols && s.Type != elf.SHT_NOBITS {
			size += int(s.FileSize)
		}
	}
	all, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{info.Main.Path}
	for _, d := range info.Deps {
		paths = append(paths, d.Path)
	}
	modules = map[string]int{}
	for _, s := range all {
		if int(s.Section) < len(f.Sections) && f.Sections[s.Section].Type != elf.SHT_NOBITS {
			modules[moduleOf(s.Name, paths)] += int(s.Size)
		}
	}
	return size, modules
}

// moduleOf returns the module of a symbol.
func moduleOf(symbol string, modules []string) string {
	symbol = strings.TrimPrefix(symbol, "type:.eq.")
	symbol, _, _ = strings.Cut(symbol, "[") // the types that a generic function is made for are other modules'
	symbol = strings.ReplaceAll(symbol, "%2e", ".")
	module := standard
	for _, m := range modules {
		if rest, ok := strings.CutPrefix(symbol, m); ok && (rest == "" || strings.ContainsAny(rest[:1], "./")) &&
			(module == standard || len(m) > len(module)) {
			module = m
		}
	}
	return module
}

// grown returns what is wrong with the sizes of modules.
func grown(modules map[string]int) (faults []string) {
	budgets := moduleBudgets()
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		size := modules[name]
		b, known := budgets[name]
		switch {
		case known && size > b.kB*1100:
			faults = append(faults, fmt.Sprintf("%s adds %d kB, more than a tenth above its %d kB (%s)", name, size/1000, b.kB, b.why))
		case !known && size > smallModule:
			faults = append(faults, fmt.Sprintf("%s adds %d kB, and has no budget: enter it with its reason", name, size/1000))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(budgets)) {
		if modules[name] == 0 {
			faults = append(faults, fmt.Sprintf("%s is not linked any more: take its budget away", name))
		}
	}
	return faults
}
