package local_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/testing/hostile"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// functionMemory is what the functions' process may have at its peak: an instance
// has 512 MiB, and what lies in its /tmp counts.
const functionMemory = 400 << 20

// hostileDrops is how many drops of these there are at the least.
const hostileDrops = 200

// In one inbox with two hundred hostile drops, every one of those gets a verdict,
// and the honest ones run as if they were alone. The functions keep within their
// memory, ticks within their time. A plain run takes a third of the drops,
// HOSTILE=all takes all.
func TestHostileInbox(t *testing.T) {
	hostile.Measures(t)
	if runtime.GOOS != "linux" {
		t.Skip("reads the peak memory from /proc")
	}
	if n := len(hostile.Drops()); n < hostileDrops {
		t.Fatalf("there are %d drops, want %d or more", n, hostileDrops)
	}
	drops := hostile.Some(hostile.Drops())
	pidFile := filepath.Join(t.TempDir(), "pid")
	logs := &lines{}
	s := stack(t, local.Options{
		Env:          []string{"PID_FILE=" + pidFile},
		FunctionLogs: logs,
		// What is harmless is accepted, and need not run.
		Policy: []byte("prefixes: [{match: 'hostile/**', pause: true}]\n"),
	})
	put := func(name string, data []byte, metadata map[string]string) error {
		_, err := s.Storage.Upload(t.Context(), local.Inbox, name, bytes.NewReader(data), metadata)
		return err
	}
	folder := func(i int) string { return fmt.Sprintf("hostile/%03d", i) }
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for i := worker; i < len(drops); i += 4 {
				files := drops[i].Files()
				for name, data := range files {
					if name == hostile.JobFile {
						continue
					}
					if err := put(folder(i)+"/"+name, data, nil); err != nil {
						t.Errorf("%s: %v", drops[i].Name, err)
					}
				}
				if err := put(folder(i)+"/"+hostile.JobFile, files[hostile.JobFile], drops[i].Metadata); err != nil {
					t.Errorf("%s: %v", drops[i].Name, err)
				}
			}
		})
	}
	// One at the start, one among the others.
	upload(t, s, "hello", "trainer-0.1.tar.gz", "job.yaml")
	group.Wait()
	upload(t, s, "train", "trainer-0.1.tar.gz", "job.yaml")

	decided := func(folder, what string, holds func(event.Body) bool) (body event.Body) {
		within(t, 5*time.Minute, what, func() bool {
			data, _, err := s.Storage.Read(t.Context(), local.Status, folder+"/status.json", 0, 1<<20)
			body = event.Body{}
			return err == nil && json.Unmarshal(data, &body) == nil && holds(body)
		})
		return body
	}
	for _, honest := range []string{"hello", "train"} {
		if body := decided(honest, honest+" has its verdict", ended); body.State != job.Succeeded {
			t.Errorf("%s is %s: %s", honest, body.State, body.Reason)
		}
	}
	for i, drop := range drops {
		body := decided(folder(i), drop.Name+" is decided", func(b event.Body) bool { return b.State != "" })
		if drop.Refused && body.State != job.Rejected {
			t.Errorf("%s is %s: %s", drop.Name, body.State, body.Reason)
		}
	}

	data, _, err := s.Storage.Read(t.Context(), local.State, "heartbeat.json", 0, 1<<20)
	var pulse struct{ Seconds float64 }
	if err == nil {
		err = json.Unmarshal(data, &pulse)
	}
	if err != nil {
		t.Error(err)
	}
	if strings.Contains(logs.String(), "its time in this tick is over") ||
		strings.Contains(logs.String(), "the tick's time is over") {
		t.Error("a tick did not come to its end")
	}
	pid, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	kib, err := hostile.PeakMemory(string(pid))
	if err != nil {
		t.Fatal(err)
	}
	if kib > functionMemory>>10 {
		t.Errorf("the functions' process had %d MiB", kib>>10)
	}
	t.Logf("%d drops; the functions' process had %d MiB, the last tick took %.1f s", len(drops), kib>>10, pulse.Seconds)
}
