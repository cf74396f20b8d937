package secrets_test

import (
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/service/secrets"
)

// manager is Secret Manager with some versions, as its REST API v1 shows them.
type manager struct {
	// versions are values by the names of versions; statuses are answers by the same.
	versions map[string]string
	statuses map[string]int
	damage   bool
	body     string
	reads    int
}

func (m *manager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.reads++
	name, ok := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/v1/"), ":access")
	value, known := m.versions[name]
	switch {
	case m.body != "":
		fmt.Fprint(w, m.body)
	case m.statuses[name] != 0:
		http.Error(w, `{"error":{"message":"hunter2"}}`, m.statuses[name])
	case !ok || r.Method != http.MethodGet || !known:
		http.Error(w, "{}", http.StatusNotFound)
	default:
		sum := crc32.Checksum([]byte(value), crc32.MakeTable(crc32.Castagnoli))
		if m.damage {
			sum++
		}
		fmt.Fprintf(w, `{"name":%q,"payload":{"data":%q,"dataCrc32c":"%d"}}`,
			name, base64.StdEncoding.EncodeToString([]byte(value)), sum)
	}
}

// start returns Secret Manager, and a reader of it whose clock is at.
func start(t *testing.T, at *time.Time) (*manager, *secrets.Reader) {
	t.Helper()
	m := &manager{versions: map[string]string{
		"projects/p/secrets/token/versions/latest":             "hunter2\n",
		"projects/p/secrets/token/versions/3":                  "hunter1",
		"projects/example.com:p/secrets/A_b-9/versions/latest": "domain",
		"projects/p/secrets/empty/versions/latest":             "\n",
	}, statuses: map[string]int{
		"projects/p/secrets/closed/versions/latest": 403, "projects/p/secrets/off/versions/2": 400,
		"projects/p/secrets/down/versions/latest": 503,
	}}
	server := httptest.NewServer(m)
	t.Cleanup(server.Close)
	r, err := secrets.New(secrets.Options{
		Endpoint: server.URL,
		Lookup: func(name string) (string, bool) {
			value, ok := map[string]string{"TOKEN": "from the environment\n", "EMPTY": ""}[name]
			return value, ok
		},
		Now: func() time.Time { return *at },
	})
	if err != nil {
		t.Fatal(err)
	}
	return m, r
}

func TestRead(t *testing.T) {
	tests := []struct {
		name, reference, want, wantErr string
	}{
		{"the latest", "secret://projects/p/secrets/token", "hunter2", ""},
		{"the latest by name", "secret://projects/p/secrets/token/versions/latest", "hunter2", ""},
		{"a version", "secret://projects/p/secrets/token/versions/3", "hunter1", ""},
		{"a project of a domain", "secret://projects/example.com:p/secrets/A_b-9", "domain", ""},
		{"the environment", "env://TOKEN", "from the environment", ""},
		{"not set", "env://OTHER", "", "env://OTHER: the variable is not set"},
		{"set to nothing", "env://EMPTY", "", "env://EMPTY: the variable is not set"},
		{"no right", "secret://projects/p/secrets/closed", "", "read secret://projects/p/secrets/closed: " +
			"permission denied: the account needs roles/secretmanager.secretAccessor on the secret"},
		{"no version", "secret://projects/p/secrets/token/versions/9", "",
			"read secret://projects/p/secrets/token/versions/9: the secret has no such version, or does not exist"},
		{"disabled", "secret://projects/p/secrets/off/versions/2", "",
			"read secret://projects/p/secrets/off/versions/2: the version is disabled or destroyed"},
		{"down", "secret://projects/p/secrets/down", "",
			"read secret://projects/p/secrets/down: answered 503 Service Unavailable"},
		{"empty", "secret://projects/p/secrets/empty", "",
			"read secret://projects/p/secrets/empty: the secret is empty"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			at := time.Now()
			_, r := start(t, &at)
			got, err := r.Read(t.Context(), test.reference, false)
			if test.wantErr == "" {
				test.wantErr = "<nil>"
			}
			if got != test.want || fmt.Sprint(err) != test.wantErr {
				t.Errorf("Read returns %q, %v; want %q, %s", got, err, test.want, test.wantErr)
			}
		})
	}
}

// A text that is not a reference may be the secret itself: the error doesn't repeat it.
func TestReadOfWhatIsNoReference(t *testing.T) {
	at := time.Now()
	m, r := start(t, &at)
	for _, reference := range []string{
		"hunter2", "", "secret://hunter2", "env://hunter 2", "env://",
		"secret://projects/p/secrets/hunter2/versions/../../x",
		"secret://projects/p/secrets/hunter2:access?x=", "SECRET://projects/p/secrets/hunter2",
		"secret://projects/p/secrets/a/b",
	} {
		if _, err := r.Read(t.Context(), reference, false); err == nil || strings.Contains(err.Error(), "hunter") {
			t.Errorf("Read(%q): %v", reference, err)
		}
	}
	if m.reads > 0 {
		t.Errorf("%d reads", m.reads)
	}
}

func TestCache(t *testing.T) {
	at := time.Now()
	m, r := start(t, &at)
	const reference, name = "secret://projects/p/secrets/token", "projects/p/secrets/token/versions/latest"
	read := func(fresh bool, want string, reads int) {
		t.Helper()
		got, err := r.Read(t.Context(), reference, fresh)
		if err != nil || got != want || m.reads != reads {
			t.Errorf("Read returns %q, %v after %d reads; want %q after %d", got, err, m.reads, want, reads)
		}
	}
	read(false, "hunter2", 1)
	m.versions[name] = "hunter3"
	at = at.Add(5*time.Minute - 1)
	read(false, "hunter2", 1)
	at = at.Add(1)
	read(false, "hunter3", 2)
	m.versions[name] = "hunter4"
	read(true, "hunter3", 2) // just read
	at = at.Add(15 * time.Second)
	read(true, "hunter4", 3)
	read(false, "hunter4", 3)
}

func TestLargestSecret(t *testing.T) {
	at := time.Now()
	m, r := start(t, &at)
	want := strings.Repeat("x", 64<<10)
	m.versions["projects/p/secrets/token/versions/latest"] = want
	if got, err := r.Read(t.Context(), "secret://projects/p/secrets/token", false); err != nil || got != want {
		t.Errorf("%d bytes, error %v", len(got), err)
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	at := time.Now()
	for name, change := range map[string]func(*manager){
		"damaged":  func(m *manager) { m.damage = true },
		"not JSON": func(m *manager) { m.body = "hunter2" },
		"no sum":   func(m *manager) { m.body = `{"payload":{"data":"aHVudGVyMg=="}}` },
		"no data":  func(m *manager) { m.body = `{}` },
		"not data": func(m *manager) { m.body = `{"payload":{"data":"hunter2!"}}` },
		"large": func(m *manager) {
			m.versions["projects/p/secrets/token/versions/latest"] = strings.Repeat("x", 100<<10)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, r := start(t, &at)
			change(m)
			got, err := r.Read(t.Context(), "secret://projects/p/secrets/token", false)
			if err == nil || got != "" || strings.Contains(err.Error(), "hunter") {
				t.Errorf("Read returns %q, %v", got, err)
			}
		})
	}
}

func TestNewRefusesWhatIsMissing(t *testing.T) {
	_, err := secrets.New(secrets.Options{})
	if want := "secrets: the lookup of the environment is required"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
