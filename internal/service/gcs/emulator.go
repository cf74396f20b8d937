package gcs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
)

// EmulatorVariable names an emulator of Cloud Storage, to Google's libraries too.
const EmulatorVariable = "STORAGE_EMULATOR_HOST"

// ErrNoEmulator reports that nothing answers where [EmulatorVariable] says.
var ErrNoEmulator = errors.New("no emulator of Cloud Storage answers")

// emulatorTime is how long an emulator may take to take a connection: it is near.
const emulatorTime = 800 * time.Millisecond

// Answers returns [ErrNoEmulator], with the remedy, if nothing listens where an emulator is
// said to be. The setting is often an earlier stack's, and calls would be tried for minutes.
// Without an emulator it returns nil.
func Answers(ctx context.Context, emulator string) error {
	if emulator == "" {
		return nil
	}
	address := emulator
	if u, err := url.Parse(emulator); err == nil && strings.Contains(emulator, "://") {
		address = u.Host
		if u.Port() == "" {
			address = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
		}
	}
	d := net.Dialer{Timeout: emulatorTime}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("%w at %s, which %s names: start it (jobdrop local), or unset the variable to use Google's own: %w",
			ErrNoEmulator, emulator, EmulatorVariable, err)
	}
	return c.Close()
}
