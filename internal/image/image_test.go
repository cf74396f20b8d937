package image

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	tests := []struct {
		uri, host, path string
		ofProject       bool
	}{
		{"gcr.io/project/a", "gcr.io", "project/a", true},
		{"eu.gcr.io/example.com/project/a:1", "eu.gcr.io", "example.com/project/a", true},
		{
			"europe-west4-docker.pkg.dev/project/r/a@sha256:" + strings.Repeat("0", 64), "europe-west4-docker.pkg.dev",
			"project/r/a", true,
		},
		{"us-docker.pkg.dev/project/r/a:1@sha256:" + strings.Repeat("0", 64), "us-docker.pkg.dev", "project/r/a", true},
		{"python", "docker.io", "library/python", false},
		{"project/a:1", "docker.io", "project/a", false},
		{"mirror.gcr.io/project/a", "mirror.gcr.io", "project/a", false},
		{"gcr.io:443/project/a", "gcr.io:443", "project/a", false},
		{"GCR.IO/project/a", "GCR.IO", "project/a", false},
		{"evil.com/gcr.io/project/a", "evil.com", "gcr.io/project/a", false},
		{"evil.com-docker.pkg.dev/project/a", "evil.com-docker.pkg.dev", "project/a", false},
		{"-docker.pkg.dev/project/a", "", "", false},
		{"evil.com?.gcr.io/project/a", "", "", false},
		{"evil.com#.gcr.io/project/a", "", "", false},
		{"evil.com:80-docker.pkg.dev/project/a", "", "", false},
		{`evil.com\.gcr.io/project/a`, "", "", false},
		{"evil.com%2f.gcr.io/project/a", "", "", false},
		{"user@gcr.io/project/a", "", "", false},
		{"https://gcr.io/project/a", "", "", false},
		{"gcr.io/project/../evil/a", "", "", false},
		{"gcr.io//project/a", "", "", false},
		{"gcr.io/project/a b", "", "", false},
		{"gcr.io/project/a\x00", "", "", false},
		{"gcr.io/project/a\n", "", "", false},
		{"gcr.io/project/\u202ea", "", "", false},
		{"gcr.io/Project/a", "", "", false},
		{"gcr.io/project/a@sha256:00", "", "", false},
		{"--privileged", "", "", false},
		{"", "", "", false},
	}
	for _, test := range tests {
		t.Run(test.uri, func(t *testing.T) {
			n, err := Parse(test.uri)
			if (err == nil) != (test.host != "") || n != (Name{test.host, test.path}) || n.OfProject() != test.ofProject {
				t.Errorf("got %+v, of a project %t, %v; want %q and %q, %t", n, n.OfProject(), err, test.host, test.path,
					test.ofProject)
			}
		})
	}
}
