package storage

import (
	"encoding/base64"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// listing is what a list asks for.
type listing struct {
	prefix, delimiter, start, end, glob string
	trailing                            bool // folders of which there is an object are objects too
	size                                int
	from                                string // the first name to look at, of a page that is not the first
}

// page is one page of a list, in the order of names.
type page struct {
	objects  []*object
	prefixes []string
	next     string // where the next page begins, empty after the last
}

// list serves a bucket's objects.
func (s *Server) list(c *call) error {
	if c.Method != http.MethodGet {
		return c.unsupported()
	}
	if c.param("filter") != "" {
		return errUnsupported("filters of objects")
	}
	q := listing{
		prefix: c.param("prefix"), delimiter: c.param("delimiter"), start: c.param("startOffset"), end: c.param("endOffset"),
		glob: c.param("matchGlob"), trailing: c.flag("includeTrailingDelimiter"),
	}
	var err error
	if q.size, err = c.pageSize(); err != nil {
		return err
	}
	if q.from, err = fromToken(c.param("pageToken")); err != nil {
		return err
	}
	p, err := s.store.list(c.bucket, q)
	if err != nil {
		return err
	}
	if c.flag("softDeleted") {
		p = page{} // nothing is kept of what was deleted
	}
	answer := struct {
		Kind          string     `json:"kind"`
		NextPageToken string     `json:"nextPageToken,omitempty"`
		Prefixes      []string   `json:"prefixes,omitempty"`
		Items         []resource `json:"items,omitempty"`
	}{Kind: "storage#objects", Prefixes: p.prefixes, NextPageToken: toToken(p.next)}
	for _, o := range p.objects {
		answer.Items = append(answer.Items, o.resource(c.base()))
	}
	c.answer(answer)
	return nil
}

func toToken(name string) string { return base64.URLEncoding.EncodeToString([]byte(name)) }

func fromToken(token string) (string, error) {
	name, err := base64.URLEncoding.DecodeString(token)
	if err != nil {
		return "", errInvalid("Invalid page token: %q", token)
	}
	return string(name), nil
}

// list returns one page of a list.
func (s *store) list(bucketName string, q listing) (page, error) {
	matches, err := globMatcher(q.glob)
	if err != nil {
		return page{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	b := s.buckets[bucketName]
	if b == nil {
		return page{}, errNoBucket(bucketName)
	}
	var p page
	i, _ := slices.BinarySearch(b.names, max(q.prefix, q.start, q.from))
	for i < len(b.names) {
		name := b.names[i]
		if !strings.HasPrefix(name, q.prefix) || q.end != "" && name >= q.end {
			break
		}
		if !matches(name) {
			i++
			continue
		}
		folder, folded := q.folder(name)
		shown := !folded || q.trailing && folder == name
		n := len(p.objects) + len(p.prefixes)
		// A folder that is an object too is two results of one page, also of
		// a page for one.
		if n >= q.size || n > 0 && folded && shown && n+2 > q.size {
			p.next = name
			break
		}
		i++
		if folded {
			p.prefixes = append(p.prefixes, folder)
			// What is in the folder is passed over at once.
			i, _ = slices.BinarySearch(b.names, successor(folder))
		}
		if shown {
			p.objects = append(p.objects, b.objects[name])
		}
	}
	return p, nil
}

// folder returns the common prefix that stands for a name in a list.
func (q listing) folder(name string) (string, bool) {
	if q.delimiter == "" {
		return "", false
	}
	before, _, ok := strings.Cut(name[len(q.prefix):], q.delimiter)
	return q.prefix + before + q.delimiter, ok
}

// successor returns the first name after all that begin with a prefix. Names are
// UTF-8, which has no byte 0xff.
func successor(prefix string) string {
	last := len(prefix) - 1
	return prefix[:last] + string([]byte{prefix[last] + 1})
}

// globMatcher reads a glob: ? and * stand for what is not a slash, ** for anything;
// there are [sets] and {one,of}.
// https://cloud.google.com/storage/docs/json_api/v1/objects/list#list-objects-and-prefixes-using-glob
func globMatcher(glob string) (func(string) bool, error) {
	if glob == "" {
		return func(string) bool { return true }, nil
	}
	var re strings.Builder
	depth := 0
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; {
		case strings.HasPrefix(glob[i:], "**"):
			re.WriteString(".*")
			i++
		case c == '*':
			re.WriteString("[^/]*")
		case c == '?':
			re.WriteString("[^/]")
		case c == '[':
			end := strings.IndexByte(glob[i:], ']')
			if end < 0 {
				return nil, errInvalid("Invalid glob: %q", glob)
			}
			set := strings.ReplaceAll(glob[i+1:i+end], `\`, `\\`)
			if strings.HasPrefix(set, "!") {
				set = "^" + set[1:]
			}
			re.WriteString("[" + set + "]")
			i += end
		case c == '{':
			depth++
			re.WriteString("(?:")
		case c == '}' && depth > 0:
			depth--
			re.WriteByte(')')
		case c == ',' && depth > 0:
			re.WriteByte('|')
		case c == '\\' && i+1 < len(glob):
			i++
			re.WriteString(regexp.QuoteMeta(glob[i : i+1]))
		case c < 0x80:
			re.WriteString(regexp.QuoteMeta(string(rune(c))))
		default: // within a letter
			re.WriteByte(c)
		}
	}
	compiled, err := regexp.Compile(`^(?s:` + re.String() + `)$`)
	if err != nil {
		return nil, errInvalid("Invalid glob: %q", glob)
	}
	return compiled.MatchString, nil
}
