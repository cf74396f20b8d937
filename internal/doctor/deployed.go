package doctor

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"strings"
	"time"

	"google.golang.org/api/cloudfunctions/v2"
	"google.golang.org/api/cloudscheduler/v1"
	"google.golang.org/api/run/v2"

	"github.com/jobdrop/jobdrop/internal/app/config"
)

// deployedChecks returns the checks of the functions, and of what calls them.
func (in *installation) deployedChecks() []check {
	needs := []string{"JOBDROP_INSTANCE", "JOBDROP_PROJECT", "JOBDROP_PUBSUB_ENDPOINT"}
	all := []check{
		{name: "functions", needs: needs, absent: "runs the functions of the command that started it", run: in.functions},
		{name: "schedule", on: in.Instance + WatchTicks, needs: needs, absent: "calls Watch itself",
			run: func(ctx context.Context) []Finding {
				return in.schedule(ctx, in.scheduled(WatchTicks), "Watch", false)
			}},
	}
	if in.RoutesObject != "" {
		all = append(all, check{
			name: "schedule", on: in.Instance + NotifyTicks, needs: needs, absent: "calls Notify itself",
			run: func(ctx context.Context) []Finding {
				return in.schedule(ctx, in.scheduled(NotifyTicks), "Notify", true)
			},
		})
	}
	return all
}

// function is one of the deployed functions.
type function struct {
	name   string
	reader config.Reader
	// service is what Cloud Run has of it, and source the archive that it was built from; empty for a service of an image.
	service *run.GoogleCloudRunV2Service
	source  string
}

// version returns what tells one version of the code from another: the image, or the source of which there are several.
func (f function) version() string {
	if f.source != "" {
		return f.source
	}
	if c := f.container(); c != nil {
		return c.Image
	}
	return ""
}

func (f function) container() *run.GoogleCloudRunV2Container {
	if t := f.service.Template; t != nil && len(t.Containers) > 0 {
		return t.Containers[0]
	}
	return nil
}

// functions checks the functions that are deployed: that they run, with these settings, and all of one version.
func (in *installation) functions(ctx context.Context) []Finding {
	all := []function{
		{name: in.Instance + SubmitName, reader: config.SubmitAndWatch},
		{name: in.Instance + WatchName, reader: config.SubmitAndWatch},
	}
	if in.RoutesObject != "" {
		all = append(all, function{name: in.Instance + NotifyName, reader: config.Notify})
	}
	var found []Finding
	var deployed []function
	for _, f := range all {
		place := "projects/" + in.Project + "/locations/" + in.region
		service, err := get[run.GoogleCloudRunV2Service](ctx, in.calls,
			"https://run.googleapis.com/v2/"+place+"/services/"+f.name)
		if err != nil {
			found = append(found, missing(unread(cloudRun, f.name, "run.services.get", err), err,
				"the function is not deployed in "+in.region))
			continue
		}
		f.service = service
		if service.Labels["goog-managed-by"] == "cloudfunctions" {
			built, err := get[cloudfunctions.Function](ctx, in.calls,
				"https://cloudfunctions.googleapis.com/v2/"+place+"/functions/"+f.name)
			if err != nil {
				found = append(found, unread(functionsAPI, f.name, "cloudfunctions.functions.get", err))
			} else {
				f.source = sourceOf(built)
			}
		}
		deployed = append(deployed, f)
		found = append(found, in.judgeFunction(f)...)
	}
	return append(found, judgeVersions(deployed)...)
}

// sourceOf returns the archive that a function was built from.
func sourceOf(f *cloudfunctions.Function) string {
	if f.BuildConfig == nil || f.BuildConfig.Source == nil || f.BuildConfig.Source.StorageSource == nil {
		return ""
	}
	return f.BuildConfig.Source.StorageSource.Object
}

