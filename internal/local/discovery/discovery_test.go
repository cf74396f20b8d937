package discovery

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/internal/local/discovery/reduce"
)

// The documents are what the module of Google's clients has, so that a newer one
// is not missed.
func TestDocumentsAreUpToDate(t *testing.T) {
	documents := 0
	for _, file := range []string{"discovery.go", "../training/internal/logs/discovery.go",
		"../training/internal/ml/discovery.go", "../training/internal/vertex/discovery.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(source)) {
			command, ok := strings.CutPrefix(strings.TrimSpace(line),
				"//go:generate go run github.com/jobdrop/jobdrop/internal/local/discovery/gen ")
			if !ok {
				continue
			}
			documents++
			args := strings.Fields(command)
			want, err := discovery.Reduce(shipped(t, args[0]), args[2:])
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(filepath.Join(filepath.Dir(file), args[1]))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != string(want) {
				t.Errorf("%s of %s is not what go generate makes", args[1], file)
			}
		}
	}
	if documents != 5 {
		t.Errorf("%d documents are generated, want 5", documents)
	}
}

// shipped reads the document of a package of google.golang.org/api, e.g. ml/v1.
func shipped(t *testing.T, api string) []byte {
	t.Helper()
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", "google.golang.org/api/"+api).Output()
	if err != nil {
		t.Skipf("SKIPPED: no go command, or no module cache: %v", err)
	}
	data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), path.Dir(api)+"-api.json"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestServe(t *testing.T) {
	for servicePath, document := range map[string][]byte{"storage/v1/": Storage, "": PubSub} {
		w := httptest.NewRecorder()
		Serve(w, httptest.NewRequest("GET", "http://localhost:4443/$discovery/rest?version=v1", nil), document)
		var got struct {
			RootURL   string `json:"rootUrl"`
			BaseURL   string `json:"baseUrl"`
			Auth      any
			Resources map[string]any
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if got.RootURL != "http://localhost:4443/" || got.BaseURL != "http://localhost:4443/"+servicePath ||
			got.Auth != nil || len(got.Resources) == 0 {
			t.Errorf("document is of %s, %s", got.RootURL, got.BaseURL)
		}
	}
}
