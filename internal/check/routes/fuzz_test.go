package routes

import (
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/cli/rules"
	"github.com/jobdrop/jobdrop/internal/notice"
	"github.com/jobdrop/jobdrop/pkg/job"
)

func FuzzRoutes(f *testing.F) {
	data, err := os.ReadFile(sample)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	for _, tt := range parseCases() {
		f.Add([]byte(tt.data))
	}
	for _, seed := range []string{
		with("route: &r {to: [a], routes: [*r]}"), with("route: {to: [a], routes: [&r {name: x, when: 'ran > waited', " +
			"routes: [<<: *r]}]}"),
		with("route:\r\n  to: [a]\r\n  when: |2-\r\n      é\u2028 ==\r\n      stat"),
		"\ufeffroute: {when: \"\\u0041\\\n b\"}",
		with("route: {to: [a], when: 'all(violations, all(missing, # == .rule))'}"),
		with("route: {to: [a], when: '" + strings.Repeat("(", 500) + "'}"),
		with("templates: {t: {title: '{{ ''}}'' }}{{', summary: '{{ map(missing, {a: #}) }}'}}\nroute: {to: [a], " +
			"template: t}"),
	} {
		f.Add([]byte(seed))
	}
	events := []notice.Event{example(f, "job.failed"), example(f, "drop.rejected"), example(f, "job.running")}
	f.Fuzz(func(t *testing.T, data []byte) {
		began := time.Now()
		file, vs := Parse("routes.yaml", data)
		if took := time.Since(began); took > time.Minute {
			t.Errorf("took %v for %d bytes", took, len(data))
		}
		last := 1 + strings.Count(strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029",
			"\n").
			Replace(string(data)), "\n")
		for _, v := range vs {
			if !rules.Known(v.Rule) || v.File != "routes.yaml" || v.Message == "" || v.Remedy == "" ||
				!utf8.ValidString(v.String()) ||
				strings.ContainsAny(v.String(), "\n\r\x1b") {
				t.Errorf("bad violation %+q", v)
			}
			none := v.Rule == "file-empty" || v.Rule == "file-size" || v.Rule == "too-many-violations"
			if p := v.Position; none != (p == job.Position{}) || !none &&
				(p.Line < 1 || p.Line > last || p.Column < 1 || p.Column > utf8.RuneCount(data)+1) {
				t.Errorf("violation outside the file: %v", v)
			}
		}
		_, again := Parse("routes.yaml", data)
		if diff := cmp.Diff(vs, again); diff != "" {
			t.Errorf("not the same again:\n%s", diff)
		}
		if (file == nil) != job.HasErrors(vs) {
			t.Fatalf("file %v, violations %v", file, vs)
		}
		if file == nil {
			return
		}
		for _, name := range file.Destinations() {
			if d, ok := file.Destination(name); !ok || d.Kind() == "" || d.Name != name {
				t.Errorf("destination %q: %+v", name, d)
			}
		}
		for _, e := range events {
			matches, faults := file.Match(e)
			for _, m := range matches {
				r, ok := file.Route(m.Route)
				if !ok || !r.Has(m.Destination) || r.Template != m.Template {
					t.Errorf("match %+v of route %+v", m, r)
				}
				text := notice.Write(e, notice.Options{Template: m.Template, Faults: m.Faults})
				if text.Title == "" || utf8.RuneCountInString(text.Title) > 150 || utf8.RuneCountInString(text.Summary) > 1000 {
					t.Errorf("text %+v", text)
				}
			}
			for _, fault := range faults {
				if s := fault.String(); strings.ContainsAny(s, "\n\r\x1b") || !utf8.ValidString(s) {
					t.Errorf("fault %q", s)
				}
			}
			explained(t, file, e)
		}
	})
}
