package local

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/service/inbound"
)

// Watch looks at the job that a hint of the stack is about, through either API. Only creates and
// cancels name the resource, as in Google's audit log.
func TestHintBody(t *testing.T) {
	const number = "1234567890123456789"
	const custom, tuning = "projects/local/locations/us-central1/customJobs/" + number,
		"projects/local/locations/us-central1/hyperparameterTuningJobs/" + number
	for _, test := range []struct{ name, state, want, text string }{
		{"census_1", "RUNNING", "census_1", `"job_id":"census_1"`},
		{"census_1", "CANCELLING", "census_1", `"job_id":"census_1"`},
		{custom, "JOB_STATE_RUNNING", number, `"job_id":"` + number + `"`},
		{tuning, "JOB_STATE_SUCCEEDED", number, `"ml.googleapis.com/job_state":"SUCCEEDED"`},
		{custom, "JOB_STATE_QUEUED", number, `"response":{"name":"` + custom + `"}`},
		{tuning, "JOB_STATE_CANCELLING", number, `JobService.CancelHyperparameterTuningJob","resourceName":"` + tuning + `"`},
	} {
		body := hintBody(test.name, test.state, time.Unix(0, 0))
		var push struct{ Message struct{ Data []byte } }
		if err := json.Unmarshal(body, &push); err != nil || !strings.Contains(string(push.Message.Data), test.text) {
			t.Errorf("%s, %s: %v, entry %s, want %s in it", test.name, test.state, err, push.Message.Data, test.text)
		}
		named := strings.Contains(string(push.Message.Data), "projects/local/locations")
		if audit := strings.Contains(string(push.Message.Data), "JobService."); named != audit {
			t.Errorf("%s, %s: the entry names the resource: %t, %s", test.name, test.state, named, push.Message.Data)
		}
		looked := ""
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/Watch", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		inbound.Watch(
			func(context.Context) error { t.Errorf("%s: a tick", test.name); return nil },
			func(_ context.Context, name string) error { looked = name; return nil },
			func(context.Context, string) error { t.Errorf("%s: a request", test.name); return nil },
		).ServeHTTP(httptest.NewRecorder(), r)
		if looked != test.want {
			t.Errorf("%s, %s: looks at %q, want %q", test.name, test.state, looked, test.want)
		}
	}
}
