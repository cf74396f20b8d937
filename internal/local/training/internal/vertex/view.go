package vertex

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/rest"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/study"
)

// parentOf returns the name of the collection that shows a job.
func parentOf(r *jobs.Record) string {
	return collectionOf(r.Project, r.Vertex.Location, r.Vertex.Collection)
}

// resourceName returns a job's resource name.
func resourceName(r *jobs.Record) string { return parentOf(r) + "/" + r.Job.JobID }

// displayName returns the name that people gave the job.
func displayName(v *jobs.VertexRecord) string {
	var body struct{ DisplayName string }
	_ = json.Unmarshal(v.Body, &body) // it was written by Marshal
	return body.DisplayName
}

// viewOf returns a job as the API shows it.
func viewOf(j jobs.Snapshot) map[string]any {
	view := map[string]any{}
	_ = json.Unmarshal(j.Vertex.Body, &view) // it was written by Marshal
	view["name"], view["state"] = resourceName(&j.Record), stateOf(&j.Record)
	view["createTime"], view["updateTime"] = j.Job.CreateTime, j.Vertex.UpdateTime
	if !j.Job.StartTime.IsZero() {
		view["startTime"] = j.Job.StartTime
	}
	if !j.Job.EndTime.IsZero() {
		view["endTime"] = j.Job.EndTime
	}
	if j.Job.State == jobs.Failed || j.Job.State == jobs.Cancelled {
		view["error"] = map[string]any{"code": j.Vertex.Code, "message": j.Job.ErrorMessage}
	}
	if trials := trialsOf(&j.Record); len(trials) > 0 {
		view["trials"] = trials
	}
	return view
}

// trialsOf returns a job's trials as the API shows them.
func trialsOf(r *jobs.Record) []any {
	var all []any
	for _, t := range r.Trials {
		view := map[string]any{"id": t.ID, "startTime": t.StartTime}
		var parameters []any
		for _, p := range t.Parameters {
			var value any = p.Number
			if p.Categorical {
				value = p.Category
			}
			parameters = append(parameters, map[string]any{"parameterId": p.Name, "value": value})
		}
		view["parameters"] = parameters
		switch {
		case t.State == jobs.Succeeded:
			view["state"] = "SUCCEEDED"
		case t.State.Ended():
			view["state"], view["infeasibleReason"] = "INFEASIBLE", t.Error
		case r.Job.State == jobs.Cancelling:
			view["state"] = "STOPPING"
		default:
			view["state"] = "ACTIVE"
		}
		if t.State.Ended() {
			view["endTime"] = t.EndTime
		}
		if t.Final != nil {
			view["finalMeasurement"] = map[string]any{
				"stepCount": fmt.Sprint(t.Final.Step),
				"metrics": []any{map[string]any{"metricId": study.MetricTag(r.Job.TrainingInput.Hyperparameters),
					"value": t.Final.Value}},
			}
		}
		all = append(all, view)
	}
	return all
}

// filterTerm reads a comparison of the API's list filters.
func filterTerm(field, op, value string, quoted bool) (rest.Predicate[*jobs.Record], error) {
	ops := func(allowed ...string) error {
		if !slices.Contains(allowed, op) {
			return fmt.Errorf("%s can't be compared with %s, only with %s", field, op, strings.Join(allowed, ", "))
		}
		return nil
	}
	equal := func(get func(*jobs.Record) (string, bool)) rest.Predicate[*jobs.Record] {
		return func(r *jobs.Record) bool { v, ok := get(r); return (ok && v == value) == (op != "!=") }
	}
	if key, ok := strings.CutPrefix(field, "labels."); ok && key != "" {
		if op == ":" && value == "*" && !quoted {
			return func(r *jobs.Record) bool { _, ok := r.Job.Labels[key]; return ok }, nil
		}
		if op == ":" {
			return nil, fmt.Errorf("%s: takes * alone, which asks whether the label is there", field)
		}
		return equal(func(r *jobs.Record) (string, bool) { v, ok := r.Job.Labels[key]; return v, ok }), ops("=", "!=")
	}
	switch field {
	case "display_name", "displayName":
		if op == ":" {
			return func(r *jobs.Record) bool { return rest.MatchStars(value, displayName(r.Vertex)) }, nil
		}
		return equal(func(r *jobs.Record) (string, bool) { return displayName(r.Vertex), true }), ops("=", "!=", ":")
	case "state":
		if !slices.Contains(jobStates, value) {
			return nil, fmt.Errorf("%q is not a state", value)
		}
		return equal(func(r *jobs.Record) (string, bool) { return stateOf(r), true }), ops("=", "!=")
	case "create_time", "createTime":
		t, err := time.Parse(time.RFC3339Nano, value)
		if err != nil {
			return nil, fmt.Errorf("%q is not a time as of RFC 3339, e.g. \"2026-01-31T12:00:00Z\"", value)
		}
		return func(r *jobs.Record) bool { return rest.Holds(op, r.Job.CreateTime.Compare(t)) },
			ops("=", "!=", "<", "<=", ">", ">=")
	}
	return nil, fmt.Errorf("jobs can't be filtered by %q, only by display_name, state, create_time and labels.key", field)
}

// jobStates are all of the API's JobState.
var jobStates = []string{
	"JOB_STATE_UNSPECIFIED", "JOB_STATE_QUEUED", "JOB_STATE_PENDING", "JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED",
	"JOB_STATE_FAILED",
	"JOB_STATE_CANCELLING", "JOB_STATE_CANCELLED", "JOB_STATE_PAUSED", "JOB_STATE_EXPIRED", "JOB_STATE_UPDATING",
	"JOB_STATE_PARTIALLY_SUCCEEDED",
}
