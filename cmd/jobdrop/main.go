// Command jobdrop runs drops on this machine and checks them before they are
// uploaded.
package main

import (
	"context"
	"os"

	"github.com/jobdrop/jobdrop/internal/cli"
)

// Set by the linker where Go can't read them from a repository: -ldflags "-X main.version=v1.2.3".
var version, commit, date string

func main() {
	ctx, stop := cli.Signals(context.Background())
	env := cli.Process()
	env.Build = cli.Build{Version: version, Commit: commit, Date: date}
	code := cli.Run(ctx, env, os.Args[1:])
	stop()
	os.Exit(code)
}
