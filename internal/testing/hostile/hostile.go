// Package hostile makes what somebody could upload to exhaust whoever checks it:
// job files, metadata and packages of a few kilobytes that stand for gigabytes or
// for hours. Only tests use it. What it makes is not kept in the repository.
package hostile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Input is one hostile file.
type Input struct {
	Name string
	Data []byte
}

// Bounds of job files, so that there is one that just keeps each; a test of
// pkg/jobspec compares them with those that count.
const (
	// JobFileSize is the most bytes that are read, JobFileParts the most commas,
	// colons and the like that are parsed.
	JobFileSize  = 256 << 10
	JobFileParts = 50_000
)

// part repeats a unit between a head and a tail.
func part(head, unit string, n int, tail string) string {
	return head + strings.Repeat(unit, n) + tail
}

const (
	params = "trainingInput:\n  hyperparameters:\n    params:\n"
	args   = "trainingInput:\n  args: "
)

// Pattern is a file that repeats a unit between a head and a tail.
type Pattern struct{ Head, Unit, Tail string }

// Repeat returns the file with so many units, but no larger than size.
func (p Pattern) Repeat(n, size int) []byte {
	if len(p.Unit) > 0 {
		n = min(n, (size-len(p.Head)-len(p.Tail))/len(p.Unit))
	}
	return []byte(part(p.Head, p.Unit, max(n, 0), p.Tail))
}

// full returns the largest file that is read at all.
func (p Pattern) full() string {
	return part(p.Head, p.Unit, (JobFileSize-len(p.Head)-len(p.Tail))/len(p.Unit), p.Tail)
}

// passing returns the largest file that is still parsed, as far as the number of its
// parts matters. ok reports whether the full one is not parsed.
func (p Pattern) passing() (file string, ok bool) {
	weight := strings.Count(p.Unit, ",") + strings.Count(p.Unit, ":") + strings.Count(p.Unit, "[") +
		strings.Count(p.Unit, "{") +
		strings.Count(p.Unit, "- ") + strings.Count(p.Unit, "-\n") + strings.Count(p.Unit, "? ") +
		2*strings.Count(p.Unit, "#")
	if weight == 0 || (JobFileSize-len(p.Head)-len(p.Tail))/len(p.Unit)*weight < JobFileParts {
		return "", false
	}
	return part(p.Head, p.Unit, (JobFileParts-100)/weight, p.Tail), true
}

