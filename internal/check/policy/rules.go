package policy

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/internal/check/glob"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// Rules are what an operator wrote into policy.yaml, as [Parse] gives them. The
// zero value is that of no file.
type Rules struct {
	document
	file *jobspec.Other
	// from maps the path of a setting to the one under which it is written in
	// the file: allow.regions to prefixes[0].allow.regions.
	from      map[string]string
	catalogue *jobspec.Catalogue
}

// document is the whole file.
type document struct {
	Section
	// Catalogue is added to the catalogue that jobdrop brings.
	Catalogue *jobspec.Catalogue `json:"catalogue"`
	// Prefixes are settings for some folders. Of those that match a folder,
	// the one whose pattern has the most characters that are no wildcards
	// counts, for each setting apart; of two alike, the later. A setting that
	// none of them gives is that of the file's top.
	Prefixes []Prefix `json:"prefixes"`
	// Viewers are those to whom the console shows drops where it knows who asks;
	// nobody if missing. A person sees what any entry shows that names them.
	Viewers []Viewers `json:"viewers"`
}

// Prefix is what differs in the folders that a pattern matches.
type Prefix struct {
	// Match is a pattern of folders without bucket, such as teams/nlp/**: *
	// stands for any characters other than /, ** for any characters at all.
	Match string `json:"match"`
	Section
}

// Section is the settings that may differ from folder to folder.
type Section struct {
	Defaults Defaults `json:"defaults"`
	Allow    Allow    `json:"allow"`
	Limits   Limits   `json:"limits"`
	Patience Patience `json:"patience"`
	Vertex   Vertex   `json:"vertex"`
	// Pause keeps jobs from being created; drops are accepted all the same, and
	// wait. It is a pointer since a folder may be excepted.
	Pause *bool `json:"pause"`
	// SameContent says what becomes of a drop without a job ID whose content ran
	// before in its folder and has ended: it runs, if missing, or is withdrawn.
	SameContent string `json:"sameContent" enum:"run withdraw"`
	// LogExcerpt puts the end of a failed job's log into its event and its status
	// object. It may hold secrets that the trainer prints.
	LogExcerpt *bool `json:"logExcerpt"`
}

// Defaults are used where neither the job file nor its object's metadata say
// anything. They are the operator's own: [Allow] does not bind them.
type Defaults struct {
	Region         string            `json:"region"`
	RuntimeVersion string            `json:"runtimeVersion"`
	PythonVersion  string            `json:"pythonVersion"`
	Labels         map[string]string `json:"labels"`
	ServiceAccount string            `json:"serviceAccount"`
	Network        string            `json:"network"`
	// MaxRunningTime is in seconds with the suffix s. Where the limit for it
	// is lower, that counts.
	MaxRunningTime string `json:"maxRunningTime"`
	// Vertex are options for Vertex AI, as jobdrop.vertex of a job file has them.
	Vertex job.VertexOptions `json:"vertex"`
}

// Allow holds lists of patterns. A pattern allows the values that it matches as a
// whole: * stands for any characters other than /, ** for any characters at all. A
// list that is there allows nothing else, and an empty one nothing; each field says
// what a missing list allows. No pattern matches a path with an empty part, or with
// . or .. in it. No pattern may leave the name of a bucket, a project or a host half
// open, as gs://bucket* does: anyone could take a name that it matches.
type Allow struct {
	// Regions, any if missing.
	Regions []string `json:"regions"`
	// MachineTypes, any if missing. A scale tier other than CUSTOM is the
	// service's choice of machines, and counts as one machine type: BASIC.
	MachineTypes []string `json:"machineTypes"`
	// Accelerators, any if missing; those that come with a machine type or a scale
	// tier count, too.
	Accelerators []string `json:"accelerators"`
	// Images, those in the project's own registries if missing; the word
	// project stands for these.
	Images []string `json:"images"`
	// ServiceAccounts, none if missing. * does not stand for @ either.
	ServiceAccounts []string `json:"serviceAccounts"`
	// Networks, none if missing.
	Networks []string `json:"networks"`
	// JobDirs, any if missing. jobdrop's own buckets are never allowed.
	JobDirs []string `json:"jobDirs"`
	// PackageSources are packages outside the drop's folder, none if missing.
	PackageSources []string `json:"packageSources"`
	// Strategies are those of Vertex AI, any if missing. A job that names none has
	// STANDARD.
	Strategies []string `json:"strategies"`
	// The others of Vertex AI's resources, by their full names, none if missing. The
	// word ANY_RESERVATION stands for whatever reservation has room.
	Reservations        []string `json:"reservations"`
	PersistentResources []string `json:"persistentResources"`
	Tensorboards        []string `json:"tensorboards"`
	Experiments         []string `json:"experiments"`
	NetworkAttachments  []string `json:"networkAttachments"`
	// NFSMounts are SERVER:PATH, none if missing. LustreMounts are IP:/FILESYSTEM, and
	// the handles of volumes: a mount needs an entry for either.
	NFSMounts    []string `json:"nfsMounts"`
	LustreMounts []string `json:"lustreMounts"`
}

