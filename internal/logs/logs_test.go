package logs

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestCursor(t *testing.T) {
	at := time.Date(2026, 11, 29, 12, 0, 0, 5, time.UTC)
	for _, c := range []Cursor{
		{}, {Time: at, ID: "a"}, {Time: at, ID: "a!b c_~"}, {Time: at, ID: "a", Token: "EA/=!"}, {Token: "x"},
	} {
		if got, err := ParseCursor(c.String()); got != c || err != nil {
			t.Errorf("%q: %+v, %v, want %+v", c.String(), got, err, c)
		}
	}
	for _, text := range []string{"!", "!!", "a!b", "2026-11-29T12:00:00Z", "2026-11-29T12:00:00Z!%", "!a!b!c", strings.Repeat("x", 4096)} {
		if _, err := ParseCursor(text); !errors.Is(err, ErrCursor) {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

func TestShort(t *testing.T) {
	if got := (Line{Text: "aéb"}).Short(2); got.Text != "a" || got.Cut != 3 {
		t.Errorf("%+v", got)
	}
	if got := (Line{Text: "aéb"}).Short(4); got.Text != "aéb" || got.Cut != 0 {
		t.Errorf("%+v", got)
	}
}

func TestMatch(t *testing.T) {
	l := Line{Replica: "master-replica-0", Text: "Loss: NaN", Severity: "CRITICAL"}
	for _, test := range []struct {
		f    Filter
		want bool
	}{
		{Filter{}, true}, {Filter{Text: "loss"}, true}, {Filter{Text: "lost"}, false}, {Filter{Errors: true}, true},
		{Filter{Replica: "master-replica-0", Programs: true}, true}, {Filter{Replica: "service"}, false},
	} {
		if got := test.f.Match(l); got != test.want {
			t.Errorf("%+v: %v", test.f, got)
		}
	}
	if (Filter{Programs: true}).Match(Line{Replica: "service"}) || (Filter{Errors: true}).Match(Line{Severity: "WARNING"}) {
		t.Error("a line is chosen that should not be")
	}
}
