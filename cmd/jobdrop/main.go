// Command jobdrop runs drops on this machine and checks them before they are
// uploaded.
package main

import (
	"context"
	"os"

	"github.com/jobdrop/jobdrop/internal/cli"
)

func main() {
	ctx, stop := cli.Signals(context.Background())
	code := cli.Run(ctx, cli.Process(), os.Args[1:])
	stop()
	os.Exit(code)
}
