// Command verify drops a folder into the inbox of an installation and waits for
// the verdict in its status bucket: the way that a dropper goes, with the rights of
// one. It succeeds if the job does.
//
//	go run ./deploy/verify -outputs outputs.json -set jobDir=gs://BUCKET/verify testdata/drops/hello
//
// With -report, it then asks the questions of docs/first-project.md that change
// nothing, with the rights of an operator, and writes what it found to a file.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jobdrop/jobdrop/deploy/outputs"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// Google's newest training image of TensorFlow, the last one that it promised.
const newestRuntime, newestPython = "2.17", "3.10"

// statusLimit bounds a status object, in bytes: it has some kilobytes, with all
// violations some hundred.
const statusLimit = 4 << 20

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "verify:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	outputs, installation string
	inbox, status         string
	folder, correlation   string
	metadata              map[string]string
	wait, poll, denied    time.Duration
	report                string
	manual                bool
	// environment is that of the functions, if the outputs are known.
	environment map[string]string
}

func parse(args []string, usage io.Writer) (o options, dir string, err error) {
	// A deployment is verified by the same drop each time, whatever the policy says of that.
	o.metadata = map[string]string{job.MetadataRerun: "yes"}
	f := flag.NewFlagSet("verify", flag.ContinueOnError)
	f.SetOutput(usage)
	f.StringVar(&o.outputs, "outputs", "", "file with what terraform output -json prints, which names the buckets")
	f.StringVar(&o.installation, "installation", "", "which installation of the outputs, where there are several")
	f.StringVar(&o.inbox, "inbox", "", "inbox, in place of that of the outputs")
	f.StringVar(&o.status, "status", "", "status bucket, in place of that of the outputs")
	f.StringVar(&o.folder, "folder", "", "folder of the inbox (default: verify/ and the name of the dropped one)")
	f.StringVar(&o.correlation, "correlation", "", "an ID that comes back in all events of the drop")
	f.DurationVar(&o.wait, "wait", 30*time.Minute, "how long to wait for the verdict: machines come late")
	f.DurationVar(&o.denied, "denied", 10*time.Minute,
		"how long to drop again where rights are missing: new ones take minutes to hold")
	f.StringVar(&o.report, "report", "", "file for a report: the drop, and answers to the questions of docs/first-project.md")
	f.BoolVar(&o.manual, "manual", false, "print docs/first-project.md, and do nothing else")
	f.DurationVar(&o.poll, "poll", 5*time.Second, "how often to look at the status")
	f.Func("set", "FIELD=VALUE of the job file, as the metadata jobdrop-set-FIELD; may be repeated (region: the first "+
		"of the installation's; at Vertex AI, runtimeVersion and pythonVersion: those of Google's newest training image, unless "+
		"the policy has an image for those of the file)",
		func(text string) error {
			field, value, ok := strings.Cut(text, "=")
			if !ok || field == "" {
				return errors.New("want FIELD=VALUE")
			}
			o.metadata[jobspec.MetadataPrefix+field] = value
			return nil
		})
	if err := f.Parse(args); err != nil {
		return o, "", err
	}
	if o.manual {
		return o, "", nil
	}
	if f.NArg() != 1 {
		return o, "", errors.New("name one folder to drop")
	}
	if o.wait <= 0 || o.poll <= 0 {
		return o, "", errors.New("-wait and -poll must be longer than 0")
	}
	if o.outputs != "" {
		i, err := outputs.Read(o.outputs, o.installation)
		if err != nil {
			return o, "", err
		}
		o.environment = i.Environment
		o.inbox = cmp.Or(o.inbox, i.Environment["JOBDROP_INBOX"])
		o.status = cmp.Or(o.status, i.Environment["JOBDROP_STATUS_BUCKET"])
		// The file's region need not be one of the installation's.
		const region = jobspec.MetadataPrefix + "region"
		if first, _, _ := strings.Cut(i.Environment["JOBDROP_REGIONS"], ","); first != "" && o.metadata[region] == "" {
			o.metadata[region] = strings.TrimSpace(first)
		}
	}
	if o.report != "" && o.environment == nil {
		return o, "", errors.New("-report wants -outputs, which name the installation")
	}
	if o.inbox == "" || o.status == "" {
		return o, "", errors.New("name the buckets, by -outputs or by -inbox and -status")
	}
	if o.correlation != "" {
		o.metadata[job.MetadataCorrelationID] = o.correlation
	}
	dir = f.Arg(0)
	o.folder = path.Clean(cmp.Or(o.folder, "verify/"+filepath.Base(dir)))
	return o, dir, nil
}

