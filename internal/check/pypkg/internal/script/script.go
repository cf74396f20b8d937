// Package script reads what a Python setup script says literally: the arguments of its
// call of setup, and the files that it opens. Nothing is run. What is not written out
// stays unknown.
package script

import (
	"path"
	"slices"
	"strings"
)

// Kind is what a [Value] is.
type Kind int

// The kinds of values.
const (
	Unknown Kind = iota // computed in some way
	Text
	List // a list, tuple or set
	Dict // with keys that are texts
	Call
	Constant // True, False, None or a number
	variable // a name that stands for another value
)

// Value is an expression of a script.
type Value struct {
	Kind Kind
	// Text is that of a Text or Constant, and a Call's function by its dotted name.
	Text string
	// Items are those of a List, and a Call's arguments by position.
	Items []Value
	// Pairs are those of a Dict, and a Call's arguments by name.
	Pairs []Pair

	from, to int // its tokens
}

// Pair is a value and its name.
type Pair struct {
	Name  string
	Value Value
}

// Get returns the value of a name, and whether there is one.
func (v Value) Get(name string) (Value, bool) {
	for _, p := range v.Pairs {
		if p.Name == name {
			return p.Value, true
		}
	}
	return Value{}, false
}

// Texts returns a list's items, and whether the value is a list of nothing but texts.
func (v Value) Texts() (texts []string, ok bool) {
	if v.Kind != List {
		return nil, false
	}
	for _, item := range v.Items {
		if item.Kind != Text {
			return nil, false
		}
		texts = append(texts, item.Text)
	}
	return texts, true
}

// Script is a script that was read.
type Script struct {
	tokens []token
	// mentions counts the occurrences of a name.
	mentions map[string]int
	// assigned has where each name is assigned first, behind the =, if that is a
	// statement of the script's top level, and 0 for a name that is assigned elsewhere
	// or again.
	assigned map[string]int
}

// Read reads a script, and reports whether it could.
func Read(source string) (*Script, bool) {
	tokens, ok := scan(source)
	if !ok {
		return nil, false
	}
	s := &Script{tokens: tokens, mentions: map[string]int{}, assigned: map[string]int{}}
	for i, t := range tokens {
		if t.kind != name {
			continue
		}
		s.mentions[t.text]++
		if !s.is(i+1, "=") && !s.is(i+1, "+=") {
			continue
		}
		if _, again := s.assigned[t.text]; again || t.column != 0 || s.is(i+1, "+=") {
			if s.statement(i) {
				s.assigned[t.text] = 0
			}
			continue
		}
		s.assigned[t.text] = i + 2
	}
	return s, true
}

// statement reports whether a token begins one, so that it is not an argument's name.
func (s *Script) statement(i int) bool { return i == 0 || s.tokens[i-1].kind == end || s.is(i-1, ":") }

// Mentions reports whether one of the names occurs in the script.
func (s *Script) Mentions(names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return s.mentions[n] > 0 })
}

func (s *Script) is(i int, operatorText string) bool {
	return i >= 0 && i < len(s.tokens) && s.tokens[i].kind == operator && s.tokens[i].text == operatorText
}

func (s *Script) isName(i int, text string) bool {
	return i >= 0 && i < len(s.tokens) && s.tokens[i].kind == name && s.tokens[i].text == text
}

// Setup returns the call of setuptools' setup, unless there is none, or more than one,
// or setup or find_packages is another function. A * or ** argument is a pair of that
// name.
func (s *Script) Setup() (Value, bool) {
	if s.redefines("setup", "setuptools", "distutils.core") || s.redefines("find_packages", "setuptools") ||
		s.redefines("find_namespace_packages", "setuptools") {
		return Value{}, false
	}
	at := -1
	for i := range s.tokens {
		if !s.isName(i, "setup") || !s.is(i+1, "(") {
			continue
		}
		from := i
		for s.is(from-1, ".") && from >= 2 && s.tokens[from-2].kind == name {
			from -= 2
		}
		if s.is(from-1, ".") {
			continue // of some value
		}
		switch s.dotted(from, i+1) {
		case "setup", "setuptools.setup", "core.setup", "distutils.core.setup":
		default:
			continue
		}
		if at >= 0 {
			return Value{}, false
		}
		at = from
	}
	if at < 0 {
		return Value{}, false
	}
	call, _ := s.value(at, 0, false)
	return s.resolve(call, 0), call.Kind == Call
}

func (s *Script) dotted(from, to int) string {
	var b strings.Builder
	for _, t := range s.tokens[from:to] {
		b.WriteString(t.text)
	}
	return b.String()
}

// redefines reports whether the script gives a function's name to another one than that
// of the modules.
func (s *Script) redefines(function string, modules ...string) bool {
	if _, ok := s.assigned[function]; ok {
		return true
	}
	for i, t := range s.tokens {
		if t.kind == name && t.text == "def" && s.isName(i+1, function) {
			return true
		}
		if t.kind != name || t.text != "from" || !s.statement(i) {
			continue
		}
		j := i + 1
		for j < len(s.tokens) && s.tokens[j].kind != end && !s.isName(j, "import") {
			j++
		}
		module := s.dotted(i+1, j)
		for ; j < len(s.tokens) && s.tokens[j].kind != end; j++ {
			if s.isName(j, function) && (!slices.Contains(modules, module) || s.isName(j-1, "as")) {
				return true
			}
		}
	}
	return false
}