// Limits bounds what one job may have, and how many jobs there may be. 0 and an
// empty text are no limit.
type Limits struct {
	// Replicas are those that run at the same time, the master among them:
	// each of parallel trials has its own.
	Replicas int64 `json:"replicas"`
	// MaxRunningTime is in seconds with the suffix s. A job that says nothing
	// gets it.
	MaxRunningTime string `json:"maxRunningTime"`
	// PackageBytes is the size of the drop's packages in all.
	PackageBytes int64 `json:"packageBytes"`
	// ActiveJobs are those without a verdict, JobsPerHour those created within
	// an hour. All jobs of the folders that the section is for count together,
	// also those for which a more specific one sets a limit of its own.
	ActiveJobs  int64 `json:"activeJobs"`
	JobsPerHour int64 `json:"jobsPerHour"`
	// Restarts are how often the backend may start a job again before it is
	// cancelled; any number if missing. 0 keeps Vertex AI from doing it at all.
	Restarts *int64 `json:"restarts"`
	// AcceleratorHours is a budget of all jobs of the folders that the section
	// is for, together.
	AcceleratorHours AcceleratorHours `json:"acceleratorHours"`
}

// AcceleratorHours is a budget: one hour is one accelerator for an hour.
type AcceleratorHours struct {
	// Per is the time that Most is for: a month is a calendar month of UTC.
	Per  string `json:"per" enum:"month"`
	Most int64  `json:"most"`
	// Over says what becomes of a drop for which too few hours are left: it waits,
	// if missing, or is refused.
	Over string `json:"over" enum:"wait refuse"`
}

// Patience holds how long jobdrop waits, in seconds with the suffix s. An empty text
// is the installation's own setting.
type Patience struct {
	// Settle is how long a folder that ran before is given for its new
	// package, Incomplete when missing packages are reported, Expire when a
	// drop that lacks some is given up; all from the arrival of the job file.
	Settle     string `json:"settle"`
	Incomplete string `json:"incomplete"`
	Expire     string `json:"expire"`
	// Submit is how long the backend is asked for the job of an accepted drop
	// that it does not take, from when it may be asked first.
	Submit string `json:"submit"`
	// Alone is how long packages may lie in a folder without a job file before
	// that is reported; for ever if missing.
	Alone string `json:"alone"`
	// Grace is how long after a limit on its time jobdrop itself cancels a job
	// that the backend has not.
	Grace string `json:"grace"`
	// Stuck is how long a job may stay in a state before that is reported.
	Stuck Stuck `json:"stuck"`
}

// Vertex configures how jobs are translated for Vertex AI. It changes nothing if
// another service runs the jobs.
type Vertex struct {
	// Strict refuses a job if anything in it would be replaced or left out.
	// Otherwise that is a warning.
	Strict *bool `json:"strict"`
	// Images are container images that stand for runtime versions, in the place
	// of Google's own: each by 2.11, or by 2.11/3.7 for one Python version. They
	// are the operator's own: Allow does not bind them.
	Images map[string]string `json:"images"`
	// Accelerators maps an accelerator that a job names to the one that it gets
	// instead.
	Accelerators map[string]string `json:"accelerators"`
	// DisableRetries keeps the service from running a failed job again.
	DisableRetries *bool `json:"disableRetries"`
}

