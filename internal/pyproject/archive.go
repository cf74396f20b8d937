package pyproject

import (
	"archive/tar"
	"bytes"
	"errors"
	"time"

	"github.com/klauspost/compress/gzip"
)

// modified is the time of every file. It is later than 1980 anywhere, where the times of zip files begin: pip makes a
// wheel, which is one, of each source distribution.
var modified = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)

// file is a file of a package, whose path has slashes.
type file struct {
	name    string
	content []byte
}

// mode returns a file's mode by its content. Modes on disk depend on the umask and the file system; a program is one
// anywhere.
func (f file) mode() int64 {
	if bytes.HasPrefix(f.content, []byte("#!")) || bytes.HasPrefix(f.content, []byte("\x7fELF")) {
		return 0o755
	}
	return 0o644
}

// pack returns a source distribution. What it writes depends on the files alone: the compressor is a library of this
// module, whose output changes with its version only, and not with Go's.
func pack(folder string, files []file) ([]byte, error) {
	var packed bytes.Buffer
	compressor := gzip.NewWriter(&packed) // without a name and a time in its header
	archive := tar.NewWriter(compressor)
	for _, f := range files {
		// A name that USTAR can't take makes it PAX, by rules that depend on the name alone.
		header := &tar.Header{
			Typeflag: tar.TypeReg, Name: folder + "/" + f.name, Mode: f.mode(), Size: int64(len(f.content)), ModTime: modified,
		}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(archive.Close(), compressor.Close()); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}
