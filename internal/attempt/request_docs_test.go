package attempt

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const requestDocs = "../../docs/requests"

// requestSchema compiles a schema of the documentation, by its own draft's rules.
func requestSchema(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	data, err := os.ReadFile(requestDocs + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(name, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func valid(t *testing.T, s *jsonschema.Schema, data []byte) error {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	return s.Validate(value)
}

// The documentation's examples are what it says that they are.
func TestRequestExamples(t *testing.T) {
	request, answer := requestSchema(t, "request.v1.json"), requestSchema(t, "answer.v1.json")
	text, err := os.ReadFile(requestDocs + ".md")
	if err != nil {
		t.Fatal(err)
	}
	requests, answers := 0, 0
	for _, m := range regexp.MustCompile(`(?s)(?:json\n|echo '|-d ')(\{.*?\})(?:\n|')`).FindAllSubmatch(text, -1) {
		example := m[1]
		if bytes.Contains(example, []byte(`"outcome"`)) {
			answers++
			var a Answer
			if err := json.Unmarshal(example, &a); err != nil || valid(t, answer, example) != nil {
				t.Errorf("%s: %v, %v", example, err, valid(t, answer, example))
			}
			continue
		}
		requests++
		if _, err := ParseRequest(example); err != nil || valid(t, request, example) != nil {
			t.Errorf("%s: %v, %v", example, err, valid(t, request, example))
		}
	}
	if requests < 3 || answers < 1 {
		t.Errorf("%d requests, %d answers", requests, answers)
	}
}

// The schemas say what the code does.
func TestRequestSchemas(t *testing.T) {
	request, answer := requestSchema(t, "request.v1.json"), requestSchema(t, "answer.v1.json")
	for _, text := range []string{
		`{"kind": "cancel"}`, `{"kind": "rerun", "by": "a", "reason": "b", "at": "2026-11-22T12:00:00Z"}`, `{}`,
		`{"kind": "delete"}`, `{"kind": "cancel", "force": true}`, `{"kind": "cancel", "at": "now"}`, `{"kind": 7}`, `[]`,
		`{"kind": "cancel", "by": 7}`,
	} {
		_, err := ParseRequest([]byte(text))
		if told := valid(t, request, []byte(text)); (told == nil) != (err == nil) {
			t.Errorf("%s: the schema says %v, the code %v", text, told, err)
		}
	}
	for _, a := range []Answer{
		{Outcome: RequestAccepted, Message: "m", Attempt: "a", Request: &Request{Kind: KindRerun}, Generation: 7, At: start},
		{Outcome: RequestRefused, Message: "m", Generation: 7, At: start.Add(time.Hour)},
	} {
		data, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		if err := valid(t, answer, data); err != nil {
			t.Errorf("%s: %v", data, err)
		}
		if valid(t, answer, []byte(strings.Replace(string(data), `"7"`, "7", 1))) == nil {
			t.Error("a generation that a number can't hold is taken")
		}
	}
}
