package script

import "strings"

// Config is what a file of settings says: values by their dotted names.
type Config map[string]Value

// Has reports whether something is set below a name, or the name itself.
func (c Config) Has(name string) bool {
	if _, ok := c[name]; ok {
		return true
	}
	for key := range c {
		if strings.HasPrefix(key, name+".") {
			return true
		}
	}
	return false
}

// Text returns a name's text, or "".
func (c Config) Text(name string) string {
	if v := c[name]; v.Kind == Text {
		return v.Text
	}
	return ""
}

// maxKey bounds a value's name: what has a longer one is not wanted.
const maxKey = 200

// ReadINI reads setup.cfg as Python's configparser does: each value is a Text, with its
// lines as they are. The name of a section may have dots.
func ReadINI(source string) Config {
	c := Config{}
	section, key := "", ""
	var lines []string
	enter := func() {
		if key != "" && len(key) <= maxKey {
			c[key] = Value{Kind: Text, Text: strings.Join(lines, "\n")}
		}
		key, lines = "", nil
	}
	for line := range strings.SplitSeq(source, "\n") {
		line = strings.TrimRight(line, " \t\r")
		trimmed := strings.TrimLeft(line, " \t")
		switch {
		case trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';':
		case len(trimmed) < len(line) && key != "":
			lines = append(lines, trimmed)
		case trimmed[0] == '[' && strings.Contains(trimmed, "]"):
			enter()
			section = trimmed[1:min(strings.IndexByte(trimmed, ']'), maxKey)]
		default:
			enter()
			if at := strings.IndexAny(trimmed, "=:"); at >= 0 && at < maxKey {
				key = section + "." + strings.ToLower(strings.TrimSpace(trimmed[:at]))
				lines = []string{strings.TrimSpace(trimmed[at+1:])}
			}
		}
	}
	enter()
	return c
}

// Lines returns the items of a value that lists them by commas or by lines, as
// setuptools reads them.
func Lines(value string) (items []string) {
	separator := ","
	if strings.Contains(value, "\n") {
		separator = "\n"
	}
	for item := range strings.SplitSeq(value, separator) {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// ReadTOML reads pyproject.toml, and reports whether it could. Arrays of tables, which
// none of the settings wanted here are, are left out.
func ReadTOML(source string) (Config, bool) {
	t := toml{source: strings.TrimPrefix(source, "\ufeff"), config: Config{}}
	for t.space(true); t.at < len(t.source); t.space(true) {
		if !t.line() {
			return nil, false
		}
	}
	return t.config, true
}

type toml struct {
	source string
	at     int
	table  string
	skip   bool // the table is one of an array
	values int
	config Config
}

func (t *toml) rest() string { return t.source[t.at:] }

func (t *toml) take(text string) bool {
	if !strings.HasPrefix(t.rest(), text) {
		return false
	}
	t.at += len(text)
	return true
}

// space skips blanks and comments, and the ends of lines if they mean nothing here.
func (t *toml) space(lines bool) {
	for t.at < len(t.source) {
		switch c := t.source[t.at]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n' && lines:
			t.at++
		case c == '#':
			if i := strings.IndexByte(t.rest(), '\n'); i >= 0 {
				t.at += i
			} else {
				t.at = len(t.source)
			}
		default:
			return
		}
	}
}

// line reads a table's head, or a key and its value.
func (t *toml) line() bool {
	if t.take("[") {
		t.skip = t.take("[")
		key, ok := t.key()
		if ok = ok && t.take("]") && (!t.skip || t.take("]")); !ok {
			return false
		}
		t.table = key[:min(len(key), maxKey)] + "."
		return t.ended()
	}
	key, ok := t.key()
	if !ok || !t.take("=") {
		return false
	}
	v, ok := t.value(0)
	if ok && !t.skip {
		t.set(t.table+key, v)
	}
	return ok && t.ended()
}

func (t *toml) ended() bool {
	t.space(false)
	return t.at >= len(t.source) || t.source[t.at] == '\n'
}

// set enters a value, and those of an inline table by their own names, too.
func (t *toml) set(key string, v Value) {
	if len(key) > maxKey {
		return
	}
	t.config[key] = v
	for _, p := range v.Pairs {
		t.set(key+"."+p.Name, p.Value)
	}
}

// key reads a key, dotted or not.
func (t *toml) key() (string, bool) {
	var steps []string
	for {
		t.space(false)
		start := t.at
		for t.at < len(t.source) && (isLetter(t.source[t.at]) || isDigit(t.source[t.at]) || t.source[t.at] == '-') {
			t.at++
		}
		step := t.source[start:t.at]
		if step == "" {
			v, ok := t.text()
			if !ok {
				return "", false
			}
			step = v
		}
		steps = append(steps, step)
		if t.space(false); !t.take(".") {
			return strings.Join(steps, "."), true
		}
	}
}

// maxValues bounds the values of a file.
const maxValues = 20_000

func (t *toml) value(depth int) (Value, bool) {
	if t.values++; t.values > maxValues || depth > maxDepth {
		return Value{}, false
	}
	t.space(false)
	if t.at >= len(t.source) {
		return Value{}, false
	}
	switch t.source[t.at] {
	case '"', '\'':
		text, ok := t.text()
		return Value{Kind: Text, Text: text}, ok
	case '[':
		t.at++
		return t.array(depth)
	case '{':
		t.at++
		return t.inline(depth)
	}
	start := t.at
	for t.at < len(t.source) && !strings.ContainsRune(",]}\n#", rune(t.source[t.at])) {
		t.at++
	}
	word := strings.TrimSpace(t.source[start:t.at])
	return Value{Kind: Constant, Text: word}, word != ""
}

func (t *toml) array(depth int) (Value, bool) {
	v := Value{Kind: List}
	for {
		if t.space(true); t.take("]") {
			return v, true
		}
		item, ok := t.value(depth + 1)
		if !ok {
			return v, false
		}
		v.Items = append(v.Items, item)
		if t.space(true); !t.take(",") {
			return v, t.take("]")
		}
	}
}

func (t *toml) inline(depth int) (Value, bool) {
	v := Value{Kind: Dict}
	for {
		if t.space(true); t.take("}") {
			return v, true
		}
		key, ok := t.key()
		if !ok || !t.take("=") {
			return v, false
		}
		item, ok := t.value(depth + 1)
		if !ok {
			return v, false
		}
		v.Pairs = append(v.Pairs, Pair{key, item})
		if t.space(true); !t.take(",") {
			return v, t.take("}")
		}
	}
}

// text reads a string of any of the four forms.
func (t *toml) text() (string, bool) {
	if t.at >= len(t.source) || t.source[t.at] != '"' && t.source[t.at] != '\'' {
		return "", false
	}
	quote := t.source[t.at : t.at+1]
	literal := quote == "'"
	if long := strings.Repeat(quote, 3); strings.HasPrefix(t.rest(), long) {
		quote = long
	}
	t.at += len(quote)
	var value strings.Builder
	for !t.take(quote) {
		if t.at >= len(t.source) || t.source[t.at] == '\n' && len(quote) == 1 {
			return "", false
		}
		c := t.source[t.at]
		t.at++
		if c == '\\' && !literal && t.at < len(t.source) {
			c = t.source[t.at]
			if t.at++; c == 'n' {
				c = '\n'
			}
		}
		value.WriteByte(c)
	}
	return value.String(), true
}
