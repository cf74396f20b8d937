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

	"github.com/jobdrop/jobdrop/internal/backend/aiplatform"
	"github.com/jobdrop/jobdrop/internal/backend/vertex"
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
		args := []string{"cp"}
		if name == "gcloud" {
			args = []string{"storage", "cp"}
		}
		args = append(append(args, flags...), filepath.Join(dir, "trainer-0.1.tar.gz"), filepath.Join(dir, "job.yaml"),
			"gs://"+local.Inbox+"/"+folder)
		command(t, s, name, args...)
	}
}

// command runs a program that uploads to the stack.
func command(t *testing.T, s *local.Stack, name string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("SKIPPED: %s is not on this machine", name)
	}
	c := exec.CommandContext(t.Context(), name, args...)
	c.Env = append(os.Environ(), s.ClientEnv()...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", c, err, out)
	}
}

// curl labels the job file as packed, which it is not.
func curl(t *testing.T, s *local.Stack, dir, folder string) {
	t.Helper()
	for file, label := range map[string]string{"trainer-0.1.tar.gz": "", "job.yaml": "&contentEncoding=gzip"} {
		command(t, s, "curl", "--silent", "--show-error", "--fail", "--data-binary", "@"+filepath.Join(dir, file),
			"--header", "Content-Type: application/octet-stream", s.StorageURL+"/upload/storage/v1/b/"+local.Inbox+
				"/o?uploadType=media&name="+url.QueryEscape(folder+file)+label)
	}
}

// node uploads with gzip: true, as Google's library for Node offers it.
func node(t *testing.T, s *local.Stack, dir, folder string) {
	t.Helper()
	const client = "../../docs/clients/node"
	if _, err := os.Stat(client + "/node_modules"); err != nil {
		t.Skip("SKIPPED: Google's Node libraries are not installed: make clients")
	}
	// A program finds the libraries of the folder that it lies in, or of a folder above.
	modules, err := filepath.Abs(client + "/node_modules/@google-cloud/storage/build/cjs/src/index.js")
	if err != nil {
		t.Fatal(err)
	}
	const program = `
const {Storage} = require(process.argv[1]);
const [, , bucket, folder, endpoint, ...files] = process.argv;
(async () => {
  const inbox = new Storage({projectId: 'p', apiEndpoint: endpoint}).bucket(bucket);
  for (const file of files) {
    await inbox.upload(file, {destination: folder + file.split('/').pop(), gzip: true});
  }
})().catch(err => { console.error(err); process.exit(1); });
`
	command(t, s, "node", "-e", program, "--", modules, local.Inbox, folder, s.StorageURL,
		filepath.Join(dir, "trainer-0.1.tar.gz"), filepath.Join(dir, "job.yaml"))
}

// However a drop was packed for transport, the same content is checked and runs, on both backends.
func TestStackRunsWhatWasPackedForTransport(t *testing.T) {
	t.Parallel()
	for _, backend := range []string{aiplatform.Name, vertex.Name} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			packedForTransport(t, backend)
		})
	}
}

func packedForTransport(t *testing.T, backend string) {
	s := stack(t, local.Options{Backend: backend})
	verdict := follow(t, s)
	// gcloud packs files beside themselves: each backend has its own.
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(drops, "hello"))); err != nil {
		t.Fatal(err)
	}
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
		{"curl, with a false label", curl},
		{"Node, gzip: true", node},
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
