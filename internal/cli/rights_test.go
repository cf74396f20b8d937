package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"
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
		login   bool // whether the message says how to get credentials
	}{
		{"no network", sent(&net.OpError{Op: "dial", Err: errNoNetwork}), exitMissing, true, false},
		{"no name service", sent(&net.DNSError{Err: "no such host"}), exitMissing, true, false},
		{"no time", fmt.Errorf("read: %w", context.DeadlineExceeded), exitMissing, true, false},
		{"a connection that was cut", sent(io.EOF), exitMissing, true, false},
		{"an answer that was cut", fmt.Errorf("read: %w", io.ErrUnexpectedEOF), exitMissing, true, false},
		{"an outage", &googleapi.Error{Code: 503}, exitMissing, true, false},
		{"a busy service", fmt.Errorf("%w: %w", job.ErrQuota, &googleapi.Error{Code: 429}), exitMissing, true, false},
		{"refused credentials", &googleapi.Error{Code: 401}, exitMissing, false, true},
		{"no token", sent(errors.New("oauth2: invalid_grant")), exitMissing, false, false},
		{"expired credentials", sent(fmt.Errorf("%w: %w", job.ErrCredentials,
			&oauth2.RetrieveError{ErrorCode: "invalid_grant"})), exitMissing, false, true},
		{"no right", &rightError{rightGet, "gs://b", job.ErrDenied}, exitMissing, false, false},
		{"unknown", &unknownError{name: "n"}, exitUnknown, false, false},
		{"a wrong query", ledger.ErrQuery, exitUsage, false, false},
		{"a large object", job.ErrTooLarge, exitFault, false, false},
		{"a bad answer", &json.SyntaxError{}, exitFault, false, false},
		{"a bad request", &googleapi.Error{Code: 400}, exitFault, false, false},
	} {
		err := ended(t.Context(), test.err)
		if got := codeOf(err); got != test.code {
			t.Errorf("%s: exit %d, want %d", test.name, got, test.code)
		}
		if got := strings.Contains(err.Error(), login); got != test.login {
			t.Errorf("%s: it names the login: %t: %v", test.name, got, err)
		}
		if got := passing(test.err); got != test.passing {
			t.Errorf("%s: passing is %t", test.name, got)
		}
	}
	if got := codeOf(ended(interrupted, sent(context.Canceled))); got != exitInterrupted {
		t.Errorf("interrupted: exit %d", got)
	}
}
