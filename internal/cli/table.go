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
	// unlimited is the width of a table that programs read.
	unlimited = 1 << 20
)

// width returns how wide a table may be: as wide as the terminal, and unlimited where there is none, so that each row
// is a line.
func (e Env) width() int {
	if !e.Terminal {
		return unlimited
	}
	if e.Size != nil {
		if width, _ := e.Size(); width > 0 {
			return max(width, tableWidth/2)
		}
	}
	return tableWidth
}

// table returns rows as columns, in lines of tableWidth characters: see [layout].
func table(rows [][]string) string { return layout(rows, tableWidth, nil) }

// layout returns rows as columns, in lines of at most so many characters. Where they are too
// wide, few cells are wider than their column: what follows such a cell goes on below, in its
// own column. Cells are fit for a terminal already. paint, if it is not nil, returns a part of
// a cell with its colour.
func layout(rows [][]string, width int, paint func(row, column int, part string) string) string {
	starts := starts(columns(rows, width))
	var b strings.Builder
	for r, row := range rows {
		at := 0
		for i, c := range row {
			length, start := utf8.RuneCountInString(c), starts[i]
			if start+length > width {
				start = max(indent, width-length)
			}
			if c == "" {
				continue
			}
			if i > 0 && start < at+gap {
				b.WriteByte('\n')
				at = 0
			}
			for j, part := range fold(c, width-start) {
				if j > 0 {
					b.WriteByte('\n')
					at = 0
				}
				b.WriteString(strings.Repeat(" ", start-at))
				at = start + utf8.RuneCountInString(part)
				if paint != nil {
					part = paint(r, i, part)
				}
				b.WriteString(part)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// hanging returns rows as columns, of which the last is folded where it does not fit, each line in its column. The
// others are as wide as their longest cell.
func hanging(rows [][]string, width int) string {
	starts := starts(columns(rows, unlimited))
	last := len(starts) - 1
	start := starts[last]
	room := width - start
	if room < width/3 { // the last column would be a narrow strip: it stands below
		start, room = indent, width-indent
	}
	var b strings.Builder
	for _, row := range rows {
		line := ""
		for i, c := range row[:last] {
			line += strings.Repeat(" ", starts[i]-utf8.RuneCountInString(line)) + c
		}
		if utf8.RuneCountInString(line)+gap > start && row[last] != "" {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = ""
		}
		for _, part := range wrap(row[last], room) {
			line += strings.Repeat(" ", start-utf8.RuneCountInString(line)) + part
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = ""
		}
	}
	return b.String()
}

// columns returns widths with which most rows fit into a line of so many characters: as long
// as they are too wide in all, that one is made narrower which costs the fewest rows for what it saves.
func columns(rows [][]string, width int) []int {
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
		if sum <= width || best < 0 {
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

// setIn returns a text in lines of at most so many characters, which begin with spaces: so many in the first line, and
// in the others. Names of objects are not cut.
func setIn(text string, width, first, others int) string {
	lines := wrap(text, width-max(first, others))
	return strings.Repeat(" ", first) + strings.Join(lines, "\n"+strings.Repeat(" ", others)) + "\n"
}

// wrap does what [fold] does, but cuts no URI and no resource name: one that does not fit has a line of its own, which
// the terminal breaks, so that it can be copied.
func wrap(text string, width int) []string {
	var lines []string
	rest := []rune(text)
	for len(rest) > width {
		end := width
		for end > 0 && rest[end] != ' ' {
			end--
		}
		word, _, _ := strings.Cut(strings.TrimLeft(string(rest[end:]), " "), " ")
		switch whole := strings.Contains(word, "://") || strings.HasPrefix(word, "projects/"); {
		case whole && strings.TrimSpace(string(rest[:end])) == "":
			before, _, _ := strings.Cut(string(rest[end:]), word)
			end += utf8.RuneCountInString(before + word)
		case !whole && end <= width/2:
			end = width
		}
		lines = append(lines, string(rest[:end]))
		if rest = rest[end:]; len(rest) > 0 && rest[0] == ' ' {
			rest = rest[1:]
		}
	}
	if len(rest) > 0 || len(lines) == 0 {
		lines = append(lines, string(rest))
	}
	return lines
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
