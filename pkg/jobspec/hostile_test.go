package jobspec

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/internal/testing/hostile"
)

func TestHostileFilesAreOfOurSize(t *testing.T) {
	if hostile.JobFileSize != MaxSize || hostile.JobFileParts != maxMarks {
		t.Errorf("hostile files have %d bytes and %d parts, job files may have %d and %d", hostile.JobFileSize,
			hostile.JobFileParts, MaxSize, maxMarks)
	}
}

// A parse ends with its context, wherever it is, and then finds nothing.
func TestParseContext(t *testing.T) {
	file := "trainingInput:\n  hyperparameters:\n    params:\n    - &p {discreteValues: [" + strings.Repeat("1,", 1000) +
		"]}\n" + strings.Repeat("    - *p\n", 20)
	whole := &hostile.Ending{Context: t.Context(), Left: 1 << 30}
	if _, _, err := ParseContext(whole, "job.yaml", []byte(file)); err != nil {
		t.Fatal(err)
	}
	asked := 1<<30 - whole.Left
	for _, at := range []int{0, 1, 5, asked / 3, asked / 2, asked - 2} {
		ctx := &hostile.Ending{Context: t.Context(), Left: at}
		f, vs, err := ParseContext(ctx, "job.yaml", []byte(file))
		if !errors.Is(err, context.DeadlineExceeded) || f != nil || vs != nil {
			t.Errorf("ended after %d of %d: %v, %v, %v", at, asked, f, vs, err)
		}
		// One who goes on asks again.
		if ctx.Left < -50 {
			t.Errorf("ended after %d of %d, and asked %d times more", at, asked, -ctx.Left)
		}
	}
}

// FuzzMemory looks for a job file whose check allocates too much: one that repeats
// something, since what is written once is bounded by the file's size.
func FuzzMemory(f *testing.F) {
	hostile.Measures(f)
	patterns := hostile.Patterns()
	for _, name := range slices.Sorted(maps.Keys(patterns)) {
		p := patterns[name]
		f.Add(p.Head, p.Unit, p.Tail, 1_000)
	}
	for _, file := range seeds() {
		f.Add("", file, "", 10)
		f.Add(file, "", "", 0)
	}
	const params = "trainingInput:\n  hyperparameters:\n    params:\n"
	f.Add(params+"    - &a {categoricalValues: ["+strings.Repeat("~,", 1000)+"]}\n", "    - *a\n", "", 10_000)
	f.Add("x: &x "+strings.Repeat("1:", 2_000)+"1\ntrainingInput:\n  args: [", "*x,", "]\n", 40_000)
	f.Add("labels: &a {<<: [", "*a,", "]}", 40_000)
	f.Fuzz(func(t *testing.T, head, unit, tail string, n int) {
		data := hostile.Pattern{Head: head, Unit: unit, Tail: tail}.Repeat(n, MaxSize+1)
		allocated := hostile.Allocated(func() {
			file, _ := Parse("job.yaml", data)
			file.Check(nil)
		})
		if allocated > hostile.JobFileMemory {
			t.Errorf("the check of %d bytes allocates %d MiB", len(data), allocated>>20)
		}
	})
}

// FuzzMetadataMemory looks for metadata of a job file that allocate too much.
func FuzzMetadataMemory(f *testing.F) {
	hostile.Measures(f)
	for _, metadata := range hostile.Metadata() {
		for key, value := range metadata {
			f.Add(strings.TrimPrefix(key, MetadataPrefix), "", value, "", 0)
		}
	}
	f.Add("hyperparameters.params", "[&a {categoricalValues: ["+strings.Repeat("~,", 500)+"]},", "*a,", "]", 2_000)
	f.Add("labels", "&a {<<: [", "*a,", "]}", 2_000)
	f.Add("args", "[", "[", "", 8_000)
	f.Fuzz(func(t *testing.T, field, head, unit, tail string, n int) {
		value := string(hostile.Pattern{Head: head, Unit: unit, Tail: tail}.Repeat(n, hostile.MetadataSize))
		metadata := map[string]string{MetadataPrefix + field: value}
		// As many settings as there may be, each of another field.
		for _, name := range []string{"args", "packageUris", "labels", "hyperparameters.params", "workerConfig"} {
			metadata[MetadataPrefix+name] = value[:len(value)/6]
		}
		allocated := hostile.Allocated(func() {
			file, _ := Parse("job.yaml", []byte(cluster))
			file.SetMetadata(metadata)
			file.Check(nil)
		})
		if allocated > hostile.JobFileMemory {
			t.Errorf("the check of %d bytes allocates %d MiB", len(value), allocated>>20)
		}
	})
}

// Neither the YAML parser nor the walk over its nodes goes on once the context has
// ended.
func TestNothingGoesOnWithoutItsContext(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if root, _ := load(ended, []byte(cluster), jobKind()); root != nil {
		t.Error("the file was parsed")
	}
	root, fault := load(t.Context(), []byte(cluster), jobKind())
	if fault != nil {
		t.Fatal(fault)
	}
	f := newFile("job.yaml")
	var doc document
	newDecoder(ended, f, &violations{}).value(root, reflect.ValueOf(&doc).Elem(), "", nil)
	if len(f.places) > 0 {
		t.Errorf("%d fields were visited", len(f.places))
	}
}

// All settings of an object's metadata share what may be visited.
func TestMetadataSharesABudget(t *testing.T) {
	metadata := map[string]string{
		MetadataPrefix + "labels": "{<<: [&x {a: b}," + strings.Repeat("*x,", 999) + "]}",
		MetadataPrefix + "hyperparameters.params": "[&a {parameterName: p, discreteValues: [" + strings.Repeat("1,", 500) +
			"]}," + strings.Repeat("*a,", 13) + "]",
	}
	for name := range metadata {
		f, _ := Parse("job.yaml", []byte("trainingInput: {}"))
		if vs := f.SetMetadata(map[string]string{name: metadata[name]}); len(vs) > 0 {
			t.Errorf("%s alone: %v", name, vs)
		}
	}
	f, _ := Parse("job.yaml", []byte("trainingInput: {}"))
	if vs := f.SetMetadata(metadata); len(vs) != 1 || vs[0].Rule != "metadata-size" {
		t.Errorf("both: %v", vs)
	}
}
