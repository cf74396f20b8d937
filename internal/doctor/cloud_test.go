package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/api/cloudfunctions/v2"
	"google.golang.org/api/cloudscheduler/v1"
	"google.golang.org/api/eventarc/v1"
	"google.golang.org/api/pubsub/v1"
	"google.golang.org/api/run/v2"
	"google.golang.org/api/secretmanager/v1"
	"google.golang.org/api/storage/v1"

	"github.com/jobdrop/jobdrop/internal/app/config"
	"github.com/jobdrop/jobdrop/internal/flow/watcher"
)

// cloud is a Google Cloud with one installation, as a server that keeps what it is asked. Each answer is found by its
// URL without scheme and query.
type cloud struct {
	server  *httptest.Server
	network *http.Transport
	env     map[string]string
	answers map[string]any // []byte as it is, all else as JSON
	refuse  map[string]refusal
	held    func(url string, asked []string) []string
	now     time.Time // of this machine; the server's is start

	mu    sync.Mutex
	asked []string // method and URL
}

// refusal is an answer that refuses a call.
type refusal struct {
	code   int
	reason string // of google.rpc.ErrorInfo
}

// The installation's places.
const (
	buckets   = "storage.googleapis.com/storage/v1/b/"
	messages  = "europe-west4-pubsub.googleapis.com/v1/projects/acme/"
	services  = "run.googleapis.com/v2/projects/acme/locations/europe-west4/services/"
	built     = "cloudfunctions.googleapis.com/v2/projects/acme/locations/europe-west4/functions/"
	schedules = "cloudscheduler.googleapis.com/v1/projects/acme/locations/europe-west4/jobs/"
	triggers  = "eventarc.googleapis.com/v1/projects/acme/locations/europe-west4/triggers"
	secret    = "secretmanager.googleapis.com/v1/projects/acme/secrets/slack/versions/latest"
	jobs      = "europe-west4-aiplatform.googleapis.com/v1/projects/acme/locations/europe-west4/customJobs"
	entries   = "logging.googleapis.com/v2/entries:list"
	project   = "cloudresourcemanager.googleapis.com/v3/projects/acme:testIamPermissions"
	lifecycle = "projects/acme/topics/nlp-lifecycle"
	eventarcs = "projects/acme/subscriptions/eventarc-europe-west4-nlp-submit-sub-001"
)

var start = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

const (
	goodPolicy = "limits:\n  activeJobs: 4\n"
	goodRoutes = "destinations:\n  ml:\n    slack: {token: secret://projects/acme/secrets/slack, channel: C0123456789}\nroute:\n  to: [ml]\n"
)

