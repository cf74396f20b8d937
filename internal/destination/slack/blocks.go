package slack

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/destination"
	"github.com/jobdrop/jobdrop/internal/notice"
)

// Slack's limits: https://docs.slack.dev/reference/block-kit/blocks. The last one is not documented:
// msg_blocks_too_long comes from about 13,200 characters on (slackapi/bolt-js, issue 2509). A message may have 50
// blocks, a section 3,000 characters and its fields 2,000 each: what is below leaves these far away.
const (
	maxHeader = 150
	maxFields = 10
	maxTotal  = 13000
)

// The most characters of each part, escaped, and how many parts there are of a kind.
const (
	mostSummary = 1500
	mostLabel   = 40
	mostValue   = 250
	mostExcerpt = 2800
	mostStep    = 500
	mostSteps   = 5
	mostFault   = 300
	mostFaults  = 3
	mostURL     = 700
	mostLinks   = 3
	mostOwners  = 10
)

// block is a layout block, and object the text in one.
type block struct {
	Type     string   `json:"type"`
	Text     *object  `json:"text,omitempty"`
	Fields   []object `json:"fields,omitempty"`
	Elements []object `json:"elements,omitempty"`
}

type object struct {
	Type string `json:"type"`
	Text string `json:"text"`
	// Verbatim keeps Slack from making links of what looks like a URL or a channel.
	Verbatim bool `json:"verbatim,omitempty"`
}

func markup(s string) object { return object{Type: "mrkdwn", Text: s, Verbatim: true} }

func section(s string) block {
	text := markup(s)
	return block{Type: "section", Text: &text}
}

// escape returns a character as Slack's text has it. These three are all that has to be escaped:
// https://docs.slack.dev/messaging/formatting-message-text#escaping
func escape(r rune) string {
	switch r {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	}
	return string(r)
}

// line returns a job's text on one line as Slack's, of at most that many characters, and lines its first lines.
func line(s string, most int) string {
	return destination.Clip(apart(destination.Flat(s, most)), most, escape)
}

func lines(s string, most int) string {
	return destination.Clip(apart(destination.Clean(s, most)), most, escape)
}

// apart returns a text in which no two backticks stand together: a character without width keeps them from opening or
// closing a fence.
func apart(s string) string {
	for strings.Contains(s, "``") {
		s = strings.ReplaceAll(s, "``", "`\u200b`")
	}
	return s
}

// fenced returns a text between fences.
func fenced(s string) string { return "```\n" + s + "\n```" }

// symbol returns what a level looks like.
func symbol(l notice.Level) string {
	switch l {
	case notice.Good:
		return "✅"
	case notice.Careful:
		return "⚠️"
	case notice.Critical:
		return "❌"
	}
	return "ℹ️"
}

// isID reports whether a text is the ID of a user or a group, as the routes file takes them: nothing else may become
// markup.
func isID(s string) bool {
	const capitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return len(s) >= 5 && len(s) <= 21 && strings.Contains("UWS", s[:1]) && strings.Trim(s, capitals+"0123456789") == ""
}

// mentions returns what calls the owners. Nothing else in a message does.
func mentions(owners []notice.Owner) string {
	var all []string
	for _, o := range owners[:min(len(owners), mostOwners)] {
		switch {
		case !isID(o.Slack):
		case o.Slack[0] == 'S':
			all = append(all, "<!subteam^"+o.Slack+">")
		default:
			all = append(all, "<@"+o.Slack+">")
		}
	}
	return strings.Join(all, " ")
}

// fallback is the text of notifications, and of clients that show no blocks.
func fallback(t notice.Text, mention bool) string {
	parts := []string{symbol(t.Level) + " " + line(t.Title, maxHeader)}
	if calls := mentions(t.Owners); mention && calls != "" {
		parts[0] = calls + " " + parts[0]
	}
	if summary := lines(t.Summary, mostSummary); summary != "" {
		parts = append(parts, summary)
	}
	return strings.Join(parts, "\n")
}

// state returns the blocks that show a conversation's state.
func state(t notice.Text) []block {
	return bounded(func(int) []block { return append(head(t), links(t)...) })
}

// news returns the blocks that tell of an event: all that is known, and its owners are called.
func news(m delivery.Message) []block {
	t := m.Text
	return bounded(func(part int) []block {
		var all []block
		if calls := mentions(t.Owners); calls != "" {
			all = append(all, section(calls))
		}
		all = append(all, head(t)...)
		log := destination.End(apart(destination.Tail(t.Excerpt, mostExcerpt)), mostExcerpt/part, escape)
		if log != "" {
			all = append(all, section("*"+destination.ExcerptLabel(m)+"*\n"+fenced(log)))
		}
		for _, s := range t.Next[:min(len(t.Next), mostSteps)] {
			step := "• " + line(s.Text, mostStep/part)
			if s.Command != "" {
				step += "\n" + fenced(line(s.Command, mostStep/part))
			}
			all = append(all, section(step))
		}
		var notes []object
		if t.Repeats > 0 {
			notes = append(notes, markup(line(destination.Repeats(t), mostFault)))
		}
		for _, f := range t.Faults[:min(len(t.Faults), mostFaults)] {
			notes = append(notes, markup("⚠️ "+line(f, mostFault/part)))
		}
		if len(notes) > 0 {
			all = append(all, block{Type: "context", Elements: notes})
		}
		return append(all, links(t)...)
	})
}

// head returns the blocks that say what happened to what.
func head(t notice.Text) []block {
	title := object{Type: "plain_text", Text: line(symbol(t.Level)+" "+t.Title, maxHeader)}
	all := []block{{Type: "header", Text: &title}}
	if summary := lines(t.Summary, mostSummary); summary != "" {
		all = append(all, section(summary))
	}
	var fields []object
	for _, f := range t.Facts[:min(len(t.Facts), maxFields)] {
		fields = append(fields, markup("*"+line(f.Label, mostLabel)+"*\n"+line(f.Value, mostValue)))
	}
	if len(fields) > 0 {
		all = append(all, block{Type: "section", Fields: fields})
	}
	return all
}

// links returns the block of a text's links, if it has any.
func links(t notice.Text) []block {
	var all []object
	for _, l := range destination.Links(t, mostLinks, mostURL) {
		to := strings.ReplaceAll(l.URL, "|", "%7C") // a bar would end the URL
		all = append(all, markup("<"+strings.ReplaceAll(to, "&", "&amp;")+"|"+line(l.Label, mostLabel)+">"))
	}
	if len(all) == 0 {
		return nil
	}
	return []block{{Type: "context", Elements: all}}
}

// bounded returns the blocks that make writes, with less of what may be shortened until they are small enough.
func bounded(make func(part int) []block) []block {
	for part := 1; ; part *= 2 {
		if all := make(part); part >= 64 || destination.Size(string(encode(all))) <= maxTotal {
			return all
		}
	}
}

// encode returns JSON in which <, > and & stand as they are: as others they would count more.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // structs of texts and numbers
	}
	return bytes.TrimSpace(b.Bytes())
}
