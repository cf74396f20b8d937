package process

import (
	"bufio"
	"io"
	"strings"
	"unicode/utf8"
)

// MaxLine bounds a line of output, in bytes; a longer one makes several. It is below the 256 KiB of Cloud Logging's
// entries.
const MaxLine = 64 << 10

// readLines calls f with each line of r until r ends. A line of more than limit
// bytes makes several, cut between characters.
func readLines(r io.Reader, limit int, f func(string)) {
	br := bufio.NewReaderSize(r, limit)
	var carry []byte // the begun character at the end of the piece before
	for {
		piece, err := br.ReadSlice('\n')
		whole := append(carry, piece...)
		carry = nil
		if err == bufio.ErrBufferFull {
			n := len(whole)
			for i := n - 1; i >= 0 && i > n-utf8.UTFMax; i-- {
				if utf8.RuneStart(whole[i]) {
					if !utf8.FullRune(whole[i:]) {
						n = i
					}
					break
				}
			}
			carry = append(carry, whole[n:]...)
			f(string(whole[:n]))
			continue
		}
		if err == nil || len(whole) > 0 {
			f(strings.TrimSuffix(strings.TrimSuffix(string(whole), "\n"), "\r"))
		}
		if err != nil {
			return
		}
	}
}
