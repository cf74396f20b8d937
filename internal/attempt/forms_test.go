package attempt

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// forms calls test with each golden record and its form. The code of that form's time wrote them: a
// drop that was never complete, one that waits in the queue, a job that runs, one that timed out.
func forms(t *testing.T, test func(t *testing.T, path string, form int, data []byte)) {
	t.Helper()
	for form := 1; form <= RecordVersion; form++ {
		for _, name := range []string{"incomplete", "queued", "running", "timed-out"} {
			path := filepath.Join("testdata", "records", fmt.Sprintf("form%d-%s.json", form, name))
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			t.Run(filepath.Base(path), func(t *testing.T) { test(t, path, form, data) })
		}
	}
}

// A record of each form is read. Written again, without a change, it is what its golden file holds,
// or for the present form the same bytes.
func TestFormsAreRead(t *testing.T) {
	forms(t, func(t *testing.T, path string, form int, data []byte) {
		var r Record
		if err := json.Unmarshal(data, &r); err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		want := data
		if form < RecordVersion {
			golden := strings.TrimSuffix(path, ".json") + ".read.json"
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want, err = os.ReadFile(golden); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(want, got) {
			t.Errorf("the record (-want +got):\n%s", cmp.Diff(indented(t, want), indented(t, got)))
		}
		var again Record
		if err := json.Unmarshal(got, &again); err != nil {
			t.Fatal(err)
		}
		again.RecordVersion = r.RecordVersion
		if diff := cmp.Diff(r, again); form == RecordVersion && diff != "" {
			t.Errorf("read twice (-once +twice):\n%s", diff)
		}
	})
}

func indented(t *testing.T, data []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, data, "", "  "); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
