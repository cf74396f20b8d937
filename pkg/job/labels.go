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

// IsLabel reports whether text is a valid label value: at most 63 of the characters
// that gcloud's --labels allows (Google Cloud, "Requirements for labels").
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

// IsLabelKey reports whether text is a valid label key. A key also begins with a
// letter.
func IsLabelKey(text string) bool {
	first, _ := utf8.DecodeRuneInString(text)
	return unicode.In(first, unicode.Ll, unicode.Lo) && IsLabel(text)
}

// InstanceLabel returns the value of [LabelInstance] for an installation.
func InstanceLabel(instance string) string { return digest("instance", instance) }

// AttemptLabel returns the value of [LabelAttempt] for an attempt.
func AttemptLabel(attempt string) string { return digest("attempt", attempt) }

// Labels returns the user's labels together with jobdrop's own. content is the
// digest in the attempt's receipt.
func Labels(user map[string]string, instance, attempt, content string) map[string]string {
	labels := make(map[string]string, len(user)+3)
	maps.Copy(labels, user)
	labels[LabelInstance] = InstanceLabel(instance)
	labels[LabelAttempt] = AttemptLabel(attempt)
	labels[LabelContent] = content
	return labels
}

// SameOwner reports whether found, the labels of a job at the backend, name the same
// attempt and content as own.
func SameOwner(found, own map[string]string) bool {
	for _, l := range [...]string{LabelInstance, LabelAttempt, LabelContent} {
		if own[l] == "" || found[l] != own[l] {
			return false
		}
	}
	return true
}
