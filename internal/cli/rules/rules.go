// Package rules holds a page on each rule that a violation names. The pages are made from the
// comments of the rules in the packages that check them; a test makes them anew and compares. No
// other package needs their text, so that the functions do without it.
package rules

import (
	_ "embed"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Page is what there is to say of a rule.
type Page struct {
	// Rule is the rule's name, Area what it is about: one of [Areas].
	Rule job.Rule `json:"rule"`
	Area string   `json:"area"`
	// Meaning says what must hold, in one or more sentences.
	Meaning string `json:"meaning"`
	// Source says where the rule comes from.
	Source string `json:"source"`
	// Example describes what breaks the rule and mends it, where no text shows that.
	Example string `json:"example,omitempty"`
	// Diff shows it: lines that begin with - are those that break the rule, with + those that mend it.
	// A line # NAME begins the part of a file.
	Diff string `json:"diff,omitempty"`
	// URL is the page's address.
	URL string `json:"url"`
}

// Summary returns the first sentence of the meaning.
func (p Page) Summary() string {
	first, _, _ := strings.Cut(p.Meaning, ". ")
	return strings.TrimSuffix(first, ".")
}

// Areas returns the areas of rules, in the order of a listing, each with its heading.
func Areas() [][2]string {
	return [][2]string{
		{"job", "What a job asks for"},
		{"file", "How files are written"},
		{"drop", "What a drop holds"},
		{"package", "Python packages"},
		{"policy", "The operator's policy"},
		{"backend", "The backend"},
		{"routes", "The file of routes"},
		{"faults", "The file of faults of jobdrop local"},
	}
}

// Heading returns the heading of an area.
func Heading(area string) string {
	for _, a := range Areas() {
		if a[0] == area {
			return a[1]
		}
	}
	return area
}

//go:embed rules.json
var data []byte

// All returns the pages, by area and name.
var All = sync.OnceValue(func() []Page {
	var pages []Page
	if err := json.Unmarshal(data, &pages); err != nil {
		panic("rules: rules.json: " + err.Error()) // a test reads it
	}
	return pages
})

// Find returns the page of a rule, by its name.
func Find[T ~string](name T) (Page, bool) {
	i := slices.IndexFunc(All(), func(p Page) bool { return string(p.Rule) == string(name) })
	if i < 0 {
		return Page{}, false
	}
	return All()[i], true
}

// Near returns the rule whose name is the nearest to a text, and reports whether it is near enough
// to be meant.
func Near(name string) (job.Rule, bool) {
	name = strings.ToLower(name[:min(len(name), 64)])
	var best job.Rule
	least := -1
	for _, p := range All() {
		if n := text.Distance(name, string(p.Rule)); least < 0 || n < least {
			best, least = p.Rule, n
		}
	}
	return best, least <= max(2, len(name)/3)
}

// Markdown returns the page in Markdown, below a heading with the rule's name. Without a mark of a
// heading it has none.
func (p Page) Markdown(mark string) string {
	var b strings.Builder
	if mark != "" {
		b.WriteString(mark + string(p.Rule) + "\n\n")
	}
	b.WriteString(escape.Replace(p.Meaning) + "\n")
	if p.Example != "" {
		b.WriteString("\nFor example: " + escape.Replace(p.Example) + "\n")
	}
	if p.Diff != "" {
		b.WriteString("\n```diff\n" + p.Diff + "```\n")
	}
	b.WriteString("\nSource: " + escape.Replace(p.Source) + "\n")
	return b.String()
}

// escape keeps Markdown from reading marks into a text.
var escape = strings.NewReplacer("*", `\*`, "_", `\_`, "<", "&lt;", "[", `\[`, "$", `\$`)

// Known reports whether a rule has a page.
func Known(name job.Rule) bool {
	_, ok := Find(name)
	return ok
}
