package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/local/training"
	"github.com/jobdrop/jobdrop/internal/logs"
	"github.com/jobdrop/jobdrop/internal/service/joblogs"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const (
	// mostTail is the most lines of --tail: they are held in memory.
	mostTail = 10_000
	// logPoll is how often a log is read that is followed. Cloud Logging takes 60 reads a minute in a project, and others
	// read there, too.
	logPoll = 10 * time.Second
)

// logSource is the log of one job, and how often it is read.
type logSource struct {
	*joblogs.Source
	poll time.Duration
}

// logs returns a source of the log of an attempt's job: of the lines that are asked for.
func (v *view) logs(ctx context.Context, s job.Snapshot, f logs.Filter) (logSource, error) {
	if v.Project == "" {
		return logSource{}, exit(exitUsage, "JOBDROP_PROJECT is not set: it names the project whose logs are read")
	}
	r, err := joblogs.New(ctx, joblogs.Options{Resource: entriesOf(v.Config, false), Endpoint: v.LoggingEndpoint})
	if err != nil {
		return logSource{}, missing(fmt.Errorf("%w; "+login, err))
	}
	poll := logPoll
	if strings.HasPrefix(v.LoggingEndpoint, "http://") {
		poll = followPoll
	}
	return logSource{r.Source(logs.JobOf(s), f), poll}, nil
}

// logLine is a line of a log. Its JSON is a line of -o json.
type logLine struct {
	Time     time.Time `json:"time,omitzero"`
	Severity string    `json:"severity,omitempty"`
	JobID    string    `json:"jobId,omitempty"`
	Replica  string    `json:"replica,omitempty"`
	Trial    string    `json:"trial,omitempty"`
	Text     string    `json:"text"`
	InsertID string    `json:"insertId,omitempty"`
}

// newLogPrinter returns a printer of a log alone. Where there is no terminal, lines are as the program wrote them.
func newLogPrinter(env Env, format formatFlag) *printer {
	p := newPrinter(env, formatText)
	p.raw, p.format = !env.Terminal, string(format)
	return p
}

// entry prints a line of a log.
func (p *printer) entry(l logs.Line) {
	if p.format != formatJSON {
		p.log(printable(l))
		return
	}
	data, err := json.Marshal(logLine{
		Time: l.Time, Severity: l.Severity, JobID: l.JobID, Replica: l.Replica, Trial: l.Trial, Text: l.Text,
		InsertID: l.InsertID,
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.check(err)
	p.print(p.out, "%s\n", escaped(data))
}

// printable returns a line as a printer takes it.
func printable(l logs.Line) training.Line {
	return training.Line{Time: l.Time, JobID: l.JobID, Task: l.Replica, Trial: l.Trial, Text: l.Text}
}

// sleep waits, or returns the error of a context that ends meanwhile.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// logEnd returns the last lines of the log of an attempt's job that its own programs wrote.
func (v *view) logEnd(ctx context.Context, s job.Snapshot, n int) ([]logs.Line, error) {
	if s.Job.ResourceName == "" {
		return nil, nil
	}
	source, err := v.logs(ctx, s, logs.Filter{Programs: true})
	if err != nil {
		return nil, err
	}
	return source.Tail(ctx, n)
}
