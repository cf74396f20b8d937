package notice

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// Options are what a text says beside the event.
type Options struct {
	// Template is the operator's words; nil for jobdrop's own.
	Template *Template
	// Owners are the people whom the routes file names for the uploader.
	Owners []Owner
	// Faults are what is wrong in the routes file, each in a line.
	Faults []string
	// Repeats counts earlier events that said the same and were not told; Since is when the first of them happened.
	Repeats int
	Since   time.Time
	// StatusBucket has the status objects; empty where not known.
	StatusBucket string
}

// Write returns what people are told of an event. It never fails: with a template that does, it says what it says
// without one, and names the fault.
func Write(e Event, o Options) Text {
	w := writer{e: e, b: &e.Body, o: o, name: cmp.Or(ending(line(subject(e), maxFact), maxSubject), "a drop")}
	t := Text{
		Level: w.level(), Title: line(w.title(), maxTitle), Facts: w.facts(), Next: w.next(),
		Links: w.links(), Owners: owners(o.Owners), Repeats: max(0, o.Repeats), Since: o.Since,
	}
	t.Summary, t.Excerpt = w.summary()
	faults := o.Faults
	if o.Template != nil {
		if err := o.Template.apply(NewScope(e, t.Repeats), &t); err != nil {
			t.TemplateFault = line(err.Error(), maxFact)
			faults = append(slices.Clone(faults), t.TemplateFault)
		}
	}
	t.Summary = w.repeated(t.Summary)
	t.Faults = boundFaults(faults)
	return t
}

// maxSubject is the most characters of a drop's name in a title.
const maxSubject = 70

func boundFaults(faults []string) []string {
	var out []string
	for i, fault := range faults {
		if i == maxFaults {
			return append(out, fmt.Sprintf("and %d more", len(faults)-i))
		}
		out = append(out, line(fault, maxFact))
	}
	return out
}

func owners(list []Owner) []Owner {
	var out []Owner
	for _, o := range list {
		out = append(out, Owner{Name: line(o.Name, maxFact), Slack: o.Slack, Email: o.Email})
	}
	return out
}

// writer writes the text of one event.
type writer struct {
	e    Event
	b    *job.Snapshot
	o    Options
	name string
}

func (w *writer) level() Level {
	switch {
	case w.b.State == job.Succeeded:
		return Good
	case w.b.State == job.Withdrawn || w.b.State == job.Cancelled:
		return Neutral
	case w.e.Kind() == Outcome:
		return Critical
	case w.e.Kind() == Warning:
		return Careful
	}
	return Neutral
}

// title says what happened to what.
func (w *writer) title() string {
	b := w.b
	backend := cmp.Or(line(b.Job.Backend, maxShown), "the backend")
	switch w.e.Type() {
	case job.DropIncomplete:
		if len(b.Drop.Missing) == 0 {
			return w.name + " can't be checked yet"
		}
		return w.name + " is incomplete: " + w.missing("is missing", "are missing")
	case job.DropRejected:
		if n := w.errors(); n > 0 {
			return w.name + " was rejected: " + count(n, "violation")
		}
		if b.Error != nil {
			return w.name + " was refused by " + backend
		}
		return w.name + " was rejected"
	case job.DropWithdrawn:
		switch {
		case b.DuplicateOf != "":
			return w.name + " was withdrawn: it repeats an earlier drop"
		case b.CancelRequested != nil && b.CancelRequested.Kind == job.KindRequest:
			return w.name + " was withdrawn on request"
		}
		return w.name + " was withdrawn"
	case job.DropExpired:
		if len(b.Drop.Missing) == 0 {
			return w.name + " expired: it was never complete"
		}
		return w.name + " expired: " + w.missing("never came", "never came")
	case job.DropAccepted:
		return w.name + " was accepted"
	case job.JobSubmitted:
		return w.name + " was submitted to " + backend
	case job.JobQueued, job.JobPreparing:
		if b.Restarts != nil {
			return w.name + " no longer runs: " + backend + " starts it again"
		}
		if w.e.Type() == job.JobQueued {
			return w.name + " is queued"
		}
		return w.name + " is being prepared"
	case job.JobRunning:
		if b.Restarts != nil {
			return w.name + " runs again"
		}
		return w.name + " is running"
	case job.JobDelayed:
		return w.name + " " + w.delay()
	case job.JobSucceeded:
		return w.name + " succeeded" + w.after("")
	case job.JobFailed:
		return w.name + " failed" + w.after(" before it ran")
	case job.JobCancelled:
		if b.Restarts.Over() {
			return w.name + " was cancelled" + w.after("") + ": it was started again too often"
		}
		return w.name + " was cancelled" + w.after(" before it ran")
	case job.JobTimedOut:
		switch t := b.Timeout; {
		case t == nil:
			return w.name + " was stopped by its time limit"
		case t.Kind == job.KindWait:
			return w.name + " timed out: it waited longer than " + Duration(time.Duration(t.Limit))
		default:
			return w.name + " timed out: it ran longer than " + Duration(time.Duration(t.Limit))
		}
	case job.JobLost:
		return w.name + " is lost: " + backend + " no longer knows the job"
	}
	return w.name + ": " + strings.ReplaceAll(w.e.Type().Short(), ".", " ")
}

