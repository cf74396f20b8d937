package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/envfile"
)

// stack is a jobdrop local of the suites' own.
type stack struct {
	dir     string
	command *exec.Cmd
	said    *bounded
	exited  chan error
	// env is what the stack says that clients need.
	env map[string]string
}

// startStack builds and starts jobdrop local, on free ports and with a folder of its own.
func startStack(ctx context.Context) (_ *stack, err error) {
	s := &stack{said: &bounded{}, exited: make(chan error, 1)}
	if s.dir, err = os.MkdirTemp("", "jobdrop-suites-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(s.dir)
		}
	}()
	binary := filepath.Join(s.dir, "jobdrop")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/jobdrop").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build ./cmd/jobdrop, in the root of the repository: %w\n%s", err, out)
	}
	if err := writeAccount(s.account()); err != nil {
		return nil, err
	}
	settings := filepath.Join(s.dir, "env")
	s.command = exec.Command(binary, "local", "--data", filepath.Join(s.dir, "data"), "--env-file", settings,
		"--storage-port=0", "--pubsub-port=0", "--training-port=0", "--functions-port=0")
	s.command.Env = clean(os.Environ()) // no emulator of somebody else's
	s.command.Stdout, s.command.Stderr = s.said, s.said
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	go func() { s.exited <- s.command.Wait() }()
	if err := s.await(ctx, settings); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// await reads the settings once the stack is ready.
func (s *stack) await(ctx context.Context, settings string) error {
	const patience = time.Minute
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("jobdrop local is not ready after %s", patience))
	defer cancel()
	for {
		if text, err := os.ReadFile(settings); err == nil {
			s.env, err = envfile.Parse(string(text))
			return err
		}
		select {
		case err := <-s.exited:
			s.exited <- err
			return fmt.Errorf("jobdrop local has ended: %w", err)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-poll.C:
		}
	}
}

// stop ends the stack and removes its folder. A stack that has ended by itself is an error.
func (s *stack) stop() error {
	defer os.RemoveAll(s.dir)
	select {
	case err := <-s.exited:
		return fmt.Errorf("jobdrop local ended before its time: %w\n%s", err, s.said)
	default:
	}
	if err := s.command.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	select {
	case <-s.exited:
	case <-time.After(time.Minute):
		_ = s.command.Process.Kill()
		<-s.exited
	}
	return nil
}

func (s *stack) account() string { return filepath.Join(s.dir, "account.json") }

// clean returns an environment without what would lead a client to somebody's emulators,
// accounts or projects.
func clean(environ []string) []string {
	var kept []string
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "GOOGLE_") || strings.HasPrefix(name, "CLOUDSDK_") || strings.HasPrefix(name, "RCLONE_") ||
			strings.HasPrefix(name, "JOBDROP_") || strings.HasPrefix(name, "GCLOUD_") || strings.Contains(name, "EMULATOR_HOST") {
			continue
		}
		kept = append(kept, kv)
	}
	return kept
}

// environ returns the environment of a suite: the stack's, an account that no cloud knows,
// and what the suite has of its own.
func (s *stack) environ(own []string) []string {
	env := clean(os.Environ())
	for name, value := range s.env {
		env = append(env, name+"="+value)
	}
	env = append(env,
		"GOOGLE_APPLICATION_CREDENTIALS="+s.account(),
		// What the tests of Google's clients for Go read.
		"GCLOUD_TESTS_GOLANG_PROJECT_ID=local",
		"GCLOUD_TESTS_GOLANG_KEY="+s.account(),
		// They ask for it, too, and no test that runs uses it.
		"STORAGE_EMULATOR_HOST_GRPC=127.0.0.1:1",
	)
	for _, kv := range own {
		env = append(env, strings.ReplaceAll(kv, "$STORAGE", strings.TrimPrefix(s.env["STORAGE_EMULATOR_HOST"], "http://")))
	}
	return env
}

// writeAccount writes the key of a service account that is made up: clients sign with it.
func writeAccount(path string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	text, err := json.Marshal(map[string]string{
		"type":           "service_account",
		"project_id":     "local",
		"private_key_id": "1",
		"private_key":    string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"client_email":   "suites@local.iam.gserviceaccount.com",
		"client_id":      "1",
		"token_uri":      "http://127.0.0.1:1/token", // nothing answers there
	})
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}
