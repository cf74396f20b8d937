// Package functions serves jobdrop's Cloud Functions on this machine, in a
// process of their own: each at the path /Name, behind functions-framework, with
// nothing but the environment to tell them where they are.
package functions

import (
	"fmt"
	"io"
	"net"
	"os"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"

	_ "github.com/jobdrop/jobdrop" // registers the functions
)

// Serve serves the functions at addr, host:port. It ends the process when
// lifeline does: the process that holds its other end has gone.
func Serve(addr string, lifeline io.Reader) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("serve functions: %w", err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, lifeline)
		os.Exit(0)
	}()
	return funcframework.StartHostPort(host, port)
}
