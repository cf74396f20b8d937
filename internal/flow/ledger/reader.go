package ledger

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// pages is what a reader needs of Cloud Storage. ListPage returns the objects below a prefix whose names come
// after a name, in their order, most of them or fewer, and whether there are more.
type pages interface {
	ListPage(ctx context.Context, bucket, prefix, after string, most int) (page []job.Attributes, more bool, err error)
	Read(ctx context.Context, bucket, name string, generation, limit int64) ([]byte, int64, error)
	Stat(ctx context.Context, bucket, name string) (job.Attributes, error)
}

// Reader reads what happened: pages of attempts, one attempt, and the queue. It only reads, and keeps nothing. It
// is safe for concurrent use.
type Reader struct {
	store  pages
	bucket string
}

// NewReader returns a reader of the ledger in a bucket.
func NewReader(s pages, bucket string) (*Reader, error) {
	if s == nil || bucket == "" {
		return nil, errors.New("ledger: the store and the state bucket are required")
	}
	return &Reader{store: s, bucket: bucket}, nil
}

// The bounds of a page.
const (
	// PageSize is the most attempts of a page.
	PageSize = 50
	// MaxScan is the most entries that a search looks at for one page. They are listed by listSize.
	MaxScan  = 2000
	listSize = 1000
	// statsAtOnce is how many records are looked at at once.
	statsAtOnce = 8
	// maxToken bounds a token. The longest holds two names of 80 bytes.
	maxToken = 1024
	// maxFilter bounds the texts of a query: a folder's name has at most 1,024 bytes.
	maxFilter = 1024
)

// Query says which attempts a page shows, the newest first.
type Query struct {
	// State is the state of all of them, as events show it; empty is any.
	State job.State
	// Folder is a folder of the inbox, with what is below it: "teams/nlp/". CorrelationID is the uploader's own.
	// They are searched for: a page looks at MaxScan attempts at most.
	Folder        string
	CorrelationID string
	// Since leaves out the attempts that were dropped before it. It costs nothing. A token does not depend on it.
	Since time.Time
	// JobID is a job's. Such a page has one attempt: the one that owns the ID. It takes no other filter.
	JobID string
	// Visible reports whether whoever asks may see the attempts of a folder of the inbox, given with its final slash; nil
	// is any. The others are left out, so such a page is searched for. A token does not depend on it: it has no name but
	// those of attempts, whose folders they don't tell.
	Visible func(folder string) bool
	// Token is the page before's Next, of the same query. Empty is the first page.
	Token string
	// Most is how many attempts the page has at most, up to PageSize. 0 is PageSize.
	Most int
}

// Page is some attempts, the newest job file first.
type Page struct {
	Attempts []Row `json:"attempts"`
	// Next is the token of the next page; empty if there is none. A page of a search may have no attempt, and a
	// next page all the same.
	Next string `json:"next,omitempty"`
	// Back is how far the pages up to this one have searched: up to the attempts dropped then. It is zero on the last
	// page, and if the attempts are those of a state before the verdict: see [Reader.Page].
	Back time.Time `json:"back,omitzero"`
}

// Row is what a page shows of an attempt.
type Row struct {
	attempt.Summary
	// Waits says what an accepted attempt waits for.
	Waits string `json:"waits,omitempty"`
}

// ErrQuery is returned for a query that can't be answered, and for a token that is not of the query.
var ErrQuery = errors.New("the query is not valid")

// Page returns the attempts of a query.
//
// A page of the newest attempts takes one list, and one look at the metadata of the record of each attempt that had no
// verdict when it was placed. A page of a verdict takes one list. A search by folder or correlation ID, or of what
// somebody may see, takes two lists at most, of MaxScan attempts together, and says how far back it came.
//
// A page of a state before the verdict takes two lists at most of the attempts that are open. They are sorted among
// those: if more than MaxScan attempts are open, the pages of the first MaxScan come before those of the next. The
// index of the open ones may be behind.
func (r *Reader) Page(ctx context.Context, q Query) (Page, error) {
	if err := q.check(); err != nil {
		return Page{}, err
	}
	at, err := q.position()
	if err != nil {
		return Page{}, err
	}
	switch {
	case q.JobID != "":
		return r.ofJob(ctx, q)
	case q.State == "" || q.State.Terminal():
		return r.byTime(ctx, q, at)
	}
	return r.open(ctx, q, at)
}

// states are those that a query may name.
var states = job.States()

