package training

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
)

// containerName returns a name that is unique, so that one that is left over blocks no other
// attempt.
func containerName(jobID, trial, task string) string {
	if trial != "" {
		trial += "-"
	}
	return fmt.Sprintf("jobdrop-%s-%s%s-%s", jobID, trial, task, strings.ToLower(rand.Text()[:8]))
}

// containerArgs returns the runner's command line for a replica. env is what the
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

// containerEnv returns the part of a trainer's environment that has a meaning in a
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