// JobFiles returns job files that are no larger than what is read of one. Where
// that has more parts than are parsed, there is one with fewer, too.
func JobFiles() []Input {
	files := map[string]string{
		"null": "~", "one byte": "\xff", "one bracket": "[",

		// Nulls, and aliases of them.
		"nulls behind aliases": part(part(params+"    - &a {categoricalValues: [", "~,", 10_000, "]}\n"), "    - *a\n",
			200, ""),
		"nulls in a list of lists": part(part("a: &a [", "~,", 10_000, "]\nlabels: ["), "*a,", 5_000, "]\n"),
		"nulls as arguments":       part(args+"[", "~,", 49_000, "]\n"),
		"null labels":              part("labels: {", "? ,", 20_000, "}"),
		"null labels behind merges": part("labels: &l {"+keys(5_000)+"}\ntrainingInput:\n  masterConfig: {<<: [", "*l,",
			5_000, "]}\n"),

		// Merges.
		"a merge of itself, with fields": part("labels: &a {"+keys(3_000)+"<<: [", "*a,", 20_000, "]}"),
		"merges of each other": part(part("labels: &a {b: &b {<<: [", "*a,", 8_000, "]}, <<: ["), "*b,", 8_000,
			"]}"),
		"merges that double":         doubling("{<<: [*, *]}"),
		"merges of an empty mapping": part("x: &x {}\nlabels: {<<: [", "*x,", 40_000, "]}"),
		"merges of a long key": part("x: &x {? "+strings.Repeat("1:1", 15_000)+"\n: a}\nlabels: {<<: [", "*x,",
			1_000, "]}"),
		"merges of a key that is not a text": part("x: &x {? "+strings.Repeat("1:1", 340)+"\n: a}\nlabels: {<<: [", "*x,",
			40_000, "]}"),
		"merges written out, one in another": part(part("labels: ", "{<<: ", 3_000, "{}"), "}", 3_000, ""),

		// Aliases.
		"aliases that double": doubling("[*, *, *, *]"),
		"an alias of itself": "trainingInput: &a\n  args: [*a, *a]\n  masterConfig: *a\n" +
			"  workerConfig: {containerArgs: [*a]}\n",
		"parameters behind aliases": part(params+"    - &p {discreteValues: ["+strings.Repeat("1,", 1000)+"]}\n",
			"    - *p\n", 20_000, ""),
		"parameters with unknown fields": part(params+"    - &p {"+strings.Repeat("a", 1000)+": b}\n", "    - *p\n", 20_000,
			""),
		"a long text behind aliases": part("x: &x "+strings.Repeat("a", 100_000)+"\n"+args+"[", "*x,", 40_000, "]\n"),
		"a long type behind aliases": part("x: &x "+strings.Repeat("a-", 50_000)+"\n"+params, "    - {type: *x}\n", 7_000,
			""),
		"a long number behind aliases": part("x: &x "+strings.Repeat("1", 100_000)+"\n"+params, "    - {minValue: *x}\n",
			7_000, ""),
		"a clock behind aliases": part("x: &x "+strings.Repeat("1:", 20_000)+"1\n"+args+"[", "*x,", 20_000, "]\n"),

		// Width.
		"many keys":                 manyKeys(),
		"misspelt keys":             misspelt("trainingInput:\n", "  regio%d: x\n"),
		"misplaced keys":            misspelt("", "discreteValue%d:\n"),
		"labels":                    misspelt("labels:\n", "  a%d: b\n"),
		"arguments":                 part(args+"[", "a,", 49_000, "]\n"),
		"parameters":                part(params, "    - {parameterName: a, type: DOUBLE}\n", 6_000, ""),
		"many parameters":           part(params, "    - {}\n", 20_000, ""),
		"discrete values":           part(params+"    - {type: DISCRETE, discreteValues: [", "1,", 49_000, "]}\n"),
		"packages":                  part("trainingInput:\n  packageUris: [", "a.whl,", 40_000, "]\n"),
		"packages elsewhere":        part("trainingInput:\n  packageUris: [", "'gs://b/a.whl',", 17_000, "]\n"),
		"pins":                      part("jobdrop:\n  packages: [", "{name: a.whl, generation: 1},", 8_000, "]\n"),
		"routes":                    part("jobdrop:\n  notify: [", "a,", 49_000, "]\n"),
		"routes that are not names": part("jobdrop:\n  notify: [", "'',", 49_000, "]\n"),

		// Depth.
		"indentation":   stairs(),
		"just too deep": strings.Repeat("[", 33) + strings.Repeat("]", 33),

		// Length.
		"long keys": misspelt("labels:\n", "  "+strings.Repeat("a.", 500)+"%d: B\n"),

		// Comments, documents, tags, encodings.
		"tag directives": tagDirectives(),

		// Faults of syntax, for which the text is parsed again.
		"a late fault":         part("a:\n", "    b: 1\n", 1_800, "  c: 1\n"),
		"a late fault in flow": part("a:\n", "    b: {c, d, e, f, g}\n", 700, "  c: 1\n"),
	}
	for name, r := range Patterns() {
		files[name] = r.full()
		if file, ok := r.passing(); ok {
			files[name+", fewer"] = file
		}
	}
	var all []Input
	for _, name := range slices.Sorted(maps.Keys(files)) {
		all = append(all, Input{name, []byte(files[name])})
	}
	return all
}

