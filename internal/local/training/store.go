package training

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// state is ml/v1's Job.State.
type state string

const (
	queued     state = "QUEUED"
	preparing  state = "PREPARING"
	running    state = "RUNNING"
	succeeded  state = "SUCCEEDED"
	failed     state = "FAILED"
	cancelling state = "CANCELLING"
	cancelled  state = "CANCELLED"
)

var states = []state{queued, preparing, running, succeeded, failed, cancelling, cancelled}

func (s state) ended() bool    { return s == succeeded || s == failed || s == cancelled }
func (s state) underWay() bool { return s == preparing || s == running || s == cancelling }

// resource is ml/v1's Job, less what the local service has no use for.
type resource struct {
	job.Spec
	State        state     `json:"state,omitempty"`
	CreateTime   time.Time `json:"createTime,omitzero"`
	StartTime    time.Time `json:"startTime,omitzero"`
	EndTime      time.Time `json:"endTime,omitzero"`
	ErrorMessage string    `json:"errorMessage,omitempty"`
	Etag         string    `json:"etag,omitempty"`
	JobPosition  int64     `json:"jobPosition,omitempty,string"`
	// TrainingOutput is made from the record's trials when the job is shown.
	TrainingOutput *trainingOutput `json:"trainingOutput,omitempty"`
}

// record is a job as it is kept on disk.
type record struct {
	Project   string    `json:"project"`
	Revision  int64     `json:"revision"` // counts the record's changes
	Processes []process `json:"processes,omitempty"`
	Job       resource  `json:"job"`
	// Trials are a tuning job's, in the order of their IDs.
	Trials []trial `json:"trials,omitempty"`
	// Vertex is of jobs that came through aiplatform/v1; see [vertexJob].
	Vertex *vertexJob `json:"vertex,omitempty"`

	// Process is of records from when a job had one process; see load.
	Process *process `json:"process,omitempty"`
}

// process names the leader of one of a job's process groups, and the container
// that it runs, if any. A PID comes back in time, so the start time tells the
// leader from a stranger. A process that is about to start has no PID.
type process struct {
	Task      string `json:"task,omitempty"`
	Trial     string `json:"trial,omitempty"`
	PID       int    `json:"pid,omitempty"`
	Start     string `json:"start,omitempty"`
	Runner    string `json:"runner,omitempty"`
	Container string `json:"container,omitempty"`
}

func (r *record) etag() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", r.Job.JobID, r.Job.CreateTime.UnixNano(), r.Revision))
	return base64.URLEncoding.EncodeToString(sum[:8])
}

// store keeps records as <dir>/<job ID>/job.json.
type store struct{ dir string }

// farPrefix begins the names of a store's folders in the system's own folder for
// temporary files, where a job's own would have too long a path.
func (s store) farPrefix() string {
	sum := sha256.Sum256([]byte(s.dir))
	return fmt.Sprintf("jobdrop-%x-", sum[:6])
}

// removeFar removes those that a killed service has left. The store is locked.
func (s store) removeFar() error {
	left, err := filepath.Glob(filepath.Join(os.TempDir(), s.farPrefix()+"*"))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

// places are the files and folders of one job.
type places struct {
	root, record, logs, packages, env, home, tmp, metrics, work string
}

func (s store) places(id string) places {
	root := filepath.Join(s.dir, id)
	return places{
		root:     root,
		record:   filepath.Join(root, "job.json"),
		logs:     filepath.Join(root, "logs"),
		packages: filepath.Join(root, "packages"),
		env:      filepath.Join(root, "env"),
		home:     filepath.Join(root, "home"),
		tmp:      filepath.Join(root, "tmp"),
		metrics:  filepath.Join(root, "metrics"),
		work:     filepath.Join(root, "work"),
	}
}

// clean removes what only a running job needs; record, logs and working
// directory stay.
func (p places) clean() {
	for _, dir := range []string{p.packages, p.env, p.home, p.tmp, p.metrics} {
		_ = os.RemoveAll(dir) // what a program made unremovable costs room only
	}
}

// create makes the job's folder and record; errJobExists where the folder is
// there, which on file systems that fold case may be another spelling's.
func (s store) create(r record) error {
	p := s.places(r.Job.JobID)
	if err := os.Mkdir(p.root, 0o755); errors.Is(err, fs.ErrExist) {
		return errJobExists
	} else if err != nil {
		return err
	}
	if err := s.save(r); err != nil {
		return errors.Join(err, os.RemoveAll(p.root))
	}
	return nil
}

// save replaces the record: a reader sees the old one or the new one.
func (s store) save(r record) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	path := s.places(r.Job.JobID).record
	f, err := os.Create(path + ".new")
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	if err == nil {
		err = f.Sync() // a rename may reach the disk before the bytes do
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// load reads every record. A folder without one belongs to a job that was never
// answered for and is removed; a record that can't be read is left alone, and
// its ID stays taken.
func (s store) load(log *slog.Logger) ([]record, error) {
	dirs, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var records []record
	for _, d := range dirs {
		if !d.IsDir() {
			continue
		}
		p := s.places(d.Name())
		data, err := os.ReadFile(p.record)
		if errors.Is(err, fs.ErrNotExist) {
			if err := os.RemoveAll(p.root); err != nil {
				return nil, err
			}
			continue
		}
		var r record
		if err == nil {
			err = json.Unmarshal(data, &r)
		}
		if err == nil && (r.Job.JobID != d.Name() || r.Job.TrainingInput == nil) {
			err = errors.New("not the record of this job")
		}
		if err == nil && r.Vertex != nil {
			_, err = r.Vertex.parse()
		}
		if err != nil {
			log.Error("a job's record can't be read", "file", p.record, "error", err)
			continue
		}
		if r.Process != nil {
			r.Processes, r.Process = append(r.Processes, *r.Process), nil
		}
		records = append(records, r)
	}
	return records, nil
}
