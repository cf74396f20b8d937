package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/api/googleapi"
)

// service is a service of Google's, by the name that people know it by.
type service string

const (
	cloudStorage  service = "Cloud Storage"
	pubSub        service = "Pub/Sub"
	backend       service = "the backend"
	cloudLogging  service = "Cloud Logging"
	secretManager service = "Secret Manager"
	cloudRun      service = "Cloud Run"
	functionsAPI  service = "Cloud Functions"
	scheduler     service = "Cloud Scheduler"
	eventarcAPI   service = "Eventarc"
	projectsAPI   service = "Resource Manager"
)

// api returns the name by which gcloud enables a service.
func (s service) api() string {
	return map[service]string{
		cloudStorage: "storage.googleapis.com", pubSub: "pubsub.googleapis.com", backend: "aiplatform.googleapis.com",
		cloudLogging: "logging.googleapis.com", secretManager: "secretmanager.googleapis.com",
		cloudRun: "run.googleapis.com", functionsAPI: "cloudfunctions.googleapis.com",
		scheduler: "cloudscheduler.googleapis.com", eventarcAPI: "eventarc.googleapis.com",
		projectsAPI: "cloudresourcemanager.googleapis.com",
	}[s]
}

const (
	// maxAnswer is the most bytes of an answer. A policy has 1 MiB at most, and a service's settings some KiB.
	maxAnswer = 4 << 20
	// tries is how often a call is made that finds a service busy, and pause what the first two are apart.
	tries = 3
	pause = 200 * time.Millisecond
)

// calls sends requests that change nothing: reads, and questions for the caller's own rights.
type calls struct{ client *http.Client }

// answer is what a service said.
type answer struct {
	data []byte
	// date is the service's time, zero if it did not say. The call was sent and answered at these times of this machine.
	date, sent, received time.Time
}

// read reads a resource at a URL.
func (c calls) read(ctx context.Context, url string) (answer, error) {
	return c.send(ctx, http.MethodGet, url, nil)
}

// get reads a resource at a URL, in JSON.
func get[T any](ctx context.Context, c calls, url string) (*T, error) {
	a, err := c.read(ctx, url)
	if err != nil {
		return nil, err
	}
	return decoded[T](a)
}

// entries reads one entry of a log by a filter. Cloud Logging takes such a read as a POST.
func (c calls) entries(ctx context.Context, base, project, filter string) error {
	_, err := c.send(ctx, http.MethodPost, base+"/v2/entries:list", map[string]any{
		"resourceNames": []string{"projects/" + project}, "filter": filter, "pageSize": 1,
	})
	return err
}

// rights is an answer to the question which of some permissions the caller has.
type rights struct {
	Permissions []string `json:"permissions"`
}

// bucketRights asks which permissions the caller has on a bucket.
func (c calls) bucketRights(ctx context.Context, bucketURL string, permissions []string) (*rights, error) {
	return get[rights](ctx, c, bucketURL+"/iam/testPermissions?"+url.Values{"permissions": permissions}.Encode())
}

// rightsOn asks which permissions the caller has on any other resource: that is a POST.
func (c calls) rightsOn(ctx context.Context, resourceURL string, permissions []string) (*rights, error) {
	a, err := c.send(ctx, http.MethodPost, resourceURL+":testIamPermissions", map[string]any{"permissions": permissions})
	if err != nil {
		return nil, err
	}
	return decoded[rights](a)
}

func decoded[T any](a answer) (*T, error) {
	var v T
	if err := json.Unmarshal(a.data, &v); err != nil {
		return nil, fmt.Errorf("the answer is not what the service documents: %w", err)
	}
	return &v, nil
}

// send makes a call, again if the service is busy.
func (c calls) send(ctx context.Context, method, url string, body any) (a answer, err error) {
	for try := 1; ; try++ {
		a, err = c.once(ctx, method, url, body)
		if try == tries || !passing(err) {
			return a, err
		}
		t := time.NewTimer(time.Duration(try) * pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return a, err
		}
	}
}

