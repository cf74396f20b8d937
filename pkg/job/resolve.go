package job

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Resolution says which objects a job's packages are.
type Resolution struct {
	// URIs are the job's packages as gs:// URIs, in the file's order.
	URIs []string
	// Packages are those of the drop's own folder, in the same order, each
	// once.
	Packages []Object
	// Missing names what has to come before the drop is complete.
	Missing []string
	// Outside are URIs that lie elsewhere; Elsewhere are their objects, as far
	// as they were looked for.
	Outside   []string
	Elsewhere []Object
	// Ambiguous reports that the file names no package and the folder holds more
	// than one.
	Ambiguous bool
	// Mispinned reports that one of Missing is there, but does not match its pin.
	Mispinned bool
	// Unpinned are those of Packages that the file does not pin.
	Unpinned []Object
}

// All returns the job's packages in the file's order, each once, with those from
// elsewhere.
func (r Resolution) All() []Object {
	var all []Object
	for _, uri := range r.URIs {
		for _, o := range slices.Concat(r.Packages, r.Elsewhere) {
			if o.URI() == uri && !slices.Contains(all, o) {
				all = append(all, o)
			}
		}
	}
	return all
}

// Resolve finds the packages that a job file names: an entry without gs:// is a
// file of the drop's folder, and so is the folder's own URI; a file that names
// none means the folder's only package, or none where the job brings an image.
// A package that does not match its pin counts as missing.
func (d Drop) Resolve(uris []string, image bool, pins []Pin) Resolution {
	var r Resolution
	switch {
	case len(uris) > 0:
		for _, uri := range uris {
			d.resolve(&r, uri, pins)
		}
	case image:
	case len(d.Packages) == 1 && len(pins) > 0 && pins[0].Name != d.Packages[0].Base():
		r.Missing = append(r.Missing, pins[0].String()) // whoever pins a package means that one
	case len(d.Packages) == 1:
		d.resolve(&r, d.Packages[0].Base(), pins)
	case len(d.Packages) == 0 && len(pins) > 0:
		r.Missing = append(r.Missing, pins[0].String())
	case len(d.Packages) == 0:
		r.Missing = append(r.Missing, "a package (*.tar.gz, *.tgz or *.whl)")
	default:
		r.Ambiguous = true
	}
	return r
}

func (d Drop) resolve(r *Resolution, uri string, pins []Pin) {
	name, own := strings.CutPrefix(uri, "gs://"+d.Bucket+"/"+d.Folder)
	if strings.HasPrefix(uri, "gs://") && (!own || strings.Contains(name, "/")) {
		r.URIs = append(r.URIs, uri)
		r.Outside = append(r.Outside, uri)
		return
	}
	if strings.Contains(name, "/") || !IsPackage(name) {
		r.URIs = append(r.URIs, uri) // no package of the folder can be meant: for the rules to tell
		if own {
			r.Outside = append(r.Outside, uri) // nothing of it would be checked or staged
		}
		return
	}
	r.URIs = append(r.URIs, "gs://"+d.Bucket+"/"+d.Folder+name)
	p, ok := d.Package(name)
	if !ok {
		r.Missing = append(r.Missing, name)
		return
	}
	pinned := false
	for _, pin := range pins {
		if pin.Name != name {
			continue
		}
		if !pin.Matches(p) {
			r.Missing = append(r.Missing, fmt.Sprintf("%s, in whose place generation %d is there", pin, p.Generation))
			r.Mispinned = true
			return
		}
		pinned = true
	}
	if slices.Contains(r.Packages, p) {
		return
	}
	r.Packages = append(r.Packages, p)
	if !pinned {
		r.Unpinned = append(r.Unpinned, p)
	}
}

// Matches reports whether o has the generation and the checksum that the pin names. The checksum
// may be that of the stored bytes or that of the content.
func (p Pin) Matches(o Object) bool {
	return (p.Generation == 0 || p.Generation == o.Generation) &&
		(p.CRC32C == "" || p.CRC32C == o.CRC32C || p.CRC32C == o.DecodedCRC32C)
}

// String returns the pin as people read it.
func (p Pin) String() string {
	var facts []string
	if p.Generation != 0 {
		facts = append(facts, "generation "+strconv.FormatInt(p.Generation, 10))
	}
	if p.CRC32C != "" {
		facts = append(facts, "CRC32C "+p.CRC32C)
	}
	if len(facts) == 0 {
		return p.Name
	}
	return fmt.Sprintf("%s (%s)", p.Name, strings.Join(facts, ", "))
}
