// Package vertex speaks, of aiplatform/v1 (Vertex AI), customJobs and hyperparameterTuningJobs.
package vertex

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/rest"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// API is, of aiplatform/v1, customJobs and hyperparameterTuningJobs.
type API struct {
	jobs     jobs.Queue
	document *rest.Document
}

// New returns the API over a queue.
func New(j jobs.Queue) (*API, error) {
	d, err := Document()
	return &API{jobs: j, document: d}, err
}

// Open takes the jobs whose record has a part of the API's own.
func (v *API) Open(r *jobs.Record) (jobs.Dialect, error) {
	if r.Vertex == nil {
		return nil, nil
	}
	body, err := parseRecord(r.Vertex)
	if err != nil {
		return nil, err
	}
	return &dialect{r, body}, nil
}

// Document implements [jobs.API].
func (v *API) Document() *rest.Document { return v.document }

// Serve implements [jobs.API].
func (v *API) Serve(r *http.Request) (any, error) {
	a := parseAddress(r.URL.Path)
	if !locationFormat.MatchString(a.location) {
		return nil, rest.Invalid("Unsupported location %q: jobs are created in regions, e.g. us-central1.", a.location)
	}
	switch {
	case a.verb == "cancel":
		return v.cancel(r, a)
	case a.id != "":
		return v.get(a)
	case r.Method == http.MethodPost:
		return v.create(r, a)
	}
	return v.list(r, a)
}

// address is what a request's path names.
type address struct {
	project, location string
	collection        string
	id, verb          string
}

// parseAddress reads a path of one of the API's methods, of the form
// /v1/projects/P/locations/L/customJobs[/ID[:cancel]].
func parseAddress(path string) address {
	parts := strings.Split(path, "/")
	a := address{project: parts[3], location: parts[5], collection: parts[6]}
	if len(parts) == 8 {
		a.id, a.verb, _ = strings.Cut(parts[7], ":")
	}
	return a
}

// parent returns the name of the collection.
func (a address) parent() string { return collectionOf(a.project, a.location, a.collection) }

// locationFormat is that of regions, the only locations with jobs.
var locationFormat = regexp.MustCompile(`^[a-z]+-[a-z]+[0-9]+$`)

// invalidFields reports fields as the API does.
func invalidFields(vs []rest.Violation) error {
	var b strings.Builder
	b.WriteString("List of found errors:\t")
	for i, v := range vs {
		fmt.Fprintf(&b, "%d.Field: %s; Message: %s\t", i+1, v.Field, v.Description)
	}
	return &rest.Error{Code: http.StatusBadRequest, Status: "INVALID_ARGUMENT", Message: b.String(), Violations: vs}
}

func (v *API) create(r *http.Request, a address) (any, error) {
	k := kinds[a.collection]
	data, err := rest.ReadBody(v.document, r, schemaPrefix+k.schema, k.message)
	if err != nil {
		return nil, err
	}
	data, err = completed(v.document, data, schemaPrefix+k.schema)
	if err != nil {
		return nil, err
	}
	recorded := &jobs.VertexRecord{Location: a.location, Collection: a.collection, Body: data}
	var body jobBody
	if err := json.Unmarshal(data, &body); err != nil {
		return nil, rest.Invalid("Invalid JSON payload received. %v", err)
	}
	vs := check(body, a)
	if len(vs) == 0 {
		vs = checkLimits(v.jobs.Limits(), recorded)
	}
	if len(vs) > 0 {
		return nil, invalidFields(vs)
	}
	for {
		// The ID is new: a create of the same again is another job.
		spec := job.Spec{JobID: newID(), Labels: body.Labels, TrainingInput: body.input(a)}
		j, err := v.jobs.Create(jobs.Record{Project: a.project, Vertex: recorded, Job: jobs.JobState{Spec: spec}})
		if errors.Is(err, jobs.ErrJobExists) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return viewOf(j), nil
	}
}

// newID returns a new ID of 19 digits, as the API's are. No job of ml/v1 has one that
// begins with a digit.
func newID() string {
	const first = 1_000_000_000_000_000_000
	return strconv.FormatInt(first+rand.Int64N(8*first), 10)
}

