package policy_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/check/policy"
)

const viewersFile = `viewers:
- members: ['user:Ann@Example.com', 'serviceAccount:ci@acme.iam.gserviceaccount.com']
  prefixes: [teams/nlp/**]
  outputs: ['gs://nlp-output/**']
- members: ['user:ann@example.com']
  prefixes: [teams/vision/**]
- members: ['domain:example.com']
  prefixes: [shared/*, '*-public/**']
  outputs: ['gs://shared-output/*/public']
- members: ['user:root@example.com']
  prefixes: ['**']
  outputs: ['gs://any/**', 'gs://inbox/**', 'gs://state/**', 'gs://staging/**']
prefixes:
- match: teams/nlp/**
  pause: true
`

func TestViewerSees(t *testing.T) {
	const ann, bob, root = "ann@example.com", "bob@EXAMPLE.COM", "root@example.com"
	p := installation(t, viewersFile)
	for _, tt := range []struct {
		email, folder string
		want          bool
	}{
		{ann, "teams/nlp/census/", true}, {ann, "teams/nlp/census", true}, {ann, "teams/nlp/", true}, {ann, "teams/nlp", true},
		{ann, "teams/vision/a/", true}, {ann, "shared/a/", true}, {ann, "teams/nlp2/", false}, {ann, "teams/", false},
		{ann, "Teams/nlp/a/", false}, {ann, "", false}, {"ANN@eXample.Com", "teams/nlp/a/", true},
		{bob, "shared/a/", true}, {bob, "shared/a/b/", false}, {bob, "a-public/b/", true}, {bob, "teams/nlp/census/", false},
		{root, "", true}, {root, "teams/nlp/a/", true},

		// A path that some readers resolve is in no folder.
		{ann, "teams/nlp/../ads/", false}, {ann, "teams/nlp/./a/", false}, {ann, "teams/nlp//a/", false}, {root, "../", false},
		{ann, "/teams/nlp/", false}, {root, "/", true},

		{"ci@acme.iam.gserviceaccount.com", "teams/nlp/a/", true}, {"ci@acme.iam.gserviceaccount.com", "shared/a/", false},
		{"", "shared/a/", false}, {"example.com", "shared/a/", false}, {"@example.com", "shared/a/", false},
		{"bob@example.com.evil.com", "shared/a/", false}, {"bob@sub.example.com", "shared/a/", false},
		{"bob@evil.com@example.com", "shared/a/", true}, {"bob@example.com@evil.com", "shared/a/", false},
		{"user:ann@example.com", "teams/nlp/a/", false}, {"xann@example.com", "teams/nlp/a/", false},
		{"ann@example.co", "teams/nlp/a/", false}, {" ann@example.com", "teams/nlp/a/", false},
		{"ann@example.com\n", "shared/a/", false},
		{"bob@example.com\x00", "shared/a/", false},
		{"ann@ex\u0430mple.com", "teams/nlp/a/", false},                                     // a Cyrillic letter
		{"roo\u0074@example.com", "a/", true}, {"bo\u212a@example.com", "shared/a/", false}, // the sign for kelvin
	} {
		for _, p := range []policy.Policy{p, p.For(tt.folder)} {
			if got := p.Viewer(tt.email).Sees(tt.folder); got != tt.want {
				t.Errorf("%q sees %q: %t, want %t", tt.email, tt.folder, got, tt.want)
			}
		}
	}
}

