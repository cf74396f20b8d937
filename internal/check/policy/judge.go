package policy

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/jobdrop/jobdrop/internal/check/glob"
	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/internal/image"
	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// builtIn is the reason of a rule that holds without a policy file.
const builtIn = "built in"

// list is one of the lists of [Allow].
type list struct {
	setting string
	rule    job.Rule
	noun    string // of what it lists, in messages
	globs   []string
	paths   bool // the values have slashes
	uri     bool // the values are gs:// URIs
}

// lists returns the lists by their settings.
func (a Allow) lists() []list {
	return []list{
		{"allow.regions", rulePolicyRegion, "region", a.Regions, false, false},
		{"allow.machineTypes", rulePolicyMachineType, "machine type", a.MachineTypes, false, false},
		{"allow.accelerators", rulePolicyAccelerator, "accelerator", a.Accelerators, false, false},
		{"allow.images", rulePolicyImage, "image", a.Images, true, false},
		{"allow.serviceAccounts", rulePolicyServiceAccount, "service account", a.ServiceAccounts, false, false},
		{"allow.networks", rulePolicyNetwork, "network", a.Networks, true, false},
		{"allow.jobDirs", rulePolicyJobDir, "directory", a.JobDirs, true, true},
		{"allow.packageSources", rulePolicyPackageSource, "package from elsewhere", a.PackageSources, true, true},
		{"allow.strategies", rulePolicyStrategy, "strategy", a.Strategies, false, false},
		{"allow.reservations", rulePolicyReservation, "reservation", a.Reservations, true, false},
		{"allow.persistentResources", rulePolicyPersistentResource, "persistent resource", a.PersistentResources, false, false},
		{"allow.tensorboards", rulePolicyTensorboard, "TensorBoard", a.Tensorboards, true, false},
		{"allow.experiments", rulePolicyExperiment, "experiment", a.Experiments, true, false},
		{"allow.networkAttachments", rulePolicyNetworkAttachment, "network attachment", a.NetworkAttachments, true, false},
		{"allow.nfsMounts", rulePolicyMount, "NFS share", a.NFSMounts, true, false},
		{"allow.lustreMounts", rulePolicyMount, "Lustre file system", a.LustreMounts, true, false},
	}
}

func find(lists []list, setting string) list {
	return lists[slices.IndexFunc(lists, func(l list) bool { return l.setting == setting })]
}

// separators returns the characters that * does not stand for. @ is one of them in
// an account's name, so that a pattern of names can't reach into another project.
func (l list) separators() string {
	if l.setting == "allow.serviceAccounts" {
		return "/@"
	}
	return "/"
}

// match returns the index of the first entry that matches a value.
func (l list) match(value string) (int, bool) {
	if l.paths && !plain(value) {
		return 0, false
	}
	for i, g := range l.globs {
		if l.setting == "allow.images" && (g == project || mirrored(g, value)) { // project is a word, and no image's name
			continue
		}
		if glob.Match(g, value, l.separators()) || l.setting == "allow.jobDirs" && glob.Covers(g, value) {
			return i, true
		}
	}
	return 0, false
}

// mirrored reports whether an image is Docker Hub's under a Google host although the
// pattern means Google's hosts: *.gcr.io/project/** does not mean the Docker Hub
// user named project.
func mirrored(pattern, uri string) bool {
	host, _, _ := strings.Cut(pattern, "/")
	name, err := image.Parse(uri)
	return err == nil && strings.EqualFold(name.Host, "mirror.gcr.io") && strings.Contains(host, "*") &&
		strings.Trim(host, "*") != ""
}

