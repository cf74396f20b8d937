package local_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/local/loopback"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// portTaken is a variable of the functions' process: a file for takePort.
const portTaken = "PORT_TAKEN"

// takePort answers at an address as the functions of another stack do, for a moment, and ends this process. It writes
// to file what it was asked for. Where the file is there already, it does nothing.
func takePort(addr, file string) {
	asked, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	time.AfterFunc(300*time.Millisecond, func() { os.Exit(1) })
	_ = http.ListenAndServe(addr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(loopback.StackHeader, "another")
		if r.Method != http.MethodPost {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		_, _ = asked.WriteString(r.URL.Path + "\n")
		w.WriteHeader(http.StatusNoContent)
	}))
	os.Exit(1)
}

// A free port may be taken by the functions of another stack before this one's listen there. The stack tells them apart,
// and starts its own elsewhere: the others would take its events, and find nothing.
func TestPortTakenByAnotherStack(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "asked")
	s := stack(t, local.Options{Env: []string{portTaken + "=" + file}})
	if asked, err := os.ReadFile(file); err != nil || len(asked) > 0 {
		t.Fatalf("another stack's functions were asked for %q, %v", asked, err)
	}
	verdict := follow(t, s)
	upload(t, s, "hello", "trainer-0.1.tar.gz", "job.yaml")
	if body, _ := verdict(); body.State != job.Succeeded {
		t.Errorf("%s: %s", body.State, body.Reason)
	}
}
