package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

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

// errFolder is returned when the folder of --output does not take what a job left.
var errFolder = errors.New("make room there, or name another folder with --output")

// save copies objects below a prefix to a folder. Their names are the job's: none
// leads out of the folder, and one that can't be a file's is an error. Each object that
// is not copied has a line of its own.
func save(ctx context.Context, storage *gcs.Client, objects []job.Attributes, prefix, folder string, p *printer) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return fmt.Errorf("output: %w: %w", err, errFolder)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return fmt.Errorf("output: %w: %w", err, errFolder)
	}
	defer root.Close()
	var all, full error
	left := 0
	for _, o := range objects {
		name := strings.TrimPrefix(o.Name, prefix)
		if name == "" || strings.HasSuffix(name, "/") {
			continue // a marker of a folder
		}
		err := saveOne(ctx, storage, o, root, name)
		if err == nil {
			continue
		}
		if left++; left <= listed {
			p.say("output %s is not copied: %v", o.URI(), unwrapPath(err))
		}
		if refusesWrites(err) {
			full = errFolder
		}
		all = errors.New("not all of the output is copied")
	}
	if n := left - listed; n > 0 {
		p.say("output: %d objects more are not copied", n)
	}
	p.say("output copied to %s: %d of %d objects", folder, len(objects)-left, len(objects))
	if full != nil {
		return fmt.Errorf("%s can't be written: %w", folder, full)
	}
	return all
}

// refusesWrites reports whether an error is that of a folder that can't be written, as opposed to
// that of a name.
func refusesWrites(err error) bool {
	for _, refusal := range [...]error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EFBIG, fs.ErrPermission} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

// saveOne copies an object to a file, which appears whole or not at all.
func saveOne(
	ctx context.Context, storage *gcs.Client, o job.Attributes, root *os.Root, name string,
) error {
	if err := root.MkdirAll(path.Dir(name), 0o777); err != nil {
		return err
	}
	content, err := storage.Open(ctx, o.Bucket, o.Name, o.Generation)
	if err != nil {
		return err
	}
	defer content.Close()
	// In the same folder, for a rename; another run may write there, too.
	temporary := path.Join(path.Dir(name), fmt.Sprintf(".jobdrop-output-%d", os.Getpid()))
	f, err := root.Create(temporary)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = root.Rename(temporary, name)
	}
	if err != nil {
		_ = root.Remove(temporary) // the first error counts
	}
	return err
}
