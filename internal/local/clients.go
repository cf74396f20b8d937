package local

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// ClientEnv returns the environment, as NAME=value, with which a program of this
// machine uses the stack: Google's libraries for Go, Node and Python, gcloud and
// gsutil, and jobdrop itself. gcloud gets a configuration folder below the stack's, so
// that it does nothing with the user's accounts.
func (s *Stack) ClientEnv() []string {
	return append(s.installation(),
		"STORAGE_EMULATOR_HOST="+s.StorageURL,
		// Where Go's client for gRPC is told that there is none: without it, it calls the cloud.
		"STORAGE_EMULATOR_HOST_GRPC="+strings.TrimPrefix(s.StorageURL, "http://"),
		"PUBSUB_EMULATOR_HOST="+s.PubSub,
		"GOOGLE_CLOUD_PROJECT="+Project,
		"CLOUDSDK_CONFIG="+filepath.Join(s.options.Dir, "gcloud"),
		"CLOUDSDK_CORE_PROJECT="+Project,
		"CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE="+s.StorageURL+"/storage/v1/",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB=http://"+s.PubSub+"/",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_ML="+s.BackendURL+"/",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM="+s.BackendURL+"/",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING="+s.BackendURL+"/",
		// Its default is a minute, and jobs here take seconds.
		"CLOUDSDK_ML_ENGINE_POLLING_INTERVAL=1",
		"BOTO_CONFIG="+s.botoConfig(),
	)
}

func (s *Stack) botoConfig() string { return filepath.Join(s.options.Dir, "boto.cfg") }

// writeBotoConfig writes gsutil's settings, which it takes from a file only.
func (s *Stack) writeBotoConfig() error {
	host, port, err := net.SplitHostPort(strings.TrimPrefix(s.StorageURL, "http://"))
	if err != nil {
		return err
	}
	return os.WriteFile(s.botoConfig(), fmt.Appendf(nil, `[Credentials]
gs_json_host = %s
gs_json_port = %s
gs_json_host_header = %s

[Boto]
is_secure = False
https_validate_certificates = False

[GSUtil]
default_project_id = %s
state_dir = %s
`, host, port, host, Project, filepath.Join(s.options.Dir, "gsutil")), 0o644)
}
