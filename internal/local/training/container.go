package training

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// containerRunners have one command line between them.
var containerRunners = []string{"docker", "podman"}

// runnerTime bounds one of the runner's own steps; it answers in a second unless
// the machine is overloaded.
const runnerTime = 30 * time.Second

// findRunner gives the path of a container runner.
func findRunner(name string) (string, error) {
	if !slices.Contains(containerRunners, strings.TrimSuffix(filepath.Base(name), ".exe")) {
		return "", fmt.Errorf("Options.ContainerRunner: %q is neither docker nor podman", name)
	}
	path, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("Options.ContainerRunner: there is no %s on PATH", name)
	}
	if err != nil {
		return "", fmt.Errorf("Options.ContainerRunner: %w", err)
	}
	return filepath.Abs(path)
}

// containerName is unique, so that a name that is left over blocks no other
// attempt.
func containerName(jobID, trial, task string) string {
	if trial != "" {
		trial += "-"
	}
	return fmt.Sprintf("jobdrop-%s-%s%s-%s", jobID, trial, task, strings.ToLower(rand.Text()[:8]))
}

// containerArgs is the runner's command line for a replica. env is what the
// container sees; the network is the machine's, where the other replicas and
// Cloud Storage are on loopback. metrics is the folder that it has as
// [containerMetrics], if any.
func containerArgs(name, image string, command, args, env []string, metrics string) []string {
	line := []string{"run", "--rm", "--name", name, "--network", "host"}
	if metrics != "" {
		// --volume has no way to write a colon.
		line = append(line, "--mount", "type=bind,source="+metrics+",target="+containerMetrics)
	}
	for _, kv := range env {
		line = append(line, "--env", kv)
	}
	if len(command) > 0 { // the runner's --entrypoint is one word
		line = append(line, "--entrypoint", command[0])
		args = slices.Concat(command[1:], args)
	}
	return append(append(line, image), args...)
}

// containerMetrics is where a trial's container writes its metrics.
const containerMetrics = "/var/hypertune"

// containerEnv is the part of a trainer's environment that has a meaning in a
// container, whose own files and folders are its image's.
func containerEnv(extra []string, storage, project string) []string {
	env := []string{"STORAGE_EMULATOR_HOST=" + storage, "GOOGLE_CLOUD_PROJECT=" + project, "PYTHONUNBUFFERED=1"}
	// docker gives containers the proxies of its own configuration.
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		env = append(env, name+"=127.0.0.1,localhost,::1")
	}
	for _, kv := range extra {
		if name, _, _ := strings.Cut(kv, "="); !slices.Contains([]string{"PATH", "HOME", "TMPDIR"}, name) {
			env = append(env, kv)
		}
	}
	return env
}

// container runs one of the runner's own commands. A container that is not there
// (any more) is as good as ended, so an error is only logged.
func (s *Service) container(args ...string) { s.runnerCommand(s.opts.ContainerRunner, args...) }

func (s *Service) runnerCommand(runner string, args ...string) {
	ctx, cancel := context.WithTimeout(context.Background(), runnerTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, runner, args...)
	cmd.Env, cmd.WaitDelay = s.environ, time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		s.log.Debug("a container runner's command failed", "args", args, "error", err, "output", string(out))
	}
}

// removeContainers ends what an earlier service left running of a job.
func (s *Service) removeContainers(ps []process) {
	for _, p := range ps {
		if p.Container != "" && p.Runner != "" {
			s.runnerCommand(p.Runner, "rm", "-f", p.Container)
		}
	}
}
