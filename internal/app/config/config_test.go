package config_test

import (
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/app/config"
)

// required returns the least environment of an installation.
func required() map[string]string {
	return map[string]string{
		"JOBDROP_INSTANCE": "prod", "JOBDROP_PROJECT": "example.com:p", "JOBDROP_INBOX": "inbox",
		"JOBDROP_STATE_BUCKET": "state", "JOBDROP_STAGING_BUCKET": "staging", "JOBDROP_STATUS_BUCKET": "status",
		"JOBDROP_TOPIC": "projects/p/topics/t", "JOBDROP_BACKEND": "aiplatform",
	}
}

func environment(more map[string]string) config.Lookup {
	all := required()
	maps.Copy(all, more)
	return func(name string) (string, bool) {
		value, ok := all[name]
		return value, ok
	}
}

// defaults returns the configuration of the least environment.
func defaults() config.Config {
	return config.Config{
		Instance: "prod", Project: "example.com:p", Inbox: "inbox", State: "state", Staging: "staging", Status: "status",
		Topic: "projects/p/topics/t", Backend: "aiplatform",
		Settle: time.Minute, Incomplete: 15 * time.Minute, Expire: 24 * time.Hour, SubmitWithin: 24 * time.Hour,
		Grace: 15 * time.Minute, CallTime: 30 * time.Second, ReadsPerMinute: 480,
	}
}

func TestLoad(t *testing.T) {
	full := defaults()
	full.BackendEndpoint, full.PubSubEndpoint = "http://127.0.0.1:8", "europe-west4-pubsub.googleapis.com:443"
	full.StorageEmulator, full.PubSubEmulator = "127.0.0.1:9", "127.0.0.1:10"
	full.PolicyBucket, full.PolicyObject = "ops", "jobdrop/policy.yaml"
	full.Settle, full.Incomplete, full.Expire, full.LogLevel = 0, time.Second, 90*time.Minute, slog.LevelWarn
	full.SubmitWithin, full.Grace, full.CallTime = 0, time.Minute, 3*time.Second
	full.ReadsPerMinute = 600
	full.Collector = "http://127.0.0.1:4318"
	atVertex := defaults()
	atVertex.Backend, atVertex.Regions = "vertex", []string{"europe-west4", "us-central1"}
	tests := []struct {
		name string
		more map[string]string
		want config.Config
	}{
		{"required alone", nil, defaults()},
		{"empty means not set", map[string]string{"JOBDROP_SETTLE": "", "JOBDROP_GRACE": " "}, defaults()},
		{"blanks around a value", map[string]string{"JOBDROP_INBOX": " inbox\n"}, defaults()},
		{"all", map[string]string{
			"JOBDROP_BACKEND": "aiplatform", "JOBDROP_BACKEND_ENDPOINT": "http://127.0.0.1:8",
			"JOBDROP_PUBSUB_ENDPOINT": "europe-west4-pubsub.googleapis.com:443",
			"JOBDROP_SETTLE":          "0s", "JOBDROP_INCOMPLETE_AFTER": "1s", "JOBDROP_EXPIRE_AFTER": "1h30m",
			"JOBDROP_SUBMIT_WITHIN": "0s", "JOBDROP_GRACE": "1m", "JOBDROP_CALL_TIME": "3s", "JOBDROP_READS_PER_MINUTE": "600",
			"JOBDROP_LOG_LEVEL":           "WARN",
			"JOBDROP_POLICY":              "gs://ops/jobdrop/policy.yaml",
			"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318",
			"STORAGE_EMULATOR_HOST":       "127.0.0.1:9", "PUBSUB_EMULATOR_HOST": "127.0.0.1:10",
		}, full},
		{
			"Vertex AI", map[string]string{"JOBDROP_BACKEND": "vertex", "JOBDROP_REGIONS": "europe-west4, us-central1"},
			atVertex,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := config.Load(environment(test.more))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
		})
	}
}

