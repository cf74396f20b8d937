// Command gen writes a reduced discovery document, made of the one that ships in
// the google.golang.org/api module: gen PACKAGE FILE METHOD..., for example
//
//	gen ml/v1 discovery.json ml.projects.jobs.create ml.projects.jobs.get
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/jobdrop/jobdrop/internal/local/discovery/reduce"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 3 {
		return errors.New("usage: gen PACKAGE FILE METHOD, with one METHOD or more")
	}
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", "google.golang.org/api/"+args[0]).Output()
	if err != nil {
		return err
	}
	name := path.Dir(args[0]) + "-api.json"
	document, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), name))
	if err != nil {
		return err
	}
	reduced, err := discovery.Reduce(document, args[2:])
	if err != nil {
		return err
	}
	return os.WriteFile(args[1], reduced, 0o644)
}
