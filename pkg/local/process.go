package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"
)

// environment is what the functions see: an installation's, as Terraform would
// set it, with the emulators' addresses.
func (s *Stack) environment() []string {
	return append([]string{
		"JOBDROP_INSTANCE=" + Instance,
		"JOBDROP_PROJECT=" + Project,
		"JOBDROP_INBOX=" + Inbox,
		"JOBDROP_STATE_BUCKET=" + State,
		"JOBDROP_STAGING_BUCKET=" + Staging,
		"JOBDROP_STATUS_BUCKET=" + Status,
		"JOBDROP_TOPIC=" + Topic,
		"JOBDROP_TRAINER=aiplatform",
		"JOBDROP_TRAINER_ENDPOINT=" + s.TrainerURL,
		"STORAGE_EMULATOR_HOST=" + s.StorageURL,
		"PUBSUB_EMULATOR_HOST=" + s.PubSub,
		"TMPDIR=" + os.TempDir(),
	}, s.options.Env...)
}

// starts is how often the functions are started on another port, where the
// first was taken by someone else meanwhile.
const starts = 3

func (s *Stack) startFunctions(ctx context.Context) error {
	var err error
	for range starts {
		if err = s.startFunctionsOnce(ctx); err == nil {
			return nil
		}
	}
	return fmt.Errorf("functions: %w", err)
}

func (s *Stack) startFunctionsOnce(ctx context.Context) error {
	// The framework listens by itself: it is given a port that is free now.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return err
	}
	command := exec.Command(s.options.Functions[0], append(s.options.Functions[1:len(s.options.Functions):len(s.options.Functions)], address)...)
	command.Env = s.environment()
	command.Stdout, command.Stderr = s.options.FunctionLogs, s.options.FunctionLogs
	// The process ends when this end of its standard input is closed, also
	// where this process dies without a word.
	lifeline, err := command.StdinPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	exited := make(chan error, 1)
	go func() { exited <- command.Wait() }()
	stop := func() error {
		_ = lifeline.Close()
		<-exited
		return nil
	}
	s.FunctionsURL = "http://" + address
	if err := s.awaitFunctions(ctx, exited); err != nil {
		_ = command.Process.Kill()
		return err
	}
	s.closers = append(s.closers, stop)
	return nil
}

// awaitFunctions waits until the functions answer: a GET is refused, but by them.
func (s *Stack) awaitFunctions(ctx context.Context, exited <-chan error) error {
	const patience = 30 * time.Second // a loaded machine starts a process slowly
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.FunctionsURL+"/Watch", nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			response.Body.Close()
			return nil
		}
		select {
		case err := <-exited:
			return fmt.Errorf("the process ended: %w", errors.Join(err, errors.New("see its log")))
		case <-ctx.Done():
			return fmt.Errorf("no answer after %s: %w", patience, err)
		case <-poll.C:
		}
	}
}
