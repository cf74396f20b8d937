package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// requestOptions are what jobdrop cancel and jobdrop rerun are asked for.
type requestOptions struct {
	targetOptions
	kind    string
	name    string
	reason  string
	by      string
	noWait  bool
	timeout time.Duration
	format  formatFlag
}

func newCancel(env Env, run func(context.Context, Env, requestOptions) error) *cobra.Command {
	o := requestOptions{kind: attempt.KindCancel}
	c := &cobra.Command{
		Use:   "cancel ATTEMPT|JOB|DROP",
		Short: "Ask jobdrop to end an attempt, with a reason that everyone sees",
		Long: `Ask jobdrop to end an attempt, and wait for its answer. One without a job ends
at once; of one with a job the backend is asked to cancel it, and what becomes
of the job is told by its events: one that ends by itself first has succeeded or
failed.

` + nameHelp + `

The answer comes within a minute, and at once where the installation has hints.
The request stays if the command ends before it.
` + requestRights,
		Example: `  jobdrop cancel teams/nlp/census/ --reason "wrong data" --env acme.env
  jobdrop cancel census_20261122_120000_0123456789ab --reason stale -o json`,
		Args: takes("ATTEMPT|JOB|DROP"),
	}
	return o.command(c, env, run)
}

func newRerun(env Env, run func(context.Context, Env, requestOptions) error) *cobra.Command {
	o := requestOptions{kind: attempt.KindRerun}
	c := &cobra.Command{
		Use:   "rerun ATTEMPT|JOB|DROP",
		Short: "Ask jobdrop to run an ended attempt once more, as it was accepted",
		Long: `Ask jobdrop to run an attempt that has ended once more, with the job file and
the packages that it was accepted with, whatever lies in its folder now, and
wait for its answer: it names the attempt that runs.

` + nameHelp + `

It is refused where the attempt has not ended or was never accepted, where one
of its objects is gone, where it breaks a rule of today's policy, and where its
job file names a job ID, which is used up: jobdrop submit --rerun uploads the
job again, with a new ID.

The answer comes within a minute, and at once where the installation has hints.
The request stays if the command ends before it.
` + requestRights,
		Example: `  jobdrop rerun teams/nlp/census/ --reason "the quota was full" --env acme.env`,
		Args:    takes("ATTEMPT|JOB|DROP"),
	}
	return o.command(c, env, run)
}

const requestRights = `
Rights: storage.objects.create below requests/ of the state bucket, and
storage.objects.get below results/; Terraform's variable requesters gives both.
To find a drop's attempt, storage.objects.get on the status bucket, and a job's,
on the state bucket.

Exit codes: 0 accepted, 1 refused: the answer says why, 64 wrong usage or
environment, 66 there is no such attempt, 69 a right or the storage is missing,
70 jobdrop's own fault, 75 there is no answer yet, 130 interrupted.`

// command completes a command with what both have.
func (o *requestOptions) command(
	c *cobra.Command, env Env, run func(context.Context, Env, requestOptions) error,
) *cobra.Command {
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := o.format.check(); err != nil {
			return err
		}
		switch {
		case strings.TrimSpace(o.reason) == "":
			return errors.New("--reason is missing: whoever is told of it reads why")
		case o.timeout < 0:
			return fmt.Errorf("--timeout is %s, must not be negative", o.timeout)
		}
		o.name = args[0]
		o.by = cmp.Or(o.by, env.Getenv("USER"), env.Getenv("USERNAME"))
		return run(c.Context(), env, *o)
	}
	f := c.Flags()
	o.flags(f)
	o.format.flag(f)
	f.StringVar(&o.reason, "reason", "", "why; required")
	f.StringVar(&o.by, "by", "", "who asks, which nobody verifies (default: this machine's user)")
	f.BoolVar(&o.noWait, "no-wait", false, "do not wait for the answer")
	f.DurationVar(&o.timeout, "timeout", 3*time.Minute, "how long to wait for the answer")
	return c
}

// asked is a request, and its answer. Its JSON is what -o json prints.
type asked struct {
	Attempt string `json:"attempt"`
	// Request and Answer are where the two are.
	Request string `json:"request"`
	Answer  string `json:"answer"`
	// Outcome is accepted, refused or pending.
	Outcome string `json:"outcome"`
	Message string `json:"message,omitempty"`
	// Made is the attempt that a rerun made.
	Made string `json:"made,omitempty"`
	// unread says why the answer could not be read the last time, if that may be for want of one.
	unread error
}

// outcomePending is the outcome of a request without an answer.
const outcomePending = "pending"

// requestID returns the name of a new request.
func requestID() string { return "cli-" + strings.ToLower(rand.Text()) }

func ask(ctx context.Context, env Env, o requestOptions) error {
	v, err := o.view(ctx, env)
	if err != nil {
		return err
	}
	return v.request(ctx, env, o)
}

