// Command profiled is cmd/server with profiles: of CPU time from start to SIGTERM, and of memory, in the folder that
// BENCH_PROFILE names; without it, of neither. It serves net/http/pprof at BENCH_DEBUG. Nothing of it is in what is deployed.
package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	_ "net/http/pprof" // serves the debug pages
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"syscall"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"

	_ "github.com/jobdrop/jobdrop" // registers the functions
)

func main() {
	if err := run(os.Getenv("BENCH_PROFILE"), os.Getenv("BENCH_DEBUG"), os.Getenv("PORT")); err != nil {
		log.Fatal("profiled: ", err)
	}
}

func run(dir, debug, port string) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	finish := func() error { return nil }
	if dir != "" {
		if finish, err = profile(dir); err != nil {
			return err
		}
	}
	ended := make(chan error, 2)
	go func() { ended <- http.ListenAndServe(debug, nil) }() // #nosec G114 -- for one user, on this machine
	go func() { ended <- funcframework.Start(port) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	return finish()
}

// profile begins the profiles. finish writes them.
func profile(dir string) (finish func() error, err error) {
	cpu, err := os.Create(filepath.Join(dir, "cpu.pprof"))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return nil, errors.Join(err, cpu.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		if err := cpu.Close(); err != nil {
			return err
		}
		allocs, err := os.Create(filepath.Join(dir, "allocs.pprof"))
		if err != nil {
			return err
		}
		return errors.Join(pprof.Lookup("allocs").WriteTo(allocs, 0), allocs.Close())
	}, nil
}