// own returns the API's answer to an error of the queue about a job.
func (a address) own(err error) error {
	if !errors.Is(err, jobs.ErrJobUnknown) {
		return err
	}
	return &rest.Error{Code: http.StatusNotFound, Status: "NOT_FOUND",
		Message: fmt.Sprintf("%s %s/%s is not found.", kinds[a.collection].schema, a.parent(), a.id)}
}

func (v *API) get(a address) (any, error) {
	j, err := v.jobs.Get(a.parent(), a.id)
	if err != nil {
		return nil, a.own(err)
	}
	return viewOf(j), nil
}

func (v *API) cancel(r *http.Request, a address) (any, error) {
	k := kinds[a.collection]
	if _, err := rest.ReadBody(v.document, r, schemaPrefix+"Cancel"+k.schema+"Request", "request"); err != nil {
		return nil, err
	}
	return struct{}{}, a.own(v.jobs.CancelByRequest(a.parent(), a.id))
}

func (v *API) list(r *http.Request, a address) (any, error) {
	q := r.URL.Query()
	if len(q.Get("filter")) > rest.MaxFilter {
		return nil, rest.Invalid("Invalid filter: it is longer than %d bytes.", rest.MaxFilter)
	}
	match, err := rest.ParseFilter(q.Get("filter"), filterTerm)
	if err != nil {
		return nil, rest.Invalid("Invalid filter: %v.", err)
	}
	mask, err := v.document.Mask(q.Get("readMask"), schemaPrefix+kinds[a.collection].schema, kinds[a.collection].schema)
	if err != nil {
		return nil, rest.Invalid("Invalid read_mask: %v.", err)
	}
	size, err := rest.PageSize(q.Get("pageSize"))
	if err != nil {
		return nil, err
	}
	after, err := base64.RawURLEncoding.DecodeString(q.Get("pageToken"))
	if err != nil {
		return nil, rest.Invalid("Invalid page token.")
	}
	page, more, err := v.jobs.List(jobs.PageQuery{Collection: a.parent(), After: string(after), Limit: size, Match: match})
	if errors.Is(err, jobs.ErrJobUnknown) {
		return nil, rest.Invalid("Invalid page token.")
	}
	if err != nil {
		return nil, err
	}
	answer := map[string]any{}
	if more {
		answer["nextPageToken"] = base64.RawURLEncoding.EncodeToString([]byte(page[len(page)-1].Job.JobID))
	}
	var views []any
	for _, j := range page {
		views = append(views, mask.Of(viewOf(j)))
	}
	if len(views) > 0 {
		answer[a.collection] = views
	}
	return answer, nil
}

// completed returns a body without what only the service sets, and with what it sets where a job is silent.
func completed(d *rest.Document, data []byte, schema string) ([]byte, error) {
	body := map[string]any{}
	if err := json.Unmarshal(data, &body); err != nil {
		return nil, err
	}
	for name, property := range d.Schemas[schema].Properties {
		if property.ReadOnly {
			delete(body, name)
		}
	}
	for _, name := range []string{"jobSpec", "trialJobSpec"} {
		spec, _ := body[name].(map[string]any)
		if base, ok := spec["baseOutputDirectory"].(map[string]any); ok {
			// "If the uri doesn't end with '/', a '/' will be automatically appended."
			if uri, _ := base["outputUriPrefix"].(string); uri != "" && !strings.HasSuffix(uri, "/") {
				base["outputUriPrefix"] = uri + "/"
			}
		}
		pools, _ := spec["workerPoolSpecs"].([]any)
		for _, p := range pools {
			pool, _ := p.(map[string]any)
			if pool["containerSpec"] == nil && pool["pythonPackageSpec"] == nil {
				continue
			}
			disk, _ := pool["diskSpec"].(map[string]any)
			if disk == nil {
				disk = map[string]any{}
			}
			// The defaults of the API's reference.
			if disk["bootDiskType"] == nil || disk["bootDiskType"] == "" {
				disk["bootDiskType"] = "pd-ssd"
			}
			if disk["bootDiskSizeGb"] == nil || disk["bootDiskSizeGb"] == float64(0) {
				disk["bootDiskSizeGb"] = 100
			}
			pool["diskSpec"] = disk
		}
	}
	return json.Marshal(body)
}
