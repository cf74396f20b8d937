package gcloud

import (
	"errors"
	"strings"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// wide adds the flags that every command of gcloud has. They are about gcloud's own account, output and requests.
func (s *Submission) wide(f flags) {
	hidden := func(name string) { f.Lookup(name).Hidden = true }
	for _, name := range [...]string{
		"account", "access-token-file", "billing-project", "configuration", "flatten", "format", "impersonate-service-account",
		"project", "trace-token", "verbosity",
	} {
		f.add(name, "", "", func(text string) error {
			if name == "project" {
				s.key.project = text
			}
			s.note("--%s %s is not used: %s", name, text, why(name))
			return nil
		})
		hidden(name)
	}
	f.add("flags-file", "", "", func(string) error {
		return errors.New("it is not supported: write the flags of the file out")
	})
	hidden("flags-file")
	for _, name := range [...]string{"quiet", "log-http", "user-output-enabled"} {
		f.is(name, "", func(bool) { s.note("--%s is not used: %s", name, why(name)) })
		hidden(name)
	}
	f.Lookup("quiet").Shorthand = "q"
}

// why says why a flag of gcloud's is not used.
func why(name string) string {
	switch name {
	case "project":
		return "jobs run in the installation's project"
	case "account", "access-token-file", "impersonate-service-account", "billing-project", "configuration":
		return "uploads have the application default credentials"
	case "quiet":
		return "jobdrop asks no questions"
	}
	return "it is about gcloud's own output; -o json prints JSON"
}

// kmsKey is what the flags say of an encryption key.
type kmsKey struct{ key, ring, location, keyProject, project string }

// keyFlags adds the flags of an encryption key.
func (s *Submission) keyFlags(f flags) {
	for _, one := range [...]struct {
		name, usage string
		to          *string
	}{
		{"kms-key", "encryption key, whole or with the three flags below", &s.key.key},
		{"kms-keyring", "key ring of the key", &s.key.ring},
		{"kms-location", "location of the key", &s.key.location},
		{"kms-project", "project of the key", &s.key.keyProject},
	} {
		f.add(one.name, "NAME", one.usage, func(text string) error {
			*one.to = text
			return nil
		})
	}
}

// completeKey sets the encryption key that the flags name.
func (s *Submission) completeKey() error {
	k := s.key
	if k.key == "" {
		if k.ring+k.location+k.keyProject != "" {
			return errors.New("--kms-key is missing: the other flags of the key only complete it")
		}
		return nil
	}
	name := k.key
	if !strings.HasPrefix(name, "projects/") {
		project := k.keyProject
		if project == "" {
			project = k.project
		}
		if k.ring == "" || k.location == "" || project == "" {
			return errors.New("--kms-key is not a whole name: add --kms-keyring, --kms-location and --kms-project, or write " +
				"projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY")
		}
		name = "projects/" + project + "/locations/" + k.location + "/keyRings/" + k.ring + "/cryptoKeys/" + k.key
	}
	s.field("encryptionConfig.kmsKeyName", "kms-key", func(t *job.TrainingInput) {
		t.EncryptionConfig = &job.EncryptionConfig{KMSKeyName: name}
	})
	return nil
}
