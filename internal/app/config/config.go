// Package config reads the environment of the functions: in one place, checked
// as a whole, all faults at once.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Lookup returns the value of an environment variable, as os.LookupEnv does.
type Lookup func(name string) (value string, ok bool)

// Config is an installation's configuration.
type Config struct {
	Instance string
	Project  string
	Inbox    string
	State    string
	Staging  string
	Status   string
	Topic    string
	// PolicyBucket and PolicyObject name the operator's policy; empty without one.
	PolicyBucket string
	PolicyObject string
	// RoutesBucket and RoutesObject name the operator's routes; empty if nobody is to be told.
	RoutesBucket    string
	RoutesObject    string
	Backend         string
	Regions         []string
	BackendEndpoint string
	PubSubEndpoint  string
	StorageEmulator string
	PubSubEmulator  string
	Settle          time.Duration
	Incomplete      time.Duration
	Expire          time.Duration
	SubmitWithin    time.Duration
	Grace           time.Duration
	CallTime        time.Duration
	// ReadsPerMinute bounds what Watch reads of the backend, polls and pages of its list.
	ReadsPerMinute int
	LogLevel       slog.Level
	// LogView is the resource in Cloud Logging whose entries are read; empty if none may be.
	LogView         string
	LoggingEndpoint string
	// Collector is the URL of an OTLP collector; empty where nothing is measured.
	Collector string
}

// Reader is a set of functions.
type Reader int

// Submit and Watch read the same variables. Notify knows neither the backend nor the other buckets.
const (
	SubmitAndWatch Reader = 1 << iota
	Notify
	All = SubmitAndWatch | Notify
)

// Variable documents an environment variable.
type Variable struct {
	Name string
	// Readers are the functions that read the variable, Required those that can't do without it.
	Readers, Required Reader
	// Default is the value where the variable is not set.
	Default string
	Meaning string

	pattern *regexp.Regexp
	form    string
	set     func(*Config, string) error
}

