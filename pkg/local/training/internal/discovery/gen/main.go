// Command gen writes the reduced discovery document, from the one that
// ships in the google.golang.org/api module, to the file that it is given.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/jobdrop/jobdrop/pkg/local/training/internal/discovery"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: gen FILE")
	}
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", "google.golang.org/api/ml/v1").Output()
	if err != nil {
		return err
	}
	document, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "ml-api.json"))
	if err != nil {
		return err
	}
	reduced, err := discovery.Reduce(document)
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], reduced, 0o644)
}
