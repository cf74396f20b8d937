// Package rest is what the adapters for Google's training services have in common:
// calls with deadlines that are made again, and errors by class.
package rest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/googleapis/gax-go/v2"
	"google.golang.org/api/googleapi"

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
			vs = append(vs, job.Violation{Rule: "backend-refused", Severity: job.Error, Field: v.Field, Message: v.Description})
		}
	}
	return vs
}
