package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// enoughRoom is how many bytes a folder must take at least: a job's record, its log's
// first lines and a small result.
const enoughRoom = 1 << 20

// room returns an error, with the exit code and the path, if a folder can't be written:
// its disk is full or read-only, or the path leads nowhere. The folder need not be there
// yet, and is not made. remedy says what else to do than to make room.
func room(folder, remedy string) error {
	if err := tryWrite(folder); err != nil {
		return missing(fmt.Errorf("%s can't be written: %w\nMake room there, or %s", folder, unwrapPath(err), remedy))
	}
	return nil
}

// unwrapPath returns what is wrong without the path of a file that was only tried.
func unwrapPath(err error) error {
	if of, ok := errors.AsType[*fs.PathError](err); ok {
		return of.Err
	}
	return err
}

// tryWrite writes a file in a folder, or in the nearest folder above that is there, and
// removes it again.
func tryWrite(folder string) (err error) {
	at, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	info, err := os.Stat(at)
	for errors.Is(err, fs.ErrNotExist) && filepath.Dir(at) != at {
		at = filepath.Dir(at)
		info, err = os.Stat(at)
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", at)
	}
	f, err := os.CreateTemp(at, ".jobdrop-room-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.Write(make([]byte, enoughRoom))
	return errors.Join(err, f.Close())
}