func (q Query) check() error {
	switch {
	case q.State != "" && !slices.Contains(states, q.State):
		return fmt.Errorf("%w: %.40q is not a state; there are %q", ErrQuery, q.State, states)
	case max(len(q.Folder), len(q.CorrelationID), len(q.JobID)) > maxFilter:
		return fmt.Errorf("%w: a folder, a correlation ID and a job ID have at most %d bytes", ErrQuery, maxFilter)
	case q.Folder != "" && !strings.HasSuffix(q.Folder, "/"):
		return fmt.Errorf("%w: the folder %q lacks its final slash", ErrQuery, q.Folder)
	case q.Most < 0 || q.Most > PageSize:
		return fmt.Errorf("%w: a page has from 1 to %d attempts", ErrQuery, PageSize)
	case q.JobID != "" && (q.State != "" || q.filtersText() || !q.Since.IsZero() || q.Token != ""):
		return fmt.Errorf("%w: a job ID names one attempt: leave the other filters out", ErrQuery)
	case strings.Contains(q.JobID, "/"):
		return fmt.Errorf("%w: %q is not a job ID: it has a slash", ErrQuery, q.JobID)
	}
	return nil
}

// most is how many attempts the page has at most.
func (q Query) most() int { return cmp.Or(q.Most, PageSize) }

// filtersText reports whether attempts are searched for by what they say.
func (q Query) filtersText() bool { return q.Folder != "" || q.CorrelationID != "" }

// filtered reports whether entries have to be searched.
func (q Query) filtered() bool { return q.filtersText() || q.Visible != nil }

// sees reports whether whoever asks may see an attempt.
func (q Query) sees(s attempt.Summary) bool { return q.Visible == nil || q.Visible(s.Folder) }

// takes reports whether an attempt passes the filters, besides the state.
func (q Query) takes(s attempt.Summary) bool {
	return strings.HasPrefix(s.Folder, q.Folder) && (q.CorrelationID == "" || s.CorrelationID == q.CorrelationID) &&
		!s.Dropped.Before(q.Since) && q.sees(s)
}

// folder returns the folder of the ledger that a query is answered from.
func (q Query) folder() string {
	switch {
	case q.State == "":
		return recentFolder
	case q.State.Terminal():
		return endedFolderOf(q.State)
	}
	return openFolder
}

// position is where a page begins: what a token holds.
type position struct {
	// Query is a digest of the query.
	Query string `json:"q"`
	// After is the last name that was looked at, in the query's folder; empty at its beginning.
	After string `json:"a,omitempty"`
	// Shown is the last attempt that was shown of the open ones after After, as a name in the index by time.
	Shown string `json:"s,omitempty"`
}

func (q Query) digest() string {
	sum := sha256.Sum256([]byte(string(q.State) + "\x00" + q.Folder + "\x00" + q.CorrelationID))
	return hex.EncodeToString(sum[:8])
}

