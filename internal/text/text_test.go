package text_test

import (
	"testing"
	"time"

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

func TestHours(t *testing.T) {
	if one, two := text.AcceleratorHours(3600), text.AcceleratorHours(7200); one != "1 accelerator hour" || two != "2 accelerator hours" {
		t.Errorf("%q, %q", one, two)
	}
	for seconds, want := range map[int64][2]string{
		0: {"0", "0"}, 1: {"0", "0.01"}, 36: {"0.01", "0.01"}, 37: {"0.01", "0.02"}, 1800: {"0.5", "0.5"},
		3600: {"1", "1"}, 3599: {"0.99", "1"}, 7200001: {"2000", "2000.01"},
	} {
		if got := [2]string{text.Hours(seconds), text.HoursUp(seconds)}; got != want {
			t.Errorf("%d s: %q, want %q", seconds, got, want)
		}
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 12 * time.Second: "12s", 250 * time.Second: "4m10s", 90 * time.Minute: "1h30m",
		74 * time.Hour: "3d2h", 400 * time.Hour: "16d",
	} {
		if got := text.Age(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestOrdinal(t *testing.T) {
	for n, want := range map[int]string{1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 11: "11th", 12: "12th", 13: "13th",
		21: "21st", 112: "112th"} {
		if got := text.Ordinal(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