var (
	name   = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)
	bucket = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$`)
	topic  = regexp.MustCompile(`^projects/[^/]+/topics/[^/]+$`)
	view   = regexp.MustCompile(`^projects/[^/]+/locations/[^/]+/buckets/[^/]+/views/[^/]+$`)
	object = regexp.MustCompile(`^gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]/.*[^/]$`)
)

// Variables lists every environment variable that the functions read. Nothing
// that names a resource has a default.
func Variables() []Variable {
	text := func(field func(*Config) *string) func(*Config, string) error {
		return func(c *Config, v string) error { *field(c) = v; return nil }
	}
	duration := func(field func(*Config) *time.Duration) func(*Config, string) error {
		return func(c *Config, v string) error {
			d, err := time.ParseDuration(v)
			if err == nil && d < 0 {
				err = errors.New("is negative")
			}
			*field(c) = d
			return err
		}
	}
	const bucketForm = "a bucket's name, without gs://"
	return []Variable{
		{Name: "JOBDROP_INSTANCE", Readers: All, Required: All,
			Meaning: "name of this installation; part of every job's labels and of the events' source",
			pattern: name, form: "lower-case letters, digits and hyphens, beginning with a letter",
			set: text(func(c *Config) *string { return &c.Instance })},
		{Name: "JOBDROP_PROJECT", Readers: All, Required: All,
			Meaning: "project in which jobs run and functions log",
			set:     text(func(c *Config) *string { return &c.Project })},
		{Name: "JOBDROP_INBOX", Readers: SubmitAndWatch, Required: SubmitAndWatch,
			Meaning: "bucket that people and CI upload into",
			pattern: bucket, form: bucketForm, set: text(func(c *Config) *string { return &c.Inbox })},
		{Name: "JOBDROP_STATE_BUCKET", Readers: All, Required: All, Meaning: "bucket of jobdrop's own records",
			pattern: bucket, form: bucketForm, set: text(func(c *Config) *string { return &c.State })},
		{Name: "JOBDROP_STAGING_BUCKET", Readers: SubmitAndWatch, Required: SubmitAndWatch,
			Meaning: "bucket of the packages as they were checked; trainers read it",
			pattern: bucket, form: bucketForm, set: text(func(c *Config) *string { return &c.Staging })},
		{Name: "JOBDROP_STATUS_BUCKET", Readers: All, Required: SubmitAndWatch,
			Meaning: "bucket of status.json; droppers read it",
			pattern: bucket, form: bucketForm, set: text(func(c *Config) *string { return &c.Status })},
		{Name: "JOBDROP_TOPIC", Readers: SubmitAndWatch, Required: SubmitAndWatch,
			Meaning: "Pub/Sub topic of the lifecycle events",
			pattern: topic, form: "projects/PROJECT/topics/TOPIC", set: text(func(c *Config) *string { return &c.Topic })},
		{Name: "JOBDROP_POLICY", Readers: SubmitAndWatch,
			Meaning: "the operator's policy.yaml, as `gs://BUCKET/OBJECT`; without it nothing that reaches beyond the project " +
				"and the drop is allowed",
			pattern: object, form: "gs://BUCKET/OBJECT", set: func(c *Config, v string) error {
				c.PolicyBucket, c.PolicyObject, _ = strings.Cut(strings.TrimPrefix(v, "gs://"), "/")
				return nil
			}},
		{Name: "JOBDROP_ROUTES", Readers: Notify,
			Meaning: "the operator's routes.yaml, as `gs://BUCKET/OBJECT`; without it nobody is told of anything",
			pattern: object, form: "gs://BUCKET/OBJECT", set: func(c *Config, v string) error {
				c.RoutesBucket, c.RoutesObject, _ = strings.Cut(strings.TrimPrefix(v, "gs://"), "/")
				return nil
			}},
		{Name: "JOBDROP_BACKEND", Readers: SubmitAndWatch, Required: SubmitAndWatch,
			Meaning: "service that runs jobs: `vertex` (Vertex AI) or `aiplatform` (ml/v1)",
			pattern: regexp.MustCompile(`^(aiplatform|vertex)$`), form: "aiplatform or vertex",
			set: text(func(c *Config) *string { return &c.Backend })},
		{Name: "JOBDROP_REGIONS", Readers: SubmitAndWatch,
			Meaning: "regions in which jobs may run at Vertex AI, separated by commas; required there",
			pattern: regexp.MustCompile(`^[a-z]+-[a-z]+[0-9]+( *, *[a-z]+-[a-z]+[0-9]+)*$`),
			form:    "regions separated by commas, e.g. europe-west4,us-central1", set: func(c *Config, v string) error {
				for region := range strings.SplitSeq(v, ",") {
					c.Regions = append(c.Regions, strings.TrimSpace(region))
				}
				return nil
			}},
		{Name: "JOBDROP_BACKEND_ENDPOINT", Readers: SubmitAndWatch,
			Meaning: "base URL of the backend where it is not Google's own",
			pattern: regexp.MustCompile(`^https?://`), form: "an http or https URL",
			set: text(func(c *Config) *string { return &c.BackendEndpoint })},
		{Name: "JOBDROP_PUBSUB_ENDPOINT", Readers: SubmitAndWatch,
			Meaning: "regional endpoint of Pub/Sub, e.g. `europe-west4-pubsub.googleapis.com:443`: events are ordered within " +
				"a region",
			set: text(func(c *Config) *string { return &c.PubSubEndpoint })},
		{Name: "JOBDROP_SETTLE", Readers: SubmitAndWatch, Default: "60s",
			Meaning: "how long a folder that ran before is given for its new package",
			set:     duration(func(c *Config) *time.Duration { return &c.Settle })},
		{Name: "JOBDROP_INCOMPLETE_AFTER", Readers: SubmitAndWatch, Default: "15m",
			Meaning: "when missing packages are reported",
			set:     duration(func(c *Config) *time.Duration { return &c.Incomplete })},
		{Name: "JOBDROP_EXPIRE_AFTER", Readers: SubmitAndWatch, Default: "24h",
			Meaning: "when an incomplete drop is given up",
			set:     duration(func(c *Config) *time.Duration { return &c.Expire })},
		{Name: "JOBDROP_SUBMIT_WITHIN", Readers: SubmitAndWatch, Default: "24h",
			Meaning: "how long the backend is asked for the job of an accepted drop that it does not take; `0s` is for ever",
			set:     duration(func(c *Config) *time.Duration { return &c.SubmitWithin })},
		{Name: "JOBDROP_GRACE", Readers: SubmitAndWatch, Default: "15m",
			Meaning: "how long after a limit on a job's time jobdrop itself cancels the job, where the backend has not; " +
				"longer than clocks differ",
			set: duration(func(c *Config) *time.Duration { return &c.Grace })},
		{Name: "JOBDROP_CALL_TIME", Readers: SubmitAndWatch, Default: "30s",
			Meaning: "how long one call of the backend may take, with its repeats; a process that died while it created a job " +
				"is waited for four times as long",
			set: duration(func(c *Config) *time.Duration { return &c.CallTime })},
		{Name: "JOBDROP_READS_PER_MINUTE", Readers: SubmitAndWatch, Default: "480",
			Meaning: "how many times a minute Watch may read from the backend; the default is four fifths of Vertex AI's quota",
			pattern: regexp.MustCompile(`^[1-9][0-9]{1,6}$`), form: "a number from 10 to 9999999",
			set: func(c *Config, v string) (err error) { c.ReadsPerMinute, err = strconv.Atoi(v); return err }},
		{Name: "JOBDROP_LOG_VIEW", Readers: SubmitAndWatch,
			Meaning: "log view that Watch reads for the policy's `logExcerpt`, and the console on Cloud Run for its pages; " +
				"without it events have no excerpts",
			pattern: view, form: "projects/PROJECT/locations/LOCATION/buckets/BUCKET/views/VIEW",
			set: text(func(c *Config) *string { return &c.LogView })},
		{Name: "JOBDROP_LOGGING_ENDPOINT", Readers: SubmitAndWatch,
			Meaning: "base URL of Cloud Logging where it is not Google's own",
			pattern: regexp.MustCompile(`^https?://`), form: "an http or https URL",
			set: text(func(c *Config) *string { return &c.LoggingEndpoint })},
		{Name: "JOBDROP_LOG_LEVEL", Readers: All, Default: "INFO",
			Meaning: "`DEBUG`, `INFO`, `WARN` or `ERROR`",
			set:     func(c *Config, v string) error { return c.LogLevel.UnmarshalText([]byte(v)) }},
		{Name: "OTEL_EXPORTER_OTLP_ENDPOINT", Readers: All,
			Meaning: "URL of a collector that takes metrics and traces, OTLP over HTTP; without it nothing is measured",
			pattern: regexp.MustCompile(`^https?://[^/]`), form: "https://HOST[:PORT]",
			set: text(func(c *Config) *string { return &c.Collector })},
		{Name: "STORAGE_EMULATOR_HOST", Readers: All, Meaning: "Cloud Storage emulator, as host:port or URL",
			set: text(func(c *Config) *string { return &c.StorageEmulator })},
		{Name: "PUBSUB_EMULATOR_HOST", Readers: SubmitAndWatch, Meaning: "Pub/Sub emulator, as host:port",
			set: text(func(c *Config) *string { return &c.PubSubEmulator })},
	}
}