// token returns the token of the page that begins after some names.
func (q Query) token(after, shown string) string {
	data, err := json.Marshal(position{Query: q.digest(), After: after, Shown: shown})
	if err != nil { // texts can be encoded
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

// attemptForm matches an attempt's key.
var attemptForm = regexp.MustCompile(`^[0-9a-f]{40}-[0-9]{1,20}$`)

// position returns where the query's page begins.
func (q Query) position() (position, error) {
	if q.Token == "" {
		return position{}, nil
	}
	var at position
	data, err := base64.RawURLEncoding.DecodeString(q.Token)
	if err == nil && len(q.Token) <= maxToken {
		err = json.Unmarshal(data, &at)
	}
	form := placeForm
	if q.folder() == openFolder {
		form = attemptForm
	}
	switch {
	case err != nil, len(q.Token) > maxToken, at.After != "" && !form.MatchString(at.After),
		at.Shown != "" && !placeForm.MatchString(at.Shown), at.After == "" && at.Shown == "":
		return at, fmt.Errorf("%w: the token is not one of a page: begin without one", ErrQuery)
	case at.Query != q.digest():
		return at, fmt.Errorf("%w: the token is of a page of another query: begin without one", ErrQuery)
	}
	return at, nil
}

// byTime answers a query from a folder of the index by time.
func (r *Reader) byTime(ctx context.Context, q Query, at position) (Page, error) {
	var p Page
	folder, size := q.folder(), q.most()
	if q.filtered() {
		size = listSize
	}
	after, more := at.After, true
	for lists := 0; more && lists < MaxScan/listSize && len(p.Attempts) < q.most(); lists++ {
		objects, further, err := r.store.ListPage(ctx, r.bucket, folder, folder+after, size)
		if err != nil {
			return Page{}, err
		}
		more = further
		for i, o := range objects {
			after = strings.TrimPrefix(o.Name, folder)
			row, ok := placed(after, o.Metadata)
			if ok && row.Dropped.Before(q.Since) { // and so are those after it
				more = false
				break
			}
			if ok && q.takes(row.Summary) {
				p.Attempts = append(p.Attempts, row)
			}
			if len(p.Attempts) == q.most() {
				more = more || i < len(objects)-1
				break
			}
		}
		if !q.filtered() {
			break
		}
	}
	if more {
		p.Next = q.token(after, "")
		_, p.Back, _ = parsePlace(after)
	}
	if q.State == "" {
		if err := r.refresh(ctx, p.Attempts); err != nil {
			return Page{}, err
		}
	}
	return p, nil
}

// placed returns the row of an object in the index by time.
func placed(name string, metadata map[string]string) (Row, bool) {
	key, dropped, ok := parsePlace(name)
	if !ok {
		return Row{}, false // nobody but jobdrop writes there
	}
	row := Row{Summary: attempt.ParseSummary(key, metadata)}
	row.Dropped = dropped
	return row, true
}

// refresh brings rows up to date that had no verdict when they were placed. A row whose record is not there has no
// state: it is written in a moment, or somebody deleted it.
func (r *Reader) refresh(ctx context.Context, rows []Row) error {
	var group sync.WaitGroup
	errs := make([]error, len(rows))
	slots := make(chan struct{}, statsAtOnce)
	for i := range rows {
		if rows[i].State.Terminal() {
			continue
		}
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			errs[i] = r.refreshOne(ctx, &rows[i].Summary)
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

func (r *Reader) refreshOne(ctx context.Context, s *attempt.Summary) error {
	o, err := r.store.Stat(ctx, r.bucket, recordName(s.Attempt))
	if errors.Is(err, job.ErrNotFound) {
		s.State = ""
		return nil
	}
	if err != nil {
		return err
	}
	now := attempt.ParseSummary(s.Attempt, o.Metadata)
	switch {
	case !now.Dropped.IsZero():
		*s = now
	case !s.Dropped.IsZero(): // its metadata are those of an earlier revision
		s.State = now.State
	default:
		record, err := readRecord(ctx, r.store, r.bucket, s.Attempt)
		if err != nil {
			return err
		}
		*s = record.Summary()
	}
	return nil
}

// ofJob returns the attempt that owns a job ID.
func (r *Reader) ofJob(ctx context.Context, q Query) (Page, error) {
	data, _, err := r.store.Read(ctx, r.bucket, "jobs/"+q.JobID+".json", 0, smallLimit)
	if errors.Is(err, job.ErrNotFound) {
		return Page{}, nil
	}
	if err != nil {
		return Page{}, err
	}
	var owner attempt.Owner
	if err := json.Unmarshal(data, &owner); err != nil {
		return Page{}, fmt.Errorf("read gs://%s/jobs/%s.json: %w", r.bucket, q.JobID, err)
	}
	rows := []Row{{Summary: attempt.Summary{Attempt: owner.Attempt, JobID: q.JobID}}}
	if err := r.refresh(ctx, rows); err != nil {
		return Page{}, err
	}
	if rows[0].State == "" || !q.sees(rows[0].Summary) {
		return Page{}, nil // the ID was claimed, and nothing is recorded yet; or the attempt is not theirs to see
	}
	return Page{Attempts: rows}, nil
}

// open answers a query from the index of the attempts without a verdict.
func (r *Reader) open(ctx context.Context, q Query, at position) (Page, error) {
	var rows []Row
	last, more := at.After, true
	for lists := 0; more && lists < MaxScan/listSize; lists++ {
		objects, further, err := r.store.ListPage(ctx, r.bucket, openFolder, openFolder+last, listSize)
		if err != nil {
			return Page{}, err
		}
		more = further
		for _, o := range objects {
			last = strings.TrimPrefix(o.Name, openFolder)
			e := parseEntry(last, o)
			e.Shown = cmp.Or(e.Shown, e.State)
			if e.Shown == q.State && q.takes(e.Summary()) {
				rows = append(rows, Row{Summary: e.Summary(), Waits: e.Waits})
			}
		}
	}
	slices.SortFunc(rows, func(a, b Row) int { return strings.Compare(placeOf(a.Summary), placeOf(b.Summary)) })
	first := 0
	if at.Shown != "" {
		for first < len(rows) && placeOf(rows[first].Summary) <= at.Shown {
			first++
		}
	}
	p := Page{Attempts: rows[first:min(first+q.most(), len(rows))]}
	switch n := len(p.Attempts); {
	case first+n < len(rows):
		p.Next = q.token(at.After, placeOf(p.Attempts[n-1].Summary))
	case more:
		p.Next = q.token(last, "")
	}
	return p, nil
}

// Attempt returns the snapshot of an attempt, with its history, or [job.ErrNotFound]. It makes one call.
func (r *Reader) Attempt(ctx context.Context, key string) (job.Snapshot, error) {
	record, err := r.Record(ctx, key)
	if err != nil {
		return job.Snapshot{}, err
	}
	return record.Snapshot(), nil
}

// Newest returns the newest attempt of a folder of the inbox, given with its final slash, or [job.ErrNotFound]. It reads
// the folder's note, and lists the records that come after the newest attempt there: one list as a rule. It returns
// [ErrQuery] if those are more than MaxScan.
func (r *Reader) Newest(ctx context.Context, bucket, folder string) (key string, err error) {
	var note attempt.FolderNote
	data, _, err := r.store.Read(ctx, r.bucket, noteName(bucket, folder), 0, noteLimit)
	if err == nil {
		err = json.Unmarshal(data, &note)
	}
	if err != nil && !errors.Is(err, job.ErrNotFound) {
		return "", fmt.Errorf("read gs://%s/%s: %w", r.bucket, noteName(bucket, folder), err)
	}
	// The note has no attempt without a decision, and no rerun. Records of a folder are in the order of their numbers:
	// generations have 16 digits until 2286.
	key = note.Newest.Attempt
	prefix := "attempts/" + job.FolderKey(bucket, folder) + "-"
	after, more := prefix, true
	if key != "" {
		after = recordName(key)
	}
	for lists := 0; more; lists++ {
		if lists == MaxScan/listSize {
			return "", fmt.Errorf("%w: the folder %q has more than %d attempts without a decision: name one of them",
				ErrQuery, folder, MaxScan)
		}
		var objects []job.Attributes
		if objects, more, err = r.store.ListPage(ctx, r.bucket, prefix, after, listSize); err != nil {
			return "", err
		}
		for _, o := range objects {
			after = o.Name
			if name := strings.TrimSuffix(path.Base(o.Name), ".json"); attemptForm.MatchString(name) {
				key = name
			}
		}
	}
	if key == "" {
		return "", fmt.Errorf("an attempt of gs://%s/%s: %w", bucket, folder, job.ErrNotFound)
	}
	return key, nil
}

// Record returns all that is known of an attempt, or [job.ErrNotFound]. It makes one call.
func (r *Reader) Record(ctx context.Context, key string) (attempt.Record, error) {
	if !attemptForm.MatchString(key) {
		return attempt.Record{}, fmt.Errorf("%w: %.80q is not an attempt: it has 40 hexadecimal digits, - and the "+
			"job file's generation", ErrQuery, key)
	}
	s, err := readRecord(ctx, r.store, r.bucket, key)
	return s.Record, err
}

// Queue returns who waits for a turn, as the tick at its time has seen it; an empty queue if nobody ever waited.
func (r *Reader) Queue(ctx context.Context) (attempt.Queue, error) {
	var q attempt.Queue
	data, _, err := r.store.Read(ctx, r.bucket, queueName, 0, attempt.MaxQueue)
	if errors.Is(err, job.ErrNotFound) {
		return q, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &q)
	}
	if err != nil {
		return attempt.Queue{}, fmt.Errorf("read gs://%s/%s: %w", r.bucket, queueName, err)
	}
	return q, nil
}

// Turns returns the turns under the policy's limits, as the last tick has given them.
func (r *Reader) Turns(ctx context.Context) (attempt.Turns, error) {
	return readTurns(ctx, r.store, r.bucket)
}

// Since returns attempts of which something was published since a time: those without a verdict, then those whose
// verdict came since, each in no order. Of the latter it looks at those that were dropped after a time, reach. It makes
// a list for each 1,000 attempts that are open, and for each verdict one for each 1,000 attempts dropped after reach. It
// returns at most so many attempts, and whether there are more.
func (r *Reader) Since(ctx context.Context, since, reach time.Time, most int) (rows []Row, more bool, err error) {
	err = r.each(ctx, openFolder, func(name string, o job.Attributes) bool {
		e := parseEntry(name, o)
		if e.Shown = cmp.Or(e.Shown, e.State); !e.Written.Before(since) {
			rows = append(rows, Row{Summary: e.Summary(), Waits: e.Waits})
		}
		return len(rows) <= most
	})
	for _, state := range states {
		if !state.Terminal() || err != nil || len(rows) > most {
			continue
		}
		err = r.each(ctx, endedFolderOf(state), func(name string, o job.Attributes) bool {
			row, ok := placed(name, o.Metadata)
			if ok && !row.Concluded.Before(since) {
				rows = append(rows, row)
			}
			return len(rows) <= most && (!ok || row.Dropped.After(reach))
		})
	}
	return rows[:min(len(rows), most)], len(rows) > most, err
}

// each calls do with each object of a folder, and its name there, until do returns false.
func (r *Reader) each(ctx context.Context, folder string, do func(name string, o job.Attributes) bool) error {
	for after, more := folder, true; more; {
		objects, further, err := r.store.ListPage(ctx, r.bucket, folder, after, listSize)
		if err != nil {
			return err
		}
		more = further
		for _, o := range objects {
			if after = o.Name; !do(strings.TrimPrefix(o.Name, folder), o) {
				return nil
			}
		}
	}
	return nil
}
