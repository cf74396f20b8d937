// Package deliverytest has messages to test destinations with: those of the documented events, and hostile ones.
package deliverytest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/notice"
	"github.com/jobdrop/jobdrop/pkg/event"
)

// Event returns the documented event of a type, such as "job.failed".
func Event(t testing.TB, name string) notice.Event {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	data, err := os.ReadFile(filepath.Join(filepath.Dir(file), "../../../docs/events", name+".v1.json"))
	if err != nil {
		t.Fatal(err)
	}
	var message struct {
		Attributes map[string]string
		Data       json.RawMessage
	}
	if err := json.Unmarshal(data, &message); err != nil {
		t.Fatal(err)
	}
	c, err := event.FromMessage(message.Attributes, message.Data)
	if err != nil {
		t.Fatal(err)
	}
	e, err := notice.Decode(c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// At returns an event as it would be in another attempt of its folder, or later in its own.
func At(e notice.Event, generation, sequence int64) notice.Event {
	e.Generation, e.Body.Sequence = generation, sequence
	return e
}

// Message returns what a destination is to tell of the documented event of a type.
func Message(t testing.TB, name string) delivery.Message {
	t.Helper()
	return Of(Event(t, name))
}

// Of returns what a destination is to tell of an event.
func Of(e notice.Event) delivery.Message {
	return delivery.Message{
		ID: e.ID() + "/default/team", Conversation: e.Folder + "/default/team", Route: "default",
		Event: e, Text: Text(e),
	}
}

// Heartbeat returns the message that shows that a destination can be reached, as Notify sends it.
func Heartbeat(t testing.TB, name string) delivery.Message {
	t.Helper()
	c := cloudevents.New(cloudevents.CloudEventsVersionV1)
	c.SetID("heartbeat-" + name + "-20261124T120000Z")
	c.SetSource(event.Source("prod"))
	c.SetType(string(notice.HeartbeatType))
	c.SetTime(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))
	if err := c.SetData("application/json", map[string]string{"destination": name, "every": "24h"}); err != nil {
		t.Fatal(err)
	}
	return delivery.Message{
		ID: c.ID(), Conversation: "prod/heartbeat/" + name, Event: notice.Event{CloudEvent: c, Generation: 1},
		Text: notice.Text{
			Level: notice.Good, Title: "jobdrop prod reaches " + name,
			Summary: "This message comes every day, so that a destination that is no longer reached is noticed.",
		},
	}
}

// Text returns words for an event.
func Text(e notice.Event) notice.Text {
	level := map[notice.Kind]notice.Level{notice.Progress: notice.Neutral, notice.Warning: notice.Careful}[e.Kind()]
	if e.Kind() == notice.Outcome {
		level = map[string]notice.Level{
			"succeeded": notice.Good, "cancelled": notice.Neutral, "withdrawn": notice.Neutral,
		}[string(e.Body.State)]
		if level == "" {
			level = notice.Critical
		}
	}
	folder := "gs://" + e.Body.Drop.Bucket + "/" + e.Body.Drop.Prefix
	text := notice.Text{
		Level:   level,
		Title:   "Job " + e.Body.Job.ID + " in " + folder + " is " + string(e.Body.State),
		Summary: e.Body.Reason,
		Facts: []notice.Fact{
			{Label: "Drop", Value: folder},
			{Label: "Uploader", Value: e.Body.Uploader.Name},
			{Label: "Commit", Value: e.Body.Uploader.Commit + " on " + e.Body.Uploader.Branch},
			{Label: "Ran", Value: "1h 12m (10:04 to 11:16 UTC)"},
		},
		Next: []notice.Step{
			{Text: "Read the log.", Command: "jobdrop logs " + e.Body.Attempt},
			{Text: "Mend the trainer and drop it again, or run the same.", Command: "jobdrop rerun " + e.Body.Attempt},
		},
		Links: []notice.Link{
			{Label: "Console", URL: "https://console.cloud.google.com/ai-platform/jobs/census?project=acme"},
			{Label: "Logs", URL: "https://console.cloud.google.com/logs/query;" +
				"query=resource.type%3D%22ml_job%22?project=a"},
		},
		Owners: []notice.Owner{{Name: "ci@acme.example", Slack: "U0123ABCD", Email: "alice@acme.example"}},
	}
	if e.Body.Error != nil {
		text.Excerpt = e.Body.Error.Excerpt
		if text.Excerpt == "" {
			text.Excerpt = "Traceback (most recent call last):\n  File \"trainer/task.py\", line 41, in <module>\n" +
				"    train(args)\nValueError: loss is nan at step 1200"
		}
	}
	return text
}

// Hostile returns texts that nobody should have to read, by name.
func Hostile() map[string]string {
	return map[string]string{
		"long":      strings.Repeat("0123456789abcdef", 1<<16),
		"long wide": strings.Repeat("😀", 1<<18),
		"escapes":   strings.Repeat("&<>", 1<<18),
		"quotes":    strings.Repeat(`"'\`, 1<<18),
		"newlines":  strings.Repeat("a\r\nBcc: evil@example.com\r\n", 1<<14),
		"control":   "a\x00b\x07c\x1b[31mred\x1b[0m\x7f\u0085",
		"bidi":      "safe\u202egpj.exe\u2066\u200b\u2028",
		"mark-up":   `<script>alert(1)</script><img src=x onerror=alert(1)>"><b>&amp;</b>`,
		"mentions": "@channel @here @everyone <!channel> <!here|here> <@U0BAD> <!subteam^S0BAD> " +
			"<https://evil.example|click>",
		"fences":     "``` ```` `````\n```\n*bold* _it_ ~s~ `code`\n```",
		"templates":  "{{ .Secret }} ${HOME} %s %!d(MISSING) %00",
		"not UTF-8":  "a\xff\xfe\xc3(",
		"only space": " \t\r\n ",
		"empty":      "",
	}
}

// HostileText returns a text each of whose parts is that text.
func HostileText(s string) notice.Text {
	text := notice.Text{
		Level: notice.Critical, Title: s, Summary: s, Excerpt: s, Repeats: 3, Since: time.Unix(1_800_000_000, 0),
	}
	for range 60 {
		text.Facts = append(text.Facts, notice.Fact{Label: s, Value: s})
		text.Next = append(text.Next, notice.Step{Text: s, Command: s})
		text.Faults = append(text.Faults, s)
		text.Links = append(text.Links, notice.Link{Label: s, URL: "https://console.example.com/?q=" + s},
			notice.Link{Label: s, URL: s}, notice.Link{Label: s, URL: "javascript:alert(1)//" + s})
		text.Owners = append(text.Owners, notice.Owner{Name: s, Slack: s, Email: s})
	}
	return text
}
