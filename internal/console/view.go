package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/jobdrop/jobdrop/internal/account"
	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// page is what a handler returns: the template to render, and its data.
type page struct {
	// view names the template. title is the page's.
	view, title string
	// section is the address of the part of the console that the page is of.
	section string
	// data is the template's: a struct of the handler's own.
	data any
	// live reports that the page has a part that changes.
	live bool
	// stream is the address of what is new on the page, if that is not the page's own.
	stream string
}

// shell is what the templates get.
type shell struct {
	Title, Section, Instance, Viewer string
	// Part is the part of the page that may change, rendered. Version is that of the part; empty if it does not change.
	// Stream is where its changes come from, if not from the page's own address.
	Part            template.HTML
	Version, Stream string
	// Now is what ages are counted from. Seen is when the page was made.
	Now, Seen time.Time
	Data      any
}

//go:embed templates
var templateFiles embed.FS

//go:embed assets
var assetFiles embed.FS

// views holds a template for each view. Each has the shell of base.html, and defines "live", the part that changes.
type views map[string]*template.Template

func parseViews() (views, error) {
	base, err := template.New("base.html").Funcs(functions).ParseFS(templateFiles, "templates/base.html")
	if err != nil {
		return nil, err
	}
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	all := views{}
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if name == "base" {
			continue
		}
		t, err := template.Must(base.Clone()).ParseFS(templateFiles, file)
		if err != nil {
			return nil, err
		}
		all[name] = t
	}
	return all, nil
}

// write answers with a page. It renders the whole of it before it writes any.
func (s *Server) write(w http.ResponseWriter, status int, r request, p page) {
	var b bytes.Buffer
	own := s.shell(r, p)
	part, err := s.part(own, p)
	if err == nil {
		switch {
		case p.stream != "":
			own.Version, own.Stream = "stream", p.stream
		case p.live:
			own.Version = versionOf(part)
		}
		own.Part = template.HTML(part) // a template of ours escaped it
		err = s.views[p.view].Execute(&b, own)
	}
	if err != nil {
		http.Error(w, "This page broke.", http.StatusInternalServerError)
		s.Logger.Error("a template failed", "view", p.view, "error", err.Error())
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.Header().Add("Vary", "Accept")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // whoever went away misses nothing
}

func (s *Server) shell(r request, p page) shell {
	return shell{
		Title: p.title, Section: p.section, Instance: s.Instance, Viewer: r.who, Now: r.now, Seen: s.Now(), Data: p.data,
	}
}

// part renders the part of a page that changes.
func (s *Server) part(own shell, p page) ([]byte, error) {
	var b bytes.Buffer
	if err := s.views[p.view].ExecuteTemplate(&b, "live", own); err != nil {
		return nil, fmt.Errorf("view %s: %w", p.view, err)
	}
	return b.Bytes(), nil
}

// words matches what a page says of how long ago a time was. The browser's script keeps it up to date by itself.
var words = regexp.MustCompile(`data-words>[^<]*<`)

// versionOf returns a name for a state of a page's part, which does not change with the words for its times.
func versionOf(part []byte) string {
	sum := sha256.Sum256(words.ReplaceAll(part, nil))
	return hex.EncodeToString(sum[:8])
}

// functions are those of the templates.
var functions = template.FuncMap{
	"age":      age,
	"ago":      ago,
	"asset":    assetAddress,
	"choice":   choice,
	"colour":   account.ToneOf,
	"cut":      func(most int, s string) string { return visible(text.Shorten(s, most)) },
	"duration": duration,
	"number":   number,
	"one":      oneLine,
	"sentence": sentence,
	"size":     byteSize,
	"size64":   func(n int) string { return byteSize(int64(n)) },
	"time":     timeElement,
	"visible":  visible,
	"word":     word,
}

// visible returns a text of a drop or its job fit for a page: with signs in place of the characters that can't be seen,
// or that steer a terminal or the direction of the text.
func visible(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || text.Invisible(r) }) {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case r < ' ':
			b.WriteRune('\u2400' + r) // the pictures of control characters
		case r == 0x7f:
			b.WriteRune('\u2421')
		case unicode.IsControl(r) || text.Invisible(r):
			fmt.Fprintf(&b, "<%U>", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// oneLine returns a text of a drop in one line of at most so many characters.
func oneLine(most int, s string) string {
	return strings.ReplaceAll(visible(text.Shorten(s, most)), "\n", "\u240a")
}

// exactly is how a time is written where it has to be exact.
const exactly = "2006-01-02 15:04:05 UTC"

// timeElement returns a time as an element. The browser's script puts it into the viewer's zone.
func timeElement(t time.Time) template.HTML {
	if t.IsZero() {
		return "–"
	}
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s">%s</time>`, t.Format(time.RFC3339Nano), t.Format(exactly),
		t.Format("2006-01-02 15:04:05"))) // digits and signs of ours
}

