package jobspec

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// maxNodes bounds how many keys and values are visited, empty ones included and
// each alias and merge counted anew, so that a few lines of aliases can't stand
// for gigabytes. A tuning job with 20 parameters of 1,000 values visits 20,000.
// Each visit may leave a note of some 250 bytes.
const maxNodes = 50_000

// textShare is how many bytes of keys, paths and values count as one visit more:
// all that is read behind aliases stays within maxNodes times as much.
const textShare = 128

// maxMerges is how deep mappings may merge others that merge others.
const maxMerges = 8

// maxKey bounds a mapping's key: that of a label has at most 63 characters, and
// that of a folder, in a policy, is an object's name. It is part of the paths of
// all that is below it.
const maxKey = 1024

// document is the whole file, as [decoder] sees it.
type document struct {
	job.Spec
	Options job.Options `json:"jobdrop"`
}

// decoder fills a value from nodes by the json and enum tags of its type, as
// gcloud's message parser would, and reports what that parser or the service
// would refuse.
type decoder struct {
	ctx context.Context // of the call that made the decoder, which it does not outlive
	f   *File
	out *violations
	// left is how much more may be visited, -1 once no more may; over is what
	// is reported then.
	left int
	over job.Violation
	odd  bool // a key with an odd character was reported
}

// newDecoder makes a decoder of a whole file.
func newDecoder(ctx context.Context, f *File, out *violations) *decoder {
	return &decoder{ctx: ctx, f: f, out: out, left: maxNodes, over: job.Violation{
		Rule:    ruleFileNodes,
		Found:   "more",
		Allowed: fmt.Sprintf("at most %d keys and values, those behind aliases counted at each use", maxNodes),
		Message: f.kind.file + " describes too many values",
		Remedy:  "shorten the lists, or write out what the aliases stand for",
	}}
}

// spend counts a visit to a node with so many bytes of text, and reports whether
// the walk goes on. Every walk over nodes asks before each step.
func (d *decoder) spend(n *yaml.Node, text int) bool {
	if d.done() {
		return false
	}
	if d.left -= 1 + text/textShare; d.left >= 0 {
		return true
	}
	d.left = -1
	v := d.f.Violation(d.over.Rule, "", d.over)
	v.Position = position(n)
	d.out.add(v)
	d.f.unreadable[""] = true
	return false
}

// done reports whether the walk is over: nothing is left to spend, or the
// context has ended.
func (d *decoder) done() bool {
	if d.left >= 0 && d.ctx.Err() != nil {
		d.left = -1
	}
	return d.left < 0
}

// fail reports a field that could not be decoded.
func (d *decoder) fail(rule job.Rule, field string, v job.Violation) {
	d.f.unreadable[field] = true
	d.add(rule, field, v)
}

// other reports whether the file is of another kind than a job file.
func (d *decoder) other() bool { return d.f.other.IsValid() }

func (d *decoder) warn(rule job.Rule, field string, v job.Violation) {
	v.Severity = job.Warning
	d.add(rule, field, v)
}

func (d *decoder) add(rule job.Rule, field string, v job.Violation) {
	v.Rule = rule
	if !d.out.full() { // otherwise it is only counted
		v = d.f.Violation(rule, field, v)
	}
	d.out.add(v)
}

// note records where a field of parent stands, and reports whether the walk goes
// on. A scalar is looked for at its value, anything larger at its key.
func (d *decoder) note(field, parent string, key, value *yaml.Node) bool {
	if !d.spend(value, len(field)+len(target(value).Value)) {
		return false
	}
	p := place{pos: position(value), parent: len(parent)}
	if key != nil {
		p.key = position(key)
	}
	value = target(value)
	p.null = isNull(value)
	if value.Kind == yaml.ScalarNode && !p.null {
		p.text = value.Value
	} else if key != nil {
		p.pos = p.key
	}
	d.f.places[field] = p
	return true
}

func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

