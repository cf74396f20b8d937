// Package policy holds the operator's rules: what a job of the inbox may ask
// for. Whoever can write to the bucket must gain no rights by it.
package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// Policy is what an installation allows where its operator wrote no policy:
// nothing that reaches beyond the project and the drop.
type Policy struct {
	// Project is where jobs run: container images of its own registries are
	// allowed. Where it is not known, images are warned of.
	Project string
	// Inbox is the bucket of the drops: no job may write there. Where it is
	// not known, packages that lie elsewhere are warned of.
	Inbox string
	// Own are the installation's other buckets, closed to jobs likewise.
	Own []string
	// Trainer is the service that runs jobs here; empty where not known.
	Trainer string
}

// Check gives the policy's violations of a job file whose packages were
// resolved.
func (p Policy) Check(f *jobspec.File, r job.Resolution) []job.Violation {
	t := f.Spec.TrainingInput
	if t == nil {
		return nil
	}
	var vs []job.Violation
	refuse := func(field string, v job.Violation) {
		v.Severity = job.Error
		vs = append(vs, f.Violation(field, v))
	}
	// A job runs with the rights of its service account, and the function
	// that creates it can act as more accounts than the dropper can.
	if t.ServiceAccount != "" {
		refuse("trainingInput.serviceAccount", job.Violation{
			Rule: "policy-service-account", Message: "this installation's policy does not let a job choose its service account",
			Remedy: "remove the field: the trainer's own account is used; or ask the operator to allow it",
		})
	}
	if t.Network != "" {
		refuse("trainingInput.network", job.Violation{
			Rule: "policy-network", Message: "this installation's policy does not let a job choose its network",
			Remedy: "remove the field, or ask the operator to allow it",
		})
	}
	for _, role := range []struct {
		name   string
		config *job.ReplicaConfig
	}{
		{"masterConfig", t.MasterConfig}, {"workerConfig", t.WorkerConfig},
		{"parameterServerConfig", t.ParameterServerConfig}, {"evaluatorConfig", t.EvaluatorConfig},
	} {
		if role.config == nil || role.config.ImageURI == "" || p.ownImage(role.config.ImageURI) {
			continue
		}
		if p.Project == "" {
			vs = append(vs, f.Violation("trainingInput."+role.name+".imageUri", job.Violation{
				Rule: "policy-image", Severity: job.Warning,
				Message: "an installation allows images of its own project only, unless its policy says otherwise",
			}))
			continue
		}
		refuse("trainingInput."+role.name+".imageUri", job.Violation{
			Rule: "policy-image", Message: "this installation's policy allows images of its own project only",
			Allowed: fmt.Sprintf("gcr.io/%s/…, REGION-docker.pkg.dev/%s/…", p.Project, p.Project),
			Remedy:  "copy the image to the project, or ask the operator to allow it",
		})
	}
	for i, uri := range t.PackageURIs {
		if !slices.Contains(r.Outside, uri) {
			continue
		}
		v := job.Violation{
			Rule: "policy-package-source", Severity: job.Error,
			Message: "this installation's policy allows packages of the drop's own folder only",
			Found:   uri,
			Remedy:  "upload the package into the folder of the job file and name it by its file name",
		}
		if p.Inbox == "" {
			v.Severity, v.Message = job.Warning, "an installation allows packages of the drop's own folder only, unless its policy says otherwise"
		}
		vs = append(vs, f.Violation(fmt.Sprintf("trainingInput.packageUris[%d]", i), v))
	}
	bucket, _, _ := strings.Cut(strings.TrimPrefix(t.JobDir, "gs://"), "/")
	switch {
	case bucket == "":
	case bucket == p.Inbox:
		refuse("trainingInput.jobDir", job.Violation{
			Rule: "job-dir-outside-inbox", Message: "a job must not write into the inbox: its output would be taken for drops",
			Remedy: "choose another bucket",
		})
	case slices.Contains(p.Own, bucket):
		refuse("trainingInput.jobDir", job.Violation{
			Rule: "job-dir-not-ours", Message: "a job must not write into a bucket of jobdrop's own",
			Remedy: "choose another bucket",
		})
	}
	if asked := f.Options.Trainer; asked != "" && p.Trainer != "" && asked != p.Trainer {
		refuse("jobdrop.trainer", job.Violation{
			Rule: "policy-trainer", Message: "this installation runs jobs at another trainer",
			Allowed: p.Trainer, Remedy: "remove the field, or drop into an installation that has this trainer",
		})
	}
	return vs
}

// ownImage tells whether an image lies in a registry of the project:
// Container Registry's [HOST.]gcr.io/PROJECT/… or Artifact Registry's
// LOCATION-docker.pkg.dev/PROJECT/…
func (p Policy) ownImage(uri string) bool {
	host, rest, _ := strings.Cut(uri, "/")
	registry := host == "gcr.io" || strings.HasSuffix(host, ".gcr.io") || strings.HasSuffix(host, "-docker.pkg.dev")
	// A project of a domain is written example.com:project, in registries
	// example.com/project.
	return p.Project != "" && registry && strings.HasPrefix(rest, strings.Replace(p.Project, ":", "/", 1)+"/")
}
