package destination_test

import (
	"io"
	"log"
)

// quiet returns a log that nobody reads: servers complain of clients that hang up.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