// Patterns returns the job files that repeat one thing up to their end.
func Patterns() map[string]Pattern {
	return map[string]Pattern{
		"empty arguments":                   {args + "\n", "  -\n", ""},
		"a merge of itself":                 {"&a {<<: [", "*a,", "]}"},
		"anchors without use":               {"labels:\n", "  - &a b\n", ""},
		"aliases of nothing":                {"labels: [", "*a,", "]"},
		"a long anchor that is not defined": {"labels: *", "a", "\n"},
		"a flow mapping":                    {"{", "a,", "}"},
		"a flow list":                       {"[", "1,", "]"},
		"a flow list of pairs":              {"[", "a: ,", "]"},
		"pairs of pairs":                    {"[", "? a: ,", "]"},
		"a flow list of nothing":            {"[", ",", "]"},
		"keys in quotes":                    {"{", "'',", "}"},
		"keys":                              {"", "a:\n", ""},
		"keys twice":                        {"labels:\n", "  a: b\n", ""},
		"dashes":                            {"", "-\n", ""},
		"text for all":                      {"trainingInput:\n  args:\n", "  - 5\n", ""},
		"flow lists":                        {"", "[", ""},
		"flow lists with values":            {"", "[a,", ""},
		"flow mappings":                     {"", "{a: ", ""},
		"lists in lines":                    {"", "- ", ""},
		"questions":                         {"", "? ", ""},
		"a long text":                       {"jobId: '", "x", "'"},
		"a long plain text":                 {"jobId: ", "x ", "y"},
		"a long key":                        {"? ", "x", "\n: 1"},
		"a long block":                      {"jobId: |\n", "  x\n", ""},
		"a folded block":                    {"jobId: >\n", "  x\n\n", ""},
		"escapes":                           {"jobId: \"", "\\x41", "\""},
		"lines in quotes":                   {"jobId: \"", "\n ", "\""},
		"a quote not closed":                {"jobId: '", "x\n", ""},
		"spaces":                            {"jobId:", " ", "a"},
		"a long line":                       {"jobId: a: ", "b: ", ""},
		"a long number":                     {"trainingInput: {workerCount: ", "1", "}"},
		"a long fraction":                   {params + "    - {minValue: 1.", "1", "}"},
		"digits to base 60":                 {"jobId: ", "1:", "1"},
		"comments":                          {"", "#\n", "a: b"},
		"comments at keys":                  {"", "a: #\n#\n\n", ""},
		"comments at entries":               {"", "- #\n", ""},
		"comments in a list":                {"[", "a #\n,", "]"},
		"comments after pairs":              {"{", "a: b, #c\n", "}"},
		"a long comment":                    {"#", "x", "\na: b"},
		"documents":                         {"", "---\n", ""},
		"documents with text":               {"", "--- a\n", ""},
		"a second document":                 {"a: b\n---\n{", "a,", "}"},
		"tags":                              {"", "- !a b\n", ""},
		"tags of nothing":                   {"[", "!!str ,", "]"},
		"binary":                            {"jobId: !!binary ", "a", ""},
		"line ends":                         {"", "a: b\r\n", ""},
		"old line ends":                     {"", "a: b\r", ""},
		"rare line ends":                    {"", "a: b\u2028", ""},
		"UTF-16":                            {"\xff\xfe", "{\x00a\x00,\x00", ""},
		"UTF-16, big endian":                {"\xfe\xff", "\x00{\x00a\x00,", ""},
		"a byte order mark":                 {"\ufeff{", "a,", "}"},
		"zero bytes":                        {"", "\x00", ""},
		"JSON":                              {`{"trainingInput": {"args": [`, `"a",`, `""]}}`},
		"JSON with escapes":                 {`{"jobId": "`, `\/\ud83d\ude00`, `"}`},
		"a fault at the end":                {"a:\n", "    b: 1\n", "  c: 1\n"},
	}
}

