package local_test

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/local"
)

// ask sends a request, and returns the answer and its body.
func ask(t *testing.T, method, url, contentType, body string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}

// Every service takes what Google's front ends take for all of theirs: system parameters,
// each with and without the dollar sign, and batches.
func TestFront(t *testing.T) {
	t.Parallel()
	s := stack(t, local.Options{})
	entries := `{"resourceNames":["projects/local"],"pageSize":1}`
	for _, tt := range []struct{ name, base, method, path, body, field string }{
		{"storage/v1", s.StorageURL, "GET", "/storage/v1/b/jobdrop-inbox", "", "name"},
		{"pubsub/v1", "http://" + s.PubSub, "GET", "/v1/" + s.Topic, "", "name"},
		{"ml/v1", s.BackendURL, "GET", "/v1/projects/local/jobs", "", ""},
		{"aiplatform/v1", s.BackendURL, "GET", "/v1/projects/local/locations/us-central1/customJobs", "", ""},
		{"logging/v2", s.BackendURL, "POST", "/v2/entries:list", entries, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, parameter := range []string{
				"alt=json", "alt=json;enum-encoding=int", "alt=json%3Benum-encoding%3Dint", "fields=*", "key=k",
				"prettyPrint=false", "quotaUser=u", "userProject=p", "uploadType=x", "upload_protocol=x",
				"access_token=x", "oauth_token=x", ".xgafv=2",
			} {
				for _, sign := range []string{"", "$", "%24"} {
					if parameter == ".xgafv=2" && sign == "" {
						continue
					}
					url := tt.base + tt.path + "?" + sign + parameter
					if got, text := ask(t, tt.method, url, "application/json", tt.body); got.StatusCode != 200 {
						t.Errorf("%s: %s: %s", url, got.Status, text)
					}
				}
			}
			got, text := ask(t, tt.method, tt.base+tt.path+"?$fields=nothing&$prettyPrint=false", "application/json", tt.body)
			if got.StatusCode != 200 || strings.TrimSpace(text) != "{}" {
				t.Errorf("a field that is not there: %s: %s", got.Status, text)
			}
			got, text = ask(t, tt.method, tt.base+tt.path+"?fields=name)", "application/json", tt.body)
			if got.StatusCode != 400 || !strings.Contains(text, "a parenthesis is closed") {
				t.Errorf("fields that can't be read: %s: %s", got.Status, text)
			}
			if tt.field != "" {
				_, text := ask(t, tt.method, tt.base+tt.path+"?$fields="+tt.field, "application/json", tt.body)
				var members map[string]any
				if err := json.Unmarshal([]byte(text), &members); err != nil || len(members) != 1 || members[tt.field] == nil {
					t.Errorf("$fields=%s: %s", tt.field, text)
				}
			}
			for parameter, want := range map[string]string{
				"$alt=proto": "write alt=json", "alt=sse": "write alt=json", "callback=x": "writes no scripts",
			} {
				got, text = ask(t, tt.method, tt.base+tt.path+"?"+parameter, "application/json", tt.body)
				if got.StatusCode != 400 || !strings.Contains(text, want) {
					t.Errorf("%s: %s: %s", parameter, got.Status, text)
				}
			}
		})
	}
	for _, tt := range []struct{ name, base, batch, path, refused string }{
		{"storage/v1", s.StorageURL, "/batch/storage/v1", "/storage/v1/b/jobdrop-inbox", "/storage/v1/b/none"},
		{"pubsub/v1", "http://" + s.PubSub, "/batch", "/v1/" + s.Topic, "/v1/projects/local/topics/none"},
		{"ml/v1", s.BackendURL, "/batch", "/v1/projects/local/jobs", "/v1/projects/local/jobs/none"},
		{"aiplatform/v1", s.BackendURL, "/batch/aiplatform/v1", "/v1/projects/local/locations/us-central1/customJobs",
			"/v1/projects/local/locations/us-central1/customJobs/1"},
	} {
		t.Run(tt.name+" in a batch", func(t *testing.T) { batch(t, tt.base+tt.batch, tt.path, tt.refused) })
	}
}

// batch makes two calls in one request, as Google's Python client writes them.
func batch(t *testing.T, url string, paths ...string) {
	t.Helper()
	var body strings.Builder
	w := multipart.NewWriter(&body)
	for i, path := range paths {
		part, err := w.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/http"},
			"Content-ID": {fmt.Sprintf("<id+%d>", i+1)}})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(part, "GET "+path+"?alt=json HTTP/1.1\nHost: \nAccept: application/json\n\n")
	}
	_ = w.Close()
	response, text := ask(t, "POST", url, `multipart/mixed; boundary="`+w.Boundary()+`"`, body.String())
	_, params, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if err != nil || response.StatusCode != 200 || params["boundary"] == "" {
		t.Fatalf("%s: %s", response.Status, text)
	}
	r := multipart.NewReader(strings.NewReader(text), params["boundary"])
	var got []string
	for {
		part, err := r.NextPart()
		if err != nil {
			break
		}
		answer, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		status, _, _ := strings.Cut(string(answer), "\r\n")
		got = append(got, part.Header.Get("Content-ID")+" "+status)
	}
	want := []string{"<response-id+1> HTTP/1.1 200 OK", "<response-id+2> HTTP/1.1 404 Not Found"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s\n%s", diff, text)
	}
}
