package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/jobdrop/jobdrop/internal/check/inspect"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// readLocal returns the content of a file, as far as a parser needs it.
func readLocal(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// One byte more than allowed, for the parser to see that it is too large.
	return io.ReadAll(io.LimitReader(f, jobspec.MaxSize+1))
}

// inbox stands for the bucket that a folder would be dropped into, if no flag names
// it.
const inbox = "inbox"

// localDrop assembles the drop that a folder of this machine would be. Without a
// folder of the inbox, it lies in one of its own name.
func localDrop(dir, bucket, folder string) (job.Drop, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return job.Drop{}, err
	}
	if folder == "" {
		absolute, err := filepath.Abs(dir)
		if err != nil {
			return job.Drop{}, err
		}
		folder = filepath.Base(absolute) + "/"
	}
	var objects []job.Object
	for _, e := range entries {
		if !job.IsPart(e.Name(), 1) {
			continue
		}
		info, err := os.Stat(filepath.Join(dir, e.Name())) // a link counts as what it points to
		if err != nil {
			return job.Drop{}, err
		}
		if info.Mode().IsRegular() {
			objects = append(objects, job.Object{
				Bucket: bucket, Name: folder + e.Name(), Size: info.Size(), Created: info.ModTime(),
			})
		}
	}
	d := job.Assemble(bucket, folder, objects)
	if len(objects) > inspect.PartLimit {
		d.TooMany = job.ManyParts
	}
	return d, nil
}

// openLocal opens the objects of a drop that is the folder dir.
func openLocal(dir string) inspect.Open {
	return func(_ context.Context, o job.Object) (io.ReadCloser, error) {
		return os.Open(filepath.Join(dir, o.Base()))
	}
}