func (d *decoder) value(n *yaml.Node, out reflect.Value, field string, enum []string) {
	n = target(n)
	if isNull(n) {
		return // gcloud drops it
	}
	if out.Kind() == reflect.Pointer {
		p := reflect.New(out.Type().Elem())
		d.value(n, p.Elem(), field, enum)
		if !d.f.unreadable[field] {
			out.Set(p)
		}
		return
	}
	if n.Kind == yaml.ScalarNode && d.marred(n.Value, field) {
		return
	}
	switch out.Kind() {
	case reflect.Struct:
		d.structure(n, out, field)
	case reflect.Map:
		d.mapping(n, out, field)
	case reflect.Slice:
		d.list(n, out, field)
	case reflect.String:
		d.text(n, out, field, enum)
	case reflect.Bool:
		d.boolean(n, out, field)
	case reflect.Int32, reflect.Int64:
		d.integer(n, out, field)
	case reflect.Float64:
		d.float(n, out, field)
	default:
		panic("jobspec: no decoding for " + out.Type().String()) // a field of a new kind in package job
	}
}

// shape reports a node of the wrong kind.
func (d *decoder) shape(n *yaml.Node, field, want, remedy string) {
	is := "a single value"
	switch n.Kind {
	case yaml.MappingNode:
		is = "a mapping of names to values"
	case yaml.SequenceNode:
		is = "a list"
	}
	subject := field
	if field == "" {
		subject = d.f.kind.file
	}
	v := job.Violation{
		Allowed: want,
		Message: fmt.Sprintf("%s is %s, not %s", printable(text.Shorten(subject, maxShown)), is, want),
		Remedy:  remedy,
	}
	if only, ok := onlyEntry(n); ok && want != "a list" && !strings.HasPrefix(want, "a mapping") {
		v.Remedy = "write the value without the list: " + printable(text.Shorten(only, maxShown))
		if want == "text" && !isText(target(n.Content[0])) {
			v.Remedy = "write the value without the list, in quotes: " + quoted(only)
		}
		if n.Style&yaml.FlowStyle != 0 && isBlank(only) && !d.other() {
			v = placeholderViolation("[" + only + "]")
		}
	}
	if n.Kind == yaml.SequenceNode && len(n.Content) == 1 && n.Content[0].Kind == yaml.MappingNode &&
		strings.HasPrefix(want, "a mapping") {
		v.Remedy = "remove the '- ' before its first field"
	}
	d.fail(ruleShape, field, v)
}

// onlyEntry returns the text of a list's one entry.
func onlyEntry(n *yaml.Node) (string, bool) {
	if n.Kind != yaml.SequenceNode || len(n.Content) != 1 {
		return "", false
	}
	only := target(n.Content[0])
	return only.Value, only.Kind == yaml.ScalarNode && !isNull(only)
}

// pair is one entry of a mapping; a merged one came in through <<.
type pair struct {
	key, value *yaml.Node
	merged     bool
}

// pairs adds a mapping's entries to a list: its own first, since those beat
// merged ones. into are the mappings that it is merged into.
func (d *decoder) pairs(list []pair, n *yaml.Node, field string, into []*yaml.Node) []pair {
	merges := false
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if !d.spend(key, len(target(key).Value)) {
			return list
		}
		if key.ShortTag() == "!!merge" {
			merges = true
		} else {
			list = append(list, pair{key, n.Content[i+1], len(into) > 0})
		}
	}
	if !merges {
		return list
	}
	into = append(into, n)
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].ShortTag() != "!!merge" {
			continue
		}
		sources := n.Content[i+1 : i+2]
		if value := target(sources[0]); value.Kind == yaml.SequenceNode {
			sources = value.Content
		}
		for _, use := range sources {
			if !d.spend(use, 0) {
				return list
			}
			source := target(use)
			rule, v := ruleMerge, job.Violation{}
			switch {
			case source.Kind != yaml.MappingNode:
				rule = ruleShape
				v.Message = "<< takes a mapping to merge, or a list of them"
				v.Remedy = "write <<: *name, with &name at a mapping above"
			case slices.Contains(into, source):
				v.Message, v.Remedy = "the mapping merges itself", "merge another mapping, with &name outside of this one"
			case len(into) > maxMerges:
				v.Message, v.Remedy = "mappings merge others too deeply", "write out what the innermost ones stand for"
				v.Allowed = fmt.Sprintf("at most %d levels", maxMerges)
			default:
				list = d.pairs(list, source, field, into)
				continue
			}
			d.f.unreadable[join(field, "<<")] = true
			v = d.f.Violation(rule, join(field, "<<"), v)
			v.Position = position(use)
			d.out.add(v)
			if rule == ruleMerge {
				return list // its other sources would say the same
			}
		}
	}
	return list
}

