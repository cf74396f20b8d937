package sim

import (
	"bytes"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// judge holds each decision to what people mean by the promises. It knows what was
// uploaded, by whom and when, what each request saw of a folder, and what it wrote;
// how jobdrop comes to a decision it does not know.
type judge struct {
	w *world
	// seenBy is the oldest job file that a look at the folder showed as the newest,
	// beside each package. No older one can have been decided with it.
	seenBy map[string]int64
	// decided are the attempts that were accepted or rejected with each package.
	decided map[string][]decided
	// holds are until when status.json said that an attempt is held, or that it waits
	// beside packages of before. firsts are when its record was first written by a look
	// that could know of such packages.
	holds  map[string]time.Time
	firsts map[string]time.Time
	// attempts are the job files' own.
	attempts map[string]string
	// deleted holds when somebody deleted an object.
	deleted map[string][]time.Time
	// queued is since when an accepted attempt waits for its turn, waiting since when
	// one waits for packages, left when it was decided, entered when its record came
	// to each state of the job.
	queued, waiting, left map[string]time.Time
	entered               map[string]map[job.BackendState]time.Time
	// created are when jobs were created, by the first part of their folder.
	created map[string][]time.Time
	// turned is when each prefix got the turns of those jobs. A create that had no answer comes again
	// long after its turn. short holds, for each attempt that got a turn, those that waited and had too few
	// accelerator hours for one.
	turned map[string][]turn
	short  map[string]map[string]bool
	// retired reports that the records were deleted, and that nobody has dropped
	// anything since.
	retired bool
	// owned holds the attempts that were accepted, with their job IDs.
	owned []ownership
	// over is when the record of each attempt got its verdict, concluded by whom.
	over      map[string]time.Time
	concluded map[string]*worker
}

// turn is a turn that a prefix got.
type turn struct {
	of string // the attempt's label
	at time.Time
}

// ownership records that an attempt has a job ID, from its acceptance on.
type ownership struct {
	attempt, id string
	from, to    time.Time // to is zero while it lasts
	of          upload
	code        [][]byte
	outside     []byte // the package from elsewhere
	rerun       bool   // somebody asked for it, whatever else runs
}

// decided is an attempt with its job file's generation, and when it was decided.
type decided struct {
	by int64
	at time.Time
}

// listing is a folder as a list showed it. The list began at the time at.
type listing struct {
	at    time.Time
	parts []object
}

func newJudge(w *world) *judge {
	return &judge{
		w: w, seenBy: map[string]int64{}, decided: map[string][]decided{}, holds: map[string]time.Time{},
		firsts:   map[string]time.Time{},
		attempts: map[string]string{}, deleted: map[string][]time.Time{},
		queued: map[string]time.Time{}, waiting: map[string]time.Time{}, left: map[string]time.Time{},
		entered: map[string]map[job.BackendState]time.Time{}, created: map[string][]time.Time{},
		turned: map[string][]turn{}, short: map[string]map[string]bool{}, over: map[string]time.Time{},
		concluded: map[string]*worker{},
	}
}

func isJobFile(name string) bool {
	return slices.Contains([]string{"job.yaml", "job.yml", "job.json"}, path.Base(name))
}

// jobFiles returns the job files of a listing, the newest last.
func (l listing) jobFiles() []object {
	var all []object
	for _, o := range l.parts {
		if isJobFile(o.Name) && o.Size > 0 {
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b object) int { return int(a.Generation - b.Generation) })
	return all
}

func (l listing) packages() []object {
	var all []object
	for _, o := range l.parts {
		if !isJobFile(o.Name) && o.Size > 0 {
			all = append(all, o)
		}
	}
	return all
}

// meaning is which packages of its folder a job file means.
type meaning struct {
	used      []object
	missing   []string
	ambiguous bool
}

func (f jobFile) means(l listing) meaning {
	var m meaning
	take := func(name string) {
		for _, o := range l.packages() {
			if path.Base(o.Name) != name {
				continue
			}
			if p := f.pins[name]; p.generation != 0 && p.generation != o.Generation || p.crc != "" && p.crc != o.CRC32C {
				break
			}
			m.used = append(m.used, o)
			return
		}
		m.missing = append(m.missing, name)
	}
	there := l.packages()
	switch {
	case len(f.names) > 0:
		for _, name := range f.names {
			take(name)
		}
	case f.container:
	case len(there) > 1:
		m.ambiguous = true
	case len(f.pins) > 0: // whoever pins a package means that one, whatever else is there
		for name := range f.pins {
			take(name)
		}
	case len(there) == 0:
		m.missing = append(m.missing, "a package")
	default:
		take(path.Base(there[0].Name))
	}
	return m
}

func key(o object) string { return versionKey(o.Bucket+"/"+o.Name, o.Generation) }

// listed takes what a whole list of a folder showed.
func (j *judge) listed(l listing) {
	files := l.jobFiles()
	if len(files) == 0 {
		return
	}
	newest := files[len(files)-1].Generation
	for _, o := range l.packages() {
		if first, ok := j.seenBy[key(o)]; !ok || newest < first {
			j.seenBy[key(o)] = newest
		}
	}
}

// mayBeOld reports whether an attempt before may have been decided with one of the
// packages; isOld whether one was by a time.
func (j *judge) mayBeOld(of upload, used []object) bool {
	return slices.ContainsFunc(used, func(o object) bool {
		first, ok := j.seenBy[key(o)]
		return ok && first < of.generation
	})
}

func (j *judge) isOld(of upload, used []object, at time.Time) bool {
	return slices.ContainsFunc(used, func(o object) bool {
		return slices.ContainsFunc(j.decided[key(o)], func(d decided) bool { return d.by < of.generation && !d.at.After(at) })
	})
}

// told takes what a status object says.
func (j *judge) told(s job.Snapshot) {
	if (s.State == job.Held || s.State == job.Waiting) && !s.Deadlines.Held.IsZero() {
		j.holds[s.Attempt] = s.Deadlines.Held
	}
}

// slack returns by how much two clocks may differ.
func (j *judge) slack() time.Duration { return 2*j.w.weather.skew + time.Millisecond }

// upload finds the job file of an attempt.
func (j *judge) upload(r attempt.Record) (upload, bool) {
	u, ok := j.w.uploads[versionKey(r.Drop.JobFile.Bucket+"/"+r.Drop.JobFile.Name, r.Drop.JobFile.Generation)]
	return u, ok && u.file != nil
}

// decision holds a write of a record to what was uploaded.
func (j *judge) decision(me *worker, prev, next attempt.Record) {
	of, ok := j.upload(next)
	if !ok {
		j.w.fail("attempt %s is of %s#%d, which nobody uploaded", next.Attempt, next.Drop.JobFile.Name,
			next.Drop.JobFile.Generation)
		return
	}
	j.follow(me, prev, next)
	j.cancelAsked(prev, next)
	if next.Rerun != nil {
		if prev.State == "" {
			j.rerun(me, of, next)
		} else {
			j.refused(prev, next)
		}
		return
	}
	j.attempts[versionKey(of.path, of.generation)] = next.Attempt
	if j.retired {
		j.w.fail("attempt %s is looked at again, three days after its verdict", next.Attempt)
	}
	if of.old && !j.w.replayed[of.drop.folder] {
		j.w.fail("attempt %s is of %s, which was there before jobdrop", next.Attempt, of.path)
	}
	j.overdue(of, prev, next)
	if !prev.State.Undecided() {
		j.refused(prev, next)
		return
	}
	if next.State == job.Withdrawn {
		if next.CancelRequested == nil { // else people asked for it
			j.withdrawn(me, of, next)
		}
		return
	}
	l, ok := me.listings[of.drop.folder]
	if !ok {
		j.w.fail("%s makes attempt %s %s and did not look at its folder", me.name, next.Attempt, next.State)
		return
	}
	files := l.jobFiles()
	if len(files) == 0 || files[len(files)-1].Generation != of.generation {
		j.w.fail("attempt %s is %s, and its job file was not the newest of the folder", next.Attempt, next.State)
		return
	}
	v := verdict{judge: j, me: me, of: of, prev: prev, r: next, l: l, means: of.file.means(l), folder: len(files)}
	if _, known := j.firsts[next.Attempt]; !known && v.isOld(of, v.unpinned(), l.at) {
		j.firsts[next.Attempt] = time.Now()
	}
	switch next.State {
	case job.Waiting:
		v.waiting()
	case job.Held:
		v.held()
	case job.Expired:
		v.expired()
	case job.Rejected:
		v.rejected()
	case job.Accepted, job.Submitted:
		v.accepted()
	}
}

// follow enters when an attempt came to what it is.
func (j *judge) follow(me *worker, prev, next attempt.Record) {
	since := func(times map[string]time.Time, is bool) {
		if _, was := times[next.Attempt]; is && !was {
			times[next.Attempt] = time.Now()
		} else if !is {
			delete(times, next.Attempt)
		}
	}
	since(j.queued, next.State == job.Accepted && next.Queued)
	if next.State.Undecided() {
		since(j.waiting, next.State == job.Waiting && len(next.Drop.Missing) > 0)
	}
	if prev.State.Undecided() && !next.State.Undecided() {
		j.left[next.Attempt] = time.Now()
	}
	if next.State.Terminal() {
		j.over[next.Attempt], j.concluded[next.Attempt] = time.Now(), me
	}
	if next.Job.State != "" {
		if j.entered[next.Attempt] == nil {
			j.entered[next.Attempt] = map[job.BackendState]time.Time{}
		}
		if _, was := j.entered[next.Attempt][next.Job.State]; !was {
			j.entered[next.Attempt][next.Job.State] = time.Now()
		}
	}
	for _, e := range next.Outbox {
		if e.Body.Sequence > prev.Sequence && e.Type == job.DropIncomplete {
			from := next.Drop.JobFile.Created
			if next.Replayed.After(from) {
				from = next.Replayed
			}
			if early := time.Until(from.Add(incomplete)); early > j.slack() {
				j.w.fail("attempt %s is told to be incomplete %s early", next.Attempt, early)
			}
		}
	}
}

// prefixOf returns the prefix by which a folder takes turns, if the policy names none.
func prefixOf(folder string) string {
	first, _, _ := strings.Cut(folder, "/")
	return first
}

// turn holds a job that is created to the turns of the prefixes: while an attempt of
// one waits, none of the others has two. Where it has too few accelerator hours for its turn, others go ahead.
func (j *judge) turn(made *simJob) {
	w := j.w
	r, ok := w.storage.owner(made.id)
	if !ok {
		return
	}
	prefix := prefixOf(r.Drop.Prefix)
	label := made.labels[job.LabelAttempt]
	given := w.turned[label]
	if given.IsZero() {
		given = time.Now()
	}
	j.created[prefix] = append(j.created[prefix], time.Now())
	j.turned[prefix] = append(j.turned[prefix], turn{label, given})
	if w.weather.active == 0 && w.weather.hourly == 0 || w.weather.room > 0 || w.weather.pauses ||
		w.weather.fault > 0 && w.calm.IsZero() ||
		!w.activeChanged.IsZero() || w.weather.vanish > 0 {
		return
	}
	for key, from := range j.queued {
		other, _ := w.storage.record(key)
		if from = from.Add(3 * time.Minute); w.calm.After(from) {
			from = w.calm.Add(3 * time.Minute)
		}
		if its := prefixOf(other.Drop.Prefix); its != prefix && other.Tries == 0 && other.CancelRequested == nil &&
			!slices.ContainsFunc(j.created[its], func(at time.Time) bool { return !from.After(at) }) {
			if n := j.passed(key, prefix, from); n > 1 {
				w.fail("attempt %s waits since %s, and %s had %d turns since", key, from, prefix, n)
			}
		}
	}
}

// passed returns how many turns a prefix got since a time that an attempt which waits could have had.
func (j *judge) passed(waits, prefix string, since time.Time) (n int) {
	for _, t := range j.turned[prefix] {
		if !since.After(t.at) && !j.short[t.of][waits] {
			n++
		}
	}
	return n
}

// verdict is what becomes of an attempt, of what its worker saw.
type verdict struct {
	*judge
	me     *worker
	of     upload
	prev   attempt.Record
	r      attempt.Record
	l      listing
	means  meaning
	folder int // job files in it
}

func (v verdict) fail(format string, args ...any) {
	v.w.fail("attempt "+v.r.Attempt+" "+format, args...)
}

// patience returns when the hold of the attempt ends.
func (v verdict) patience() time.Time { return v.of.at.Add(settle) }

func (v verdict) waiting() {
	if !v.r.NextCheck.IsZero() {
		if !v.mayBeCutOff() {
			v.fail("waits for its next check at %s, and the worker had time: %s", v.r.NextCheck, v.r.Reason)
		}
		return
	}
	if len(v.means.missing) == 0 && (len(v.r.Drop.Missing) > 0 || !v.blocked()) {
		v.fail("waits for %q, and nothing is missing: %s", v.r.Drop.Missing, v.r.Reason)
	}
}

// mayBeCutOff reports whether a check of the drop may have been cut off by its worker's time, or was
// cut off before. A tick gives a drop half a minute at least.
func (v verdict) mayBeCutOff() bool {
	return !v.prev.NextCheck.IsZero() || time.Since(v.me.began) >= 30*time.Second
}

// blocked reports whether another attempt that wants the same job ID was undecided since
// the worker began.
func (v verdict) blocked() bool {
	for _, u := range v.w.uploads {
		if u.file == nil || v.of.file.id == "" || u.file.id != v.of.file.id ||
			u.path == v.of.path && u.generation == v.of.generation {
			continue
		}
		if left, ok := v.left[v.attempts[versionKey(u.path, u.generation)]]; !ok || left.After(v.me.began) {
			return true
		}
	}
	return false
}

func (v verdict) expired() {
	from := v.of.at
	if v.r.Replayed.After(from) {
		from = v.r.Replayed
	}
	if early := time.Until(from.Add(expire)); early > v.slack() {
		v.fail("expires %s early", early)
	}
	if strings.HasPrefix(v.r.Reason, "every check") && v.mayBeCutOff() {
		return
	}
	if len(v.means.missing) == 0 && !v.blocked() {
		v.fail("expires, and nothing is missing")
	}
}

// unpinned returns the packages of the folder that the file does not pin.
func (v verdict) unpinned() []object {
	return slices.DeleteFunc(slices.Clone(v.means.used), func(o object) bool {
		_, pinned := v.of.file.pins[path.Base(o.Name)]
		return pinned
	})
}

func (v verdict) held() {
	until := v.r.Deadlines.Held
	switch used := v.unpinned(); {
	case len(used) == 0:
		v.fail("is held, and has no package to wait for")
	case !v.mayBeOld(v.of, used):
		v.fail("is held, and no attempt before was decided with its packages")
	case v.of.file.fault != "":
		v.fail("is held, and no package mends its job file")
	}
	if !until.Equal(v.patience()) {
		v.fail("is held until %s after its job file, and not %s", until.Sub(v.of.at), settle)
	}
}

// soonAfter is how long it may take that something is done that is due, once
// everything answers.
const soonAfter = 5 * time.Minute

// overdue holds a hold to its end.
func (j *judge) overdue(of upload, prev, next attempt.Record) {
	if prev.State != job.Held || next.State == job.Held || j.w.calm.IsZero() {
		return
	}
	end := of.at.Add(settle)
	if j.w.calm.After(end) {
		end = j.w.calm
	}
	if late := time.Since(end); late > soonAfter {
		j.w.fail("attempt %s is held for %s too long", next.Attempt, late)
	}
}

// faults returns the rules that the drop certainly breaks, and those that it may break.
func (v verdict) faults() (certain, possible []string) {
	add := func(rule string, is bool) {
		if is && !slices.Contains(certain, rule) {
			certain = append(certain, rule)
		}
	}
	add(v.of.file.fault, v.of.file.fault != "")
	add("one-job-file", v.folder > 1)
	add("package-ambiguous", v.means.ambiguous)
	v.packageFaults(add)
	if w := v.w; v.of.file.fault == "" {
		add("policy-region", !w.strict.IsZero() && w.strict.Before(v.me.began))
		if !w.strict.IsZero() || w.lenient.After(v.me.began) {
			possible = append(possible, "policy-region")
		}
	} else {
		possible = append(possible, "policy-region")
	}
	return certain, possible
}

// packageFaults returns the faults of the packages.
func (v verdict) packageFaults(add func(rule string, is bool)) {
	module, broken := false, false
	for _, o := range v.means.used {
		c, _, ok := contentOf(path.Base(o.Name), o.data)
		if !ok {
			v.fail("has a package that nobody made: %s", o.Name)
		}
		add(c.fault, c.fault != "")
		module, broken = module || c.module, broken || c.fault != ""
	}
	add("python-module-in-package", len(v.means.used) > 0 && !module && !broken && !v.of.file.container)
}

// errorsOf returns the rules of the violations that are not warnings.
func errorsOf(r attempt.Record) []string {
	var rules []string
	for _, violation := range r.Violations {
		if violation.Severity != job.Warning {
			rules = append(rules, string(violation.Rule))
		}
	}
	return rules
}

const idTaken = "job-id-unique"

func (v verdict) rejected() {
	rules := errorsOf(v.r)
	certain, possible := v.faults()
	if len(rules) == 0 {
		v.fail("is rejected, and nothing is wrong: %s", v.r.Reason)
	}
	if !v.means.ambiguous {
		v.decide()
	}
	if slices.Equal(rules, []string{idTaken}) {
		switch {
		case len(certain) > 0:
			v.fail("is rejected for its job ID, and breaks %q", certain)
		case v.owner(func(o ownership) bool { return !v.sameAs(o) }):
		default:
			v.fail("is rejected as the job ID %s is taken, and nobody has it", v.of.file.id)
		}
		return
	}
	for _, rule := range rules {
		if !slices.Contains(certain, rule) && !slices.Contains(possible, rule) {
			v.fail("is rejected for %s, and breaks %q alone", rule, certain)
		}
	}
	for _, rule := range certain {
		if !slices.Contains(rules, rule) && len(v.means.missing) == 0 {
			v.fail("is rejected for %q, and not told of %s", rules, rule)
		}
	}
	// A package that may be on its way would mend it.
	var ofPackages []string
	v.packageFaults(func(rule string, is bool) {
		if is {
			ofPackages = append(ofPackages, rule)
		}
	})
	mendable := len(rules) > 0 && !slices.ContainsFunc(rules,
		func(rule string) bool { return !slices.Contains(ofPackages, rule) })
	if mendable {
		v.settled("is rejected")
	}
}

// decide enters that the attempt was decided with its packages.
func (v verdict) decide() {
	for _, o := range v.means.used {
		v.decided[key(o)] = append(v.decided[key(o)], decided{v.of.generation, time.Now()})
	}
}

// settled holds a decision with packages of before to the patience.
func (v verdict) settled(how string) {
	used := v.unpinned()
	if !v.isOld(v.of, used, time.Now()) {
		return
	}
	end := v.patience()
	if early := time.Until(end); early > v.slack() {
		v.fail("%s %s before its patience is over, with packages that an attempt before was decided with", how, early)
		return
	}
	// Whoever uploads a job file and its package within the patience means that
	// package, however long the worker took to decide.
	for _, o := range used {
		own, ok := v.of.drop.packages[path.Base(o.Name)]
		if ok && own.generation > o.Generation && own.at.Before(end.Add(-v.slack())) && !bytes.Equal(own.data, o.data) {
			v.fail("%s with %s of before, and that of its own drop was there %s before its patience was over", how,
				path.Base(o.Name), end.Sub(own.at))
		}
	}
	first, known := v.firsts[v.r.Attempt]
	if until, told := v.holds[v.r.Attempt]; !told && known && first.Before(end.Add(-v.slack())) && v.w.weather.fault == 0 {
		v.fail("%s with packages of before, and nobody was told that it was held (until %s)", how, until)
	}
}

func (v verdict) accepted() {
	r, f := v.r, v.of.file
	certain, _ := v.faults()
	if len(certain) > 0 {
		v.fail("is accepted, and breaks %q", certain)
	}
	if len(v.means.missing) > 0 {
		v.fail("is accepted, and %q are missing", v.means.missing)
	}
	if r.Drop.Receipt == nil || r.Spec == nil || r.Spec.TrainingInput == nil {
		v.fail("is accepted without a receipt or a job")
		return
	}
	var used, got []string
	for _, o := range v.means.used {
		used = append(used, key(o))
	}
	for _, o := range r.Drop.Receipt.Objects[1:] {
		if o.Bucket == inbox {
			got = append(got, versionKey(o.Bucket+"/"+o.Name, o.Generation))
		}
	}
	slices.Sort(used)
	slices.Sort(got)
	if !slices.Equal(used, got) {
		v.fail("is accepted with %q, and means %q", got, used)
	}
	if outside := len(r.Drop.Receipt.Objects) - 1 - len(got); (outside == 1) != (f.outside != "") {
		v.fail("is accepted with %d packages from elsewhere", outside)
	}
	v.settled("is accepted")
	v.decide()
	input := r.Spec.TrainingInput
	if args := strings.Join(input.Args, " "); args != f.args {
		v.fail("runs with %q, and says %q", args, f.args)
	}
	if region := f.region; region != "" && input.Region != region {
		v.fail("runs in %q, and its metadata says %q", input.Region, region)
	}
	if c := f.correlation; c != longText && r.CorrelationID != c || len(r.CorrelationID) > 1024 {
		v.fail("has a correlation ID of %d bytes, %.20q, and was given %.20q", len(r.CorrelationID), r.CorrelationID, c)
	}
	if f.id != "" && r.Spec.JobID != f.id {
		v.fail("has the job ID %q, and says %q", r.Spec.JobID, f.id)
	}
	v.own(r.Spec.JobID)
}

// own enters the attempt's job ID.
func (v verdict) own(id string) {
	for _, o := range v.owned {
		if o.id == id && o.to.IsZero() {
			v.fail("has the job ID %s, which is that of attempt %s", id, o.attempt)
		}
	}
	o := ownership{attempt: v.r.Attempt, id: id, from: time.Now(), of: v.of}
	for _, p := range v.means.used {
		o.code = append(o.code, p.data)
	}
	for _, p := range v.r.Drop.Receipt.Objects[1:] {
		if p.Bucket == elsewhere {
			o.outside = v.w.storage.history[versionKey(p.Bucket+"/"+p.Name, p.Generation)].data
		}
	}
	v.once(o)
	v.judge.owned = append(v.judge.owned, o)
}

// once holds an attempt that is accepted to those that ask for the same: of an upload that repeats
// another before its end only one runs, unless somebody said that both should.
func (v verdict) once(o ownership) {
	for _, other := range v.owned {
		first, second := other, o
		if second.of.generation < first.of.generation {
			first, second = second, first
		}
		f := second.of.file
		if first.rerun || second.rerun {
			continue
		}
		if f.id != "" || f.rerun || !first.to.IsZero() || !v.sameAs(other) || !bytes.Equal(first.outside, second.outside) {
			continue
		}
		if _, over := v.over[first.attempt]; over {
			if _, made := v.jobOf(first.attempt); !made {
				continue // the backend refused it, and nothing ran
			}
		}
		if end, ended := v.ended(first.attempt); !ended || second.of.at.Before(end) {
			v.fail("is accepted beside %s, of the same content, which had not ended", other.attempt)
		}
		if since := v.w.withdraws; second.attempt == o.attempt && !since.IsZero() && since.Before(v.me.began) {
			v.fail("is accepted, and the policy withdraws what ran as %s", other.attempt)
		}
	}
}

// jobOf returns the job that an attempt's record names.
func (j *judge) jobOf(attempt string) (*simJob, bool) {
	r, _ := j.w.storage.record(attempt)
	made, ok := j.w.backend.jobs[r.Job.ResourceName]
	if !ok {
		made, ok = j.w.other.jobs[r.Job.ResourceName]
	}
	return made, ok
}

// endOf returns when the job of a folder's newest accepted attempt ends, if it has one.
func (j *judge) endOf(folder string) (end time.Time, ok bool) {
	for _, o := range slices.Backward(j.owned) {
		if o.of.drop.folder == folder {
			made, ok := j.jobOf(o.attempt)
			if !ok {
				return time.Time{}, false
			}
			return made.ended, true
		}
	}
	return time.Time{}, false
}

// ended returns the earliest time at which an attempt may be said to have ended, by the job's clock
// or by the record's. ended is false if it has not.
func (j *judge) ended(attempt string) (at time.Time, ended bool) {
	at, ended = j.over[attempt]
	if made, ok := j.jobOf(attempt); ok && !time.Now().Before(made.ended) && (!ended || made.ended.Before(at)) {
		at, ended = made.ended, true
	}
	// Whoever uploads the same again after somebody asked to cancel it wants it to run.
	if r, _ := j.w.storage.record(attempt); r.CancelAsked() && (!ended || r.CancelRequested.At.Before(at)) {
		at, ended = r.CancelRequested.At, true
	}
	// The backend's times may be whole seconds.
	return at.Add(-j.slack() - time.Second + min(j.w.weather.backendSkew, 0)), ended
}

// mayRun reports whether it may be said that an attempt had not ended at a time: its job ran, or its
// record had no verdict and the backend may not tell of its job.
func (v verdict) mayRun(attempt string, at time.Time) bool {
	if over, ended := v.over[attempt]; ended && at.After(over.Add(v.slack())) {
		return false
	}
	w := v.w
	if r, _ := w.storage.record(attempt); r.CancelAsked() {
		if known := r.CancelRequested.At.Add(v.slack()); at.After(known) && v.me.began.After(known) {
			return false
		}
	}
	followed := false // before this worker began, so it could ask the backend
	for _, since := range v.entered[attempt] {
		followed = followed || since.Before(v.me.began)
	}
	made, ok := v.jobOf(attempt)
	tells := ok && followed && w.weather.vanish == 0 && !w.wasSwitched && !w.weather.noID
	return !tells || !at.After(made.ended.Add(v.slack()+max(w.weather.backendSkew, 0)))
}

// repeats reports whether the drop may be withdrawn as the same again as an attempt that its reason
// names.
func (v verdict) repeats() bool {
	f := v.of.file
	if f.id != "" {
		return v.owner(v.sameAs)
	}
	w := v.w
	return !f.rerun && slices.ContainsFunc(v.owned, func(o ownership) bool {
		return o.attempt != v.r.Attempt && !o.rerun && o.of.generation < v.of.generation && v.sameAs(o) &&
			(o.to.IsZero() || !o.to.Before(v.me.began)) && strings.Contains(v.r.Reason, o.attempt) &&
			(v.mayRun(o.attempt, v.of.at) || !w.withdraws.IsZero() || w.withdrew.After(v.me.began))
	})
}

// owner reports whether an attempt had the job ID since the worker began that is as
// asked.
func (v verdict) owner(as func(ownership) bool) bool {
	return slices.ContainsFunc(v.owned, func(o ownership) bool {
		return o.id == v.of.file.id && o.attempt != v.r.Attempt && (o.to.IsZero() || !o.to.Before(v.me.began)) && as(o)
	})
}

// sameAs reports whether the drop is the same again.
func (v verdict) sameAs(o ownership) bool {
	if o.of.drop.folder != v.of.drop.folder || !o.of.file.sameJob(*v.of.file) || len(o.code) != len(v.means.used) {
		return false
	}
	for i, p := range v.means.used {
		if !bytes.Equal(p.data, o.code[i]) {
			return false
		}
	}
	return true
}

// withdrawn holds that to a reason: the job file is gone, or is the same again.
func (j *judge) withdrawn(me *worker, of upload, r attempt.Record) {
	live, ok := j.w.storage.objects[of.path]
	if !ok || live.Generation != of.generation {
		return
	}
	for _, u := range j.w.uploads { // another name, and newer
		if u.file != nil && u.drop.folder == of.drop.folder && u.generation > of.generation {
			return
		}
	}
	l := me.listings[of.drop.folder]
	v := verdict{judge: j, me: me, of: of, r: r, l: l, means: of.file.means(l)}
	if !v.repeats() {
		v.fail("is withdrawn, and is neither overwritten, deleted nor the same again: %s", r.Reason)
		return
	}
	v.settled("is withdrawn")
}

// refused holds the end of an accepted attempt that comes to no job to a reason.
func (j *judge) refused(prev, next attempt.Record) {
	if prev.State != job.Accepted || next.State != job.Rejected {
		return
	}
	code := ""
	if next.Error != nil {
		code = next.Error.Code
	}
	of, id := slices.IndexFunc(j.owned, func(o ownership) bool { return o.attempt == next.Attempt }), prev.Spec.JobID
	switch within := j.w.weather.submit; {
	case code == "PERMISSION_DENIED" && (j.w.backend.refused[id] || j.w.other.refused[id]):
	case code == "ALREADY_EXISTS" && (j.w.backend.foreign(id, prev.Job.Labels) || j.w.other.foreign(id, prev.Job.Labels)):
		return // whoever has the ID has it for good
	case time.Since(prev.Times.Accepted) < within-j.slack():
		j.w.fail("attempt %s is given up %s after it was accepted: %s, %s", next.Attempt, time.Since(prev.Times.Accepted),
			next.Reason, code)
	}
	if of >= 0 {
		j.owned[of].to = time.Now()
	}
}

// answered holds a request that succeeded to what is there: a drop whose packages are
// all new is not held.
func (j *judge) answered(me *worker) {
	if me.kind != "submit" {
		return
	}
	for folder := range me.listings {
		j.atOnce(me, folder)
	}
}

// leftToAnother reports whether another request saw the same of a folder, and is still at work. It is held to what is
// there when it ends; if it dies, its event comes again.
func (j *judge) leftToAnother(me *worker, folder string, live listing) bool {
	same := func(l listing) bool {
		return len(l.parts) == len(live.parts) && !slices.ContainsFunc(l.parts, func(o object) bool {
			return !slices.ContainsFunc(live.parts, func(p object) bool { return key(p) == key(o) })
		})
	}
	for _, p := range j.w.processes {
		for _, other := range p.serving {
			if other != me && !p.dead && same(other.listings[folder]) {
				return true
			}
		}
	}
	return false
}

func (j *judge) atOnce(me *worker, folder string) {
	var live listing
	for _, name := range []string{"job.yaml", "job.yml", sdist, helpers, wheel} {
		if o, ok := j.w.storage.objects[inbox+"/"+folder+name]; ok {
			live.parts = append(live.parts, o)
		}
	}
	files := live.jobFiles()
	if len(files) == 0 {
		return
	}
	newest := files[len(files)-1]
	of, ok := j.w.uploads[key(newest)]
	if !ok || of.file == nil {
		return
	}
	for _, o := range live.parts {
		if !o.Created.Before(me.began) {
			return // it came later, and another request is for that
		}
	}
	m := of.file.means(live)
	if len(m.used) == 0 || len(m.missing) > 0 || j.mayBeOld(of, m.used) {
		return
	}
	if r, ok := j.w.storage.record(j.attempts[key(newest)]); ok && r.State == job.Held && !j.leftToAnother(me, folder, live) {
		j.w.fail("attempt %s is held after %s looked, and its packages are new", r.Attempt, me.name)
	}
}