// maxDepth bounds how deep values are nested.
const maxDepth = 30

// value reads an expression that begins at a token, and returns the token behind it. A
// key ends at a colon, too.
func (s *Script) value(at, depth int, key bool) (Value, int) {
	v, next := s.term(at, depth)
	for v.Kind == List && s.is(next, "+") {
		more, after := s.term(next+1, depth)
		if more.Kind != List {
			break
		}
		v.Items, next = append(v.Items, more.Items...), after
	}
	v.from, v.to = at, next
	if s.ends(next, key) {
		return v, next
	}
	open := 0
	for i := at; i < len(s.tokens); i++ {
		if open == 0 && i > at && s.ends(i, key) {
			return Value{from: at, to: i}, i
		}
		switch t := s.tokens[i]; {
		case t.kind == operator && strings.Contains("([{", t.text):
			open++
		case t.kind == operator && strings.Contains(")]}", t.text):
			open--
		}
		if open < 0 {
			return Value{from: at, to: i}, i
		}
	}
	return Value{from: at, to: len(s.tokens)}, len(s.tokens)
}

// ends reports whether a token ends an expression.
func (s *Script) ends(i int, key bool) bool {
	if i >= len(s.tokens) || s.tokens[i].kind == end {
		return true
	}
	for _, stop := range []string{",", ")", "]", "}"} {
		if s.is(i, stop) {
			return true
		}
	}
	return key && s.is(i, ":")
}

// term reads the start of an expression, up to an operator.
func (s *Script) term(at, depth int) (Value, int) {
	if at >= len(s.tokens) || depth > maxDepth {
		return Value{}, at
	}
	switch t := s.tokens[at]; t.kind {
	case text:
		v := Value{Kind: Text}
		for ; at < len(s.tokens) && s.tokens[at].kind == text; at++ {
			if v.Text += s.tokens[at].text; s.tokens[at].computed {
				v.Kind = Unknown
			}
		}
		return v, at
	case number:
		return Value{Kind: Constant, Text: t.text}, at + 1
	case name:
		return s.named(at, depth)
	case operator:
		switch t.text {
		case "[", "(":
			return s.list(at, depth)
		case "{":
			return s.dict(at, depth)
		}
	}
	return Value{}, at
}

func (s *Script) named(at, depth int) (Value, int) {
	next := at + 1
	for s.is(next, ".") && next+1 < len(s.tokens) && s.tokens[next+1].kind == name {
		next += 2
	}
	v := Value{Kind: variable, Text: s.dotted(at, next)}
	switch v.Text {
	case "True", "False", "None":
		v.Kind = Constant
		return v, next
	}
	if !s.is(next, "(") {
		return v, next
	}
	v.Kind = Call
	for next++; next < len(s.tokens) && !s.is(next, ")"); {
		argument, label := Value{}, ""
		switch {
		case s.is(next, "*") || s.is(next, "**"):
			label = s.tokens[next].text
			argument, next = s.value(next+1, depth+1, false)
		case s.tokens[next].kind == name && s.is(next+1, "="):
			label = s.tokens[next].text
			argument, next = s.value(next+2, depth+1, false)
		default:
			argument, next = s.value(next, depth+1, false)
		}
		if label != "" {
			v.Pairs = append(v.Pairs, Pair{label, argument})
		} else {
			v.Items = append(v.Items, argument)
		}
		if !s.is(next, ",") {
			break
		}
		next++
	}
	if !s.is(next, ")") {
		return Value{}, at
	}
	return v, next + 1
}

// list reads a list, a tuple, or what stands in parentheses.
func (s *Script) list(at, depth int) (Value, int) {
	closing := map[string]string{"[": "]", "(": ")"}[s.tokens[at].text]
	v, next, commas := Value{Kind: List}, at+1, 0
	for next < len(s.tokens) && !s.is(next, closing) {
		item, after := s.value(next, depth+1, false)
		v.Items, next = append(v.Items, item), after
		if !s.is(next, ",") {
			break
		}
		commas, next = commas+1, next+1
	}
	if !s.is(next, closing) {
		return Value{}, at
	}
	if closing == ")" && commas == 0 && len(v.Items) == 1 {
		return v.Items[0], next + 1
	}
	return v, next + 1
}

func (s *Script) dict(at, depth int) (Value, int) {
	v, next := Value{Kind: Dict}, at+1
	for next < len(s.tokens) && !s.is(next, "}") {
		key, after := s.value(next, depth+1, true)
		if key.Kind != Text || !s.is(after, ":") {
			return Value{}, at
		}
		item, after := s.value(after+1, depth+1, false)
		v.Pairs, next = append(v.Pairs, Pair{key.Text, item}), after
		if !s.is(next, ",") {
			break
		}
		next++
	}
	if !s.is(next, "}") {
		return Value{}, at
	}
	return v, next + 1
}

