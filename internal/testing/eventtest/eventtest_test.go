package eventtest

import (
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/jobdrop/jobdrop/internal/attempt"
	lifecycle "github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

func withdrawn(t *testing.T) event.Event {
	t.Helper()
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	r := attempt.NewRecord(job.Object{
		Bucket:        "inbox",
		Name:          "census/job.yaml",
		Generation:    7,
		Size:          9,
		CorrelationID: "build-42",
	}, now)
	r, _, err := attempt.Step(r, attempt.Withdraw{Reason: "deleted", JobID: "census_1"}, now)
	if err != nil {
		t.Fatal(err)
	}
	e, err := lifecycle.Encode("prod", r.Outbox[0])
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestCheck(t *testing.T) {
	replace := func(old, new string) func(*event.Event) {
		return func(e *event.Event) {
			before := string(e.DataEncoded)
			e.DataEncoded = []byte(strings.Replace(before, old, new, 1))
			if before == string(e.DataEncoded) {
				panic(old + " does not stand in " + before)
			}
		}
	}
	tests := []struct {
		name   string
		change func(*event.Event)
		good   bool
	}{
		{name: "as it is", change: func(*event.Event) {}, good: true},
		{name: "white space", change: replace(`{`, ` { `), good: true},
		{name: "another schema", change: func(e *event.Event) { e.SetDataSchema(lifecycle.BodySchema) }},
		{name: "another type", change: func(e *event.Event) { e.SetType(string(lifecycle.DropExpired)) }},
		{name: "a type that is none", change: func(e *event.Event) { e.SetType("dev.jobdrop.drop.later.v1") }},
		{name: "another ID", change: func(e *event.Event) { e.SetID("x") }},
		{name: "no ID", change: func(e *event.Event) { e.SetID("") }},
		{name: "another subject", change: func(e *event.Event) { e.SetSubject("census/") }},
		{name: "another job", change: func(e *event.Event) { e.SetExtension("jobid", "census_2") }},
		{name: "no correlation ID", change: func(e *event.Event) { e.SetExtension("correlationid", nil) }},
		{name: "no data", change: func(e *event.Event) { e.DataEncoded = nil }},
		{name: "an unknown field", change: replace(`"state"`, `"later":1,"state"`)},
		{name: "an unknown field within", change: replace(`"prefix"`, `"later":1,"prefix"`)},
		{name: "a zero that is never written", change: replace(`"prefix"`, `"missing":[],"prefix"`)},
		{name: "a state that is none", change: replace(`withdrawn`, `asleep`)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := withdrawn(t)
			test.change(&e)
			if err := check(e); (err == nil) != test.good {
				t.Errorf("check says %v", err)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	tests := []struct {
		name, uri, data string
	}{
		{"a schema that is none", "https://jobdrop.dev/schemas/later.v1.json", "{}"},
		{"no JSON", lifecycle.StatusSchema, "{"},
		{"a list", lifecycle.StatusSchema, "[]"},
		{"nothing", lifecycle.StatusSchema, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if Validate(test.uri, []byte(test.data)) == nil || ValidateOpen(test.uri, []byte(test.data)) == nil {
				t.Error("no error")
			}
		})
	}
}