// after says how long the job ran.
func (w *writer) after(not string) string {
	if w.b.Times.Started.IsZero() {
		return not
	}
	return " after " + Duration(ran(w.e))
}

func (w *writer) missing(is, are string) string {
	names := w.b.Drop.Missing
	if len(names) == 1 {
		return line(names[0], maxShown) + " " + is
	}
	return count(len(names), "package") + " " + are
}

// errors counts the violations that are more than a warning.
func (w *writer) errors() int {
	n := 0
	for _, v := range w.b.Violations {
		if v.Severity != job.Warning && v.Rule != "too-many-violations" {
			n++
		}
	}
	return n
}

func (w *writer) delay() string {
	d := w.b.Delay
	if d == nil {
		return "takes longer than it should"
	}
	limit, so := Duration(time.Duration(d.Limit)), Duration(between(d.Since, w.e.Time()))
	switch d.Kind {
	case job.KindWait:
		return "has waited " + so + " of the " + limit + " that it may"
	case job.KindRun:
		return "has run " + so + " of the " + limit + " that it may"
	}
	return "has been " + cmp.Or(strings.ToLower(line(string(w.b.Job.State), maxShown)), string(w.b.State)) + " for " + so
}

// summary says why. What the backend says in several lines, such as a traceback, becomes the excerpt if the event
// has none.
func (w *writer) summary() (summary, excerpt string) {
	if f := w.b.Error; f != nil {
		excerpt = tail(f.Excerpt)
	}
	if w.e.Type() == job.DropRejected && w.errors() > 0 {
		return w.violations(), excerpt
	}
	first, rest, _ := strings.Cut(strings.TrimSpace(breaks(w.b.Reason)), "\n")
	why := w.reason(first)
	if f := w.b.Error; f != nil && f.Message != "" {
		first, more, _ := strings.Cut(strings.TrimSpace(breaks(f.Message)), "\n")
		rest = more
		message := sentence(line(first, maxSummary))
		if !strings.Contains(why, strings.TrimRight(message, ".")) {
			why = strings.TrimSpace(why + "\n" + message)
		}
	}
	switch rest = tail(rest); {
	case rest == "":
	case excerpt == "":
		excerpt = rest
	case !strings.Contains(excerpt, lastLine(rest)):
		why = strings.TrimSpace(why + "\n" + ending(rest, max(1, maxSummary-runes(why)-1)))
	}
	return block(why, maxSummary), excerpt
}

func lastLine(s string) string { return s[strings.LastIndexByte(s, '\n')+1:] }

// reason returns the event's reason as a sentence, without what the title, the facts or the steps say.
func (w *writer) reason(why string) string {
	why = line(why, maxSummary)
	begin, rest, more := strings.Cut(why, ": ")
	switch {
	case w.b.State == job.Succeeded && strings.HasPrefix(why, "the job succeeded") && !more:
		return "" // after a colon it may say, for example, that the job succeeded in part
	case w.e.Type() == job.JobFailed && strings.HasPrefix(begin, "the job failed"),
		w.e.Type() == job.JobDelayed && strings.HasPrefix(begin, "the job has "):
		return sentence(rest)
	case w.e.Type() == job.DropIncomplete && w.simple():
		if expires := w.b.Deadlines.Expires; !expires.IsZero() {
			return "What is missing must come by " + when(expires) + ", or the drop expires."
		}
		return ""
	case w.e.Type() == job.DropExpired && why == "the drop was never completed":
		return "jobdrop waited " + Duration(waited(w.e)) + " for it."
	case w.b.State == job.Lost && why == "the backend no longer knows the job":
		if w.b.Job.State == "" {
			return ""
		}
		return "It was " + line(string(w.b.Job.State), maxShown) + " when the backend was last asked with success."
	case w.b.DuplicateOf != "" && more:
		return sentence(begin) + " Nothing runs for this upload."
	}
	return sentence(why)
}

