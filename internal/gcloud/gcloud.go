// Package gcloud reads the command lines with which people submit training jobs by gcloud, and says which job they
// mean: gcloud ai-platform jobs submit training, and gcloud ai custom-jobs create.
//
// What gcloud refuses is an error here, unless the manual page allows it. What has no meaning for jobdrop is accepted
// and noted. The flags are those of gcloud 528, its alpha command's --network and --tpu-tf-version among them.
package gcloud

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Submission is what a command line asks for.
type Submission struct {
	// JobID is the positional JOB.
	JobID string
	// Config is the path of the file that --config names.
	Config string
	// PackagePath is the folder of the package that is to be built, with --package-path.
	PackagePath string
	// Packages are what --packages lists: paths of this machine and gs:// URIs.
	Packages []string
	// StreamLogs reports that the command is to wait for the end of the job, with its log.
	StreamLogs bool

	// values are what the flags said, by their names.
	values map[string]bool
	sets   []setting
	labels map[string]string
	key    kmsKey
	args   []string
	hasArgs,
	async,
	custom bool // the line is of gcloud ai custom-jobs create
	notes []string
}

// setting is a field that a flag sets.
type setting struct {
	field, flag string
	set         func(*job.Spec)
}

// New returns the submission of an empty command line.
func New() *Submission { return &Submission{values: map[string]bool{}} }

// Apply sets what the flags say in a job, which is that of the file of --config: a flag beats the file.
func (s *Submission) Apply(spec *job.Spec) {
	if spec.TrainingInput == nil {
		spec.TrainingInput = &job.TrainingInput{}
	}
	if s.JobID != "" {
		spec.JobID = s.JobID
	}
	for _, one := range s.sets {
		one.set(spec)
	}
	if s.labels != nil {
		spec.Labels = maps.Clone(s.labels)
	}
	if s.hasArgs {
		spec.TrainingInput.Args = slices.Clone(s.args)
	}
}

// Origins returns which part of the command line sets each field of a job file that one sets.
func (s *Submission) Origins() map[string]string {
	origins := map[string]string{}
	if s.JobID != "" {
		origins["jobId"] = "the argument JOB"
	}
	for _, one := range s.sets {
		origins[one.field] = one.flag
	}
	if s.labels != nil {
		origins["labels"] = "--labels"
	}
	if s.hasArgs {
		origins["trainingInput.args"] = "the arguments after --"
	}
	if s.PackagePath != "" || len(s.Packages) > 0 {
		origins["trainingInput.packageUris"] = "--package-path and --packages"
	}
	return origins
}

// Over sets what another command line says over s, and takes what it leaves out from s.
func (s *Submission) Over(other *Submission) {
	for _, one := range other.sets {
		s.sets = slices.DeleteFunc(s.sets, func(own setting) bool { return own.field == one.field })
		s.sets = append(s.sets, one)
	}
	for _, text := range [...]struct{ own, other *string }{
		{&s.JobID, &other.JobID}, {&s.Config, &other.Config}, {&s.key.key, &other.key.key}, {&s.key.ring, &other.key.ring},
		{&s.key.location, &other.key.location}, {&s.key.keyProject, &other.key.keyProject},
		{&s.key.project, &other.key.project},
	} {
		if *text.other != "" {
			*text.own = *text.other
		}
	}
	if other.PackagePath != "" || len(other.Packages) > 0 {
		s.PackagePath, s.Packages = other.PackagePath, other.Packages
	}
	if other.labels != nil {
		s.labels = other.labels
	}
	if other.hasArgs {
		s.SetArgs(other.args)
	}
	maps.Copy(s.values, other.values)
	s.async, s.StreamLogs = s.async || other.async, s.StreamLogs || other.StreamLogs
	s.notes = append(s.notes, other.notes...)
}

// Notes say what was accepted and is not used, or means something else here.
func (s *Submission) Notes() []string { return slices.Clone(s.notes) }

func (s *Submission) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

