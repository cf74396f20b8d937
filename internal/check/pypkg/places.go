package pypkg

import (
	"archive/tar"
	"hash/maphash"
	"path"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// maxPlaces is how many paths are remembered: a package has at most 50,000 entries,
// and a real one far fewer folders. What comes after so many is not held against
// them.
const maxPlaces = 200_000

// places are the paths that unpacking has made so far, as hashes, and whether each
// is a folder. They tell what Python's tarfile can't unpack: it goes by the entries
// before, while links as a whole can be followed only when all are known.
type places struct {
	seed maphash.Seed
	made map[uint64]bool
}

func (p *places) hash(name string) uint64 { return maphash.String(p.seed, name) }

// full reports whether there was no room for a path: then nothing is known.
func (p *places) full() bool { return len(p.made) >= maxPlaces }

func (p *places) has(name string) (folder, ok bool) {
	if name == "." {
		return true, true
	}
	if p.made == nil {
		return false, false
	}
	folder, ok = p.made[p.hash(name)]
	return folder, ok
}

// add notes an entry and the folders that it lies in.
func (p *places) add(name string, folder bool) {
	if p.made == nil {
		p.seed, p.made = maphash.MakeSeed(), map[uint64]bool{}
	}
	for ; name != "." && name != "/" && !p.full(); name, folder = path.Dir(name), true {
		h := p.hash(name)
		was, known := p.made[h]
		p.made[h] = was || folder
		if known && was {
			return // and so is all above it
		}
	}
}

// place holds an entry against those before it, and notes it. name is its path
// without . and .. in it.
func (in *inspection) place(t *tree, h *tar.Header, name string) {
	folder, linked := h.Typeflag == tar.TypeDir, h.Typeflag == tar.TypeLink || h.Typeflag == tar.TypeSymlink
	v := job.Violation{Found: show(h.Name), Remedy: "build the package again"}
	switch at, ok := in.parent(t, name); {
	case t.places.full():
	case h.Typeflag == tar.TypeLink && !in.earlier(t, h.Linkname):
		v.Message = "a hard link leads to no entry before it, and Python's tarfile can't unpack it"
		v.Found = show(h.Name) + " -> " + show(h.Linkname)
		v.Remedy = "replace the link by the file that it leads to, or put that before it"
		in.fail(rulePackageHardLink, v)
	case !ok:
		v.Message = "an entry lies below what is not a folder when it is unpacked"
		v.Found += ", below " + show(at)
		v.Remedy = "put the folder that a link leads to before what lies below the link, or leave the link out"
		in.fail(rulePackageEntryPlace, v)
	case !folder && in.isFolder(t, name):
		v.Message = "an entry takes the place of a folder"
		in.fail(rulePackageEntryPlace, v)
	case !folder && !linked && in.endless(t, name):
		v.Message = "a file takes the place of a link that leads to itself"
		in.fail(rulePackageEntryPlace, v)
	}
	t.places.add(name, folder)
}

// parent reports whether all that a path lies in is a folder or comes to be one, and
// gives what is not.
func (in *inspection) parent(t *tree, name string) (at string, ok bool) {
	for at = path.Dir(name); at != "." && at != "/"; at = path.Dir(at) {
		folder, made := t.places.has(at)
		if _, isLink := t.links.symbolic[at]; isLink {
			to, outside, endless := t.links.walk("", path.Dir(at)+"/", t.links.symbolic[at])
			if folder, _ = t.places.has(path.Clean(to)); outside || folder && !endless {
				return "", true // what leads out is told by itself
			}
			return at, false
		}
		if folder {
			return "", true
		}
		if made {
			return at, false
		}
	}
	return "", true
}

// earlier reports whether a hard link leads to an entry before it, by its name or
// through links.
func (in *inspection) earlier(t *tree, target string) bool {
	if _, ok := t.places.has(path.Clean(target)); ok {
		return true
	}
	to, outside, endless := t.links.walk("", "", target)
	_, ok := t.places.has(path.Clean(to))
	return outside || ok && !endless
}

func (in *inspection) isFolder(t *tree, name string) bool {
	folder, _ := t.places.has(name)
	return folder
}

// endless reports whether a path is a link that leads nowhere but to links.
func (in *inspection) endless(t *tree, name string) bool {
	if _, isLink := t.links.symbolic[name]; !isLink {
		return false
	}
	_, _, endless := t.links.walk("", "", name)
	return endless
}
