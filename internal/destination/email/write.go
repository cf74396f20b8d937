package email

import (
	"fmt"
	"html"
	"net/mail"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/destination"
	"github.com/jobdrop/jobdrop/internal/notice"
)

// The most characters and parts of a mail. RFC 5322 takes lines of 998 characters: a subject stays far below.
const (
	mostSubject = 200
	mostTitle   = 300
	mostSummary = 2000
	mostLabel   = 60
	mostValue   = 500
	mostExcerpt = 8000
	mostURL     = 1000
	mostParts   = 12
)

// write returns the mail of a message to one recipient. The boundary between its parts is random: a job that knew it
// could end a part by a line of its log.
func (e *Email) write(m delivery.Message, to *mail.Address) (*gomail.Msg, error) {
	mail := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := mail.From(e.from.String()); err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	if err := mail.To(to.String()); err != nil {
		return nil, fmt.Errorf("to: %w", err)
	}
	// The thread's root is not a mail. All mails of a conversation name it, so that mailboxes show them together
	// whichever comes first.
	root := "<" + key(m.Conversation) + ".thread@" + e.domain + ">"
	mail.SetMessageIDWithValue(key(m.ID) + "@" + e.domain)
	mail.SetGenHeader(gomail.HeaderInReplyTo, root) // preformatted headers come in no order
	mail.SetGenHeader(gomail.HeaderReferences, root)
	mail.SetGenHeader("Auto-Submitted", "auto-generated")
	mail.SetDateWithValue(e.options.Now())
	mail.Subject(subject(m))
	mail.SetBodyString(gomail.TypeTextPlain, plain(m))
	mail.AddAlternativeString(gomail.TypeTextHTML, page(m))
	return mail, nil
}

// subject is the same for all mails of a job: mailboxes put mails of different subjects into different threads. What
// happened stands in the first line of the mail, which they show beside it.
func subject(m delivery.Message) string {
	s := "[jobdrop]"
	if name := destination.Installation(m); name != "" {
		s = "[jobdrop " + name + "]"
	}
	if name, ok := destination.Heartbeat(m); ok {
		return destination.Line(s+" test of "+name, mostSubject)
	}
	drop, job := m.Event.Body.Drop, m.Event.Body.Job
	s += " " + strings.TrimSuffix(drop.Bucket+"/"+drop.Prefix, "/")
	if job.ID != "" {
		s += ": " + job.ID
	}
	return destination.Line(s, mostSubject)
}

// links returns the links of a text.
func links(t notice.Text) []notice.Link { return destination.Links(t, mostParts, mostURL) }

// excerpt returns the end of the log.
func excerpt(t notice.Text) string {
	return destination.LastLines(t.Excerpt, mostExcerpt)
}

// plain returns the mail without markup.
func plain(m delivery.Message) string {
	t := m.Text
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", destination.Line(t.Title, mostTitle))
	if summary := destination.Lines(t.Summary, mostSummary); summary != "" {
		fmt.Fprintf(&b, "\n%s\n", summary)
	}
	if len(t.Facts) > 0 {
		b.WriteString("\n")
	}
	for _, f := range t.Facts[:min(len(t.Facts), mostParts)] {
		fmt.Fprintf(&b, "%s: %s\n", destination.Line(f.Label, mostLabel), destination.Line(f.Value, mostValue))
	}
	if log := excerpt(t); log != "" {
		fmt.Fprintf(&b, "\n%s:\n\n", destination.ExcerptLabel(m))
		for l := range strings.SplitSeq(log, "\n") {
			fmt.Fprintf(&b, "    %s\n", l)
		}
	}
	if len(t.Next) > 0 {
		b.WriteString("\nWhat to do:\n")
	}
	for _, s := range t.Next[:min(len(t.Next), mostParts)] {
		fmt.Fprintf(&b, "- %s\n", destination.Line(s.Text, mostValue))
		if s.Command != "" {
			fmt.Fprintf(&b, "    %s\n", destination.Line(s.Command, mostValue))
		}
	}
	if all := links(t); len(all) > 0 {
		b.WriteString("\n")
		for _, l := range all {
			fmt.Fprintf(&b, "%s: %s\n", l.Label, l.URL)
		}
	}
	for _, n := range notes(t) {
		fmt.Fprintf(&b, "\n%s\n", n)
	}
	fmt.Fprintf(&b, "\n-- \n%s\n", footer(m))
	return b.String()
}

