package text_test

import (
	"testing"

	"github.com/jobdrop/jobdrop/internal/text"
)

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"abc", "acb", 1}, {"kitten", "sitting", 3}, {"region", "regoin", 1}} {
		if got := text.Distance(tt.a, tt.b); got != tt.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestShow(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"task", "task"}, {"", `""`}, {"a b", `"a b"`}, {"\x1b[31m", `"\x1b[31m"`}, {"\xff", `"\xff"`},
		{"12345678901", "1234567890…"}, {"éééééééééé", "éééééééééé"}, {"ééééééééééé", "éééééééééé…"},
	} {
		if got := text.Show(test.in, 10); got != test.want {
			t.Errorf("Show(%q) = %s, want %s", test.in, got, test.want)
		}
	}
}
