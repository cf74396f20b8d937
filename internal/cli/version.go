package cli

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strconv"

	"github.com/spf13/cobra"
)

// Build is what a build says of itself beyond what Go records: a build from an archive has no repository to read. Each
// field may be empty.
type Build struct{ Version, Commit, Date string }

// buildInfo says what a program was built from. It is the JSON of jobdrop version.
type buildInfo struct {
	Version string `json:"version"`
	// Commit is the repository's, and Date that commit's time. Modified reports that files differed from it.
	Commit   string `json:"commit,omitempty"`
	Date     string `json:"date,omitempty"`
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

// unknownVersion is the version of a build that neither Go nor the linker gave one.
const unknownVersion = "(devel)"

// info returns what b says, and for the rest what Go recorded; nil if it recorded nothing.
func (b Build) info(recorded *debug.BuildInfo) buildInfo {
	i := buildInfo{
		Version: b.Version, Commit: b.Commit, Date: b.Date, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
	}
	if recorded != nil {
		i.Version = cmp.Or(i.Version, recorded.Main.Version)
		for _, s := range recorded.Settings {
			switch s.Key {
			case "vcs.revision":
				i.Commit = cmp.Or(i.Commit, s.Value)
			case "vcs.time":
				i.Date = cmp.Or(i.Date, s.Value)
			case "vcs.modified":
				i.Modified, _ = strconv.ParseBool(s.Value)
			}
		}
	}
	i.Version = cmp.Or(i.Version, unknownVersion)
	return i
}

// version returns the version that Go recorded.
func version() string { return Env{}.build().Version }

// build returns what this program was built from.
func (e Env) build() buildInfo {
	recorded, _ := debug.ReadBuildInfo() // nil if there is none
	return e.Build.info(recorded)
}

// versionOptions are what jobdrop version is asked for.
type versionOptions struct{ format formatFlag }

func newVersion(env Env, run func(context.Context, Env, versionOptions) error) *cobra.Command {
	var o versionOptions
	c := &cobra.Command{
		Use:   "version",
		Short: "Say what this program was built from",
		Long: `Say what this program was built from: its version, the commit with its time, the
version of Go, the operating system and the architecture. The same source,
version of Go and target give the same bytes.`,
		Example: `  jobdrop version
  jobdrop version -o json | jq -r .commit`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.format.check(); err != nil {
				return err
			}
			return run(c.Context(), env, o)
		},
	}
	o.format.flag(c.Flags())
	return c
}

func showVersion(_ context.Context, env Env, o versionOptions) error {
	i := env.build()
	if o.format == formatJSON {
		return fault(encode(env.Out, i))
	}
	modified := ""
	if i.Modified {
		modified = ", with changes"
	}
	rows := [][]string{{"jobdrop", i.Version}}
	if i.Commit != "" {
		rows = append(rows, []string{"commit", i.Commit + modified})
	}
	if i.Date != "" {
		rows = append(rows, []string{"date", i.Date})
	}
	rows = append(rows, []string{"go", i.Go}, []string{"platform", i.OS + "/" + i.Arch})
	_, err := fmt.Fprint(env.Out, table(rows))
	return fault(err)
}