func TestViewerSeesOutputs(t *testing.T) {
	const ann, bob, root = "ann@example.com", "bob@example.com", "root@example.com"
	p := installation(t, viewersFile)
	p.Inbox, p.Own = "inbox", []string{"state", "staging"}
	for _, tt := range []struct {
		name, email, folder, jobDir string
		want                        bool
	}{
		{"bound", ann, "teams/nlp/a/", "gs://nlp-output/a", true},
		{"the bucket itself", ann, "teams/nlp/a/", "gs://nlp-output", true},
		{"another's bucket", ann, "teams/nlp/a/", "gs://vision-output/a", false},
		{"a bucket whose name goes on", ann, "teams/nlp/a/", "gs://nlp-output2/a", false},
		{"a path to resolve", ann, "teams/nlp/a/", "gs://nlp-output/../vision-output/a", false},
		{"two slashes", ann, "teams/nlp/a/", "gs://nlp-output//a", false},
		{"no URI", ann, "teams/nlp/a/", "nlp-output/a", false},
		{"no jobDir", ann, "teams/nlp/a/", "", false},
		{"the outputs of one entry, the folder of another", ann, "teams/vision/a/", "gs://nlp-output/a", false},
		{"the same of the domain's", ann, "teams/nlp/a/", "gs://shared-output/a/public", false},
		{"the domain's", ann, "shared/a/", "gs://shared-output/a/public", true},
		{"above the domain's", bob, "shared/a/", "gs://shared-output/a", false},
		{"below the domain's", bob, "shared/a/", "gs://shared-output/a/public/b", false},
		{"a drop of others", bob, "teams/nlp/a/", "gs://nlp-output/a", false},
		{"nobody", "", "teams/nlp/a/", "gs://nlp-output/a", false},
		{"all", root, "a/", "gs://any/a", true},
		{"all but the inbox", root, "a/", "gs://inbox/a", false},
		{"all but the state", root, "a/", "gs://state/records", false},
		{"all but the staging bucket itself", root, "a/", "gs://staging", false},
	} {
		if got := p.Viewer(tt.email).SeesOutputs(tt.folder, tt.jobDir); got != tt.want {
			t.Errorf("%s: %t, want %t", tt.name, got, tt.want)
		}
	}
}

// Viewers have the same rights if and only if the entries that name them show the same.
func TestViewerRights(t *testing.T) {
	rules := func(file string) policy.Policy {
		r, faults := policy.Parse("policy.yaml", []byte(file))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		return policy.Policy{Rules: r}
	}
	p := rules(`viewers:
- {members: ['user:ann@example.com'], prefixes: ['a/**', 'b/**'], outputs: ['gs://out/**']}
- {members: ['user:amy@example.com'], prefixes: ['a/**', 'b/**'], outputs: ['gs://out/**']}
- {members: ['user:bob@example.com'], prefixes: ['a/**', 'b/**']}
- {members: ['user:eve@example.com'], prefixes: ['a/**'], outputs: ['gs://out/**']}
- {members: ['user:eve@example.com'], prefixes: ['b/**']}
`)
	rights := func(name string) string { return p.Viewer(name + "@example.com").Rights() }
	if rights("ann") != rights("amy") {
		t.Error("two who see the same differ")
	}
	seen := map[string]string{policy.Everything().Rights(): "whoever sees all"}
	for _, name := range []string{"ann", "bob", "eve", "nobody"} {
		if other := seen[rights(name)]; other != "" {
			t.Errorf("%s and %s see the same", name, other)
		}
		seen[rights(name)] = name
	}
}

// Who is not named, and everybody without a policy, sees nothing.
func TestViewerOfNothing(t *testing.T) {
	for name, v := range map[string]policy.Viewer{
		"zero": {}, "no policy": policy.Policy{}.Viewer("ann@example.com"),
		"a policy without viewers": installation(t, "pause: true").Viewer("ann@example.com"),
		"not named":                installation(t, viewersFile).Viewer("ann@elsewhere.com"),
	} {
		if v.Sees("a/") || v.Sees("") || v.SeesOutputs("a/", "gs://a/b") || len(v.Prefixes()) > 0 {
			t.Errorf("%s: sees something", name)
		}
	}
	if v := policy.Everything(); !v.Sees("a//../b") || !v.SeesOutputs("", "gs://any") || len(v.Prefixes()) != 1 {
		t.Error("Everything does not see everything")
	}
}

