package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/app/config"
)

// installation is what is examined.
type installation struct {
	config.Config
	lookup      config.Lookup
	valid       map[string]bool // settings that are there, and valid by themselves
	calls       calls
	credentials error
	now         func() time.Time
	// region is where the functions are, and scheduler that of their schedule. They are empty if the settings don't say.
	region, scheduler string
}

// regional finds the region in an endpoint of Pub/Sub. Terraform sets it to that of the functions.
var regional = regexp.MustCompile(`^([a-z]+-[a-z]+[0-9]+)-pubsub\.googleapis\.com(:443)?$`)

func newInstallation(c config.Config, valid map[string]bool, o Options) *installation {
	in := &installation{
		Config: c, lookup: o.Lookup, valid: valid, calls: calls{o.Client}, credentials: o.Credentials, now: o.Now,
		scheduler: o.SchedulerRegion,
	}
	in.region = RegionOf(c.PubSubEndpoint)
	if in.scheduler == "" {
		in.scheduler = in.region
	}
	return in
}

// RegionOf returns the region of an endpoint of Pub/Sub; nothing if the endpoint is not a region's.
func RegionOf(endpoint string) string {
	if m := regional.FindStringSubmatch(endpoint); m != nil {
		return m[1]
	}
	return ""
}

// local reports whether it is jobdrop local's stack.
func (in *installation) local() bool { return in.StorageEmulator != "" }

// only returns a lookup that knows one setting.
func only(lookup config.Lookup, name string) config.Lookup {
	return func(other string) (string, bool) {
		if other != name {
			return "", false
		}
		return lookup(name)
	}
}

// settings reads the settings, and returns those that are there and valid by themselves, and the faults of all
// functions' together. What is faulty is left out of the configuration, so that the rest can be checked.
func settings(lookup config.Lookup) (c config.Config, valid map[string]bool, faults []error) {
	keep := func(err error) {
		for _, fault := range parts(err) {
			if !slices.ContainsFunc(faults, func(f error) bool { return f.Error() == fault.Error() }) {
				faults = append(faults, fault)
			}
		}
	}
	_, err := config.Load(lookup)
	keep(err)
	_, err = config.LoadNotify(lookup)
	keep(err)
	valid = map[string]bool{}
	for _, v := range config.Variables() {
		if value, _ := lookup(v.Name); strings.TrimSpace(value) != "" {
			_, err := config.LoadFor(only(lookup, v.Name))
			valid[v.Name] = err == nil
		}
	}
	c, err = config.LoadFor(func(name string) (string, bool) {
		if !valid[name] {
			return "", false
		}
		return lookup(name)
	})
	keep(err)
	return c, valid, faults
}

// parts returns the errors that an error joins.
func parts(err error) []error {
	if err == nil {
		return nil
	}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()
	}
	return []error{err}
}

// The URLs of what is asked. Settings that name another place than Google's are followed.

func (in *installation) storage() string {
	base := in.StorageEmulator
	switch {
	case base == "":
		base = "https://storage.googleapis.com"
	case !strings.Contains(base, "://"):
		base = "http://" + base
	}
	return strings.TrimSuffix(base, "/") + "/storage/v1"
}

func (in *installation) bucketURL(bucket string) string {
	return in.storage() + "/b/" + url.PathEscape(bucket)
}

func (in *installation) objectURL(bucket, name string) string {
	return in.bucketURL(bucket) + "/o/" + url.PathEscape(name) + "?alt=media"
}

// pubSub returns the base URL of Pub/Sub: the endpoint that the functions publish to.
func (in *installation) pubSub() string {
	switch {
	case in.PubSubEmulator != "":
		return "http://" + in.PubSubEmulator + "/v1/"
	case in.region != "":
		return "https://" + in.region + "-pubsub.googleapis.com/v1/"
	}
	return "https://pubsub.googleapis.com/v1/"
}

// jobsURL returns where the backend lists jobs: in a region, if it has regions.
func (in *installation) jobsURL(region string) string {
	base := strings.TrimSuffix(in.BackendEndpoint, "/")
	if in.Backend == "aiplatform" {
		if base == "" {
			base = "https://ml.googleapis.com"
		}
		return fmt.Sprintf("%s/v1/projects/%s/jobs?pageSize=1", base, in.Project)
	}
	if base == "" {
		base = "https://" + region + "-aiplatform.googleapis.com"
	}
	return fmt.Sprintf("%s/v1/projects/%s/locations/%s/customJobs?pageSize=1", base, in.Project, region)
}

func (in *installation) logging() string {
	if in.LoggingEndpoint != "" {
		return strings.TrimSuffix(in.LoggingEndpoint, "/")
	}
	return "https://logging.googleapis.com"
}

// checks returns all checks, in the order in which their findings are shown.
func (in *installation) checks(faults []error) []check {
	all := []check{
		{name: "settings", offline: true, run: func(context.Context) []Finding { return judgeSettings(faults) }},
		{name: "credentials", offline: true, run: func(context.Context) []Finding { return in.judgeCredentials() }},
		{name: "clock", needs: []string{stateVariable}, run: in.clock},
	}
	all = append(all, in.reachChecks()...)
	all = append(all, in.bucketChecks()...)
	all = append(all, check{
		name: "trigger", on: "gs://" + in.Inbox, needs: []string{"JOBDROP_INSTANCE", "JOBDROP_PROJECT", "JOBDROP_INBOX"},
		absent: "wakes Submit itself", run: in.trigger,
	})
	all = append(all, in.topicChecks()...)
	all = append(all, check{name: "heartbeat", on: "gs://" + in.State + "/" + heartbeatObject,
		needs: []string{stateVariable}, run: in.heartbeat})
	all = append(all, in.fileChecks()...)
	all = append(all, in.deployedChecks()...)
	return append(all, in.rightChecks()...)
}

const stateVariable = "JOBDROP_STATE_BUCKET"

func judgeSettings(faults []error) []Finding {
	if len(faults) == 0 {
		return []Finding{{Status: OK, Text: "all settings of the functions are there, and valid together"}}
	}
	var found []Finding
	for _, err := range faults {
		found = append(found, Finding{
			Status: Problem, Text: firstLine(err.Error()),
			Remedy: "mend it in Terraform's variables, and write the file of settings anew; docs/environment.md has each form",
		})
	}
	return found
}

func (in *installation) judgeCredentials() []Finding {
	switch {
	case in.local():
		return []Finding{{Status: Skipped, Text: "jobdrop local asks for none"}}
	case in.credentials != nil:
		return []Finding{{Status: Problem, Text: cause(in.credentials), Remedy: login}}
	}
	return []Finding{{Status: OK, Text: "there are credentials of Google Cloud"}}
}
