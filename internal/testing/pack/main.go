// Command pack makes the packages of testdata/drops from the sources in
// testdata/trainers, in the shape of Python's sdist. The same sources give the
// same bytes with the same version of Go; for any version the test compares
// what stands in the tree with its source, entry by entry.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

//go:generate go run . ../../../testdata

// A tarball is one package of one drop.
type tarball struct {
	drop   string // folder of testdata/drops
	name   string // e.g. trainer-0.1
	source string // folder of testdata/trainers
	extra  []entry
}

// tarballs are all packages that are made. Drops whose fault is in the job
// file hold a good package, so that nothing else is wrong with them.
var tarballs = []tarball{
	{drop: "distributed", name: "trainer-0.1", source: "distributed"},
	{drop: "endless", name: "trainer-0.1", source: "endless"},
	{drop: "fails", name: "trainer-0.1", source: "fails"},
	{drop: "flex-start", name: "trainer-0.1", source: "hello"},
	{drop: "hello", name: "trainer-0.1", source: "hello"},
	{drop: "incomplete", name: "trainer-0.1", source: "hello"},
	{drop: "pair", name: "helpers-0.1", source: "helpers"},
	{drop: "pair", name: "trainer-0.1", source: "pair"},
	{drop: "rejected-counts", name: "trainer-0.1", source: "hello"},
	{drop: "rejected-identity", name: "trainer-0.1", source: "hello"},
	{drop: "rejected-job-id", name: "trainer-0.1", source: "hello"},
	{drop: "rejected-many", name: "trainer-0.1", source: "hello"},
	{drop: "rejected-missing", name: "trainer-0.1", source: "hello"},
	{drop: "rejected-module", name: "trainer-0.1", source: "hello"},
	{drop: "rejected-reservation", name: "trainer-0.1", source: "hello"},
	{drop: "rejected-reserved-label", name: "trainer-0.1", source: "hello"},
	{drop: "rejected-scale-tier", name: "trainer-0.1", source: "hello"},
	{drop: "rejected-scheduling", name: "trainer-0.1", source: "hello"},
	{drop: "rejected-syntax", name: "trainer-0.1", source: "hello"},
	{drop: "rejected-traversal", name: "trainer-0.1", source: "hello", extra: []entry{
		{name: "../evil", mode: 0o644, content: "outside\n"},
	}},
	{drop: "rejected-two-job-files", name: "trainer-0.1", source: "hello"},
	{drop: "rejected-two-packages", name: "helpers-0.1", source: "helpers"},
	{drop: "rejected-two-packages", name: "trainer-0.1", source: "hello"},
	{drop: "rejected-types", name: "trainer-0.1", source: "hello"},
	{drop: "rejected-unknown-field", name: "trainer-0.1", source: "hello"},
	{drop: "rejected-version", name: "trainer-0.1", source: "hello"},
	{drop: "resumes", name: "trainer-0.1", source: "resumes"},
	{drop: "spot", name: "trainer-0.1", source: "train"},
	{drop: "train", name: "trainer-0.1", source: "train"},
	{drop: "tune", name: "trainer-0.1", source: "tune"},
}

// path returns where the tarball stands below testdata.
func (t tarball) path() string {
	return filepath.Join("drops", t.drop, t.name+".tar.gz")
}

// modified is every entry's time. It is later than 1980, where the times of
// zip files begin: pip makes a wheel, which is one, of each sdist.
var modified = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: pack TESTDATA_FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

// run writes every tarball below the folder testdata.
func run(testdata string) error {
	var errs []error
	for _, t := range tarballs {
		entries, err := t.entries(os.DirFS(testdata))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		content, err := write(entries)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", t.path(), err))
			continue
		}
		errs = append(errs, os.WriteFile(filepath.Join(testdata, t.path()), content, 0o644))
	}
	return errors.Join(errs...)
}

// An entry is a file of a tarball, or a folder where the name ends with a
// slash.
type entry struct {
	name    string
	mode    int64
	content string
}

// entries lists what stands in the tarball, sorted by name. Modes are fixed:
// those on disk depend on the umask of whoever cloned the tree.
func (t tarball) entries(testdata fs.FS) ([]entry, error) {
	source := "trainers/" + t.source
	distribution, version, _ := strings.Cut(t.name, "-")
	entries := append(slices.Clone(t.extra), entry{
		name:    t.name + "/PKG-INFO",
		mode:    0o644,
		content: fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n", distribution, version),
	})
	err := fs.WalkDir(testdata, source, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		inside := t.name + strings.TrimPrefix(name, source)
		switch {
		case leftover(d.Name()):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			entries = append(entries, entry{name: inside + "/", mode: 0o755})
			return nil
		}
		content, err := fs.ReadFile(testdata, name)
		if err != nil {
			return err
		}
		entries = append(entries, entry{name: inside, mode: 0o644, content: string(content)})
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return entries, nil
}

// leftover reports whether a file is one that Python and setuptools leave behind in a
// source folder.
func leftover(name string) bool {
	return name == "__pycache__" || name == "build" || name == "dist" ||
		strings.HasSuffix(name, ".egg-info") || strings.HasSuffix(name, ".pyc")
}

// write packs the entries, all of them owned by root.
func write(entries []entry) ([]byte, error) {
	var packed bytes.Buffer
	compressor := gzip.NewWriter(&packed)
	archive := tar.NewWriter(compressor)
	for _, e := range entries {
		header := &tar.Header{
			Format:   tar.FormatUSTAR,
			Typeflag: tar.TypeReg,
			Name:     e.name,
			Mode:     e.mode,
			Size:     int64(len(e.content)),
			ModTime:  modified,
			Uname:    "root",
			Gname:    "root",
		}
		if strings.HasSuffix(e.name, "/") {
			header.Typeflag = tar.TypeDir
		}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := archive.Write([]byte(e.content)); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(archive.Close(), compressor.Close()); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}
