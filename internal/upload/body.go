package upload

import (
	"errors"
	"io"
	"sync"
)

// errEnded is what a request reads after its answer.
var errEnded = errors.New("the request has ended")

// body is the content of a request. The client may read of it after the answer, which is not progress then.
type body struct {
	content io.Reader
	size    int64
	moved   func(n int, read int64) // n bytes have been read, read in all

	mu     sync.Mutex
	read   int64
	failed error // of content
	ended  bool
}

// Read implements [io.Reader].
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return 0, errEnded
	}
	n, err := b.content.Read(p)
	b.read += int64(n)
	switch {
	case err == io.EOF && b.read < b.size:
		b.failed = errors.New("the file has become shorter")
	case err != nil && err != io.EOF:
		b.failed = err
	}
	if n > 0 {
		b.moved(n, b.read)
	}
	return n, err
}

// end ends the reading, and returns the error of the content.
func (b *body) end() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	return b.failed
}
