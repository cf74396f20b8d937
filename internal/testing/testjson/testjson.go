// Package testjson reads what go test -json writes.
package testjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Event is a line of go test -json, see go doc test2json. The events of a build that
// failed have an ImportPath instead of a Package.
type Event struct {
	Action, Package, ImportPath, Test, Output, FailedBuild string
	Elapsed                                                float64
}

// Read calls take for each event, up to the end of r.
func Read(r io.Reader, take func(Event)) error {
	for d := json.NewDecoder(r); ; {
		var e Event
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			// Unread, the rest would keep go test from ending.
			_, _ = io.Copy(io.Discard, r)
			return fmt.Errorf("go test -json: %w", err)
		}
		take(e)
	}
}
