package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/account"
	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/backend/aiplatform"
	"github.com/jobdrop/jobdrop/internal/backend/vertex"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/internal/gcloud"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// submitOptions are what jobdrop submit is asked for.
type submitOptions struct {
	targetOptions
	line    *gcloud.Submission
	drop    string // the drop's folder with its final slash; empty for that of the job
	prefix  string // of the folder of a job
	policy  string
	backend string
	inbox   string // the installation's; empty if it is not known
	python  string
	output  string
	timeout time.Duration
	from,   // the command line has a whole one of gcloud's
	dryRun,
	wait,
	logs,
	cancel, // what is waited for, on an interrupt
	rerun bool
}

func newSubmit(env Env, run func(context.Context, Env, submitOptions) error) *cobra.Command {
	o := submitOptions{line: gcloud.New()}
	var from string
	c := &cobra.Command{
		Use:   "submit JOB [flags] -- ARGS",
		Short: "Drop a job as gcloud ai-platform jobs submit training does",
		Long: `Drop a job into the inbox of an installation. The command takes the flags of
gcloud ai-platform jobs submit training, with their meaning: write jobdrop
submit in place of these words, or hand over the whole line with --from-gcloud.
What comes after -- goes to the trainer.

The package of --package-path is built here, without gcloud. The drop is checked
as the function Submit would check it; only a drop without faults is uploaded,
into the folder PREFIX/JOB/: packages first, each under a name with a digest of
its content, the job file last. The job file pins the packages, and jobdrop
decides on it from then on.

The same command again finds what is there: it attaches to the attempt that
runs, reports one that succeeded, and needs --rerun after any other end. Where
somebody else's job file is in the way, nothing is overwritten.

The command needs the right to write to the folder in the inbox, and to read it
and the status bucket. The settings are JOBDROP_INBOX, JOBDROP_STATUS_BUCKET and
JOBDROP_PREFIX.

Exit codes: 0 dropped, attached, or succeeded before; 2 the drop is not valid,
or another is in its place; 64 wrong usage; 66 there is no such bucket, or it is
not known any more what became of the drop that is there; 69 this machine lacks
something, or you a right; 70 a fault; 75 the line was lost: run it again; 130
interrupted. With --wait, and for an attempt that ended before, the code is that
of the verdict: 1 failed, 2 rejected, 3 cancelled or withdrawn, 4 timed out,
expired or lost, 75 not ended at --timeout.`,
		Example: `  jobdrop submit census_1 --package-path trainer --module-name trainer.task \
    --region us-central1 --runtime-version 2.11 --python-version 3.7 \
    --scale-tier basic --wait -- --epochs=3
  jobdrop submit census_1 --config job.yaml --package-path trainer --dry-run
  jobdrop submit --from-gcloud \
    "gcloud ai-platform jobs submit training $JOB --config config.yaml"`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.complete(args, c.ArgsLenAtDash(), from); err != nil {
				return err
			}
			return run(c.Context(), env, o)
		},
	}
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return gcloud.Nearest(c.Flags(), err) })
	f := c.Flags()
	f.SortFlags = false
	o.line.Flags(f)
	f.StringVar(&from, "from-gcloud", "",
		"the whole line, gcloud ai-platform jobs submit training … or gcloud ai custom-jobs create …; other flags beat it")
	f.StringVar(&o.drop, "drop", "", "folder of the inbox for the drop (default: that of the job, below --prefix)")
	f.StringVar(&o.prefix, "prefix", "", "folder of the inbox for the folders of jobs (default: $JOBDROP_PREFIX)")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be dropped, without a connection")
	f.BoolVar(&o.wait, "wait", false, "wait for the verdict, and exit with its code")
	f.DurationVar(&o.timeout, "timeout", 0, "with --wait, longest wait, such as 90m; then the exit code is 75")
	f.BoolVar(&o.logs, "logs", false, "with --wait, show the job's log, too")
	f.BoolVar(&o.cancel, "cancel-on-interrupt", false,
		"with --wait, on an interrupt, ask jobdrop to cancel and wait on; a second one ends the wait")
	f.BoolVar(&o.rerun, "rerun", false, "run again what ended; a job that was accepted gets a new ID, JOB_rerun2")
	f.StringVar(&o.policy, "policy", "", "the operator's policy (default: that of the installation, if it can be read)")
	f.StringVar(&o.backend, "backend", "", "service for the plan, vertex or aiplatform (default: the installation's)")
	f.StringVar(&o.python, "python", "", "interpreter that builds a package with a setup.py or pyproject.toml")
	f.StringVarP(&o.output, "output", "o", formatText, "text or json")
	o.flags(f)
	return c
}

