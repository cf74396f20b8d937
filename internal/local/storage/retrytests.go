package storage

import (
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/internal/local/absent"
)

// The bounds of retry tests, where the oldest goes for a new one, and of the failures of each of a test's
// calls.
const (
	maxRetryTests   = 1000
	maxTestFailures = 100
)

// retryTest is a resource of Google's storage testbench: calls that carry its ID in the header
// x-retry-test-id meet its failures, one after the other.
// https://github.com/googleapis/storage-testbench#retry-test-api
type retryTest struct {
	ID           string              `json:"id"`
	Instructions map[string][]string `json:"instructions"`
	Completed    bool                `json:"completed"`
	Transport    string              `json:"transport"`
}

func errNoTest(id string) error {
	return &fault{http.StatusNotFound, "notFound", "NotFound", fmt.Sprintf("Retry Test %.100q does not exist.", id)}
}

// next returns the failure that a call of the method is to meet. It stays the next one until it was met.
func (t *retryTest) next(i *injector, method string) *injected {
	if len(t.Instructions[method]) == 0 || t.Transport != "HTTP" {
		return nil
	}
	word := t.Instructions[method][0]
	f, err := parseFailure(word)
	if err != nil {
		return nil // it was checked
	}
	return &injected{f, i.closing, func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		if left := t.Instructions[method]; len(left) > 0 && left[0] == word { // no other call has met it meanwhile
			t.Instructions[method] = left[1:]
		}
		t.Completed = true
		for _, left := range t.Instructions {
			t.Completed = t.Completed && len(left) == 0
		}
	}, func() {}}
}

// retryTests serves the testbench's resource, and reports whether the request was for it.
func (s *Server) retryTests(w http.ResponseWriter, r *http.Request) bool {
	id, one := strings.CutPrefix(r.URL.Path, "/retry_test/")
	var answer any
	var err error
	switch {
	case one && r.Method == http.MethodDelete:
		answer, err = s.faults.drop(id)
	case one && r.Method == http.MethodGet:
		answer, err = s.faults.show(id)
	case r.URL.Path == "/retry_test" && r.Method == http.MethodPost:
		answer, err = s.faults.add(r)
	case r.URL.Path == "/retry_tests" && r.Method == http.MethodGet:
		answer, err = s.faults.show("")
	case one || r.URL.Path == "/retry_test" || r.URL.Path == "/retry_tests":
		err = notAllowed()
	default:
		return false
	}
	if err != nil {
		s.failJSON(w, r, err)
	} else {
		writeJSON(w, http.StatusOK, answer)
	}
	return true
}

// add makes a retry test.
func (i *injector) add(r *http.Request) (any, error) {
	t, err := newRetryTest(r)
	if err != nil {
		return nil, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.order) == maxRetryTests {
		delete(i.tests, i.order[0])
		i.order = slices.Delete(i.order, 0, 1)
	}
	i.tests[t.ID] = t
	i.order = append(i.order, t.ID)
	return t.shown(), nil
}

// show returns a retry test, or all of them, oldest first.
func (i *injector) show(id string) (any, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if id != "" {
		if t := i.tests[id]; t != nil {
			return t.shown(), nil
		}
		return nil, errNoTest(id)
	}
	all := []retryTest{}
	for _, id := range i.order {
		all = append(all, i.tests[id].shown())
	}
	return map[string]any{"retry_test": all}, nil
}

// drop deletes a retry test.
func (i *injector) drop(id string) (any, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.tests[id] == nil {
		return nil, errNoTest(id)
	}
	delete(i.tests, id)
	i.order = slices.DeleteFunc(i.order, func(other string) bool { return other == id })
	return struct{}{}, nil
}

// shown returns a copy that does not change.
func (t *retryTest) shown() retryTest {
	out := *t
	out.Instructions = maps.Clone(t.Instructions) // whose lists are replaced, never changed
	return out
}

// newRetryTest reads a request for a retry test.
func newRetryTest(r *http.Request) (*retryTest, error) {
	t := &retryTest{Transport: "HTTP"}
	var body struct {
		Instructions map[string][]string `json:"instructions"`
		Transport    *string             `json:"transport"`
	}
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	if body.Transport != nil {
		t.Transport = strings.ToUpper(*body.Transport)
	}
	switch {
	case t.Transport == "GRPC":
		return nil, &fault{http.StatusNotImplemented, "notImplemented", "NotImplemented",
			absent.Message("Cloud Storage", "the transport GRPC")}
	case t.Transport != "HTTP":
		return nil, errInvalid("Invalid transport %.40q: want HTTP.", t.Transport)
	case len(body.Instructions) == 0:
		return nil, errInvalid("The instructions are missing.")
	}
	for method, words := range body.Instructions {
		if err := notHere(method); err != nil {
			return nil, err
		}
		if len(words) > maxTestFailures {
			return nil, errInvalid("%s has %d failures, and %d is the most.", method, len(words), maxTestFailures)
		}
		for _, word := range words {
			if _, err := parseFailure(word); err != nil {
				return nil, errInvalid("%s: %v.", method, err)
			}
		}
	}
	t.Instructions = body.Instructions
	t.ID = rand.Text()
	return t, nil
}
