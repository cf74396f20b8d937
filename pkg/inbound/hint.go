package inbound

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// Watch serves a function that is woken by a scheduler, and by hints: entries of
// Cloud Logging about a job, which a sink sends through Pub/Sub. A hint names a job
// and is believed in nothing else. It is taken in any case: what a failed look
// leaves undone, the next tick does. Any other request is a tick.
func Watch(tick func(ctx context.Context) error, look func(ctx context.Context, j job.JobInfo) error) http.Handler {
	return serve(func(ctx context.Context, w http.ResponseWriter, r *http.Request) (int, error) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		var tooLarge *http.MaxBytesError
		switch {
		case errors.As(err, &tooLarge):
			return http.StatusNoContent, nil // no scheduler says so much, and no entry is so long
		case err != nil:
			return http.StatusBadRequest, err
		}
		j, isEntry := hint(body)
		switch {
		case !isEntry:
			err = tick(ctx)
		case j.ID != "" || j.ResourceName != "":
			_ = look(ctx, j) // logged by whoever looked
		}
		if err != nil {
			return http.StatusInternalServerError, nil
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
// unwrapped. isEntry tells whether it is one; the job is empty where it names none
// that may have changed. What the entries hold is nowhere promised, so everything
// but their form is taken as it comes.
func hint(body []byte) (j job.JobInfo, isEntry bool) {
	var p pushed
	data := body
	if json.Unmarshal(body, &p) == nil && p.Message != nil {
		data = p.Message.Data
	}
	var e entry
	if json.Unmarshal(data, &e) != nil || e.LogName == "" {
		return j, false
	}
	for _, name := range [...]string{e.ProtoPayload.Response.Name, e.ProtoPayload.ResourceName} {
		for _, kind := range [...]string{"/customJobs/", "/hyperparameterTuningJobs/", "/jobs/"} {
			if strings.Contains(name, kind) {
				j.ResourceName = name
				return j, true
			}
		}
	}
	switch e.Resource.Type {
	case "ml_job", "cloudml_job", "aiplatform.googleapis.com/CustomJob", "aiplatform.googleapis.com/HyperparameterTuningJob":
		// A job's programs write entries, too, and those say nothing of its state.
		if task := e.Resource.Labels["task_name"]; task == "" || task == "service" {
			j.ID = e.Resource.Labels["job_id"]
		}
	}
	return j, true
}