// entries yields a mapping's entries with text keys, each key once: those of a
// structure by their JSON names.
func (d *decoder) entries(n *yaml.Node, field string, s *structure, yield func(name string, p pair)) {
	lines := map[string]int{}
	for _, p := range d.pairs(make([]pair, 0, min(len(n.Content)/2, max(d.left, 0))), n, field, nil) {
		if d.done() {
			return
		}
		key := target(p.key)
		if len(key.Value) <= maxKey && (key.Kind != yaml.ScalarNode || !isText(key)) {
			shown := "a list or mapping"
			remedy := "write a plain name"
			if key.Kind == yaml.ScalarNode {
				shown = show(key.Value)
				remedy = "put the key in quotes: " + quoted(key.Value)
			}
			v := d.f.Violation(ruleKeyText, field, job.Violation{
				Found:   shown,
				Message: "a key must be text",
				Remedy:  remedy,
			})
			v.Position = position(p.key)
			d.out.add(v)
			continue
		}
		if len(key.Value) > maxKey {
			v := d.f.Violation(ruleKeyLength, field, job.Violation{
				Found:   show(key.Value),
				Allowed: fmt.Sprintf("at most %d bytes", maxKey),
				Message: "the key is too long",
				Remedy:  "check the quotes and the colons from this line on",
			})
			v.Position = position(p.key)
			d.out.add(v)
			continue
		}
		name := s.canonical(key.Value)
		if first, twice := lines[name]; twice {
			if !p.merged {
				v := d.f.Violation(ruleDuplicateKey, join(field, name), job.Violation{
					Found:   show(key.Value),
					Message: fmt.Sprintf("%s stands twice, in line %d and in line %d", show(name), first, p.key.Line),
					Remedy:  d.f.kind.twice,
				})
				v.Position = position(p.key)
				d.out.add(v)
			}
			continue
		}
		lines[name] = p.key.Line
		yield(name, p)
	}
}

func (d *decoder) structure(n *yaml.Node, out reflect.Value, field string) {
	if n.Kind != yaml.MappingNode {
		d.shape(n, field, "a mapping of names to values", "write each field on a line of its own, indented, as name: value")
		return
	}
	s := d.f.kind.structures()[out.Type()]
	n = d.indented(n, s, field)
	d.entries(n, field, s, func(name string, p pair) {
		path := join(field, name)
		if !d.note(path, field, p.key, p.value) {
			return
		}
		m, ok := s.member(name)
		if !ok {
			d.unknown(field, name, p, s)
			return
		}
		if written := target(p.key).Value; written != name {
			d.misspelt(path, name, written, p, s)
		}
		d.value(p.value, out.FieldByIndex(m.index), path, m.enum)
	})
}

// misspelt reports a key that is another spelling of a field's name. The service
// forgives the names of protocol buffers alone.
func (d *decoder) misspelt(path, name, written string, p pair, s *structure) {
	v := job.Violation{
		Severity: job.Warning,
		Found:    show(written),
		Message:  fmt.Sprintf("%s is taken for %s", show(written), name),
		Remedy:   "write " + name,
	}
	if camel := camelCase(written); camel != name && s.former[camel] != name {
		if d.oddKey(path, written, p) {
			return
		}
		v.Severity = job.Error
		v.Message = fmt.Sprintf("%s is not the field's name: it is written %s", show(written), name)
	}
	v = d.f.Violation(ruleFieldSpelling, path, v)
	v.Position = position(p.key)
	d.out.add(v)
}

