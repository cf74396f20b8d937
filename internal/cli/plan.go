package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/jobdrop/jobdrop/internal/backend/aiplatform"
	"github.com/jobdrop/jobdrop/internal/backend/vertex"
	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/internal/local/training"
	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// planOptions are what jobdrop plan is asked for.
type planOptions struct {
	fieldOptions
	path    string
	backend string
	format  string
	strict  bool
	// bootstrap asks for the whole text of the program that installs and runs packages on Vertex AI.
	bootstrap bool
}

func newPlan(env Env, run func(context.Context, Env, planOptions) error) *cobra.Command {
	var o planOptions
	c := &cobra.Command{
		Use:   "plan PATH",
		Short: "Show what a backend would be asked for, without asking it",
		Long: `Show the request that would create a drop's job at a backend, without
credentials or network, and each difference between what the job file says and
what is asked for:

  replaced   the backend gets something else in its place
  dropped    the backend does not learn of it
  doubtful   the backend gets it, and may not be able to do it
  refused    the job can't run there

PATH is a drop's folder, a job file alone, or - for a job file on standard
input. What only an upload decides is not in the request: the names of the
staged copies of packages, jobdrop's own labels, and the job ID where the file
gives none.

Of a job that is refused the request has no body.

Where Vertex AI runs jobdrop's own bootstrap, which installs and runs the
packages, its first lines are shown; --bootstrap shows the whole request, as it
is sent.

--strict refuses a job of which anything is replaced or dropped, as the setting
vertex.strict of a policy does.

Exit codes: 0 the job can run there, 2 the drop is rejected or incomplete, or
the job is refused, 64 wrong usage.`,
		Example: `  jobdrop plan testdata/drops/hello
  jobdrop plan my-drop --backend vertex --policy policy.yaml --project acme
  jobdrop plan my-drop --backend aiplatform`,
		Args: takes("PATH"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := oneOf("--format", o.format, formatJSON, formatYAML); err != nil {
				return err
			}
			if err := oneOf("--backend", o.backend, vertex.Name, aiplatform.Name); err != nil {
				return err
			}
			if err := o.complete(); err != nil {
				return err
			}
			o.path = args[0]
			return run(c.Context(), env, o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.backend, "backend", planBackend, "vertex (Vertex AI) or aiplatform (ml/v1)")
	f.StringVar(&o.format, "format", formatJSON, text.Alternatives(formatJSON, formatYAML))
	f.BoolVar(&o.strict, "strict", false, "refuse a job of which anything is replaced or dropped")
	f.BoolVar(&o.bootstrap, "bootstrap", false, "show all of the program that installs and runs the packages on Vertex AI")
	o.policyFlag(f)
	o.flags(f)
	return c
}

// planned is what a backend would be asked for. Its JSON is what plan prints.
type planned struct {
	Backend string `json:"backend"`
	Method  string `json:"method"`
	URL     string `json:"url"`
	// Body is left out if the job is refused.
	Body any `json:"body,omitempty"`
	// Diagnostics are the differences between the job file and the request.
	Diagnostics []plan.Diagnostic `json:"diagnostics"`
}

func showPlan(ctx context.Context, env Env, o planOptions) error {
	v, err := newValidator(o.fieldOptions, env.In)
	if err != nil {
		return faulty(env, err)
	}
	v.policy.Backend = o.backend
	f, err := v.inspect(ctx, o.path)
	if err != nil {
		return err
	}
	var p planned
	if f.File != nil && !f.Incomplete() && !job.HasErrors(f.Violations) {
		rules := v.policy.For(f.folder)
		if p, err = newPlanned(f, o, rules.Mapping(f.Spec.TrainingInput, f.Options.Vertex), env.Now()); err != nil {
			return fault(err)
		}
		f.Map(p.Diagnostics, o.strict || rules.Strict())
	}
	r := f.report()
	if err := writeText(env.Err, env.width(), []report{r}); err != nil {
		return fault(err)
	}
	if !r.Valid {
		p.Body = nil // it must not be sent
	}
	if p.Backend != "" {
		if err := p.write(env.Out, o.format); err != nil {
			return fault(err)
		}
	}
	if !r.Valid {
		return exit(exitRejected, "%s: not for %s%s", oneLine(r.Path), o.backend, faults(r))
	}
	return nil
}

// faults says what keeps a drop from being valid.
func faults(r report) string {
	if len(r.Missing) > 0 {
		return ": incomplete"
	}
	isWarning := func(v job.Violation) bool { return v.Severity == job.Warning }
	return counts(slices.DeleteFunc(slices.Clone(r.Violations), isWarning))
}

// newPlanned returns the request of a drop that is valid.
func newPlanned(f found, o planOptions, m job.Mapping, now time.Time) (planned, error) {
	project := cmp.Or(o.project, "PROJECT")
	order := job.Order{Spec: f.Spec, Mapping: m}
	if f.MadeID {
		// That of an upload has its time and a digest of it.
		const made = "_YYYYMMDD_HHMMSS_xxxxxxxxxxxx"
		order.JobID = order.JobID[:len(order.JobID)-len(made)] + made
	}
	p := planned{Backend: o.backend, Method: "POST", Diagnostics: []plan.Diagnostic{}}
	shorten := func() {}
	if o.backend == aiplatform.Name {
		body, err := aiplatform.NewRequest(order.Spec)
		if err != nil {
			return p, err
		}
		p.URL, p.Body = aiplatform.URL+"v1/projects/"+project+"/jobs", body
		p.Diagnostics = append(p.Diagnostics, aiplatform.Foreign(order)...)
	} else {
		r, told := vertex.NewRequest(project, order, now)
		p.URL, p.Body = vertex.URL(r.Region())+"v1/"+r.Parent+"/"+r.Collection(), r.Body()
		p.Diagnostics = append(p.Diagnostics, told...)
		if !o.bootstrap {
			shorten = func() { r.Shorten("--bootstrap shows them") }
		}
	}
	body, err := json.Marshal(p.Body)
	if err != nil {
		return p, err
	}
	if err := training.CheckRequest(path.Base(p.URL), body); err != nil {
		return p, fmt.Errorf("the request does not fit the service's API: %w", err)
	}
	shorten() // what was checked is the whole request
	return p, nil
}

// write writes the request as JSON or YAML.
func (p planned) write(w io.Writer, format string) error {
	if format == formatJSON {
		return encode(w, p)
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	var node yaml.Node // JSON is YAML of another style
	if err := yaml.Unmarshal(text, &node); err != nil {
		return err
	}
	plain(&node)
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(&node), e.Close()); err != nil {
		return err
	}
	_, err = w.Write(escaped(b.Bytes()))
	return err
}

// plain takes JSON's style off a YAML document: a text keeps its quotes only if it
// would be something else without them.
func plain(n *yaml.Node) {
	n.Style = 0
	if strings.ContainsFunc(n.Value, hidden) {
		n.Style = yaml.DoubleQuotedStyle // which has escapes
	}
	for _, c := range n.Content {
		plain(c)
	}
}
