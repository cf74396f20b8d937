package logs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/rest"
)

const (
	// logResource is the monitored resource of AI Platform Training's jobs.
	logResource = "ml_job"
	// The page sizes and the length of a filter are Cloud Logging's.
	defaultEntryPage = 50
	maxEntryPage     = 1000
	MaxLogFilter     = 20000
	// maxPageBytes bounds the text of a page, which is short if lines are long.
	maxPageBytes = 8 << 20
	// maxScanBytes bounds what of a log is read for a page, so that a search for what is nowhere ends. Such a page has
	// the entries that were found, if any, and the token of a next one, as Cloud Logging answers long searches.
	maxScanBytes = 64 << 20
)

// Entry is Cloud Logging's LogEntry.
type Entry struct {
	LogName          string            `json:"logName"`
	Resource         origin            `json:"resource"`
	Timestamp        string            `json:"timestamp"`
	ReceiveTimestamp string            `json:"receiveTimestamp"`
	Severity         string            `json:"severity"`
	InsertID         string            `json:"insertId"`
	Labels           map[string]string `json:"labels"`
	JSONPayload      map[string]string `json:"jsonPayload"`
}

type origin struct {
	Type   string            `json:"type"`
	Labels map[string]string `json:"labels"`
}

func logName(project, task string) string {
	return "projects/" + project + "/logs/" + url.PathEscape(task)
}

// insertID returns an ID that is unique among all jobs. Its order as text is that of the lines.
func insertID(l *Line) string { return fmt.Sprintf("%012d-%s", l.Seq, l.JobID) }

// severityOf returns the severity that the service gives a line's stream.
func severityOf(l *Line) string {
	if l.Stream == Stderr {
		return "ERROR"
	}
	return "INFO"
}

// timestamp has nine digits after the second always: gcloud compares the times
// of entries as text.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000000Z") }

func EntryOf(project string, l *Line) Entry {
	t, severity := timestamp(l.Time), severityOf(l)
	labels := map[string]string{"ml.googleapis.com/job_id": l.JobID, "ml.googleapis.com/task_name": l.Task}
	if l.Trial != "" { // gcloud's stream-logs shows it from here
		labels["ml.googleapis.com/trial_id"] = l.Trial
	}
	return Entry{
		LogName:   logName(project, l.Task),
		Resource:  origin{logResource, map[string]string{"job_id": l.JobID, "project_id": project, "task_name": l.Task}},
		Timestamp: t, ReceiveTimestamp: t, Severity: severity, InsertID: insertID(l),
		Labels:      labels,
		JSONPayload: map[string]string{"message": l.Text, "levelname": severity},
	}
}

// query is a checked request of entries.list.
type query struct {
	projects []string
	filter   clause
	newest   bool // first
	limit    int
	after    *place // of the page before
}

// place is an entry's place in the order of all.
type place struct {
	Time time.Time `json:"t"`
	ID   string    `json:"i"`
}

func (a place) compare(b place) int {
	if c := a.Time.Compare(b.Time); c != 0 {
		return c
	}
	return strings.Compare(a.ID, b.ID)
}

// entriesRequest is ListLogEntriesRequest.
type entriesRequest struct {
	ProjectIDs    []string `json:"projectIds"` // deprecated by the API
	ResourceNames []string `json:"resourceNames"`
	Filter        string   `json:"filter"`
	OrderBy       string   `json:"orderBy"`
	PageSize      int      `json:"pageSize"`
	PageToken     string   `json:"pageToken"`
}

// digest tells requests apart whose pages have no common order.
func (r entriesRequest) digest() []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q", r.ProjectIDs, r.ResourceNames, r.Filter, r.OrderBy))
	return sum[:8]
}

type pageToken struct {
	place
	Query []byte `json:"q"`
}

// Job is a job whose log can be read.
type Job struct {
	Project string
	ID      string
	Dir     string // where its log is
}

// Reader answers entries.list of Cloud Logging (v2) from the logs of jobs.
type Reader struct {
	jobs     func() []Job
	document *rest.Document
	scan     int64 // bytes of a log that are read for a page
}

// NewReader returns the API over the jobs that a function lists.
func NewReader(jobs func() []Job) (*Reader, error) {
	d, err := parseDocument()
	return &Reader{jobs, d, maxScanBytes}, err
}

// Document returns the discovery document of what is served.
func (s *Reader) Document() *rest.Document { return s.document }

// Serve answers a request of entries.list.
func (s *Reader) Serve(r *http.Request) (any, error) {
	data, err := rest.ReadBody(s.document, r, "ListLogEntriesRequest", "request")
	if err != nil {
		return nil, err
	}
	var body entriesRequest
	if err := json.Unmarshal(data, &body); err != nil {
		return nil, rest.Invalid("Invalid JSON payload received. %v", err)
	}
	q, err := body.query()
	if err != nil {
		return nil, err
	}
	page, err := s.entries(r.Context(), q)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Entries       []Entry `json:"entries,omitempty"`
		NextPageToken string  `json:"nextPageToken,omitempty"`
	}
	for _, f := range page.found {
		answer.Entries = append(answer.Entries, EntryOf(f.project, &f.line))
	}
	if last := page.last(); last != nil {
		token, err := json.Marshal(pageToken{*last, body.digest()})
		if err != nil {
			return nil, err
		}
		answer.NextPageToken = base64.RawURLEncoding.EncodeToString(token)
	}
	return answer, nil
}

