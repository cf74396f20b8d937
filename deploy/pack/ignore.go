package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// ignore is a .gcloudignore as gcloud reads it (command_lib/util/gcloudignore.py
// and glob.py of its release 528), which is not quite as git reads its own: only
// the file in the root counts, and a pattern with a slash in its middle matches at
// every depth. Libraries have git's rules.
type ignore struct{ patterns []pattern }

type pattern struct {
	parts   []part
	negated bool
	folder  bool // matches folders only
}

// part is what stands between two slashes.
type part struct {
	text string
	glob *regexp.Regexp
}

const include = "!include:"

// readIgnore reads the tree's .gcloudignore. A tree without one is refused: gcloud
// would make one up.
func readIgnore(tree fs.FS) (*ignore, error) {
	ignored := &ignore{}
	return ignored, ignored.read(tree, ".gcloudignore", true)
}

func (i *ignore) read(tree fs.FS, name string, includes bool) error {
	text, err := fs.ReadFile(tree, name)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		comment, ok := strings.CutPrefix(line, "#")
		if !ok {
			if err := i.add(line); err != nil {
				return fmt.Errorf("%s: %q: %w", name, line, err)
			}
			continue
		}
		// Directives in included files are comments.
		if file, ok := strings.CutPrefix(strings.TrimLeft(comment, " \t"), include); ok && includes {
			if strings.Contains(file, "/") {
				return fmt.Errorf("%s: %q: only files of the same folder are included", name, line)
			}
			if err := i.read(tree, file, false); err != nil {
				return fmt.Errorf("%s: %q: %w", name, line, err)
			}
		}
	}
	return nil
}

// add adds a line that is not a comment.
func (i *ignore) add(line string) error {
	var p pattern
	line, p.negated = strings.CutPrefix(line, "!")
	line, p.folder = strings.CutSuffix(line, "/")
	if strings.Contains(line, `\`) {
		// gcloud takes backslashes away before it looks for wildcards, so that an
		// escaped star is one.
		return errors.New("backslashes mean something else to gcloud than to git: do without")
	}
	line = strings.TrimRight(line, " ")
	if line == "" {
		return nil
	}
	for text := range strings.SplitSeq(line, "/") {
		glob, err := fnmatch(text)
		if err != nil {
			return err
		}
		p.parts = append(p.parts, part{text, glob})
	}
	i.patterns = append(i.patterns, p)
	return nil
}

// fnmatch compiles a pattern as Python's fnmatch does. A star matches everything, but
// the names of files have no slash.
func fnmatch(pattern string) (*regexp.Regexp, error) {
	text := []rune(pattern)
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for k := 0; k < len(text); k++ {
		switch text[k] {
		case '*':
			b.WriteString(`.*`)
		case '?':
			b.WriteString(`.`)
		case '[':
			set, negated, length := brackets(text[k+1:])
			if length == 0 {
				b.WriteString(`\[`) // it is not closed
				continue
			}
			b.WriteString("[")
			if negated {
				b.WriteString("^")
			}
			b.WriteString(strings.NewReplacer(`[`, `\[`, `]`, `\]`, `^`, `\^`).Replace(set) + "]")
			k += length
		default:
			b.WriteString(regexp.QuoteMeta(string(text[k])))
		}
	}
	b.WriteString(`\z`)
	return regexp.Compile(b.String())
}

// brackets returns the set at the start of text, which follows an opening bracket, and
// its length with the closing bracket. A closing bracket that comes first is a member
// of the set.
func brackets(text []rune) (set string, negated bool, length int) {
	start := 0
	if len(text) > 0 && text[0] == '!' {
		start, negated = 1, true
	}
	for end := start + 1; end < len(text); end++ {
		if text[end] == ']' {
			return string(text[start:end]), negated, end + 1
		}
	}
	return "", false, 0
}

// path reports whether a file is left out, by itself or with a folder above it.
func (i *ignore) path(name string) bool {
	for k := range name {
		if name[k] == '/' && i.matches(name[:k], true) {
			return true
		}
	}
	return i.matches(name, false)
}

// matches reports whether the last pattern that matches leaves the name out. The caller
// asks for the folders above it: no pattern brings back what is in a folder that is
// left out.
func (i *ignore) matches(name string, folder bool) bool {
	for _, p := range slices.Backward(i.patterns) {
		if (folder || !p.folder) && match(p.parts, name) {
			return !p.negated
		}
	}
	return false
}

// none is the path above the root.
const none = "\x00"

var empty = regexp.MustCompile(`\A\z`)

// match compares from the right, as gcloud does.
func match(parts []part, name string) bool {
	if len(parts) == 0 {
		return true
	}
	if name == none {
		return false
	}
	last, rest := parts[len(parts)-1], parts[:len(parts)-1]
	above, base := path.Split(name)
	above = strings.TrimSuffix(above, "/")
	if base == "" {
		above = none
	}
	if last.text == "**" {
		// What is before two stars begins at the root.
		if len(rest) == 0 || rest[0].text != "" {
			rest = slices.Insert(slices.Clone(rest), 0, part{glob: empty})
		}
		for prefix := name; ; prefix = strings.TrimSuffix(prefix, "/") {
			if match(rest, prefix) {
				return true
			}
			if prefix == "" {
				return false
			}
			prefix, _ = path.Split(prefix)
		}
	}
	if last.text == "*" && len(rest) == 0 && len(above) > 1 && above != none {
		return false // it is a star of the root only
	}
	return last.glob.MatchString(base) && match(rest, above)
}
