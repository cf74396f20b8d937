package contract

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/backend/aiplatform"
	"github.com/jobdrop/jobdrop/internal/backend/vertex"
	"github.com/jobdrop/jobdrop/internal/local/storage"
	"github.com/jobdrop/jobdrop/internal/local/training"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// The project's backends keep every promise, over HTTP, before the local training service.
func TestBackends(t *testing.T) {
	t.Parallel()
	url := idle(t)
	programs, why := newPrograms(t)
	for name, s := range services(url) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.Programs, s.Why = programs, why
			TestBackend(t, s)
		})
	}
}

// idle starts a training service whose jobs wait for their packages for ever, and returns its URL.
func idle(t *testing.T) string {
	t.Helper()
	gone := make(chan struct{})
	store := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-gone:
		}
	}))
	t.Cleanup(func() { close(gone); store.Close() })
	return serve(t, training.Options{
		Storage: store.URL, Dir: t.TempDir(), Python: training.Python{Path: "python3"},
	})
}

// serve starts a training service, and returns its URL.
func serve(t *testing.T, o training.Options) string {
	t.Helper()
	service, err := training.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(service.Handler())
	t.Cleanup(func() {
		server.Close()
		if err := service.Close(); err != nil {
			t.Error(err)
		}
	})
	return server.URL
}

const project = "contract"

// services returns the project's backends, each with a service at a URL.
func services(url string) map[string]Service {
	return map[string]Service{
		aiplatform.Name: {
			URL: url,
			Open: func(url string) (Backend, error) {
				return aiplatform.New(context.Background(), project, url)
			},
			Job:   waiting,
			Words: mlWords,
		},
		vertex.Name: {
			URL: url,
			Open: func(url string) (Backend, error) {
				return vertex.New(context.Background(), vertex.Options{
					Project: project, Regions: []string{"europe-west4", "us-central1"}, Endpoint: url, Now: time.Now,
				})
			},
			Job: waiting,
			Impossible: func(id string) job.Spec {
				s := waiting(id)
				s.TrainingInput.ScaleTier = "BASIC_TPU"
				return s
			},
			Words: vertexWords,
		},
	}
}

func waiting(id string) job.Spec {
	return job.Spec{JobID: id, TrainingInput: &job.TrainingInput{
		ScaleTier: "BASIC", Region: "us-central1", RuntimeVersion: "2.11", PythonVersion: "3.7",
		PythonModule: "trainer.task", PackageURIs: []string{"gs://staging/trainer-0.1-py3-none-any.whl"},
	}}
}

// callOf returns the call that a request is, by either API.
func callOf(r *http.Request) Call {
	switch last := path.Base(r.URL.Path); {
	case strings.HasSuffix(last, ":cancel"):
		return Cancel
	case IsCreate(r):
		return Create
	case created.MatchString(r.URL.Path):
		return List
	}
	return Get
}

// failure returns an error as Google's services tell it.
func failure(status int, message string, fields map[string]string) string {
	e := map[string]any{"code": status, "message": message, "status": "INJECTED"}
	var violations []any
	for name, text := range fields {
		violations = append(violations, map[string]string{"field": name, "description": text})
	}
	if violations != nil {
		e["details"] = []any{
			map[string]any{"@type": "type.googleapis.com/google.rpc.DebugInfo", "detail": "x"},
			map[string]any{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations},
		}
	}
	body, err := json.Marshal(map[string]any{"error": e})
	if err != nil {
		panic(err) // texts alone
	}
	return string(body)
}

// set sets a job's field, or takes it away. Services show times in zones of their own.
func set(j map[string]any, name string, at time.Time) {
	if at.IsZero() {
		delete(j, name)
		return
	}
	j[name] = at.In(time.FixedZone("", 3600)).Format(time.RFC3339Nano)
}

func setTimes(j map[string]any, l Look) {
	set(j, "createTime", l.Created)
	set(j, "startTime", l.Started)
	set(j, "endTime", l.Ended)
}