// passing reports whether a service said that it is busy.
func passing(err error) bool {
	var api *googleapi.Error
	return errors.As(err, &api) && (api.Code == http.StatusTooManyRequests || api.Code >= http.StatusInternalServerError)
}

func (c calls) once(ctx context.Context, method, url string, body any) (answer, error) {
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		content = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(ctx, method, url, content)
	if err != nil {
		return answer{}, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	a := answer{sent: time.Now()}
	response, err := c.client.Do(r)
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	a.received = time.Now()
	a.date, _ = http.ParseTime(response.Header.Get("Date"))
	if err := googleapi.CheckResponse(response); err != nil {
		return a, err
	}
	a.data, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err == nil && len(a.data) > maxAnswer {
		err = fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	return a, err
}

// code returns the HTTP status of an error, or 0 if there was no answer.
func code(err error) int {
	var api *googleapi.Error
	if errors.As(err, &api) {
		return api.Code
	}
	return 0
}

// disabled reports whether a project does not use a service's API. Both forms of errors say so by a reason.
func disabled(err error) bool {
	var api *googleapi.Error
	if !errors.As(err, &api) || api.Code != http.StatusForbidden {
		return false
	}
	for _, e := range api.Errors {
		if e.Reason == "accessNotConfigured" {
			return true
		}
	}
	var body struct {
		Error struct {
			Details []struct {
				Reason string `json:"reason"`
			} `json:"details"`
		} `json:"error"`
	}
	if json.Unmarshal([]byte(api.Body), &body) != nil {
		return false
	}
	for _, d := range body.Error.Details {
		if d.Reason == "SERVICE_DISABLED" {
			return true
		}
	}
	return false
}

// unread is the finding of a resource that could not be read, for which a right may be needed. A resource that is not
// there is for the caller to judge.
func unread(s service, on, right string, err error) Finding {
	f := Finding{On: on, Status: Problem}
	switch status := code(err); {
	case disabled(err):
		f.Status = Skipped
		f.Text = fmt.Sprintf("the API of %s is not enabled in the project that your calls are counted for", s)
		f.Remedy = "gcloud services enable " + s.api()
	case status == http.StatusUnauthorized:
		f.Text, f.Remedy, f.unreached = "your credentials are refused: "+cause(err), login, s
	case status == http.StatusForbidden && right == "":
		f.Status, f.Text = Skipped, string(s)+" refuses it: "+cause(err)
	case status == http.StatusForbidden:
		f.Status, f.Right = Skipped, right
		f.Text, f.Remedy = "you lack the right "+right, "ask whoever runs the installation for it"
	case status == http.StatusNotFound:
		f.Text, f.Remedy = "it does not exist", apply
	case errors.Is(err, context.DeadlineExceeded):
		f.Text = fmt.Sprintf("%s did not answer within %s", s, checkTime)
		f.Remedy, f.unreached = network, s
	case status == 0:
		f.Text, f.Remedy, f.unreached = fmt.Sprintf("%s does not answer: %s", s, cause(err)), network, s
	default:
		f.Text, f.Remedy, f.unreached = fmt.Sprintf("%s can't be read: %s", s, cause(err)), again, s
	}
	return f
}

// The remedies that several findings have.
const (
	login   = "gcloud auth application-default login gets new credentials"
	apply   = "terraform apply sets it as deploy/terraform says"
	network = "look at the network between here and the service, and at its address in the settings"
	again   = "run it again; if it stays, look at https://status.cloud.google.com"
)

// cause returns what an error says, in a line without the request's URL.
func cause(err error) string {
	var api *googleapi.Error
	if errors.As(err, &api) {
		text := api.Message
		if text == "" {
			text = http.StatusText(api.Code)
		}
		return fmt.Sprintf("%d, %s", api.Code, firstLine(text))
	}
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err
	}
	return firstLine(err.Error())
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
