package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/jobdrop/jobdrop/internal/account"
	"github.com/jobdrop/jobdrop/internal/app/config"
	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// stateVariable names the bucket of the records.
const stateVariable = "JOBDROP_STATE_BUCKET"

// view is an installation, for the commands that look at what happened there. It only reads, except that it writes
// requests.
type view struct {
	config.Config
	target   targetOptions
	address  string // of its console; empty if it is not known
	prefix   string // the folder of jobs, $JOBDROP_PREFIX, as submit drops them
	store    objects
	records  *ledger.Reader
	accounts *account.Reader
	now      func() time.Time
}

// view opens the installation for a command that looks at what happened there.
func (o targetOptions) view(ctx context.Context, env Env, names ...string) (*view, error) {
	t, err := o.open(ctx, env, append([]string{stateVariable}, names...)...)
	if err != nil {
		return nil, err
	}
	v, err := newView(t.Config, t.storage, t.storage.Now)
	if err != nil {
		return nil, err
	}
	v.target = o
	v.address = t.console
	v.prefix, _ = t.lookup("JOBDROP_PREFIX")
	return v, nil
}

func newView(c config.Config, store objects, now func() time.Time) (*view, error) {
	store = rights{store}
	records, err := ledger.NewReader(store, c.State)
	if err != nil {
		return nil, fault(err)
	}
	v := &view{Config: c, store: store, records: records, now: now}
	v.accounts, err = account.New(account.Config{
		Records: records, Store: store, State: c.State, Inbox: c.Inbox, Status: c.Status, Policy: v.policy, Now: now,
		Log:  v.logEnd,
		Line: func(command string, names ...string) string { return v.target.line(command, names...) },
	})
	if err != nil {
		return nil, fault(err)
	}
	return v, nil
}

// unknownError reports that there is nothing by a name.
type unknownError struct {
	name string
	// folder is the folder of the inbox that the name may mean; empty if it means none.
	folder string
	in     string
}

func (e *unknownError) Error() string {
	if e.folder != "" && strings.Contains(e.name, "/") {
		return fmt.Sprintf("no attempt in the folder %s is known in %s", e.folder, e.in)
	}
	return fmt.Sprintf("no attempt, job or folder %q is known in %s", e.name, e.in)
}

// nameHelp explains the argument of the commands that take one attempt.
const nameHelp = `ATTEMPT is a name as events and status.json have it. JOB is a job's ID, or what
jobdrop submit JOB has dropped: the folder $JOBDROP_PREFIX/JOB/. DROP is a
folder of the inbox, teams/nlp/census/ or gs://INBOX/teams/nlp/census/, which
stands for its newest attempt; with #GENERATION it is that of one generation of
the job file.`

// reference is what the name of an attempt, a job or a drop on a command line stands for.
type reference struct {
	attempt string // its key; empty of a job and a drop
	// folder is that of the drop in the inbox, with its final slash. job is what may be a job's ID as well.
	folder, job string
	// generation is that of the job file; 0 if the name has none.
	generation int64
}

var withGeneration = regexp.MustCompile(`^(.*)#([0-9]{1,19})$`)

// parseName returns what a name stands for. inbox is the inbox's bucket, empty if it is not known, and prefix the
// folder below which jobdrop submit drops.
func parseName(name, inbox, prefix string) (reference, error) {
	folder, full := strings.CutPrefix(name, "gs://")
	if full {
		var bucket string
		if bucket, folder, _ = strings.Cut(folder, "/"); inbox != "" && bucket != inbox {
			return reference{}, exit(exitUsage, "%s is not in the inbox, gs://%s/", name, inbox)
		}
	}
	var n reference
	m := withGeneration.FindStringSubmatch(folder)
	switch {
	case name == "":
		return reference{}, exit(exitUsage, "a name is empty: name a drop, a job or an attempt")
	case attemptForm.MatchString(name):
		return reference{attempt: name}, nil
	case m != nil:
		folder = m[1]
		var err error
		if n.generation, err = strconv.ParseInt(m[2], 10, 64); err != nil || n.generation == 0 {
			return reference{}, exit(exitUsage, "%s: %s is not a generation", name, m[2])
		}
	}
	switch {
	case job.IsJobFile(folder):
		n.folder = job.Folder(folder)
	case m == nil && !full && !strings.Contains(folder, "/"):
		n.folder, n.job = submitFolder(prefix, folder), folder
	default:
		if folder = strings.TrimSuffix(folder, "/"); folder != "" {
			n.folder = folder + "/"
		}
	}
	return n, nil
}

