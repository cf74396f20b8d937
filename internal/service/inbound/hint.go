package inbound

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"github.com/jobdrop/jobdrop/internal/app/logging"
	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Watch serves a function that is woken by a scheduler, and by hints: entries of
// Cloud Logging about a job, which a sink sends through Pub/Sub. A hint names a job
// and is believed in nothing else. It is acknowledged even if its poll fails or panics:
// what that leaves undone, the next tick does. Only one that came while the job's last
// events are being published is to come again, in a moment: its own events would be late. Any
// other request is a tick.
func Watch(tick func(ctx context.Context) error, refresh func(ctx context.Context, j job.JobInfo) error) http.Handler {
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
		j, isTick := hint(body)
		switch {
		case isTick:
			err = tick(ctx)
		case j.ID != "" || j.ResourceName != "":
			func() {
				defer recovered(ctx, logger, func() {})
				// Any error is logged by the caller's function.
				if refused := refresh(ctx, j); errors.Is(refused, attempt.ErrTelling) {
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

// entry is the part of a LogEntry (logging/v2) that names a job.
type entry struct {
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

// hint reads a request's body as an entry of Cloud Logging, in a Pub/Sub push or
// unwrapped. The job is empty where it names none that may have changed. isTick
// reports that the request is neither, but what a scheduler sends, through a topic or
// not. A push that has data is never a tick: a tick that fails is answered with an
// error, and Pub/Sub would then send the same push again and again. Nothing promises
// what the entries hold, so all that can be read of them is taken.
func hint(body []byte) (j job.JobInfo, isTick bool) {
	var p pushed
	data := body
	isPush := readable(json.Unmarshal(body, &p)) && p.Message != nil
	if isPush {
		if data = p.Message.Data; len(data) == 0 {
			return j, true
		}
	}
	var e entry
	if !readable(json.Unmarshal(data, &e)) || e.LogName == "" {
		return j, !isPush
	}
	for _, name := range [...]string{e.ProtoPayload.Response.Name, e.ProtoPayload.ResourceName} {
		for _, kind := range [...]string{"/customJobs/", "/hyperparameterTuningJobs/", "/jobs/"} {
			if strings.Contains(name, kind) {
				j.ResourceName = name
				return j, false
			}
		}
	}
	switch e.Resource.Type {
	case "ml_job", "cloudml_job", "aiplatform.googleapis.com/CustomJob",
		"aiplatform.googleapis.com/HyperparameterTuningJob":
		// A job's programs write entries, too, and those say nothing of its state.
		if task := e.Resource.Labels["task_name"]; task == "" || task == "service" {
			j.ID = e.Resource.Labels["job_id"]
		}
	}
	return j, false
}

// readable reports whether JSON was read, apart from fields of other types.
func readable(err error) bool {
	var field *json.UnmarshalTypeError
	return err == nil || errors.As(err, &field)
}
