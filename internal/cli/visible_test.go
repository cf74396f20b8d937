package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/jobdrop/jobdrop/internal/local/training"
	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// unseen are characters that hide or reorder text.
const unseen = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c" +
	"\u200b\u00ad\ufeff\u2028\u2029\u3164\U000e0041"

// clean fails if a text holds characters that hide or steer.
func clean(t *testing.T, what, text string) {
	t.Helper()
	if i := strings.IndexAny(text, unseen+"\x1b\u009b"); i >= 0 {
		t.Errorf("%s shows %q", what, text[i:min(i+10, len(text))])
	}
}

// Wherever text of a job is printed it can be seen.
func TestNothingHidesInTheOutput(t *testing.T) {
	var out bytes.Buffer
	p := newPrinter(Env{Out: &out, Now: time.Now}, formatText)
	v := job.Violation{
		Rule: "r", File: "job" + unseen + ".yaml", Position: job.Position{Line: 1, Column: 2}, Field: "args[0]",
		Message: "m" + unseen, Found: unseen, Allowed: unseen, Remedy: unseen,
	}
	body := event.Body{Reason: "because" + unseen, Violations: []job.Violation{v}}
	body.Drop.Bucket, body.Drop.Prefix, body.Job.ID = "b"+unseen, "d"+unseen, "j"+unseen
	p.follow("")
	body.Sequence = 1
	p.told(t.Context(), event.DropRejected, body)
	body.Attempt = "other"
	body.State = event.Held
	p.status(t.Context(), body)
	p.alone(t.Context(), "b"+unseen, "d"+unseen, []string{"job.yaml.txt" + unseen, "a.tar.gz"})
	body.Attempt = ""
	p.say("%s", "say"+unseen)
	p.log(training.Line{Task: "master" + unseen, Trial: unseen, Text: "text" + unseen, Time: time.Now()})
	if !p.event(t.Context(), cloudevents.NewEvent(), event.DropRejected, body) {
		t.Fatal("the event is not printed")
	}
	clean(t, "a printer", out.String())

	r := report{
		Path: "p" + unseen, Missing: []string{unseen}, Violations: []job.Violation{v},
		source: []byte("args: [" + unseen + "]\n"), sourceFile: v.File,
	}
	for _, format := range reportFormats() {
		out.Reset()
		if err := reportFormat(format).write(piped(&out), []report{r}); err != nil {
			t.Fatal(err)
		}
		clean(t, format, out.String())
		if format == "json" {
			var back []report
			if err := json.Unmarshal(out.Bytes(), &back); err != nil || back[0].Violations[0].Found != unseen {
				t.Errorf("JSON gives %+v back, %v", back, err)
			}
		}
	}
	for _, format := range []string{"json", "yaml"} {
		out.Reset()
		p := planned{URL: "u" + unseen, Body: map[string]string{"key" + unseen: unseen}}
		if err := p.write(&out, format); err != nil {
			t.Fatal(err)
		}
		clean(t, "plan as "+format, out.String())
	}
	for _, test := range []struct {
		name string
		args []string
		code int
	}{
		{"a file that is not there", []string{"validate", "no" + unseen}, exitUsage},
		{"a command that is not there", []string{"no" + unseen}, exitUsage},
		{"a service that is not there", []string{"logs", "no" + unseen, "--endpoint", "http://127.0.0.1:1/" + unseen},
			exitMissing},
	} {
		got := run(t, test.args...)
		if got.code != test.code {
			t.Errorf("%s: exit %d, want %d", test.name, got.code, test.code)
		}
		clean(t, test.name, got.stdout+got.stderr)
	}
}

// What other programs write may come in any pieces.
func TestTerminal(t *testing.T) {
	const output = "größe 🙂 \u202e \x1b[2J a\xff\xf0\x9f b\n"
	for size := 1; size < 8; size++ {
		var out bytes.Buffer
		w := &terminal{w: &out}
		for rest := []byte(output); len(rest) > 0; {
			n := min(size, len(rest))
			if m, err := w.Write(rest[:n]); m != n || err != nil {
				t.Fatalf("%d of %d bytes, %v", m, n, err)
			}
			rest = rest[n:]
		}
		if want := text.Printable(output); out.String() != want {
			t.Errorf("in pieces of %d: %q, want %q", size, out.String(), want)
		}
	}
}
