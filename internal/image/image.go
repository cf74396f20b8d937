// Package image reads the names of container images, by the grammar that registries
// and their clients have: what is compared with a policy is then what is pulled.
package image

import (
	"strings"

	"github.com/distribution/reference"
)

// Name is the name of a container image without its tag and digest.
type Name struct {
	// Host is the registry's, docker.io where the name has none.
	Host string
	// Path is the image's in the registry.
	Path string
}

// Parse splits an image's name into its parts. Its error says what is wrong with the
// name.
func Parse(uri string) (Name, error) {
	named, err := reference.ParseNormalizedNamed(uri)
	if err != nil {
		return Name{}, err
	}
	return Name{Host: reference.Domain(named), Path: reference.Path(named)}, nil
}

// OfProject reports whether the first part of the image's path is a project of
// Google Cloud: the registry is Container Registry or Artifact Registry.
// mirror.gcr.io is not one of them: it has Docker Hub's images.
func (n Name) OfProject() bool {
	switch n.Host {
	case "gcr.io", "us.gcr.io", "eu.gcr.io", "asia.gcr.io":
		return true
	}
	location, ok := strings.CutSuffix(n.Host, "-docker.pkg.dev")
	return ok && location != "" && strings.Trim(location, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
