package vertex

import (
	_ "embed"
	"fmt"
	"strings"
)

// bootstrap is the program that installs a job's packages in an image and runs its
// module, where Vertex AI's own installer can't. It needs Python 3.5 or later with
// pip, and nothing else.
//
//go:embed bootstrap.py
var bootstrap string

// shownLines is how many lines of the bootstrap a request has that is shown to people: those of
// the comment on top.
const shownLines = 4

// Shorten leaves of jobdrop's bootstrap, which installs and runs the job's packages, its first lines
// and what is left out, in the first container that has it; the others say that theirs is the same.
// The request is to be shown then, and must not be sent.
func (r Request) Shorten(remedy string) {
	lines := strings.SplitAfter(bootstrap, "\n")
	text := strings.Join(lines[:shownLines], "") +
		fmt.Sprintf("# … %d more lines: %s", len(lines)-1-shownLines, remedy)
	for _, pool := range r.spec().WorkerPoolSpecs {
		if pool.ContainerSpec == nil {
			continue
		}
		for i, word := range pool.ContainerSpec.Command {
			if word == bootstrap {
				pool.ContainerSpec.Command[i] = text
				text = "# the same as in the first worker pool"
			}
		}
	}
}
