package training

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
)

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
func (s store) create(r jobs.Record) error {
	p := s.places(r.Job.JobID)
	if err := os.Mkdir(p.root, 0o755); errors.Is(err, fs.ErrExist) {
		return jobs.ErrJobExists
	} else if err != nil {
		return err
	}
	if err := s.save(r); err != nil {
		return errors.Join(err, os.RemoveAll(p.root))
	}
	return nil
}

// save replaces the record: a reader sees the old one or the new one.
func (s store) save(r jobs.Record) error {
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
func (s store) load(log *slog.Logger) ([]jobs.Record, error) {
	dirs, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var records []jobs.Record
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
		var r jobs.Record
		if err == nil {
			err = json.Unmarshal(data, &r)
		}
		if err == nil && (r.Job.JobID != d.Name() || r.Job.TrainingInput == nil) {
			err = errors.New("not the record of this job")
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
