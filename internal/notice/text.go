package notice

import "time"

// Text is what people are told of an event, in plain words. Its bounds keep it readable; a destination may
// shorten it further, and marks that.
type Text struct {
	// Level chooses colour and urgency.
	Level Level
	// Title is one line: what happened to what.
	Title string
	// Summary says why, in a sentence or two. It may be empty.
	Summary string
	// Facts are what a person asks next, in their order: whose, how long, since when.
	Facts []Fact
	// Excerpt is the end of the log of what failed, or of what the backend says of it, in lines.
	Excerpt string
	// Next says what to do now.
	Next []Step
	// Links are pages about it, each a http or https URL.
	Links []Link
	// Owners are the people whom the routes file names for the uploader.
	Owners []Owner
	// Faults say what is wrong in the routes file, found by this event: an expression or a template that failed.
	Faults []string
	// TemplateFault is the one of Faults that is the template's, empty if it did not fail: it is to be reported, since
	// not everybody who reads the text can mend the file.
	TemplateFault string
	// Repeats counts earlier messages that would have said the same, and were not sent; Since is when the first
	// of them was due.
	Repeats int
	Since   time.Time
}

// Level is how a text is marked.
type Level string

// The levels.
const (
	Good     Level = "good"     // succeeded
	Neutral  Level = "neutral"  // on its way, withdrawn, cancelled
	Careful  Level = "careful"  // a warning
	Critical Level = "critical" // rejected, failed, timed out, lost, expired
)

// Fact is a label and its value.
type Fact struct{ Label, Value string }

// Step is what to do next: a sentence, and the command to type if there is one.
type Step struct{ Text, Command string }

// Link is a page for people.
type Link struct{ Label, URL string }

// Owner is a person of the routes file's owners.
type Owner struct {
	// Name is the uploader's, as the routes file has it.
	Name string
	// Slack is a user's ID (U…) or that of a group of users (S…); Email an address. Each may be empty.
	Slack, Email string
}