// SetArgs sets the arguments of the trainer: those after --. There may be none of them, which clears those of the file.
func (s *Submission) SetArgs(args []string) { s.args, s.hasArgs = args, true }

// ParseTraining reads what follows gcloud ai-platform jobs submit training: JOB, flags, and the trainer's arguments
// after --.
func ParseTraining(args []string) (*Submission, error) {
	s := New()
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	fs.Usage = func() {}
	s.Flags(fs)
	if err := fs.Parse(args); err != nil {
		return nil, Nearest(fs, err)
	}
	own := fs.Args()
	if i := fs.ArgsLenAtDash(); i >= 0 {
		s.SetArgs(own[i:])
		own = own[:i]
	}
	switch len(own) {
	case 0:
		return nil, errors.New("JOB is missing: the name of the job comes first")
	case 1:
		s.JobID = own[0]
	default:
		return nil, fmt.Errorf("%q is one argument too many: the trainer's arguments come after --", own[1])
	}
	return s, s.Complete()
}

// Complete checks what flags say together. It is called once all are set.
func (s *Submission) Complete() error {
	given := func(flag string) bool { return s.values[flag] }
	for _, pair := range [...][2]string{
		{"worker-count", "worker-machine-type"}, {"parameter-server-count", "parameter-server-machine-type"},
	} {
		switch {
		case given(pair[0]) && !given(pair[1]):
			return fmt.Errorf("--%s needs --%s beside it", pair[0], pair[1])
		case given(pair[1]) && !given(pair[0]):
			return fmt.Errorf("--%s needs --%s beside it", pair[1], pair[0])
		}
	}
	if given("master-image-uri") && given("runtime-version") {
		return errors.New("--master-image-uri and --runtime-version exclude each other: an image brings its own")
	}
	if s.async && s.StreamLogs {
		return errors.New("--async and --stream-logs exclude each other")
	}
	return s.completeKey()
}

// ParseLine reads a whole command line as somebody would type it into a shell: gcloud ai-platform jobs submit
// training, or gcloud ai custom-jobs create.
func ParseLine(line string) (*Submission, error) {
	words, err := Split(line)
	if err != nil {
		return nil, err
	}
	if len(words) > 0 && words[0] == "$" { // a prompt that was copied with the line
		words = words[1:]
	}
	if len(words) == 0 || words[0] != "gcloud" {
		return nil, errors.New("the line does not begin with gcloud")
	}
	words = words[1:]
	if len(words) > 0 && (words[0] == "alpha" || words[0] == "beta") {
		words = words[1:]
	}
	if len(words) > 0 && words[0] == "ml-engine" { // the group's former name
		words[0] = "ai-platform"
	}
	for _, c := range [...]struct {
		words string
		parse func([]string) (*Submission, error)
	}{{"ai-platform jobs submit training", ParseTraining}, {"ai custom-jobs create", parseCustomJob}} {
		command := strings.Fields(c.words)
		if len(words) >= len(command) && slices.Equal(words[:len(command)], command) {
			return c.parse(words[len(command):])
		}
	}
	return nil, errors.New("the line is not one that submits a job: it must be gcloud ai-platform jobs submit training …, " +
		"or gcloud ai custom-jobs create …")
}

// Nearest adds the nearest flag there is to the error of one that is not known.
func Nearest(fs *pflag.FlagSet, err error) error {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return err
	}
	name := unknown.GetSpecifiedName()
	best, least := "", 1+len(name)/3
	fs.VisitAll(func(f *pflag.Flag) {
		d := text.Distance(name, f.Name)
		if strings.HasPrefix(f.Name, name) && len(name) > 2 {
			d = 0 // the beginning of a name
		}
		if d < least || d == 0 && best == "" {
			best, least = f.Name, d
		}
	})
	if best == "" {
		return fmt.Errorf("%w; arguments of the trainer come after --", err)
	}
	return fmt.Errorf("%w; did you mean --%s? Arguments of the trainer come after --", err, best)
}
