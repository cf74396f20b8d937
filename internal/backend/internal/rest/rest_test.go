package rest

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/api/googleapi"
)

// However long a service says later, a call ends in its own time: a claim on a
// create lasts more than twice that.
func TestInvokeEndsInTime(t *testing.T) {
	later := &googleapi.Error{Code: http.StatusServiceUnavailable}
	tests := []struct {
		name string
		call func(context.Context) (int, error)
	}{
		{"later and later", func(context.Context) (int, error) { return 0, later }},
		{"no answer", func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				if _, err := Invoke(t.Context(), test.call); err == nil {
					t.Error("no error")
				}
				if took := time.Since(start); took != CallTimeout {
					t.Errorf("took %s, want %s", took, CallTimeout)
				}
			})
		})
	}
}
