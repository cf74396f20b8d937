package console

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/jobdrop/jobdrop/internal/attempt"
)

// requestID matches the names of requests that the console writes.
var requestID = regexp.MustCompile(`^console-[a-z2-7]{26}$`)

// asking returns the action that writes a cancel or rerun request. Watch carries it out; the console itself may do nothing
// else. [Server.ServeHTTP] has refused what other web sites send.
func (s *Server) asking(kind string) func(ctx context.Context, r request) (string, error) {
	return func(ctx context.Context, r request) (string, error) {
		record, err := s.record(ctx, r)
		if err != nil {
			return "", err
		}
		if err := r.ParseForm(); err != nil {
			return "", fmt.Errorf("%w: %w", errForm, err)
		}
		reason := strings.TrimSpace(r.PostFormValue("reason"))
		if reason == "" {
			return "", fmt.Errorf("%w: the reason is missing: whoever is told of it reads why", errForm)
		}
		data, err := json.Marshal(attempt.Request{Kind: kind, Reason: reason, By: r.who, At: s.Now().UTC()})
		if err != nil {
			return "", err
		}
		if _, err := attempt.ParseRequest(data); err != nil {
			return "", fmt.Errorf("%w: %w", errForm, err)
		}
		id := "console-" + strings.ToLower(rand.Text())
		_, err = s.Store.Write(ctx, s.State, "requests/"+record.Attempt+"/"+id+".json", data, "application/json", nil, 0)
		if err != nil && !errors.Is(err, attempt.ErrStale) { // an answer was lost, and the request is there
			return "", err
		}
		return "/attempts/" + record.Attempt + "?" + url.Values{"asked": {id}}.Encode() + "#asked", nil
	}
}
