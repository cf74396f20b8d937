package doctor

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"

	"google.golang.org/api/secretmanager/v1"

	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// fileChecks returns the checks of the operator's files, and of the secrets that they name.
func (in *installation) fileChecks() []check {
	return []check{
		{name: "policy", on: uri(in.PolicyBucket, in.PolicyObject), offline: in.PolicyObject == "",
			run: func(ctx context.Context) []Finding {
				if in.PolicyObject == "" {
					return []Finding{{Status: OK,
						Text: "there is none: nothing that reaches beyond the project and the drop is allowed"}}
				}
				return in.file(ctx, in.PolicyBucket, in.PolicyObject, "JOBDROP_POLICY", "nothing is decided until it is mended",
					func(name string, data []byte) []job.Violation {
						_, vs := policy.Parse(name, data)
						return vs
					})
			}},
		{name: "routes", on: uri(in.RoutesBucket, in.RoutesObject), offline: in.RoutesObject == "",
			run: func(ctx context.Context) []Finding {
				if in.RoutesObject == "" {
					return []Finding{{Status: OK, Text: "there are none: nobody is told of anything"}}
				}
				return in.file(ctx, in.RoutesBucket, in.RoutesObject, "JOBDROP_ROUTES", "Notify uses the last ones that were valid",
					func(name string, data []byte) []job.Violation {
						_, vs := routes.Parse(name, data)
						return vs
					})
			}},
		{name: "secrets", on: uri(in.RoutesBucket, in.RoutesObject), absent: "has no Secret Manager", run: in.secrets},
	}
}

func uri(bucket, object string) string {
	if object == "" {
		return ""
	}
	return "gs://" + bucket + "/" + object
}

// file reads and checks a file of the operator's. harm says what happens where it is not valid.
func (in *installation) file(
	ctx context.Context, bucket, object, variable, harm string, parse func(string, []byte) []job.Violation,
) []Finding {
	a, err := in.calls.read(ctx, in.objectURL(bucket, object))
	if err != nil {
		return []Finding{missing(unread(cloudStorage, "", "storage.objects.get", err), err,
			"the object of "+variable+" does not exist: "+harm)}
	}
	var found []Finding
	for _, v := range parse(path.Base(object), a.data) {
		f := Finding{Status: Warning, Text: firstLine(v.String()),
			Remedy: "mend the file that Terraform's variables name, and apply"}
		if v.Severity != job.Warning {
			f.Status, f.Text = Problem, f.Text+"; "+harm
		}
		found = append(found, f)
	}
	if len(found) == 0 {
		found = []Finding{{Status: OK, Text: "it is valid"}}
	}
	return found
}

// secrets checks that Secret Manager has what the routes name. It reads no secret: only whether there is a version that
// can be read.
func (in *installation) secrets(ctx context.Context) []Finding {
	if in.RoutesObject == "" {
		return []Finding{{Status: OK, Text: "no routes need any"}}
	}
	a, err := in.calls.read(ctx, in.objectURL(in.RoutesBucket, in.RoutesObject))
	if err != nil {
		return []Finding{{Status: Skipped, Text: "the routes that name them can't be read"}}
	}
	file, vs := routes.Parse(in.RoutesObject, a.data)
	if job.HasErrors(vs) || file == nil {
		return []Finding{{Status: Skipped, Text: "the routes that name them are not valid"}}
	}
	var found []Finding
	versions := versionsOf(file)
	for _, version := range versions {
		v, err := get[secretmanager.SecretVersion](ctx, in.calls, "https://secretmanager.googleapis.com/v1/"+version)
		if f := judgeSecret(version, v, err); f.Status != OK {
			found = append(found, f)
		}
	}
	switch {
	case len(found) > 0:
	case len(versions) == 0:
		found = []Finding{{Status: OK, Text: "the routes name none of Secret Manager"}}
	default:
		text := fmt.Sprintf("Secret Manager has what the routes name (%d)", len(versions))
		found = []Finding{{Status: OK, Text: text}}
	}
	return found
}

func judgeSecret(version string, v *secretmanager.SecretVersion, err error) Finding {
	const remedy = "gcloud secrets versions add puts a value there"
	switch {
	case code(err) == http.StatusNotFound:
		return Finding{On: version, Status: Problem, Text: "the secret has no such version: its destination is not reached",
			Remedy: remedy}
	case disabled(err):
		f := unread(secretManager, version, "secretmanager.versions.get", err)
		f.Status = Problem
		return f
	case err != nil:
		return unread(secretManager, version, "secretmanager.versions.get", err)
	case v.State != "ENABLED":
		return Finding{On: version, Status: Problem,
			Text: "the secret's version is " + v.State + ": its destination is not reached", Remedy: remedy}
	}
	return Finding{On: version, Status: OK}
}

// versionsOf returns the versions of secrets that routes name, sorted.
func versionsOf(file *routes.File) []string {
	var all []string
	for _, name := range file.Destinations() {
		d, _ := file.Destination(name)
		for _, r := range d.References() {
			version, ok := strings.CutPrefix(string(r), "secret://")
			if !ok {
				continue
			}
			if !strings.Contains(version, "/versions/") {
				version += "/versions/latest"
			}
			all = append(all, version)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
