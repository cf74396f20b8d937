package logs

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// filterLines returns four lines of two jobs, a to d.
func filterLines() []view {
	at := func(second int) time.Time { return time.Date(2026, 1, 2, 3, 4, second, 500, time.UTC) }
	return []view{
		{"p", "census_1", &Line{"census_1", "", "master-replica-0", 1, at(1), Stdout, "epoch One of 3"}},
		{"p", "census_1", &Line{"census_1", "7", "worker-replica-0", 2, at(2), Stderr, "a warning"}},
		{"p", "census_1", &Line{"census_1", "", "service", 3, at(2), Stdout, ""}},
		{"q", "Census_1", &Line{"Census_1", "", "master-replica-0", 1, at(3), Stdout, `say "hi"`}},
	}
}

func TestLogFilter(t *testing.T) {
	for _, tt := range []struct{ filter, want string }{
		{"", "abcd"},
		{" \n", "abcd"},
		// as gcloud ai-platform jobs stream-logs asks
		{`(resource.type="ml_job" OR resource.type="cloudml_job") AND resource.labels.job_id="census_1" AND ` +
			`timestamp>="1970-01-01T01:00:00.000000000Z" AND timestamp<"2026-01-02T03:04:02.000000+00:00"`, "a"},
		{`(resource.type="ml_job" OR resource.type="cloudml_job") AND resource.labels.job_id="census_1" AND ` +
			`(resource.labels.task_name="worker-replica-0" OR labels.task_name="worker-replica-0")`, "b"},
		{`resource.labels.job_id="census_1" AND ((timestamp="2026-01-02T03:04:02.000000500Z" AND ` +
			`insertId>"000000000002-census_1") OR timestamp>"2026-01-02T03:04:02.000000500Z")`, "c"},
		{`((timestamp="2026-01-02T03:04:02.000000500Z" AND insertId>"000000000003-census_1") OR ` +
			`timestamp>"2026-01-02T03:04:02.000000500Z")`, "d"},
		{`resource.type="cloudml_job"`, ""},
		{`resource.type="ML_JOB"`, "abcd"},
		{`resource.type=ml_job`, "abcd"},
		{`resource.type=("gce_instance" OR "ml_job")`, "abcd"},
		{`resource.labels.task_name=("service" OR "worker-replica-0")`, "bc"},
		{`resource.labels.task_name!=("service" AND "worker-replica-0")`, "ad"},
		{`resource.labels.project_id=q`, "d"},
		{`resource.labels.job_id="Census_1"`, "d"},
		{`resource.labels.job_id:census`, "abc"},
		{`resource.labels.zone=x`, ""},
		{`NOT resource.labels.zone=x`, "abcd"},
		{`resource.labels.zone!=x`, ""},
		{`labels."ml.googleapis.com/task_name"="service"`, "c"},
		{`labels."ml.googleapis.com/trial_id"="7"`, "b"},
		{`NOT labels."ml.googleapis.com/trial_id":*`, "acd"},
		{`labels."a b":*`, ""},
		{`logName="projects/p/logs/master-replica-0"`, "a"},
		{`logName:"/logs/master"`, "ad"},
		{`severity=ERROR`, "b"},
		{`severity>=warning`, "b"},
		{`severity<500`, "acd"},
		{`severity!=DEFAULT`, "abcd"},
		{`severity:*`, "abcd"},
		{`timestamp>"2026-01-02T03:04:02.000000500Z"`, "d"},
		{`timestamp >= "2026-01-02T04:04:02.000000500+01:00"`, "bcd"},
		{`timestamp>="2026-01-02T04:04:02.000000500+0100"`, "bcd"}, // google-cloud-logging for Python
		{`timestamp<="2026-01-02T03:04:01.000000500Z"`, "a"},
		{`timestamp!="2026-01-02T03:04:02.000000500Z"`, "ad"},
		{`timestamp>=2026-01-02`, "abcd"},
		{`timestamp<2026-01-02 OR severity=ERROR`, "b"},
		{`NOT timestamp>="2026-01-02T03:04:02Z"`, "a"},
		{`insertId="000000000001-census_1"`, "a"},
		{`insertId>="000000000002"`, "bc"},
		{`jsonPayload.message:"EPOCH one"`, "a"},
		{`jsonPayload.message="say \"hi\""`, "d"},
		{`jsonPayload.message=""`, "c"},
		{`jsonPayload.message=~"^e.*\d$"`, "a"},
		{`jsonPayload.message!~"a"`, "ac"},
		{`jsonPayload.loss>3`, ""},
		{`textPayload:x`, ""},
		// OR binds closer than AND, and side by side is AND
		{`severity=ERROR OR severity=INFO AND resource.labels.task_name=service`, "c"},
		{`severity=INFO resource.labels.project_id=p`, "ac"},
		{"severity=INFO\nresource.labels.project_id=p", "ac"},
		{`-severity=INFO`, "b"},
		{`NOT (severity=INFO OR severity=ERROR)`, ""},
		{`NOT NOT severity=ERROR`, "b"},
		{`-(severity=INFO)`, "b"},
	} {
		c, err := parseFilter(tt.filter)
		if err != nil {
			t.Errorf("%s: %v", tt.filter, err)
			continue
		}
		got := ""
		for i, v := range filterLines() {
			matches := c.test(v) == yes
			if matches {
				got += string(rune('a' + i))
				if v.line.Time.Before(c.from) || !c.to.IsZero() && v.line.Time.After(c.to) {
					t.Errorf("%s: matches %v, which is not from %v to %v", tt.filter, v.line.Time, c.from, c.to)
				}
			}
			// What is said of a job holds for its lines.
			if whole := c.test(view{v.project, v.job, nil}); whole != maybe && (whole == yes) != matches {
				t.Errorf("%s: %v for the job and %v for its line %c", tt.filter, whole, matches, 'a'+i)
			}
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.filter, got, tt.want)
		}
	}
}

