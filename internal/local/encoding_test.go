package local_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// uploader uploads the files of a drop into a folder, the job file last.
type uploader func(t *testing.T, s *local.Stack, dir, folder string)

// post uploads a file through the JSON API, packed or not, with a label or not.
func post(t *testing.T, s *local.Stack, file, name, label string, packed bool) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if packed {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		data = b.Bytes()
	}
	q := url.Values{"uploadType": {"media"}, "name": {name}}
	if label != "" {
		q.Set("contentEncoding", label)
	}
	response, err := http.Post(s.StorageURL+"/upload/storage/v1/b/"+local.Inbox+"/o?"+q.Encode(),
		"application/octet-stream", bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("upload of %s: %s", name, response.Status)
	}
}

// posts returns an uploader by plain requests.
func posts(label string, packPackage, packFile bool) uploader {
	return func(t *testing.T, s *local.Stack, dir, folder string) {
		t.Helper()
		post(t, s, filepath.Join(dir, "trainer-0.1.tar.gz"), folder+"trainer-0.1.tar.gz", label, packPackage)
		fileLabel := ""
		if packFile {
			fileLabel = label
		}
		post(t, s, filepath.Join(dir, "job.yaml"), folder+"job.yaml", fileLabel, packFile)
	}
}

// tool returns an uploader by a command of Google's, with flags of its own.
func tool(name string, flags ...string) uploader {
	return func(t *testing.T, s *local.Stack, dir, folder string) {
		t.Helper()
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("SKIPPED: %s is not on this machine", name)
		}
		for _, file := range []string{"trainer-0.1.tar.gz", "job.yaml"} {
			args := []string{"cp"}
			if name == "gcloud" {
				args = []string{"storage", "cp"}
			}
			args = append(append(args, flags...), filepath.Join(dir, file), "gs://"+local.Inbox+"/"+folder+file)
			c := exec.CommandContext(t.Context(), name, args...)
			c.Env = append(os.Environ(), s.ClientEnv()...)
			if out, err := c.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", c, err, out)
			}
		}
	}
}

// However a drop was packed for transport, the same content is checked and runs.
func TestStackRunsWhatWasPackedForTransport(t *testing.T) {
	t.Parallel()
	s := stack(t, local.Options{})
	verdict := follow(t, s)
	dir := filepath.Join(drops, "hello")
	var first *job.Receipt
	tests := []struct {
		name   string
		upload uploader
	}{
		{"as it is", posts("", false, false)},
		{"packed", posts("gzip", true, true)},
		{"labelled", posts("gzip", false, false)},
		{"gcloud", tool("gcloud")},
		{"gcloud -Z", tool("gcloud", "--gzip-local-all")},
		{"gcloud -J", tool("gcloud", "--gzip-in-flight-all")},
		{"gsutil", tool("gsutil")},
		{"gsutil -Z", tool("gsutil", "-Z")},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.upload(t, s, dir, fmt.Sprintf("encoded%d/", i))
			body, _ := verdict()
			if body.State != job.Succeeded || body.Drop.Receipt == nil {
				t.Fatalf("verdict %s (%s) with %+v", body.State, body.Reason, body.Violations)
			}
			if first == nil {
				first = body.Drop.Receipt
			}
			if diff := cmp.Diff(contents(first), contents(body.Drop.Receipt), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("contents (-plain +got):\n%s", diff)
			}
			for _, uri := range body.Drop.Receipt.Staged {
				name := strings.TrimPrefix(uri, "gs://"+local.Staging+"/")
				o, err := s.Storage.Stat(t.Context(), local.Staging, name)
				if err != nil || o.Encoding != "" || o.CRC32C != contents(first)["trainer-0.1.tar.gz"].CRC32C {
					t.Errorf("staged as %+v, %v", o, err)
				}
			}
		})
	}
}

// content is what an object of a receipt holds.
type content struct {
	Size   int64
	CRC32C string
}

func contents(r *job.Receipt) map[string]content {
	all := map[string]content{}
	for _, o := range r.Objects {
		size, crc := o.Content()
		all[o.Base()] = content{size, crc}
	}
	return all
}
