// Command pack packs the source that the functions are built from: the files that
// gcloud would send of the tree, in a zip archive as google_cloudfunctions2_function
// and gcloud functions deploy take it from a bucket.
//
//	go run ./deploy/pack OUTDIR
//
// It prints the archive's path. The name holds the digest of the content, and the
// same files give the same bytes, wherever and whenever they are packed: an archive
// under a known name is known.
package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Bounds of an archive, in bytes. The source has less than two megabytes; a binary
// or a data set that slips in has more.
const (
	maxFile = 1 << 20
	maxAll  = 4 << 20
)

// digits is how much of the SHA-256 the name has: two archives of one name would
// take 2^32 tries, and nobody packs that often.
const digits = 16

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./deploy/pack OUTDIR, in the root of the module")
		os.Exit(64)
	}
	name, err := write(".", os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
	fmt.Println(name)
}

// write packs the tree into a folder and returns the path of the archive.
func write(tree, dir string) (string, error) {
	archive, ignored, err := pack(tree)
	if err != nil {
		return "", err
	}
	// The next archive must not have this one in it.
	if err := outside(tree, dir, ignored); err != nil {
		return "", err
	}
	sum := sha256.Sum256(archive)
	name := filepath.Join(dir, "jobdrop-"+hex.EncodeToString(sum[:])[:digits]+".zip")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	// At once, for whoever uploads it meanwhile.
	temporary, err := os.CreateTemp(dir, ".jobdrop-*")
	if err != nil {
		return "", err
	}
	_, err = temporary.Write(archive)
	err = errors.Join(err, temporary.Chmod(0o644), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), name)
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(temporary.Name()))
	}
	return name, nil
}

// outside refuses a folder of the tree whose files would be packed.
func outside(tree, dir string, ignored *ignore) error {
	from, err := filepath.Abs(tree)
	if err != nil {
		return err
	}
	to, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	name, err := filepath.Rel(from, to)
	if err != nil || !filepath.IsLocal(name) {
		return nil
	}
	if name == "." || !ignored.path(filepath.ToSlash(name)+"/x.zip") {
		return fmt.Errorf("archives in %s would be packed themselves: take a folder that .gcloudignore leaves out, e.g. out",
			dir)
	}
	return nil
}

// files lists what gcloud sends of a tree: paths with slashes, in the order of
// their bytes.
func files(tree fs.FS) ([]string, *ignore, error) {
	ignored, err := readIgnore(tree)
	if err != nil {
		return nil, nil, err
	}
	var names []string
	err = fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == ".":
			return nil
		case ignored.matches(name, d.IsDir()):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			// gcloud would follow a link, also out of the tree, or wait for a pipe.
			return fmt.Errorf("%s is not a regular file (%s): remove it, or list it in .gcloudignore", name, d.Type())
		}
		names = append(names, name)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	slices.Sort(names)
	return names, ignored, nil
}

// pack returns the archive of a tree, and what it leaves out.
func pack(tree string) ([]byte, *ignore, error) {
	// Nothing is opened through a link that appears meanwhile.
	root, err := os.OpenRoot(tree)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	names, ignored, err := files(root.FS())
	if err != nil {
		return nil, nil, err
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		data, err := read(root, name)
		if err != nil {
			return nil, nil, err
		}
		if err := add(w, name, data); err != nil {
			return nil, nil, err
		}
		if b.Len() > maxAll {
			return nil, nil, fmt.Errorf("with %s the archive has more than %d bytes: list in .gcloudignore what is not source",
				name, maxAll)
		}
	}
	if err := w.Close(); err != nil {
		return nil, nil, err
	}
	return b.Bytes(), ignored, nil
}

func read(root *os.Root, name string) ([]byte, error) {
	f, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s has more than %d bytes: list in .gcloudignore what is not source", name, maxFile)
	}
	return data, err
}

// first is the first day that a zip archive can say, 1980-01-01.
const first = 1<<5 | 1

// add adds a file as it is: compressed, its bytes would depend on the release of
// Go. All that is written of it is given here, sizes too, or readers of streams
// would have to look for its end.
func add(w *zip.Writer, name string, data []byte) error {
	h := &zip.FileHeader{
		Name: name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(data), ReaderVersion: 20,
		CompressedSize64: uint64(len(data)), UncompressedSize64: uint64(len(data)),
	}
	h.SetMode(0o644)
	//lint:ignore SA1019 CreateRaw writes these, and not Modified
	h.ModifiedDate, h.ModifiedTime = first, 0
	if strings.ContainsFunc(name, func(r rune) bool { return r >= 0x80 }) {
		h.Flags = 0x800 // the name is UTF-8
	}
	to, err := w.CreateRaw(h)
	if err != nil {
		return err
	}
	_, err = to.Write(data)
	return err
}
