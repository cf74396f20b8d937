package job

import (
	"strings"
	"testing"
)

func TestIsLabel(t *testing.T) {
	for text, want := range map[string][2]bool{ // as a key, as a value
		"": {false, true}, "team": {true, true}, "über-team_1": {true, true}, "1st": {false, true}, "_x": {false, true},
		"Team": {false, false}, "a b": {false, false},
		"a.b": {false, false}, "語": {true, true}, strings.Repeat("é", 63): {true, true},
		strings.Repeat("é", 64): {false, false}, "a\xff": {false, false},
	} {
		if got := [2]bool{IsLabelKey(text), IsLabel(text)}; got != want {
			t.Errorf("%q: key %t, value %t; want %v", text, got[0], got[1], want)
		}
	}
}