// footer returns why the reader gets the mail.
func footer(m delivery.Message) string {
	if _, ok := destination.Heartbeat(m); ok {
		return fmt.Sprintf("jobdrop sent this to show that mail reaches you. Event %s.",
			destination.Line(m.Event.ID(), mostSubject))
	}
	return fmt.Sprintf("jobdrop sent this by the route %s. Event %s.",
		destination.Line(m.Route, mostLabel), destination.Line(m.Event.ID(), mostSubject))
}

// band returns the colour of a message's level, and its name.
func band(m delivery.Message) (colour, name string) {
	switch m.Text.Level {
	case notice.Good:
		if m.Event.Kind() == notice.Heartbeat {
			return "#1a7f37", "Test"
		}
		return "#1a7f37", "Succeeded"
	case notice.Careful:
		return "#9a6700", "Warning"
	case notice.Critical:
		return "#b42318", "Needs attention"
	}
	return "#57606a", "For your information"
}

// The styles of the page stand at its elements: mailboxes take no others.
const (
	styleBody = "margin:0;padding:0;background:#f6f8fa;"
	styleCard = "width:100%;max-width:640px;margin:0 auto;background:#ffffff;border:1px solid #d0d7de;" +
		"border-radius:6px;border-collapse:separate;color:#1f2328;" +
		"font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;"
	styleBand  = "height:6px;line-height:6px;font-size:6px;border-radius:5px 5px 0 0;background:"
	styleWrap  = "overflow-wrap:anywhere;word-break:break-word;"
	styleLevel = "margin:0 0 4px;font-size:13px;line-height:18px;font-weight:600;color:"
	styleTitle = "margin:0;font-size:20px;line-height:27px;font-weight:600;" + styleWrap
	styleText  = "margin:0;font-size:15px;line-height:22px;" + styleWrap
	// Lines of a summary are indented as they come.
	styleSummary = styleText + "white-space:pre-wrap;"
	// Mailboxes show the beginning of a mail in their list: it is not shown again above the title.
	stylePreview = "display:none;max-height:0;overflow:hidden;font-size:1px;line-height:1px;color:#f6f8fa;"
	styleHead    = "margin:0 0 8px;font-size:14px;line-height:20px;color:#57606a;font-weight:600;"
	styleFact    = "vertical-align:top;font-size:14px;line-height:20px;" + styleWrap
	styleBlock   = "margin:0;padding:10px 12px;background:#f6f8fa;border:1px solid #d0d7de;border-radius:4px;" +
		"font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:13px;line-height:19px;" +
		"white-space:pre-wrap;" + styleWrap
	styleLink = "display:inline-block;margin:0 8px 8px 0;padding:6px 12px;border:1px solid #d0d7de;border-radius:6px;" +
		"font-size:14px;line-height:20px;color:#0969da;text-decoration:none;" + styleWrap
	styleNote = "margin:0;padding:8px 12px;background:#fff8c5;border:1px solid #d4a72c;border-radius:4px;" +
		"font-size:14px;line-height:20px;" + styleWrap
	styleFooter = "margin:0;font-size:12px;line-height:18px;color:#57606a;"
)

// element returns an element with a style. Its content is HTML.
func element(name, style, content string) string {
	return fmt.Sprintf(`<%s style="%s">%s</%s>`, name, style, content, name)
}