// canonical returns the JSON name of the member that people mean by name.
func (s *structure) canonical(name string) string {
	if s == nil {
		return name
	}
	if _, ok := s.byName[name]; ok {
		return name
	}
	camel := camelCase(name)
	if _, ok := s.byName[camel]; ok {
		return camel
	}
	if len(name) > maxKey {
		return name
	}
	return cmp.Or(s.former[camel], s.byFold[fold(name)], name)
}

// unknown reports a key that no field of the structure has.
func (d *decoder) unknown(field, name string, p pair, s *structure) {
	path := join(field, name)
	if d.oddKey(path, name, p) {
		return
	}
	if d.out.full() { // the suggestion would cost time and not be shown
		d.fail(ruleUnknownField, path, job.Violation{})
		return
	}
	key := position(p.key)
	if field == "" && !d.other() && outputOnly(camelCase(name)) {
		v := d.f.Violation(ruleOutputOnly, path, job.Violation{
			Severity: job.Warning,
			Message:  "only the service sets this field; it is ignored here",
			Remedy:   "remove it",
		})
		v.Position = key
		d.out.add(v)
		return
	}
	rule, v := ruleUnknownField, job.Violation{}
	where := printable(text.Shorten(field, maxShown))
	if field == "" {
		where = d.f.kind.whole
	}
	v.Message = fmt.Sprintf("%s is not a field of %s", show(name), where)
	v.Remedy = "remove it"
	whose, known := d.fromElsewhere(field, name)
	switch places := placesOf(name, field, d.f.kind.spots()); {
	case field == "" && !d.other() && camelCase(name) == "predictionInput":
		rule = ruleTrainingOnly
		v.Message = "predictionInput describes a batch prediction, which jobdrop does not run"
		v.Remedy = "write a trainingInput, or submit the prediction with gcloud"
		d.f.excused["trainingInput"] = true
	case whose != "":
		v.Message += ": the name is " + whose + "'s"
		v.Remedy = known.remedy()
		for place := range strings.SplitSeq(known.forRole("master"), " and ") {
			d.f.excused[place] = true
		}
	case len(places) > 0:
		v.Remedy = "move it to " + strings.Join(places[:min(len(places), 2)], " or ")
		if len(places) > 2 {
			v.Remedy = "indent it below the field that it belongs to, as in " + places[0]
		}
		for _, place := range places {
			d.f.excused[place] = true
		}
	default:
		head, _, colon := strings.Cut(name, ":")
		if _, ok := s.byName[head]; colon && ok {
			v.Remedy = "write a space or a line break after " + head + ":"
			d.f.excused[join(field, head)] = true
		} else if close := closest(name, s.names); close != "" {
			v.Remedy = "write " + close
			v.Message += "; did you mean " + close + "?"
			d.f.excused[join(field, close)] = true
		} else {
			v.Allowed = strings.Join(s.names, ", ")
		}
	}
	d.f.unreadable[path] = true
	v = d.f.Violation(rule, path, v)
	v.Position = key
	d.out.add(v)
}

// outputOnly reports whether the service sets this member of Job. jobs describe
// prints such members, so files have them.
func outputOnly(name string) bool {
	switch name {
	case "createTime", "endTime", "startTime", "state", "errorMessage", "etag", "jobPosition", "trainingOutput",
		"predictionOutput":
		return true
	}
	return false
}

