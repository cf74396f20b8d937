package gcs_test

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/service/gcs"
)

// A setting that an earlier stack has left fails within a second, and is named.
func TestAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	for _, emulator := range []string{"", address, "http://" + address, "http://" + address + "/"} {
		if err := gcs.Answers(t.Context(), emulator); err != nil {
			t.Errorf("%q: %v", emulator, err)
		}
	}
	_ = l.Close()
	for _, emulator := range []string{address, "http://" + address, "http://192.0.2.1:4443"} {
		begun := time.Now()
		err := gcs.Answers(t.Context(), emulator)
		if !errors.Is(err, gcs.ErrNoEmulator) || !strings.Contains(err.Error(), "STORAGE_EMULATOR_HOST names") ||
			!strings.Contains(err.Error(), emulator) {
			t.Errorf("%q: %v", emulator, err)
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("%q: told after %s", emulator, took)
		}
	}
}
