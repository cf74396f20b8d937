package destination

import (
	"context"
	"errors"
	"slices"
)

// Secret returns a token, key, password or URL. It is read late, at each Send, and cached by who reads it.
type Secret func(ctx context.Context) (string, error)

// Value returns a secret that is known already: a URL that stands in the routes file.
func Value(value string) Secret {
	return func(context.Context) (string, error) { return value, nil }
}

// Reference returns the secret that a reference leads to. read is asked for a fresh value where the one of its
// cache was refused.
func Reference(read func(ctx context.Context, reference string, fresh bool) (string, error), reference string) Secret {
	return func(ctx context.Context) (string, error) {
		fresh, _ := ctx.Value(freshKey{}).(bool)
		return read(ctx, reference, fresh)
	}
}

type freshKey struct{}

// Fresh returns a context in which secrets are read anew.
func Fresh(ctx context.Context) context.Context { return context.WithValue(ctx, freshKey{}, true) }

// Unauthorized returns an error that says that a token, a key, a password or a URL may be out of date.
func Unauthorized(err error) error { return &unauthorizedError{err} }

// IsUnauthorized reports whether an error is one of [Unauthorized].
func IsUnauthorized(err error) bool {
	var unauthorized *unauthorizedError
	return errors.As(err, &unauthorized)
}

type unauthorizedError struct{ error }

func (e *unauthorizedError) Unwrap() error { return e.error }

// WithSecrets calls send with the values of secrets. If send returns an error of [Unauthorized], it reads them anew,
// and calls send once more if one has changed: a secret that was just rotated loses no message.
func WithSecrets(ctx context.Context, secrets []Secret, send func(ctx context.Context, values []string) error) error {
	values, err := read(ctx, secrets)
	if err != nil {
		return err
	}
	refused := send(ctx, values)
	if !IsUnauthorized(refused) {
		return refused
	}
	again, err := read(Fresh(ctx), secrets)
	if err != nil || slices.Equal(values, again) {
		return refused
	}
	return send(ctx, again)
}

func read(ctx context.Context, secrets []Secret) ([]string, error) {
	values := make([]string, len(secrets))
	for i, secret := range secrets {
		var err error
		if values[i], err = secret(ctx); err != nil {
			return nil, err
		}
		if values[i] == "" {
			return nil, errors.New("a secret of the destination is empty")
		}
	}
	return values, nil
}
