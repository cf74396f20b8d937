// Package pypkg inspects Python packages, source distributions (.tar.gz, .tgz)
// and wheels (.whl), before a job pays for machines to install them: is the
// archive whole, would pip install it, which modules does it bring, and is it
// safe to unpack.
//
// A source distribution is read as a stream, in memory that does not depend on
// its size. A wheel's table of contents stands at its end, so a wheel is
// spooled to one temporary file, which is removed before [Inspect] returns.
// Nothing of a package is executed or unpacked.
package pypkg

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Limits bounds what one package may cost. Passing one is a violation, never a
// silent cut.
type Limits struct {
	// Bytes is the most that is read of a package.
	Bytes int64
	// Spool is the most bytes of a wheel.
	Spool int64
	// Unpacked is the most that a package's content may add up to.
	Unpacked int64
	// Ratio is the most unpacked bytes to each packed one, beyond the first
	// mebibyte.
	Ratio int64
	// Entries is the most files, folders and links.
	Entries int
	// Name is the most bytes in an entry's name, Names in all of them: they
	// are kept while the package is inspected.
	Name  int
	Names int64
	// Violations is the most that are reported; one more tells of the rest.
	Violations int
}

// headers returns the most bytes that an archive's headers may take. Tools write up
// to 1.5 KiB for each entry. Reading headers takes ten times as long as reading the
// content that they describe.
func (l Limits) headers() int64 { return 2048 * int64(l.Entries) }

// DefaultLimits returns bounds that a trainer's package, data files included,
// stays far below.
func DefaultLimits() Limits {
	return Limits{
		Bytes:      1 << 30,  // read in half a minute, within a function's deadline
		Spool:      64 << 20, // a function's /tmp is its memory
		Unpacked:   4 << 30,  // some seconds per GiB to unpack, and a small part of a replica's disk
		Ratio:      200,      // source has 3 to 10, logs and tables up to 100, a bomb 1,000
		Entries:    50_000,   // the largest frameworks have some 15,000
		Name:       1024,     // below any file system's bound for a path
		Names:      4 << 20,  // 50,000 names of 80 bytes, as source trees have
		Violations: 20,       // more are not read by anyone
	}
}

// Report holds what a package contains.
type Report struct {
	// Name and Version are those of the metadata, else of the file's name.
	Name, Version string
	// Modules lists, sorted, what python -m can run once the package is
	// installed: modules, and packages that have a __main__.
	Modules []string
	// Guessed reports that the package's settings move or make modules in ways
	// that are not understood. A module that is not listed may be there.
	Guessed bool
	// Entries counts files, folders and links; Unpacked is the files' sizes
	// added up.
	Entries  int
	Unpacked int64
	// RequiresPython is the specifier of the Pythons that pip installs the package
	// with, "" for all of them.
	RequiresPython string
	// Requires lists what a source distribution requires, as its settings say it, if
	// RequiresKnown is set.
	Requires      []string
	RequiresKnown bool

	claimsPython string
	strays       []stray
	tags         []tag
	layout       *layout // of a source distribution whose setup was understood
	roots        map[string]bool
}

// LeftOut returns why setup does not install a module that the archive holds, and the
// remedy. It reports false if the archive does not hold the module, or it is not known
// what setup does.
func (r *Report) LeftOut(module string) (reason, remedy string, ok bool) {
	if r.layout == nil || r.HasModule(module) {
		return "", "", false
	}
	return r.layout.why(module, r.roots)
}

// Below lists modules of a package, those first that look like a program.
func (r *Report) Below(pkg string) (modules []string) {
	at, _ := slices.BinarySearch(r.Modules, pkg+".")
	for ; at < len(r.Modules) && strings.HasPrefix(r.Modules[at], pkg+"."); at++ {
		switch lastName(r.Modules[at]) {
		case "task", "main", "train", "trainer":
			modules = slices.Insert(modules, 0, r.Modules[at])
		default:
			modules = append(modules, r.Modules[at])
		}
		if len(modules) > maxBelow {
			break
		}
	}
	return modules[:min(len(modules), maxSuggestions)]
}

// maxBelow is how many modules of a package are looked at for suggestions.
const maxBelow = 200