// resourceName matches a project, and the views that each project has of its default bucket.
var resourceName = regexp.MustCompile(
	`^projects/([^/]+)(?:/locations/global/buckets/_Default/views/(?:_AllLogs|_Default))?$`)

func (r entriesRequest) query() (q query, err error) {
	q.projects = slices.Clone(r.ProjectIDs)
	for _, name := range r.ResourceNames {
		m := resourceName.FindStringSubmatch(name)
		if m == nil {
			return q, rest.Invalid("Invalid resource name %q: the local training service has logs of projects only, "+
				"projects/[PROJECT_ID], and views of the bucket _Default there.", name)
		}
		q.projects = append(q.projects, m[1])
	}
	if len(q.projects) == 0 {
		return q, rest.Invalid("The request must name resources, e.g. projects/[PROJECT_ID].")
	}
	if len(r.Filter) > MaxLogFilter {
		return q, rest.Invalid("Invalid filter: it is longer than %d bytes.", MaxLogFilter)
	}
	if q.filter, err = parseFilter(r.Filter); err != nil {
		return q, rest.Invalid("Unparseable filter: %v.", err)
	}
	switch strings.Join(strings.Fields(strings.ToLower(r.OrderBy)), " ") {
	case "", "timestamp", "timestamp asc":
	case "timestamp desc":
		q.newest = true
	default:
		return q, rest.Invalid("Invalid order_by %q: it must be \"timestamp asc\" or \"timestamp desc\".", r.OrderBy)
	}
	switch {
	case r.PageSize < 0:
		return q, rest.Invalid("Invalid page_size %d: it must not be negative.", r.PageSize)
	case r.PageSize == 0:
		q.limit = defaultEntryPage
	default:
		q.limit = min(r.PageSize, maxEntryPage)
	}
	if r.PageToken != "" {
		data, err := base64.RawURLEncoding.DecodeString(r.PageToken)
		var t pageToken
		if err == nil {
			err = json.Unmarshal(data, &t)
		}
		if err != nil || !bytes.Equal(t.Query, r.digest()) {
			return q, rest.Invalid("Invalid page_token: it is none of this request's.")
		}
		q.after = &t.place
	}
	return q, nil
}

// foundLine is a line that a query matches.
type foundLine struct {
	place
	project string
	line    Line
}

// page keeps the first entries of a query.
type page struct {
	query
	found []foundLine
	bytes int
	bound *place // the first entry that had no room: those from here on are of the next page
	// searched is the last line that was read, if more of the log was left than a page may read.
	searched *place
}

// before reports whether an entry comes first in the query's order.
func (p *page) before(a, b place) bool {
	if p.newest {
		a, b = b, a
	}
	return a.compare(b) < 0
}

// take adds a line. The lines of a log come in the query's order. It reports whether a later one can matter.
func (p *page) take(project string, l Line) bool {
	f := foundLine{place{l.Time, insertID(&l)}, project, l}
	if p.after != nil && !p.before(*p.after, f.place) {
		return true
	}
	if p.bound != nil && !p.before(f.place, *p.bound) {
		return false
	}
	i, _ := slices.BinarySearchFunc(p.found, f.place, func(e foundLine, at place) int {
		if p.newest {
			return at.compare(e.place)
		}
		return e.compare(at)
	})
	p.found = slices.Insert(p.found, i, f)
	p.bytes += len(l.Text)
	for n := len(p.found) - 1; n > 0 && (n >= p.limit || p.bytes > maxPageBytes); n-- {
		p.bytes -= len(p.found[n].line.Text)
		bound := p.found[n].place
		p.bound = &bound
		p.found = p.found[:n]
	}
	return true
}

// last returns where the next page goes on; nil if this one is the last.
func (p *page) last() *place {
	if p.bound != nil {
		return &p.found[len(p.found)-1].place
	}
	return p.searched
}

// entries reads the first page of a query. The logs are read from their files a piece at a time, those of running jobs,
// too; if the newest entries are asked for, from their ends.
func (s *Reader) entries(ctx context.Context, q query) (*page, error) {
	from, to := q.filter.from, q.filter.to
	switch {
	case q.after == nil:
	case q.newest && (to.IsZero() || q.after.Time.Before(to)):
		to = q.after.Time
	case !q.newest && q.after.Time.After(from):
		from = q.after.Time
	}
	page := &page{query: q}
	jobs := slices.DeleteFunc(slices.Clone(s.jobs()), func(j Job) bool {
		return !slices.Contains(q.projects, j.Project) || q.filter.test(view{project: j.Project, job: j.ID}) == no
	})
	for _, j := range jobs {
		err := withLog(j.Dir, func(f *file) error {
			take := func(l Line) bool {
				if l.Time.Before(from) && q.newest || !to.IsZero() && l.Time.After(to) && !q.newest {
					return false
				}
				if q.filter.test(view{j.Project, j.ID, &l}) == yes && !page.take(j.Project, l) {
					return false
				}
				here := place{l.Time, insertID(&l)}
				if q.after != nil && !page.before(*q.after, here) {
					f.scanned = 0 // the page has not begun
				}
				// Of several logs no single place says how far they were read.
				if len(jobs) == 1 && f.scanned > s.scan {
					page.searched = &here
					return false
				}
				return true
			}
			if q.newest {
				return f.backward(ctx, to, take)
			}
			return f.forward(ctx, from, take)
		})
		if err != nil {
			return nil, err
		}
	}
	return page, nil
}
