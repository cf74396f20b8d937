package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/jobdrop/jobdrop/internal/check/inspect"
	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/gcloud"
	"github.com/jobdrop/jobdrop/internal/pyproject"
	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// draft is a drop that is not uploaded yet.
type draft struct {
	bucket   string // empty if it is not known
	folder   string
	spec     job.Spec
	options  job.Options
	packages []packed
	notes    []string

	origins map[string]string // which flag sets a field
	config  *jobspec.File     // the file of --config, nil without one
	source  []byte            // its content
	policy  policy.Policy
	known   bool // the policy is the installation's
	backend string
	now     time.Time

	report report
	plan   planned
	asks   string   // what the backend will be asked for, in words
	waits  []string // what a job of this folder may have to wait for
}

// packed is a package of a drop.
type packed struct {
	// Name is that of the object: it carries a digest of the content.
	Name string `json:"name"`
	// Source is where it comes from on this machine.
	Source string `json:"source"`
	Size   int64  `json:"size,string"`
	CRC32C string `json:"crc32c"`

	open func() (packageContent, error)
}

// packageContent is the content of a package.
type packageContent interface {
	io.ReaderAt
	io.Closer
}

// inMemory is the content of a package that was built.
type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// newDrop makes the drop that a command line asks for. t is nil if there is no connection.
func newDrop(ctx context.Context, env Env, o submitOptions, t *target, say func(string, ...any)) (*draft, error) {
	d := &draft{
		bucket: o.inbox, notes: o.line.Notes(), origins: o.line.Origins(), now: env.Now(), backend: cmp.Or(o.backend, planBackend),
	}
	if err := d.readConfig(env, o.line.Config); err != nil {
		return nil, err
	}
	o.line.Apply(&d.spec)
	if in := d.spec.TrainingInput; in.Region == "" {
		if region, from := o.line.DefaultRegion(env.Getenv); region != "" {
			in.Region, d.origins["trainingInput.region"] = region, from
			d.notes = append(d.notes, fmt.Sprintf("the region is %s, from %s", region, from))
		}
	}
	d.folder = cmp.Or(o.drop, submitFolder(o.prefix, d.spec.JobID))
	if err := d.readPolicy(ctx, o, t); err != nil {
		return nil, err
	}
	for _, note := range d.notes {
		say("%s", note)
	}
	return d, d.pack(ctx, o, env.Err, say)
}

// readConfig reads the file of --config.
func (d *draft) readConfig(env Env, name string) error {
	if name == "" {
		return nil
	}
	data, err := readLocal(name)
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	file, vs := jobspec.Parse(name, data)
	if job.HasErrors(vs) {
		return faulty(env, exit(exitRejected, "%w", &faultyFile{"--config", fileReport(name, data, vs)}))
	}
	for _, v := range vs {
		fmt.Fprint(env.Err, withExcerpt(fileReport(name, data, nil), v, env.width()))
	}
	d.config, d.source, d.spec, d.options = file, data, file.Spec, file.Options
	return nil
}

// readPolicy reads the policy by which the drop is checked: that of --policy, or the installation's if it can be read.
func (d *draft) readPolicy(ctx context.Context, o submitOptions, t *target) error {
	d.policy.Backend = d.backend
	if t != nil && t.Project != "" {
		d.policy.Project, d.policy.Own = t.Project, []string{t.State, t.Staging, t.Status}
		d.policy.Inbox, d.known = t.Inbox, true
	}
	var err error
	switch {
	case o.policy != "":
		d.policy.Rules, err = readPolicy(o.policy)
		d.known = true
	case t != nil && t.PolicyObject != "":
		uri := "gs://" + t.PolicyBucket + "/" + t.PolicyObject
		var data []byte
		data, _, err = t.storage.Read(ctx, t.PolicyBucket, t.PolicyObject, 0, jobspec.MaxSize)
		if errors.Is(err, job.ErrDenied) || errors.Is(err, job.ErrNotFound) {
			// Most droppers may not read it. What it allows is then warned of, and Submit judges.
			d.policy, d.known = policy.Policy{Backend: d.backend}, false
			d.notes = append(d.notes, "the installation's policy can't be read: its rules are checked after the upload")
			return nil
		}
		if err != nil {
			return submitFault(ctx, err)
		}
		d.policy.Rules, err = parsePolicy(uri, data)
	}
	return err
}

