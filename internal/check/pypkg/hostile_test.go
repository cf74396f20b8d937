package pypkg

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/internal/testing/hostile"
)

// An inspection ends with its context, wherever it is, and then knows nothing.
func TestInspectEndsWithItsContext(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, file string
		data       []byte
	}{
		{"sdist", "trainer-0.1.tar.gz", sdist(t, project(manyNames(40, 60)...)...)},
		{"wheel", whl, wheel(t, release(manyNames(40, 60)...)...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			whole := &hostile.Ending{Context: t.Context(), Left: 1 << 30}
			if _, _, err := Inspect(whole, tt.file, bytes.NewReader(tt.data), small()); err != nil {
				t.Fatal(err)
			}
			asked := 1<<30 - whole.Left
			if asked < 5 {
				t.Fatalf("the context was asked %d times", asked)
			}
			for at := range asked {
				ctx := &hostile.Ending{Context: t.Context(), Left: at}
				report, vs, err := Inspect(ctx, tt.file, bytes.NewReader(tt.data), small())
				if !errors.Is(err, context.DeadlineExceeded) || report != nil || vs != nil {
					t.Fatalf("ended after %d of %d: %v, %v, %v", at, asked, report, vs, err)
				}
				if ctx.Left < -1 {
					t.Errorf("ended after %d of %d, and asked %d times more", at, asked, -ctx.Left-1)
				}
			}
		})
	}
}

// What a package allocates does not grow with what its files say.
func TestInspectAllocates(t *testing.T) {
	hostile.Measures(t)
	want := map[string]bool{
		"a RECORD of commas": true, "a setup.py that lists 9,999": true, "names like the module's": true,
	}
	for _, p := range hostile.Packages() {
		if !want[p.Name] {
			continue
		}
		delete(want, p.Name)
		t.Run(p.Name, func(t *testing.T) {
			data := p.Make()
			allocated := hostile.Allocated(func() {
				report, _, err := Inspect(t.Context(), p.File, bytes.NewReader(data), DefaultLimits())
				if err != nil {
					t.Fatal(err)
				}
				report.Suggest("trainer.task" + strings.Repeat("k", 170))
			})
			if allocated > 100<<20 {
				t.Errorf("allocates %d MiB", allocated>>20)
			}
		})
	}
	if len(want) > 0 {
		t.Errorf("there are no packages %v", want)
	}
}

// Headers may be as long as those of all entries that there may be, and no longer,
// whether or not they belong to an entry.
func TestInspectHeaders(t *testing.T) {
	for _, tt := range []struct {
		name string
		typ  byte
		size int
		want bool
	}{
		{"of a file", tar.TypeReg, int(small().headers()), true},
		{"of all that follow", tar.TypeXGlobalHeader, int(small().headers()), true},
		{"short enough", tar.TypeReg, int(small().headers()) - 10<<10, false},
		{"of all that follow, short enough", tar.TypeXGlobalHeader, int(small().headers()) - 10<<10, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			long := tar.Header{
				Name: "trainer-0.1/x", Typeflag: tt.typ, Format: tar.FormatPAX,
				PAXRecords: map[string]string{"JD.x": strings.Repeat("x", tt.size)},
			}
			var b bytes.Buffer
			w := tar.NewWriter(&b)
			if tt.typ == tar.TypeXGlobalHeader {
				long.Name = ""
			}
			if err := w.WriteHeader(&long); err != nil {
				t.Fatal(err)
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			data := append(b.Bytes(), untar(t, project())...)
			_, vs, err := Inspect(t.Context(), "trainer-0.1.tar.gz", bytes.NewReader(storedGzip(t, data)), small())
			if err != nil {
				t.Fatal(err)
			}
			if got := len(vs) > 0 && vs[0].Rule == "package-headers"; got != tt.want {
				t.Errorf("violations %v", vs)
			}
		})
	}
}

// A package that needs too many comparisons with the patterns counts as installed.
func TestPatternsAreBounded(t *testing.T) {
	p := packing{found: true, include: []string{"a*"}, left: 10}
	if !p.covers("ab") || p.covers("b") {
		t.Error("within the bound, the patterns count")
	}
	if !p.covers("also too long") || !p.covers("b") {
		t.Error("beyond the bound, a package is missing for sure")
	}
	if s, ok := newSettings("setup(packages=find_packages(include=['a']))", "", "").packing(); !ok || s.left != maxMatched {
		t.Errorf("%d bytes may be compared, want %d", s.left, maxMatched)
	}
}