// resolve puts in the place of a variable what it stands for, where that is assigned
// once and named nowhere else.
func (s *Script) resolve(v Value, depth int) Value {
	if v.Kind == variable {
		at := s.assigned[v.Text]
		if at == 0 || s.mentions[v.Text] != 2 || depth > maxDepth {
			return Value{from: v.from, to: v.to}
		}
		stands, next := s.value(at, 0, false)
		if s.tokens[next].kind != end { // a, b = …
			return Value{from: v.from, to: v.to}
		}
		return s.resolve(stands, depth+1)
	}
	for i := range v.Items {
		v.Items[i] = s.resolve(v.Items[i], depth+1)
	}
	for i := range v.Pairs {
		v.Pairs[i].Value = s.resolve(v.Pairs[i].Value, depth+1)
	}
	return v
}

// maxOpens is how many calls are looked at that may open a file.
const maxOpens = 50

// Opens lists the files that the script reads for certain, as far as it names them
// literally: relative to its own folder.
func (s *Script) Opens() (files []string) {
	if s.Mentions("try", "exists", "isfile", "is_file", "if") && !s.onlyMain() {
		return nil
	}
	calls := 0
	for i := range s.tokens {
		if s.isName(i, "open") || s.isName(i, "Path") {
			if calls++; calls > maxOpens {
				break
			}
		}
		file, ok := s.opened(i)
		if clean := path.Clean(file); ok && !path.IsAbs(file) && !strings.ContainsAny(file, "*\\\n") && clean != "." &&
			!strings.HasPrefix(clean, "..") {
			files = append(files, clean)
		}
	}
	return files
}

// onlyMain reports whether the one condition of the script is that it is the program.
func (s *Script) onlyMain() bool {
	return !s.Mentions("try", "exists", "isfile", "is_file") && s.mentions["if"] == 1 && s.Mentions("__name__")
}

// opened returns the file that a call at a token reads.
func (s *Script) opened(i int) (string, bool) {
	if s.tokens[i].kind == text {
		// (here / "README.md").read_text()
		if s.is(i-1, "/") && s.besideScript(Value{from: i - 2, to: i - 1, Kind: variable,
			Text: s.tokens[max(0, i-2)].text}) &&
			s.is(i-3, "(") && s.is(i+1, ")") && s.is(i+2, ".") && (s.isName(i+3, "read_text") || s.isName(i+3, "open")) {
			return s.tokens[i].text, !s.tokens[i].computed
		}
		return "", false
	}
	if s.tokens[i].kind != name || !s.is(i+1, "(") || s.isName(i-1, "def") {
		return "", false
	}
	switch s.tokens[i].text {
	case "Path":
		v, next := s.named(i, 0)
		if len(v.Items) == 1 && s.is(next, ".") && s.isName(next+1, "read_text") {
			return v.Items[0].Text, v.Items[0].Kind == Text
		}
	case "open":
		if s.is(i-1, ".") && !s.isName(i-2, "io") && !s.isName(i-2, "codecs") {
			return "", false
		}
		v, _ := s.named(i, 0)
		if mode, ok := v.Get("mode"); ok {
			v.Items = append(v.Items[:min(1, len(v.Items))], mode)
		}
		if v.Kind != Call || len(v.Items) == 0 ||
			len(v.Items) > 1 && (v.Items[1].Kind != Text || strings.ContainsAny(v.Items[1].Text, "wax+")) {
			return "", false
		}
		return s.file(s.resolve(v.Items[0], 0))
	}
	return "", false
}

// file returns the path that a value stands for, if that is beside the script.
func (s *Script) file(v Value) (string, bool) {
	if v.Kind == Text {
		return v.Text, true
	}
	if v.Kind != Call || len(v.Items) < 2 || v.Text != "join" && !strings.HasSuffix(v.Text, "path.join") {
		return "", false
	}
	var steps []string
	for i, item := range v.Items {
		switch {
		case item.Kind == Text:
			steps = append(steps, item.Text)
		case i > 0 || !s.besideScript(item):
			return "", false
		}
	}
	return path.Join(steps...), true
}

// besideScript reports whether a value is the folder of the script.
func (s *Script) besideScript(v Value) bool {
	from, to := v.from, v.to
	if from < 0 || to > len(s.tokens) || from >= to {
		return false
	}
	if to-from == 1 && s.tokens[from].kind == name {
		from = s.assigned[s.tokens[from].text]
		if from == 0 {
			return false
		}
		_, to = s.value(from, 0, false)
	}
	file, up := false, 0
	for _, t := range s.tokens[from:to] {
		switch {
		case t.kind == text:
			return false
		case t.kind == name && t.text == "__file__":
			file = true
		case t.kind == name && (t.text == "dirname" || t.text == "parent" || t.text == "parents"):
			up++
		}
	}
	return file && up == 1
}
