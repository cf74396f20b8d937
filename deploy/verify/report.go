package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const (
	// reportLimit bounds a report, in bytes: a mail takes it.
	reportLimit = 512 << 10
	// answerLimit bounds what the report has of one answer: plans and logs are long, and
	// their beginning and end say most.
	answerLimit = 16 << 10
	// outputLimit bounds what is kept of a command's output until secrets are left out of
	// it.
	outputLimit = 256 << 10
	// answerTime bounds one question's commands. A plan of a whole installation takes a
	// minute, and the list of images asks twenty times.
	answerTime = 5 * time.Minute
)

// verdict is what a report says of an answer.
type verdict string

const (
	asExpected verdict = "as expected"
	otherwise  verdict = "OTHERWISE"
	toRead     verdict = "to be read"
	notAsked   verdict = "not asked"
)

// answer is what the commands of a question printed.
type answer struct {
	question
	verdict verdict
	// why is set where the question was not asked, or the commands ended with an error.
	why  string
	said string
	took time.Duration
}

// report gathers what a run finds out about a project.
type report struct {
	began  time.Time
	values map[string]string // of names, those that are known
	// lines are what the drop's run said, with their times.
	lines bytes.Buffer
	err   error // of the drop
	// absent is what whoever runs it is answered for a status that is not there.
	absent  string
	answers []answer
}

// Write keeps a copy of what is said about the drop.
func (r *report) Write(p []byte) (int, error) {
	if r.lines.Len() < answerLimit {
		for line := range bytes.Lines(p) {
			fmt.Fprintf(&r.lines, "%7s  %s\n", time.Since(r.began).Round(time.Second), bytes.TrimRight(line, "\n"))
		}
	}
	return len(p), nil
}

// newReport returns a report that knows the names of an installation. Those that the
// outputs do not tell come from getenv.
func newReport(environment map[string]string, getenv func(string) string) *report {
	region, _, _ := strings.Cut(environment["JOBDROP_PUBSUB_ENDPOINT"], "-pubsub.")
	jobRegion, _, _ := strings.Cut(environment["JOBDROP_REGIONS"], ",")
	scheduler := cmp.Or(getenv("SCHEDULER_REGION"), region)
	r := &report{began: time.Now(), values: map[string]string{
		"PROJECT": environment["JOBDROP_PROJECT"], "INSTANCE": environment["JOBDROP_INSTANCE"], "REGION": region,
		"JOB_REGION": jobRegion, "SCHEDULER_REGION": scheduler,
	}}
	for _, name := range names {
		if r.values[name] == "" {
			r.values[name] = getenv(name)
		}
	}
	return r
}

// askAbsent asks for a status that is not there, as whoever runs this.
func (r *report) askAbsent(ctx context.Context, client *gcs.Client, bucket, folder string) {
	name := folder + "/nothing/status.json"
	_, _, err := client.Read(ctx, bucket, name, 0, statusLimit)
	switch {
	case err == nil:
		r.absent = "it is there"
	case errors.Is(err, job.ErrNotFound):
		r.absent = "404, as expected"
	case errors.Is(err, job.ErrDenied):
		r.absent = "403: " + err.Error()
	default:
		r.absent = err.Error()
	}
}

// ask asks all questions that change nothing. It stops early only with ctx.
func (r *report) ask(ctx context.Context, questions []question, out io.Writer) {
	for i, q := range questions {
		fmt.Fprintf(out, "question %d of %d, %s: ", i+1, len(questions), q.title)
		a := answer{question: q}
		switch missing := r.missing(q.commands); {
		case q.byHand:
			a.verdict, a.why = notAsked, "it is for people"
		case missing != "":
			a.verdict, a.why = notAsked, missing+" is not set"
		case ctx.Err() != nil:
			a.verdict, a.why = notAsked, "interrupted"
		default:
			r.run(ctx, &a)
		}
		fmt.Fprintln(out, a.verdict)
		r.answers = append(r.answers, a)
	}
}

// missing returns the first name that commands use and that has no value.
func (r *report) missing(commands string) string {
	for _, m := range used.FindAllStringSubmatch(commands, -1) {
		if r.values[m[1]] == "" {
			return m[1]
		}
	}
	return ""
}

