package receivers

import (
	"io"
	"net/http"
	"slices"
	"sync"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Webhook is a receiver that verifies what it gets, as the library of Standard Webhooks does.
type Webhook struct {
	faults

	mu       sync.Mutex
	key      string
	requests []WebhookRequest
}

// WebhookRequest is one whose signature was good.
type WebhookRequest struct {
	ID     string
	Header http.Header
	Body   []byte
}

// NewWebhook returns a receiver with a key.
func NewWebhook(key string) *Webhook { return &Webhook{key: key} }

// Key sets the key.
func (h *Webhook) Key(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.key = key
}

// Requests returns the requests whose signatures were good, in their order: repeats among them, by their ID.
func (h *Webhook) Requests() []WebhookRequest {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.requests)
}

func (h *Webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault, fails := h.take("")
	if fails && !fault.Done {
		fault.answer(w, r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 16<<20))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	h.mu.Lock()
	verifier, err := standardwebhooks.NewWebhook(h.key)
	if err == nil {
		err = verifier.Verify(body, r.Header)
	}
	if err == nil {
		id := r.Header.Get(standardwebhooks.HeaderWebhookID)
		h.requests = append(h.requests, WebhookRequest{ID: id, Header: r.Header.Clone(), Body: body})
	}
	h.mu.Unlock()
	switch {
	case fails:
		fault.answer(w, r)
	case err != nil:
		http.Error(w, "the signature is not valid", http.StatusUnauthorized)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}