// judgeFunction judges whether a function runs, with these settings.
func (in *installation) judgeFunction(f function) []Finding {
	var found []Finding
	report := func(s Status, remedy, format string, args ...any) {
		found = append(found, Finding{On: f.name, Status: s, Text: fmt.Sprintf(format, args...), Remedy: remedy})
	}
	const look = "gcloud run services describe shows it; the log of the newest revision says why"
	s := f.service
	switch c := s.TerminalCondition; {
	case c != nil && c.State == "CONDITION_FAILED":
		report(Problem, look, "its last deployment failed: %s", firstLine(c.Message))
	case s.LatestReadyRevision != s.LatestCreatedRevision:
		report(Problem, look, "its newest revision %s is not ready; %s serves", path.Base(s.LatestCreatedRevision),
			path.Base(s.LatestReadyRevision))
	}
	if c := f.container(); c != nil {
		there := map[string]string{}
		for _, e := range c.Env {
			there[e.Name] = e.Value
		}
		for _, v := range config.Variables() {
			if v.Readers&f.reader == 0 {
				continue
			}
			here, _ := in.lookup(v.Name)
			if here = strings.TrimSpace(here); here != there[v.Name] {
				report(Warning, "terraform apply, then write the file of settings anew: one of the two is old",
					"%s is %q in the function, and %q in your settings", v.Name, there[v.Name], here)
			}
		}
	}
	if len(found) == 0 {
		report(OK, "", "it runs revision %s of %s, with these settings", path.Base(s.LatestReadyRevision), tail(f.version()))
	}
	return found
}

// tail returns the part of a version that tells it from others.
func tail(version string) string {
	if _, digest, ok := strings.Cut(version, "@sha256:"); ok {
		return "the image " + digest[:min(len(digest), 12)]
	}
	return path.Base(version)
}

// judgeVersions judges whether all functions are of one version. Those that Cloud Functions built have images of their
// own.
func judgeVersions(all []function) []Finding {
	for i := range all {
		for _, other := range all[:i] {
			a, b := other.version(), all[i].version()
			if (other.source == "") == (all[i].source == "") && a != "" && b != "" && a != b {
				return []Finding{{Status: Warning, Remedy: "terraform apply deploys all of them", Text: fmt.Sprintf(
					"the functions are of several versions: %s is of %s, and %s of %s", other.name, tail(a), all[i].name, tail(b))}}
			}
		}
	}
	return nil
}

// scheduled returns the full name of one of the installation's jobs of Cloud Scheduler.
func (in *installation) scheduled(suffix string) string {
	return "projects/" + in.Project + "/locations/" + in.scheduler + "/jobs/" + in.Instance + suffix
}

// schedule checks what calls a function each minute, or each few.
func (in *installation) schedule(ctx context.Context, name, function string, minutely bool) []Finding {
	j, err := get[cloudscheduler.Job](ctx, in.calls, "https://cloudscheduler.googleapis.com/v1/"+name)
	if code(err) == http.StatusNotFound {
		return []Finding{{Status: Problem, Text: "Cloud Scheduler has no such job: nothing calls " + function,
			Remedy: "terraform apply; where Cloud Scheduler is in another region, name it with --scheduler-region"}}
	}
	if err != nil {
		return []Finding{unread(scheduler, "", "cloudscheduler.jobs.get", err)}
	}
	return judgeSchedule(j, function, minutely)
}

// Ticks matches the schedules that Terraform allows for Watch.
var Ticks = regexp.MustCompile(`^(\*|\*/[1-5]) \* \* \* \*$`)

func judgeSchedule(j *cloudscheduler.Job, function string, minutely bool) []Finding {
	var found []Finding
	report := func(s Status, remedy, format string, args ...any) {
		found = append(found, Finding{Status: s, Text: fmt.Sprintf(format, args...), Remedy: remedy})
	}
	if j.State != "ENABLED" {
		report(Problem, "gcloud scheduler jobs resume goes on with it", "it is %s: nothing calls %s", j.State, function)
	}
	if !Ticks.MatchString(j.Schedule) || minutely && j.Schedule != "* * * * *" {
		report(Warning, apply,
			"its schedule is %s: limits and alerts count on one to five minutes, and on each minute for Notify", j.Schedule)
	}
	if j.Status != nil && j.Status.Code != 0 {
		report(Problem, "the log of "+function+" says why, or the job's own: the caller may lack run.invoker",
			"its last call of %s failed with code %d %s", function, j.Status.Code, firstLine(j.Status.Message))
	}
	if d, err := time.ParseDuration(j.AttemptDeadline); err != nil || d < WorkSeconds*time.Second {
		report(Warning, apply, "it waits %s for an answer, and a tick may take %d s: one that is cut off counts as failed",
			j.AttemptDeadline, WorkSeconds)
	}
	if len(found) == 0 {
		report(OK, "", "it calls %s (%s), and the last call was answered", function, j.Schedule)
	}
	return found
}
