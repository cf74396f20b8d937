package watcher

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// misnamed finds folders that have packages, no job file, and an object that may be meant as one.
// The scan of the inbox shows all that is needed: an object of a folder stands in the list among
// those of the folder and those below it.
type misnamed struct {
	// near returns what of a folder may be meant as its job file, each with the remedy.
	near func(names []string) []string
	tell func(ctx context.Context, m job.Misnamed) error
	// logger logs what is reported, and why a report could not be written: no folder makes a tick
	// fail.
	logger *slog.Logger
}

const (
	// mostMisnamed is how many folders a tick reports one by one. Anybody who may upload can make
	// any number; of more, the log has their number.
	mostMisnamed = 20
	// nearNames is how many names are kept of a folder. A report names no more.
	nearNames = 3
	// tellTime is for one small write.
	tellTime = 10 * time.Second
)

// folder is what a scan has seen of a folder.
type folder struct {
	name string
	// before is where the list was before the folder's first object that counts. page counts the
	// pages before that one's.
	before string
	page   int
	// partial reports that an earlier tick may have seen other objects of it.
	partial bool
	// hasJobFile reports that there is one, pkg names a package, near holds the names that may be
	// meant as a job file.
	hasJobFile bool
	pkg        string
	near       []string
	// newest is when the last of those came.
	newest time.Time
}

// open reports whether more of the folder may show that its job file is misnamed.
func (f folder) open() bool { return !f.hasJobFile && !f.partial }

// misnamedRound looks at the folders of one slice of the inbox.
type misnamedRound struct {
	misnamed
	bucket string
	waits  *waits
	// ends is the time in which the patience with a folder must end for it to be reported.
	ends period
	// from is where the slice begins. Up to seen, the slice before has looked at it.
	from, seen string
	// path holds the folders that the list is in, the outermost first, as far as they have an
	// object that counts.
	path []folder
	// told counts what was reported, and failed reports that a report could not be written.
	told   int
	failed bool
}

// see looks at an object. after is the name before it in the list.
func (r *misnamedRound) see(ctx context.Context, o job.Object, after string, page int) error {
	if r.near == nil || r.ends.from.IsZero() {
		return nil
	}
	left := r.leave(func(f folder) bool { return !strings.HasPrefix(o.Name, f.name) })
	if o.Name > r.seen { // else the slice before has judged them
		if err := r.judge(ctx, left); err != nil {
			return err
		}
	}
	name := job.Folder(o.Name)
	base := strings.TrimPrefix(o.Name, name)
	isJobFile, isPackage := job.IsJobFile(o.Name), job.IsPart(o.Name, o.Size)
	isNear := !isJobFile && !isPackage && o.Size > 0 && len(r.near([]string{base})) > 0
	if !isJobFile && !isPackage && !isNear {
		return nil
	}
	if n := len(r.path); n == 0 || r.path[n-1].name != name {
		r.path = append(r.path, folder{
			name: name, before: after, page: page, partial: r.from != "" && strings.HasPrefix(r.from, name),
		})
	}
	f := &r.path[len(r.path)-1]
	if o.Created.After(f.newest) {
		f.newest = o.Created
	}
	switch {
	case isJobFile:
		f.hasJobFile = true // an empty one is no misnamed one, either
	case isPackage:
		f.pkg = base
	case len(f.near) < nearNames:
		f.near = append(f.near, base)
	}
	return nil
}

// leave goes out of folders, the innermost first, while the list is done with them, and returns them.
func (r *misnamedRound) leave(done func(f folder) bool) (left []folder) {
	for n := len(r.path); n > 0 && done(r.path[n-1]); n = len(r.path) {
		left = append(left, r.path[n-1])
		r.path = r.path[:n-1]
	}
	return left
}

// judge reports those folders whose job file is misnamed. An error means that the patience with them is
// not known.
func (r *misnamedRound) judge(ctx context.Context, folders []folder) error {
	for _, f := range folders {
		if err := r.judgeOne(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// end ends a slice that was the last of its round.
func (r *misnamedRound) end(ctx context.Context) error {
	err := r.judge(ctx, r.leave(func(folder) bool { return true }))
	r.summarise(ctx)
	return err
}

// stop ends a slice of so many pages, and returns where the next one begins: before a folder that
// began in the last page, so that a slice sees all of it, else after.
func (r *misnamedRound) stop(ctx context.Context, after string, pages int) string {
	r.summarise(ctx)
	for _, f := range r.path {
		if f.open() && f.page == pages-1 && f.before > r.from {
			return f.before
		}
	}
	return after
}

// judgeOne reports a folder if its job file is misnamed and the patience with it ends in this round.
func (r *misnamedRound) judgeOne(ctx context.Context, f folder) error {
	if !f.open() || f.pkg == "" || len(f.near) == 0 {
		return nil
	}
	patience, err := r.waits.of(ctx, f.name)
	if err != nil {
		return err
	}
	wait := patience.Incomplete
	if wait <= 0 || !r.ends.holds(f.newest.Add(wait)) {
		return nil
	}
	if r.told++; r.told > mostMisnamed {
		return nil
	}
	near := r.near(f.near)
	r.logger.WarnContext(ctx, "packages with a misnamed job file", "bucket", r.bucket, "folder", f.name, "near", near,
		"package", f.pkg, "newest", f.newest, "waited", wait.String())
	if r.failed {
		return nil // the status bucket is not asked again in this tick
	}
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	if err := r.tell(ctx, job.Misnamed{
		Bucket: r.bucket, Prefix: f.name, Near: near, At: r.ends.until,
		Reason: "The folder has packages and no job file, which is called " + orList(job.JobFileNames()) +
			": " + strings.Join(near, "; ") + ".",
	}); err != nil {
		r.failed = true
		r.logger.WarnContext(ctx, "no status of folders with a misnamed job file", "bucket", r.bucket, "folder", f.name,
			"error", err)
	}
	return nil
}

// orList returns names as a list in a sentence: a, b or c.
func orList(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// summarise logs how many folders were not reported one by one.
func (r *misnamedRound) summarise(ctx context.Context) {
	if more := r.told - mostMisnamed; more > 0 {
		r.logger.WarnContext(ctx, "more packages with misnamed job files", "bucket", r.bucket, "folders", more)
	}
}
