package front

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestSelected(t *testing.T) {
	const doc = `{"a":{"b":1,"c":[{"d":2,"e":3}]},"f":4}`
	for fields, want := range map[string]string{
		"": doc, "*": doc, "f": `{"f":4}`, "a/b": `{"a":{"b":1}}`, "a(b),f": `{"a":{"b":1},"f":4}`,
		"a(c/d,b)": `{"a":{"b":1,"c":[{"d":2}]}}`, "a/c(e)": `{"a":{"c":[{"e":3}]}}`, "*/b": `{"a":{"b":1},"f":4}`,
		"none": `{}`, "a(c": doc,
	} {
		got, err := json.Marshal(Selected(json.RawMessage(doc), fields))
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v, want %s", fields, got, err, want)
		}
	}
}

// Fields that can't be read are refused, as deep as they may be.
func TestCheckFields(t *testing.T) {
	for fields, want := range map[string]string{
		"": "", "a": "", "a,b(c,d/e(f)),*": "", strings.Repeat("a(", 5000) + "b" + strings.Repeat(")", 5000): "",
		"a)": "closed that was not opened", "a(b": "not closed", "a(b)c": "a comma is missing", "a()": "a name is missing",
		"a,,b": "a name is missing", "a,": "a name is missing", "/a": "a name is missing", "(": "a name is missing",
		strings.Repeat("a(", 5000):  "a name is missing",
		strings.Repeat("a(", 3<<20): "fields has 6291456 bytes, and 16384 are the most",
	} {
		err := CheckFields(fields)
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.20s: got %v, want %q", fields, err, want)
		}
		if err != nil && len(err.Error()) > 300 {
			t.Errorf("%.20s: the error has %d bytes", fields, len(err.Error()))
		}
	}
}
