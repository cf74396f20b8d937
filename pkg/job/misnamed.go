package job

import "time"

// Misnamed is the content of status.json in a folder that has packages, no job file, and an object
// that may be meant as one. Such a folder has no attempt, and so none of the fields of [Snapshot].
type Misnamed struct {
	Bucket string `json:"bucket"`
	// Prefix is the folder, with its final slash; empty at the root of the bucket.
	Prefix string `json:"prefix"`
	// Near says what may be meant as the job file, each with the remedy.
	Near []string `json:"near"`
	// Reason says in one sentence what is the matter.
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}