// Load reads the configuration of Submit and Watch. Its error names every variable that
// is missing or malformed.
func Load(lookup Lookup) (Config, error) {
	c, errs := read(lookup, SubmitAndWatch)
	if c.Backend == "vertex" && len(c.Regions) == 0 {
		errs = append(errs,
			errors.New("JOBDROP_REGIONS is not set: Vertex AI has jobs in regions, and ticks look for them in those that are "+
				"named"))
	}
	if len(errs) == 0 && c.CallTime < time.Second {
		errs = append(errs, fmt.Errorf("JOBDROP_CALL_TIME is %s, must be at least 1s", c.CallTime))
	}
	if len(errs) == 0 && c.Incomplete > c.Expire {
		errs = append(errs,
			fmt.Errorf("JOBDROP_INCOMPLETE_AFTER is %s, must not be longer than JOBDROP_EXPIRE_AFTER, %s", c.Incomplete,
				c.Expire))
	}
	seen := map[string]string{}
	for _, b := range [...]struct{ variable, bucket string }{
		{"JOBDROP_INBOX", c.Inbox}, {"JOBDROP_STATE_BUCKET", c.State},
		{"JOBDROP_STAGING_BUCKET", c.Staging}, {"JOBDROP_STATUS_BUCKET", c.Status},
	} {
		// One bucket for two purposes would let droppers write jobdrop's
		// own records, or wake the functions by their own writes.
		if other := seen[b.bucket]; other != "" && b.bucket != "" {
			errs = append(errs, fmt.Errorf("%s and %s are both %q: each needs a bucket of its own", other, b.variable, b.bucket))
		}
		seen[b.bucket] = b.variable
	}
	// The state bucket is jobdrop's alone; the others are open to those whom the
	// policy is to bind.
	if other := seen[c.PolicyBucket]; other != "" && c.PolicyBucket != "" && c.PolicyBucket != c.State {
		errs = append(errs,
			fmt.Errorf("JOBDROP_POLICY lies in %q, which is %s: whoever writes there could change the policy", c.PolicyBucket,
				other))
	}
	return whole(c, errs)
}

