package job

import (
	"maps"
	"unicode"
	"unicode/utf8"
)

// The labels that jobdrop puts on every job: by them it knows its own. Their
// values are 40 hex digits of SHA-256; a user's label may not begin with
// [LabelPrefix].
const (
	LabelPrefix   = "jobdrop-"
	LabelInstance = "jobdrop-instance"
	LabelAttempt  = "jobdrop-attempt"
	LabelContent  = "jobdrop-content"
)

// maxLabel is in characters.
const maxLabel = 63

// IsLabel tells whether a text is a label's value: at most 63 characters, which are
// those of gcloud's --labels (Google Cloud, "Requirements for labels").
func IsLabel(text string) bool {
	count := 0
	for _, r := range text {
		count++
		if !unicode.In(r, unicode.Ll, unicode.Lo, unicode.N) && r != '_' && r != '-' || count > maxLabel {
			return false
		}
	}
	return true
}

// IsLabelKey tells whether a text is a label's key, which also begins with a letter.
func IsLabelKey(text string) bool {
	first, _ := utf8.DecodeRuneInString(text)
	return unicode.In(first, unicode.Ll, unicode.Lo) && IsLabel(text)
}

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

// SameOwner tells whether a job found at the backend was made of the same
// attempt and content as the labels say.
func SameOwner(found, own map[string]string) bool {
	for _, l := range [...]string{LabelInstance, LabelAttempt, LabelContent} {
		if own[l] == "" || found[l] != own[l] {
			return false
		}
	}
	return true
}