// plain reports whether a path or URI has no dots or double slashes to resolve. Some
// readers resolve "..", or take two slashes for one, and so leave what a pattern
// covers.
func plain(path string) bool {
	if uri, ok := strings.CutPrefix(path, "gs://"); ok {
		path = strings.TrimSuffix(uri, "/") // a folder's
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return true
}

// words returns the list for a message.
func (l list) words() string {
	const most = 10
	if len(l.globs) == 0 {
		return "none"
	}
	var shown []string
	for _, g := range l.globs[:min(most, len(l.globs))] {
		shown = append(shown, text.Show(g, 80))
	}
	if rest := len(l.globs) - most; rest > 0 {
		shown = append(shown, fmt.Sprintf("%d more", rest))
	}
	return strings.Join(shown, ", ")
}

// judge gathers what the rules say of one job.
type judge struct {
	p     Policy
	f     *jobspec.File
	in    *job.TrainingInput
	lists []list
	out   []Decision
}

func (j *judge) list(setting string) list { return find(j.lists, setting) }

func (j *judge) say(rule job.Rule, field, value string, verdict Verdict, because string) {
	if value != "" {
		value = text.Show(value, 200) // it may reach a terminal
	}
	j.out = append(j.out, Decision{Rule: rule, Field: field, Value: value, Verdict: verdict, Because: because})
}

// object reports a violation along with the verdict.
func (j *judge) object(rule job.Rule, field, value string, verdict Verdict, because string, v job.Violation) {
	v = j.f.Violation(rule, field, v)
	j.say(rule, field, value, verdict, because)
	j.out[len(j.out)-1].violation = &v
}

func (j *judge) refuse(rule job.Rule, field, value, because string, v job.Violation) {
	j.object(rule, field, value, Refused, because, v)
}

// fromPolicy reports whether a field's value is the policy's own, and returns where
// the policy sets it.
func (j *judge) fromPolicy(field string, settings ...string) (string, bool) {
	origin := j.f.Origin(field)
	if origin == "" || !j.p.Rules.given() {
		return "", false
	}
	for _, s := range settings {
		if place := j.p.Rules.place(s); place == origin {
			return place, true
		}
	}
	return "", false
}

// flagged adds to a remedy the flag that supplies an installation's policy, if neither a policy nor a
// project is known: then a command line asks, and no installation.
func (j *judge) flagged(remedy string) string {
	if j.p.Rules.given() || j.p.Project != "" {
		return remedy
	}
	return remedy + "; --policy FILE supplies an installation's policy"
}

// listed holds a value against a list that is there.
func (j *judge) listed(l list, field, value string) {
	if !j.matches(l, field, value) {
		j.unlisted(l, field, value)
	}
}

// matches allows a value that an entry of a list matches.
func (j *judge) matches(l list, field, value string) bool {
	i, ok := l.match(value)
	if ok {
		j.say(l.rule, field, value, Allowed, j.p.Rules.place(fmt.Sprintf("%s[%d]", l.setting, i)))
	}
	return ok
}

// unlisted refuses a value that no entry of a list matches.
func (j *judge) unlisted(l list, field, value string) {
	place := j.p.Rules.place(l.setting)
	v := job.Violation{
		Message: fmt.Sprintf("the operator's policy does not allow this %s (%s)", l.noun, place),
		Found:   text.Show(value, 80), Allowed: l.words(),
		Remedy: "write one that is allowed, or ask the operator to allow it",
	}
	if l.paths && !plain(value) {
		v.Message = fmt.Sprintf("the operator's policy allows no path with an empty part, or with . or .. (%s)", place)
		v.Remedy = "write the plain path"
	}
	j.refuse(l.rule, field, value, place, v)
}

// serviceAccount checks the service account: a job runs with its rights, and the
// function that creates the job can act as more accounts than the dropper can.
func (j *judge) serviceAccount() {
	j.right("allow.serviceAccounts", "trainingInput.serviceAccount", "defaults.serviceAccount", j.in.ServiceAccount, job.Violation{
		Message: "this installation's policy does not let a job choose its service account",
		Remedy:  "remove the field: the trainer's own account is used; or ask the operator to allow it",
	})
}

func (j *judge) network() {
	j.right("allow.networks", "trainingInput.network", "defaults.network", j.in.Network, job.Violation{
		Message: "this installation's policy does not let a job choose its network",
		Remedy:  "remove the field, or ask the operator to allow it",
	})
}

// right judges a field that nobody may set unless a list allows it. preset is the policy's default for
// it.
func (j *judge) right(setting, field, preset, value string, v job.Violation) {
	l := j.list(setting)
	v.Remedy = j.flagged(v.Remedy)
	place, own := j.fromPolicy(field, preset)
	switch {
	case value == "":
		j.say(l.rule, field, "", NotAsked, j.reason(l))
	case own:
		j.say(l.rule, field, value, Defaulted, place)
	case l.globs != nil:
		j.listed(l, field, value)
	default:
		j.refuse(l.rule, field, value, builtIn, v)
	}
}

// reason returns where a list stands in the policy, if it does.
func (j *judge) reason(l list) string {
	if l.globs == nil {
		return builtIn
	}
	return j.p.Rules.place(l.setting)
}

// project is the entry of allow.images that stands for the project's own
// registries.
const project = "project"

func (j *judge) images() {
	l := j.list("allow.images")
	entry := slices.Index(l.globs, project)
	asked := false
	for _, role := range j.in.Roles() {
		if role.Config == nil || role.Config.ImageURI == "" {
			continue
		}
		asked = true
		uri, field := role.Config.ImageURI, role.ConfigField()+".imageUri"
		name, err := image.Parse(uri)
		if err != nil {
			j.refuse(l.rule, field, uri, builtIn, job.Violation{
				Message: "no policy allows an image whose name can't be read",
				Found:   text.Show(uri, 80), Remedy: "write the image's name as docker pull takes it",
			})
			continue
		}
		own, place := l.globs == nil, builtIn // the project's own are allowed
		if entry >= 0 {
			own, place = true, j.p.Rules.place(fmt.Sprintf("%s[%d]", l.setting, entry))
		}
		switch {
		case own && j.p.ownImage(name):
			j.say(l.rule, field, uri, Allowed, place)
		case j.matches(l, field, uri):
		case own && j.p.Project == "" && name.OfProject():
			j.object(l.rule, field, uri, Unknown, place, job.Violation{
				Severity: job.Warning,
				Message:  "an installation allows images of its own project only, unless its policy says otherwise",
				Remedy:   j.flagged("validate with --project PROJECT, the installation's"),
			})
		case l.globs == nil: // one that is in no project's registry is nobody's own
			of := cmp.Or(j.p.Project, "PROJECT")
			j.refuse(l.rule, field, uri, builtIn, job.Violation{
				Message: "this installation's policy allows images of its own project only",
				Allowed: fmt.Sprintf("gcr.io/%s/…, REGION-docker.pkg.dev/%s/…", of, of),
				Remedy:  j.flagged("copy the image to the project, or ask the operator to allow it"),
			})
		default:
			j.unlisted(l, field, uri)
		}
	}
	if !asked {
		j.say(l.rule, "trainingInput.masterConfig.imageUri", "", NotAsked, j.reason(l))
	}
}

func (j *judge) packages(r job.Resolution) {
	l := j.list("allow.packageSources")
	asked := false
	for i, uri := range j.in.PackageURIs {
		if !slices.Contains(r.Outside, uri) {
			continue
		}
		asked = true
		field := fmt.Sprintf("trainingInput.packageUris[%d]", i)
		switch {
		case j.matches(l, field, uri):
			continue
		case l.globs != nil && j.p.Inbox != "":
			j.unlisted(l, field, uri)
			continue
		}
		v := job.Violation{
			Message: "this installation's policy allows packages of the drop's own folder only",
			Found:   uri,
			Remedy:  "upload the package into the folder of the job file and name it by its file name",
		}
		if j.p.Inbox != "" {
			j.refuse(l.rule, field, uri, builtIn, v)
			continue
		}
		// It may be the drop's own folder after all.
		v.Severity = job.Warning
		v.Message = "an installation allows packages of the drop's own folder only, unless its policy says otherwise"
		v.Remedy = j.flagged(v.Remedy + ", or validate with --inbox BUCKET, the installation's")
		if l.globs != nil {
			v.Message = fmt.Sprintf("the operator's policy allows this package only in the drop's own folder (%s)",
				j.reason(l))
			v.Allowed = l.words()
		}
		j.object(l.rule, field, uri, Unknown, j.reason(l), v)
	}
	if !asked {
		j.say(l.rule, "trainingInput.packageUris", "", NotAsked, j.reason(l))
	}
}

func (j *judge) jobDir() {
	const field = "trainingInput.jobDir"
	l, dir := j.list("allow.jobDirs"), j.in.JobDir
	bucket, _, _ := strings.Cut(strings.TrimPrefix(dir, "gs://"), "/")
	switch {
	case bucket == "":
	case bucket == j.p.Inbox:
		j.refuse(ruleJobDirOutsideInbox, field, dir, builtIn, job.Violation{
			Message: "a job must not write into the inbox: its output would be taken for drops",
			Remedy:  "choose another bucket",
		})
		return
	case j.p.own(bucket):
		j.refuse(ruleJobDirNotOurs, field, dir, builtIn, job.Violation{
			Message: "a job must not write into a bucket of jobdrop's own",
			Remedy:  "choose another bucket",
		})
		return
	}
	j.optional(l, field, dir)
}

// optional judges a field that is free unless a list is there.
func (j *judge) optional(l list, field, value string) {
	switch {
	case value == "":
		j.say(l.rule, field, "", NotAsked, j.reason(l))
	case l.globs == nil:
		j.say(l.rule, field, value, Allowed, builtIn)
	default:
		j.listed(l, field, value)
	}
}

func (j *judge) backend() {
	const rule, field = rulePolicyBackend, "jobdrop.backend"
	switch asked := j.f.Options.Backend; {
	case asked == "":
		j.say(rule, field, "", NotAsked, builtIn)
	case j.p.Backend == "":
		j.say(rule, field, asked, Unknown, builtIn)
	case asked == j.p.Backend:
		j.say(rule, field, asked, Allowed, builtIn)
	default:
		j.refuse(rule, field, asked, builtIn, job.Violation{
			Message: "this installation runs jobs at another backend",
			Allowed: j.p.Backend, Remedy: "remove the field, or drop into an installation that has this backend",
		})
	}
}

func (j *judge) region() {
	const field = "trainingInput.region"
	l := j.list("allow.regions")
	if place, own := j.fromPolicy(field, "defaults.region"); own {
		j.say(l.rule, field, j.in.Region, Defaulted, place)
		return
	}
	j.optional(l, field, j.in.Region)
}

const tierField = "trainingInput.scaleTier"

// tier returns the job's scale tier. A job of one container may leave it out, and
// runs on the machine of the smallest one.
func (j *judge) tier() string {
	if t := j.in.ScaleTier; t != "" && t != "SCALE_TIER_UNSPECIFIED" {
		return t
	}
	return "BASIC"
}

func (j *judge) machines() {
	l := j.list("allow.machineTypes")
	asked := false
	if tier := j.tier(); tier != "CUSTOM" && !j.f.Unreadable(tierField) {
		asked = true
		j.optional(l, tierField, tier)
	}
	for _, r := range j.in.Roles() {
		if r.Type != "" {
			asked = true
			j.optional(l, r.TypeField(), r.Type)
		}
	}
	if !asked {
		j.say(l.rule, "trainingInput.masterType", "", NotAsked, j.reason(l))
	}
}

func (j *judge) accelerators() {
	l := j.list("allow.accelerators")
	asked := false
	judge := func(field, accelerator string) {
		if accelerator != "" {
			asked = true
			j.optional(l, field, accelerator)
		}
	}
	judge(tierField, implied(j.tier()))
	for _, r := range j.in.Roles() {
		own := ""
		if r.Config != nil && r.Config.AcceleratorConfig != nil {
			own = r.Config.AcceleratorConfig.Type
		}
		if own == "ACCELERATOR_TYPE_UNSPECIFIED" {
			own = ""
		}
		judge(r.ConfigField()+".acceleratorConfig.type", own)
		if r.Type != "cloud_tpu" || own == "" { // of TPUs the config says which
			judge(r.TypeField(), implied(r.Type))
		}
	}
	if !asked {
		j.say(l.rule, "trainingInput.masterConfig.acceleratorConfig.type", "", NotAsked, j.reason(l))
	}
}

// implied returns the accelerator that comes with a machine type or a scale tier.
// Legacy machine types name it; the tiers' accelerators are those of Google's guide
// to scale tiers. A machine whose accelerators have no name stands for them.
func implied(machine string) string {
	switch {
	case machine == "BASIC_GPU", strings.HasSuffix(machine, "_gpu"):
		return "NVIDIA_TESLA_K80"
	case machine == "BASIC_TPU", machine == "cloud_tpu":
		return "TPU_V2"
	case strings.HasSuffix(machine, "_p100"):
		return "NVIDIA_TESLA_P100"
	case strings.HasSuffix(machine, "_v100"):
		return "NVIDIA_TESLA_V100"
	}
	accelerator, n := plan.Bundled(machine)
	if n > 0 {
		return cmp.Or(accelerator, machine)
	}
	return ""
}

// replicas counts machines that run at the same time. The sizes of the tiers are
// not in the API's reference; they are what Google's guide to scale tiers said.
func (j *judge) replicas() {
	limit := j.p.Rules.Limits.Replicas
	if limit == 0 {
		return
	}
	const rule = rulePolicyReplicas
	const most = math.MaxInt32 // of hostile counts, for sum and product not to overflow
	field, total := tierField, int64(1)
	switch j.in.ScaleTier {
	case "CUSTOM", "", "SCALE_TIER_UNSPECIFIED":
		greatest, roles := int64(0), j.in.Roles()
		for _, r := range roles[1:] {
			total = min(total+min(max(r.Count, 0), most), most)
			if r.Count > greatest {
				field, greatest = r.CountField(), r.Count
			}
		}
	case "BASIC_TPU":
		total++
	default:
		workers, servers := job.TierReplicas(j.in.ScaleTier)
		total += workers + servers
	}
	if h := j.in.Hyperparameters; h != nil && h.MaxParallelTrials > 1 {
		total *= h.Parallel()
		field = "trainingInput.hyperparameters.maxParallelTrials"
	}
	place, value := j.p.Rules.place("limits.replicas"), strconv.FormatInt(total, 10)
	if total <= limit {
		j.say(rule, field, value, Allowed, place)
		return
	}
	j.refuse(rule, field, value, place, job.Violation{
		Message: fmt.Sprintf("the operator's policy does not allow so many replicas at the same time (%s)", place),
		Found:   value + " in all",
		Allowed: fmt.Sprintf("at most %d, the master and those of parallel trials counted", limit),
		Remedy:  "ask for fewer, or ask the operator for more",
	})
}

func (j *judge) runningTime() {
	const rule, field = rulePolicyMaxRunningTime, maxRunningTimeField
	limit := j.p.Rules.Limits.MaxRunningTime
	most, err := job.ParseDuration(limit)
	if limit == "" || err != nil || j.f.Unreadable(field) {
		return
	}
	place, value := j.p.Rules.place("limits.maxRunningTime"), ""
	if s := j.in.Scheduling; s != nil {
		value = s.MaxRunningTime
	}
	if from, own := j.fromPolicy(field, "limits.maxRunningTime", "defaults.maxRunningTime"); own {
		j.say(rule, field, value, Defaulted, from)
		return
	}
	// To the service, no time and a time of zero are the same.
	asked, err := job.ParseDuration(value)
	v := job.Violation{
		Message: fmt.Sprintf("the operator's policy does not allow the job to run so long (%s)", place),
		Allowed: "at most " + limit, Remedy: "write " + limit + " or less, or ask the operator for more",
	}
	switch {
	case value == "" && most >= job.DefaultRunningTime:
		j.say(rule, field, "", NotAsked, place)
	case value == "", err == nil && asked == 0:
		v.Message = fmt.Sprintf("without a running time the job would pass the limit of the operator's policy (%s)", place)
		v.Allowed = "more than 0s, at most " + limit
		j.refuse(rule, field, value, place, v)
	case err != nil: // for the rules of job files to tell
		j.say(rule, field, value, NotAsked, place)
	case asked > most:
		j.refuse(rule, field, value, place, v)
	default:
		j.say(rule, field, value, Allowed, place)
	}
}

// acceleratorHours holds what the job may take at most against the whole budget: a job
// that may take more could never run. What is left of the budget is for the queue.
func (j *judge) acceleratorHours() {
	const rule, field = rulePolicyAcceleratorHours, maxRunningTimeField
	b := j.p.Rules.budget()
	if b == nil || j.f.Unreadable(field) {
		return
	}
	p, _ := plan.New(job.Order{Spec: job.Spec{TrainingInput: j.in}, Mapping: j.p.Mapping(j.in, j.f.Options.Vertex)})
	place, most := j.p.Rules.place(budgetSetting), p.MostAcceleratorSeconds()
	value := text.AcceleratorHours(most)
	how := fmt.Sprintf("%s for %s h", count(p.Accelerators(), "accelerator"),
		text.HoursUp(int64(math.Ceil(p.RunLimit().Seconds()))))
	if p.Run == 0 {
		how += ", since the job sets no limit on its running time"
	}
	v := job.Violation{
		Found: value + " at most: " + how, Allowed: b.String(),
		Remedy: "write scheduling.maxRunningTime, or ask for fewer accelerators, or ask the operator for more hours",
	}
	switch {
	case most == 0:
		j.say(rule, field, "", NotAsked, place)
	case most > b.Seconds():
		v.Message = fmt.Sprintf("the job may take more accelerator hours than the operator's policy has in a month (%s)",
			place)
		if fits := b.Seconds() / p.Accelerators(); fits > 0 {
			v.Remedy = fmt.Sprintf("write scheduling.maxRunningTime: %ds, the longest that fits, or ask for fewer accelerators, or "+
				"ask the operator for more hours", fits)
		}
		j.refuse(rule, field, "", place, v)
	case p.Run == 0:
		v.Severity, v.Allowed = job.Warning, ""
		v.Message = "the job waits until so many accelerator hours are left as it may take at most"
		v.Remedy = "write scheduling.maxRunningTime, so that it need not wait for more than it takes"
		j.object(rule, field, "", Allowed, place, v)
	default:
		j.say(rule, field, "", Allowed, place)
	}
	j.out[len(j.out)-1].Value = value
}

// count returns a number with what it counts.
func count(n int64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

func (j *judge) packageBytes(r job.Resolution) {
	const rule, field = rulePolicyPackageBytes, "trainingInput.packageUris"
	limit := j.p.Rules.Limits.PackageBytes
	if limit == 0 {
		return
	}
	total := int64(0)
	for _, o := range slices.Concat(r.Packages, r.Elsewhere) {
		total += min(max(o.Size, 0), math.MaxInt64-total)
	}
	place, value := j.p.Rules.place("limits.packageBytes"), strconv.FormatInt(total, 10)
	switch {
	case total == 0: // none, or of sizes that are not known here
		j.say(rule, field, "", NotAsked, place)
		return
	case total <= limit:
		j.say(rule, field, value, Allowed, place)
		return
	}
	j.refuse(rule, field, value, place, job.Violation{
		Message: fmt.Sprintf("the packages are larger than the operator's policy allows (%s)", place),
		Found:   value + " bytes", Allowed: fmt.Sprintf("at most %d bytes in all", limit),
		Remedy: "leave data out of the packages: the trainer can read it from a bucket; or ask the operator for more",
	})
}

// defaults explains the defaults that no rule above covers.
func (j *judge) defaults() {
	if !j.p.Rules.given() {
		return
	}
	const rule = rulePolicyDefault
	d := j.p.Rules.Defaults
	say := func(setting, field, value string) {
		if place, own := j.fromPolicy(field, setting); own {
			j.say(rule, field, value, Defaulted, place)
		}
	}
	say("defaults.runtimeVersion", "trainingInput.runtimeVersion", d.RuntimeVersion)
	say("defaults.pythonVersion", "trainingInput.pythonVersion", d.PythonVersion)
	if j.p.Rules.Limits.MaxRunningTime == "" {
		say("defaults.maxRunningTime", maxRunningTimeField, d.MaxRunningTime)
	}
	for _, key := range slices.Sorted(maps.Keys(d.Labels)) {
		say("defaults.labels."+key, "labels."+key, d.Labels[key])
	}
}

// ownImage reports whether an image lies in a registry of the project:
// Container Registry's [HOST.]gcr.io/PROJECT/… or Artifact Registry's
// LOCATION-docker.pkg.dev/PROJECT/…
func (p Policy) ownImage(name image.Name) bool {
	// A project of a domain is written example.com:project, in registries
	// example.com/project.
	return p.Project != "" && name.OfProject() && strings.HasPrefix(name.Path, strings.Replace(p.Project, ":", "/", 1)+"/")
}
