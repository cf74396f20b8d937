package training

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/process"
	"github.com/jobdrop/jobdrop/internal/text"
)

// buildTools is what is known of whether pip can fetch what it builds source packages
// with. One job asks at a time.
type buildTools struct {
	turn  chan struct{}
	can   bool
	asked time.Time
}

const (
	// toolsTime bounds the attempt. A slow line needs some seconds for two megabytes, a
	// machine under load some minutes for the build.
	toolsTime = 5 * time.Minute
	// toolsRest is how long it is not made again after it failed: a network that is not
	// there costs each job some seconds.
	toolsRest = 10 * time.Minute
)

// maxPipReason bounds, in bytes, what is said of pip's own words: a line holds the whole of an error.
const maxPipReason = 300

// emptySetup is a project that any Python builds that has something to build with.
const emptySetup = "from setuptools import setup\nsetup(name='jobdrop-probe', version='0', py_modules=[])\n"

// fetchesTools reports whether pip builds source packages in an environment of their own,
// for which it fetches setuptools. What it finds holds for the other jobs, too. The error
// is the cause that ended e.ctx.
func (s *Service) fetchesTools(e *entry, v jobs.PythonEnv, env []string) (bool, error) {
	if nowhere(env) {
		return false, nil
	}
	select {
	case s.tools.turn <- struct{}{}:
	case <-e.ctx.Done():
		return false, context.Cause(e.ctx)
	}
	defer func() { <-s.tools.turn }()
	if s.tools.can || !s.tools.asked.IsZero() && s.now().Sub(s.tools.asked) < toolsRest {
		return s.tools.can, nil
	}
	dir := filepath.Join(v.Fetched, "probe")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return false, err
	}
	if err := os.WriteFile(filepath.Join(dir, "setup.py"), []byte(emptySetup), 0o644); err != nil {
		return false, err
	}
	e.log.Write(taskService, stdout, "This Python can't build source packages by itself; pip is asked to fetch what it "+
		"needs.")
	ctx, cancel := context.WithTimeout(e.ctx, toolsTime)
	defer cancel()
	said := ""
	err := s.execWithin(ctx, e, step{Command: process.Command{
		Path: v.Python(), Dir: dir, Env: env,
		Stderr: func(line string) {
			if reason, ok := strings.CutPrefix(strings.TrimSpace(line), "ERROR: "); ok {
				said = reason
			}
		},
		Args: []string{"-m", "pip", "-qq", "wheel", "--no-input", "--disable-pip-version-check", "--no-deps",
			"--timeout", "10", "--wheel-dir", dir, dir},
	}})
	if cause := context.Cause(e.ctx); cause != nil {
		return false, cause
	}
	if err != nil {
		reason := text.Show(said, maxPipReason)
		if said == "" {
			reason = process.Describe(err)
		}
		e.log.Write(taskService, stdout, "Pip can't fetch what it needs: "+strings.TrimSuffix(reason, ".")+".")
	}
	s.tools.can, s.tools.asked = err == nil, s.now()
	return s.tools.can, nil
}

// nowhere reports whether an environment leaves pip no place to fetch anything from.
func nowhere(env []string) bool {
	var noIndex, links string
	for _, v := range env {
		switch name, value, _ := strings.Cut(v, "="); name {
		case "PIP_NO_INDEX":
			noIndex = strings.ToLower(value)
		case "PIP_FIND_LINKS":
			links = value
		}
	}
	return slices.Contains([]string{"1", "true", "t", "yes", "y", "on"}, noIndex) && links == ""
}