// pack builds and reads the packages, and names them in the job. Those of Cloud Storage come first, as gcloud has it.
func (d *draft) pack(ctx context.Context, o submitOptions, log io.Writer, say func(string, ...any)) error {
	in := d.spec.TrainingInput
	names, from := o.line.Packages, ""
	if len(names) == 0 && o.line.PackagePath == "" && d.config != nil {
		// Those of the file lie beside it.
		names, from = in.PackageURIs, filepath.Dir(o.line.Config)
	}
	var uris []string
	for _, name := range names {
		if strings.HasPrefix(name, "gs://") {
			uris = append(uris, name)
			continue
		}
		if from != "" && !filepath.IsAbs(name) {
			name = filepath.Join(from, name)
		}
		p, err := readPackage(name)
		if err != nil {
			return err
		}
		d.packages = append(d.packages, p)
	}
	if o.line.PackagePath != "" {
		built, err := pyproject.Build(ctx, o.line.PackagePath, pyproject.Options{Python: o.python, Log: log})
		switch {
		case errors.Is(err, pyproject.ErrPython):
			return missing(err)
		case errors.Is(err, pyproject.ErrSource):
			return exit(exitRejected, "--package-path: %w", err)
		case ctx.Err() != nil:
			return submitFault(ctx, err)
		case err != nil:
			return fault(err)
		}
		for _, left := range built.LeftOut {
			say("%s is not in the package: %s", left.Path, left.Reason)
		}
		d.packages = append(d.packages, packed{
			Name: built.Name, Source: o.line.PackagePath, Size: int64(len(built.Data)),
			CRC32C: encodeCRC32C(crc32.Checksum(built.Data, castagnoli())),
			open:   func() (packageContent, error) { return inMemory{bytes.NewReader(built.Data)}, nil },
		})
	}
	if err := d.comparePins(); err != nil {
		return err
	}
	d.options.Packages = nil
	for i, p := range d.packages {
		if slices.ContainsFunc(d.packages[:i], func(q packed) bool { return q.Name == p.Name }) {
			return exit(exitUsage, "the package %s is given twice", p.Source)
		}
		uris = append(uris, p.Name)
		d.options.Packages = append(d.options.Packages, job.Pin{Name: p.Name, CRC32C: p.CRC32C})
	}
	in.PackageURIs = uris
	return nil
}

