package job

import "maps"

// The labels that jobdrop puts on every job: by them it knows its own. Their
// values are 40 hex digits of SHA-256; a user's label may not begin with
// [LabelPrefix].
const (
	LabelPrefix   = "jobdrop-"
	LabelInstance = "jobdrop-instance"
	LabelAttempt  = "jobdrop-attempt"
	LabelContent  = "jobdrop-content"
)

// InstanceLabel is the value of [LabelInstance] of an installation.
func InstanceLabel(instance string) string { return digest("instance", instance) }

// AttemptLabel is the value of [LabelAttempt] of an attempt.
func AttemptLabel(attempt string) string { return digest("attempt", attempt) }

// Labels gives the user's labels and jobdrop's own for an attempt with the
// content digest of its receipt.
func Labels(user map[string]string, instance, attempt, content string) map[string]string {
	labels := make(map[string]string, len(user)+3)
	maps.Copy(labels, user)
	labels[LabelInstance] = InstanceLabel(instance)
	labels[LabelAttempt] = AttemptLabel(attempt)
	labels[LabelContent] = content
	return labels
}

// SameOwner tells whether a job found at the trainer was made of the same
// attempt and content as the labels say.
func SameOwner(found, own map[string]string) bool {
	for _, l := range [...]string{LabelInstance, LabelAttempt, LabelContent} {
		if own[l] == "" || found[l] != own[l] {
			return false
		}
	}
	return true
}
