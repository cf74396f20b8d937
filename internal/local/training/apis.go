package training

import (
	"fmt"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/ml"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/vertex"
)

// openAPIs makes the APIs that jobs come through. A job is of the first that takes it, and ml/v1 takes every one.
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
	return nil
}