// keys returns so many entries of a flow mapping.
func keys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%d: ,", i)
	}
	return b.String()
}

// doubling returns a chain of labels that each use the one before several times.
func doubling(use string) string {
	var b strings.Builder
	b.WriteString("labels:\n  k0: &a0 {k: v}\n")
	const levels = 100
	for i := range levels {
		alias := fmt.Sprintf("*a%d", i)
		fmt.Fprintf(&b, "  k%d: &a%d %s\n", i+1, i+1, strings.ReplaceAll(use, "*", alias))
	}
	return b.String() + fmt.Sprintf("trainingInput:\n  <<: *a%d\n  args: *a%[1]d\n", levels)
}

// misspelt returns lines that differ by a number, up to the size of a job file.
func misspelt(head, format string) string {
	var b strings.Builder
	b.WriteString(head)
	for i := 0; b.Len()+len(format)+8 < JobFileSize; i++ {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func manyKeys() string { return misspelt("", "k%d: x\n") }

// stairs returns mappings, each one deeper than the one before.
func stairs() string {
	var b strings.Builder
	for i := 0; b.Len()+i+3 < JobFileSize; i++ {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func tagDirectives() string { return misspelt("", "%%TAG !%d! b\n") + "---\na: b\n" }

// MetadataSize is Cloud Storage's bound for an object's custom metadata in all.
const MetadataSize = 8 << 10

// Metadata returns custom metadata for a job file, by name.
func Metadata() map[string]map[string]string {
	set := func(field, value string) map[string]string { return map[string]string{"jobdrop-set-" + field: value} }
	all := map[string]map[string]string{
		"nulls behind aliases": set("hyperparameters.params",
			part(part("[&a {categoricalValues: [", "~,", 1_500, "]},"), "*a,", 1_000, "]")),
		"values behind aliases": set("hyperparameters.params",
			part(part("[&a {discreteValues: [", "1,", 1_500, "]},"), "*a,", 1_000, "]")),
		"a merge of itself":      set("labels", part("&a {<<: [", "*a,", 2_000, "]}")),
		"merges that double":     set("labels", flowDoubling(100)),
		"a flow mapping":         set("labels", part("{", "a,", 3_000, "}")),
		"a flow list":            set("args", part("[", "~,", 3_000, "]")),
		"brackets":               set("args", strings.Repeat("[", 7_000)),
		"a text of 8,000 bytes":  set("region", strings.Repeat("a", 8_000)),
		"comments":               set("args", part("[", "a #\n,", 1_200, "]")),
		"a field that is none":   set(strings.Repeat("a-", 3_900), "b"),
		"more than is allowed":   set("args", strings.Repeat("a", MetadataSize)),
		"not UTF-8":              set("region", "\xff\xfe"),
		"a correlation of 8 KiB": {"jobdrop-correlation-id": strings.Repeat("\x01", 8_000)},
	}
	every := map[string]string{}
	for i, field := range []string{"args", "packageUris", "labels", "hyperparameters", "hyperparameters.params",
		"masterConfig", "workerConfig", "scheduling", "masterConfig.containerArgs", "workerConfig.containerArgs"} {
		every[fmt.Sprintf("%s%s", "jobdrop-set-", field)] = part(fmt.Sprintf("[&a%d {k: [", i), "~,", 200, "]},") +
			strings.Repeat(fmt.Sprintf("*a%d,", i), 50) + "]"
	}
	all["every field"] = every
	return all
}

func flowDoubling(levels int) string {
	var b strings.Builder
	b.WriteString("{a: &a0 {}")
	for i := range levels {
		fmt.Fprintf(&b, ", a%d: &a%d {<<: [*a%d, *a%[3]d]}", i+1, i+1, i)
	}
	fmt.Fprintf(&b, ", <<: *a%d}", levels)
	return b.String()
}
