// Package rest is what the adapters for Google's training services have in common:
// calls with deadlines that are made again, and errors by class.
package rest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/googleapis/gax-go/v2"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
	htransport "google.golang.org/api/transport/http"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// CallTimeout bounds one call with its retries. A claim on a create has to last
// more than twice as long.
const CallTimeout = 30 * time.Second

// Invoke makes a call that may be repeated within [CallTimeout], again with backoff
// where the service is not available. A quota that is used up is not waited for: the
// caller comes again later.
func Invoke[T any](ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	var result T
	retry := gax.WithRetry(func() gax.Retryer {
		return gax.OnHTTPCodes(gax.Backoff{Initial: 200 * time.Millisecond, Max: 5 * time.Second, Multiplier: 2},
			http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout)
	})
	err := gax.Invoke(ctx, func(ctx context.Context, _ gax.CallSettings) (err error) {
		result, err = call(ctx)
		return err
	}, retry)
	return result, err
}

// mostAnswer bounds an answer, in bytes. It is far above the largest job, and above a page of jobs without their inputs,
// for which lists ask. A service that says more takes the memory of a function and of all that runs in it.
const mostAnswer = 32 << 20

// scope is that of all services of Google Cloud.
const scope = "https://www.googleapis.com/auth/cloud-platform"

// NewClient returns a client, limited as by [Limit], for an endpoint, or for Google's own if that is empty. It has
// Google's credentials unless the endpoint is [Unencrypted].
func NewClient(ctx context.Context, endpoint string) (*http.Client, error) {
	credentials := option.WithScopes(scope)
	if Unencrypted(endpoint) {
		credentials = option.WithoutAuthentication()
	}
	client, _, err := htransport.NewClient(ctx, credentials)
	if err != nil {
		return nil, err
	}
	return Limit(client), nil
}

// Unencrypted reports whether an endpoint is reached by plain HTTP: a service on this machine, which gets no credentials.
func Unencrypted(endpoint string) bool { return strings.HasPrefix(endpoint, "http://") }

// Limit returns a client that reads no more than [mostAnswer] of an answer. A longer one is an error that wraps
// [job.ErrTooLarge].
func Limit(client *http.Client) *http.Client {
	limited := *client
	limited.Transport = limitedTransport{cmp.Or(client.Transport, http.DefaultTransport)}
	return &limited
}

type limitedTransport struct{ http.RoundTripper }

func (t limitedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.RoundTripper.RoundTrip(r)
	if err == nil {
		answer.Body = &limitedBody{answer.Body, mostAnswer}
	}
	return answer, err
}

type limitedBody struct {
	io.ReadCloser
	left int
}

func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, fmt.Errorf("the service's answer has more than %d bytes: %w", mostAnswer, job.ErrTooLarge)
	}
	return n, err
}

// ErrNoJob reports an answer that holds no job. A gateway may say so in place of the service.
var ErrNoJob = errors.New("the service's answer is not a job")

// Code returns the HTTP status of an API error, or 0.
func Code(err error) int {
	var api *googleapi.Error
	if errors.As(err, &api) {
		return api.Code
	}
	return 0
}

// Classify returns the domain's error for the API's, by status alone.
func Classify(err error) error {
	var api *googleapi.Error
	if !errors.As(err, &api) {
		return err
	}
	switch api.Code {
	case http.StatusNotFound:
		return fmt.Errorf("%w: %w", job.ErrNotFound, err)
	case http.StatusTooManyRequests:
		return fmt.Errorf("%w: %w", job.ErrQuota, err)
	case http.StatusBadRequest:
		return &attempt.RefusedError{Code: "INVALID_ARGUMENT", Message: message(api), Fields: fieldViolations(api)}
	case http.StatusForbidden:
		return &attempt.RefusedError{Code: "PERMISSION_DENIED", Message: message(api), Fields: fieldViolations(api)}
	}
	return err
}

// message returns an error's text. A gateway's page says nothing to people.
func message(api *googleapi.Error) string {
	return cmp.Or(api.Message, http.StatusText(api.Code))
}

// fieldViolations reads google.rpc.BadRequest from an error's details.
func fieldViolations(api *googleapi.Error) []job.Violation {
	var body struct {
		Error struct {
			Details []struct {
				FieldViolations []struct{ Field, Description string } `json:"fieldViolations"`
			} `json:"details"`
		} `json:"error"`
	}
	if json.Unmarshal([]byte(api.Body), &body) != nil {
		return nil
	}
	var vs []job.Violation
	for _, d := range body.Error.Details {
		for _, v := range d.FieldViolations {
			vs = append(vs, job.Violation{Rule: ruleBackendRefused, Severity: job.Error, Field: v.Field, Message: v.Description})
		}
	}
	return vs
}