// simple reports whether an incomplete drop needs what is missing, and nothing else.
func (w *writer) simple() bool {
	return strings.HasSuffix(w.b.Reason, ": upload what is missing; the job file need not be uploaded again")
}

// violations lists the first errors, each with its place and its remedy.
func (w *writer) violations() string {
	var b strings.Builder
	told, rest := 0, w.errors()
	for _, v := range w.b.Violations {
		if v.Severity == job.Warning || v.Rule == "too-many-violations" {
			continue
		}
		for _, text := range [...]*string{&v.File, &v.Field, &v.Message, &v.Found, &v.Allowed, &v.Remedy} {
			*text = head(*text, maxFact)
		}
		entry := line(v.String(), maxFact)
		if told > 0 && runes(b.String())+runes(entry) > maxSummary-30 {
			break
		}
		if told > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(entry)
		told++
	}
	if more := rest - told; more > 0 {
		fmt.Fprintf(&b, "\nand %d more", more)
	}
	return b.String()
}

// repeated adds what was not told before.
func (w *writer) repeated(summary string) string {
	if w.o.Repeats <= 0 {
		return summary
	}
	times := "once more"
	if w.o.Repeats > 1 {
		times = fmt.Sprintf("%d more times", w.o.Repeats)
	}
	said := "This happened " + times
	if w.b.State == job.Rejected {
		said = "This drop was rejected " + times
	}
	if since := w.o.Since; !since.IsZero() {
		format := "2006-01-02 15:04"
		if y, m, d := since.UTC().Date(); !w.e.Time().IsZero() {
			if y2, m2, d2 := w.e.Time().UTC().Date(); y == y2 && m == m2 && d == d2 {
				format = "15:04"
			}
		}
		said += " since " + since.UTC().Format(format)
	}
	said += "."
	if summary = shorten(summary, maxSummary-runes(said)-1); summary != "" {
		said = "\n" + said
	}
	return summary + said
}

// facts are what a person asks next.
func (w *writer) facts() []Fact {
	b := w.b
	var list []Fact
	add := func(label, value string) {
		if value = line(value, maxFact); value != "" {
			list = append(list, Fact{label, value})
		}
	}
	add("Drop", "gs://"+b.Drop.Bucket+"/"+b.Drop.Prefix)
	add("Uploaded by", b.Uploader.Name)
	switch {
	case b.Uploader.Commit != "" && b.Uploader.Branch != "":
		add("Commit", head(b.Uploader.Commit, maxShown)+" on "+head(b.Uploader.Branch, maxShown))
	case b.Uploader.Commit != "":
		add("Commit", b.Uploader.Commit)
	default:
		add("Branch", b.Uploader.Branch)
	}
	add("Labels", labels(b.Job.Labels))
	if c := b.CancelRequested; c != nil && c.Kind == job.KindRequest {
		add("Cancelled by", c.By)
		add("Because", c.Reason)
	}
	if r := b.Rerun; r != nil {
		add("Run again by", r.By)
	}
	if len(b.Drop.Missing) > 0 {
		add("Missing", strings.Join(boundList(b.Drop.Missing[:min(len(b.Drop.Missing), 20)], bound), ", "))
	}
	add("Job", b.Job.ID)
	add("Runs on", w.runsOn())
	if w.b.State == job.Succeeded {
		add("Output", w.output())
	}
	if b.Error != nil {
		add("Error", b.Error.Code)
	}
	add("Uploaded", when(b.Times.Dropped))
	if started := b.Times.Started; !started.IsZero() {
		add("Waited", Duration(waited(w.e)))
		add("Started", when(started))
		w.ended(add)
		if w.b.State != job.Lost { // nobody knows how long
			add("Ran", Duration(ran(w.e)))
		}
	} else if strings.HasPrefix(w.e.Type().Short(), "job.") && b.Delay == nil { // a delay counts from its own beginning
		add("Waited", Duration(waited(w.e)))
		w.ended(add)
	} else if b.Delay == nil {
		w.ended(add)
		if w.b.State == job.Expired {
			add("Waited", Duration(waited(w.e)))
		}
	}
	if r := b.Restarts; r != nil {
		add("Restarts", fmt.Sprintf("%v; at most %s of the run lost", r, Duration(time.Duration(r.AtRisk))))
	}
	if d := b.Delay; d != nil && w.e.Type() == job.JobDelayed {
		switch d.Kind {
		case job.KindWait:
			add("Waiting since", when(d.Since))
		case job.KindRun:
			add("Running since", when(d.Since))
		default:
			add("In this state since", when(d.Since))
		}
		add("Cause", d.Cause)
	}
	if w.e.Kind() != Outcome {
		switch d := &b.Deadlines; {
		case w.e.Type() == job.DropIncomplete:
			if !w.simple() { // else the summary says so
				add("Given up at", when(d.Expires))
			}
		case b.Times.Started.IsZero():
			add("Waits until", when(d.Wait))
		default:
			add("Runs until", when(d.Run))
		}
	}
	add("Repeats attempt", b.DuplicateOf)
	add("Correlation ID", b.CorrelationID)
	add("Attempt", b.Attempt)
	return list[:min(len(list), maxFacts)]
}

