package logging_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/app/logging"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// line returns what a logger writes for a record.
func line(t *testing.T, level slog.Level, message string, with func(*slog.Logger) *slog.Logger,
	attributes ...slog.Attr) string {
	t.Helper()
	var b bytes.Buffer
	r := slog.NewRecord(noon, level, message, 0)
	r.AddAttrs(attributes...)
	if err := with(logging.New(&b, slog.LevelDebug)).Handler().Handle(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestLines(t *testing.T) {
	plain := func(l *slog.Logger) *slog.Logger { return l }
	tests := []struct {
		name       string
		level      slog.Level
		with       func(*slog.Logger) *slog.Logger
		attributes []slog.Attr
		want       string
	}{
		{"debug", slog.LevelDebug, plain, nil, `{"time":"2026-11-22T12:00:00Z","severity":"DEBUG","message":"done"}`},
		{
			"below debug", slog.LevelDebug - 4, plain, nil,
			`{"time":"2026-11-22T12:00:00Z","severity":"DEBUG","message":"done"}`,
		},
		{"info", slog.LevelInfo, plain, nil, `{"time":"2026-11-22T12:00:00Z","severity":"INFO","message":"done"}`},
		{"warning", slog.LevelWarn, plain, nil, `{"time":"2026-11-22T12:00:00Z","severity":"WARNING","message":"done"}`},
		{
			"between warning and error", slog.LevelWarn + 1, plain, nil,
			`{"time":"2026-11-22T12:00:00Z","severity":"WARNING","message":"done"}`,
		},
		{"error", slog.LevelError, plain, nil, `{"time":"2026-11-22T12:00:00Z","severity":"ERROR","message":"done"}`},
		{
			"above error", slog.LevelError + 4, plain, nil,
			`{"time":"2026-11-22T12:00:00Z","severity":"CRITICAL","message":"done"}`,
		},
		{
			"attributes", slog.LevelInfo, plain,
			[]slog.Attr{slog.String("job_id", "a\nb"), slog.Int("violations", 2), slog.Any("error", errors.New("no"))},
			`{"time":"2026-11-22T12:00:00Z","severity":"INFO","message":"done","job_id":"a\nb","violations":2,"error":"no"}`,
		},
		{
			"those of the logger come first", slog.LevelInfo,
			func(l *slog.Logger) *slog.Logger { return l.With("instance", "prod") },
			[]slog.Attr{slog.String("a", "b")},
			`{"time":"2026-11-22T12:00:00Z","severity":"INFO","message":"done","instance":"prod","a":"b"}`,
		},
		{
			"groups are left as they are", slog.LevelInfo, plain,
			[]slog.Attr{slog.Group("g", slog.String("msg", "m"), slog.Any("level", slog.LevelWarn))},
			`{"time":"2026-11-22T12:00:00Z","severity":"INFO","message":"done","g":{"msg":"m","level":"WARN"}}`,
		},
		{
			"in a group of the logger's", slog.LevelError, func(l *slog.Logger) *slog.Logger { return l.WithGroup("g") },
			[]slog.Attr{slog.String("msg", "m")},
			`{"time":"2026-11-22T12:00:00Z","severity":"ERROR","message":"done","g":{"msg":"m"}}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want+"\n", line(t, test.level, "done", test.with, test.attributes...)); diff != "" {
				t.Errorf("line (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLevel(t *testing.T) {
	var level slog.LevelVar
	level.Set(slog.LevelWarn)
	var b bytes.Buffer
	l := logging.New(&b, &level)
	for _, test := range []struct {
		at   slog.Level
		want bool
	}{
		{slog.LevelDebug, false}, {slog.LevelInfo, false}, {slog.LevelWarn, true}, {slog.LevelError, true},
	} {
		b.Reset()
		l.Log(context.Background(), test.at, "done")
		if written := b.Len() > 0; written != test.want {
			t.Errorf("%s is written: %t, want %t", test.at, written, test.want)
		}
	}
	b.Reset()
	level.Set(slog.LevelDebug)
	if l.Debug("done"); b.Len() == 0 {
		t.Error("a level that changes is not heeded")
	}
}