func (d *decoder) mapping(n *yaml.Node, out reflect.Value, field string) {
	if n.Kind != yaml.MappingNode {
		d.shape(n, field, "a mapping of names to values", "write each entry on a line of its own, indented, as name: value")
		return
	}
	out.Set(reflect.MakeMap(out.Type()))
	d.entries(n, field, nil, func(name string, p pair) {
		path := join(field, name)
		if !d.note(path, field, p.key, p.value) {
			return
		}
		v := reflect.New(out.Type().Elem()).Elem()
		if isNull(target(p.value)) && v.Kind() != reflect.Struct { // of a structure the name alone says something
			return
		}
		d.value(p.value, v, path, nil)
		if !d.f.unreadable[path] {
			out.SetMapIndex(reflect.ValueOf(name), v)
		}
	})
}

func (d *decoder) list(n *yaml.Node, out reflect.Value, field string) {
	switch {
	case n.Kind == yaml.SequenceNode:
	case n.Kind == yaml.ScalarNode && out.Type().Elem().Kind() != reflect.Struct:
		// gcloud takes a single value for a list of one.
		out.Set(reflect.MakeSlice(out.Type(), 1, 1))
		path := element(field, 0)
		only := d.f.places[field]
		only.parent = len(field)
		d.f.places[path] = only
		if elem := out.Type().Elem().Kind(); elem == reflect.Float64 && strings.ContainsAny(n.Value, " \t,;") {
			d.shape(n, field, "a list", "write the numbers in brackets, with commas: "+inBrackets(n.Value))
			return
		} else if strings.ContainsAny(n.Value, " \t,") {
			d.warn(ruleListOfOne, field, job.Violation{
				Message: "a single value is taken for a list of one, spaces and commas included",
				Remedy:  "write a list, each entry on a line of its own after '- '",
			})
		}
		d.value(n, out.Index(0), path, nil)
		return
	case n.Kind == yaml.MappingNode && out.Type().Elem().Kind() == reflect.Struct:
		d.shape(n, field, "a list", "write '- ' before the first field of each entry")
		return
	default:
		d.shape(n, field, "a list", "write each entry on a line of its own after '- '")
		return
	}
	if len(n.Content) > d.left {
		d.spend(n, textShare*len(n.Content)) // all of it, before there is room for what will not fit
		return
	}
	out.Set(reflect.MakeSlice(out.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		path := element(field, i)
		if !d.note(path, field, nil, item) {
			return
		}
		if isNull(target(item)) {
			d.fail(ruleShape, path, job.Violation{
				Message: "the list's entry is empty",
				Remedy:  "remove the entry; an empty text is written ''",
			})
			continue
		}
		d.value(item, out.Index(i), path, nil)
	}
}

// inBrackets writes what people separate by spaces, commas or semicolons as a list.
func inBrackets(written string) string {
	list := strings.FieldsFunc(written, func(r rune) bool { return strings.ContainsRune(" \t,;[]", r) })
	return "[" + printable(text.Shorten(strings.Join(list, ", "), maxShown)) + "]"
}

// Words and numbers that are text to newer parsers, but not in YAML 1.1, which
// gcloud reads.

func isOldBoolean(s string) bool {
	switch s {
	case "yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF":
		return true
	}
	return false
}

var oldSexagesimal = regexp.MustCompile(`^[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$`)

func isSexagesimal(s string) bool {
	return strings.Contains(s, ":") && oldSexagesimal.MatchString(s)
}

func isPlain(n *yaml.Node) bool {
	const marked = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle | yaml.TaggedStyle
	return n.Style&marked == 0
}

// notOld are the numbers of newer parsers that are text in YAML 1.1 (its type
// int): an octal number begins with a plain 0 there, and has no 8 or 9.
var notOld = regexp.MustCompile(`^[-+]?(?:0o[0-7_]+|0[0-9_]*[89][0-9_]*)$`)

// isText reports whether a scalar is text to gcloud's parser.
func isText(n *yaml.Node) bool {
	switch n.ShortTag() {
	case "!!str":
		return !isPlain(n) || !isOldBoolean(n.Value) && !isSexagesimal(n.Value)
	case "!!int", "!!float":
		return isPlain(n) && strings.HasPrefix(strings.TrimLeft(n.Value, "+-"), "0") && notOld.MatchString(n.Value)
	}
	return false
}

func (d *decoder) text(n *yaml.Node, out reflect.Value, field string, enum []string) {
	if n.Kind != yaml.ScalarNode {
		d.shape(n, field, "text", "write one value, in quotes if in doubt")
		return
	}
	if !isText(n) {
		d.fail(ruleText, field, job.Violation{
			Message: notText(n),
			Remedy:  d.textRemedy(field, n),
		})
		return
	}
	if len(enum) == 0 || slices.Contains(enum, n.Value) {
		out.SetString(n.Value)
		return
	}
	for _, value := range enum {
		// The service's own parser forgives case and hyphens, by luck.
		if len(n.Value) == len(value) && strings.EqualFold(strings.ReplaceAll(n.Value, "-", "_"), value) {
			out.SetString(value)
			d.warn(ruleEnumSpelling, field, job.Violation{
				Found:   show(n.Value),
				Message: fmt.Sprintf("%s is taken for %s", show(n.Value), value),
				Remedy:  "write " + value,
			})
			return
		}
	}
	allowed := specified(enum)
	v := job.Violation{
		Allowed: strings.Join(allowed, ", "),
		Message: "the value is not one of those allowed",
		Remedy:  "write one of those allowed",
	}
	if message, remedy := meantBy(n.Value, field, allowed, DefaultCatalogue()); remedy != "" {
		v.Message, v.Remedy = message, remedy
	} else if close := closest(n.Value, allowed); close != "" {
		v.Message += "; did you mean " + close + "?"
		v.Remedy = "write " + close
	} else if len(allowed) == 1 {
		v.Remedy = "write " + allowed[0]
	}
	d.fail(ruleEnum, field, v)
}

// specified leaves out the enum values that mean none.
func specified(values []string) []string {
	var out []string
	for _, value := range values {
		if !strings.HasSuffix(value, "_UNSPECIFIED") {
			out = append(out, value)
		}
	}
	return out
}

// notText returns what YAML makes of an unquoted value.
func notText(n *yaml.Node) string {
	written := show(n.Value)
	var number float64
	switch tag := n.ShortTag(); {
	case (tag == "!!int" || tag == "!!float") && decode(n, &number) == nil:
		if read := strconv.FormatFloat(number, 'f', -1, 64); read != n.Value && len(read) <= maxShown {
			return fmt.Sprintf("YAML reads %s as the number %s, but text is expected", written, read)
		}
		return fmt.Sprintf("YAML reads %s as a number, but text is expected", written)
	case tag == "!!bool" || tag == "!!str" && isOldBoolean(n.Value):
		return fmt.Sprintf("YAML reads %s as a truth value, but text is expected", written)
	case tag == "!!timestamp":
		return fmt.Sprintf("YAML reads %s as a date, but text is expected", written)
	case tag == "!!str":
		return fmt.Sprintf("YAML 1.1, which gcloud reads, takes %s for a number to base 60, but text is expected", written)
	default:
		return "text is expected"
	}
}

func (d *decoder) textRemedy(field string, n *yaml.Node) string {
	switch tag := n.ShortTag(); {
	case d.f.kind.isDuration(field) && tag == "!!int", d.f.kind.isDuration(field) && tag == "!!float":
		return "write the seconds with the suffix s: " + show(n.Value) + "s"
	case d.f.kind.isDuration(field) && tag == "!!str" && isSexagesimal(n.Value):
		if s, ok := clock(n.Value); ok {
			return "write the seconds with the suffix s: " + strconv.FormatInt(s, 10) + "s"
		}
		return "write the seconds with the suffix s"
	case field == runtimeField && tag == "!!int":
		return "write both of its numbers, in quotes: '" + printable(text.Shorten(n.Value, maxShown)) + ".MINOR', e.g. '2.11'"
	case field == pythonField && tag == "!!int":
		return "write both of its numbers, in quotes, e.g. '3.7'"
	}
	return "put it in quotes: " + quoted(n.Value)
}

// clock returns the seconds in [hours:]minutes:seconds.
func clock(s string) (int64, bool) {
	var total int64
	for part := range strings.SplitSeq(s, ":") {
		n, err := strconv.ParseInt(part, 10, 32)
		if err != nil || n < 0 || total > math.MaxInt32 {
			return 0, false
		}
		total = total*60 + n
	}
	return total, true
}

func isDuration(field string) bool {
	return field == maxWaitTime || field == maxRunningTime || field == vertexWaitField
}

func quoted(value string) string {
	return "'" + strings.ReplaceAll(printable(text.Shorten(value, maxShown)), "'", "''") + "'"
}

func (d *decoder) boolean(n *yaml.Node, out reflect.Value, field string) {
	if n.Kind != yaml.ScalarNode {
		d.shape(n, field, "true or false", "write true or false")
		return
	}
	switch word := strings.ToLower(n.Value); {
	case n.ShortTag() == "!!bool" && (word == "true" || word == "false"):
		out.SetBool(word == "true")
		return
	case isPlain(n) && isOldBoolean(n.Value):
		on := word == "yes" || word == "on"
		out.SetBool(on)
		d.warn(ruleBoolSpelling, field, job.Violation{
			Found:   show(n.Value),
			Message: fmt.Sprintf("%s is a truth value in YAML 1.1 only; it is taken for %t", n.Value, on),
			Remedy:  fmt.Sprintf("write %t", on),
		})
		return
	}
	remedy := "write true or false"
	if !isPlain(n) {
		remedy += ", without quotes"
	}
	d.fail(ruleBool, field, job.Violation{
		Allowed: "true, false",
		Message: "a truth value is expected",
		Remedy:  remedy,
	})
}

func (d *decoder) integer(n *yaml.Node, out reflect.Value, field string) {
	v := job.Violation{
		Allowed: "a whole number",
		Message: "a whole number is expected",
		Remedy:  "write a whole number",
	}
	if n.Kind != yaml.ScalarNode {
		d.shape(n, field, "a whole number", v.Remedy)
		return
	}
	var i int64
	var err error
	switch n.ShortTag() {
	case "!!int":
		if decode(n, &i) != nil {
			err = strconv.ErrRange
		}
	case "!!str":
		// JSON spells 64-bit numbers as text, and gcloud takes either.
		i, err = strconv.ParseInt(text.Shorten(n.Value, maxNumber), 10, 64)
	case "!!float":
		var f float64
		if err = decode(n, &f); err == nil && (f != math.Trunc(f) || math.Abs(f) > 1<<53) {
			err = strconv.ErrSyntax
		}
		i = int64(f)
	default:
		err = strconv.ErrSyntax
	}
	if err == nil && !out.OverflowInt(i) {
		out.SetInt(i)
		return
	}
	if err == nil || isRange(err) {
		v.Message = "the number is out of range"
		v.Allowed = fmt.Sprintf("a whole number of %d bits", out.Type().Bits())
	}
	d.fail(ruleInteger, field, v)
}

// maxNumber bounds the text of a number: the parsers of numbers copy it several
// times into their errors.
const maxNumber = 400

// decode decodes a number.
func decode(n *yaml.Node, number any) error {
	if len(n.Value) > maxNumber {
		return strconv.ErrSyntax
	}
	return n.Decode(number)
}

func (d *decoder) float(n *yaml.Node, out reflect.Value, field string) {
	if n.Kind != yaml.ScalarNode {
		d.shape(n, field, "a number", "write a number, e.g. 0.01")
		return
	}
	var f float64
	var err error = strconv.ErrSyntax
	switch n.ShortTag() {
	case "!!int", "!!float":
		err = decode(n, &f)
	case "!!str":
		f, err = strconv.ParseFloat(text.Shorten(n.Value, maxNumber), 64)
	}
	if err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
		out.SetFloat(f)
		return
	}
	d.fail(ruleNumber, field, job.Violation{
		Allowed: "a finite number",
		Message: "a number is expected",
		Remedy:  "write a number, e.g. 0.01",
	})
}