// LoadNotify reads the configuration of Notify, which leaves the fields of what only the
// other functions read empty. Its error names every variable that is missing or malformed.
func LoadNotify(lookup Lookup) (Config, error) {
	c, errs := read(lookup, Notify)
	return whole(c, errs)
}

// LoadFor reads the configuration of a program other than the functions, which needs only some of the variables. The named
// ones have to be set. What is set is checked.
func LoadFor(lookup Lookup, names ...string) (Config, error) {
	c, errs := read(lookup, 0)
	for _, v := range Variables() {
		if value, _ := lookup(v.Name); slices.Contains(names, v.Name) && strings.TrimSpace(value) == "" {
			errs = append(errs, fmt.Errorf("%s is not set: %s", v.Name, v.Meaning))
		}
	}
	return whole(c, errs)
}

// whole returns a configuration without faults, or all of the faults.
func whole(c Config, errs []error) (Config, error) {
	if err := errors.Join(errs...); err != nil {
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	return c, nil
}

// read reads the variables of some functions, each by itself; by 0 all, of which none is required.
func read(lookup Lookup, by Reader) (c Config, errs []error) {
	for _, v := range Variables() {
		if by != 0 && v.Readers&by == 0 {
			continue
		}
		value, _ := lookup(v.Name)
		value = strings.TrimSpace(value)
		switch {
		case value == "" && v.Required&by != 0:
			errs = append(errs, fmt.Errorf("%s is not set: %s", v.Name, v.Meaning))
			continue
		case value == "":
			value = v.Default
		case v.pattern != nil && !v.pattern.MatchString(value):
			errs = append(errs, fmt.Errorf("%s is %q, must be %s", v.Name, value, v.form))
			continue
		}
		if value == "" {
			continue
		}
		if err := v.set(&c, value); err != nil {
			errs = append(errs, fmt.Errorf("%s is %q: %w", v.Name, value, err))
		}
	}
	return c, errs
}