// errQuotes is the error of a line of gcloud without quotes.
var errQuotes = errors.New(`a whole line of gcloud comes in quotes: jobdrop submit --from-gcloud "gcloud …"`)

// complete checks the command line, of which args are those that are no flags.
func (o *submitOptions) complete(args []string, dash int, from string) error {
	if dash >= 0 {
		o.line.SetArgs(args[dash:])
		args = args[:dash]
	}
	switch {
	case len(args) > 1 && args[0] == "gcloud":
		return errQuotes
	case len(args) > 1:
		return fmt.Errorf("%q is one argument too many: arguments of the trainer come after --", args[1])
	case len(args) == 1:
		o.line.JobID = args[0]
	case from == "":
		return errors.New("JOB is missing: jobdrop submit JOB [flags] -- ARGS")
	}
	if from != "" {
		line, err := gcloud.ParseLine(from)
		if err != nil {
			return fmt.Errorf("--from-gcloud: %w", err)
		}
		line.Over(o.line)
		o.line, o.from = line, true
	}
	if err := o.line.Complete(); err != nil {
		return err
	}
	if o.line.StreamLogs {
		o.wait, o.logs = true, true
	}
	switch {
	case o.wait && o.dryRun:
		return errors.New("--dry-run and --wait exclude each other: nothing is dropped that could be waited for")
	case !o.wait && (o.timeout != 0 || o.logs || o.cancel):
		return errors.New("--timeout, --logs and --cancel-on-interrupt need --wait beside them")
	case o.timeout < 0:
		return fmt.Errorf("--timeout is %s, must not be negative", o.timeout)
	}
	if err := oneOf("--output", o.output, formatText, formatJSON); err != nil {
		return err
	}
	if o.backend != "" {
		if err := oneOf("--backend", o.backend, vertex.Name, aiplatform.Name); err != nil {
			return err
		}
	}
	for _, folder := range [...]*string{&o.drop, &o.prefix} {
		rest, ok := strings.CutPrefix(*folder, "gs://")
		if ok {
			return fmt.Errorf("%q must be a folder of the inbox, without gs://BUCKET/: %s", *folder,
				rest[strings.IndexByte(rest+"/", '/'):])
		}
		if *folder != "" && asFolder(*folder) == "" {
			return fmt.Errorf("%q is the root of the inbox: name a folder, such as %s/", *folder, cmp.Or(o.line.JobID, "JOB"))
		}
		*folder = asFolder(*folder)
	}
	return nil
}

// asFolder returns a name as a folder of a bucket: with a final slash, or empty.
func asFolder(name string) string {
	if name = strings.Trim(name, "/"); name == "" {
		return ""
	}
	return name + "/"
}

// submitFolder returns the folder into which a job is dropped if --drop names none.
func submitFolder(prefix, jobID string) string { return asFolder(prefix) + jobID + "/" }

