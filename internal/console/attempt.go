package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jobdrop/jobdrop/internal/account"
	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// attemptPage is the data of the page of an attempt.
type attemptPage struct {
	heading
	// Why says why it is where it is, and Next what happens next, with links to pages in place of command lines.
	Why  account.Account
	Next template.HTML
	// Way is the attempt's way as a picture, History as a table.
	Way     way
	History []historyRow
	Due     []due
	Faults  []fault
	// Answer is what became of the request that the page's address names; nil if it names none.
	Answer *attempt.Answer
	// Cancels and Reruns report whether such a request makes sense. NamesID reports that a rerun would be refused: the job
	// file names the job's ID, which is used up.
	Cancels, Reruns, NamesID bool
}

// heading is what each page of an attempt begins with.
type heading struct {
	job.Snapshot
	// Name is the folder, or the bucket for that of its root.
	Name string
	// Drops is the address of the attempts of its folder.
	Drops string
	// Tabs are the attempt's pages.
	Tabs []tab
}

// title returns the title of one of the attempt's pages, which is empty for its own. The state comes first: a browser
// shows the beginning of it in its tab.
func (h heading) title(page string) string {
	title := word(h.State) + " · " + h.Name
	if page != "" {
		title += " · " + page
	}
	return title
}

// heading returns the heading of one of an attempt's pages.
func (s *Server) heading(record attempt.Record, here string) heading {
	own := record.Snapshot()
	return heading{Snapshot: own, Name: nameOf(own), Drops: filter{Folder: own.Drop.Prefix}.address(""), Tabs: s.tabs(record, here)}
}

// tab is the address of one of an attempt's pages.
type tab struct {
	Path, Name string
	Here       bool
}

func (s *Server) attemptPage(ctx context.Context, r request) (page, error) {
	record, err := s.record(ctx, r)
	if err != nil {
		return page{}, err
	}
	h := s.heading(record, "")
	own := h.Snapshot
	d := attemptPage{
		heading: h, Way: wayOf(own, r.now), History: historyOf(own, r.now), Due: dueOf(own, r.now),
		Cancels: s.Act && !own.State.Terminal(),
		Reruns:  s.Act && own.State.Terminal() && own.Drop.Receipt != nil,
		NamesID: record.Rerun == nil && record.Spec != nil && record.Spec.JobID != job.DefaultJobID(own.Drop.JobFile),
	}
	d.Faults, err = s.faults(ctx, own)
	if err != nil {
		return page{}, err
	}
	if id := r.URL.Query().Get("asked"); id != "" {
		d.Answer, err = s.answer(ctx, own.Attempt, id)
		if err != nil {
			return page{}, err
		}
	}
	if d.Why, err = s.accounts.Why(ctx, record, linesOfFailure); err != nil { // the last one: a log may be slow
		return page{}, err
	}
	d.Next = s.next(d)
	live := !own.State.Terminal() || d.Answer != nil && d.Answer.Outcome == ""
	return page{view: "attempt", title: d.title(""), section: "/", data: d, live: live}, nil
}

// next returns what happens next to an attempt. The account names command lines: where a page shows the same, it has a
// link to that.
func (s *Server) next(d attemptPage) template.HTML {
	next := string(sentence(1200, d.Why.Next))
	link := func(line, before, address, name string) {
		next = strings.Replace(next, template.HTMLEscapeString(line),
			fmt.Sprintf(`%s<a href="%s">%s</a>`, before, template.HTMLEscapeString(address), template.HTMLEscapeString(name)), 1)
	}
	for _, t := range d.Tabs {
		if t.Name == "Log" {
			link(s.accounts.Line("logs", d.Job.ID), "the page ", t.Path, t.Name)
		}
	}
	if d.DuplicateOf != "" {
		link(s.accounts.Line("why", d.DuplicateOf), "", "/attempts/"+d.DuplicateOf, d.DuplicateOf)
	}
	return template.HTML(next) // each part is escaped
}

// linesOfFailure is how many lines of a failed job's log its page has.
const linesOfFailure = 10

// record reads the record of the attempt that a request names. Who may not see it learns as much as of one that is not
// there.
func (s *Server) record(ctx context.Context, r request) (attempt.Record, error) {
	record, err := s.Records.Record(ctx, r.PathValue("attempt"))
	if err != nil {
		if errors.Is(err, job.ErrNotFound) || errors.Is(err, ledger.ErrQuery) { // a key of another form names none
			err = errNotFound
		}
		return record, err
	}
	if !r.viewer.Sees(record.Drop.Prefix) {
		return attempt.Record{}, errNotFound
	}
	return record, nil
}

// nameOf returns how pages call an attempt's drop.
func nameOf(s job.Snapshot) string {
	if s.Drop.Prefix == "" {
		return s.Drop.Bucket
	}
	return strings.TrimSuffix(s.Drop.Prefix, "/")
}