// page returns the mail as HTML. Everything that is not ours goes through html.EscapeString.
func page(m delivery.Message) string {
	t := m.Text
	colour, name := band(m)
	title := html.EscapeString(destination.Line(t.Title, mostTitle))
	var b strings.Builder
	fmt.Fprintf(&b, `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light"><title>%s</title></head>
<body style="%s">%s<div style="padding:16px 8px;">
<table role="presentation" cellpadding="0" cellspacing="0" style="%s">
`, title, styleBody, element("div", stylePreview, preview(t)), styleCard)
	row := func(style, content string) { b.WriteString("<tr>" + element("td", style, content) + "</tr>\n") }
	part := func(content string) { row("padding:18px 20px 0;", content) }
	row(styleBand+colour+";", "&nbsp;")
	part(element("p", styleLevel+colour+";", name) + element("h1", styleTitle, title))
	if summary := destination.Lines(t.Summary, mostSummary); summary != "" {
		part(element("p", styleSummary, strings.ReplaceAll(html.EscapeString(summary), "\n", "<br>")))
	}
	if len(t.Facts) > 0 {
		part(facts(t.Facts[:min(len(t.Facts), mostParts)]))
	}
	if log := excerpt(t); log != "" {
		part(element("p", styleHead, destination.ExcerptLabel(m)) + element("pre", styleBlock, html.EscapeString(log)))
	}
	if len(t.Next) > 0 {
		part(element("p", styleHead, "What to do") + steps(t.Next[:min(len(t.Next), mostParts)]))
	}
	if all := links(t); len(all) > 0 {
		var anchors []string
		for _, l := range all {
			anchors = append(anchors, fmt.Sprintf(`<a href="%s" style="%s">%s</a>`,
				html.EscapeString(l.URL), styleLink, html.EscapeString(l.Label)))
		}
		part(strings.Join(anchors, "\n"))
	}
	for _, n := range notes(t) {
		part(element("p", styleNote, html.EscapeString(n)))
	}
	row("padding:18px 20px 20px;", element("p", styleFooter+styleWrap, html.EscapeString(footer(m))))
	b.WriteString("</table></div></body></html>\n")
	return b.String()
}

// preview returns what a mailbox shows of a mail in its list: what happened, and the first line of why.
func preview(t notice.Text) string {
	s := destination.Line(t.Title, mostTitle)
	first, _, _ := strings.Cut(strings.TrimSpace(t.Summary), "\n")
	if first = destination.Line(first, mostTitle); first != "" {
		s += ": " + first
	}
	return html.EscapeString(s)
}

// notes returns what the reader should know of the message itself.
func notes(t notice.Text) []string {
	var all []string
	if again := destination.Repeats(t); again != "" {
		all = append(all, again)
	}
	for _, f := range t.Faults[:min(len(t.Faults), mostParts)] {
		all = append(all, "In the routes: "+destination.Line(f, mostValue))
	}
	return all
}

// facts returns a table of two columns.
func facts(all []notice.Fact) string {
	var rows []string
	for _, f := range all {
		label, value := destination.Line(f.Label, mostLabel), destination.Line(f.Value, mostValue)
		rows = append(rows, "<tr>"+
			element("td", "padding:4px 16px 4px 0;width:30%;color:#57606a;"+styleFact, html.EscapeString(label))+
			element("td", "padding:4px 0;"+styleFact, html.EscapeString(value))+"</tr>")
	}
	return `<table role="presentation" cellpadding="0" cellspacing="0" style="width:100%;border-collapse:collapse;">` +
		"\n" + strings.Join(rows, "\n") + "</table>"
}

// steps returns what to do, with the commands to type.
func steps(all []notice.Step) string {
	var b strings.Builder
	for _, s := range all {
		text := html.EscapeString(destination.Line(s.Text, mostValue))
		b.WriteString(element("p", styleText+"margin-bottom:8px;", text))
		if command := destination.Line(s.Command, mostValue); command != "" {
			b.WriteString(element("pre", styleBlock+"margin-bottom:12px;", html.EscapeString(command)))
		}
	}
	return b.String()
}
