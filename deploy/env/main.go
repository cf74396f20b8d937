// Command env prints the environment of an installation's functions, as Terraform
// set it, in the form that a shell and jobdrop local --env read.
//
//	terraform output -json >outputs.json
//	go run ./deploy/env outputs.json >.env
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/jobdrop/jobdrop/deploy/outputs"
	"github.com/jobdrop/jobdrop/internal/app/config"
	"github.com/jobdrop/jobdrop/internal/envfile"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "env:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	f := flag.NewFlagSet("env", flag.ContinueOnError)
	installation := f.String("installation", "", "which installation of the outputs, where there are several")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() != 1 {
		return errors.New("usage: go run ./deploy/env [-installation NAME] OUTPUTS.json")
	}
	i, err := outputs.Read(f.Arg(0), *installation)
	if err != nil {
		return err
	}
	// What the functions would refuse helps nobody.
	if _, err := config.Load(func(name string) (string, bool) { v, ok := i.Environment[name]; return v, ok }); err != nil {
		return err
	}
	var environ []string
	for _, name := range slices.Sorted(maps.Keys(i.Environment)) {
		environ = append(environ, name+"="+i.Environment[name])
	}
	_, err = io.WriteString(out, envfile.Format(environ))
	return err
}