// instant matches a time in a sentence, in the two forms that sentences of jobdrop have.
var instant = regexp.MustCompile(`\b[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:]{8}Z| [0-9:]{8} UTC)\b`)

// sentence returns a text as oneLine does, with its times as elements. The browser's script puts them into the viewer's
// zone.
func sentence(most int, s string) template.HTML {
	escaped := template.HTMLEscapeString(oneLine(most, s))
	return template.HTML(instant.ReplaceAllStringFunc(escaped, func(found string) string { // digits and signs of its form
		t, err := time.Parse(exactly, found)
		if err != nil {
			t, err = time.Parse(time.RFC3339, found)
		}
		if err != nil {
			return found
		}
		return fmt.Sprintf(`<time datetime="%s" title="%s">%s</time>`, t.Format(time.RFC3339), t.Format(exactly), found)
	}))
}

// ago returns how long ago a time was, as an element that has the time itself, too.
func ago(now, t time.Time) template.HTML {
	if t.IsZero() {
		return "–"
	}
	t = t.UTC()
	words := age(now.Sub(t)) + " ago"
	if t.After(now.Add(time.Second)) {
		words = "in " + age(t.Sub(now))
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s" data-words>%s</time>`, t.Format(time.RFC3339Nano),
		t.Format(exactly), words))
}

// age returns a duration as [text.Age] does, and one below a second in milliseconds: a check takes some hundred.
func age(d time.Duration) string {
	if d > 0 && d < time.Second {
		return fmt.Sprintf("%dms", d.Milliseconds())
	}
	return text.Age(d)
}

func duration(d job.Duration) string { return age(time.Duration(d)) }

// byteSize returns a number of bytes in the largest unit that leaves a digit before the point.
func byteSize(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, names := float64(n)/unit, []string{"KiB", "MiB", "GiB", "TiB", "PiB"}
	for value >= unit && len(names) > 1 {
		value, names = value/unit, names[1:]
	}
	return fmt.Sprintf("%.1f %s", value, names[0])
}

// number returns a number with few digits.
func number(v any) string {
	switch v := v.(type) {
	case float64:
		return strconv.FormatFloat(v, 'g', 6, 64)
	case *float64:
		return strconv.FormatFloat(*v, 'g', 6, 64)
	}
	return fmt.Sprint(v)
}

// word returns a state as people say it.
func word(s job.State) string {
	if s == "" {
		return "new"
	}
	return strings.ReplaceAll(string(s), "_", " ")
}

// choice returns a state as a filter offers it. What people say of one state is the name of another: most accepted
// attempts wait, too.
func choice(s job.State) string {
	switch s {
	case job.Waiting:
		return "waiting for packages"
	case job.Accepted:
		return "accepted, in the queue"
	}
	return word(s)
}

// googleURL returns the address at which Google shows an object to whoever may read it: another origin than the
// console's.
func googleURL(o job.Object) string {
	return "https://storage.cloud.google.com/" + url.PathEscape(o.Bucket) + "/" + escapePath(o.Name)
}

// escapePath escapes each part of an object's name.
func escapePath(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}
