// Package secrets reads what references lead to: secrets of Secret Manager, and variables of the environment. A
// value is remembered for some minutes; no error holds it.
package secrets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/api/option"
	htransport "google.golang.org/api/transport/http"
)

// Options are a reader's settings. Lookup is required.
type Options struct {
	// Endpoint is the base URL of Secret Manager where it is not Google's own; plain http means a local service
	// without credentials.
	Endpoint string
	// Client sends the requests; nil is one with the environment's credentials.
	Client *http.Client
	// Lookup returns a variable of the environment.
	Lookup func(name string) (string, bool)
	Now    func() time.Time
}

const (
	// maxAge is how long a value is remembered: a secret that is replaced is used soon, and one that nobody refuses
	// costs a read in that time.
	maxAge = 5 * time.Minute
	// minAge is how old a value is before it is read anew because it was refused: refusals must not cost a read each.
	minAge = 15 * time.Second
	// deadline is the longest that a read takes. A Send has 15 s in all.
	deadline = 5 * time.Second
	// maxAnswer is the most bytes of an answer. A secret has 64 KiB at most, in base64.
	maxAnswer = 128 << 10
)

// scope is the OAuth scope that Secret Manager asks for.
const scope = "https://www.googleapis.com/auth/cloud-platform"

// Reader reads secrets, and remembers each for some minutes. It is safe for concurrent use.
type Reader struct {
	options Options

	mu     sync.Mutex
	client *http.Client
	cache  map[string]cachedValue
}

// cachedValue is a value and when it was read.
type cachedValue struct {
	value string
	at    time.Time
}

// New makes a reader, without a call. Without references to Secret Manager it needs no credentials.
func New(o Options) (*Reader, error) {
	if o.Lookup == nil {
		return nil, errors.New("secrets: the lookup of the environment is required")
	}
	if o.Endpoint == "" {
		o.Endpoint = "https://secretmanager.googleapis.com"
	}
	o.Endpoint = strings.TrimSuffix(o.Endpoint, "/")
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Reader{options: o, client: o.Client, cache: map[string]cachedValue{}}, nil
}

// reference matches a reference to Secret Manager, with or without a version, and variable one to the environment.
// They are compiled at their first use: not all functions have secrets.
var (
	reference = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^secret://(projects/[a-z0-9.:-]+/secrets/[A-Za-z0-9_-]{1,255})` +
			`(/versions/[A-Za-z0-9_-]{1,63})?$`)
	})
	variable = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^env://([A-Za-z_][A-Za-z0-9_]*)$`) })
)

// Read returns the secret of a reference: secret://projects/P/secrets/S, with /versions/V if it is not the latest
// one, or env://NAME. If fresh is set, it does not take one that it remembers, unless that is only seconds old.
// Newlines at the end, which files and editors leave there, are not part of it.
func (r *Reader) Read(ctx context.Context, ref string, fresh bool) (string, error) {
	if name := variable().FindStringSubmatch(ref); name != nil {
		value, ok := r.options.Lookup(name[1])
		if value = strings.TrimRight(value, "\r\n"); !ok || value == "" {
			return "", fmt.Errorf("%s: the variable is not set", ref)
		}
		return value, nil
	}
	name := reference().FindStringSubmatch(ref)
	if name == nil {
		return "", errors.New(
			"a secret's reference is neither secret://projects/P/secrets/S[/versions/V] nor env://NAME")
	}
	age := maxAge
	if fresh {
		age = minAge
	}
	r.mu.Lock()
	cached, ok := r.cache[ref]
	r.mu.Unlock()
	if ok && r.options.Now().Sub(cached.at) < age {
		return cached.value, nil
	}
	version := name[2]
	if version == "" {
		version = "/versions/latest"
	}
	value, err := r.access(ctx, name[1]+version)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", ref, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cache[ref] = cachedValue{value, r.options.Now()}
	return value, nil
}

// access reads a version's value:
// https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access
func (r *Reader) access(ctx context.Context, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	client, err := r.connect(ctx)
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.options.Endpoint+"/v1/"+name+":access", nil)
	if err != nil {
		return "", err
	}
	answer, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusForbidden:
		return "", errors.New("permission denied: the account needs roles/secretmanager.secretAccessor on the secret")
	case http.StatusNotFound:
		return "", errors.New("the secret has no such version, or does not exist")
	case http.StatusBadRequest:
		return "", errors.New("the version is disabled or destroyed")
	default:
		return "", fmt.Errorf("answered %d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
	}
	data, err := io.ReadAll(http.MaxBytesReader(nil, answer.Body, maxAnswer))
	if err != nil {
		return "", errors.New("the answer broke off, or is too large")
	}
	var version struct {
		Payload struct {
			Data   []byte `json:"data"`
			CRC32C string `json:"dataCrc32c"`
		} `json:"payload"`
	}
	// The error of the decoder could quote the secret.
	if json.Unmarshal(data, &version) != nil {
		return "", errors.New("the answer is not a version of a secret")
	}
	sum := crc32.Checksum(version.Payload.Data, crc32.MakeTable(crc32.Castagnoli))
	if version.Payload.CRC32C != strconv.FormatUint(uint64(sum), 10) {
		return "", errors.New("the value was damaged on its way: its CRC32C does not match")
	}
	value := strings.TrimRight(string(version.Payload.Data), "\r\n")
	if value == "" {
		return "", errors.New("the secret is empty")
	}
	return value, nil
}

// connect returns the client. It is made when the first secret is read, and again after a failure.
func (r *Reader) connect(ctx context.Context) (*http.Client, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.client != nil {
		return r.client, nil
	}
	options := []option.ClientOption{option.WithScopes(scope)}
	if strings.HasPrefix(r.options.Endpoint, "http://") {
		options = []option.ClientOption{option.WithoutAuthentication()}
	}
	// Credentials outlive the call that makes them.
	client, _, err := htransport.NewClient(context.WithoutCancel(ctx), options...)
	if err != nil {
		return nil, fmt.Errorf("secret manager client: %w", err)
	}
	r.client = client
	return client, nil
}
