package attempt

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// FolderNote is what the ledger keeps about a folder: the newest attempt decided there, the packages
// of all decided attempts, and the contents of accepted ones. It keeps a folder that is used again
// from running yesterday's package, and from running the same content twice. Generations show what
// is new, since each upload makes one. Times do not: a job file may be uploaded before its package.
type FolderNote struct {
	Newest Entered `json:"newest"`
	// Packages holds the packages of decided attempts, by [packageKey]. Names that are no longer
	// in the folder are left out, so a note has hardly more entries than a drop may have parts. It
	// is nil in a note of an earlier revision, which did not record them.
	Packages map[string]Decided `json:"packages"`
	// Contents holds what attempts were accepted with, or were about to be: the newest ones, and
	// those without a verdict. [FolderNote.Crowd] goes by their order. It is empty in a note of an
	// earlier revision.
	Contents []Content `json:"contents,omitempty"`
	// Generation is that of the ledger's object; 0 if there is none.
	Generation int64 `json:"-"`
}

// Entered names an attempt of a folder and the generation of its job file.
type Entered struct {
	Attempt    string `json:"attempt"`
	Generation int64  `json:"generation,string"`
}

// Decided holds the newest generation of a package that an attempt was decided with. By is the
// generation of the first such attempt's job file.
type Decided struct {
	Generation int64 `json:"generation,string"`
	By         int64 `json:"by,string"`
}

// Content is what an attempt was about to be accepted with. The attempt's record says whether it
// was.
type Content struct {
	// Generation is that of the attempt's job file.
	Generation int64 `json:"generation,string"`
	// Digest is that of [job.Content]. It is empty if an earlier revision wrote the attempt into the
	// note.
	Digest string `json:"digest"`
}

// keptContents is how many contents a note keeps of attempts that have ended. maxContents is how
// many it keeps in all, whatever became of their attempts: with them the note of a full folder is
// still within the ledger's limit for a read.
const (
	keptContents = 32
	maxContents  = 1000
)

// packageKey returns the key of a package's file name in a [FolderNote]: 16 hex digits of
// its SHA-256. Names have up to 255 bytes, and a note is read for every drop.
func packageKey(base string) string {
	sum := sha256.Sum256([]byte(base))
	return hex.EncodeToString(sum[:8])
}

// Supersedes reports whether an attempt of a newer job file was decided already.
func (n FolderNote) Supersedes(jobFile job.Object) bool {
	return n.Newest.Generation > jobFile.Generation
}

// Decided returns those packages that another attempt was decided with, at this generation or a
// later one. If an earlier revision wrote the note, it returns all of them.
func (n FolderNote) Decided(jobFile job.Object, packages []job.Object) []job.Object {
	if n.Packages == nil && n.Newest.Attempt != "" && n.Newest.Generation != jobFile.Generation {
		return packages
	}
	var decided []job.Object
	for _, p := range packages {
		d, ok := n.Packages[packageKey(p.Base())]
		if ok && (p.Generation < d.Generation || p.Generation == d.Generation && d.By != jobFile.Generation) {
			decided = append(decided, p)
		}
	}
	return decided
}

// Outdates reports whether an attempt was decided with a later generation of one of the packages.
// If so, the list that shows them is older than the note.
func (n FolderNote) Outdates(packages []job.Object) bool {
	return slices.ContainsFunc(packages, func(p job.Object) bool {
		return p.Generation < n.Packages[packageKey(p.Base())].Generation
	})
}

// contents returns the note's contents. In a note of an earlier revision that is the newest attempt
// before jobFile's, whose content is not known.
func (n FolderNote) contents(jobFile job.Object) []Content {
	if len(n.Contents) == 0 && n.Newest.Attempt != "" && n.Newest.Generation < jobFile.Generation {
		return []Content{{Generation: n.Newest.Generation}}
	}
	return n.Contents
}

// Same returns the generations of the job files of those attempts before jobFile's that may have
// been accepted with a content, the newest first.
func (n FolderNote) Same(jobFile job.Object, digest string) []int64 {
	var same []int64
	for _, c := range n.contents(jobFile) {
		if (c.Digest == digest || c.Digest == "") && c.Generation < jobFile.Generation {
			same = append(same, c.Generation)
		}
	}
	slices.SortFunc(same, func(a, b int64) int { return cmp.Compare(b, a) })
	return same
}

// Crowd returns the generations of the job files of a few attempts before jobFile's that the note
// may forget once they have ended. There are none if it holds few contents.
func (n FolderNote) Crowd(jobFile job.Object) []int64 {
	const few = 2 // one is entered with each attempt, so the note gets shorter
	var crowd []int64
	for _, c := range n.Contents {
		if len(n.Contents) < keptContents || len(crowd) == few {
			break
		}
		if c.Generation != jobFile.Generation {
			crowd = append(crowd, c.Generation)
		}
	}
	return crowd
}

// EnterContent returns a copy of the note with a content of the job file's attempt. It leaves out
// the contents of those attempts that are over. It puts those that are open behind the others, so
// that [FolderNote.Crowd] comes to each.
func (n FolderNote) EnterContent(jobFile job.Object, digest string, over, open []int64) FolderNote {
	own := Content{Generation: jobFile.Generation, Digest: digest}
	var kept, behind []Content
	for _, c := range n.Contents {
		switch {
		case slices.Contains(over, c.Generation):
		case slices.Contains(open, c.Generation):
			behind = append(behind, c)
		default:
			kept = append(kept, c)
		}
	}
	kept = append(kept, behind...)
	if !slices.Contains(kept, own) {
		kept = append(kept, own)
	}
	n.Contents = kept[max(len(kept)-maxContents, 0):]
	return n
}

// Enter returns a copy of the note with the job file's attempt as the newest, decided with
// packages of the drop d. n does not change.
func (n FolderNote) Enter(d job.Drop, jobFile job.Object, packages []job.Object) FolderNote {
	next := FolderNote{
		Newest:     Entered{Attempt: job.AttemptKey(jobFile), Generation: jobFile.Generation},
		Packages:   map[string]Decided{},
		Contents:   n.contents(jobFile),
		Generation: n.Generation,
	}
	listed := map[string]bool{}
	for _, p := range d.Packages {
		listed[packageKey(p.Base())] = true
	}
	for key, known := range n.Packages {
		// The packages of a folder that is too large are not listed. Another worker of this
		// attempt may have seen a package that came later.
		if listed[key] || d.TooMany != "" || known.By == jobFile.Generation {
			next.Packages[key] = known
		}
	}
	for _, p := range packages {
		if known, ok := next.Packages[packageKey(p.Base())]; !ok || known.Generation < p.Generation {
			next.Packages[packageKey(p.Base())] = Decided{Generation: p.Generation, By: jobFile.Generation}
		}
	}
	return next
}

// Equal reports whether two notes say the same, whatever their generations.
func (n FolderNote) Equal(other FolderNote) bool {
	return n.Newest == other.Newest && maps.Equal(n.Packages, other.Packages) && slices.Equal(n.Contents, other.Contents)
}
