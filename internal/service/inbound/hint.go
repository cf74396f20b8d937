package inbound

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path"
	"regexp"
	"strings"

	"github.com/jobdrop/jobdrop/internal/app/logging"
	"github.com/jobdrop/jobdrop/internal/attempt"
)

// Watch serves a function that is woken by a scheduler, and by hints: entries of
// Cloud Logging about a job, which a sink sends through Pub/Sub, and notifications of
// Cloud Storage about a new request. A hint names a job by its ID, or by the number
// that the backend gave it, or a request by its object, and is believed in nothing
// else. It is acknowledged even if what it leads to fails or panics: what that leaves
// undone, the next tick does. Only one that came while the attempt's last events are
// being published is to come again, in a moment: its own events would be late. Any
// other request is a tick.
func Watch(
	tick func(ctx context.Context) error, refresh, ask func(ctx context.Context, name string) error,
) http.Handler {
	logger := logging.New(os.Stderr, slog.LevelInfo)
	return serve(func(ctx context.Context, w http.ResponseWriter, r *http.Request) (int, error) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		var tooLarge *http.MaxBytesError
		switch {
		case errors.As(err, &tooLarge):
			return http.StatusNoContent, nil // no scheduler says so much, and no entry is so long
		case err != nil:
			return http.StatusBadRequest, err
		}
		name, isRequest, isTick := hint(body)
		look := refresh
		if isRequest {
			look = ask
		}
		switch {
		case isTick:
			err = tick(ctx)
		case name != "":
			func() {
				defer recovered(ctx, logger, func() {})
				// Any error is logged by the caller's function.
				if refused := look(ctx, name); errors.Is(refused, attempt.ErrTelling) {
					err = refused
				}
			}()
		}
		if err != nil {
			return notDone, nil
		}
		return http.StatusNoContent, nil
	})
}

// entry is the part of a LogEntry (logging/v2) that names a job, or that of an object of Cloud
// Storage (storage/v1) that names it.
type entry struct {
	Kind     string `json:"kind"`
	Name     string `json:"name"`
	LogName  string `json:"logName"`
	Resource struct {
		Type   string            `json:"type"`
		Labels map[string]string `json:"labels"`
	} `json:"resource"`
	ProtoPayload struct {
		ResourceName string `json:"resourceName"`
		Response     struct {
			Name string `json:"name"`
		} `json:"response"`
	} `json:"protoPayload"`
}

// requests is the folder of the state bucket that people write requests to.
const requests = "requests/"

// hint reads a request's body as an entry of Cloud Logging or an object of Cloud Storage, in a
// Pub/Sub push or unwrapped. name is empty where it names no job that may have changed and no request.
// isRequest reports that it is what follows [requests] in an object's name. isTick
// reports that the request is neither, but what a scheduler sends, through a topic or
// not. A push that has data is never a tick: a tick that fails is answered with an
// error, and Pub/Sub would then send the same push again and again. Nothing promises
// what the entries hold, so all that can be read of them is taken.
func hint(body []byte) (name string, isRequest, isTick bool) {
	var p pushed
	data := body
	isPush := readable(json.Unmarshal(body, &p)) && p.Message != nil
	if isPush {
		if data = p.Message.Data; len(data) == 0 {
			return "", false, true
		}
	}
	var e entry
	read := readable(json.Unmarshal(data, &e))
	if read && e.Kind == "storage#object" {
		name, isRequest = strings.CutPrefix(e.Name, requests)
		if !isRequest || len(name) > longestName {
			name = ""
		}
		return name, isRequest, false
	}
	if !read || e.LogName == "" {
		return "", false, !isPush
	}
	return e.job(), false, false
}

// longestName is Cloud Storage's limit, in bytes.
const longestName = 1024

// job returns the name of the job that an entry is about: the ID that ml/v1 was given,
// or the number that Vertex AI gave. Its audit log, of creates and cancels, has the
// number at the end of the resource's name, and its entries about a job's states have
// it alone.
func (e entry) job() string {
	name := ""
	for _, resource := range [...]string{e.ProtoPayload.Response.Name, e.ProtoPayload.ResourceName} {
		switch path.Base(path.Dir(resource)) {
		case "customJobs", "hyperparameterTuningJobs", "jobs":
			name = cmp.Or(name, path.Base(resource))
		}
	}
	switch e.Resource.Type {
	case "ml_job", "cloudml_job", "aiplatform.googleapis.com/CustomJob",
		"aiplatform.googleapis.com/HyperparameterTuningJob":
		// A job's programs write entries, too, and those say nothing of its state.
		if task := e.Resource.Labels["task_name"]; task == "" || task == "service" {
			name = cmp.Or(name, e.Resource.Labels["job_id"])
		}
	}
	if !jobName.MatchString(name) {
		return ""
	}
	return name
}

// jobName is what a job ID or a number may be. It becomes part of an object's name.
var jobName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// readable reports whether JSON was read, apart from fields of other types.
func readable(err error) bool {
	var field *json.UnmarshalTypeError
	return err == nil || errors.As(err, &field)
}
