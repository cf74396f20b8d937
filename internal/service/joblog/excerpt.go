package joblog

import (
	"regexp"
	"strings"
	"unicode"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// before is how many bytes an excerpt has before the line of the exception, exception how many
// of that line.
const (
	before    = 4 << 10
	exception = 1 << 10
)

// excerpt returns the end of the log of the replica that failed first: the line of its exception,
// and what is before it. lines are the job's, the oldest first.
func excerpt(lines []line, j attempt.BackendJob) string {
	logs, failed := map[string][]line{}, map[string]int{}
	raised := map[string]bool{}
	var replicas []string // in the order of their first lines
	for i, l := range lines {
		if _, known := logs[l.replica]; !known {
			replicas = append(replicas, l.replica)
		}
		raises := strings.Contains(l.text, traceback)
		if raised[l.replica] = raised[l.replica] || raises; raises || !raised[l.replica] {
			failed[l.replica] = i // at the last exception, or else at its last line
		}
		for part := range strings.SplitSeq(strings.TrimRight(l.text, "\r\n"), "\n") {
			logs[l.replica] = append(logs[l.replica], line{l.replica, l.severity, strings.TrimRight(part, "\r")})
		}
	}
	first := ""
	for _, replica := range replicas {
		if _, task, isTrial := strings.Cut(replica, "/"); replica == named(j.Message) || isTrial && task == named(j.Message) {
			first = replica
			break
		}
		if first == "" || failed[replica] < failed[first] {
			first = replica
		}
	}
	return cut(logs[first])
}

// traceback is how Python begins to tell of an exception.
const traceback = "Traceback (most recent call last):"

// replicaName matches the name of a replica in a job's message: "The replica master 0 exited …" of
// ml/v1, "The replica workerpool0-0 exited …" of Vertex AI.
var replicaName = regexp.MustCompile(`\breplica ([a-z]+) ([0-9]+)\b|\breplica ([a-z]+[0-9]+-[0-9]+)\b`)

// named returns the replica that failed by a job's message, as the log names it; nothing if the
// message names none.
func named(message string) string {
	m := replicaName.FindStringSubmatch(message)
	switch {
	case m == nil:
		return ""
	case m[3] != "":
		return m[3]
	}
	return m[1] + "-replica-" + m[2]
}

// cut returns the lines of a replica up to that of the last exception, or up to the last line if there is none: as many
// of them as an excerpt may have.
func cut(lines []line) string {
	for len(lines) > 0 && strings.TrimSpace(lines[len(lines)-1].text) == "" {
		lines = lines[:len(lines)-1]
	}
	last := len(lines) - 1
	for i := len(lines) - 1; i >= 0; i-- {
		if !strings.Contains(lines[i].text, traceback) {
			continue
		}
		// What is indented, or empty, is the stack; the first other line is the exception. What the program wrote to its
		// other stream, which has another severity, may come in between: each stream is collected by itself.
		for at := i + 1; at < len(lines); at++ {
			if l := lines[at]; l.severity == lines[i].severity && l.text != "" && !unicode.IsSpace(rune(l.text[0])) {
				last = at
				break
			}
		}
		break
	}
	if last < 0 {
		return ""
	}
	shown := []string{job.BoundText(text.Printable(text.Plain(lines[last].text)), exception)}
	for i, room := last-1, before; i >= 0; i-- {
		l := text.Printable(text.Plain(lines[i].text))
		if room -= job.TextSize(l + "\n"); room < 0 {
			break
		}
		shown = append([]string{l}, shown...)
	}
	return strings.Join(shown, "\n")
}
