package cli

import (
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/internal/app/config"
	"github.com/jobdrop/jobdrop/internal/local/storage"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// The local storage sends what a job wrote to be saved: as a page of its own it could ask for more in the storage's name.
func TestObjectURL(t *testing.T) {
	if objectURL(config.Config{}) != nil {
		t.Error("without an emulator, Google's own page is not asked")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, err := storage.Serve(t.Context(), storage.Options{Dir: t.TempDir(), Listener: listener, Buckets: []string{"out-1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	client, err := gcs.New(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	const name, page = "a/report & more?.html", "<script>alert(1)</script>"
	generation, err := client.Write(t.Context(), "out-1", name, []byte(page), "text/html", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, emulator := range []string{server.URL(), server.URL() + "/", strings.TrimPrefix(server.URL(), "http://")} {
		urlOf := objectURL(config.Config{StorageEmulator: emulator})
		address := urlOf(job.Object{Bucket: "out-1", Name: name, Generation: generation})
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(got.Body)
		got.Body.Close()
		if err != nil || got.StatusCode != http.StatusOK || string(body) != page {
			t.Errorf("%s: %d %q, %v", address, got.StatusCode, body, err)
		}
		for header, want := range map[string]string{
			"Content-Disposition": "attachment", "Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff",
		} {
			if got := got.Header.Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", address, header, got, want)
			}
		}
	}
}

// What Terraform runs on Cloud Run is a command line that there is.
func TestFlagsOnCloudRun(t *testing.T) {
	text, err := os.ReadFile("../../deploy/terraform/modules/console/main.tf")
	if err != nil {
		t.Fatal(err)
	}
	flags := newConsole(Env{}, nil).Flags()
	found := regexp.MustCompile(`"--([a-z-]+)(=?)`).FindAllSubmatch(text, -1)
	for _, m := range found {
		f := flags.Lookup(string(m[1]))
		if f == nil {
			t.Errorf("jobdrop console has no flag --%s", m[1])
		} else if takes := f.NoOptDefVal == ""; takes != (len(m[2]) > 0) {
			t.Errorf("--%s takes a value: %t", m[1], takes)
		}
	}
	if len(found) < 4 {
		t.Errorf("the console on Cloud Run has %d flags", len(found))
	}
}
