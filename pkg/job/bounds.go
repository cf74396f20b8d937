package job

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// What people drop and what trainers say enters the record, its events and
// status.json. Each text and list of them has its bound in this file. Bounds count
// bytes of JSON, in which one byte may take six. A test makes the largest record and
// the largest event, and holds them to these limits.
const (
	// MaxEvent is the most bytes of an event's body as JSON. A message of Pub/Sub has
	// at most 10 MB, its attributes among them.
	MaxEvent = 4 << 20
	// MaxSpec is the largest job in bytes of JSON, before its packages are staged.
	// A job file has at most 256 KiB, and JSON may need six bytes for a character.
	// Aliases can make more of it, within the decoder's limit.
	MaxSpec = 7 << 20
	// MaxLabels is the most bytes of the labels as JSON: 64 with 63 characters each.
	MaxLabels = 64 << 10
	// Bounds of lists. The receipt of the most packages takes 125 KiB with the longest of plain
	// names.
	maxItems        = MaxPackages
	listBytes       = 64 << 10
	receiptBytes    = 256 << 10
	MaxViolations   = 200
	violationsBytes = 128 << 10

	// codeText is the longest name of an error, linkText the longest link.
	codeText = 64
	linkText = 4 << 10
	// MaxText is the longest text of a summary: an object's name has at most
	// 1,024 bytes, its bucket 222. Texts for people are no longer either.
	MaxText = 1300
	// backendText is the longest message of the trainer: a traceback, not a log.
	backendText = 32 << 10
	// MaxHistory is the most events that a history holds. Most attempts have ten.
	MaxHistory = 64
	// firstHistory is how many events of a longer history are kept from its beginning.
	firstHistory = 16
	// historyText is the longest reason in a history.
	historyText = 200
	// uploaderText is the longest text of an uploader, except the URL.
	uploaderText = 256
	// maxRoutes and routeText bound the routes that a job file names.
	maxRoutes = 16
	routeText = 128
	// MaxExcerpt is the longest excerpt of a log, MaxPerson the longest name of who asked for something.
	MaxExcerpt = 6 << 10
	MaxPerson  = 256
)

// runeSize returns how many bytes a character takes in JSON as encoding/json writes
// it, where size is how many it takes as UTF-8.
func runeSize(r rune, size int) int {
	switch {
	case r == '"', r == '\\', r == '\b', r == '\f', r == '\n', r == '\r', r == '\t':
		return 2
	case r < ' ', r == '<', r == '>', r == '&', r == '\u2028', r == '\u2029', r == utf8.RuneError && size == 1:
		return 6
	}
	return size
}

// TextSize returns how many bytes a text takes in JSON, without its quotes.
func TextSize(text string) int {
	n := 0
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		n += runeSize(r, size)
		i += size
	}
	return n
}

