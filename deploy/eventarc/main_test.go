package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/option"
)

const (
	trigger = "projects/p/locations/europe-west4/triggers/jobdrop-submit-1"
	own     = "projects/p/subscriptions/eventarc-europe-west4-jobdrop-submit-1-sub-1"
	dead    = "projects/p/topics/jobdrop-submit-inbox-dead"
	agent   = "service-7@gcp-sa-pubsub.iam.gserviceaccount.com"
)

// cloud is what Eventarc and Pub/Sub keep, as JSON, and what was asked of them.
type cloud struct {
	trigger      map[string]any
	subscription map[string]any
	policy       map[string]any
	conflicts    int // writes of the policy that somebody else is faster than
	writes       []string
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := func(code int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(body)
	}
	var body map[string]any
	if r.Body != nil && r.Method != http.MethodGet {
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			answer(http.StatusBadRequest, map[string]any{})
			return
		}
	}
	switch r.Method + " " + r.URL.Path {
	case "GET /v1/" + trigger:
		answer(http.StatusOK, c.trigger)
	case "GET /v1/" + own:
		answer(http.StatusOK, c.subscription)
	case "PATCH /v1/" + own:
		c.writes = append(c.writes, body["updateMask"].(string))
		for _, field := range strings.Split(body["updateMask"].(string), ",") {
			c.subscription[field] = body["subscription"].(map[string]any)[field]
		}
		answer(http.StatusOK, c.subscription)
	case "GET /v1/" + own + ":getIamPolicy":
		answer(http.StatusOK, c.policy)
	case "POST /v1/" + own + ":setIamPolicy":
		policy := body["policy"].(map[string]any)
		if policy["etag"] != c.policy["etag"] || c.conflicts > 0 {
			c.conflicts--
			answer(http.StatusConflict, map[string]any{"error": map[string]any{"code": 409, "message": "concurrent change"}})
			return
		}
		c.writes = append(c.writes, "policy")
		c.policy = policy
		answer(http.StatusOK, policy)
	default:
		answer(http.StatusNotFound, map[string]any{
			"error": map[string]any{"code": 404, "message": r.Method + " " + r.URL.Path},
		})
	}
}

func TestRun(t *testing.T) {
	found := func(name string) map[string]any {
		return map[string]any{"name": trigger, "transport": map[string]any{"pubsub": map[string]any{"subscription": name}}}
	}
	const outputs = `{"environment": {"value": {}}, "inbox_trigger": {"value": {"trigger": "` + trigger +
		`", "location": "europe-west4", "dead_letter_topic": "` + dead + `", "pubsub_agent": "` + agent + `"}}}`
	made := map[string]any{"name": own, "ackDeadlineSeconds": 10.0, "messageRetentionDuration": "86400s",
		"pushConfig":       map[string]any{"pushEndpoint": "https://x"},
		"expirationPolicy": map[string]any{"ttl": "2678400s"}}
	set := map[string]any{"name": own, "ackDeadlineSeconds": 600.0, "messageRetentionDuration": "604800s",
		"pushConfig":       map[string]any{"pushEndpoint": "https://x"},
		"deadLetterPolicy": map[string]any{"deadLetterTopic": dead, "maxDeliveryAttempts": 20.0},
		"expirationPolicy": map[string]any{}}
	others := []any{map[string]any{"role": "roles/pubsub.viewer", "members": []any{"user:a@example.com"}},
		map[string]any{
			"role":      puller,
			"members":   []any{"user:a@example.com"},
			"condition": map[string]any{"expression": "false"},
		}}
	allowed := append(others[:2:2], map[string]any{"role": puller, "members": []any{"serviceAccount:" + agent}})
	tests := []struct {
		name    string
		outputs string
		cloud   cloud
		said    string
		err     string
		writes  []string
		want    map[string]any
		policy  []any
	}{
		{"as Eventarc makes it", outputs, cloud{
			trigger:      found(own),
			subscription: made,
			policy:       map[string]any{"etag": "1", "bindings": others},
		},
			"set ackDeadlineSeconds, deadLetterPolicy, messageRetentionDuration, expirationPolicy", "", []string{
				"policy", "ackDeadlineSeconds,deadLetterPolicy,messageRetentionDuration,expirationPolicy",
			}, set, allowed},
		{"a second time", outputs, cloud{
			trigger:      found(own),
			subscription: set,
			policy:       map[string]any{"etag": "1", "bindings": allowed},
		},
			"all is set", "", nil, set, allowed},
		{"another wrote the policy", outputs, cloud{
			trigger:      found(own),
			subscription: set,
			policy:       map[string]any{"etag": "1"},
			conflicts:    2,
		},
			"has roles/pubsub.subscriber", "", []string{"policy"}, set, allowed[2:]},
		{"another topic of dead letters", outputs,
			cloud{trigger: found(own), policy: map[string]any{"etag": "1", "bindings": allowed}, subscription: map[string]any{
				"name": own, "ackDeadlineSeconds": 600.0, "messageRetentionDuration": "604800s",
				"pushConfig":       map[string]any{"pushEndpoint": "https://x"},
				"deadLetterPolicy": map[string]any{"deadLetterTopic": "projects/p/topics/old", "maxDeliveryAttempts": 20.0},
				"expirationPolicy": map[string]any{}}},
			"set deadLetterPolicy", "", []string{"deadLetterPolicy"}, set, allowed},
		{"another always writes the policy", outputs, cloud{
			trigger:      found(own),
			subscription: made,
			policy:       map[string]any{"etag": "1"},
			conflicts:    100,
		},
			"", "concurrent change", nil, made, nil},
		{"no trigger", strings.Replace(outputs, "triggers/", "triggers/not-", 1), cloud{}, "", "404", nil, nil, nil},
		{
			"a trigger of another kind", outputs, cloud{trigger: map[string]any{"name": trigger}}, "", "names no subscription",
			nil, nil, nil,
		},
		{
			"a name that is none", strings.Replace(outputs, "projects/p/loc", "loc", 1), cloud{}, "",
			"want projects/P/locations/L/triggers/T", nil, nil, nil,
		},
		{
			"a notification", `{"environment": {"value": {}}, "inbox_trigger": {"value": null}}`, cloud{}, "nothing to do", "",
			nil, nil, nil,
		},
		{
			"half an output", `{"environment": {"value": {}}, "inbox_trigger": {"value": {"trigger": "x"}}}`, cloud{}, "",
			"lacks trigger", nil, nil, nil,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			// Each has what it changes for itself.
			c := test.cloud
			c.subscription = copied(t, c.subscription)
			server := httptest.NewServer(&c)
			defer server.Close()
			file := filepath.Join(t.TempDir(), "outputs.json")
			if err := os.WriteFile(file, []byte(test.outputs), 0o600); err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			err := run(t.Context(), []string{"-outputs", file}, &out, option.WithEndpoint(server.URL+"/"),
				option.WithoutAuthentication())
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("it ends with %v, want %q", err, test.err)
			}
			if !strings.Contains(out.String(), test.said) {
				t.Errorf("it says %q, want %q", out.String(), test.said)
			}
			if diff := cmp.Diff(test.writes, c.writes); diff != "" {
				t.Errorf("writes (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.want, c.subscription); diff != "" {
				t.Errorf("subscription (-want +got):\n%s", diff)
			}
			if got, _ := c.policy["bindings"].([]any); test.err == "" {
				if diff := cmp.Diff(test.policy, got); diff != "" {
					t.Errorf("policy (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func copied(t *testing.T, m map[string]any) map[string]any {
	t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return c
}
