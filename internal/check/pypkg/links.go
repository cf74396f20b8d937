package pypkg

import (
	"maps"
	"path"
	"slices"
	"strings"
)

const (
	// maxHops is how many links one path may lead through, as on Linux
	// (path_resolution(7)); a longer chain is a loop and leads nowhere.
	maxHops = 40
	// maxWalked bounds the work on all of a package's links: the bytes of all
	// paths on the way. A link of a real package takes some hundreds.
	maxWalked = 64 << 20
)

// links are an archive's links. Where one leads may depend on any other, so
// they are followed once all are known.
type links struct {
	symbolic map[string]string // path to target, as the archive states it
	hard     map[string]string // path to the path of the file that is meant
	walked   int
}

// add notes a link; name is its path, without . and .. in it.
func (l *links) add(name, target string, hard bool) {
	if l.symbolic == nil {
		l.symbolic, l.hard = map[string]string{}, map[string]string{}
	}
	if hard {
		l.hard[name] = target
	} else {
		l.symbolic[name] = target
	}
}

// followed is a link, and the path that it leads to unless that is outside.
type followed struct {
	name, target, at string
	outside          bool
}

// follow returns where each link leads. root is the folder that pip strips from all
// paths and that nothing may leave, or "". A symbolic link starts at its own folder
// and, unlike the text of its path, goes through other links. A hard link names an
// entry by its path in the archive (tar(5)).
func (l *links) follow(root string) []followed {
	var all []followed
	for _, name := range slices.Sorted(maps.Keys(l.symbolic)) {
		f := followed{name: name, target: l.symbolic[name]}
		f.at, f.outside, _ = l.walk(root, path.Dir(name)+"/", f.target)
		all = append(all, f)
	}
	for _, name := range slices.Sorted(maps.Keys(l.hard)) {
		f := followed{name: name, target: l.hard[name]}
		f.at, f.outside, _ = l.walk(root, "", f.target)
		all = append(all, f)
	}
	return all
}

// walk goes from a folder, "" or with its slash, to a target as the file system
// would. Of links that lead to each other it comes to no end.
func (l *links) walk(root, from, target string) (at string, outside, endless bool) {
	target = slashed(target)
	if strings.HasPrefix(target, "/") {
		return "", true, false
	}
	todo := from + target
	hops := 0
	for todo != "" {
		if l.walked += len(at) + 1; l.walked > maxWalked {
			return "", true, false
		}
		var step string
		step, todo, _ = strings.Cut(todo, "/")
		switch step {
		case "", ".":
			continue
		case "..":
			if at == root { // and root may be ""
				return "", true, false
			}
			at = at[:max(0, strings.LastIndexByte(at, '/'))]
			continue
		}
		folder := at
		switch {
		case folder != "":
			at += "/" + step
		case root == "" || step == root:
			at = step
		default:
			return "", true, false
		}
		next, isLink := l.symbolic[at]
		if !isLink {
			continue
		}
		if hops++; hops > maxHops {
			return "", false, true
		}
		if next = slashed(next); strings.HasPrefix(next, "/") {
			return "", true, false
		}
		l.walked += len(next) + len(todo) // both are copied
		at, todo = folder, next+"/"+todo
	}
	return at, false, false
}

// slashed reads Windows' separator as one, too: some tools write it, and pip
// heeds it (pip/_internal/utils/unpacking.py, split_leading_dir).
func slashed(name string) string { return strings.ReplaceAll(name, `\`, "/") }