// run runs the commands of a question, as somebody would who pastes them.
func (r *report) run(ctx context.Context, a *answer) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	c := exec.CommandContext(ctx, "sh", "-ec", a.commands)
	killGroup(c)
	c.Env = os.Environ()
	for name, value := range r.values {
		c.Env = append(c.Env, name+"="+value)
	}
	// Nobody is there to be asked.
	c.Env = append(c.Env, "CLOUDSDK_CORE_DISABLE_PROMPTS=1", "TF_INPUT=0", "NO_COLOR=1")
	c.WaitDelay = 10 * time.Second // what left the group may hold the output
	said := ends{limit: outputLimit}
	c.Stdout, c.Stderr = &said, &said
	began := time.Now()
	err := c.Run()
	head, tail := said.lines()
	shown := ends{limit: answerLimit}
	io.WriteString(&shown, progress.ReplaceAllString(clean(head)+clean(tail), ""))
	a.took, a.said = time.Since(began), shown.String()
	switch {
	case ctx.Err() != nil:
		a.verdict, a.why = otherwise, fmt.Sprintf("no end after %s", a.took.Round(time.Second))
	case err != nil:
		a.verdict, a.why = otherwise, err.Error()
	default:
		a.verdict = r.judge(a.question, head+tail)
	}
}

// judge returns the verdict on what the commands of a question printed.
func (r *report) judge(q question, said string) verdict {
	found := func(pattern string) bool { return r.pattern(pattern).MatchString(said) }
	missing := func(pattern string) bool { return !found(pattern) }
	switch {
	case slices.ContainsFunc(q.want, missing) || slices.ContainsFunc(q.never, found):
		return otherwise
	case len(q.want) == 0:
		return toRead
	}
	return asExpected
}

// pattern returns what finds an expected answer, with the values of names.
func (r *report) pattern(want string) *regexp.Regexp {
	return regexp.MustCompile(used.ReplaceAllStringFunc(want, func(name string) string {
		return regexp.QuoteMeta(r.values[name[1:]])
	}))
}

// ends keeps the beginning and the end of what is written to it: limit bytes, three
// quarters of them from the beginning.
type ends struct {
	limit      int
	head, tail []byte
	left       int
}

func (e *ends) Write(p []byte) (int, error) {
	n := len(p)
	if room := e.limit*3/4 - len(e.head); room > 0 {
		room = min(room, len(p))
		e.head, p = append(e.head, p[:room]...), p[room:]
	}
	// The tail is moved seldom: it grows to twice its length before.
	if e.tail = append(e.tail, p...); len(e.tail) > e.limit/2 {
		e.trim()
	}
	return n, nil
}

func (e *ends) trim() {
	if more := len(e.tail) - e.limit/4; more > 0 {
		e.left += more
		e.tail = append(e.tail[:0], e.tail[more:]...)
	}
}

// lines returns the beginning and the end without what is cut through: half a token
// is not recognized as one.
func (e *ends) lines() (head, tail string) {
	e.trim()
	if e.left == 0 {
		return string(e.head) + string(e.tail), ""
	}
	head = string(e.head[:1+bytes.LastIndexByte(e.head, '\n')])
	_, rest, _ := bytes.Cut(e.tail, []byte("\n"))
	tail = string(rest)
	if end := keyEnd.FindStringIndex(tail); end != nil && !strings.Contains(tail[:end[0]], "-----BEGIN ") {
		tail = tail[end[1]:]
	}
	left := e.left + len(e.head) - len(head) + len(e.tail) - len(tail)
	return head, fmt.Sprintf("[%d bytes are left out]\n%s", left, tail)
}

func (e *ends) String() string {
	e.trim()
	between := ""
	if e.left > 0 {
		between = fmt.Sprintf("\n[%d bytes are left out]\n", e.left)
	}
	return string(e.head) + between + string(e.tail)
}

