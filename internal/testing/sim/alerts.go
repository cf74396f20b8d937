package sim

import (
	"context"
	"log/slog"
	"slices"
	"time"
)

// alert is an error in the log: what wakes people.
type alert struct {
	at      time.Time
	worker  string
	message string
	values  map[string]string
}

// recorder is a log that keeps the errors, each with the attributes of its logger.
type recorder struct {
	w    *world
	with []slog.Attr
}

func (r *recorder) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }

func (r *recorder) Handle(ctx context.Context, entry slog.Record) error {
	a := alert{at: time.Now(), message: entry.Message, values: map[string]string{}}
	if me := workerOf(ctx); me != nil {
		a.worker = me.name
	}
	for _, v := range r.with {
		a.values[v.Key] = v.Value.String()
	}
	entry.Attrs(func(v slog.Attr) bool {
		a.values[v.Key] = v.Value.String()
		return true
	})
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	r.w.alerts = append(r.w.alerts, a)
	return nil
}

func (r *recorder) WithAttrs(more []slog.Attr) slog.Handler {
	return &recorder{r.w, slices.Concat(r.with, more)}
}

func (r *recorder) WithGroup(string) slog.Handler { return r }