// newCloud returns a cloud whose installation is as Terraform makes it, with Eventarc and Cloud Functions.
func newCloud(t *testing.T) *cloud {
	c := &cloud{
		env: map[string]string{
			"JOBDROP_INSTANCE": "nlp", "JOBDROP_PROJECT": "acme", "JOBDROP_INBOX": "acme-nlp-inbox",
			"JOBDROP_STATE_BUCKET":   "acme-nlp-state",
			"JOBDROP_STAGING_BUCKET": "acme-nlp-staging", "JOBDROP_STATUS_BUCKET": "acme-nlp-status", "JOBDROP_TOPIC": lifecycle,
			"JOBDROP_POLICY":  "gs://acme-nlp-state/policy/policy.yaml",
			"JOBDROP_ROUTES":  "gs://acme-nlp-state/policy/routes.yaml",
			"JOBDROP_BACKEND": "vertex", "JOBDROP_REGIONS": "europe-west4",
			"JOBDROP_PUBSUB_ENDPOINT": "europe-west4-pubsub.googleapis.com:443",
		},
		answers: map[string]any{}, refuse: map[string]refusal{}, now: start,
		held: func(_ string, asked []string) []string { return asked },
	}
	for purpose, want := range Buckets() {
		b := &storage.Bucket{
			Name: "acme-nlp-" + purpose, Location: "EUROPE-WEST4",
			Versioning: &storage.BucketVersioning{Enabled: want.Versioned},
			IamConfiguration: &storage.BucketIamConfiguration{
				PublicAccessPrevention:   "enforced",
				UniformBucketLevelAccess: &storage.BucketIamConfigurationUniformBucketLevelAccess{Enabled: true},
			},
			SoftDeletePolicy: &storage.BucketSoftDeletePolicy{RetentionDurationSeconds: 7 * 24 * 60 * 60},
			Lifecycle:        &storage.BucketLifecycle{},
		}
		for _, r := range want.Rules {
			b.Lifecycle.Rule = append(b.Lifecycle.Rule, ruleThat("Delete", r))
		}
		b.Lifecycle.Rule = append(b.Lifecycle.Rule, ruleThat("AbortIncompleteMultipartUpload", Rule{Age: BrokenUploads}))
		c.answers[buckets+b.Name] = b
	}
	c.answers[buckets+"acme-nlp-inbox/notificationConfigs"] = &storage.Notifications{Items: []*storage.Notification{{
		Topic: pubSubPrefix + "projects/acme/topics/eventarc-europe-west4-nlp-submit-001", EventTypes: []string{Finalized},
		PayloadFormat: JSONForm,
	}}}
	c.answers[triggers] = &eventarc.ListTriggersResponse{Triggers: []*eventarc.Trigger{{
		Name: "projects/acme/locations/europe-west4/triggers/nlp-submit",
		EventFilters: []*eventarc.EventFilter{
			{Attribute: "bucket", Value: "acme-nlp-inbox"},
			{Attribute: "type", Value: "google.cloud.storage.object.v1.finalized"},
		},
		Transport: &eventarc.Transport{Pubsub: &eventarc.Pubsub{Subscription: eventarcs}},
	}}}
	c.answers[messages+"topics/nlp-lifecycle"] = &pubsub.Topic{
		Name: lifecycle, MessageRetentionDuration: "604800s", SchemaSettings: &pubsub.SchemaSettings{Schema: "s"},
		MessageStoragePolicy: &pubsub.MessageStoragePolicy{AllowedPersistenceRegions: []string{"europe-west4"}},
	}
	c.answers[messages+"topics/nlp-lifecycle/subscriptions"] = &pubsub.ListTopicSubscriptionsResponse{Subscriptions: []string{
		"projects/acme/subscriptions/nlp-notify-lifecycle", "projects/acme/subscriptions/nlp-lifecycle-ci",
		"projects/other/subscriptions/mine",
	}}
	c.subscribe("nlp-notify-lifecycle", lifecycle, true, true)
	c.subscribe("nlp-lifecycle-ci", lifecycle, true, false)
	c.subscribe("nlp-watch-hints", "projects/acme/topics/nlp-hints", false, true)
	c.subscribe("eventarc-europe-west4-nlp-submit-sub-001", "projects/acme/topics/eventarc-europe-west4-nlp-submit-001",
		false, true)
	c.object("heartbeat.json", watcher.Pulse{At: start.Add(-time.Minute), Complete: true, Open: 3})
	c.object("policy%2Fpolicy.yaml", []byte(goodPolicy))
	c.object("policy%2Froutes.yaml", []byte(goodRoutes))
	c.answers[secret] = &secretmanager.SecretVersion{State: "ENABLED"}
	c.deploy("nlp-submit", config.SubmitAndWatch)
	c.deploy("nlp-watch", config.SubmitAndWatch)
	c.deploy("nlp-notify", config.Notify)
	c.answers[schedules+"nlp-tick"] = scheduledEach("*/2 * * * *")
	c.answers[schedules+"nlp-notify-tick"] = scheduledEach("* * * * *")
	c.answers[jobs] = map[string]any{}
	c.answers[entries] = map[string]any{}

	c.server, c.network = httptest.NewServer(c), &http.Transport{}
	t.Cleanup(func() {
		c.network.CloseIdleConnections()
		c.server.Close()
	})
	return c
}

// ruleThat returns a rule of a bucket; each installation may choose 30 days.
func ruleThat(does string, r Rule) *storage.BucketLifecycleRule {
	chosen := func(n int64) int64 {
		if n == Chosen {
			return 30
		}
		return n
	}
	c := &storage.BucketLifecycleRuleCondition{
		DaysSinceNoncurrentTime: chosen(r.DaysSinceNoncurrent), NumNewerVersions: r.NewerVersions, MatchesPrefix: r.Prefixes,
	}
	if r.Age != 0 {
		age := chosen(r.Age)
		c.Age = &age
	}
	if r.State != "" {
		isLive := r.State == live
		c.IsLive = &isLive
	}
	return &storage.BucketLifecycleRule{Action: &storage.BucketLifecycleRuleAction{Type: does}, Condition: c}
}

// subscribe makes a subscription with its dead letters.
func (c *cloud) subscribe(name, topic string, ordered, pushed bool) *pubsub.Subscription {
	s := &pubsub.Subscription{
		Name: "projects/acme/subscriptions/" + name, Topic: topic, EnableMessageOrdering: ordered, State: "ACTIVE",
		AckDeadlineSeconds: AckDeadline,
		RetryPolicy:        &pubsub.RetryPolicy{MinimumBackoff: MinimumBackoff, MaximumBackoff: MaximumBackoff},
		DeadLetterPolicy: &pubsub.DeadLetterPolicy{
			DeadLetterTopic: "projects/acme/topics/" + name + "-dead", MaxDeliveryAttempts: DeadAttempts,
		},
		ExpirationPolicy: &pubsub.ExpirationPolicy{},
	}
	if pushed {
		s.PushConfig = &pubsub.PushConfig{PushEndpoint: "https://nlp.run.app"}
	}
	c.answers[messages+"subscriptions/"+name] = s
	c.answers[messages+"topics/"+name+"-dead/subscriptions"] = &pubsub.ListTopicSubscriptionsResponse{
		Subscriptions: []string{"projects/acme/subscriptions/" + name + "-dead"},
	}
	return s
}