// find returns the attempt that a name stands for: an attempt's key, a job's ID, or a drop's folder, which stands for
// its newest attempt. It returns an [*unknownError] if there is none.
func (v *view) find(ctx context.Context, name string) (string, error) {
	n, err := parseName(name, v.Inbox, v.prefix)
	switch {
	case err != nil || n.attempt != "":
		return n.attempt, err
	case n.generation != 0 && v.Inbox == "":
		return "", exit(exitUsage, "JOBDROP_INBOX is not set, by which folders are found")
	case n.generation != 0:
		return attemptIn(v.Inbox, n.folder, n.generation), nil
	case n.job != "":
		page, err := v.records.Page(ctx, ledger.Query{JobID: n.job})
		if err != nil {
			return "", err
		}
		if len(page.Attempts) > 0 {
			return page.Attempts[0].Attempt, nil
		}
	}
	key, err := v.newest(ctx, n.folder)
	if errors.Is(err, job.ErrNotFound) {
		in := "gs://" + v.State
		if v.Inbox == "" {
			in += "; JOBDROP_INBOX is not set, by which folders are found"
		}
		err = &unknownError{name, n.folder, in}
	}
	return key, err
}

// snapshot returns the attempt that a name stands for. Of a drop the status bucket says what there is to say, so that
// droppers need no other right.
func (v *view) snapshot(ctx context.Context, name string) (job.Snapshot, error) {
	n, err := parseName(name, v.Inbox, v.prefix)
	if err != nil {
		return job.Snapshot{}, err
	}
	if n.attempt == "" && n.job == "" && v.Status != "" {
		object := n.folder + "status.json"
		if n.generation != 0 {
			object = statusName(n.folder, n.generation)
		}
		if s, err := v.status(ctx, object); err == nil && s.Attempt != "" {
			return s, nil
		}
	}
	r, err := v.record(ctx, name)
	return r.Snapshot(), err
}

// again returns an attempt as it is now.
func (v *view) again(ctx context.Context, s job.Snapshot) (job.Snapshot, error) {
	if _, generation, err := splitAttempt(s.Attempt); err == nil && v.Status != "" {
		now, err := v.status(ctx, statusName(s.Drop.Prefix, generation))
		if err == nil && now.Attempt == s.Attempt {
			return now, nil
		}
	}
	return v.records.Attempt(ctx, s.Attempt)
}

// status reads a status object. It returns none of an attempt if the object is of another kind.
func (v *view) status(ctx context.Context, name string) (s job.Snapshot, err error) {
	data, _, err := v.store.Read(ctx, v.Status, name, 0, maxStatus)
	if err != nil || json.Unmarshal(data, &s) != nil {
		return job.Snapshot{}, err
	}
	return s, nil
}

// record returns the record of the attempt that a name stands for.
func (v *view) record(ctx context.Context, name string) (attempt.Record, error) {
	key, err := v.find(ctx, name)
	if err != nil {
		return attempt.Record{}, err
	}
	r, err := v.records.Record(ctx, key)
	if errors.Is(err, job.ErrNotFound) {
		err = &unknownError{name: name, in: "gs://" + v.State}
	}
	return r, err
}

// folderOf returns the folder of the inbox that the value of --folder names, with its final slash; empty for all.
func (v *view) folderOf(value string) (string, error) {
	if value == "" {
		return "", nil
	}
	n, err := parseName(strings.TrimSuffix(value, "/")+"/", v.Inbox, "")
	return n.folder, err
}

// newest returns the newest attempt of a folder, or [job.ErrNotFound]. The folder's status names it. Where that is not
// there any more, the records do.
func (v *view) newest(ctx context.Context, folder string) (string, error) {
	if v.Status != "" {
		s, err := v.status(ctx, folder+"status.json")
		switch {
		case s.Attempt != "":
			return s.Attempt, nil
		case err != nil && !errors.Is(err, job.ErrNotFound) && !lacks(err):
			return "", err
		}
	}
	if v.Inbox == "" {
		return "", job.ErrNotFound
	}
	return v.records.Newest(ctx, v.Inbox, folder)
}

// policy returns the operator's policy as it is now. It returns [account.ErrPolicy] for one that is not valid.
func (v *view) policy(ctx context.Context) (policy.Policy, error) {
	return account.ReadPolicy(ctx, v.store, v.PolicyBucket, v.PolicyObject)
}

// formatFlag is the flag -o of the commands that print tables for people, and JSON for programs.
type formatFlag string

func (f *formatFlag) flag(flags *pflag.FlagSet) {
	flags.StringVarP((*string)(f), "output", "o", formatText, text.Alternatives(formatText, formatJSON))
}

func (f formatFlag) check() error { return oneOf("--output", string(f), formatText, formatJSON) }
