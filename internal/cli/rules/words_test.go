package rules

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/internal/check/inspect"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/check/pypkg"
	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// many returns a list of n entries.
func many(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// in returns a job with a field of its trainingInput.
func in(field string) string { return trainerJob + "  " + field + "\n" }

// instead returns a job with another line in place of the one with the same key.
func instead(line string) string {
	key, _, _ := strings.Cut(line, ":")
	var b strings.Builder
	for l := range strings.Lines(trainerJob) {
		if strings.HasPrefix(l, "  "+key+":") {
			l = "  " + line + "\n"
		}
		b.WriteString(l)
	}
	return b.String()
}

// Each example in words that is about a file is made as it says: what breaks the rule yields one violation, of that
// rule, what mends it none.
func TestFilesInWords(t *testing.T) {
	const tuning = "hyperparameters: {goal: MAXIMIZE, params: [{parameterName: a, type: DISCRETE, discreteValues: [%s]}]}"
	for _, tt := range []struct {
		rule           job.Rule
		breaks, mended string
	}{
		{"job-id-length", "jobId: " + strings.Repeat("a", 513) + "\n" + trainerJob, "jobId: a\n" + trainerJob},
		{
			"label-count", trainerJob + "labels: {" + many(62, "a%d: b, ") + "}\n",
			trainerJob + "labels: {" + many(61, "a%d: b, ") + "}\n",
		},
		{
			"package-count", instead("packageUris: [" + many(101, "gs://bucket/%d.whl, ") + "]"),
			instead("packageUris: [" + many(100, "gs://bucket/%d.whl, ") + "]"),
		},
		{"object-name", in("jobDir: gs://output/" + strings.Repeat("a", 1025)), in("jobDir: gs://output/a")},
		{
			"param-values-count", in(fmt.Sprintf(tuning, many(1001, "%d, "))), in(fmt.Sprintf(tuning, many(1000, "%d, "))),
		},
		{"file-depth", in("args: " + strings.Repeat("[", 60) + strings.Repeat("]", 60)), in("args: [a]")},
		{"file-encoding", "\xff\xfej\x00o\x00b\x00", trainerJob},
		{"file-nodes", in("args: [" + strings.Repeat("a,", 60_000) + "]"), in("args: [a]")},
		{"file-size", trainerJob + "# " + strings.Repeat("a", 300<<10), trainerJob + "# a"},
		{"key-length", trainerJob + "? " + strings.Repeat("a", 1100) + "\n: b\n", trainerJob},
	} {
		t.Run(string(tt.rule), func(t *testing.T) {
			p := policy.Policy{}
			only(t, tt.rule, ofJob(t, tt.breaks, nil, p, false))
			if got := ofJob(t, tt.mended, nil, p, false); len(got) > 0 {
				t.Errorf("mended, it yields %v", got)
			}
		})
	}
	list := "allow: {regions: [" + strings.Repeat("a,", 501) + "]}"
	_, vs := policy.Parse("policy.yaml", []byte(list))
	only(t, "policy-list-length", vs)
	list = someRoutes + "  routes: [{name: a, match: {drops: [" + many(501, "a%d, ") + "]}}]\n"
	_, vs = routes.Parse("routes.yaml", []byte(list))
	only(t, "routes-length", vs)
	metadata := map[string]string{"jobdrop-set-args": "[" + strings.Repeat("a", 9000) + "]"}
	only(t, "metadata-size", ofJob(t, trainerJob, metadata, policy.Policy{}, false))
}

// only wants one violation, of a rule.
func only(t *testing.T, rule job.Rule, got []job.Violation) {
	t.Helper()
	if len(got) != 1 || got[0].Rule != rule {
		t.Errorf("%s: the example yields %v", rule, got)
	}
}

// Each example in words that is about a package alone.
func TestPackagesInWords(t *testing.T) {
	good := pack(t, "", "", "")
	var b bytes.Buffer
	if err := gzip.NewWriter(&b).Close(); err != nil {
		t.Fatal(err)
	}
	member := b.String()
	b.Reset()
	if err := zip.NewWriter(&b).Close(); err != nil {
		t.Fatal(err)
	}
	emptyZIP := b.String()
	zipLike := "PK\x03\x04" + strings.Repeat("\x00", 100)
	last := len(good) - 6
	for _, tt := range []struct {
		rule       job.Rule
		name, data string
	}{
		{"package-truncated", "trainer-0.1.tar.gz", good[:len(good)-20]},
		{"package-checksum", "trainer-0.1.tar.gz", good[:last] + "\x01\x02" + good[last+2:]},
		{"package-damaged", "trainer-0.1.tar.gz", good[:30] + strings.Repeat("\xff", 60) + good[90:]},
		{"package-empty", "trainer-0.1.tar.gz", ""},
		{"package-format", "trainer-0.1.tar.gz", zipLike},
		{"package-wheel-name", "trainer.whl", emptyZIP},
		{"package-platform", "trainer-0.1-cp37-cp37m-win_amd64.whl", emptyZIP},
		{"package-entry-name", "trainer-0.1.tar.gz", pack(t, strings.Repeat("a", 2000)+"\n", "", "")},
		{"package-members", "trainer-0.1.tar.gz", strings.Repeat(member, 200_000)},
	} {
		t.Run(string(tt.rule), func(t *testing.T) {
			_, vs, err := pypkg.Inspect(t.Context(), tt.name, strings.NewReader(tt.data), pypkg.DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range vs {
				if v.Rule == tt.rule {
					return
				}
			}
			t.Errorf("the example yields %v", vs)
		})
	}
	_, vs, err := pypkg.Inspect(t.Context(), "trainer-0.1.tar.gz", strings.NewReader(good), pypkg.DefaultLimits())
	if err != nil || len(vs) > 0 {
		t.Errorf("the package is not good: %v %v", vs, err)
	}
}

// Each example in words that is about a drop's folder.
func TestFoldersInWords(t *testing.T) {
	files := map[string]string{"job.yaml": trainerJob, "trainer-0.1.tar.gz": pack(t, "", "", "")}
	long := strings.Repeat("a", 300) + ".tar.gz"
	for _, tt := range []struct {
		rule   job.Rule
		change func(d *job.Drop)
	}{
		{"folder-name", func(d *job.Drop) { d.Folder = strings.Repeat("a", 900) + "/" }},
		{"folder-size", func(d *job.Drop) { d.TooMany = job.ManyObjects }},
		{"package-name", func(d *job.Drop) { d.Packages[0].Name = d.Folder + long }},
		{"packages-size", func(d *job.Drop) { d.Packages[0].Size = 10 << 30 }},
		{"content-encoding", func(d *job.Drop) { d.Packages[0].Encoding = "br" }},
	} {
		t.Run(string(tt.rule), func(t *testing.T) {
			d := dropOf(files, nil)
			tt.change(&d)
			for i := range d.JobFiles {
				d.JobFiles[i].Name = d.Folder + d.JobFiles[i].Base()
			}
			r, err := inspect.Drop(t.Context(), d, inspect.Objects{Open: opener(files)}, policy.Policy{Inbox: "inbox"})
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range r.Violations {
				if v.Rule == tt.rule {
					return
				}
			}
			t.Errorf("the example yields %v", r.Violations)
		})
	}
}

// tested names, for the examples in words that these tests don't make, a test file that does.
func tested() map[job.Rule]string {
	const packages, submitter = "internal/check/pypkg/pypkg_test.go", "internal/flow/submitter/submitter_test.go"
	const wheels, archives = "internal/check/pypkg/wheel_test.go", "internal/check/pypkg/sdist_test.go"
	const drops, inCLI = "internal/check/inspect/inspect_test.go", "internal/cli/explain_test.go"
	return map[job.Rule]string{
		"package-compression": wheels, "package-encrypted": packages, "package-entries": packages,
		"package-entry-type": packages, "package-headers": "internal/check/pypkg/hostile_test.go",
		"package-no-module": packages, "package-not-installable": "internal/check/pypkg/doubts_test.go",
		"package-overlap": wheels, "package-ratio": packages, "package-record": wheels, "package-root": archives,
		"package-size": packages, "package-trailing": archives, "package-two-formats": archives, "package-unpacked": packages,
		"inspection-time": "internal/check/inspect/worktime_test.go", "job-dir-region": "internal/check/inspect/region_test.go",
		"job-size": drops, "package-source": "internal/check/inspect/elsewhere_test.go",
		"too-many-violations": "internal/check/policy/validate_test.go", "policy-default": "internal/check/policy/judge_test.go",
		"backend-mapping": "internal/flow/submitter/backend_test.go", "backend-refused": submitter, "job-id-unique": submitter,
		"policy-budget-spent": "internal/flow/submitter/budget_test.go",
		"drop-incomplete":     inCLI, "faults-bucket": inCLI, "faults-object": inCLI, "faults-list-length": inCLI,
	}
}

// No example in words is without a test: here, or in the file that is named.
func TestWordsAreTested(t *testing.T) {
	here, err := os.ReadFile("words_test.go")
	if err != nil {
		t.Fatal(err)
	}
	own, _, _ := strings.Cut(string(here), "// tested names")
	files := tested()
	for _, p := range All() {
		if p.Example == "" {
			continue
		}
		text := own
		if file, ok := files[p.Rule]; ok {
			delete(files, p.Rule)
			data, err := os.ReadFile(filepath.Join(root, file))
			if err != nil {
				t.Fatal(err)
			}
			text = string(data)
		}
		if !regexp.MustCompile(`["\s]` + string(p.Rule) + `["\s:]`).MatchString(text) {
			t.Errorf("no test shows the example of %s", p.Rule)
		}
	}
	for rule, file := range files {
		t.Errorf("%s is said to be tested in %s, and needs not be", rule, file)
	}
}