func run(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error {
	o, dir, err := parse(args, out)
	if err != nil {
		return err
	}
	if o.manual {
		return manual(out)
	}
	emulator := getenv(gcs.EmulatorVariable)
	if err := gcs.Answers(ctx, emulator); err != nil {
		return err
	}
	client, err := gcs.New(ctx, emulator)
	if err != nil {
		return err
	}
	if err := chooseImage(ctx, client, o, dir); err != nil {
		return err
	}
	if o.report == "" {
		return verify(ctx, client, o, dir, out)
	}
	// A file that can't be written is found before the job runs.
	file, err := os.OpenFile(o.report, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	r := newReport(o.environment, getenv)
	r.err = verify(ctx, client, o, dir, io.MultiWriter(out, r))
	r.askAbsent(ctx, client, o.status, o.folder)
	r.ask(ctx, questions, out)
	if _, err = r.WriteTo(file); err == nil {
		err = file.Close()
	}
	if err == nil {
		fmt.Fprintf(out, "the report is in %s: read it before you send it to somebody\n", o.report)
	}
	return errors.Join(r.err, err)
}

// chooseImage has the drop run in Google's newest training image at Vertex AI, since
// Google may have deleted the image of the drop's own versions. What -set chose stays,
// and so do versions that the policy has an image for.
func chooseImage(ctx context.Context, client *gcs.Client, o options, dir string) error {
	const runtime, python = jobspec.MetadataPrefix + "runtimeVersion", jobspec.MetadataPrefix + "pythonVersion"
	if o.environment["JOBDROP_BACKEND"] != "vertex" || o.metadata[runtime] != "" || o.metadata[python] != "" {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	// A drop without a job file, or with a wrong one, is told of later.
	for _, e := range entries {
		if !e.Type().IsRegular() || !job.IsJobFile(e.Name()) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		file, _ := jobspec.Parse(e.Name(), data)
		if file != nil && policyOf(ctx, client, o).Mapping(file.Spec.TrainingInput, nil).Image != "" {
			return nil
		}
	}
	o.metadata[runtime], o.metadata[python] = newestRuntime, newestPython
	return nil
}

// policyOf returns the installation's policy for the dropped folder. It is empty for a
// dropper who may not read it.
func policyOf(ctx context.Context, client *gcs.Client, o options) policy.Policy {
	bucket, name, found := strings.Cut(strings.TrimPrefix(o.environment["JOBDROP_POLICY"], "gs://"), "/")
	if !found {
		return policy.Policy{}
	}
	data, _, err := client.Read(ctx, bucket, name, 0, jobspec.MaxSize)
	if err != nil {
		return policy.Policy{}
	}
	rules, _ := policy.Parse(path.Base(name), data)
	return policy.Policy{Rules: rules}.For(o.folder)
}

// verify drops a folder and waits for its verdict.
func verify(ctx context.Context, client *gcs.Client, o options, dir string, out io.Writer) error {
	// Rights that were given a moment ago may take minutes to hold everywhere, for
	// this program and for the functions.
	patience, cancel := context.WithTimeout(ctx, o.denied)
	defer cancel()
	for {
		generation, err := drop(ctx, client, o, dir, out)
		if err == nil {
			err = follow(ctx, client, o, fmt.Sprintf("%s/status-%d.json", o.folder, generation), out)
		}
		if !errors.Is(err, job.ErrDenied) {
			return err
		}
		fmt.Fprintf(out, "%v: rights may be new, trying again\n", err)
		select {
		case <-time.After(min(o.poll*6, o.denied)):
		case <-patience.Done():
			return err
		}
	}
}

// drop uploads the packages and then the job file, and returns the generation of the
// job file.
func drop(ctx context.Context, client *gcs.Client, o options, dir string, out io.Writer) (int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	var jobFile string
	upload := func(name string, metadata map[string]string) (int64, error) {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return 0, err
		}
		defer f.Close()
		return client.Upload(ctx, o.inbox, o.folder+"/"+name, f, metadata)
	}
	for _, e := range entries {
		switch {
		case !e.Type().IsRegular() || !job.IsPart(e.Name(), 1):
		case job.IsJobFile(e.Name()):
			if jobFile != "" {
				return 0, fmt.Errorf("%s has two job files, %s and %s", dir, jobFile, e.Name())
			}
			jobFile = e.Name()
		default:
			if _, err := upload(e.Name(), nil); err != nil {
				return 0, err
			}
		}
	}
	if jobFile == "" {
		return 0, fmt.Errorf("%s has no job file", dir)
	}
	generation, err := upload(jobFile, o.metadata)
	if err == nil {
		fmt.Fprintf(out, "dropped %s into gs://%s/%s/ (generation %d)\n", dir, o.inbox, o.folder, generation)
	}
	return generation, err
}

// follow waits for the verdict of an attempt, and says what it sees meanwhile.
func follow(ctx context.Context, client *gcs.Client, o options, status string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, o.wait)
	defer cancel()
	poll := time.NewTicker(o.poll)
	defer poll.Stop()
	last, problem := "nothing is known of it", error(nil)
	for {
		data, _, err := client.Read(ctx, o.status, status, 0, statusLimit)
		switch {
		case err == nil:
			var body event.Body
			if err := json.Unmarshal(data, &body); err != nil {
				return fmt.Errorf("gs://%s/%s: %w", o.status, status, err)
			}
			problem = nil
			if said := describe(body); said != last {
				last = said
				fmt.Fprintln(out, last)
			}
			if body.State.Terminal() {
				return conclude(body, data, out)
			}
		case errors.Is(err, job.ErrDenied):
			return fmt.Errorf("the status can't be read: %w", err)
		case ctx.Err() == nil && !errors.Is(err, job.ErrNotFound):
			problem = err // it may pass
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return errors.New("interrupted: the drop stays where it is")
			}
			return errors.Join(fmt.Errorf("no verdict after %s; gs://%s/%s: %s", o.wait, o.status, status, last), problem)
		}
	}
}

// describe returns one line about an attempt.
func describe(b event.Body) string {
	said := string(b.State)
	if b.Job.ID != "" {
		said += ", job " + b.Job.ID
	}
	if b.Reason != "" {
		said += ": " + b.Reason
	}
	return said
}

// conclude shows the whole status of what did not succeed.
func conclude(b event.Body, status []byte, out io.Writer) error {
	if b.State == event.Succeeded {
		return nil
	}
	for _, v := range b.Violations {
		fmt.Fprintln(out, v)
	}
	var pretty bytes.Buffer
	if json.Indent(&pretty, status, "", "  ") == nil {
		fmt.Fprintln(out, pretty.String())
	}
	if b.State == event.Rejected && b.Error != nil && b.Error.Code == "PERMISSION_DENIED" {
		return fmt.Errorf("the drop ended as %s: %s: %w", b.State, b.Error.Message, job.ErrDenied)
	}
	return fmt.Errorf("the drop ended as %s", b.State)
}
