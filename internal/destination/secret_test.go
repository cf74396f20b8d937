package destination_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/destination"
)

func TestWithSecrets(t *testing.T) {
	refusal := delivery.Never(destination.Unauthorized(errors.New("refused")))
	tests := []struct {
		name string
		// cached and fresh are what the reader has, err what it returns.
		cached, fresh string
		answers       []error
		sent          []string
		wantErr       error
	}{
		{"taken", "old", "new", []error{nil}, []string{"old"}, nil},
		{"rotated", "old", "new", []error{refusal, nil}, []string{"old", "new"}, nil},
		{"rotated, and refused", "old", "new", []error{refusal, refusal}, []string{"old", "new"}, refusal},
		{"not rotated", "old", "old", []error{refusal}, []string{"old"}, refusal},
		{"another error", "old", "new", []error{context.Canceled}, []string{"old"}, context.Canceled},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			secret := destination.Reference(func(_ context.Context, reference string, fresh bool) (string, error) {
				if reference != "env://X" {
					t.Errorf("reference %q", reference)
				}
				if fresh {
					return test.fresh, nil
				}
				return test.cached, nil
			}, "env://X")
			var sent []string
			send := func(_ context.Context, values []string) error {
				sent = append(sent, values[0])
				return test.answers[len(sent)-1]
			}
			err := destination.WithSecrets(t.Context(), []destination.Secret{secret}, send)
			if !errors.Is(err, test.wantErr) || !slices.Equal(sent, test.sent) {
				t.Errorf("error %v after sending with %v", err, sent)
			}
		})
	}
}

func TestWithSecretsThatCannotBeRead(t *testing.T) {
	broken := errors.New("permission denied")
	for name, secret := range map[string]destination.Secret{
		"broken": func(context.Context) (string, error) { return "", broken },
		"empty":  destination.Value(""),
	} {
		secrets := []destination.Secret{secret}
		err := destination.WithSecrets(t.Context(), secrets, func(context.Context, []string) error {
			t.Error(name + ": sent")
			return nil
		})
		if err == nil || delivery.IsNever(err) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
