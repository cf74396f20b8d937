package storage

import (
	"net/http"
	"strconv"
	"strings"
)

// conditions are what must hold of an object for a call to have its effect.
// https://cloud.google.com/storage/docs/request-preconditions
type conditions struct {
	generationMatch, generationNotMatch         *int64
	metagenerationMatch, metagenerationNotMatch *int64
	// etagMatch and etagNotMatch are lists of ETags, as the headers have them.
	etagMatch, etagNotMatch string
}

// parameter reads a number of the query or, for the XML API, of a header.
type parameter func(name string) string

// conditionsOf reads the conditions of a request; prefix is ifSource for those on
// a copy's source, else if.
func conditionsOf(get parameter, prefix string) (c conditions, err error) {
	for name, target := range map[string]**int64{
		"GenerationMatch": &c.generationMatch, "GenerationNotMatch": &c.generationNotMatch,
		"MetagenerationMatch": &c.metagenerationMatch, "MetagenerationNotMatch": &c.metagenerationNotMatch,
	} {
		if *target, err = number(prefix+name, get(prefix+name)); err != nil {
			return conditions{}, err
		}
	}
	return c, nil
}

// byETag adds the conditions of a request's headers. ETags are taken with quotes and without.
// https://cloud.google.com/storage/docs/json_api#etags
func (c conditions) byETag(h http.Header) conditions {
	c.etagMatch, c.etagNotMatch = h.Get("If-Match"), h.Get("If-None-Match")
	return c
}

// lists reports whether a list of ETags has the one of an object, or stands for any.
func lists(etags string, live *object) bool {
	for tag := range strings.SplitSeq(etags, ",") {
		tag = strings.Trim(strings.TrimPrefix(strings.TrimSpace(tag), "W/"), `"`)
		if live != nil && (tag == "*" || tag == live.etag() || tag == live.xmlETag()) {
			return true
		}
	}
	return false
}

// number reads the value of what has a name; nil where none is given. Numbers below zero are
// taken: no object has them.
func number(name, value string) (*int64, error) {
	if value == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return nil, errInvalid("Invalid value for %s: %q", name, value)
	}
	return &n, nil
}

// ofHeader reads the XML API's headers by the names of the JSON API's parameters.
func ofHeader(h http.Header) parameter {
	return func(name string) string {
		switch name {
		case "ifGenerationMatch":
			return h.Get("X-Goog-If-Generation-Match")
		case "ifMetagenerationMatch":
			return h.Get("X-Goog-If-Metageneration-Match")
		}
		return ""
	}
}

// check returns 412 unless the conditions hold for the live object. live is nil if
// there is none; its generation counts as 0.
func (c conditions) check(live *object) error {
	var generation, metageneration int64
	if live != nil {
		generation, metageneration = live.Generation, live.Metageneration
	}
	switch {
	case c.generationMatch != nil && *c.generationMatch != generation,
		c.generationNotMatch != nil && *c.generationNotMatch == generation,
		c.metagenerationMatch != nil && *c.metagenerationMatch != metageneration,
		c.metagenerationNotMatch != nil && *c.metagenerationNotMatch == metageneration,
		c.etagMatch != "" && !lists(c.etagMatch, live),
		c.etagNotMatch != "" && lists(c.etagNotMatch, live):
		return errCondition()
	}
	return nil
}

// checkRead does what check does, for a read: there "not match" asks only for a change.
func (c conditions) checkRead(live *object) error {
	news := conditions{generationNotMatch: c.generationNotMatch, metagenerationNotMatch: c.metagenerationNotMatch,
		etagNotMatch: c.etagNotMatch}
	if news.check(live) != nil {
		return errNotModified
	}
	c.generationNotMatch, c.metagenerationNotMatch, c.etagNotMatch = nil, nil, ""
	return c.check(live)
}