// ended says when the attempt ended.
func (w *writer) ended(add func(label, value string)) {
	switch t := &w.b.Times; {
	case w.e.Kind() != Outcome:
	case w.b.State == job.Lost: // nobody knows when it ended
		add("Noticed", when(first(t.Concluded, w.e.Time())))
	case !strings.HasPrefix(w.e.Type().Short(), "job."): // it was rejected, withdrawn, or expired
		add(strings.TrimSuffix(sentence(line(string(w.b.State), maxShown)), "."), when(first(t.Concluded, w.e.Time())))
	default:
		add("Ended", when(first(t.Ended, t.Concluded, w.e.Time())))
	}
}

// output returns where the job was to write.
func (w *writer) output() string {
	if s := w.b.Job.Summary; s != nil && strings.HasPrefix(s.JobDir, "gs://") {
		return s.JobDir
	}
	return ""
}

func (w *writer) runsOn() string {
	var parts []string
	if w.b.Job.Backend != "" {
		parts = append(parts, head(w.b.Job.Backend, maxShown))
	}
	if s := w.b.Job.Summary; s != nil {
		for _, part := range [...]string{machine(s), s.Region} {
			if part != "" {
				parts = append(parts, head(part, maxShown))
			}
		}
	}
	return strings.Join(parts, ", ")
}

// labels returns the labels that people gave, as key=value.
func labels(all map[string]string) string {
	var list []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if len(list) == 20 {
			break
		}
		if !strings.HasPrefix(key, "jobdrop-") {
			list = append(list, head(key, maxShown)+"="+head(all[key], maxShown))
		}
	}
	return strings.Join(list, ", ")
}

// next says what to do now.
func (w *writer) next() []Step {
	b := w.b
	var list []Step
	add := func(text, command string) { list = append(list, Step{line(text, maxFact), command}) }
	file := path.Base(line(cmp.Or(b.Drop.JobFile.Name, "job.yaml"), maxFact))
	again, upload := "Upload "+file+" again to run it anew.", w.copy(file)
	changed := "Upload changed packages first, then " + file + "."
	switch w.e.Type() {
	case job.DropIncomplete:
		switch {
		case w.simple() && len(b.Drop.Missing) > 0:
			add("Upload what is missing. The job file need not be uploaded again.", w.copy(b.Drop.Missing...))
		case len(b.Drop.Missing) > 0:
			add("Do what the text above says.", w.copy(b.Drop.Missing...))
		}
	case job.DropExpired:
		if len(b.Drop.Missing) > 0 {
			add("Upload what is missing.", w.copy(b.Drop.Missing...))
			add("Then upload "+file+" again.", upload)
		} else {
			add(again, upload)
		}
	case job.DropRejected:
		if w.errors() > 0 {
			add("Correct it, and check it in the drop's folder on your machine.", "jobdrop validate .")
			add(changed, upload)
		} else {
			add("Correct what the backend refuses. "+changed, upload)
		}
	case job.DropWithdrawn:
		if b.DuplicateOf != "" {
			add("Nothing, if it was to run once. To run it again all the same, upload "+file+" with the metadata "+
				job.MetadataRerun+".", w.rerun(file))
		} else {
			add("Nothing, if somebody meant it. To run it after all, upload "+file+" again.", upload)
		}
	case job.JobDelayed:
		w.delayed(add)
	case job.JobSucceeded:
		if output := w.output(); output != "" {
			add("See what it wrote.", command("gcloud storage ls", output))
		}
	case job.JobFailed:
		if b.Error != nil && b.Error.Retryable {
			add("The backend says that trying again may help. "+again, upload)
			add("See its log.", w.log())
		} else {
			add("Find the cause in the log, and correct it.", w.log())
			add(changed, upload)
		}
	case job.JobCancelled:
		add("See in the log how far it came.", w.log())
		add(again, upload)
	case job.JobLost:
		add("See in the log what it did last.", w.log())
		add(again, upload)
	case job.JobTimedOut:
		if b.Timeout != nil && b.Timeout.Kind == job.KindWait {
			add("Raise scheduling.maxWaitTime, or choose another region or machine type. Then upload "+file+" again.", upload)
		} else {
			add("See in the log how far it came.", w.log())
			add("Raise scheduling.maxRunningTime, or make the job shorter. Then upload "+file+" again.", upload)
		}
	}
	if w.e.Kind() != Progress && b.State != job.Succeeded {
		if command := w.status(); command != "" {
			add("See all that jobdrop knows of it.", command)
		}
	}
	return list[:min(len(list), maxSteps)]
}

