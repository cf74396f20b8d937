package logs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const (
	// seekBytes is what of a log is read to find a time without narrowing the
	// search further.
	seekBytes = 1 << 20
	// blockBytes is how much of a file is read at a time.
	blockBytes = 64 << 10
)

// file is a job's log on disk. Its lines are in the order of their times.
type file struct {
	io.ReaderAt
	size    int64
	br      *bufio.Reader
	scanned int64 // bytes of the lines that were read to hand them on
}

// withLog calls do with the log in a folder. A log that is not there is empty: do is not called.
func withLog(dir string, do func(*file) error) error {
	f, err := os.Open(filepath.Join(dir, FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return do(newFile(f, info.Size()))
}

func newFile(f io.ReaderAt, size int64) *file {
	return &file{ReaderAt: f, size: size, br: bufio.NewReaderSize(nil, readBytes)}
}

// blocks is a reader that reads blockBytes at most at a time: a buffer for the longest line is not filled for a short one.
type blocks struct{ io.Reader }

func (b blocks) Read(p []byte) (int, error) { return b.Reader.Read(p[:min(len(p), blockBytes)]) }

// seek makes br read from a place to the file's end.
func (f *file) seek(at int64) { f.br.Reset(blocks{io.NewSectionReader(f, at, f.size-at)}) }

// next returns the first whole line from a place on, which may be in the middle of one, and where it begins.
func (f *file) next(at int64) (l Line, start int64, err error) {
	f.seek(at)
	for start = at; ; {
		data, err := readLine(f.br)
		if err != nil {
			return Line{}, 0, err
		}
		if l, ok := parseLine(data); ok {
			return l, start, nil
		}
		start += int64(len(data))
	}
}

func parseLine(data []byte) (l Line, ok bool) { return l, json.Unmarshal(data, &l) == nil && l.Seq > 0 }

// around returns where a time is in the log: the lines before begin are of earlier times, and those from end on are not.
// Between them are seekBytes and a line at most.
func (f *file) around(earlier func(time.Time) bool) (begin, end int64, err error) {
	end = f.size
	for low, high := int64(0), f.size; high-low > seekBytes; {
		middle := low + (high-low)/2
		switch l, start, err := f.next(middle); {
		case err == nil && earlier(l.Time):
			begin = start
			low = max(start, middle)
		case err == nil:
			end, high = start, middle
		case err == io.EOF:
			high = middle
		default:
			return 0, 0, err
		}
	}
	return begin, end, nil
}

// forward hands on the lines until take has enough; at least those from a time on.
func (f *file) forward(ctx context.Context, from time.Time, take func(Line) bool) error {
	begin := int64(0)
	if !from.IsZero() {
		var err error
		if begin, _, err = f.around(func(t time.Time) bool { return t.Before(from) }); err != nil {
			return err
		}
	}
	f.seek(begin)
	for n := 0; ; n++ {
		if n%1000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		data, err := readLine(f.br)
		if err == io.EOF {
			return nil // a line without an end is still being written
		}
		if err != nil {
			return err
		}
		f.scanned += int64(len(data))
		if l, ok := parseLine(data); ok && !take(l) {
			return nil
		}
	}
}

// backward hands on the lines from the last one to the first until take has enough; at least those up to a time.
func (f *file) backward(ctx context.Context, to time.Time, take func(Line) bool) error {
	at := f.size
	if !to.IsZero() {
		var err error
		if _, at, err = f.around(func(t time.Time) bool { return !t.After(to) }); err != nil {
			return err
		}
	}
	var (
		block [blockBytes]byte
		// tail is what was read of a line whose begin is still to come. It begins nil: behind the last end of a line there
		// is one that is still being written.
		tail []byte
		ends bool // whether tail ends with the end of a line
	)
	for at > 0 {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		data := block[:min(at, blockBytes)]
		at -= int64(len(data))
		if _, err := f.ReadAt(data, at); err != nil && err != io.EOF {
			return err
		}
		for len(data) > 0 {
			i := bytes.LastIndexByte(data, '\n')
			tail = append(bytes.Clone(data[i+1:]), tail...)
			f.scanned += int64(len(data) - i)
			if i < 0 {
				break
			}
			if l, ok := parseLine(tail); ends && ok && !take(l) {
				return nil
			}
			tail, ends, data = tail[:0], true, data[:i]
		}
		if len(tail) > readBytes {
			tail, ends = tail[:0], false // longer than any line
		}
	}
	if l, ok := parseLine(tail); ends && ok {
		take(l)
	}
	return nil
}