// comparePins returns an error unless each package that the file of --config pins is one that is dropped, with the same
// content. The job file pins them all under the names that they are dropped by.
func (d *draft) comparePins() error {
	for _, pin := range d.options.Packages {
		i := slices.IndexFunc(d.packages, func(p packed) bool { return p.Name == pin.Name || filepath.Base(p.Source) == pin.Name })
		switch {
		case i < 0 || pin.CRC32C == "":
			return exit(exitRejected, "%s pins %s, which can't be compared with a package of this drop by its CRC32C: take it out "+
				"of jobdrop.packages, or name that file with --packages", d.config.Name, pin.Name)
		case d.packages[i].CRC32C != pin.CRC32C:
			return exit(exitRejected, "%s pins %s with the CRC32C %s, and %s has %s", d.config.Name, pin.Name, pin.CRC32C,
				d.packages[i].Source, d.packages[i].CRC32C)
		}
	}
	return nil
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// encodeCRC32C returns a sum as Cloud Storage writes it.
func encodeCRC32C(sum uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
}

// readPackage reads a package of this machine.
func readPackage(name string) (packed, error) {
	f, err := os.Open(name)
	if err != nil {
		return packed{}, fmt.Errorf("package: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return packed{}, exit(exitUsage, "%s is a folder: --package-path builds a package of one", name)
	}
	if !job.IsPackage(filepath.Base(name)) {
		return packed{}, exit(exitUsage, "%s is not a package of Python: its name must end in .tar.gz, .tgz or .whl", name)
	}
	digest, sum := sha256.New(), crc32.New(castagnoli())
	size, err := io.Copy(io.MultiWriter(digest, sum), f)
	if err != nil {
		return packed{}, fmt.Errorf("package: %w", err)
	}
	return packed{
		Name: withDigest(filepath.Base(name), digest.Sum(nil)), Source: name, Size: size, CRC32C: encodeCRC32C(sum.Sum32()),
		open: func() (packageContent, error) { return os.Open(name) },
	}, nil
}

// withDigest returns the name of a package with 12 hex digits of its content's digest: of a wheel as its build tag,
// which begins with a digit (PEP 427).
func withDigest(name string, digest []byte) string {
	short := hex.EncodeToString(digest)[:12]
	if strings.Contains(name, short) {
		return name
	}
	if stem, ok := strings.CutSuffix(name, ".whl"); ok {
		parts := strings.Split(stem, "-")
		switch len(parts) {
		case 5:
			parts = slices.Insert(parts, 2, "0_"+short)
		case 6:
			parts[2] += "_" + short
		}
		return strings.Join(parts, "-") + ".whl" // another number of parts is a violation
	}
	for _, suffix := range [...]string{".tar.gz", ".tgz"} {
		if stem, ok := strings.CutSuffix(name, suffix); ok {
			return stem + "-" + short + suffix
		}
	}
	return name
}

// jobFileName is the name of the job files that submit writes.
const jobFileName = "job.yaml"

// jobFile returns the job file, with a job ID. The same drop gives the same bytes.
func (d *draft) jobFile(jobID string) ([]byte, error) {
	spec := d.spec
	spec.JobID = jobID
	var options *job.Options
	if o := d.options; len(o.Packages)+len(o.Notify) > 0 || o.Backend != "" {
		options = &o
	}
	text, err := json.Marshal(struct {
		job.Spec
		Jobdrop *job.Options `json:"jobdrop,omitempty"`
	}{spec, options})
	if err != nil {
		return nil, err
	}
	return asYAML(text)
}

// asYAML returns JSON as YAML of the usual style, which readers of YAML 1.1 and 1.2 read alike.
func asYAML(text []byte) ([]byte, error) {
	var node yaml.Node // JSON is YAML of another style
	if err := yaml.Unmarshal(text, &node); err != nil {
		return nil, err
	}
	unquote(&node)
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(&node), e.Close()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

var (
	// bareText matches texts that need no quotes, unless they are one of bareWords: gcloud and jobspec take those for
	// something else.
	bareText  = regexp.MustCompile(`^(?:--?)?[A-Za-z][A-Za-z0-9_./=@-]*(?::[A-Za-z0-9_./=@-]+)*$`)
	bareWords = regexp.MustCompile(`^(?i:y|n|yes|no|on|off|true|false|null)$`)
)

// unquote takes JSON's style off a document, and leaves texts their quotes that may be something else without them.
func unquote(n *yaml.Node) {
	n.Style = 0
	if n.Tag == "!!str" && (!bareText.MatchString(n.Value) || bareWords.MatchString(n.Value)) {
		n.Style = yaml.DoubleQuotedStyle
	}
	for _, c := range n.Content {
		unquote(c)
	}
}

// check checks the drop as Submit would, and makes its plan.
func (d *draft) check(ctx context.Context) error {
	jobFile, err := d.jobFile(d.spec.JobID)
	if err != nil {
		return fault(err)
	}
	bucket := cmp.Or(d.bucket, inbox)
	objects := []job.Object{{Bucket: bucket, Name: d.folder + jobFileName, Size: int64(len(jobFile)), Created: d.now}}
	for _, p := range d.packages {
		objects = append(objects, job.Object{
			Bucket: bucket, Name: d.folder + p.Name, Size: p.Size, CRC32C: p.CRC32C, Created: d.now,
		})
	}
	open := func(_ context.Context, o job.Object) (io.ReadCloser, error) {
		for _, p := range d.packages {
			if p.Name == o.Base() {
				content, err := p.open()
				if err != nil {
					return nil, err
				}
				return struct {
					io.Reader
					io.Closer
				}{io.NewSectionReader(content, 0, p.Size), content}, nil
			}
		}
		return io.NopCloser(bytes.NewReader(jobFile)), nil
	}
	drop := job.Assemble(bucket, d.folder, objects)
	r, err := inspect.Drop(ctx, drop, inspect.Objects{Open: open}, d.policy)
	if ctx.Err() != nil {
		return submitFault(ctx, err)
	}
	if err != nil {
		return fault(err)
	}
	rules, whole := d.policy.For(d.folder), true
	if !d.known {
		whole = excuse(r.Violations)
	}
	d.plan = planned{Backend: d.backend, Diagnostics: []plan.Diagnostic{}}
	d.asks = "plan: " + d.backend + ", with what the installation's policy fills in"
	if whole && !r.Incomplete() && !job.HasErrors(r.Violations) {
		f := found{Result: r}
		o := planOptions{backend: d.backend}
		o.project = d.policy.Project
		mapping := rules.Mapping(r.Spec.TrainingInput, r.Options.Vertex)
		if d.plan, err = newPlanned(f, o, mapping, d.now); err != nil {
			return fault(err)
		}
		d.asks = asks(d.backend, job.Order{Spec: r.Spec, Mapping: mapping})
		r.Map(d.plan.Diagnostics, rules.Strict())
	}
	if d.known {
		d.waits = rules.Start(d.folder).Terms()
	}
	d.report = report{Path: "the drop", source: d.source, Missing: r.Resolution.Missing}
	if d.config != nil {
		d.report.sourceFile = d.config.Name
	}
	if len(r.Resolution.Missing) > 0 {
		d.report.Near = []string{"name a package with --package-path or --packages"}
	}
	for _, v := range r.Violations {
		d.report.Violations = append(d.report.Violations, d.placed(v))
	}
	d.report.Valid = !job.HasErrors(r.Violations) && !r.Incomplete()
	return nil
}

// excuse makes warnings of the faults that depend on the installation's policy, which is not known: Submit judges them. It
// reports whether the job is whole without what a policy may fill in.
func excuse(vs []job.Violation) (whole bool) {
	whole = true
	for i, v := range vs {
		fills := slices.Contains([]job.Rule{"region-required", "runtime-version-required", "python-version-required"}, v.Rule)
		if v.Severity == job.Warning || !fills && !strings.HasPrefix(string(v.Rule), "policy-") {
			continue
		}
		may := "may allow it"
		if fills {
			whole, may = false, "may fill it in"
		}
		vs[i].Severity = job.Warning
		vs[i].Message += "; the installation's policy is not known here, and " + may
	}
	return whole
}

// asks returns what a backend is asked for, in words: "plan: vertex, us-central1: master n1-standard-4, workers 2 x
// n1-standard-8 with 1 NVIDIA_TESLA_T4; may run for 2h0m".
func asks(backend string, o job.Order) string {
	p, _ := plan.New(o) // what has no place in it is a warning
	var roles []string
	names := map[plan.RoleName]string{
		plan.Master: "master", plan.Worker: "workers", plan.ParameterServer: "parameter servers", plan.Evaluator: "evaluators",
	}
	for _, r := range p.Roles {
		text := names[r.Name] + " "
		if r.Name != plan.Master {
			text += strconv.FormatInt(r.Replicas, 10) + " x "
		}
		text += r.Machine
		if r.Accelerators > 0 {
			text += fmt.Sprintf(" with %d %s", r.Accelerators, r.Accelerator)
		}
		roles = append(roles, text)
	}
	if len(roles) == 0 { // machines that are no others, such as TPUs
		roles = append(roles, cmp.Or(o.TrainingInput.ScaleTier, "CUSTOM"))
	}
	said := fmt.Sprintf("plan: %s, %s: %s", backend, p.Region, strings.Join(roles, ", "))
	if p.Run > 0 {
		said += "; may run for " + text.Age(p.Run)
	}
	if p.Wait > 0 {
		said += "; may wait for " + text.Age(p.Wait)
	}
	return said
}

// placed returns a violation of the job file as one of what it was made of: the command line, or the file of --config.
func (d *draft) placed(v job.Violation) job.Violation {
	if v.File != jobFileName {
		for _, p := range d.packages {
			if p.Name == v.File {
				v.File = p.Source
			}
		}
		return v
	}
	v.File, v.Position = "the command line", job.Position{}
	for field := v.Field; field != ""; field = parentField(field) {
		if flag := d.origins[field]; flag != "" {
			if v.Remedy != "" {
				v.Remedy += "; "
			}
			v.Remedy += "the value comes from " + flag
			return v
		}
	}
	if flag := gcloud.FlagOf(v.Field); flag != "" && v.Found == "" {
		if v.Remedy != "" {
			v.Remedy += "; "
		}
		v.Remedy += "on the command line it is --" + flag
	}
	if d.config != nil {
		v.File, v.Position = d.config.Name, d.config.Position(v.Field)
	}
	return v
}

// parentField returns the path of what a field is in: trainingInput.args of trainingInput.args[2].
func parentField(field string) string { return field[:max(0, strings.LastIndexAny(field, ".["))] }

// announce says what will be asked for, and what the job may wait for. The differences between the job file and the
// request are warnings.
func (d *draft) announce(say func(string, ...any)) {
	say("%s", d.asks)
	for _, term := range d.waits {
		say("the job may wait: %s", term)
	}
}

// writeJobFile writes the job file for a person.
func (d *draft) writeJobFile(w io.Writer) error {
	text, err := d.jobFile(d.spec.JobID)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(escaped(text))) {
		if _, err := io.WriteString(w, "  "+line); err != nil {
			return err
		}
	}
	return nil
}

// drawn is what --dry-run shows as JSON.
type drawn struct {
	Drop     string   `json:"drop"`
	JobFile  string   `json:"jobFile"`
	Job      job.Spec `json:"job"`
	Packages []packed `json:"packages"`
	Plan     planned  `json:"plan"`
	Notes    []string `json:"notes,omitempty"`
	Waits    []string `json:"waits,omitempty"`
}

// show writes what would be dropped.
func (d *draft) show(env Env, format string) error {
	jobFile, err := d.jobFile(d.spec.JobID)
	if err != nil {
		return err
	}
	bucket := cmp.Or(d.bucket, "INBOX")
	if format == formatJSON {
		return encode(env.Out, drawn{
			Drop: "gs://" + bucket + "/" + d.folder, JobFile: string(jobFile), Job: d.spec,
			Packages: append([]packed{}, d.packages...), Plan: d.plan, Notes: d.notes, Waits: d.waits,
		})
	}
	var b strings.Builder
	for _, p := range d.packages {
		fmt.Fprintf(&b, "gs://%s/%s%s  %d bytes, of %s\n", bucket, oneLine(d.folder), p.Name, p.Size, oneLine(p.Source))
	}
	fmt.Fprintf(&b, "gs://%s/%s:\n", bucket, oneLine(path.Join(d.folder, jobFileName)))
	if err := d.writeJobFile(&b); err != nil {
		return err
	}
	d.announce(func(format string, args ...any) { b.WriteString(oneLine(fmt.Sprintf(format, args...)) + "\n") })
	_, err = io.WriteString(env.Out, b.String())
	return err
}