// Whoever fills in an environment sees in one go what is missing, and what each
// variable is for.
func TestLoadNamesAllThatIsMissing(t *testing.T) {
	_, err := config.Load(func(string) (string, bool) { return "", false })
	if err == nil {
		t.Fatal("no error for an empty environment")
	}
	for _, v := range config.Variables() {
		want := v.Required&config.SubmitAndWatch != 0
		if named := strings.Contains(err.Error(), v.Name+" is not set: "+v.Meaning); named != want {
			t.Errorf("%s, required %t, is named: %t", v.Name, want, named)
		}
	}
	if n := len(strings.Split(err.Error(), "\n")); n != len(required()) {
		t.Errorf("%d faults, want one for each of %d variables:\n%v", n, len(required()), err)
	}
	for name := range required() {
		one := required()
		delete(one, name)
		_, err := config.Load(func(name string) (string, bool) {
			value, ok := one[name]
			return value, ok
		})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	tests := []struct {
		name string
		more map[string]string
		want []string // each in a line of its own
	}{
		{
			"an instance in capitals", map[string]string{"JOBDROP_INSTANCE": "Prod"},
			[]string{`JOBDROP_INSTANCE is "Prod", must be lower-case`},
		},
		{"an instance that ends in a hyphen", map[string]string{"JOBDROP_INSTANCE": "prod-"}, []string{"JOBDROP_INSTANCE"}},
		{"a long instance", map[string]string{"JOBDROP_INSTANCE": strings.Repeat("a", 64)}, []string{"JOBDROP_INSTANCE"}},
		{
			"calls without time", map[string]string{"JOBDROP_CALL_TIME": "0s"},
			[]string{"JOBDROP_CALL_TIME is 0s, must be at least 1s"},
		},
		{
			"hardly any reads", map[string]string{"JOBDROP_READS_PER_MINUTE": "9"},
			[]string{`JOBDROP_READS_PER_MINUTE is "9", must be a number from 10`},
		},
		{
			"a URI for a bucket", map[string]string{"JOBDROP_INBOX": "gs://inbox"},
			[]string{`JOBDROP_INBOX is "gs://inbox", must be a bucket's name`},
		},
		{"a folder of a bucket", map[string]string{"JOBDROP_STATUS_BUCKET": "status/a"}, []string{"JOBDROP_STATUS_BUCKET"}},
		{
			"a topic's short name", map[string]string{"JOBDROP_TOPIC": "lifecycle"},
			[]string{`JOBDROP_TOPIC is "lifecycle", must be projects/PROJECT/topics/TOPIC`},
		},
		{
			"a bucket for a policy", map[string]string{"JOBDROP_POLICY": "ops"},
			[]string{`JOBDROP_POLICY is "ops", must be gs://BUCKET/OBJECT`},
		},
		{"a folder for a policy", map[string]string{"JOBDROP_POLICY": "gs://ops/jobdrop/"}, []string{"JOBDROP_POLICY"}},
		{
			"a policy that droppers can write", map[string]string{"JOBDROP_POLICY": "gs://inbox/policy.yaml"},
			[]string{`JOBDROP_POLICY lies in "inbox", which is JOBDROP_INBOX`},
		},
		{
			"another backend", map[string]string{"JOBDROP_BACKEND": "slurm"},
			[]string{`JOBDROP_BACKEND is "slurm", must be aiplatform`},
		},
		{"Vertex AI without regions", map[string]string{"JOBDROP_BACKEND": "vertex"}, []string{"JOBDROP_REGIONS is not set"}},
		{
			"a zone for a region", map[string]string{"JOBDROP_REGIONS": "europe-west4-a"},
			[]string{`JOBDROP_REGIONS is "europe-west4-a", must be regions`},
		},
		{
			"a region of a host's form", map[string]string{"JOBDROP_REGIONS": "us-central1,evil.example/x1"},
			[]string{"JOBDROP_REGIONS"},
		},
		{
			"an endpoint without a scheme", map[string]string{"JOBDROP_BACKEND_ENDPOINT": "localhost:8"},
			[]string{"JOBDROP_BACKEND_ENDPOINT"},
		},
		{"a number for a duration", map[string]string{"JOBDROP_SETTLE": "60"}, []string{`JOBDROP_SETTLE is "60"`}},
		{
			"reported after it is over", map[string]string{"JOBDROP_INCOMPLETE_AFTER": "2h", "JOBDROP_EXPIRE_AFTER": "1h"},
			[]string{"JOBDROP_INCOMPLETE_AFTER is 2h0m0s, must not be longer than JOBDROP_EXPIRE_AFTER, 1h0m0s"},
		},
		{
			"a negative duration", map[string]string{"JOBDROP_EXPIRE_AFTER": "-1h"},
			[]string{`JOBDROP_EXPIRE_AFTER is "-1h": is negative`},
		},
		{"an unknown level", map[string]string{"JOBDROP_LOG_LEVEL": "LOUD"}, []string{"JOBDROP_LOG_LEVEL"}},
		{
			"one bucket twice", map[string]string{"JOBDROP_STATE_BUCKET": "inbox"},
			[]string{`JOBDROP_INBOX and JOBDROP_STATE_BUCKET are both "inbox"`},
		},
		{
			"one bucket for all",
			map[string]string{
				"JOBDROP_STATE_BUCKET": "inbox", "JOBDROP_STAGING_BUCKET": "inbox", "JOBDROP_STATUS_BUCKET": "inbox",
			},
			[]string{
				"JOBDROP_INBOX and JOBDROP_STATE_BUCKET", "JOBDROP_STATE_BUCKET and JOBDROP_STAGING_BUCKET",
				"JOBDROP_STAGING_BUCKET and JOBDROP_STATUS_BUCKET",
			},
		},
		{
			"faults of every kind",
			map[string]string{
				"JOBDROP_INSTANCE": "", "JOBDROP_INBOX": "No", "JOBDROP_SETTLE": "soon", "JOBDROP_STATUS_BUCKET": "staging",
			},
			[]string{
				"JOBDROP_INSTANCE is not set", "JOBDROP_INBOX", "JOBDROP_SETTLE",
				"JOBDROP_STAGING_BUCKET and JOBDROP_STATUS_BUCKET",
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := config.Load(environment(test.more))
			if err == nil {
				t.Fatalf("no error, and %+v", got)
			}
			if diff := cmp.Diff(config.Config{}, got); diff != "" {
				t.Errorf("half a configuration beside an error (-want +got):\n%s", diff)
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(test.want) {
				t.Errorf("%d faults, want %d:\n%v", len(lines), len(test.want), err)
			}
			for _, want := range test.want {
				if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, want) }) {
					t.Errorf("%q is not in:\n%v", want, err)
				}
			}
		})
	}
}

