package cli

import (
	"encoding/json"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What the linker was given counts, then what Go recorded.
func TestBuildInfo(t *testing.T) {
	repository := &debug.BuildInfo{Main: debug.Module{Version: "v0.4.0"}, Settings: []debug.BuildSetting{
		{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-11-29T12:00:00Z"},
		{Key: "vcs.modified", Value: "true"},
	}}
	tests := []struct {
		name     string
		linker   Build
		recorded *debug.BuildInfo
		want     buildInfo
	}{
		{"nothing", Build{}, nil, buildInfo{Version: "(devel)"}},
		{"an archive", Build{}, &debug.BuildInfo{}, buildInfo{Version: "(devel)"}},
		{"a repository", Build{}, repository, buildInfo{Version: "v0.4.0", Commit: "abc", Date: "2026-11-29T12:00:00Z",
			Modified: true}},
		{"the linker", Build{Version: "v1.0.0", Commit: "def", Date: "2026-12-01T00:00:00Z"}, nil,
			buildInfo{Version: "v1.0.0", Commit: "def", Date: "2026-12-01T00:00:00Z"}},
		{"both", Build{Version: "v1.0.0"}, repository,
			buildInfo{Version: "v1.0.0", Commit: "abc", Date: "2026-11-29T12:00:00Z", Modified: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.want.Go, test.want.OS, test.want.Arch = runtime.Version(), runtime.GOOS, runtime.GOARCH
			if diff := cmp.Diff(test.want, test.linker.info(test.recorded)); diff != "" {
				t.Errorf("build info (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	// The test's own binary has no repository, so its text is short.
	want := "jobdrop   (devel)\ngo        " + runtime.Version() + "\nplatform  " + runtime.GOOS + "/" + runtime.GOARCH +
		"\n"
	if got := run(t, "version"); got.code != 0 || got.stdout != want {
		t.Errorf("exit %d, output\n%swant\n%s%s", got.code, got.stdout, want, got.stderr)
	}
	var got map[string]any
	ran := run(t, "version", "-o", "json")
	if err := json.Unmarshal([]byte(ran.stdout), &got); err != nil {
		t.Fatal(err)
	}
	fields := map[string]any{
		"version": "(devel)", "modified": false, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH,
	}
	if diff := cmp.Diff(fields, got); diff != "" {
		t.Errorf("version -o json (-want +got):\n%s", diff)
	}
	for _, args := range [][]string{{"version", "-o", "yaml"}, {"version", "x"}} {
		if got := run(t, args...); got.code != exitUsage {
			t.Errorf("%s: exit %d", args, got.code)
		}
	}
}
