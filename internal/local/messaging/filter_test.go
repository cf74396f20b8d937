package messaging

import (
	"strings"
	"testing"
)

func TestFilter(t *testing.T) {
	attributes := map[string]string{"ce-subject": "x", "ce-type": "job.done", "a": `q"\` + "\n", "empty": ""}
	for text, want := range map[string]bool{
		``:                                                        true,
		`attributes."ce-subject" = "x"`:                           true,
		`attributes."ce-subject" = "y"`:                           false,
		`attributes.ce-subject="x"`:                               true,
		`attributes:ce-type`:                                      true,
		`attributes:"ce-type"`:                                    true,
		`attributes : ce-type`:                                    true,
		`attributes:none`:                                         false,
		`attributes:empty`:                                        true,
		`attributes.empty = ""`:                                   true,
		`attributes.none = ""`:                                    false,
		`attributes.none != "x"`:                                  true,
		`attributes.ce-subject != "x"`:                            false,
		`attributes.ce-subject != "y"`:                            true,
		`attributes.a = "q\"\\\n"`:                                true,
		`hasPrefix(attributes.a, "q")`:                            true,
		`hasPrefix(attributes.none, "")`:                          false,
		`hasPrefix(attributes."a", "r")`:                          false,
		`NOT attributes:none`:                                     true,
		`-attributes:none`:                                        true,
		`NOT -attributes:none`:                                    false,
		`NOT attributes:a AND attributes:none`:                    false,
		`NOT (attributes:a AND attributes:none)`:                  true,
		`attributes:none OR attributes:a`:                         true,
		`attributes:a AND attributes:ce-type AND attributes:none`: false,
		`(attributes:none AND attributes:a) OR attributes:a`:      true,
		`attributes:none AND (attributes:a OR attributes:a)`:      false,
	} {
		f, err := parseFilter(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := f(attributes); got != want {
			t.Errorf("%s: got %t, want %t", text, got, want)
		}
	}
}

func TestFilterRefused(t *testing.T) {
	for _, text := range []string{
		` `, `x`, `"x"`, `data = "x"`, `attributes`, `attributes.`, `attributes:`, `attributes.a`, `attributes.a =`,
		`attributes.a = x`, `attributes.a = 1`, `attributes.a > "x"`, `attributes.a : "x"`, `attributes.a = 'x'`,
		"attributes.a = `x`", `attributes.a = "x`, `attributes.a = "\q"`, `attributes.a.b = "x"`, `Attributes:a`,
		`attributes:a attributes:b`, `attributes:a and attributes:b`, `attributes:a AND`, `AND attributes:a`, `NOT`, `-`,
		`attributes:a AND attributes:b OR attributes:c`, `(attributes:a`, `attributes:a)`, `()`,
		`hasprefix(attributes.a, "b")`, `hasPrefix(attributes.a)`, `hasPrefix(attributes:a, "b")`,
		`hasPrefix(attributes.a, "b"`,
		`attributes:` + strings.Repeat("a", 256),
	} {
		if _, err := parseFilter(text); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}

func FuzzFilter(f *testing.F) {
	for _, text := range []string{`NOT (attributes."a" = "\x41" OR -hasPrefix(attributes.b, "c"))`, `attributes:a AND`,
		`((((`} {
		f.Add(text)
	}
	f.Fuzz(func(_ *testing.T, text string) {
		if match, err := parseFilter(text); err == nil {
			match(map[string]string{"a": "b"})
		}
	})
}
