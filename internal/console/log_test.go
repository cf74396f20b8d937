package console

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/logs"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// mostPage is how many bytes a page may have.
const mostPage = 300_000

var anchor = regexp.MustCompile(`href="([^"]*)"[^>]*>(Earlier lines|Later lines|The end of the log|…[^<]*)<`)

// links returns the addresses of a page of a log by what they say.
func links(body string) map[string]string {
	all := map[string]string{}
	for _, m := range anchor.FindAllStringSubmatch(body, -1) {
		text, _, _ := strings.Cut(m[2], " ")
		all[text] = strings.ReplaceAll(strings.ReplaceAll(m[1], "&amp;", "&"), "&#43;", "+")
	}
	return all
}

// The pages of a log lead back and forth by places in their addresses, and keep the filter.
func TestLogPages(t *testing.T) {
	s := newSite(t, nil)
	r := s.drop("a/", append(accepted("j", ""), ended("j", job.BackendSucceeded))...)
	for i := range 450 {
		s.logs.add(fmt.Sprintf("line-%03d.", i))
	}
	path := "/attempts/" + r.Attempt + "/log?text=LINE"
	var firsts []string
	shows := regexp.MustCompile(`line-\d\d\d\.`)
	for path != "" {
		got := s.get(path)
		if got.status != http.StatusOK {
			t.Fatalf("%s: %d\n%s", path, got.status, got.body)
		}
		lines := shows.FindAllString(got.body, -1)
		firsts = append(firsts, fmt.Sprintf("%s %d", lines[0], len(lines)))
		path = links(got.body)["Earlier"]
		if path != "" && !strings.Contains(path, "text=LINE") {
			t.Errorf("%s has lost the filter", path)
		}
	}
	if diff := cmp.Diff([]string{"line-250. 200", "line-050. 200", "line-000. 50"}, firsts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	long := strings.Repeat("x", maxSearch+1)
	for _, q := range []string{"at=x", "before=!", "after=2026", "text=" + long, "replica=" + long} {
		if got := s.get("/attempts/" + r.Attempt + "/log?" + q); got.status != http.StatusBadRequest {
			t.Errorf("%.30s: %d", q, got.status)
		}
	}
}

// Long lines are cut so that a page stays small, whatever they hold, with links to the whole.
func TestLongLines(t *testing.T) {
	for name, unit := range map[string]string{
		"letters": "x", "mark-up": "<", "C1": "\u0085", "not UTF-8": "\xff",
	} {
		s := newSite(t, nil)
		r := s.drop("a/", append(accepted("j", ""), ended("j", job.BackendSucceeded))...)
		path := "/attempts/" + r.Attempt + "/log"
		for range linesOfPage {
			s.logs.add(strings.Repeat(unit, (64<<10)/len(unit)))
		}
		if got := s.get(path); len(got.body) > mostPage || strings.Count(got.body, `class="row`) != linesOfPage {
			t.Errorf("%s: %d bytes with %d lines", name, len(got.body), strings.Count(got.body, `class="row`))
		}
		s.logs.lines = nil
		s.logs.add("before", strings.Repeat(unit, (1<<20)/len(unit)), "after")
		got := s.get(path)
		whole := links(got.body)["…"]
		if len(got.body) > mostPage || whole == "" {
			t.Fatalf("%s: %d bytes, whole %q", name, len(got.body), whole)
		}
		if got = s.get(whole); got.status != http.StatusOK || len(got.body) > mostPage || !strings.Contains(got.body, "more were left out") {
			t.Errorf("%s: the whole line: %d, %d bytes", name, got.status, len(got.body))
		}
	}
}

// The stream of a log sends lines with the place that follows, tells of its end, and closes if it breaks.
func TestLogStream(t *testing.T) {
	s := newSite(t, nil)
	r := s.drop("a/", accepted("j", "")...)
	s.logs.add("first")
	s.logs.more = make(chan logs.Batch)
	path := "/attempts/" + r.Attempt + "/log"
	page := s.get(path).body
	from := url.QueryEscape(s.logs.lines[0].Cursor().String())
	if !strings.Contains(page, `data-stream="`+path+"?from="+from+`"`) {
		t.Errorf("the page does not say where its stream begins: %s", page)
	}
	f := s.follow(path, "")
	at := s.logs.lines[0]
	s.logs.more <- logs.Batch{Lines: []logs.Line{{Time: now, InsertID: "x", Text: "<script>\nnext"}}, Skipped: 7, Last: at.Cursor()}
	e, _ := f.next()
	row := `id="L` + logs.Cursor{Time: now, ID: "x"}.String() + `"` // by which the page knows whether it shows it
	if e.name != "lines" || e.id != at.Cursor().String() || !strings.Contains(e.data, "&lt;script&gt;") ||
		!strings.Contains(e.data, "7 lines") || !strings.Contains(e.data, row) {
		t.Errorf("%+v", e)
	}
	s.logs.more <- logs.Batch{Ended: true, Last: at.Cursor()}
	f.next() // what comes last may be without lines
	if e, _ := f.next(); e.name != "end" {
		t.Errorf("%+v", e)
	}
	if _, ok := f.next(); ok {
		t.Error("it goes on")
	}
	broken := s.follow(path, at.Cursor().String())
	close(s.logs.more)
	if e, ok := broken.next(); ok {
		t.Errorf("%+v", e)
	}
	if f := s.follow(path, "no place"); f.status != http.StatusBadRequest {
		t.Errorf("%d", f.status)
	}
	s.logs.err = logs.ErrFollowed // the browser waits longer and longer after a status
	if f := s.follow(path, ""); f.status != http.StatusServiceUnavailable {
		t.Errorf("one log too many: %d", f.status)
	}
}

// The page of a failed attempt has the end of its log, and does not wait for one that is slow.
func TestEndOfLog(t *testing.T) {
	s := newSite(t, nil)
	r := s.drop("a/", append(accepted("j", ""), ended("j", job.BackendFailed))...)
	s.logs.add("the last words")
	for takes, want := range map[time.Duration]string{
		0: "the last words", 10 * time.Second: "the log&#39;s end could not be read in time",
	} {
		s.logs.mu.Lock()
		s.logs.takes = takes
		s.logs.mu.Unlock()
		if got := s.get("/attempts/" + r.Attempt); got.status != http.StatusOK || !strings.Contains(got.body, want) {
			t.Errorf("a log that takes %s: %d, without %q", takes, got.status, want)
		}
	}
}

// The stream of a log ends with the looks that would see its job's end: the next one has others.
func TestLogStreamEndsWithItsLooks(t *testing.T) {
	s := newSite(t, nil)
	r := s.drop("a/", accepted("j", "")...)
	f := s.follow("/attempts/"+r.Attempt+"/log", "")
	f.none()
	s.server.feeds.mu.Lock()
	s.server.feeds.open["log of "+r.Attempt].end() // as after feedTime
	s.server.feeds.mu.Unlock()
	if e, ok := f.next(); ok {
		t.Errorf("%+v", e)
	}
	s.follow("/attempts/"+r.Attempt+"/log", "").none()
}

// Logs of each backend name replicas in their own way.
func TestReplicas(t *testing.T) {
	spec := specOf("j", "")
	spec.TrainingInput.EvaluatorCount, spec.TrainingInput.EvaluatorType = 1, "n1-standard-4"
	for backend, want := range map[string][]string{
		"aiplatform": {"service", "master-replica-0", "worker-replica-0", "worker-replica-1", "evaluator-replica-0"},
		"vertex":     {"service", "workerpool0-0", "workerpool1-0", "workerpool1-1", "workerpool3-0"},
	} {
		if diff := cmp.Diff(want, replicasOf(attempt.Record{Spec: &spec, Backend: backend})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", backend, diff)
		}
	}
	spec.TrainingInput.WorkerCount = 1 << 40
	if n := len(replicasOf(attempt.Record{Spec: &spec})); n != mostReplicas {
		t.Errorf("%d replicas", n)
	}
}

// What is left out of a filtered log is told only where it matches: a window has it, and what a window does not have is
// lost.
func TestSkippedLines(t *testing.T) {
	for query, want := range map[string]struct {
		filter  logs.Filter
		rows    int
		missing bool
	}{
		"":            {logs.Filter{}, 2, true},
		"?text=never": {logs.Filter{Text: "never"}, 0, false},
		"?text=keep":  {logs.Filter{Text: "keep"}, 3, false},
		"?text=line":  {logs.Filter{Text: "line"}, linesOfPage + 2, true},
	} {
		s := newSite(t, nil)
		r := s.drop("a/", accepted("j", "")...)
		for i := range 2 * linesOfPage {
			s.logs.add(fmt.Sprintf("line %d", i))
		}
		for _, i := range []int{3, 150, 2*linesOfPage - 1} {
			s.logs.lines[i].Text += " keep"
		}
		last := s.logs.lines[2*linesOfPage-2:]
		b := logs.Batch{Skipped: 2*linesOfPage - 3, Last: last[1].Cursor(), Ended: true}
		for _, l := range last {
			if want.filter.Match(l) {
				b.Lines = append(b.Lines, l)
			}
		}
		s.logs.more = make(chan logs.Batch, 1)
		s.logs.more <- b
		e, _ := s.follow("/attempts/"+r.Attempt+"/log"+query, s.logs.lines[0].Cursor().String()).next()
		rows, missing := strings.Count(e.data, `class="at"`), strings.Contains(e.data, "left out")
		if rows != want.rows || missing != want.missing {
			t.Errorf("%q: %d rows, some are missing: %t; want %d, %t", query, rows, missing, want.rows, want.missing)
		}
	}
}