// request writes a request, waits for its answer, and prints both.
func (v *view) request(ctx context.Context, env Env, o requestOptions) error {
	a, err := v.ask(ctx, o, requestID())
	if err == nil && !o.noWait {
		err = v.await(ctx, o.timeout, &a, func(err error) {
			fmt.Fprintln(env.Err, "jobdrop: the answer can't be read for now:", oneLine(err.Error()))
		})
	}
	if a.Request == "" || err != nil && ctx.Err() == nil {
		return ended(ctx, err)
	}
	if o.format == formatJSON {
		err = encode(env.Out, a)
	} else {
		err = a.writeText(env, o.targetOptions)
	}
	if err != nil {
		return fault(err)
	}
	return a.exit(ctx, o.noWait)
}

// ask writes a request. The attempt has to be there, as far as the caller may see that.
func (v *view) ask(ctx context.Context, o requestOptions, id string) (asked, error) {
	key, err := v.find(ctx, o.name)
	if err != nil {
		return asked{}, err
	}
	_, err = v.store.Stat(ctx, v.State, "attempts/"+key+".json")
	if errors.Is(err, job.ErrNotFound) {
		return asked{}, &unknownError{name: o.name, in: "gs://" + v.State}
	}
	if err != nil && !lacks(err) {
		return asked{}, err
	}
	data, err := json.Marshal(attempt.Request{Kind: o.kind, Reason: o.reason, By: o.by, At: v.now().UTC()})
	if err != nil {
		return asked{}, err
	}
	if _, err := attempt.ParseRequest(data); err != nil {
		return asked{}, exit(exitUsage, "%w", err)
	}
	name := key + "/" + id + ".json"
	a := asked{
		Attempt: key, Request: "gs://" + v.State + "/requests/" + name, Answer: "gs://" + v.State + "/results/" + name,
		Outcome: outcomePending,
	}
	if err := writeRequest(ctx, v.store, v.State, name, data); err != nil {
		return asked{}, err
	}
	return a, nil
}

// writes is what creates objects.
type writes interface {
	Write(ctx context.Context, bucket, name string, data []byte, contentType string, metadata map[string]string,
		ifGeneration int64) (int64, error)
}

// writeRequest writes a request into the state bucket, under a name that nobody else knows: docs/requests.md.
func writeRequest(ctx context.Context, store writes, state, name string, data []byte) error {
	_, err := store.Write(ctx, state, "requests/"+name, data, "application/json", nil, 0)
	if errors.Is(err, attempt.ErrStale) {
		return nil // the answer to an earlier try was lost
	}
	return err
}

// answerPoll is how often the answer is looked for. Ticks come once a minute.
const answerPoll = 2 * time.Second

// maxAnswer bounds an answer, which is some sentences.
const maxAnswer = 64 << 10

// await waits for the answer to a request, for a time. Without an error, the outcome may still be pending. A failure
// that may pass does not end the wait; say is called with the first one. Without the right to list the bucket, an
// answer that is not there yet reads as one that may not be read.
func (v *view) await(ctx context.Context, patience time.Duration, a *asked, say func(error)) error {
	name := strings.TrimPrefix(a.Answer, "gs://"+v.State+"/")
	end := time.NewTimer(patience)
	defer end.Stop()
	poll := time.NewTicker(answerPoll)
	defer poll.Stop()
	for said := false; ; {
		data, _, err := v.store.Read(ctx, v.State, name, 0, maxAnswer)
		a.unread = nil
		var answer attempt.Answer
		switch {
		case err == nil:
			if err := json.Unmarshal(data, &answer); err != nil {
				return fmt.Errorf("%s: %w", a.Answer, err)
			}
			a.Outcome, a.Message, a.Made = answer.Outcome, answer.Message, answer.Attempt
			return nil
		case ctx.Err() != nil, errors.Is(err, job.ErrNotFound):
		case lacks(err):
			a.unread = err
		case unanswered(err):
			if a.unread = err; !said {
				said = true
				say(err)
			}
		default:
			return fmt.Errorf("%s is written, and its answer can't be read: %w", a.Request, err)
		}
		select {
		case <-poll.C:
		case <-end.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (a asked) writeText(env Env, o targetOptions) error {
	text := a.Outcome + ": " + a.Message
	switch {
	case a.Outcome == outcomePending:
		text = "asked: " + a.Request + "\nthe answer will be in " + a.Answer
	case a.Made != "":
		text += "\n" + o.line("status", a.Made) + " shows how far it has come"
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(setIn(oneLine(strings.TrimSuffix(line, "\n")), env.width(), 0, indent))
	}
	_, err := io.WriteString(env.Out, b.String())
	return err
}

// exit returns an error with the exit code.
func (a asked) exit(ctx context.Context, noWait bool) error {
	switch {
	case a.Outcome == attempt.RequestAccepted:
		return nil
	case a.Outcome == attempt.RequestRefused:
		return &exitError{code: exitFailed}
	case ctx.Err() != nil:
		return exit(exitInterrupted, "interrupted: the request stays, and is answered")
	case noWait:
		return nil
	}
	const text = "there is no answer yet: the request stays, and is answered once Watch runs"
	if a.unread != nil {
		return exit(exitRunning, text+" (%w)", a.unread)
	}
	return exit(exitRunning, text)
}
