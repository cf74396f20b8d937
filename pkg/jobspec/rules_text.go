package jobspec

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// controlCharacter: no field takes a NUL, which ends a text in C and so in an argument of a process.
// Tabs and line breaks may stand in what is passed to a program, and nowhere else.
//
// Source: POSIX, exec; jobdrop's own rule for other fields.
//
//	 trainingInput:
//	-  args: ["--name=a\0b"]
//	+  args: [--name=ab]
func controlCharacter(c *check) {
	for _, key := range c.labels {
		if r, ok := control(key, ""); ok {
			c.failKey(join("labels", key), controls(key, r))
		}
		c.text(join("labels", key), c.spec.Labels[key], "")
	}
	c.text("jobId", c.spec.JobID, "")
	if c.in != nil {
		c.texts("trainingInput", reflect.ValueOf(c.in).Elem())
	}
	c.texts("jobdrop", reflect.ValueOf(&c.f.Options).Elem())
}

// texts checks all texts of a structure, whatever fields it has.
func (c *check) texts(field string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			c.texts(field, v.Elem())
		}
	case reflect.Struct:
		for _, m := range structures()[v.Type()].members {
			c.texts(join(field, m.name), v.FieldByIndex(m.index))
		}
	case reflect.Slice:
		for i := range v.Len() {
			c.texts(element(field, i), v.Index(i))
		}
	case reflect.String:
		allowed := ""
		if passed(field) {
			allowed = "\t\n\r"
		}
		c.text(field, v.String(), allowed)
	}
}

// passed reports whether a field's value is passed to the trainer as it is.
func passed(field string) bool {
	for _, list := range [...]string{".args[", ".containerArgs[", ".containerCommand[", ".categoricalValues["} {
		if strings.Contains(field, list) {
			return true
		}
	}
	return false
}

func (c *check) text(field, value, allowed string) {
	if r, ok := control(value, allowed); ok {
		c.fail(field, controls(value, r))
	}
}

func controls(value string, r rune) job.Violation {
	return job.Violation{
		Message: fmt.Sprintf("the text holds the control character %U", r),
		Found:   show(value),
		Allowed: "text without control characters; in arguments tabs and line breaks, too",
		Remedy:  "remove the character",
	}
}

// control finds a control character other than those allowed.
func control(text, allowed string) (rune, bool) {
	for i := range len(text) { // most texts have only the characters of ASCII that are shown
		if c := text[i]; c < ' ' || c >= 0x7f {
			for _, r := range text {
				if unicode.IsControl(r) && (r >= utf8.RuneSelf || strings.IndexByte(allowed, byte(r)) < 0) {
					return r, true
				}
			}
			break
		}
	}
	return 0, false
}