// Notify needs what is its own, and nothing of the inbox, the topic and the backend.
func TestLoadNotify(t *testing.T) {
	lookup := func(values map[string]string) config.Lookup {
		return func(name string) (string, bool) { value, ok := values[name]; return value, ok }
	}
	least := map[string]string{"JOBDROP_INSTANCE": "prod", "JOBDROP_PROJECT": "p", "JOBDROP_STATE_BUCKET": "state"}
	full := maps.Clone(least)
	maps.Copy(full, map[string]string{
		"JOBDROP_ROUTES": "gs://ops/jobdrop/routes.yaml", "JOBDROP_LOG_LEVEL": "WARN",
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "STORAGE_EMULATOR_HOST": "127.0.0.1:9",
		"JOBDROP_STATUS_BUCKET": "status",
		// Not Notify's: a fault there is none of its own.
		"JOBDROP_INBOX": "No", "JOBDROP_GRACE": "soon", "PUBSUB_EMULATOR_HOST": "127.0.0.1:10",
	})
	for _, test := range []struct {
		name   string
		values map[string]string
		want   config.Config
	}{
		{"required alone", least, config.Config{Instance: "prod", Project: "p", State: "state"}},
		{"all", full, config.Config{
			Instance: "prod", Project: "p", State: "state", Status: "status",
			RoutesBucket: "ops", RoutesObject: "jobdrop/routes.yaml",
			LogLevel: slog.LevelWarn, Collector: "http://127.0.0.1:4318", StorageEmulator: "127.0.0.1:9",
		}},
	} {
		got, err := config.LoadNotify(lookup(test.values))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	got, err := config.LoadNotify(lookup(map[string]string{"JOBDROP_ROUTES": "gs://ops/jobdrop/"}))
	if err == nil || !cmp.Equal(got, config.Config{}) {
		t.Fatalf("%+v, %v", got, err)
	}
	lines := strings.Split(err.Error(), "\n")
	for i, want := range []string{
		"JOBDROP_INSTANCE is not set", "JOBDROP_PROJECT is not set", "JOBDROP_STATE_BUCKET is not set",
		`JOBDROP_ROUTES is "gs://ops/jobdrop/", must be gs://BUCKET/OBJECT`,
	} {
		if len(lines) != 4 || !strings.Contains(lines[i], want) {
			t.Errorf("%q is not in line %d of:\n%v", want, i+1, err)
		}
	}
	if _, err := config.Load(environment(map[string]string{"JOBDROP_ROUTES": "No"})); err != nil {
		t.Errorf("Submit and Watch read the routes: %v", err)
	}
}

// Every variable that is documented is read by the functions that it is documented for, and
// by no other.
func TestVariables(t *testing.T) {
	asked := map[string]config.Reader{}
	for reader, load := range map[config.Reader]func(config.Lookup) (config.Config, error){
		config.SubmitAndWatch: config.Load, config.Notify: config.LoadNotify,
	} {
		_, _ = load(func(name string) (string, bool) {
			asked[name] |= reader
			return "", false
		})
	}
	documented := map[string]config.Reader{}
	for _, v := range config.Variables() {
		if v.Meaning == "" {
			t.Errorf("%s has no meaning", v.Name)
		}
		if documented[v.Name] != 0 {
			t.Errorf("%s is there twice", v.Name)
		}
		documented[v.Name] = v.Readers
		if v.Required != 0 && v.Default != "" {
			t.Errorf("%s is required and has a default", v.Name)
		}
		if v.Default == "" {
			continue
		}
		if _, err := config.Load(environment(map[string]string{v.Name: v.Default})); err != nil {
			t.Errorf("the default of %s can't be written out: %v", v.Name, err)
		}
	}
	if diff := cmp.Diff(documented, asked); diff != "" {
		t.Errorf("variables (-documented +read):\n%s", diff)
	}
}

// row is a row of the table in docs/environment.md.
var row = regexp.MustCompile(
	"(?m)^\\| `([A-Z][A-Z0-9_]+)` \\| *(\\S[^|]*?) *\\| *(yes|by Submit, Watch|) *\\| *" +
		"(?:`([^`]+)`|) *\\| *(\\S.*?) *\\|$")

func TestManualNamesTheVariables(t *testing.T) {
	manual, err := os.ReadFile("../../../docs/environment.md")
	if err != nil {
		t.Fatal(err)
	}
	type variable struct {
		Readers, Required, Default string
	}
	readers := map[config.Reader]string{
		config.All: "all", config.SubmitAndWatch: "Submit, Watch", config.Notify: "Notify",
	}
	required := map[config.Reader]string{config.All: "yes", config.SubmitAndWatch: "by Submit, Watch"}
	want, got := map[string]variable{}, map[string]variable{}
	for _, v := range config.Variables() {
		want[v.Name] = variable{readers[v.Readers], required[v.Required], v.Default}
	}
	for _, m := range row.FindAllStringSubmatch(string(manual), -1) {
		got[m[1]] = variable{m[2], m[3], m[4]}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("variables (-config +docs/environment.md):\n%s", diff)
	}
}

// A program other than the functions needs the variables that it names. What is set is checked all the same.
func TestLoadFor(t *testing.T) {
	lookup := func(name string) (string, bool) {
		value := map[string]string{"JOBDROP_INBOX": "inbox", "JOBDROP_TOPIC": "nonsense"}[name]
		return value, value != ""
	}
	_, err := config.LoadFor(lookup, "JOBDROP_INBOX", "JOBDROP_STATUS_BUCKET")
	if err == nil || !strings.Contains(err.Error(), "JOBDROP_STATUS_BUCKET is not set") ||
		!strings.Contains(err.Error(), `JOBDROP_TOPIC is "nonsense"`) || strings.Contains(err.Error(), "JOBDROP_INBOX") {
		t.Errorf("error %v", err)
	}
	c, err := config.LoadFor(environment(nil), "JOBDROP_INBOX")
	if err != nil || c.Inbox != "inbox" || c.Settle != time.Minute {
		t.Errorf("%+v, %v", c, err)
	}
}