func TestViewerPrefixes(t *testing.T) {
	p := installation(t, viewersFile)
	want := []string{"teams/nlp/**", "teams/vision/**", "shared/*", "*-public/**"}
	if diff := cmp.Diff(want, p.Viewer("ann@example.com").Prefixes()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestShownTo(t *testing.T) {
	p := installation(t, viewersFile)
	for _, tt := range []struct {
		folder, jobDir string
		want           []policy.Shown
	}{
		{"teams/nlp/a/", "gs://nlp-output/a", []policy.Shown{
			{Member: "user:Ann@Example.com", Outputs: true, Because: "policy.yaml:2:3"},
			{Member: "serviceAccount:ci@acme.iam.gserviceaccount.com", Outputs: true, Because: "policy.yaml:2:3"},
			{Member: "user:root@example.com", Because: "policy.yaml:10:3"},
		}},
		{"teams/vision/a/", "", []policy.Shown{
			{Member: "user:ann@example.com", Because: "policy.yaml:5:3"},
			{Member: "user:root@example.com", Because: "policy.yaml:10:3"},
		}},
	} {
		if diff := cmp.Diff(tt.want, p.For(tt.folder).ShownTo(tt.folder, tt.jobDir)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.folder, diff)
		}
	}
	twice := installation(t, "viewers:\n- {members: 'user:a@b.c', prefixes: a}\n"+
		"- {members: 'user:a@b.c', prefixes: a, outputs: 'gs://b/**'}\n")
	want := []policy.Shown{{Member: "user:a@b.c", Outputs: true, Because: "policy.yaml:3:3"}}
	if diff := cmp.Diff(want, twice.ShownTo("a/", "gs://b/c")); diff != "" {
		t.Errorf("a member of two entries (-want +got):\n%s", diff)
	}
}

// Whatever the entries are: what the parts show is what each shows alone, outputs are those of drops that are
// shown, and the command line names those whom the console shows a drop.
func TestViewerProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(28, 1))
	members := []string{"user:a@x.y", "user:b@x.y", "domain:x.y", "domain:z.y"}
	prefixes := []string{"a/**", "a/*", "b/**", "**", "a/b", "*/b/**"}
	outputs := []string{"gs://p/**", "gs://q/*", "gs://o/*/**"}
	folders := []string{"", "a/", "a/b/", "a/b/c/", "b/", "b/b/", "a/../b/"}
	jobDirs := []string{"", "gs://p/a", "gs://q/a", "gs://q/a/b", "gs://o/r/b", "gs://p/../q"}
	some := func(from []string) string {
		var picked []string
		for _, s := range from {
			if r.IntN(3) == 0 {
				picked = append(picked, "'"+s+"'")
			}
		}
		if len(picked) == 0 {
			picked = []string{"'" + from[r.IntN(len(from))] + "'"}
		}
		return "[" + strings.Join(picked, ", ") + "]"
	}
	for range 100 {
		var entries []string
		for range 1 + r.IntN(4) {
			e := "{members: " + some(members) + ", prefixes: " + some(prefixes)
			if r.IntN(2) == 0 {
				e += ", outputs: " + some(outputs)
			}
			entries = append(entries, e+"}")
		}
		file := "viewers: [" + strings.Join(entries, ", ") + "]"
		whole := installation(t, file)
		var parts []policy.Policy
		for _, e := range entries {
			parts = append(parts, installation(t, "viewers: ["+e+"]"))
		}
		for _, email := range []string{"a@x.y", "B@X.Y", "c@x.y", "a@z.y", "a@y"} {
			for _, folder := range folders {
				for _, jobDir := range jobDirs {
					var sees, outputs bool
					for _, part := range parts {
						v := part.Viewer(email)
						sees, outputs = sees || v.Sees(folder), outputs || v.SeesOutputs(folder, jobDir)
					}
					v := whole.Viewer(email)
					if v.Sees(folder) != sees || v.SeesOutputs(folder, jobDir) != outputs || outputs && !sees {
						t.Fatalf("%s\n%s, %q, %q: %t, %t", file, email, folder, jobDir, v.Sees(folder), v.SeesOutputs(folder, jobDir))
					}
					var told, toldOutputs bool
					for _, s := range whole.ShownTo(folder, jobDir) {
						_, name, _ := strings.Cut(s.Member, ":")
						if e := strings.ToLower(email); e == name || strings.HasSuffix(e, "@"+name) {
							told, toldOutputs = true, toldOutputs || s.Outputs
						}
					}
					if told != sees || toldOutputs != outputs {
						t.Fatalf("%s\n%s, %q, %q: told %t, %t", file, email, folder, jobDir, told, toldOutputs)
					}
				}
			}
		}
	}
}
