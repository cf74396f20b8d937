package gcloud

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// DefaultRegion returns the region that gcloud on this machine has for such a line without --region, and where it is
// set: the variable CLOUDSDK_COMPUTE_REGION, or the active configuration's property compute/region; for a custom job
// CLOUDSDK_AI_REGION and ai/region. Both are empty without one.
func (s *Submission) DefaultRegion(getenv func(string) string) (region, from string) {
	section := "compute"
	if s.custom {
		section = "ai"
	}
	variable := "CLOUDSDK_" + strings.ToUpper(section) + "_REGION"
	if region := getenv(variable); region != "" {
		return region, variable
	}
	dir := getenv("CLOUDSDK_CONFIG")
	switch {
	case dir != "":
	case runtime.GOOS == "windows":
		dir = filepath.Join(getenv("APPDATA"), "gcloud")
	default:
		dir = filepath.Join(getenv("HOME"), ".config", "gcloud")
	}
	name := getenv("CLOUDSDK_ACTIVE_CONFIG_NAME")
	if name == "" {
		active, _ := os.ReadFile(filepath.Join(dir, "active_config")) // a machine without gcloud has none
		name = strings.TrimSpace(string(active))
	}
	if name == "" || !filepath.IsLocal(name) {
		return "", ""
	}
	text, err := os.ReadFile(filepath.Join(dir, "configurations", "config_"+name))
	if err != nil {
		return "", ""
	}
	in := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			in = line
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if ok && in == "["+section+"]" && strings.TrimSpace(key) == "region" {
			return strings.TrimSpace(value), "the property " + section + "/region of gcloud's configuration " + name
		}
	}
	return "", ""
}
