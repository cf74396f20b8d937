// Command gen writes the descriptors of methods, and of what they reach, from
// Google's own packages: gen FILE METHOD..., for example
//
//	gen logging.json google.logging.v2.LoggingServiceV2.ListLogEntries
package main

import (
	"errors"
	"fmt"
	"os"

	_ "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	_ "cloud.google.com/go/logging/apiv2/loggingpb"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/protos/reduce"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return errors.New("usage: gen FILE METHOD, with one METHOD or more")
	}
	reduced, err := reduce.Methods(protoregistry.GlobalFiles, args[1:])
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], reduced, 0o644)
}
