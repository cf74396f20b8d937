package jobspec

import "strings"

// What a rule asks of every job is matched by hand: a regular expression takes
// longer than all else of it.

func isLower(c byte) bool { return c >= 'a' && c <= 'z' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// only reports whether s has at least one byte and ok holds for each.
func only(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return s != ""
}

// isJobID: a letter, then letters, digits and underscores.
func isJobID(s string) bool {
	return only(s, func(c byte) bool { return isLower(c|0x20) || isDigit(c) || c == '_' }) && isLower(s[0]|0x20)
}

// isRegion: AREA-PLACE and a number, e.g. us-central1.
func isRegion(s string) bool {
	area, place, _ := strings.Cut(s, "-")
	name := strings.TrimRight(place, "0123456789")
	return only(area, isLower) && only(name, isLower) && name != place
}

// isMachine: lowercase words and numbers, joined by dashes or underscores.
func isMachine(s string) bool {
	word := func(c byte) bool { return isLower(c) || isDigit(c) }
	for len(s) > 0 {
		n := strings.IndexAny(s, "-_")
		if n < 0 {
			return only(s, word)
		}
		if !only(s[:n], word) {
			return false
		}
		s = s[n+1:]
	}
	return false
}

// cutGS splits a gs:// URI into bucket and object. Either may be invalid, and is ""
// only if the URI lacks it.
func cutGS(uri string) (bucket, object string, ok bool) {
	rest, ok := strings.CutPrefix(uri, "gs://")
	bucket, object, _ = strings.Cut(rest, "/")
	return bucket, object, ok && bucket != ""
}

// maxObjectName is Cloud Storage's, in bytes.
const maxObjectName = 1024

// objectFault returns why name can't be an object's name, or "" if it can (Cloud
// Storage, "Object names").
func objectFault(name string) string {
	switch {
	case len(name) > maxObjectName:
		return "an object's name has at most 1024 bytes"
	case strings.ContainsAny(name, "\r\n"):
		return "an object's name holds no line break"
	}
	return ""
}

// bucketFault returns why name can't be a bucket's name, or "" if it can (Cloud
// Storage, "Bucket names").
func bucketFault(name string) string {
	if !only(name, func(c byte) bool { return isLower(c) || isDigit(c) || c == '-' || c == '_' || c == '.' }) {
		return "a bucket's name holds only lowercase letters, digits, dashes, underscores and dots"
	}
	if strings.Trim(name, "-_.") != name {
		return "a bucket's name begins and ends with a letter or a digit"
	}
	if len(name) > 222 {
		return "a bucket's name has at most 222 characters"
	}
	numbers, parts := 0, 0
	for part := range strings.SplitSeq(name, ".") {
		parts++
		if len(part) > 63 {
			return "each part of a bucket's name has at most 63 characters"
		}
		if only(part, isDigit) {
			numbers++
		}
	}
	if parts == 4 && numbers == 4 {
		return "a bucket's name can't be an IP address"
	}
	return ""
}
