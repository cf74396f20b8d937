package local

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/service/inbound"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Watch looks at the job that a hint of the stack is about, through either API.
func TestHintBody(t *testing.T) {
	const name = "projects/local/locations/us-central1/customJobs/1234567890123456789"
	for hinted, want := range map[string]job.JobInfo{"census_1": {ID: "census_1"}, name: {ResourceName: name}} {
		var looked job.JobInfo
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/Watch",
			strings.NewReader(string(hintBody(hinted, "RUNNING", time.Unix(0, 0)))))
		r.Header.Set("Content-Type", "application/json")
		inbound.Watch(
			func(context.Context) error { t.Errorf("%s: a tick", hinted); return nil },
			func(_ context.Context, j job.JobInfo) error { looked = j; return nil },
		).ServeHTTP(httptest.NewRecorder(), r)
		if diff := cmp.Diff(want, looked); diff != "" {
			t.Errorf("%s (-want +got):\n%s", hinted, diff)
		}
	}
}
