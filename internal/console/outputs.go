package console

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// outputsPage is the data of the page of what a job wrote into its job directory.
type outputsPage struct {
	heading
	// Dir is the job directory, Elsewhere where it opens with the viewer's own rights; empty if nowhere.
	Dir, Elsewhere string
	// Hidden reports that the console does not show it: the policy does not bind it to the viewer's folders.
	Hidden bool
	Rows   []outputRow
	Next   string
	First  bool
}

// outputRow is an object of the job directory.
type outputRow struct {
	job.Attributes
	// Below is its name below the directory, URL where a browser gets it.
	Below, URL string
}

const (
	// outputsOfPage is how many objects a page has.
	outputsOfPage = 200
	// maxName bounds the name of an object, in bytes: Cloud Storage has no longer ones.
	maxName = 1024
)

// directory is a job directory: its bucket, and the prefix of the names of its objects.
type directory struct {
	bucket, prefix string
	// shown reports that the viewer may see what is there.
	shown bool
}

func (d directory) String() string { return "gs://" + d.bucket + "/" + d.prefix }

// absent returns the error of a list of the directory; [errNotFound] if its bucket is not there.
func (d directory) absent(err error) error {
	if errors.Is(err, job.ErrNotFound) {
		return fmt.Errorf("%w: there is no bucket %.80q", errNotFound, d.bucket)
	}
	return err
}

// jobDir returns the job directory of an attempt's job. Its bucket is empty if the job has none.
func jobDir(record attempt.Record, r request) (d directory) {
	if record.Spec == nil || record.Spec.TrainingInput == nil {
		return d
	}
	dir := record.Spec.TrainingInput.JobDir
	path, found := strings.CutPrefix(dir, "gs://")
	if !found {
		return d
	}
	d.bucket, d.prefix, _ = strings.Cut(strings.TrimSuffix(path, "/"), "/")
	if d.prefix != "" {
		d.prefix += "/"
	}
	d.shown = r.viewer.SeesOutputs(record.Drop.Prefix, dir)
	return d
}

func (s *Server) outputsPage(ctx context.Context, r request) (page, error) {
	record, err := s.record(ctx, r)
	if err != nil {
		return page{}, err
	}
	dir := jobDir(record, r)
	if dir.bucket == "" {
		return page{}, errNotFound
	}
	after := r.URL.Query().Get("after")
	if len(after) > maxName {
		return page{}, fmt.Errorf("%w: a name has at most %d bytes", errForm, maxName)
	}
	d := outputsPage{
		heading: s.heading(record, "outputs"), Dir: dir.String(),
		Hidden: !dir.shown, First: after == "",
	}
	if s.google {
		d.Elsewhere = "https://console.cloud.google.com/storage/browser/" + url.PathEscape(dir.bucket) + "/" +
			escapePath(strings.TrimSuffix(dir.prefix, "/"))
	}
	p := page{
		view: "outputs", title: d.title("outputs"), section: "/", live: dir.shown && !d.State.Terminal(),
	}
	if dir.shown {
		objects, more, err := s.Store.ListPage(ctx, dir.bucket, dir.prefix, dir.prefix+after, outputsOfPage)
		if err != nil {
			return page{}, dir.absent(err)
		}
		for _, o := range objects {
			below := strings.TrimPrefix(o.Name, dir.prefix)
			d.Rows = append(d.Rows, outputRow{Attributes: o, Below: below, URL: s.ObjectURL(o.Object)})
		}
		if more && len(d.Rows) > 0 {
			d.Next = "/attempts/" + d.Attempt + "/outputs?" + url.Values{"after": {d.Rows[len(d.Rows)-1].Below}}.Encode()
		}
	}
	p.data = d
	return p, nil
}
