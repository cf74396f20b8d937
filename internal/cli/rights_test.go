package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"testing"

	"google.golang.org/api/googleapi"

	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/pkg/job"
)

var errNoNetwork = errors.New("no route to host")

// What a command ends with tells what somebody has to see to from jobdrop's own faults.
func TestEnded(t *testing.T) {
	interrupted, stop := context.WithCancel(t.Context())
	stop()
	sent := func(err error) error { return fmt.Errorf("read: %w", &url.Error{Op: "Get", URL: "u", Err: err}) }
	for _, test := range []struct {
		name    string
		err     error
		code    int
		passing bool
	}{
		{"no network", sent(&net.OpError{Op: "dial", Err: errNoNetwork}), exitMissing, true},
		{"no name service", sent(&net.DNSError{Err: "no such host"}), exitMissing, true},
		{"no time", fmt.Errorf("read: %w", context.DeadlineExceeded), exitMissing, true},
		{"a connection that was cut", sent(io.EOF), exitMissing, true},
		{"an answer that was cut", fmt.Errorf("read: %w", io.ErrUnexpectedEOF), exitMissing, true},
		{"an outage", &googleapi.Error{Code: 503}, exitMissing, true},
		{"a busy service", fmt.Errorf("%w: %w", job.ErrQuota, &googleapi.Error{Code: 429}), exitMissing, true},
		{"refused credentials", &googleapi.Error{Code: 401}, exitMissing, false},
		{"no token", sent(errors.New("oauth2: invalid_grant")), exitMissing, false},
		{"no right", &rightError{rightGet, "gs://b", job.ErrDenied}, exitMissing, false},
		{"unknown", &unknownError{name: "n"}, exitUnknown, false},
		{"a wrong query", ledger.ErrQuery, exitUsage, false},
		{"a large object", job.ErrTooLarge, exitFault, false},
		{"a bad answer", &json.SyntaxError{}, exitFault, false},
		{"a bad request", &googleapi.Error{Code: 400}, exitFault, false},
	} {
		if got := codeOf(ended(t.Context(), test.err)); got != test.code {
			t.Errorf("%s: exit %d, want %d", test.name, got, test.code)
		}
		if got := passing(test.err); got != test.passing {
			t.Errorf("%s: passing is %t", test.name, got)
		}
	}
	if got := codeOf(ended(interrupted, sent(context.Canceled))); got != exitInterrupted {
		t.Errorf("interrupted: exit %d", got)
	}
}
