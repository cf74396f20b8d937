package destination

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/notice"
	"github.com/jobdrop/jobdrop/pkg/event"
)

// mostLabel is the longest label of a link, in characters.
const mostLabel = 60

// Links returns the first of a text's links: those that lead to a page by http or https, whose URLs have at most that
// many bytes, all of visible ASCII. A URL is never shortened: it would lead elsewhere.
func Links(t notice.Text, count, most int) []notice.Link {
	var all []notice.Link
	for _, l := range t.Links {
		if len(l.URL) > most {
			continue
		}
		u, err := url.Parse(l.URL)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			continue
		}
		to := u.String()
		if len(to) > most || strings.ContainsFunc(to, odd) {
			continue
		}
		label := Line(l.Label, mostLabel)
		if label == "" {
			label = Line(u.Host, mostLabel)
		}
		if all = append(all, notice.Link{Label: label, URL: to}); len(all) == count {
			break
		}
	}
	return all
}

// odd reports whether a character has no place in a URL.
func odd(r rune) bool { return r <= ' ' || r > '~' || r == '<' || r == '>' }

// ExcerptLabel returns what stands above the excerpt of a message's text. An error that came without the end of a log
// has its own message there.
func ExcerptLabel(m delivery.Message) string {
	if e := m.Event.Body.Error; e != nil && e.Excerpt == "" && e.Message != "" {
		return "The error"
	}
	return "The end of the log"
}

// Installation returns the name of the installation that a message's event comes from, or nothing.
func Installation(m delivery.Message) string {
	name, ok := strings.CutPrefix(m.Event.CloudEvent.Source(), event.Source(""))
	if !ok {
		return ""
	}
	return name
}

// Heartbeat returns the name of the destination that a heartbeat tests. ok reports whether a message is one.
func Heartbeat(m delivery.Message) (name string, ok bool) {
	if m.Event.Kind() != notice.Heartbeat {
		return "", false
	}
	var body struct {
		Destination string `json:"destination"`
	}
	if m.Event.CloudEvent.DataAs(&body) != nil || body.Destination == "" {
		return "a destination", true
	}
	return body.Destination, true
}

// Repeats says how often the same came before and was not sent; nothing if it did not.
func Repeats(t notice.Text) string {
	if t.Repeats == 0 {
		return ""
	}
	s := fmt.Sprintf("The same came %d times before, and was not sent", t.Repeats)
	if t.Repeats == 1 {
		s = "The same came once before, and was not sent"
	}
	if !t.Since.IsZero() {
		s += ": first at " + t.Since.UTC().Format("2006-01-02 15:04 MST")
	}
	return s + "."
}