func submit(ctx context.Context, env Env, o submitOptions) error {
	var t *target
	if !o.dryRun {
		var err error
		if t, err = o.open(ctx, env, "JOBDROP_INBOX", "JOBDROP_STATUS_BUCKET"); err != nil {
			return err
		}
		if err := t.canCancel(o.cancel); err != nil {
			return err
		}
	}
	lookup, err := o.lookup(env)
	if err != nil {
		return err
	}
	prefix, _ := lookup("JOBDROP_PREFIX")
	backend, _ := lookup("JOBDROP_BACKEND")
	o.inbox, _ = lookup("JOBDROP_INBOX")
	o.prefix, o.backend = cmp.Or(o.prefix, asFolder(prefix)), cmp.Or(o.backend, backend)
	say := func(format string, args ...any) { fmt.Fprintln(env.Err, oneLine(fmt.Sprintf(format, args...))) }
	d, err := newDrop(ctx, env, o, t, say)
	if err != nil {
		return err
	}
	if err := d.check(ctx); err != nil {
		return faulty(env, err)
	}
	if !d.report.Valid {
		if err := writeText(env.Err, env.width(), []report{d.report}); err != nil {
			return fault(err)
		}
		return exit(exitRejected, "%s is not dropped%s", d.spec.JobID, faults(d.report))
	}
	if err := writeText(env.Err, env.width(), []report{d.report}); err != nil { // its warnings
		return fault(err)
	}
	if o.dryRun {
		return fault(d.show(env, o.output))
	}
	if o.from {
		say("the line becomes the job file")
		if err := d.writeJobFile(env.Err); err != nil {
			return fault(err)
		}
	}
	d.announce(say)
	u := uploading{
		draft: d, bucket: t.Inbox, status: t.Status, console: t.console, rerun: o.rerun, store: t.storage, say: say,
		record: t.record, send: t.sender(env, say),
		metadata: uploaderMetadata(uploaderOf(env.Getenv)),
	}
	r, err := u.run(ctx)
	if err != nil {
		return submitFault(ctx, err)
	}
	if err := r.write(env, o.output); err != nil {
		return fault(err)
	}
	if r.Console != "" && !o.wait { // a wait says it
		say("its page: %s", r.Console)
	}
	switch {
	case o.wait:
		return waitFor(ctx, env, t, waitOptions{
			targetOptions: o.targetOptions, command: "submit", timeout: o.timeout, logs: o.logs, cancel: o.cancel,
			output: o.output,
		}, []waited{{name: r.ref(), folder: r.Folder, generation: r.Generation}})
	case r.State.Terminal():
		return exitWith(exitOf(r.State))
	}
	t.sayQueue(ctx, r.Attempt, d, say)
	say("to wait for its verdict: %s", goOn(o.targetOptions, r.ref()))
	return nil
}

// queue returns who waits for a turn.
func (t *target) queue(ctx context.Context) (attempt.Queue, error) {
	if t.State == "" {
		return attempt.Queue{}, job.ErrDenied
	}
	reader, err := ledger.NewReader(t.storage, t.State)
	if err != nil {
		return attempt.Queue{}, err
	}
	return reader.Queue(ctx)
}

// sayQueue says the place of an attempt in the queue, or how many wait before it under its prefix of the policy, to
// whoever may read both.
func (t *target) sayQueue(ctx context.Context, key string, d *draft, say func(string, ...any)) {
	q, err := t.queue(ctx)
	if err != nil {
		return
	}
	reason := func(why string) string { return strings.TrimPrefix(why, "waiting: ") }
	if place := account.PlaceIn(q, key, nil); place != nil {
		say("it is the %s: %s", place, reason(place.Reason))
		return
	}
	if !d.known {
		return
	}
	own := d.policy.Prefix(d.folder)
	before := slices.DeleteFunc(q.Waiting, func(p attempt.Place) bool { return d.policy.Prefix(p.Folder) != own })
	switch len(before) {
	case 0:
	case 1:
		say("an accepted drop waits for its turn before it: %s", reason(before[0].Reason))
	default:
		say("%d accepted drops wait for their turn before it, the first: %s", len(before), reason(before[0].Reason))
	}
}

// submitFault returns the error of a submission with its exit code.
func submitFault(ctx context.Context, err error) error {
	const rights = "a dropper may write and read its folder of the inbox (storage.objects.create, get and delete) " +
		"and read the status bucket (storage.objects.get)"
	var (
		code        *exitError
		file        *fs.PathError
		certificate *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &code):
		return err
	case ctx.Err() != nil:
		return exit(exitInterrupted, "interrupted; the same command goes on")
	case errors.Is(err, job.ErrDenied):
		return exit(exitMissing, "%w\nA right is missing: %s", err, rights)
	case errors.Is(err, job.ErrNotFound):
		return exit(exitUnknown, "%w\nIs there such a bucket?", err)
	case errors.Is(err, job.ErrCredentials):
		return exit(exitMissing, "%w\n%s", err, login)
	case errors.As(err, &certificate):
		return exit(exitMissing, "%w\nThis machine does not trust the certificate of Cloud Storage, or of a proxy before it", err)
	case errors.Is(err, job.ErrRefused):
		return exit(exitRejected, "%w", err)
	case errors.As(err, &file):
		return exit(exitUsage, "%w", err)
	}
	return exit(exitRunning, "%w\nThe same command goes on where this one ended", err)
}