func (w *writer) delayed(add func(text, command string)) {
	d := w.b.Delay
	if d == nil {
		return
	}
	switch d.Cause {
	case job.CauseQuota:
		add("Ask for more quota, or wait until other jobs have ended.", "")
	case job.CauseCapacity:
		add("The region has no room for the machine type now. Wait, or choose another region or machine type.", "")
	case job.CausePermission:
		add("Ask the operator: the backend lacks a permission.", "")
	default:
		switch d.Kind {
		case job.KindRun:
			add("The job ends at its limit. See in the log how far it is.", w.log())
		default:
			add("Nothing yet. Look at the job's page if it stays so.", "")
		}
	}
}

// copy returns the command that uploads files to the drop's folder. Of one that is not known by its name it has the
// word PACKAGE.
func (w *writer) copy(names ...string) string {
	if len(names) == 0 || len(names) > maxCopied {
		return ""
	}
	var words []string
	for _, name := range names {
		switch {
		case strings.Contains(name, "/"): // no file of the folder
			return ""
		case strings.ContainsAny(name, " *("): // what kind of file it is
			name = "PACKAGE"
		}
		words = append(words, name)
	}
	return command("gcloud storage cp", append(words, w.folder())...)
}

// maxCopied is the most files that a command uploads: more are not read.
const maxCopied = 5

// folder returns the URI of the drop's folder.
func (w *writer) folder() string { return "gs://" + w.b.Drop.Bucket + "/" + w.b.Drop.Prefix }

// rerun returns the command that uploads a job file that runs whether its content ran before or not.
func (w *writer) rerun(file string) string {
	if c := command("gcloud storage cp", file, w.folder()+file); c != "" {
		return c + " --custom-metadata=" + job.MetadataRerun + "=yes"
	}
	return ""
}

// log returns the command that prints the end of the job's log, the newest line first. The backend of a local stack
// has no pages; jobdrop reads its logs.
func (w *writer) log() string {
	id := w.b.Job.ID
	if id == "" {
		return ""
	}
	if w.b.Links.Logs == "" {
		return command("jobdrop logs", id)
	}
	parts := strings.Split(w.b.Job.ResourceName, "/")
	id = parts[len(parts)-1] // by which the log goes
	if len(parts) < 4 || parts[0] != "projects" || !plainWord.MatchString(id) {
		return ""
	}
	c := command("gcloud logging read", `resource.type="ml_job" AND resource.labels.job_id="`+id+`"`)
	if c == "" || !plainWord.MatchString(parts[1]) {
		return ""
	}
	return c + " --project=" + parts[1] + " --freshness=30d --limit=50 " +
		"--format='value(timestamp,textPayload,jsonPayload.message)'"
}

// status returns the command that prints the attempt's status object.
func (w *writer) status() string {
	if w.o.StatusBucket == "" {
		return ""
	}
	return command("gcloud storage cat",
		fmt.Sprintf("gs://%s/%sstatus-%d.json", w.o.StatusBucket, w.b.Drop.Prefix, w.e.Generation))
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:=@%+][A-Za-z0-9_./:=@%+-]*$`)

// command returns a command with its words quoted for a shell. What can't be read, or begins as an option does,
// makes no command: somebody will type it.
func command(program string, words ...string) string {
	for _, word := range words {
		switch {
		case word == "" || word[0] == '-' || len(word) > maxLink:
			return ""
		case plainWord.MatchString(word):
		case line(word, maxLink) != word:
			return ""
		default:
			word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		program += " " + word
	}
	return program
}

// links are the pages about the event.
func (w *writer) links() []Link {
	var list []Link
	for _, l := range [...]Link{
		{"Job", w.b.Links.Console}, {"Log", w.b.Links.Logs}, {"Upload", w.b.Uploader.URL},
	} {
		if isLink(l.URL) {
			list = append(list, l)
		}
	}
	return list
}

// isLink reports whether a text is the address of a page, as it is shown.
func isLink(s string) bool {
	if s == "" || len(s) > maxLink || line(s, maxLink) != s || strings.ContainsAny(s, " <>\"'`|\\") {
		return false
	}
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil
}
