// Command server serves jobdrop's functions as a plain HTTP server, for Cloud
// Run or any container. FUNCTION_TARGET picks one function, served at every
// path; without it each is served at /Name. PORT is the port, 8080 by default.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"

	_ "github.com/jobdrop/jobdrop" // registers the functions
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv); err != nil {
		log.Fatalf("server: %v", err)
	}
}

// run serves the functions until ctx ends. Requests that are under way then are cut
// off, as by a crash: what they have not acknowledged is delivered again.
func run(ctx context.Context, args []string, getenv func(string) string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected arguments %q: the server is configured by its environment", args)
	}
	ended := make(chan error, 1)
	go func() { ended <- funcframework.Start(cmp.Or(getenv("PORT"), "8080")) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return nil
	}
}
