package process

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// runners have one command line between them.
var runners = []string{"docker", "podman"}

// runnerTime bounds one of the runner's own steps; it answers in a second unless
// the machine is overloaded.
const runnerTime = 30 * time.Second

// FindRunner returns the path of a container runner.
func FindRunner(name string) (string, error) {
	if !slices.Contains(runners, strings.TrimSuffix(filepath.Base(name), ".exe")) {
		return "", fmt.Errorf("%q is neither docker nor podman", name)
	}
	path, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("there is no %s on PATH", name)
	}
	if err != nil {
		return "", fmt.Errorf("%w", err)
	}
	return filepath.Abs(path)
}

// container runs one of a runner's own commands. A container that is not there (any more) is as good as ended, so an
// error is only logged.
func (h *Host) container(runner string, args ...string) {
	ctx, cancel := context.WithTimeout(context.Background(), runnerTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, runner, args...)
	cmd.Env, cmd.WaitDelay = h.Env, time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		h.Log.Debug("a container runner's command failed", "args", args, "error", err, "output", string(out))
	}
}
