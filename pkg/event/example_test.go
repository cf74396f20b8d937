package event_test

import (
	"fmt"
	"log"

	"github.com/jobdrop/jobdrop/pkg/event"
)

// A message as a Pub/Sub client delivers it, shortened.
var (
	attributes = map[string]string{
		"ce-specversion": "1.0",
		"ce-id":          "468994d0b7bf057f595f5f6a2600fb09492933d3-1795424700381000-8",
		"ce-source":      "//jobdrop.dev/prod",
		"ce-type":        "dev.jobdrop.job.failed.v1",
		"ce-subject":     "census",
		"ce-time":        "2026-11-23T10:32:00Z",
		"content-type":   "application/json",
	}
	data = []byte(`{
	  "attempt": "468994d0b7bf057f595f5f6a2600fb09492933d3-1795424700381000",
	  "sequence": 8,
	  "state": "failed",
	  "job": {"id": "census_1"},
	  "drop": {"bucket": "inbox", "prefix": "census/"},
	  "error": {"message": "The replica master 0 exited with a non-zero status of 1."}
	}`)
)

// A subscriber makes a CloudEvent of each message that it receives.
func ExampleFromMessage() {
	e, err := event.FromMessage(attributes, data)
	if err != nil {
		log.Fatal(err) // not an event of jobdrop: acknowledge it, or it comes again
	}
	fmt.Println(e.Type(), e.Subject())
	// Output: dev.jobdrop.job.failed.v1 census
}

// The body of an event is a full snapshot. Skip each body whose sequence is not above
// the last one of its attempt: it is a repeat.
func ExampleDecode() {
	e, err := event.FromMessage(attributes, data)
	if err != nil {
		log.Fatal(err)
	}
	eventType, body, err := event.Decode(e)
	if err != nil {
		log.Fatal(err)
	}
	last := map[string]int64{} // by attempt; kept where it survives a restart
	if body.Sequence <= last[body.Attempt] {
		return
	}
	last[body.Attempt] = body.Sequence
	switch eventType {
	case event.JobSucceeded:
		fmt.Println(body.Job.ID, "succeeded")
	case event.JobFailed:
		fmt.Printf("%s failed: %s\n", body.Job.ID, body.Error.Message)
	default:
		// A warning, a step on the way, or a type of a later release.
	}
	// Output: census_1 failed: The replica master 0 exited with a non-zero status of 1.
}