// tabs returns the pages of an attempt, of which one is shown.
func (s *Server) tabs(record attempt.Record, here string) []tab {
	path := "/attempts/" + record.Attempt
	tabs := []tab{{path, "Attempt", here == ""}}
	add := func(end, name string, is bool) {
		if is {
			tabs = append(tabs, tab{path + "/" + end, name, here == end})
		}
	}
	in := &job.TrainingInput{}
	if record.Spec != nil && record.Spec.TrainingInput != nil {
		in = record.Spec.TrainingInput
	}
	writes := strings.HasPrefix(in.JobDir, "gs://")
	add("job", "Job", record.Spec != nil)
	add("log", "Log", s.Logs != nil && record.Job.ResourceName != "")
	add("outputs", "Outputs", writes)
	add("curves", "Curves", writes && s.Scalars != nil)
	add("trials", "Trials", in.Hyperparameters != nil)
	return tabs
}

// fault is a violation, and the lines of the job file where it is.
type fault struct {
	job.Violation
	// Page is the address of the page that explains its rule; empty if there is none.
	Page  string
	Lines []sourceLine
}

// sourceLine is a line of a job file.
type sourceLine struct {
	Number int
	Text   string
	// Here reports that the violation is in this line, Caret what stands below it up to the violation's column.
	Here  bool
	Caret string
}

// linesAround is how many lines of the job file are shown before and after a violation's.
const linesAround = 2

// maxLine is how many characters of a line of a job file are shown.
const maxLine = 300

// faults returns the violations of an attempt, with their lines while the job file is there in the version that was
// checked.
func (s *Server) faults(ctx context.Context, a job.Snapshot) ([]fault, error) {
	var faults []fault
	var text []string
	for _, v := range a.Violations[:min(len(a.Violations), maxFaults)] {
		f := fault{Violation: v, Page: s.RuleURL(v.Rule)}
		if v.Line > 0 && v.File == a.Drop.JobFile.Base() {
			if text == nil {
				data, _, err := s.Store.Read(ctx, a.Drop.Bucket, a.Drop.JobFile.Name, a.Drop.JobFile.Generation, jobspec.MaxSize)
				switch {
				case err == nil:
					text = strings.Split(string(data), "\n")
				case ctx.Err() != nil:
					return nil, err
				default: // the violation itself says what stood there
					text = []string{}
				}
			}
			f.Lines = linesOf(text, v.Position)
		}
		faults = append(faults, f)
	}
	return faults, nil
}

// maxFaults is how many violations a page has. An event has no more.
const maxFaults = 200

// linesOf returns the lines of a text around a place.
func linesOf(text []string, at job.Position) (lines []sourceLine) {
	if at.Line > len(text) {
		return nil
	}
	for n := max(1, at.Line-linesAround); n <= min(len(text), at.Line+linesAround); n++ {
		own := sourceLine{Number: n, Here: n == at.Line}
		from := 0
		if own.Here && at.Column > maxLine {
			from = at.Column - maxLine/2
		}
		before, rest := cutRunes(strings.TrimRight(text[n-1], "\r"), from)
		if before != "" {
			own.Text = "…"
		}
		shown, more := cutRunes(rest, maxLine)
		if own.Here && at.Column > 0 {
			left, _ := cutRunes(shown, at.Column-1-from)
			own.Caret = strings.Repeat(" ", utf8.RuneCountInString(own.Text+plainLine(left))) + "^"
		}
		if own.Text += plainLine(shown); more != "" {
			own.Text += "…"
		}
		lines = append(lines, own)
	}
	return lines
}

// plainLine returns a line of a job file as a page shows it: each character is as wide as another.
func plainLine(s string) string { return strings.ReplaceAll(visible(s), "\t", " ") }

// cutRunes returns the first n characters of a text, and the rest of it.
func cutRunes(s string, n int) (head, rest string) {
	for i := range s {
		if n--; n < 0 {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// due is a time at which something is due.
type due struct {
	Name, Then string
	At         time.Time
	// Part is how much of its time is over, in percent.
	Part int
	Over bool
}

// dueOf returns what is due of an attempt without a verdict.
func dueOf(a job.Snapshot, now time.Time) (all []due) {
	for _, d := range account.Deadlines(a) {
		part := 100
		if whole := d.At.Sub(d.Since); whole > 0 {
			part = int(min(max(100*now.Sub(d.Since)/whole, 0), 100))
		}
		all = append(all, due{Name: d.Name, Then: d.Then, At: d.At, Part: part, Over: !now.Before(d.At)})
	}
	return all
}

// maxAnswer bounds an answer, which is some sentences.
const maxAnswer = 64 << 10

// answer reads what became of a request. Its outcome is empty as long as there is none.
func (s *Server) answer(ctx context.Context, key, id string) (*attempt.Answer, error) {
	if !requestID.MatchString(id) {
		return nil, fmt.Errorf("%w: %.80q is not a request", errForm, id)
	}
	a := &attempt.Answer{}
	data, _, err := s.Store.Read(ctx, s.State, "results/"+key+"/"+id+".json", 0, maxAnswer)
	if errors.Is(err, job.ErrNotFound) || errors.Is(err, job.ErrDenied) { // without the right to list, both are the same
		return a, nil
	}
	if err == nil {
		err = json.Unmarshal(data, a)
	}
	return a, err
}
