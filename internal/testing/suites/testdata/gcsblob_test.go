package gcsblob

import (
	"context"
	"net/http"
	"os"
	"testing"

	"cloud.google.com/go/storage"
	"gocloud.dev/blob/driver"
	"gocloud.dev/blob/drivertest"
	"gocloud.dev/gcp"
)

// TestLocal runs the conformance tests on the Cloud Storage of STORAGE_EMULATOR_HOST; the
// package's own TestConformance replays what the cloud once answered.
func TestLocal(t *testing.T) {
	drivertest.RunConformanceTests(t, newLocalHarness, []drivertest.AsTest{verifyContentLanguage{}})
}

type localHarness struct{ options Options }

const localBucket = "gocloud-conformance"

func newLocalHarness(ctx context.Context, t *testing.T) (drivertest.Harness, error) {
	t.Helper()
	account, key := readAccount(t)
	c, err := storage.NewClient(ctx, httpClientOptions(nil, os.Getenv("STORAGE_EMULATOR_HOST"))...)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if _, err := c.Bucket(localBucket).Attrs(ctx); err != nil {
		if err := c.Bucket(localBucket).Create(ctx, "local", nil); err != nil {
			return nil, err
		}
	}
	return &localHarness{Options{GoogleAccessID: account, PrivateKey: key}}, nil
}

// readAccount returns the name and the private key that sign URLs.
func readAccount(t *testing.T) (account string, key []byte) {
	t.Helper()
	text, err := os.ReadFile(os.Getenv("GOOGLE_APPLICATION_CREDENTIALS"))
	if err != nil {
		t.Fatal(err)
	}
	return readDefaultCredentials(text)
}

func (h *localHarness) MakeDriver(ctx context.Context) (driver.Bucket, error) {
	return h.open(ctx, localBucket)
}

func (h *localHarness) MakeDriverForNonexistentBucket(ctx context.Context) (driver.Bucket, error) {
	return h.open(ctx, "bucket-does-not-exist")
}

func (h *localHarness) open(ctx context.Context, bucket string) (driver.Bucket, error) {
	options := h.options
	return openBucket(ctx, gcp.NewAnonymousHTTPClient(http.DefaultTransport), bucket, &options)
}

// HTTPClient returns a client for the URLs that are signed, which the library makes for
// https: the stack has http only.
func (*localHarness) HTTPClient() *http.Client { return &http.Client{Transport: plain{}} }

type plain struct{}

func (plain) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme = "http"
	return http.DefaultTransport.RoundTrip(r)
}

func (*localHarness) SupportsCopy() bool               { return true }
func (*localHarness) SupportsNonSlashDelimiters() bool { return true }
func (*localHarness) SkipDownloadAt() bool             { return false }
func (*localHarness) Close()                           {}