// Inspect reads a package to its end; name is its file name, whose extension
// tells the format. A violation is something wrong in the package. An error is
// only a failed read of r (or, for a wheel, a failed write of the temporary
// file), or the end of ctx: nothing is known about the package then, and callers
// try again.
//
// Without an error the report is never nil; with violations it holds what could
// be read.
func Inspect(ctx context.Context, name string, r io.Reader, limits Limits) (*Report, []job.Violation, error) {
	in := &inspection{
		name:   name,
		limits: limits,
		src:    &source{ctx: ctx, r: r, left: limits.Bytes},
		report: &Report{},
		found:  newModules(),
	}
	var err error
	switch base := name[strings.LastIndex(name, "/")+1:]; {
	case strings.HasSuffix(base, ".whl"):
		err = in.wheel(base)
	case strings.HasSuffix(base, ".tar.gz"):
		in.sdist(strings.TrimSuffix(base, ".tar.gz"))
	case strings.HasSuffix(base, ".tgz"):
		in.sdist(strings.TrimSuffix(base, ".tgz"))
	default:
		in.fail(job.RulePackageExtension, job.Violation{
			Message: "the name is not that of a Python package",
			Allowed: ".tar.gz, .tgz, .whl",
			Remedy:  "name the file that python -m build, or setup.py sdist, made",
		})
	}
	// A read that failed looks like a truncated archive to the formats' readers.
	if in.src.err != nil {
		return nil, nil, fmt.Errorf("read package %s: %w", name, in.src.err)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("inspect package %s: %w", name, err)
	}
	in.oddNames()
	return in.report, in.violations(), nil
}

// inspection is the state of one [Inspect].
type inspection struct {
	name   string
	limits Limits
	src    *source
	report *Report
	found  *modules
	stated string // a wheel's name as its file's name states it
	names  int64  // bytes of all entries' and links' names so far
	odd    oddNames

	list       []job.Violation
	rest       int
	restErrors bool
}

func (in *inspection) fail(rule job.Rule, v job.Violation) {
	v.Rule, v.File = rule, in.name
	if v.Severity == "" {
		v.Severity = job.Error
	}
	if len(in.list) >= in.limits.Violations {
		in.rest++
		in.restErrors = in.restErrors || v.Severity == job.Error
		return
	}
	in.list = append(in.list, v)
}

func (in *inspection) warn(rule job.Rule, v job.Violation) {
	v.Severity = job.Warning
	in.fail(rule, v)
}

func (in *inspection) violations() []job.Violation {
	if in.rest == 0 {
		return in.list
	}
	last := job.Violation{
		Rule:     job.RuleTooManyViolations,
		Severity: job.Warning,
		File:     in.name,
		Message:  fmt.Sprintf("there are %d more violations", in.rest),
		Remedy:   "correct these first",
	}
	if in.restErrors {
		last.Severity = job.Error
	}
	return append(in.list, last)
}

// entry counts one entry and checks its name. sound reports whether the name is
// usable, and more whether there may be further entries.
func (in *inspection) entry(name string) (sound, more bool) {
	in.report.Entries++
	if in.report.Entries > in.limits.Entries {
		in.fail(rulePackageEntries, job.Violation{
			Message: "the package has too many entries",
			Allowed: fmt.Sprintf("at most %d", in.limits.Entries),
			Remedy:  "leave data, virtual environments and caches out of the package",
		})
		return false, false
	}
	if in.names += int64(len(name)); in.names > in.limits.Names {
		in.tooLongNames()
		return false, false
	}
	slashed := slashed(name)
	switch {
	case len(name) > in.limits.Name:
		in.fail(rulePackageEntryName, job.Violation{
			Message: "an entry's name is too long",
			Found:   show(name),
			Allowed: fmt.Sprintf("at most %d bytes", in.limits.Name),
			Remedy:  "shorten the names of folders and files",
		})
	case name == "":
		in.fail(rulePackageEntryName, job.Violation{
			Message: "an entry has no name",
			Remedy:  "build the package again",
		})
	case strings.ContainsRune(name, 0):
		in.fail(rulePackageEntryName, job.Violation{
			Message: "an entry's name contains a zero byte",
			Found:   show(name),
			Remedy:  "rename the file",
		})
	case strings.HasPrefix(slashed, "/") ||
		len(slashed) > 1 && slashed[1] == ':' && (len(slashed) == 2 || slashed[2] == '/'):
		in.fail(rulePackageAbsolutePath, job.Violation{
			Message: "an entry has an absolute path",
			Found:   show(name),
			Remedy:  "pack the files by paths relative to the project's folder",
		})
	case climbs(slashed):
		in.fail(rulePackageTraversal, job.Violation{
			Message: "an entry's path climbs out of the package",
			Found:   show(name),
			Remedy:  "pack the files by paths without ..",
		})
	default:
		in.odd.add(name)
		return true, true
	}
	return false, true
}

func (in *inspection) tooLongNames() {
	in.fail(rulePackageEntryName, job.Violation{
		Message: "the names of the package's entries are too long in all",
		Allowed: fmt.Sprintf("at most %d bytes", in.limits.Names),
		Remedy:  "shorten the names of folders and files, or pack fewer",
	})
}

func climbs(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if part == ".." {
			return true
		}
	}
	return false
}

// unpack adds a file's size; false means that the inspection ends.
func (in *inspection) unpack(size int64) bool {
	if size < 0 || size > in.limits.Unpacked-in.report.Unpacked {
		in.tooLarge()
		return false
	}
	in.report.Unpacked += size
	return true
}

func (in *inspection) tooLarge() {
	in.fail(rulePackageUnpacked, job.Violation{
		Message: "the package is too large when unpacked",
		Allowed: fmt.Sprintf("at most %d bytes", in.limits.Unpacked),
		Remedy:  "keep data out of the package; let the trainer read it from Cloud Storage",
	})
}

