package notice

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// Whatever a snapshot and a template hold, there is a text within its bounds.
func FuzzText(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(examples, "*.v1.json"))
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	templates := []string{
		"{{ drop }} {{ state }}", "{{ missing[0] }}", "{{ map(violations, .message + .remedy) }}", "{{ split(excerpt, '') }}",
		"}}{{",
		"{{ labels['a'] ?? ran }} {{ ended.Format('Mon') }}", "{{ replace(reason, 'a', reason) }}",
	}
	for i, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var m struct{ Data json.RawMessage }
		if err := json.Unmarshal(data, &m); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(m.Data), uint8(i), templates[i%len(templates)], `state == "failed" and any(violations, .line > 3)`)
	}
	for _, s := range hostile {
		if len(s) < 1<<10 {
			data, _ := json.Marshal(job.Snapshot{Reason: s, Drop: job.DropInfo{Prefix: s, Missing: []string{s}}})
			f.Add(data, uint8(2), s, s)
		}
	}
	links, _ := json.Marshal(job.Snapshot{Uploader: job.Uploader{URL: "HTTPS://ci.acme.example/1"}})
	f.Add(links, uint8(2), "", "")
	var events []Event
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		events = append(events, read(f, data))
	}
	f.Fuzz(func(t *testing.T, body []byte, which uint8, template, when string) {
		e := events[int(which)%len(events)]
		e.Body = job.Snapshot{}
		_ = json.Unmarshal(body, &e.Body) // what could be read of it
		began := time.Now()
		o := Options{StatusBucket: template, Faults: []string{when}, Repeats: int(which) - 3, Since: time.Unix(0, 0)}
		checkText(t, Write(e, o))
		parsed, faults := ParseTemplate(TemplateFields{Title: template, Summary: template + when, Next: when})
		if (parsed == nil) != (len(faults) > 0) {
			t.Errorf("template %v, faults %v", parsed, faults)
		}
		o.Template = parsed
		checkText(t, Write(e, o))
		if c, err := CompileWhen(when); err == nil {
			if _, err := c.Holds(NewScope(e, 0)); err != nil && line(err.Error(), maxFact) != err.Error() {
				t.Errorf("error %q", err)
			}
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("took %v", took)
		}
	})
}
