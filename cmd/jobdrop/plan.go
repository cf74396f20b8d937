package main

import (
	"bytes"
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
	"github.com/jobdrop/jobdrop/pkg/job"
)

// planned is what a trainer would be asked for; its JSON is what plan prints.
type planned struct {
	Trainer string `json:"trainer"`
	Method  string `json:"method"`
	URL     string `json:"url"`
	// Body is left out where the job is refused.
	Body any `json:"body,omitempty"`
	// Diagnostics are the differences between the job file and the request.
	Diagnostics []plan.Diagnostic `json:"diagnostics"`
}

func planCommand() *cobra.Command {
	var (
		fields                      fieldFlags
		trainer, format, policyFile string
		strict                      bool
	)
	c := &cobra.Command{
		Use:   "plan PATH",
		Short: "Show what a trainer would be asked for, without asking it",
		Long: `Show the request that would create a drop's job at a trainer, without
credentials or network, and each difference between what the job file says and
what is asked for:

  replaced   the trainer gets something else in its place
  dropped    the trainer does not learn of it
  doubtful   the trainer gets it, and may not be able to do it
  refused    the job can't run there

PATH is a drop's folder, a job file alone, or - for a job file on standard input.
What only an upload decides is not in the request: the names of the staged copies
of packages, jobdrop's own labels, and the job ID where the file gives none.

Of a job that is refused the request has no body.

--strict refuses a job of which anything is replaced or dropped, as the setting
vertex.strict of a policy does.

Exit codes: 0 the job can run there, 2 the drop is rejected or incomplete, or the
job is refused, 64 wrong usage.`,
		Example: `  jobdrop plan testdata/drops/hello
  jobdrop plan my-drop --trainer vertex --policy policy.yaml --project my-project --format yaml
  jobdrop plan my-drop --trainer aiplatform`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if format != "json" && format != "yaml" {
				return fmt.Errorf("--format is %q, must be json or yaml", format)
			}
			if trainer != vertex.Name && trainer != aiplatform.Name {
				return fmt.Errorf("--trainer is %q, must be %s or %s", trainer, vertex.Name, aiplatform.Name)
			}
			v, err := newValidator(fields, policyFile, c.InOrStdin())
			if err != nil {
				return faulty(c.ErrOrStderr(), err)
			}
			f, err := v.look(c.Context(), args[0])
			if err != nil {
				return err
			}
			var p planned
			if f.File != nil && !f.Incomplete() && !job.HasErrors(f.Violations) {
				rules := v.policy.For(f.folder)
				if p, err = newPlanned(f, trainer, fields.project, rules.Mapping(f.Spec.TrainingInput)); err != nil {
					return &exitError{code: exitFault, err: err}
				}
				f.Map(p.Diagnostics, strict || rules.Strict())
			}
			r := f.report()
			if err := writeText(c.ErrOrStderr(), []report{r}); err != nil {
				return &exitError{code: exitFault, err: err}
			}
			if !r.Valid {
				p.Body = nil // it must not be sent
			}
			if p.Trainer != "" {
				if err := p.write(c.OutOrStdout(), format); err != nil {
					return &exitError{code: exitFault, err: err}
				}
			}
			if !r.Valid {
				return exit(exitRejected, "%s: not for %s%s", oneLine(r.Path), trainer, faults(r))
			}
			return nil
		},
	}
	fl := c.Flags()
	fl.StringVar(&trainer, "trainer", vertex.Name, "vertex (Vertex AI) or aiplatform (ml/v1)")
	fl.StringVar(&format, "format", "json", "json or yaml")
	fl.BoolVar(&strict, "strict", false, "refuse a job of which anything is replaced or dropped")
	fl.StringVar(&policyFile, "policy", "", "the operator's policy; without it that of an installation without one")
	fields.flags(fl)
	return c
}

// faults says what keeps a drop from being valid.
func faults(r report) string {
	if len(r.Missing) > 0 {
		return ": incomplete"
	}
	return counts(slices.DeleteFunc(slices.Clone(r.Violations), func(v job.Violation) bool { return v.Severity == job.Warning }))
}

// newPlanned gives the request of a drop that is valid.
func newPlanned(f found, trainer, project string, m job.Mapping) (planned, error) {
	if project == "" {
		project = "PROJECT"
	}
	o := job.Order{Spec: f.Spec, Mapping: m}
	if f.MadeID {
		// That of an upload has its time and a digest of it.
		const made = "_YYYYMMDD_HHMMSS_xxxxxxxxxxxx"
		o.JobID = o.JobID[:len(o.JobID)-len(made)] + made
	}
	p := planned{Trainer: trainer, Method: "POST", Diagnostics: []plan.Diagnostic{}}
	if trainer == aiplatform.Name {
		body, err := aiplatform.NewRequest(o.Spec)
		if err != nil {
			return p, err
		}
		p.URL, p.Body = aiplatform.URL+"v1/projects/"+project+"/jobs", body
	} else {
		r, told := vertex.NewRequest(project, o, time.Now())
		p.URL, p.Body = vertex.URL(r.Region())+"v1/"+r.Parent+"/"+r.Collection(), r.Body()
		p.Diagnostics = append(p.Diagnostics, told...)
	}
	body, err := json.Marshal(p.Body)
	if err != nil {
		return p, err
	}
	if err := training.CheckRequest(path.Base(p.URL), body); err != nil {
		return p, fmt.Errorf("the request does not fit the service's API: %w", err)
	}
	return p, nil
}

func (p planned) write(w io.Writer, format string) error {
	if format == "json" {
		return encode(w, p)
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	var node yaml.Node // JSON is YAML: only the style is another
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

// plain takes JSON's style off a YAML document: texts keep quotes only where
// without them they would be something else.
func plain(n *yaml.Node) {
	n.Style = 0
	if strings.ContainsFunc(n.Value, hidden) {
		n.Style = yaml.DoubleQuotedStyle // which has escapes
	}
	for _, c := range n.Content {
		plain(c)
	}
}
