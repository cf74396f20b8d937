package account

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const (
	// mostListed is how many objects of a folder, and of those below it, are looked at: one page.
	mostListed = 1000
	// maxStatus bounds a status object: an event's body has at most 4 MiB, and the object is indented.
	maxStatus = 16 << 20
)

// ErrNothing is returned for a folder that has neither a job file nor a package.
var ErrNothing = errors.New("neither a job file nor a package lies there")

// Folder returns the account of a folder of the inbox of which no attempt is known: of what lies there. The folder ends
// with a slash. Folder returns [ErrNothing] if nothing that matters lies there, and [job.ErrDenied] if that can't be
// looked at.
func (r *Reader) Folder(ctx context.Context, folder string) (Account, error) {
	a := Account{Drop: "gs://" + r.Inbox + "/" + folder, Chain: []Step{}}
	if r.Inbox == "" {
		return a, ErrNothing
	}
	objects, more, err := r.Store.ListPage(ctx, r.Inbox, folder, folder, mostListed)
	if err != nil && !errors.Is(err, job.ErrDenied) {
		return a, err
	}
	jobFile, packages := lying(objects, folder)
	if more || err != nil {
		found, unread := r.jobFile(ctx, folder)
		switch {
		case unread != nil && !errors.Is(unread, job.ErrDenied):
			return a, unread
		case found.Name == "" && jobFile.Name == "" && cmp.Or(unread, err) != nil:
			return a, fmt.Errorf("what lies in the folder can't be said: %w", cmp.Or(err, unread))
		case found.Created.After(jobFile.Created):
			jobFile = found
		}
		packages.Text = fmt.Sprintf("only the first %d objects were looked at: there may be more packages", mostListed)
		if err != nil {
			packages.Text = "which packages lie there can't be said: " + r.Cause(err)
		}
		packages.Evidence = append(packages.Evidence, a.Drop)
	}
	switch {
	case jobFile.Name != "":
		a.Because = "its job file is there, and jobdrop has not looked at it yet"
		a.Next = "Watch looks for lost events each minute; jobdrop replay " + folder +
			" runs what is older than 48 hours or than the installation"
		a.add(StepDrop, jobFile.Created, "the job file was uploaded", pinned(jobFile))
	case len(packages.Evidence) > 0:
		a.Because = "there is no job file, so nothing runs"
		a.Next = "upload " + text.Alternatives(job.JobFileNames()...) + " to " + a.Drop
	default:
		return a, ErrNothing
	}
	if len(packages.Evidence) > 0 {
		a.Chain = append(a.Chain, packages)
	}
	if misnamed := r.misnamed(ctx, folder); misnamed.Reason != "" {
		a.Because = misnamed.Reason
		a.add(StepDrop, misnamed.At, strings.Join(misnamed.Near, "; "), "gs://"+r.Status+"/"+folder+"status.json")
	}
	if _, err := r.Policy(ctx); errors.Is(err, ErrPolicy) {
		a.addPolicy(r.Cause(err))
	}
	if tick := r.lastTick(ctx); Late(tick, r.Now()) {
		a.addTick(tick, "gs://"+r.State, r.Now())
	}
	return a, nil
}

// lying returns the newest job file of a folder, one without a name if there is none, and its packages as a step.
func lying(objects []job.Attributes, folder string) (jobFile job.Object, packages Step) {
	packages = Step{Step: StepPackages, Text: "packages lie there"}
	for _, o := range objects {
		switch below := strings.TrimPrefix(o.Name, folder); {
		case strings.Contains(below, "/"):
		case job.IsJobFile(below) && o.Created.After(jobFile.Created):
			jobFile = o.Object
		case job.IsPackage(below):
			packages.Evidence = append(packages.Evidence, pinned(o.Object))
		}
	}
	return jobFile, packages
}

// jobFile returns the newest job file of a folder of the inbox that can be looked at; one without a name if there is
// none.
func (r *Reader) jobFile(ctx context.Context, folder string) (newest job.Object, err error) {
	for _, name := range job.JobFileNames() {
		o, failed := r.Store.Stat(ctx, r.Inbox, folder+name)
		switch {
		case failed == nil && o.Created.After(newest.Created):
			newest = o.Object
		case failed != nil && !errors.Is(failed, job.ErrNotFound):
			err = failed
		}
	}
	return newest, err
}

// misnamed returns what the folder's status says of an object that may be meant as its job file.
func (r *Reader) misnamed(ctx context.Context, folder string) (m job.Misnamed) {
	if r.Status == "" {
		return m
	}
	data, _, err := r.Store.Read(ctx, r.Status, folder+"status.json", 0, maxStatus)
	if err != nil || json.Unmarshal(data, &m) != nil {
		return job.Misnamed{}
	}
	return m
}