// Stuck is for how long a job may be in each state, in seconds with the suffix s.
type Stuck struct {
	Queued    string `json:"queued"`
	Preparing string `json:"preparing"`
	Running   string `json:"running"`
	// Cancelling is how long a cancel may take; an hour if missing.
	Cancelling string `json:"cancelling"`
}

var kind = jobspec.NewKind[document]("the policy", "a policy",
	"write {} for a policy without rules, or remove the file", func(field string) bool {
		switch field[strings.LastIndexByte(field, '.')+1:] {
		case "maxRunningTime", "minWait", "settle", "incomplete", "expire", "submit", "alone", "grace", "queued", "preparing",
			"running", "cancelling", "maxWaitDuration":
			return true
		}
		return false
	})

// Parse reads and checks a policy file, whose name violations and explanations
// carry. It never panics. The violations are sorted by position; with an error
// among them the rules are those of no file, and must not be used: the operator
// wanted others.
func Parse(name string, data []byte) (Rules, []job.Violation) {
	var d document
	file := jobspec.ParseOther(name, data, kind, &d)
	c := checker{file: file, d: &d}
	c.check()
	vs := file.Violations()
	if job.HasErrors(vs) {
		return Rules{}, vs
	}
	r := Rules{document: d, file: file}
	if d.Catalogue != nil {
		r.catalogue = jobspec.DefaultCatalogue().With(*d.Catalogue)
	}
	return r, vs
}

// given reports whether there is a policy at all.
func (r Rules) given() bool { return r.file != nil }

// forFolder returns the rules of one folder: the file's top level merged with the
// prefixes that match it.
func (r Rules) forFolder(folder string) Rules {
	if !r.given() || r.from != nil {
		return r
	}
	out := Rules{file: r.file, catalogue: r.catalogue, from: map[string]string{}}
	out.Prefixes, out.Viewers = r.Prefixes, r.Viewers
	type layer struct {
		section     Section
		at          string
		specificity int
	}
	layers := []layer{{r.Section, "", -1}}
	for i, p := range r.Prefixes {
		if glob.Covers(p.Match, folder) {
			layers = append(layers, layer{p.Section, fmt.Sprintf("prefixes[%d].", i), glob.Specificity(p.Match)})
		}
	}
	slices.SortStableFunc(layers, func(a, b layer) int { return cmp.Compare(a.specificity, b.specificity) })
	for _, l := range layers {
		overlay(reflect.ValueOf(&out.Section).Elem(), reflect.ValueOf(l.section), "", l.at, out.from)
	}
	return out
}

// overlay sets what src gives in dst; at is src's own place in the file.
func overlay(dst, src reflect.Value, path, at string, from map[string]string) {
	switch src.Kind() {
	case reflect.Struct:
		if src.Type() == reflect.TypeFor[AcceleratorHours]() && !src.IsZero() {
			dst.SetZero() // a budget is another's as a whole
		}
		for i := range src.NumField() {
			name := jsonName(src.Type().Field(i))
			if path != "" {
				name = path + "." + name
			}
			overlay(dst.Field(i), src.Field(i), name, at, from)
		}
	case reflect.Map: // labels are set one by one
		merged := map[string]string{}
		maps.Copy(merged, dst.Interface().(map[string]string))
		for key, value := range src.Interface().(map[string]string) {
			merged[key] = value
			from[path+"."+key] = at + path + "." + key
		}
		if len(merged) > 0 {
			dst.Set(reflect.ValueOf(merged))
		}
	default:
		if !src.IsZero() { // an empty list is not a zero value: it allows nothing
			dst.Set(src)
			from[path] = at + path
		}
	}
}

// jsonName returns the name of a field in the file.
func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// place returns where a setting is written, as in policy.yaml:7:3.
func (r Rules) place(setting string) string {
	path := setting
	// An entry of a list lies where its list does.
	head, rest := setting, ""
	if i := strings.IndexByte(setting, '['); i >= 0 {
		head, rest = setting[:i], setting[i:]
	}
	if from, ok := r.from[head]; ok {
		path = from + rest
	}
	pos := r.file.Position(path)
	return fmt.Sprintf("%s:%d:%d", r.file.Name(), pos.Line, pos.Column)
}
