package training

import "github.com/jobdrop/jobdrop/internal/local/training/internal/logs"

// Line is one line of a job's log.
type Line = logs.Line

// What the service's own lines are written with.
const (
	taskService = logs.ServiceTask
	stdout      = logs.Stdout
	stderr      = logs.Stderr
)