func (in *inspection) tooDense() {
	in.fail(rulePackageRatio, job.Violation{
		Message: "the package unpacks to far more than its size, as a decompression bomb does",
		Allowed: fmt.Sprintf("at most %d bytes unpacked to each packed one", in.limits.Ratio),
		Remedy:  "leave the large, uniform files out of the package",
	})
}

// ratioFloor is how much may be unpacked whatever the ratio: a small archive of
// empty files has any.
const ratioFloor = 1 << 20

func (in *inspection) dense(unpacked, packed int64) bool {
	return unpacked > ratioFloor && unpacked/in.limits.Ratio > packed
}

func (in *inspection) tooManyBytes(limit int64) {
	in.fail(rulePackageSize, job.Violation{
		Message: "the package is too large",
		Allowed: fmt.Sprintf("at most %d bytes", limit),
		Remedy:  "keep data out of the package; let the trainer read it from Cloud Storage",
	})
}

func (in *inspection) truncated() {
	in.fail(rulePackageTruncated, job.Violation{
		Message: "the package ends in the middle",
		Found:   strconv.FormatInt(in.src.read, 10) + " bytes",
		Remedy:  "upload the whole file again",
	})
}

func (in *inspection) empty() {
	in.fail(rulePackageEmpty, job.Violation{
		Message: "the package is an empty file",
		Remedy:  "build the package again and upload the result",
	})
}

// noModule warns of a package without code. It may be there for what it requires,
// and the job's own module is looked for in all packages together.
func (in *inspection) noModule() {
	if in.found.code {
		return
	}
	in.warn(rulePackageNoModule, job.Violation{
		Message: "the package contains no Python module",
		Remedy:  "check that the package's setup names its packages, and build it again",
	})
}

// maxIdle is bufio's own patience with a reader that returns nothing.
const maxIdle = 100

// source counts and bounds what is read of a package, and tells a failed read
// from a fault in the format: whatever a decompressor makes of the former, err
// keeps it.
type source struct {
	ctx   context.Context // of the [Inspect] that made the source
	r     io.Reader
	read  int64
	left  int64
	err   error // of r, not io.EOF, or of ctx
	idle  int   // reads in a row that brought nothing
	ended bool
	over  bool // the limit was passed; readers see the end
}

// alive reports whether the inspection goes on. What takes long asks, whether or
// not it reads of the source.
func (s *source) alive() bool {
	if s.err == nil {
		s.err = s.ctx.Err()
	}
	return s.err == nil
}

func (s *source) Read(p []byte) (int, error) {
	if !s.alive() {
		return 0, s.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if s.ended || s.over {
		return 0, io.EOF
	}
	// One byte beyond the limit tells a package of that size from a larger one.
	if int64(len(p)) > s.left+1 {
		p = p[:s.left+1]
	}
	n, err := s.r.Read(p)
	if s.idle++; n > 0 {
		s.idle = 0
	} else if err == nil && s.idle >= maxIdle {
		err = io.ErrNoProgress
	}
	s.read += int64(n)
	if s.left -= int64(n); s.left < 0 {
		s.over = true
		return n, nil
	}
	switch err {
	case nil:
	case io.EOF:
		s.ended = true
	default:
		s.err = err
	}
	return n, err
}

// kind describes bytes that are not of the wanted format, and returns what to do
// about them.
func kind(head []byte) (looks, remedy string) {
	const rebuild = "build the package with python -m build, or setup.py sdist, and upload the result"
	text := bytes.ToLower(bytes.TrimSpace(head))
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return "a zip archive", "rename it to .whl if it is a wheel; otherwise " + rebuild
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return "gzip", "rename it to .tar.gz if it is a source distribution"
	case bytes.HasPrefix(head, []byte("BZh")):
		return "bzip2", "compress the archive with gzip: tar czf"
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")):
		return "xz", "compress the archive with gzip: tar czf"
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")):
		return "zstd", "compress the archive with gzip: tar czf"
	case len(head) > 262 && string(head[257:262]) == "ustar":
		return "a plain tar archive", "compress it with gzip: tar czf, or gzip"
	case bytes.HasPrefix(head, []byte("version https://git-lfs")):
		return "a Git LFS pointer", "fetch the file itself with git lfs pull and upload that"
	case bytes.HasPrefix(text, []byte("<!doctype")), bytes.HasPrefix(text, []byte("<html")),
		bytes.HasPrefix(text, []byte("<?xml")):
		return "a web page", "download the file itself, not its page, and upload that"
	case utf8.Valid(head) ||
		len(head) > 500 && utf8.Valid(bytes.TrimRightFunc(head, func(r rune) bool { return r == utf8.RuneError })):
		return "text", rebuild
	}
	return "something else", rebuild
}

// show quotes a name of the package: enough to find the file by.
func show(name string) string { return text.Show(name, 120) }
