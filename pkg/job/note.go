package job

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
)

// Note is what the ledger keeps of a folder: the newest attempt that was decided
// there, and the packages that attempts were decided upon. By it a folder that is
// used again does not run yesterday's package: generations tell what is new, since
// each upload makes one, and times do not, since a job file may be uploaded before
// its package.
type Note struct {
	Newest Entered `json:"newest"`
	// Packages are those of the folder that an attempt was decided upon, by
	// [packageKey]. Names that are no longer in the folder are left out, so a note
	// has at most as many as a drop may have parts.
	Packages map[string]Decided `json:"packages,omitempty"`
	// Generation is that of the ledger's object; 0 where there is none.
	Generation int64 `json:"-"`
}

// Entered names an attempt of a folder and the generation of its job file.
type Entered struct {
	Attempt    string `json:"attempt"`
	Generation int64  `json:"generation,string"`
}

// Decided is the newest generation of a package that an attempt was decided upon.
// By is the generation of the first such attempt's job file.
type Decided struct {
	Generation int64 `json:"generation,string"`
	By         int64 `json:"by,string"`
}

// packageKey returns the key of a package's file name in a [Note]: 16 hex digits of
// its SHA-256. Names have up to 255 bytes, and a note is read for every drop.
func packageKey(base string) string {
	sum := sha256.Sum256([]byte(base))
	return hex.EncodeToString(sum[:8])
}

// Supersedes reports whether an attempt of a newer job file was decided already.
func (n Note) Supersedes(jobFile Object) bool { return n.Newest.Generation > jobFile.Generation }

// Decided returns those of the packages that an attempt of another job file was
// decided upon at this generation or a later one.
func (n Note) Decided(jobFile Object, packages []Object) []Object {
	var decided []Object
	for _, p := range packages {
		if d, ok := n.Packages[packageKey(p.Base())]; ok && d.By != jobFile.Generation && p.Generation <= d.Generation {
			decided = append(decided, p)
		}
	}
	return decided
}

// Enter returns the note with the attempt of a job file as the newest, decided upon
// packages of the drop d. It changes nothing of n.
func (n Note) Enter(d Drop, jobFile Object, packages []Object) Note {
	next := Note{
		Newest:     Entered{Attempt: AttemptKey(jobFile), Generation: jobFile.Generation},
		Packages:   map[string]Decided{},
		Generation: n.Generation,
	}
	if d.TooMany != "" { // its packages were not listed
		maps.Copy(next.Packages, n.Packages)
	}
	for _, p := range d.Packages {
		if known, ok := n.Packages[packageKey(p.Base())]; ok {
			next.Packages[packageKey(p.Base())] = known
		}
	}
	for _, p := range packages {
		if known, ok := next.Packages[packageKey(p.Base())]; !ok || known.Generation < p.Generation {
			next.Packages[packageKey(p.Base())] = Decided{Generation: p.Generation, By: jobFile.Generation}
		}
	}
	return next
}

// Equal reports whether two notes say the same, wherever they were read.
func (n Note) Equal(other Note) bool {
	return n.Newest == other.Newest && maps.Equal(n.Packages, other.Packages)
}