// TestLogFilterRange: what is asked of the time bounds what is read.
func TestLogFilterRange(t *testing.T) {
	day := func(n int) time.Time {
		if n == 0 {
			return time.Time{}
		}
		return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC)
	}
	for _, tt := range []struct {
		filter   string
		from, to int
	}{
		{`severity=ERROR`, 0, 0},
		{`timestamp>"2026-01-02" AND timestamp<="2026-01-05" AND timestamp>"2026-01-03"`, 3, 5},
		{`(timestamp="2026-01-04" AND insertId>"x") OR timestamp>"2026-01-04"`, 4, 0},
		{`timestamp>"2026-01-04" OR severity=ERROR`, 0, 0},
		{`timestamp=("2026-01-04" OR "2026-01-02")`, 2, 4},
		{`NOT timestamp>"2026-01-04"`, 0, 0},
	} {
		c, err := parseFilter(tt.filter)
		if err != nil || !c.from.Equal(day(tt.from)) || !c.to.Equal(day(tt.to)) {
			t.Errorf("%s: from %v to %v, %v", tt.filter, c.from, c.to, err)
		}
	}
	// A job that can't match is not read at all.
	c, err := parseFilter(`resource.labels.job_id="a" AND severity=ERROR`)
	if err != nil {
		t.Fatal(err)
	}
	if got := []verdict{c.test(view{job: "a"}), c.test(view{job: "b"})}; !slices.Equal(got, []verdict{maybe, no}) {
		t.Errorf("verdicts %v, want maybe and no", got)
	}
}

func TestLogFilterMalformed(t *testing.T) {
	for _, filter := range []string{
		"severity", "severity=", "severity>", "=ERROR", "AND", "severity=ERROR AND", "OR severity=ERROR", "(severity=ERROR",
		"severity=ERROR)", "()", "NOT",
		"-", `"text"`, "text", `sample(insertId, 0.1)`, `log_id("x")`, "severity=LOUD", "severity=-1",
		`timestamp>"yesterday"`, `timestamp:"2026-01-02"`,
		`httpRequest.status=200`, "foo=1", "resource.labels.=x", `jsonPayload.message=~"("`, `severity=~"E"`, `logName="a`,
		"severity=()", "severity=(ERROR", "severity=-",
		"severity==ERROR", `labels.="x"`, "a!b", "a~b", `"severity"=ERROR`,
	} {
		if _, err := parseFilter(filter); err == nil {
			t.Errorf("%s: no error", filter)
		}
	}
}

func FuzzLogFilter(f *testing.F) {
	f.Add(`(resource.type="ml_job" OR resource.type="cloudml_job") AND resource.labels.job_id="j" AND ` +
		`((timestamp="2026-01-02T03:04:02Z" AND insertId>"1") OR timestamp>"2026-01-02")`)
	f.Add(`NOT severity>=(ERROR OR -"INFO") labels."a.b"=~"x" jsonPayload.message!~y`)
	f.Add(strings.Repeat("(", 100) + "-")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseFilter(text)
		if err != nil {
			return
		}
		for _, v := range filterLines() {
			matches := c.test(v)
			if matches == maybe {
				t.Errorf("%s: undecided about a whole entry", text)
			}
			if whole := c.test(view{v.project, v.job, nil}); whole != maybe && whole != matches {
				t.Errorf("%s: %v for the job and %v for its line", text, whole, matches)
			}
			if matches == yes && (v.line.Time.Before(c.from) || !c.to.IsZero() && v.line.Time.After(c.to)) {
				t.Errorf("%s: a match at %v, not from %v to %v", text, v.line.Time, c.from, c.to)
			}
		}
	})
}
