package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/backend/vertex"
	"github.com/jobdrop/jobdrop/internal/local/loopback"
)

// installation returns the environment that names an installation, as Terraform would
// set it.
func (s *Stack) installation() []string {
	names := s.options.Names
	env := []string{
		"JOBDROP_INSTANCE=" + names.Instance,
		"JOBDROP_PROJECT=" + Project,
		"JOBDROP_INBOX=" + names.Inbox,
		"JOBDROP_STATE_BUCKET=" + names.State,
		"JOBDROP_STAGING_BUCKET=" + names.Staging,
		"JOBDROP_STATUS_BUCKET=" + names.Status,
		"JOBDROP_TOPIC=" + s.Topic,
		"JOBDROP_BACKEND=" + s.options.Backend,
		"JOBDROP_BACKEND_ENDPOINT=" + s.BackendURL,
		"JOBDROP_LOGGING_ENDPOINT=" + s.BackendURL,
		"JOBDROP_LOG_VIEW=projects/" + Project + "/locations/global/buckets/_Default/views/_AllLogs",
		// The training service has no quota. With all regions of Vertex AI a list has some seventy pages.
		"JOBDROP_READS_PER_MINUTE=1000000",
	}
	if s.options.Backend == vertex.Name {
		env = append(env, "JOBDROP_REGIONS="+strings.Join(vertex.Regions(), ","))
	}
	if len(s.options.Policy) > 0 {
		env = append(env, "JOBDROP_POLICY=gs://"+names.State+"/"+names.Policy)
	}
	if len(s.options.Routes) > 0 {
		env = append(env, "JOBDROP_ROUTES=gs://"+names.State+"/"+names.Routes)
	}
	return env
}

// environment returns the environment of the functions: the installation's, with the
// addresses of the emulators.
func (s *Stack) environment() []string {
	// Of two values for a name the last counts.
	env := append(slices.Clone(s.options.RoutesEnv), s.installation()...)
	env = append(env,
		"STORAGE_EMULATOR_HOST="+s.StorageURL,
		"PUBSUB_EMULATOR_HOST="+s.PubSub,
		"TMPDIR="+os.TempDir(),
		loopback.StackVariable+"="+s.name,
	)
	return append(env, s.options.Env...)
}

const (
	// starts is how often the functions are started on another port, where the
	// first was taken by someone else meanwhile.
	starts = 3
	// restartAfter keeps functions that end at once from being started in a
	// tight loop.
	restartAfter = time.Second
)

// startFunctions starts the functions and keeps them: a process that ended is
// started again, as the cloud starts another instance.
func (s *Stack) startFunctions(ctx, run context.Context) error {
	var process *process
	var address string
	var err error
	for range starts {
		if address, err = s.functionsAddress(); err != nil {
			return err
		}
		s.FunctionsURL = "http://" + address
		if process, err = s.spawn(ctx, address); err == nil {
			s.task(func() { s.keep(run, process, address) })
			return nil
		}
		if s.options.Listen.Functions != "" {
			break
		}
	}
	return err
}

// functionsAddress returns a free address: the framework listens by itself.
func (s *Stack) functionsAddress() (string, error) {
	listener, err := listen(s.options.Listen.Functions)
	if err != nil {
		return "", err
	}
	return reachable(listener), listener.Close()
}

// process is the functions' process. It ends when its lifeline is closed, also
// where this process dies without a word.
type process struct {
	lifeline io.Closer
	exited   chan struct{} // closed when it has ended with err
	err      error
}

// spawn starts the functions and waits until they answer.
func (s *Stack) spawn(ctx context.Context, address string) (*process, error) {
	name, args := s.options.Functions[0], s.options.Functions[1:]
	command := exec.Command(name, append(append(args[:len(args):len(args)], address), s.options.Hosts...)...)
	command.Env = s.environment()
	command.Stdout, command.Stderr = s.options.FunctionLogs, s.options.FunctionLogs
	lifeline, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	p := &process{lifeline: lifeline, exited: make(chan struct{})}
	go func() {
		p.err = command.Wait()
		close(p.exited)
	}()
	if err := s.awaitFunctions(ctx, p); err != nil {
		_ = command.Process.Kill()
		<-p.exited
		return nil, err
	}
	return p, nil
}

// keep starts the functions again when they end, until ctx does.
func (s *Stack) keep(ctx context.Context, p *process, address string) {
	for {
		if p != nil {
			select {
			case <-p.exited:
				s.options.Logger.ErrorContext(ctx, "the functions ended; they are started again", "error", fmt.Sprint(p.err))
			case <-ctx.Done():
				_ = p.lifeline.Close()
				<-p.exited
				return
			}
		}
		select {
		case <-time.After(restartAfter):
		case <-ctx.Done():
			return
		}
		var err error
		if p, err = s.spawn(ctx, address); err != nil && ctx.Err() == nil {
			s.options.Logger.ErrorContext(ctx, "the functions do not start", "error", err.Error())
		}
	}
}

// awaitFunctions waits until the functions answer: a GET is refused, but by them.
func (s *Stack) awaitFunctions(ctx context.Context, p *process) error {
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
			if err = s.owns(response); err == nil {
				return nil
			}
		}
		select {
		case <-p.exited:
			return fmt.Errorf("the process ended: %w", errors.Join(p.err, errors.New("see its log")))
		case <-ctx.Done():
			return fmt.Errorf("no answer after %s: %w", patience, err)
		case <-poll.C:
		}
	}
}

// owns returns an error if the functions of another stack gave an answer.
func (s *Stack) owns(response *http.Response) error {
	if name := response.Header.Get(loopback.StackHeader); name != "" && name != s.name {
		return fmt.Errorf("the functions of another stack answer at %s", s.FunctionsURL)
	}
	return nil
}
