package doctor

import (
	"errors"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/cloudfunctions/v2"
	"google.golang.org/api/cloudscheduler/v1"
	"google.golang.org/api/eventarc/v1"
	"google.golang.org/api/pubsub/v1"
	"google.golang.org/api/run/v2"
	"google.golang.org/api/secretmanager/v1"
	"google.golang.org/api/storage/v1"

	"github.com/jobdrop/jobdrop/internal/flow/watcher"
)

// What is as Terraform makes it is ok, in a fixed order.
func TestHealthy(t *testing.T) {
	c := newCloud(t)
	report := c.examine(t, c.options())
	var got []string
	for _, f := range report.Findings {
		if f.Status != OK || f.Text == "" || f.Remedy != "" {
			t.Errorf("%+v", f)
		}
		got = append(got, strings.TrimSpace(f.Check+" "+f.On)+": "+f.Text)
	}
	want, err := os.ReadFile("testdata/healthy.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(strings.TrimSpace(string(want)), "\n"), got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Each fault is found, with its remedy, and nothing else is.
func TestFaults(t *testing.T) {
	const (
		inbox, state    = buckets + "acme-nlp-inbox", buckets + "acme-nlp-state"
		staging, status = buckets + "acme-nlp-staging", buckets + "acme-nlp-status"
		notify          = messages + "subscriptions/nlp-notify-lifecycle"
		trigger         = messages + "subscriptions/eventarc-europe-west4-nlp-submit-sub-001"
	)
	days := func(n int64) *int64 { return &n }
	// others are the checks that a fault shows in, too.
	tests := []struct {
		name, check  string
		status       Status
		text, remedy string
		fault        func(c *cloud)
		others       string
	}{
		{"a setting that is missing", "settings", Problem, "JOBDROP_STAGING_BUCKET is not set", "docs/environment.md",
			func(c *cloud) {
				delete(c.env, "JOBDROP_STAGING_BUCKET")
			}, "bucket functions"},
		{"a setting that is not valid", "settings", Problem, "JOBDROP_BACKEND", "docs/environment.md", func(c *cloud) {
			c.env["JOBDROP_BACKEND"] = "slurm"
		}, "reach functions"},
		{"settings that don't fit together", "settings", Problem, "each needs a bucket of its own", "docs/environment.md",
			func(c *cloud) {
				c.env["JOBDROP_STATUS_BUCKET"] = "acme-nlp-staging"
			}, "bucket functions rights"},

		{"a clock that is ahead", "clock", Warning, "is 14s ahead of", "NTP",
			func(c *cloud) { c.now = start.Add(15 * time.Second) }, ""},
		{"a clock that is far behind", "clock", Problem, "is 1h0m0s behind", "NTP",
			func(c *cloud) { c.now = start.Add(-time.Hour) }, ""},

		{"storage that is out", "reach", Problem, "it can't be read: 503", "run it again", func(c *cloud) {
			for url := range c.answers {
				if strings.HasPrefix(url, buckets) {
					c.refuse[url] = refusal{code: 503}
				}
			}
		}, "bucket trigger heartbeat policy routes secrets"},
		{"credentials that are refused", "reach", Problem, "credentials are refused", "gcloud auth", func(c *cloud) {
			c.refuse[state] = refusal{code: 401}
		}, "bucket"},
		{"a backend whose API is off", "reach", Problem, "is not enabled", "gcloud services enable aiplatform.googleapis.com",
			func(c *cloud) {
				c.refuse[jobs] = refusal{403, "SERVICE_DISABLED"}
			}, ""},
		{"a backend that refuses", "reach", Problem, "it refuses what jobdrop asks: 400", "the region", func(c *cloud) {
			c.refuse[jobs] = refusal{code: 400}
		}, ""},
		{"logs that are out", "reach", Problem, "it can't be read: 500", "run it again", func(c *cloud) {
			c.refuse[entries] = refusal{code: 500}
		}, ""},
		{"a topic that is out", "reach", Problem, "it can't be read: 503", "run it again", func(c *cloud) {
			c.refuse[messages+"topics/nlp-lifecycle"] = refusal{code: 503}
		}, "topic"},

		{"a bucket that is missing", "bucket", Problem, "the bucket of JOBDROP_STATUS_BUCKET does not exist",
			"terraform apply", func(c *cloud) {
				delete(c.answers, status)
			}, ""},
		{"a bucket elsewhere", "bucket", Warning, "it lies in US", "bucket_location", func(c *cloud) {
			edit[storage.Bucket](c, status).Location = "US"
		}, ""},
		{"access lists", "bucket", Problem, "uniform access is off", "terraform apply", func(c *cloud) {
			edit[storage.Bucket](c, inbox).IamConfiguration.UniformBucketLevelAccess.Enabled = false
		}, ""},
		{"public access", "bucket", Problem, "public access prevention", "terraform apply", func(c *cloud) {
			edit[storage.Bucket](c, inbox).IamConfiguration.PublicAccessPrevention = "inherited"
		}, ""},
		{"an inbox without versions", "bucket", Problem, "it keeps no versions: a drop is decided by versions",
			"terraform apply", func(c *cloud) {
				edit[storage.Bucket](c, inbox).Versioning = nil
			}, ""},
		{"neither versions nor soft delete", "bucket", Problem, "what is overwritten or deleted is gone", "terraform apply",
			func(c *cloud) {
				b := edit[storage.Bucket](c, state)
				b.Versioning.Enabled, b.SoftDeletePolicy = false, nil
			}, ""},
		{"versions that nobody reads", "bucket", Warning, "it keeps versions, which nobody reads", "terraform apply",
			func(c *cloud) {
				edit[storage.Bucket](c, staging).Versioning.Enabled = true
			}, ""},
		{"a rule for the ledger", "bucket", Problem,
			"deletes live objects below attempts/ after 90 days, and nothing that is live in the ledger",
			"terraform apply", func(c *cloud) {
				b := edit[storage.Bucket](c, state)
				b.Lifecycle.Rule = append(b.Lifecycle.Rule, ruleThat("Delete", Rule{Age: 90, State: live,
					Prefixes: []string{"attempts/"}}))
			}, ""},
		{"a rule of an odd kind", "bucket", Problem, "nothing that is live in the ledger", "terraform apply", func(c *cloud) {
			b := edit[storage.Bucket](c, state)
			r := ruleThat("Delete", Rule{Age: 30, Prefixes: []string{"results/"}})
			r.Condition.MatchesSuffix = []string{".json"}
			b.Lifecycle.Rule = append(b.Lifecycle.Rule, r)
		}, ""},
		{"a rule for drops", "bucket", Warning, "a rule deletes objects after 30 days, which Terraform does not set",
			"terraform apply", func(c *cloud) {
				b := edit[storage.Bucket](c, inbox)
				b.Lifecycle.Rule = append(b.Lifecycle.Rule, ruleThat("Delete", Rule{Age: 30}))
			}, ""},
		{"a rule that is missing", "bucket", Warning, "the rule is missing that deletes objects after some days",
			"terraform apply", func(c *cloud) {
				b := edit[storage.Bucket](c, staging)
				b.Lifecycle.Rule = b.Lifecycle.Rule[1:]
			}, ""},
		{"broken uploads that stay", "bucket", Warning, "removes broken uploads", "terraform apply", func(c *cloud) {
			b := edit[storage.Bucket](c, inbox)
			b.Lifecycle.Rule = b.Lifecycle.Rule[:len(b.Lifecycle.Rule)-1]
		}, ""},
		{"a bucket without any rule", "bucket", Warning, "the rule is missing", "terraform apply", func(c *cloud) {
			edit[storage.Bucket](c, status).Lifecycle = nil
		}, ""},
		{"history that is too short", "bucket", Problem, "versions are kept for 2 days", "history_days", func(c *cloud) {
			c.env["JOBDROP_EXPIRE_AFTER"] = "72h"
			edit[storage.Bucket](c, inbox).Lifecycle.Rule[0].Condition.DaysSinceNoncurrentTime = 2
		}, "functions"},
		{"packages that are gone too soon", "bucket", Problem, "packages are deleted after 1 days", "staged_days",
			func(c *cloud) {
				edit[storage.Bucket](c, staging).Lifecycle.Rule[0].Condition.Age = days(1)
			}, ""},

		{"nothing that wakes Submit", "trigger", Problem, "nothing wakes Submit", "terraform apply", func(c *cloud) {
			edit[storage.Notifications](c, inbox+"/notificationConfigs").Items = nil
		}, ""},
		{"a trigger that is gone", "trigger", Problem, "Eventarc has no trigger for the inbox", "terraform apply",
			func(c *cloud) {
				edit[eventarc.ListTriggersResponse](c, triggers).Triggers[0].EventFilters[0].Value = "other"
			}, ""},
		{"a trigger that fails", "trigger", Problem, "NOT_FOUND, the service is gone", "terraform apply", func(c *cloud) {
			edit[eventarc.ListTriggersResponse](c, triggers).Triggers[0].Conditions = map[string]eventarc.StateCondition{
				"destination": {Code: "NOT_FOUND", Message: "the service is gone"},
			}
		}, ""},
		{"a trigger without a subscription", "trigger", Problem, "has no subscription", "terraform apply", func(c *cloud) {
			edit[eventarc.ListTriggersResponse](c, triggers).Triggers[0].Transport = nil
		}, ""},
		{"Eventarc's own deadline", "trigger", Warning, "its deadline is 10 s, not 600 s", "go run ./deploy/eventarc",
			func(c *cloud) {
				edit[pubsub.Subscription](c, trigger).AckDeadlineSeconds = 10
			}, ""},
		{"Eventarc without a dead letter", "trigger", Problem, "it has no dead letter", "go run ./deploy/eventarc",
			func(c *cloud) {
				edit[pubsub.Subscription](c, trigger).DeadLetterPolicy = nil
			}, ""},
		{"a notification of other events", "trigger", Problem, "leaves out OBJECT_FINALIZE", "terraform apply",
			func(c *cloud) {
				notified(c).EventTypes = []string{"OBJECT_DELETE"}
			}, ""},
		{"a notification without content", "trigger", Problem, "the payload NONE", "terraform apply", func(c *cloud) {
			notified(c).PayloadFormat = "NONE"
		}, ""},
		{"a notification that nobody takes", "trigger", Problem, "the subscription does not exist: nothing wakes Submit",
			"terraform apply", func(c *cloud) {
				notified(c)
				delete(c.answers, messages+"subscriptions/nlp-submit-inbox")
			}, ""},

		{"a topic that is missing", "topic", Problem, "no event can be published", "terraform apply", func(c *cloud) {
			delete(c.answers, messages+"topics/nlp-lifecycle")
		}, ""},
		{"a topic of another region", "topic", Problem, "in us-east1 only", "terraform apply", func(c *cloud) {
			edit[pubsub.Topic](c,
				messages+"topics/nlp-lifecycle").MessageStoragePolicy.AllowedPersistenceRegions = []string{"us-east1"}
		}, ""},
		{"a topic of any region", "topic", Warning, "any region", "terraform apply", func(c *cloud) {
			edit[pubsub.Topic](c, messages+"topics/nlp-lifecycle").MessageStoragePolicy = nil
		}, ""},
		{"a topic without a schema", "topic", Warning, "no schema", "terraform apply", func(c *cloud) {
			edit[pubsub.Topic](c, messages+"topics/nlp-lifecycle").SchemaSettings = nil
		}, ""},
		{"a topic that keeps nothing", "topic", Warning, "keeps no messages", "terraform apply", func(c *cloud) {
			edit[pubsub.Topic](c, messages+"topics/nlp-lifecycle").MessageRetentionDuration = ""
		}, ""},

		{"Notify without a subscription", "subscription", Problem, "Notify is told of nothing", "terraform apply",
			func(c *cloud) { delete(c.answers, notify) }, ""},
		{"a filter", "subscription", Problem, "it has the filter", "terraform apply", func(c *cloud) {
			edit[pubsub.Subscription](c, notify).Filter = `attributes.ce-state = "failed"`
		}, ""},
		{"no order", "subscription", Problem, "it is not ordered", "terraform apply", func(c *cloud) {
			edit[pubsub.Subscription](c, notify).EnableMessageOrdering = false
		}, ""},
		{"another topic", "subscription", Problem, "it is a subscription of projects/acme/topics/x", "terraform apply",
			func(c *cloud) {
				edit[pubsub.Subscription](c, notify).Topic = "projects/acme/topics/x"
			}, ""},
		{"nothing pushed", "subscription", Problem, "it is not pushed", "terraform apply", func(c *cloud) {
			edit[pubsub.Subscription](c, notify).PushConfig = nil
		}, ""},
		{"a subscription that is detached", "subscription", Problem, "it can't receive", "terraform apply", func(c *cloud) {
			edit[pubsub.Subscription](c, notify).Detached = true
		}, ""},
		{"no retry policy", "subscription", Warning, "its retry policy is not 10s to 600s", "terraform apply",
			func(c *cloud) {
				edit[pubsub.Subscription](c, notify).RetryPolicy = nil
			}, ""},
		{"a short deadline", "subscription", Warning, "its deadline is 60 s", "terraform apply", func(c *cloud) {
			edit[pubsub.Subscription](c, notify).AckDeadlineSeconds = 60
		}, ""},
		{"a subscription that expires", "subscription", Warning, "it expires", "terraform apply", func(c *cloud) {
			edit[pubsub.Subscription](c, notify).ExpirationPolicy = nil
		}, ""},
		{"few deliveries", "subscription", Warning, "after 5 deliveries, not after 20", "terraform apply", func(c *cloud) {
			edit[pubsub.Subscription](c, notify).DeadLetterPolicy.MaxDeliveryAttempts = 5
		}, ""},
		{"a dead letter topic that is deleted", "subscription", Problem, "the topic of its dead letters is deleted",
			"terraform apply", func(c *cloud) {
				edit[pubsub.Subscription](c, notify).DeadLetterPolicy.DeadLetterTopic = "_deleted-topic_"
			}, ""},
		{"a dead letter topic that is missing", "subscription", Problem, "the topic of its dead letters does not exist",
			"terraform apply", func(c *cloud) {
				delete(c.answers, messages+"topics/nlp-notify-lifecycle-dead/subscriptions")
			}, ""},
		{"dead letters that nothing keeps", "subscription", Problem, "its dead letters are lost", "terraform apply",
			func(c *cloud) {
				edit[pubsub.ListTopicSubscriptionsResponse](c,
					messages+"topics/nlp-lifecycle-ci-dead/subscriptions").Subscriptions = nil
			}, ""},

		{"no tick", "heartbeat", Problem, "no tick of Watch has come to its end", "watch-heartbeat.md", func(c *cloud) {
			delete(c.answers, state+"/o/heartbeat.json")
		}, ""},
		{"an old tick", "heartbeat", Problem, "began 11m0s ago", "watch-heartbeat.md", func(c *cloud) {
			c.object("heartbeat.json", watcher.Pulse{At: start.Add(-11 * time.Minute), Complete: true})
		}, ""},
		{"a late tick", "heartbeat", Warning, "began 7m0s ago", "watch-heartbeat.md", func(c *cloud) {
			c.object("heartbeat.json", watcher.Pulse{At: start.Add(-7 * time.Minute), Complete: true})
		}, ""},
		{"a tick that failed", "heartbeat", Warning, "2 things in it failed", "watch-errors.md", func(c *cloud) {
			c.object("heartbeat.json", watcher.Pulse{At: start, Complete: true, Failed: 2})
		}, ""},
		{"a tick that saw a part", "heartbeat", Warning, "could not look at everything", "watch-errors.md", func(c *cloud) {
			c.object("heartbeat.json", watcher.Pulse{At: start})
		}, ""},
		{"a heartbeat of another program", "heartbeat", Problem, "not what a tick writes", "watch-heartbeat.md",
			func(c *cloud) {
				c.object("heartbeat.json", []byte("{}"))
			}, ""},

		{"a policy that is missing", "policy", Problem, "the object of JOBDROP_POLICY does not exist", "terraform apply",
			func(c *cloud) {
				delete(c.answers, state+"/o/policy%2Fpolicy.yaml")
			}, ""},
		{"a policy that is not valid", "policy", Problem, "policy.yaml:1", "mend the file", func(c *cloud) {
			c.object("policy%2Fpolicy.yaml", []byte("limit: 3\n"))
		}, ""},
		{"routes that are missing", "routes", Problem, "the object of JOBDROP_ROUTES does not exist", "terraform apply",
			func(c *cloud) {
				delete(c.answers, state+"/o/policy%2Froutes.yaml")
			}, "secrets"},
		{"routes that are not valid", "routes", Problem, "routes.yaml:5", "mend the file", func(c *cloud) {
			c.object("policy%2Froutes.yaml", []byte(strings.Replace(goodRoutes, "[ml]", "[nlp]", 1)))
		}, "secrets"},
		{"a destination that is not used", "routes", Warning, "routes.yaml:", "mend the file", func(c *cloud) {
			c.object("policy%2Froutes.yaml", []byte(strings.Replace(goodRoutes, "route:",
				"  unused:\n    slack: {token: secret://projects/acme/secrets/slack, channel: C0123456788}\nroute:", 1)))
		}, ""},
		{"a secret that is missing", "secrets", Problem, "the secret has no such version", "gcloud secrets versions add",
			func(c *cloud) {
				delete(c.answers, secret)
			}, ""},
		{"a secret that is disabled", "secrets", Problem, "the secret's version is DISABLED", "gcloud secrets versions add",
			func(c *cloud) {
				c.answers[secret] = &secretmanager.SecretVersion{State: "DISABLED"}
			}, ""},
		{"Secret Manager that is off", "secrets", Problem, "is not enabled",
			"gcloud services enable secretmanager.googleapis.com", func(c *cloud) {
				c.refuse[secret] = refusal{403, "SERVICE_DISABLED"}
			}, ""},

		{"a function that is missing", "functions", Problem, "not deployed in europe-west4", "terraform apply",
			func(c *cloud) {
				delete(c.answers, services+"nlp-notify")
			}, ""},
		{"a deployment that failed", "functions", Problem, "its last deployment failed: no image", "describe",
			func(c *cloud) {
				edit[run.GoogleCloudRunV2Service](c, services+"nlp-watch").TerminalCondition = &run.GoogleCloudRunV2Condition{
					State: "CONDITION_FAILED", Message: "no image",
				}
			}, ""},
		{"a revision that does not start", "functions", Problem, "nlp-watch-00003 is not ready", "describe", func(c *cloud) {
			edit[run.GoogleCloudRunV2Service](c, services+"nlp-watch").LatestCreatedRevision = "revisions/nlp-watch-00003"
		}, ""},
		{"a function with another setting", "functions", Warning, `JOBDROP_REGIONS is "us-east1" in the function`,
			"terraform apply", func(c *cloud) {
				for _, e := range edit[run.GoogleCloudRunV2Service](c, services+"nlp-submit").Template.Containers[0].Env {
					if e.Name == "JOBDROP_REGIONS" {
						e.Value = "us-east1"
					}
				}
			}, ""},
		{"functions of two sources", "functions", Warning,
			"nlp-submit is of source-1111.zip, and nlp-watch of source-2222.zip", "terraform apply", func(c *cloud) {
				edit[cloudfunctions.Function](c, built+"nlp-watch").BuildConfig.Source.StorageSource.Object = "source-2222.zip"
			}, ""},
		{"services of two images", "functions", Warning, "are of several versions", "terraform apply", func(c *cloud) {
			for _, name := range []string{"submit", "watch", "notify"} {
				edit[run.GoogleCloudRunV2Service](c, services+"nlp-"+name).Labels = nil
			}
		}, ""},

		{"no schedule", "schedule", Problem, "nothing calls Watch", "--scheduler-region", func(c *cloud) {
			delete(c.answers,
				schedules+"nlp-tick")
		}, ""},
		{"a schedule that is paused", "schedule", Problem, "it is PAUSED: nothing calls Notify", "resume", func(c *cloud) {
			edit[cloudscheduler.Job](c, schedules+"nlp-notify-tick").State = "PAUSED"
		}, ""},
		{"an hourly schedule", "schedule", Warning, "its schedule is 0 * * * *", "terraform apply", func(c *cloud) {
			edit[cloudscheduler.Job](c, schedules+"nlp-tick").Schedule = "0 * * * *"
		}, ""},
		{"a call that failed", "schedule", Problem, "failed with code 7", "run.invoker", func(c *cloud) {
			edit[cloudscheduler.Job](c, schedules+"nlp-tick").Status.Code = 7
		}, ""},
		{"a caller that does not wait", "schedule", Warning, "it waits 180s", "terraform apply", func(c *cloud) {
			edit[cloudscheduler.Job](c, schedules+"nlp-tick").AttemptDeadline = "180s"
		}, ""},

		{"nobody's rights", "rights", Warning, "neither dropper nor operator nor requester", "droppers", func(c *cloud) {
			c.held = lacksAt(buckets, "storage.objects.create", "storage.objects.get")
		}, ""},
		{"no right on the topic", "rights", Warning, "you lack pubsub.topics.attachSubscription", "ask whoever",
			func(c *cloud) {
				c.held = lacksAt(messages, "pubsub.topics.attachSubscription")
			}, ""},
		{"no right in the project", "rights", Warning, "you lack run.services.get", "ask whoever", func(c *cloud) {
			c.held = lacksAt(project, "run.services.get")
		}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			test.fault(c)
			met := false
			findings := c.examine(t, c.options()).Findings
			for _, f := range findings {
				if f.Status == OK {
					continue
				}
				if slices.ContainsFunc(findings, func(g Finding) bool { return g.Status == OK && g.Check == f.Check && g.On == f.On }) {
					t.Errorf("%s of %s is ok, too", f.Check, f.On)
				}
				if f.Check == test.check && f.Status == test.status && strings.Contains(f.Text, test.text) {
					met = true
					if !strings.Contains(f.Remedy, test.remedy) || test.remedy == "" {
						t.Errorf("the remedy is %q, want %q", f.Remedy, test.remedy)
					}
				} else if f.Check != test.check && !slices.Contains(strings.Fields(test.others), f.Check) {
					t.Errorf("also found %+v", f)
				}
			}
			if !met {
				t.Errorf("not found; there is %+v", findings)
			}
		})
	}
}

// notified makes a notification of Cloud Storage wake Submit, in place of Eventarc.
func notified(c *cloud) *storage.Notification {
	n := &storage.Notification{
		Topic: pubSubPrefix + "projects/acme/topics/nlp-inbox", EventTypes: []string{Finalized}, PayloadFormat: JSONForm,
	}
	c.answers[buckets+"acme-nlp-inbox/notificationConfigs"] = &storage.Notifications{Items: []*storage.Notification{n}}
	c.subscribe("nlp-submit-inbox", "projects/acme/topics/nlp-inbox", false, true)
	delete(c.answers, triggers)
	return n
}

// lacksAt returns a caller's rights without some, below a URL.
func lacksAt(prefix string, permissions ...string) func(string, []string) []string {
	return func(url string, asked []string) []string {
		if !strings.HasPrefix(url, prefix) {
			return asked
		}
		return without(asked, permissions)
	}
}

// Installations that differ from each other as Terraform's variables allow are ok.
func TestVariants(t *testing.T) {
	for name, change := range map[string]func(*cloud){
		"notification": func(c *cloud) { notified(c) },
		"no routes": func(c *cloud) {
			delete(c.env, "JOBDROP_ROUTES")
			delete(c.answers, services+"nlp-notify")
			delete(c.answers, schedules+"nlp-notify-tick")
			delete(c.answers, messages+"subscriptions/nlp-notify-lifecycle")
		},
		"no policy": func(c *cloud) {
			delete(c.env, "JOBDROP_POLICY")
			c.deploy("nlp-submit", 1)
			c.deploy("nlp-watch", 1)
		},
		"multi-region": func(c *cloud) {
			for purpose := range Buckets() {
				edit[storage.Bucket](c, buckets+"acme-nlp-"+purpose).Location = "EU"
			}
			c.answers[strings.Replace(triggers, "europe-west4", "eu", 1)] = c.answers[triggers]
		},
		"services of one image": func(c *cloud) {
			for _, name := range []string{"submit", "watch", "notify"} {
				s := edit[run.GoogleCloudRunV2Service](c, services+"nlp-"+name)
				s.Labels, s.Template.Containers[0].Image = nil, "registry/server@sha256:0123456789abcdef"
			}
		},
		"a subscriber's filter": func(c *cloud) {
			edit[pubsub.Subscription](c, messages+"subscriptions/nlp-lifecycle-ci").Filter = `attributes.ce-state = "failed"`
		},
		"an operator": func(c *cloud) { c.held = lacksAt(buckets+"acme-nlp-inbox", Dropper()...) },
		"a dropper":   func(c *cloud) { c.held = lacksAt(buckets+"acme-nlp-state", Dropper()...) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			change(c)
			for _, f := range c.examine(t, c.options()).Findings {
				if f.Status != OK {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

// A right that the caller lacks skips what needs it, and is named; all else is checked.
func TestLacksRights(t *testing.T) {
	for url, want := range map[string]string{
		buckets + "acme-nlp-staging":                   "bucket storage.buckets.get",
		buckets + "acme-nlp-inbox/notificationConfigs": "trigger storage.buckets.get",
		triggers: "trigger eventarc.triggers.list",
		buckets + "acme-nlp-state/o/heartbeat.json":            "heartbeat storage.objects.get",
		buckets + "acme-nlp-state/o/policy%2Fpolicy.yaml":      "policy storage.objects.get",
		messages + "subscriptions/nlp-notify-lifecycle":        "subscription pubsub.subscriptions.get",
		messages + "topics/nlp-lifecycle/subscriptions":        "subscription pubsub.topics.get",
		messages + "topics/nlp-watch-hints-dead/subscriptions": "subscription pubsub.topics.get",
		secret:                 "secrets secretmanager.versions.get",
		services + "nlp-watch": "functions run.services.get",
		built + "nlp-watch":    "functions cloudfunctions.functions.get",
		schedules + "nlp-tick": "schedule cloudscheduler.jobs.get",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			c.refuse[url] = refusal{code: http.StatusForbidden}
			var got []string
			for _, f := range c.examine(t, c.options()).Findings {
				if f.Status == OK {
					continue
				}
				if f.Status != Skipped || !strings.Contains(f.Text, f.Right) || f.Remedy == "" {
					t.Errorf("%+v", f)
				}
				got = append(got, f.Check+" "+f.Right)
			}
			if diff := cmp.Diff([]string{want}, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// A service that does not know the caller's project skips what is asked of it.
func TestUncountedProject(t *testing.T) {
	c := newCloud(t)
	c.refuse[project] = refusal{403, "SERVICE_DISABLED"}
	c.refuse[jobs] = refusal{code: 403}
	report := c.examine(t, c.options())
	var got []Finding
	for _, f := range report.Findings {
		if f.Status != OK || f.Right != "" {
			got = append(got, Finding{Check: f.Check, On: f.On, Status: f.Status, Right: f.Right})
		}
	}
	want := []Finding{
		{Check: "reach", On: "Vertex AI in europe-west4", Status: OK, Right: "aiplatform.customJobs.list"},
		{Check: "rights", On: "projects/acme", Status: Skipped},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Finding{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A service that is out is one problem; what else needs it is skipped, and faults elsewhere are found.
func TestIndependent(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for url := range c.answers {
		if strings.HasPrefix(url, buckets) {
			c.refuse[url] = refusal{code: 503}
		}
	}
	edit[pubsub.Subscription](c, messages+"subscriptions/nlp-notify-lifecycle").Filter = "x"
	delete(c.answers, schedules+"nlp-tick")
	var problems []string
	report := c.examine(t, c.options())
	for _, f := range report.Findings {
		if f.Status == Problem {
			problems = append(problems, f.Check)
		}
	}
	if diff := cmp.Diff([]string{"reach", "subscription", "schedule"}, problems); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if n := report.Count(Skipped); n != 9 { // four buckets, trigger, heartbeat, policy, routes, secrets
		t.Errorf("%d are skipped, want 9", n)
	}
}

// A call that finds a service busy is made again.
func TestBusy(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	busy := 2
	o := c.options()
	o.Client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host == "run.googleapis.com" && busy > 0 {
			busy--
			return &http.Response{StatusCode: 503, Body: http.NoBody, Header: http.Header{}}, nil
		}
		return c.RoundTrip(r)
	})
	if report := c.examine(t, o); report.Count(OK) != len(report.Findings) {
		t.Errorf("%+v", report)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A service that never answers takes no longer than a check may, and hides nothing.
func TestBoundedInTime(t *testing.T) {
	c := newCloud(t)
	synctest.Test(t, func(t *testing.T) {
		o := c.options()
		o.Client.Transport = hang{"europe-west4-pubsub.googleapis.com", direct{c}}
		begun := time.Now()
		report := c.examine(t, o)
		if took := time.Since(begun); took != checkTime {
			t.Errorf("it took %s, want %s", took, checkTime)
		}
		for _, f := range report.Findings {
			switch {
			case f.probes == pubSub:
				if f.Status != Problem || !strings.Contains(f.Text, "did not answer within 20s") || f.Remedy == "" {
					t.Errorf("%+v", f)
				}
			case f.Check == "bucket" && f.Status != OK, f.Status == Problem:
				t.Errorf("%+v", f)
			}
		}
	})
}

// An installation without hints or subscribers is well, and rules count by what they delete.
func TestLess(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	delete(c.answers, messages+"subscriptions/nlp-watch-hints")
	edit[pubsub.ListTopicSubscriptionsResponse](c, messages+"topics/nlp-lifecycle/subscriptions").Subscriptions = nil
	edit[storage.Bucket](c, buckets+"acme-nlp-inbox").Lifecycle.Rule[0].Condition.IsLive = nil // only former versions age so
	r := edit[storage.Bucket](c, buckets+"acme-nlp-state").Lifecycle
	r.Rule = append(r.Rule, &storage.BucketLifecycleRule{})
	var got []string
	for _, f := range c.examine(t, c.options()).Findings {
		if f.Status != OK {
			got = append(got, string(f.Status)+" "+f.On+": "+f.Text)
		}
		if f.On == lifecycle && f.Check == "subscription" && !strings.HasPrefix(f.Text, "of 0 subscriptions") {
			t.Errorf("%+v", f)
		}
	}
	want := []string{"skipped projects/acme/subscriptions/nlp-watch-hints: there is none: the installation has no hints " +
		"(hints in Terraform's variables)"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for want, r := range map[string]Rule{
		"former versions that have 3 newer ones": {NewerVersions: 3, State: archived}, "objects after some days": {Age: Chosen},
		"former versions after 14 days": {DaysSinceNoncurrent: 14, State: archived},
	} {
		if got := r.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Without a network each service is a problem, and the rest is skipped.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	o := c.options()
	o.Client.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
		return nil,
			errors.New("no route to host")
	})
	for _, f := range c.examine(t, o).Findings {
		want := Skipped
		switch f.Check {
		case "settings", "credentials":
			want = OK
		case "reach":
			want = Problem
		case "functions", "schedule": // no row of reach is theirs
			want = Problem
		}
		if f.On == "projects/acme" && f.Check == "rights" {
			want = Problem
		}
		if f.Status != want || strings.Contains(f.Text, "https://") || f.Status == Problem && !strings.Contains(f.Text,
			"no route to host") {
			t.Errorf("%+v, want %s", f, want)
		}
	}
}

// A clock is not judged by an answer that has no time.
func TestNoDate(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	o := c.options()
	o.Client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		response, err := c.RoundTrip(r)
		if err == nil {
			response.Header.Del("Date")
		}
		return response, err
	})
	for _, f := range c.examine(t, o).Findings {
		if want := f.Check != "clock"; (f.Status == OK) != want || !want && f.Status != Skipped {
			t.Errorf("%+v", f)
		}
	}
}

// Each region of the backend is asked. A backend of its own has no regions.
func TestBackends(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		env  map[string]string
		want []string
	}{
		"two regions": {
			map[string]string{"JOBDROP_REGIONS": "europe-west4,us-central1"},
			[]string{"Vertex AI in europe-west4 " + jobs, "Vertex AI in us-central1 " + strings.ReplaceAll(jobs, "europe-west4",
				"us-central1")},
		},
		"an endpoint": {
			map[string]string{"JOBDROP_BACKEND_ENDPOINT": "https://proxy.example.com/"},
			[]string{"Vertex AI at https://proxy.example.com/ proxy.example.com/v1/projects/acme/locations/europe-west4/customJobs"},
		},
		"ml/v1": {
			map[string]string{"JOBDROP_BACKEND": "aiplatform"},
			[]string{"AI Platform Training ml.googleapis.com/v1/projects/acme/jobs"},
		},
		"ml/v1 elsewhere": {
			map[string]string{"JOBDROP_BACKEND": "aiplatform", "JOBDROP_BACKEND_ENDPOINT": "http://127.0.0.1:8480"},
			[]string{"AI Platform Training 127.0.0.1:8480/v1/projects/acme/jobs"},
		},
		"no regions": {map[string]string{"JOBDROP_REGIONS": ""}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			maps.Copy(c.env, test.env)
			report := c.examine(t, c.options())
			for _, want := range test.want {
				on, url := want[:strings.LastIndex(want, " ")], want[strings.LastIndex(want, " ")+1:]
				if !slices.ContainsFunc(report.Findings, func(f Finding) bool {
					return f.Check == "reach" && f.On == on &&
						f.Status == OK
				}) {
					t.Errorf("there is no row for %s: %+v", on, report)
				}
				if !slices.Contains(c.asked, "GET "+url) {
					t.Errorf("%s was not asked", url)
				}
			}
			if test.want == nil && !slices.ContainsFunc(report.Findings, func(f Finding) bool {
				return f.Check == "reach" && f.Status == Skipped && strings.HasPrefix(f.Text, "JOBDROP_REGIONS is not set")
			}) {
				t.Errorf("%+v", report)
			}
		})
	}
}

// On jobdrop local what it has is checked, and nothing else is asked for.
func TestLocal(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	maps.Copy(c.env, map[string]string{
		"STORAGE_EMULATOR_HOST": "storage.googleapis.com", "PUBSUB_EMULATOR_HOST": "pubsub.local:8085",
		"JOBDROP_BACKEND_ENDPOINT": "http://training.local", "JOBDROP_LOGGING_ENDPOINT": "http://training.local/",
	})
	delete(c.env, "JOBDROP_PUBSUB_ENDPOINT")
	edit[storage.Bucket](c, buckets+"acme-nlp-inbox").Versioning = nil
	c.answers["pubsub.local:8085/v1/"+lifecycle] = &pubsub.Topic{Name: lifecycle}
	c.answers["training.local/v2/entries:list"] = map[string]any{}
	var skipped []string
	for _, f := range c.examine(t, c.options()).Findings {
		switch f.Status {
		case OK:
		case Skipped:
			skipped = append(skipped, f.Check)
			if !strings.HasPrefix(f.Text, "jobdrop local ") {
				t.Errorf("%+v", f)
			}
		default:
			t.Errorf("%+v", f)
		}
	}
	want := []string{"credentials", "trigger", "subscription", "secrets", "functions", "schedule", "rights"}
	if diff := cmp.Diff(want, slices.Compact(skipped)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, request := range c.asked {
		_, url, _ := strings.Cut(request, " ")
		if !strings.HasPrefix(url, buckets) && !strings.Contains(url, ".local") {
			t.Errorf("it asked for %s", request)
		}
	}
	if !slices.Contains(c.asked, "POST training.local/v2/entries:list") {
		t.Errorf("the logs were not asked: %v", c.asked)
	}
}

// Without credentials the settings are checked, and nothing is asked.
func TestNoCredentials(t *testing.T) {
	c := newCloud(t)
	c.env["JOBDROP_SETTLE"] = "soon"
	o := c.options()
	o.Client, o.Credentials = nil, errNoCredentials
	report := c.examine(t, o)
	if len(c.asked) > 0 {
		t.Errorf("it asked for %v", c.asked)
	}
	for _, f := range report.Findings {
		want := Skipped
		if f.Check == "settings" || f.Check == "credentials" {
			want = Problem
		}
		if f.Status != want {
			t.Errorf("%+v", f)
		}
	}
	if f := report.Findings[1]; f.Check != "credentials" || !strings.Contains(f.Remedy, "gcloud auth") {
		t.Errorf("%+v", f)
	}
}

// The clock is judged by an answer's date, which is in whole seconds.
func TestClock(t *testing.T) {
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	for _, test := range []struct {
		name           string
		sent, received time.Time
		ahead          time.Duration
	}{
		{"within the second", at(300), at(400), 0},
		{"sent before, answered after", at(-700), at(1900), 0},
		{"just ahead", at(1000), at(1200), 0},
		{"ahead", at(12500), at(12600), 11500 * time.Millisecond},
		{"behind", at(-12500), at(-12000), -12 * time.Second},
	} {
		if got := ahead(start, test.sent, test.received); got != test.ahead {
			t.Errorf("%s: %s, want %s", test.name, got, test.ahead)
		}
	}
	for off, want := range map[time.Duration]Status{
		0: OK, clockTolerance: OK, -clockTolerance: OK, clockTolerance + 1: Warning, -clockTolerance - 1: Warning,
		clockRefused: Warning, clockRefused + 1: Problem, -clockRefused - 1: Problem,
	} {
		if got := judgeClock(off).Status; got != want {
			t.Errorf("%s: %s, want %s", off, got, want)
		}
	}
}

// Locations are regions, multi-regions and dual-regions.
func TestWithin(t *testing.T) {
	for _, test := range []struct {
		location, region string
		want             bool
	}{
		{"EUROPE-WEST4", "europe-west4", true}, {"EUROPE-WEST1", "europe-west4", false}, {"EU", "europe-west4", true},
		{"EUR4", "europe-north1", true}, {"US", "europe-west4", false}, {"NAM4", "us-central1", true}, {"ASIA1",
			"asia-northeast1", true},
		{"US", "", true},
	} {
		if got := within(test.location, test.region); got != test.want {
			t.Errorf("%s in %s: %v, want %v", test.region, test.location, got, test.want)
		}
	}
}