// part returns an object of an answer.
func part(j map[string]any, name string) map[string]any {
	p, _ := j[name].(map[string]any)
	return p
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

var mlWords = Words{
	CallOf: callOf, PageSize: "pageSize", Failure: failure,
	Show: func(j map[string]any, l Look) {
		setTimes(j, l)
		j["state"], j["errorMessage"] = string(l.State), l.Message
		if l.State == "" {
			j["state"] = "OF_TOMORROW"
		}
		var trials []any
		for _, t := range l.Trials {
			trial := map[string]any{"trialId": t.ID, "state": string(t.State), "hyperparameters": t.Parameters}
			if t.Objective != nil {
				trial["finalMetric"] = map[string]any{"objectiveValue": *t.Objective, "trainingStep": strconv.FormatInt(t.Step, 10)}
			}
			trials = append(trials, trial)
		}
		j["trainingOutput"] = map[string]any{"trials": trials}
	},
	Overruns: []func(j map[string]any){func(map[string]any) {}},
	Limits: func(j map[string]any) (wait, run string) {
		s := part(part(j, "trainingInput"), "scheduling")
		return text(s["maxWaitTime"]), text(s["maxRunningTime"])
	},
}

var vertexWords = Words{
	CallOf: callOf, PageSize: "pageSize", Failure: failure,
	Show: func(j map[string]any, l Look) {
		setTimes(j, l)
		j["state"] = "JOB_STATE_" + string(l.State)
		switch l.State {
		case "":
			j["state"] = "JOB_STATE_OF_TOMORROW"
		case job.BackendPreparing:
			j["state"] = "JOB_STATE_PENDING"
		}
		delete(j, "error")
		if l.Message != "" {
			j["error"] = map[string]any{"code": 3, "message": l.Message}
		}
		var trials []any
		for _, t := range l.Trials {
			trial := map[string]any{"id": t.ID, "state": "SUCCEEDED"}
			if t.State == job.BackendFailed {
				trial["state"] = "INFEASIBLE"
			}
			var parameters []any
			for name, value := range t.Parameters {
				number, _ := strconv.ParseFloat(value, 64)
				parameters = append(parameters, map[string]any{"parameterId": name, "value": number})
			}
			trial["parameters"] = parameters
			if t.Objective != nil {
				trial["finalMeasurement"] = map[string]any{
					"stepCount": strconv.FormatInt(t.Step, 10),
					"metrics":   []any{map[string]any{"metricId": "loss", "value": *t.Objective}},
				}
			}
			trials = append(trials, trial)
		}
		j["trials"] = trials
	},
	Overruns: []func(j map[string]any){
		func(map[string]any) {},
		func(j map[string]any) {
			j["state"], j["error"] = "JOB_STATE_FAILED", map[string]any{"code": 4, "message": "late"}
		},
		func(j map[string]any) { j["state"] = "JOB_STATE_EXPIRED" },
	},
	Limits: func(j map[string]any) (wait, run string) {
		s := part(part(j, "jobSpec"), "scheduling")
		return text(s["maxWaitDuration"]), text(s["timeout"])
	},
}

// newPrograms starts a training service that runs programs. Without a Python it returns why there is none.
func newPrograms(t *testing.T) (_ *Programs, why string) {
	t.Helper()
	python, err := training.FindPython(t.Context(), "")
	if err != nil {
		return nil, err.Error()
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	store, err := storage.Serve(t.Context(), storage.Options{
		Dir: filepath.Join(t.TempDir(), "objects"), Listener: listener, Buckets: []string{"staging"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	var (
		mu    sync.Mutex
		lines = map[string][]string{}
	)
	url := serve(t, training.Options{
		Storage: store.URL(), Dir: filepath.Join(t.TempDir(), "jobs"), Python: python, Grace: 500 * time.Millisecond,
		MaxJobs: 8, MaxReplicas: 16,
		Logs: func(l training.Line) {
			mu.Lock()
			defer mu.Unlock()
			lines[l.JobID] = append(lines[l.JobID], l.Text)
		},
	})
	return &Programs{
		URL: url,
		Job: func(id, program string) (job.Spec, error) {
			name := id + "/trainer-0.1-py3-none-any.whl"
			s := waiting(id)
			s.TrainingInput.PackageURIs = []string{"gs://staging/" + name}
			s.TrainingInput.JobDir = "gs://staging/out/" + id
			return s, upload(store.URL(), name, wheel(program))
		},
		Output: func(j attempt.BackendJob) []string {
			mu.Lock()
			defer mu.Unlock()
			return lines[path.Base(j.ResourceName)]
		},
	}, ""
}

func upload(url, name string, data []byte) error {
	url += "/upload/storage/v1/b/staging/o?uploadType=media&name=" + strings.ReplaceAll(name, "/", "%2F")
	r, err := http.Post(url, "application/zip", bytes.NewReader(data))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("upload %s: %s", name, r.Status)
	}
	return nil
}

// wheel returns a package whose trainer.task is a program.
func wheel(program string) []byte {
	const info = "trainer-0.1.dist-info/"
	var record, b bytes.Buffer
	z := zip.NewWriter(&b)
	add := func(name, text string) {
		w, err := z.Create(name)
		if err == nil {
			_, err = io.WriteString(w, text)
		}
		if err != nil {
			panic(err) // into memory
		}
		fmt.Fprintf(&record, "%s,,\n", name)
	}
	add("trainer/__init__.py", "")
	add("trainer/task.py", program)
	add(info+"METADATA", "Metadata-Version: 2.1\nName: trainer\nVersion: 0.1\n")
	add(info+"WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
	add(info+"RECORD", record.String()+info+"RECORD,,\n")
	if err := z.Close(); err != nil {
		panic(err) // into memory
	}
	return b.Bytes()
}
