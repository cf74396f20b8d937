//go:build !unix

package pyproject_test

import "testing"

func socket(t *testing.T, _ string) { t.Skip("SKIPPED: no sockets in folders here") }

func pipe(t *testing.T, _ string) { t.Skip("SKIPPED: no named pipes in folders here") }
