// Package policy holds the operator's rules: what a job of the inbox may ask
// for. Whoever can write to the bucket must gain no rights by it.
//
// Without a policy file, what reaches beyond the project and the drop is
// refused: service accounts, networks, images and packages from elsewhere. The
// file, which [Parse] reads, says otherwise, gives defaults and sets limits, for
// all folders or for some. [Policy.For] gives the policy of one folder; then
// [Policy.ApplyDefaults] fills in a job, and [Policy.Check] judges it.
package policy

import (
	"cmp"
	"slices"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// Policy is what an installation allows.
type Policy struct {
	// Project is where jobs run: container images of its own registries are
	// allowed. Where it is not known, images are warned of.
	Project string
	// Inbox is the bucket of the drops: no job may write there. Where it is
	// not known, packages that lie elsewhere are warned of.
	Inbox string
	// Own are the installation's other buckets, closed to jobs likewise.
	Own []string
	// Backend is the service that runs jobs here; empty where not known.
	Backend string
	// Rules are the operator's; the zero value allows nothing that reaches
	// beyond the project and the drop.
	Rules Rules
}

// For returns the policy of a folder of the inbox, with or without its final slash.
// Call the other methods on its result: without it, the rules for prefixes are left
// out.
func (p Policy) For(folder string) Policy {
	p.Rules = p.Rules.forFolder(folder)
	return p
}

// Catalogue returns what is known of the service's choices, with the operator's
// additions. nil stands for the catalogue that comes with jobdrop.
func (p Policy) Catalogue() *jobspec.Catalogue { return p.Rules.catalogue }

// Patience returns the installation's own patience, with the policy's in its place where it says so. A
// drop is not given up before what it lacks is reported.
func (p Policy) Patience(own job.Patience) job.Patience {
	from := p.Rules.Patience
	for _, of := range []struct {
		text string
		set  func(d time.Duration)
	}{
		{from.Settle, func(d time.Duration) { own.Settle = d }},
		{from.Incomplete, func(d time.Duration) { own.Incomplete = d }},
		{from.Expire, func(d time.Duration) { own.Expire = d }},
		{from.Submit, func(d time.Duration) { own.Submit = d }},
		{from.Alone, func(d time.Duration) { own.Alone = d }},
		{from.Grace, func(d time.Duration) { own.Grace = new(job.Duration(d)) }},
		{from.Stuck.Queued, func(d time.Duration) { own.Queued = job.Duration(d) }},
		{from.Stuck.Preparing, func(d time.Duration) { own.Preparing = job.Duration(d) }},
		{from.Stuck.Running, func(d time.Duration) { own.Running = job.Duration(d) }},
		{from.Stuck.Cancelling, func(d time.Duration) { own.Cancelling = job.Duration(d) }},
	} {
		if d, err := job.ParseDuration(of.text); err == nil { // else it is not there: the file was checked
			of.set(d)
		}
	}
	own.Restarts = p.Rules.Limits.Restarts
	own.Incomplete = min(own.Incomplete, own.Expire)
	return own
}

// Mapping returns the policy's choices for a backend that does not speak ml/v1, with the job's own
// options for Vertex AI.
func (p Policy) Mapping(in *job.TrainingInput, own *job.VertexOptions) job.Mapping {
	v := p.Rules.Vertex
	m := job.Mapping{
		Accelerators: v.Accelerators, DisableRetries: v.DisableRetries != nil && *v.DisableRetries, Vertex: own,
	}
	if most := p.Rules.Limits.Restarts; most != nil && *most == 0 {
		m.DisableRetries = true // sooner than a tick could cancel the job
	}
	if in != nil && in.RuntimeVersion != "" {
		m.Image = cmp.Or(v.Images[in.RuntimeVersion+"/"+in.Python()], v.Images[in.RuntimeVersion])
	}
	return m
}

// Strict reports whether a job is refused if anything in it would be replaced or
// left out.
func (p Policy) Strict() bool { return p.Rules.Vertex.Strict != nil && *p.Rules.Vertex.Strict }

// WithdrawsSame reports whether a drop without a job ID is withdrawn if its content
// ran before in its folder and has ended.
func (p Policy) WithdrawsSame() bool { return p.Rules.SameContent == "withdraw" }

// LogExcerpt reports whether the event of a failed job shows the end of its log.
func (p Policy) LogExcerpt() bool { return p.Rules.LogExcerpt != nil && *p.Rules.LogExcerpt }

const maxRunningTimeField = "trainingInput.scheduling.maxRunningTime"

// ApplyDefaults fills in what neither the file nor its object's metadata give,
// each value with its place in the policy as its origin. The limit for the
// running time is a default, too, where it is lower than what would hold
// without: else a job that says nothing would have no limit.
func (p Policy) ApplyDefaults(f *jobspec.File) {
	if !p.Rules.given() {
		return
	}
	d := p.Rules.Defaults
	for key, value := range d.Labels {
		f.ApplyDefaults(job.Spec{Labels: map[string]string{key: value}}, p.Rules.place("defaults.labels."+key))
	}
	fill := func(setting, value string, in job.TrainingInput) {
		if value != "" {
			f.ApplyDefaults(job.Spec{TrainingInput: &in}, p.Rules.place(setting))
		}
	}
	fill("defaults.region", d.Region, job.TrainingInput{Region: d.Region})
	fill("defaults.runtimeVersion", d.RuntimeVersion, job.TrainingInput{RuntimeVersion: d.RuntimeVersion})
	fill("defaults.pythonVersion", d.PythonVersion, job.TrainingInput{PythonVersion: d.PythonVersion})
	fill("defaults.serviceAccount", d.ServiceAccount, job.TrainingInput{ServiceAccount: d.ServiceAccount})
	fill("defaults.network", d.Network, job.TrainingInput{Network: d.Network})
	running, setting := p.runningTime()
	fill(setting, running, job.TrainingInput{Scheduling: &job.Scheduling{MaxRunningTime: running}})
	f.ApplyVertexDefaults(d.Vertex, func(option string) string { return p.Rules.place("defaults.vertex." + option) })
}

// runningTime returns the running time of a job that sets none, and the setting that
// it comes from.
func (p Policy) runningTime() (value, setting string) {
	own, limit := p.Rules.Defaults.MaxRunningTime, p.Rules.Limits.MaxRunningTime
	without := job.DefaultRunningTime
	if d, err := job.ParseDuration(own); err == nil {
		without = d
	}
	if most, err := job.ParseDuration(limit); err == nil && most < without {
		return limit, "limits.maxRunningTime"
	}
	return own, "defaults.maxRunningTime"
}

// Check returns the policy's violations of a job file whose packages were resolved.
// Each names the place of the rule in the policy file.
func (p Policy) Check(f *jobspec.File, r job.Resolution) []job.Violation {
	var vs []job.Violation
	for _, d := range p.Explain(f, r) {
		if d.violation != nil {
			vs = append(vs, *d.violation)
		}
	}
	return vs
}

// AllowsSource reports whether a package may come from a gs:// URI outside the
// drop's folder.
func (p Policy) AllowsSource(uri string) bool {
	_, ok := find(p.Rules.Allow.lists(), "allow.packageSources").match(uri)
	return ok
}

// Verdict is what a rule says of a value.
type Verdict string

// The verdicts.
const (
	Allowed Verdict = "allowed"
	Refused Verdict = "refused"
	// Defaulted: the value is the policy's own.
	Defaulted Verdict = "defaulted"
	// NotAsked: the job leaves the matter open.
	NotAsked Verdict = "not asked"
	// Unknown: it depends on the installation, which is not known here.
	Unknown Verdict = "not known"
)

// Decision is what one rule of the policy says of one field of a job.
type Decision struct {
	// Rule is the rule's stable name, that of its violations.
	Rule job.Rule `json:"rule"`
	// Field is the path in the job file, Value what stands there.
	Field   string  `json:"field"`
	Value   string  `json:"value,omitempty"`
	Verdict Verdict `json:"verdict"`
	// Because names the place in the policy, policy.yaml:7:3, or says
	// "built in" where the file has no word on it.
	Because string `json:"because"`

	violation *job.Violation
}

// Explain returns what each rule says about a job, in the order of [Policy.Check].
func (p Policy) Explain(f *jobspec.File, r job.Resolution) []Decision {
	if f.Spec.TrainingInput == nil {
		return nil
	}
	j := judge{p: p, f: f, in: f.Spec.TrainingInput, lists: p.Rules.Allow.lists()}
	j.serviceAccount()
	j.network()
	j.vertex()
	j.images()
	j.packages(r)
	j.jobDir()
	j.backend()
	j.region()
	j.machines()
	j.accelerators()
	j.replicas()
	j.runningTime()
	j.acceleratorHours()
	j.packageBytes(r)
	j.defaults()
	return j.out
}

func (p Policy) own(bucket string) bool { return slices.Contains(p.Own, bucket) }
