package training

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/logs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/ml"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/protos"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/vertex"
)

// openAPIs makes the APIs that jobs come through, and that of their logs. A job is of the first that takes it, and ml/v1 takes every one.
func (s *Service) openAPIs() error {
	platform, err := vertex.New(queue{s})
	if err != nil {
		return fmt.Errorf("aiplatform/v1: %w", err)
	}
	legacy, err := ml.New(queue{s})
	if err != nil {
		return fmt.Errorf("ml/v1: %w", err)
	}
	s.apis = []jobs.API{platform, legacy}
	if s.logs, err = logs.NewReader(s.loggedJobs); err != nil {
		return fmt.Errorf("logging/v2: %w", err)
	}
	for _, open := range []func() (*protoregistry.Files, error){protos.Aiplatform, protos.Logging} {
		files, err := open()
		if err != nil {
			return err
		}
		s.protos = append(s.protos, files)
	}
	return nil
}