// BoundText cuts a text that takes more than limit bytes of JSON, between characters,
// and ends it with an ellipsis then. What is not UTF-8 is replaced.
func BoundText(text string, limit int) string {
	over := len(text) > limit
	if over {
		text = text[:limit]
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	const ellipsis = "…"
	n, cut := 0, 0
	for i, r := range text {
		if n <= limit-len(ellipsis) {
			cut = i // as much as leaves room for the ellipsis
		}
		n += runeSize(r, utf8.RuneLen(r))
	}
	if over || n > limit {
		return text[:cut] + ellipsis
	}
	return text
}

// Larger reports whether values take more than limit bytes of JSON together. It
// ends as soon as they do: aliases of YAML let a small file stand for gigabytes.
func Larger(limit int, values ...any) bool {
	for _, v := range values {
		if limit = left(reflect.ValueOf(v), limit); limit < 0 {
			return true
		}
	}
	return false
}

// left returns how many of n bytes remain after a value is written as JSON. It is
// negative if the value takes more.
func left(v reflect.Value, n int) int {
	const number = 24 // the longest of a number, a truth value or null
	if n < 0 {
		return n
	}
	switch v.Kind() {
	case reflect.String:
		return n - TextSize(v.String()) - len(`"",`)
	case reflect.Pointer:
		if !v.IsNil() {
			return left(v.Elem(), n)
		}
	case reflect.Slice:
		for i := 0; i < v.Len() && n >= 0; i++ {
			n = left(v.Index(i), n)
		}
	case reflect.Map:
		for entry := v.MapRange(); n >= 0 && entry.Next(); {
			n = left(entry.Value(), left(entry.Key(), n))
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return n - len(`"2026-11-22T12:00:00.123456789+00:00",`)
		}
		for i := range v.NumField() {
			if f := v.Field(i); !f.IsZero() {
				n = left(f, n-len(v.Type().Field(i).Tag.Get("json"))-len(`"":`))
			}
		}
	}
	return n - number
}

// fitting returns how many of a list's first items there may be: most at most, in so
// many bytes.
func fitting[T any](list []T, most, bytes int, size func(T) int) int {
	for i, item := range list {
		if bytes -= size(item); bytes < 0 || i == most {
			return i
		}
	}
	return len(list)
}

// size returns how many bytes the object takes in JSON, at most.
func (o Object) size() int {
	const rest = 200 // names of fields, numbers, a time
	return TextSize(o.Bucket) + TextSize(o.Name) + TextSize(o.CRC32C) + TextSize(o.CorrelationID) + rest
}

// Anonymous returns objects without their correlation IDs: only the job file's is
// anybody's.
func Anonymous(objects []Object) []Object {
	objects = slices.Clone(objects)
	for i := range objects {
		objects[i].CorrelationID = ""
	}
	return objects
}

// BoundObjects returns the first of the packages that have come.
func BoundObjects(objects []Object) (bounded []Object, cut bool) {
	n := fitting(objects, maxItems, listBytes, Object.size)
	return Anonymous(objects[:n]), n < len(objects)
}

// BoundTexts returns the first of the texts, each shortened.
func BoundTexts(texts []string) (bounded []string, cut bool) {
	n := 0
	for left := listBytes; n < len(texts) && n < maxItems; n++ {
		text := BoundText(texts[n], MaxText)
		if left -= TextSize(text) + len(`"",`); left < 0 {
			break
		}
		bounded = append(bounded, text)
	}
	return bounded, n < len(texts)
}

// bounded returns the receipt as events tell of it: the first of its objects.
func (r *Receipt) bounded() (*Receipt, bool) {
	if r == nil {
		return nil, false
	}
	objects := fitting(r.Objects, len(r.Objects), receiptBytes, Object.size)
	staged, cut := BoundTexts(r.Staged)
	return &Receipt{Objects: r.Objects[:objects], Staged: staged, Content: r.Content}, cut || objects < len(r.Objects)
}

// bounded returns the summary as events tell of it: the first of its packages.
func (s *Summary) bounded() (*Summary, bool) {
	if s == nil {
		return nil, false
	}
	copied, cut := *s, false
	copied.Packages, cut = BoundTexts(s.Packages)
	return &copied, cut
}

// bounded returns the violation with its texts shortened.
func (v Violation) bounded() Violation {
	for _, text := range [...]*string{(*string)(&v.Rule), &v.File, &v.Field, &v.Found, &v.Allowed, &v.Message, &v.Remedy} {
		*text = BoundText(*text, MaxText)
	}
	return v
}

// size returns how many bytes the violation takes in JSON, at most.
func (v Violation) size() int {
	const rest = 200 // names of fields, the severity, numbers
	return TextSize(string(v.Rule)) + TextSize(v.File) + TextSize(v.Field) + TextSize(v.Found) +
		TextSize(v.Allowed) + TextSize(v.Message) + TextSize(v.Remedy) + rest
}

// BoundViolations returns as many violations as an event can tell of: the first ones,
// errors rather than warnings, each shortened. If some are left out, the last one says
// how many.
func BoundViolations(vs []Violation) []Violation {
	bounded, _ := boundViolations(vs)
	return bounded
}

// boundViolations reports also whether any were left out.
func boundViolations(vs []Violation) (bounded []Violation, cut bool) {
	for _, v := range vs {
		bounded = append(bounded, v.bounded())
	}
	if fitting(bounded, MaxViolations, violationsBytes, Violation.size) == len(vs) {
		return bounded, false
	}
	rest := Violation{Rule: RuleTooManyViolations, Severity: Warning, File: bounded[0].File, Remedy: "correct these first"}
	n, bytes := MaxViolations-1, violationsBytes-rest.size()-100
	kept := make([]bool, len(vs))
	for _, severity := range [...]Severity{Error, Warning} {
		for i, v := range bounded {
			if (v.Severity == Warning) != (severity == Warning) {
				continue
			}
			if n == 0 || bytes < v.size() {
				rest.Severity = severity
				break
			}
			kept[i], n, bytes = true, n-1, bytes-v.size()
		}
		if rest.Severity == Error {
			break // no warning takes an error's place
		}
	}
	var some []Violation
	for i, v := range bounded {
		if kept[i] {
			some = append(some, v)
		}
	}
	rest.Message = fmt.Sprintf("there are %d more violations", len(vs)-len(some))
	return append(some, rest), true
}

// BoundRoutes returns as many routes as a record holds: one more than an event shows, so that the
// event says that it leaves some out.
func BoundRoutes(routes []string) []string {
	var bounded []string
	for _, route := range routes[:min(len(routes), maxRoutes+1)] {
		bounded = append(bounded, BoundText(route, routeText))
	}
	return bounded
}

// boundRoutes returns the first of the routes, each shortened.
func boundRoutes(routes []string) (bounded []string, cut bool) {
	for _, route := range routes[:min(len(routes), maxRoutes)] {
		bounded = append(bounded, BoundText(route, routeText))
	}
	return bounded, len(routes) > maxRoutes
}

// Remember returns a history with one more event. Of a history that is too long the oldest events of
// its middle are left out: the first ones say how the attempt began, the last ones how it stands.
func Remember(history []HistoryEntry, e HistoryEntry) []HistoryEntry {
	e.Reason = BoundText(e.Reason, historyText)
	history = append(slices.Clone(history), e) // the events before have it, too
	if over := len(history) - MaxHistory; over > 0 {
		history = slices.Delete(history, firstHistory, firstHistory+over)
	}
	return history
}

// Bounded returns the snapshot with every text and list within its bounds; it
// changes nothing of one that is. What a record holds is bounded as it enters. The
// exceptions are the receipt, which a record keeps whole, and the events that an
// earlier revision wrote.
func (s Snapshot) Bounded() Snapshot {
	var cut [6]bool
	s.Reason = BoundText(s.Reason, MaxText)
	s.Job.ID, s.Job.ResourceName = BoundText(s.Job.ID, MaxText), BoundText(s.Job.ResourceName, MaxText)
	s.Job.Summary, cut[0] = s.Job.Summary.bounded()
	s.Drop.Arrived, cut[1] = BoundObjects(s.Drop.Arrived)
	s.Drop.Missing, cut[2] = BoundTexts(s.Drop.Missing)
	s.Drop.Receipt, cut[3] = s.Drop.Receipt.bounded()
	s.Violations, cut[4] = boundViolations(s.Violations)
	if s.Error != nil {
		failure := *s.Error
		failure.Code, failure.Message = BoundText(failure.Code, codeText), BoundText(failure.Message, backendText)
		failure.Excerpt = BoundText(failure.Excerpt, MaxExcerpt)
		s.Error = &failure
	}
	s.Notify, cut[5] = boundRoutes(s.Notify)
	if c := s.CancelRequested; c != nil {
		s.CancelRequested = &CancelRequest{
			Kind: c.Kind, Reason: BoundText(c.Reason, MaxText), By: BoundText(c.By, MaxPerson), At: c.At,
		}
	}
	if r := s.Rerun; r != nil {
		s.Rerun = &Rerun{Of: r.Of, Reason: BoundText(r.Reason, MaxText), By: BoundText(r.By, MaxPerson), At: r.At}
	}
	for _, link := range [...]*string{&s.Links.Console, &s.Links.Logs} {
		if TextSize(*link) > linkText {
			*link = "" // a part of one leads nowhere
		}
	}
	s.Truncated = s.Truncated || slices.Contains(cut[:], true)
	return s
}

// TooLarge returns the violation of a job file that stands for more than can be
// recorded.
func TooLarge(file string) Violation {
	return Violation{
		Rule: ruleJobSize, Severity: Error, File: file,
		Message: "the job is too large, with what aliases stand for counted at each use",
		Allowed: fmt.Sprintf("at most %d bytes as JSON, %d of them labels", MaxSpec, MaxLabels),
		Remedy:  "shorten the lists and texts; put long input into a file that the trainer reads",
	}
}