func (c *cloud) object(name string, content any) {
	c.answers[buckets+"acme-nlp-state/o/"+name] = content
}

// deploy makes a function that Cloud Functions built.
func (c *cloud) deploy(name string, reader config.Reader) {
	container := &run.GoogleCloudRunV2Container{Image: "europe-west4-docker.pkg.dev/acme/" + name + "@sha256:0123456789abcdef"}
	for _, v := range config.Variables() {
		if value := c.env[v.Name]; value != "" && v.Readers&reader != 0 {
			container.Env = append(container.Env, &run.GoogleCloudRunV2EnvVar{Name: v.Name, Value: value})
		}
	}
	c.answers[services+name] = &run.GoogleCloudRunV2Service{
		Labels:                map[string]string{"goog-managed-by": "cloudfunctions"},
		TerminalCondition:     &run.GoogleCloudRunV2Condition{State: "CONDITION_SUCCEEDED"},
		LatestCreatedRevision: "revisions/" + name + "-00002", LatestReadyRevision: "revisions/" + name + "-00002",
		Template: &run.GoogleCloudRunV2RevisionTemplate{Containers: []*run.GoogleCloudRunV2Container{container}},
	}
	c.answers[built+name] = &cloudfunctions.Function{BuildConfig: &cloudfunctions.BuildConfig{
		Source: &cloudfunctions.Source{StorageSource: &cloudfunctions.StorageSource{Object: "source-1111.zip"}},
	}}
}

func scheduledEach(when string) *cloudscheduler.Job {
	return &cloudscheduler.Job{State: "ENABLED", Schedule: when, AttemptDeadline: "560s", Status: &cloudscheduler.Status{}}
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	url := r.Host + r.URL.EscapedPath()
	c.mu.Lock()
	c.asked = append(c.asked, r.Method+" "+url)
	c.mu.Unlock()
	w.Header().Set("Date", start.Format(http.TimeFormat))
	if refusal, ok := c.refuse[url]; ok {
		w.WriteHeader(refusal.code)
		fmt.Fprintf(w, `{"error": {"code": %d, "message": "as asked for", "details": [{"reason": %q}]}}`, refusal.code,
			refusal.reason)
		return
	}
	switch {
	case strings.HasSuffix(url, "/iam/testPermissions"):
		_ = json.NewEncoder(w).Encode(rights{c.held(url, r.URL.Query()["permissions"])})
		return
	case strings.HasSuffix(url, ":testIamPermissions"):
		var asked rights
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(rights{c.held(url, asked.Permissions)})
		return
	}
	switch v := c.answers[url].(type) {
	case nil:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error": {"code": 404, "message": "not found"}}`)
	case []byte:
		_, _ = w.Write(v)
	default:
		_ = json.NewEncoder(w).Encode(v)
	}
}

// RoundTrip sends a request to the server, whatever host it is for.
func (c *cloud) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Host, r.URL.Scheme, r.URL.Host = r.URL.Host, "http", strings.TrimPrefix(c.server.URL, "http://")
	return c.network.RoundTrip(r)
}

func (c *cloud) lookup(name string) (string, bool) { v, ok := c.env[name]; return v, ok }

func (c *cloud) options() Options {
	return Options{Lookup: c.lookup, Client: &http.Client{Transport: c}, Now: func() time.Time { return c.now }}
}

// examine examines the installation, and fails the test if anything was asked but reads and rights.
func (c *cloud) examine(t *testing.T, o Options) Report {
	t.Helper()
	report, err := Examine(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, request := range c.asked {
		method, url, _ := strings.Cut(request, " ")
		reads := method == http.MethodGet ||
			method == http.MethodPost &&
				(strings.HasSuffix(url, ":testIamPermissions") || strings.HasSuffix(url, "/v2/entries:list"))
		if !reads || strings.Contains(url, ":access") {
			t.Errorf("it asked for %s, which is not a read", request)
		}
	}
	return report
}

// edit returns what answers at a URL, to be changed.
func edit[T any](c *cloud, url string) *T { return c.answers[url].(*T) }

var errNoCredentials = errors.New("could not find default credentials")

// hang is a transport on which a host never answers.
type hang struct {
	host string
	http.RoundTripper
}

func (h hang) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == h.host {
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	}
	return h.RoundTripper.RoundTrip(r)
}

// direct serves requests by a handler, without a network.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Host = r.URL.Host
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result(), nil
}
