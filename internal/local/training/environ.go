package training

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// passed are the variables of this process that a trainer sees; the rest may be
// secrets. Names that end in * are prefixes.
var passed = []string{
	"PATH", "LANG", "LANGUAGE", "LC_*", "TZ", "USER", "LOGNAME",
	"PIP_*", "SSL_*", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
	// where the machine's own libraries and accelerators are
	"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "CUDA_*", "NVIDIA_*",
}

type environment struct {
	storage, project, home, tmp, bin, env string
}

// trainerEnv returns the environment of a job's processes, less what tells a trainer
// about its job. extra beats what is passed on, and both yield to the job's own.
func trainerEnv(environ, extra []string, e environment) []string {
	vars := map[string]string{}
	for _, kv := range environ {
		if name, value, ok := strings.Cut(kv, "="); ok && isPassed(name) {
			vars[name] = value
		}
	}
	for _, kv := range extra {
		if name, value, ok := strings.Cut(kv, "="); ok {
			vars[name] = value
		}
	}
	vars["PATH"] = e.bin
	for _, kv := range slices.Concat(environ, extra) {
		if path, ok := strings.CutPrefix(kv, "PATH="); ok && path != "" {
			vars["PATH"] = e.bin + string(filepath.ListSeparator) + path
		}
	}
	vars["VIRTUAL_ENV"] = e.env
	vars["HOME"], vars["TMPDIR"] = e.home, e.tmp
	vars["PYTHONUNBUFFERED"] = "1"
	vars["STORAGE_EMULATOR_HOST"] = e.storage
	// Google's client libraries would otherwise ask for the project at the
	// metadata server, and wait for it.
	vars["GOOGLE_CLOUD_PROJECT"] = e.project
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		vars[name] = strings.Trim(vars[name]+",127.0.0.1,localhost,::1", ",")
	}
	return lines(vars)
}

// pipEnv adds what pip lost with its HOME: its user's configuration, and a cache
// that several jobs share.
func pipEnv(env, environ []string, cache string) []string {
	vars := map[string]string{}
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		vars[name] = value
	}
	defaults := map[string]string{
		"PIP_CACHE_DIR": cache,
		"PIP_RETRIES":   "1", // without a network, five retries are half a minute
	}
	if file := pipConfig(environ); file != "" {
		defaults["PIP_CONFIG_FILE"] = file
	}
	for name, value := range defaults {
		if _, ok := vars[name]; !ok {
			vars[name] = value
		}
	}
	return lines(vars)
}

// pipConfig returns the user's own pip.conf, if there is one.
func pipConfig(environ []string) string {
	var home, config string
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		switch name {
		case "HOME":
			home = value
		case "XDG_CONFIG_HOME":
			config = value
		}
	}
	if home == "" {
		return ""
	}
	if config == "" {
		config = filepath.Join(home, ".config")
	}
	for _, file := range []string{
		filepath.Join(config, "pip", "pip.conf"),
		filepath.Join(home, "Library", "Application Support", "pip", "pip.conf"),
		filepath.Join(home, ".pip", "pip.conf"),
	} {
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			return file
		}
	}
	return ""
}

func isPassed(name string) bool {
	return slices.ContainsFunc(passed, func(p string) bool {
		prefix, open := strings.CutSuffix(p, "*")
		return name == p || open && strings.HasPrefix(name, prefix)
	})
}

func lines(vars map[string]string) []string {
	var env []string
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		env = append(env, name+"="+vars[name])
	}
	return env
}
