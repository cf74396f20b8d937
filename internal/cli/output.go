package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// listed is how many objects of a job directory are named.
const listed = 20

// outputs names what the job left in its job directory, and copies it to a local
// folder if one is given.
func outputs(ctx context.Context, storage *gcs.Client, jobDir, folder string, p *printer) error {
	bucket, prefix, _ := strings.Cut(strings.TrimPrefix(jobDir, "gs://"), "/")
	if bucket == "" {
		return nil
	}
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		prefix += "/"
	}
	var objects []job.Attributes
	err := storage.List(ctx, bucket, prefix, false, func(page []job.Attributes) error {
		objects = append(objects, page...)
		return nil
	})
	if err != nil {
		return fmt.Errorf("output of %s: %w", jobDir, err)
	}
	for _, o := range objects[:min(len(objects), listed)] {
		p.say("output %s (%d bytes)", o.URI(), o.Size)
	}
	if n := len(objects) - listed; n > 0 {
		p.say("output: %d objects more", n)
	}
	if folder == "" {
		return nil
	}
	return save(ctx, storage, objects, prefix, folder, p)
}

// save copies objects below a prefix to a folder. Their names are the job's: none
// leads out of the folder, and one that can't be a file's is an error.
func save(ctx context.Context, storage *gcs.Client, objects []job.Attributes, prefix, folder string, p *printer) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer root.Close()
	var errs []error
	for _, o := range objects {
		name := strings.TrimPrefix(o.Name, prefix)
		if name == "" || strings.HasSuffix(name, "/") {
			continue // a marker of a folder
		}
		if err := saveOne(ctx, storage, o, root, name); err != nil {
			errs = append(errs, fmt.Errorf("output %s: %w", o.URI(), err))
		}
	}
	p.say("output copied to %s: %d of %d objects", folder, len(objects)-len(errs), len(objects))
	return errors.Join(errs...)
}

func saveOne(ctx context.Context, storage *gcs.Client, o job.Attributes, root *os.Root, name string) error {
	if err := root.MkdirAll(path.Dir(name), 0o777); err != nil {
		return err
	}
	content, err := storage.Open(ctx, o.Bucket, o.Name, o.Generation)
	if err != nil {
		return err
	}
	defer content.Close()
	f, err := root.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}
