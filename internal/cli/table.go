package cli

import (
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// tableWidth is how wide a table may be, in characters: it is read on terminals, and
	// pasted into mails.
	tableWidth = 80
	// gap is what separates columns, indent what stands before a cell that needs a line of
	// its own.
	gap, indent = 2, 4
)

// table returns rows as columns. Where they are too wide, few cells are wider than their
// column: what follows such a cell goes on below, in its own column. Cells are fit for a
// terminal already.
func table(rows [][]string) string {
	starts := starts(columns(rows))
	var b strings.Builder
	for _, row := range rows {
		at := 0
		for i, c := range row {
			length, start := utf8.RuneCountInString(c), starts[i]
			if start+length > tableWidth {
				start = max(indent, tableWidth-length)
			}
			if i > 0 && start < at+gap {
				b.WriteByte('\n')
				at = 0
			}
			for j, part := range fold(c, tableWidth-start) {
				if j > 0 {
					b.WriteByte('\n')
					at = 0
				}
				b.WriteString(strings.Repeat(" ", start-at) + part)
				at = start + utf8.RuneCountInString(part)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// columns returns widths with which most rows fit into a line: as long as they are too
// wide in all, that one is made narrower which costs the fewest rows for what it saves.
func columns(rows [][]string) []int {
	lengths := make([][]int, len(rows[0])) // of the cells of each column, in order
	widths := make([]int, len(rows[0]))
	for i := range lengths {
		for _, row := range rows {
			lengths[i] = append(lengths[i], utf8.RuneCountInString(row[i]))
		}
		slices.Sort(lengths[i])
		widths[i] = slices.Max(lengths[i])
	}
	for {
		sum := gap * (len(widths) - 1)
		for _, w := range widths {
			sum += w
		}
		best, next, cost := -1, 0, 0.0
		for i, ls := range lengths {
			narrower, _ := slices.BinarySearch(ls, widths[i])
			if narrower == 0 {
				continue // all cells are as wide
			}
			w := ls[narrower-1]
			if c := float64(len(ls)-narrower) / float64(widths[i]-w); best < 0 || c < cost {
				best, next, cost = i, w, c
			}
		}
		if sum <= tableWidth || best < 0 {
			return widths
		}
		widths[best] = next
	}
}

// starts returns where columns begin.
func starts(widths []int) []int {
	at := 0
	var all []int
	for _, w := range widths {
		all = append(all, at)
		at += w + gap
	}
	return all
}

// fold cuts a text into lines of at most width characters: at a space if there is one in
// the line's second half.
func fold(text string, width int) []string {
	var lines []string
	rest := []rune(text)
	for len(rest) > width {
		end, skip := width, 0
		for i := width; i > width/2; i-- {
			if rest[i] == ' ' {
				end, skip = i, 1
				break
			}
		}
		lines = append(lines, string(rest[:end]))
		rest = rest[end+skip:]
	}
	return append(lines, string(rest))
}
