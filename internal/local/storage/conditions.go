package storage

import (
	"net/http"
	"strconv"
)

// conditions are what must hold of an object for a call to have its effect.
// https://cloud.google.com/storage/docs/request-preconditions
type conditions struct {
	generationMatch, generationNotMatch         *int64
	metagenerationMatch, metagenerationNotMatch *int64
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

// number reads the value of what has a name; nil where none is given.
func number(name, value string) (*int64, error) {
	if value == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 {
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
		c.metagenerationNotMatch != nil && *c.metagenerationNotMatch == metageneration:
		return errCondition()
	}
	return nil
}

// checkRead does what check does, for a read: there "not match" asks only for a change.
func (c conditions) checkRead(live *object) error {
	news := conditions{generationNotMatch: c.generationNotMatch, metagenerationNotMatch: c.metagenerationNotMatch}
	if news.check(live) != nil {
		return errNotModified
	}
	c.generationNotMatch, c.metagenerationNotMatch = nil, nil
	return c.check(live)
}