var (
	keys   = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`)
	keyEnd = regexp.MustCompile(`-----END [A-Z ]*PRIVATE KEY-----`)
	// known are the forms of tokens and keys: Google's, JSON web tokens, those of GitHub,
	// GitLab, Slack, AWS, Hugging Face, OpenAI and others.
	known = regexp.MustCompile(`\b(?:ya29\.|1//|GOCSPX-|AIza|eyJ|gh[a-z]_|github_pat_|glpat-|xox[a-z]-|AKIA|ASIA|hf_|sk-)` +
		`[A-Za-z0-9_.\-]{10,}|https://hooks\.[\w.-]+/[^\s"']+`)
	// named are values of what is called a secret.
	named = regexp.MustCompile(`(?i)([\w-]*(?:password|passwd|secret|token|api[-_]?key|credential)[\w-]*["']?[ \t]*[:=][ \t]*["']?)` +
		`[^\s"',;&{\[]+`)
	bearers = regexp.MustCompile(`(?i)\b(authorization["']?\s*[:=]\s*["']?\w+ |bearer\s+)[\w.~+/=-]{8,}`)
	users   = regexp.MustCompile(`(://)[^/\s"'@]+@`)
	mails   = regexp.MustCompile(`[\w.+%-]+@[\w-]+(\.[\w-]+)+`)

	// progress are lines of Terraform that fill an answer and say nothing.
	progress = regexp.MustCompile(`(?m)^\S.*: (?:Refreshing state\.\.\.|Reading\.\.\.|Still reading\.\.\.|Read complete after).*\n`)
)

// clean leaves out of an answer known forms of tokens and keys, the addresses of
// people, and characters that hide or reorder text.
func clean(text string) string {
	text = keys.ReplaceAllString(text, "[key]")
	text = bearers.ReplaceAllString(text, "${1}[secret]")
	text = known.ReplaceAllString(text, "[token]")
	text = named.ReplaceAllString(text, "${1}[secret]")
	text = users.ReplaceAllString(text, "${1}[secret]@")
	text = mails.ReplaceAllStringFunc(text, func(s string) string {
		if strings.HasSuffix(s, ".gserviceaccount.com") {
			return s
		}
		return "[address]"
	})
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\t':
			return c
		case unicode.IsControl(c) || unicode.Is(unicode.Cf, c):
			return -1
		}
		return c
	}, strings.ToValidUTF8(text, "?"))
}

// WriteTo writes the report in Markdown, at most reportLimit bytes of it.
func (r *report) WriteTo(w io.Writer) (int64, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Report of %s\n\nProject %s, installation %s in %s, jobs in %s. Took %s.\n\n",
		r.began.UTC().Format(time.RFC3339), r.values["PROJECT"], r.values["INSTANCE"], r.values["REGION"],
		r.values["JOB_REGION"], time.Since(r.began).Round(time.Second))
	b.WriteString("| question | answer |\n|---|---|\n")
	verdictOfDrop := "it succeeded"
	if r.err != nil {
		verdictOfDrop = string(otherwise)
	}
	fmt.Fprintf(&b, "| The drop | %s |\n", verdictOfDrop)
	for i, a := range r.answers {
		fmt.Fprintf(&b, "| %d. %s | %s |\n", i+1, a.title, a.verdict)
	}
	b.WriteString("\n## The drop\n\n")
	quote(&b, clean(r.lines.String()))
	if r.err != nil {
		fmt.Fprintf(&b, "It ended with an error:\n\n")
		quote(&b, clean(r.err.Error()))
	}
	fmt.Fprintf(&b, "A status that is not there, for whoever ran this: %s\n", clean(r.absent))
	for i, a := range r.answers {
		if a.byHand {
			continue
		}
		fmt.Fprintf(&b, "\n## %d. %s\n\n%s, after %s", i+1, a.title, a.verdict, a.took.Round(100*time.Millisecond))
		if a.why != "" {
			fmt.Fprintf(&b, ": %s", clean(a.why))
		}
		b.WriteString("\n\n")
		quote(&b, a.commands)
		fmt.Fprintf(&b, "Expected: %s\n\n", a.expect)
		quote(&b, a.said)
	}
	if b.Len() > reportLimit {
		const end = "\n[the rest is left out]\n"
		b.Truncate(reportLimit - len(end))
		b.WriteString(end)
	}
	return b.WriteTo(w)
}

// quote writes text so that nothing in it is Markdown.
func quote(b *bytes.Buffer, text string) {
	for line := range strings.Lines(strings.TrimRight(text, "\n")) {
		b.WriteString("    " + strings.TrimRight(line, "\n") + "\n")
	}
	b.WriteString("\n")
}
