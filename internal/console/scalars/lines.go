package scalars

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
)

// lineBytes is the length from which a line is passed over without being held.
const lineBytes = 256 << 10

// stepKeys returns the fields that say how far the trainer was, the best first.
func stepKeys() []string {
	return []string{"step", "global_step", "_step", "iteration", "epoch"}
}

// timeKeys returns the fields that say when a line was written. They are times only with a plausible value: some
// trainers write a duration as time.
func timeKeys() []string { return []string{"wall_time", "timestamp", "time", "_timestamp"} }

// lines reads a file with a JSON object a line.
type lines struct {
	c *collector
	// quoted takes numbers in quotes too, and the trial of a line: cloudml-hypertune writes both.
	quoted bool
	// stepKey is the first of [stepKeys] that the first line with one had.
	stepKey string
	step    int64
	objects int64
}

// readLines reads JSON lines: each numeric field of an object is a value of the series of its name. NaN, Infinity and
// -Infinity are numbers, as in Python's JSON. Without a step, a line's step is its number from 0. A last line without
// its end is still being written, and does not count unless it is whole.
func readLines(r io.Reader, quoted bool, c *collector) error {
	l := lines{c: c, quoted: quoted}
	in := bufio.NewReaderSize(r, lineBytes)
	var long, malformed int64
	for {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long++
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = in.ReadSlice('\n')
			}
		} else if line = bytes.TrimSpace(line); len(line) > 0 && !l.read(line) && err == nil {
			malformed++
		}
		if err == nil {
			continue
		}
		if long > 0 {
			c.note("%s left out: longer than %s", count(long, "line is", "lines are"), size(lineBytes))
		}
		if malformed > 0 {
			c.note("%s not a JSON object", count(malformed, "line is", "lines are"))
		}
		return endOf(err)
	}
}

// read reads a line, and reports whether it is a JSON object.
func (l *lines) read(line []byte) bool {
	var object map[string]json.RawMessage
	if json.Unmarshal(quoteOdd(line), &object) != nil || object == nil {
		return false
	}
	p := Point{Step: l.stepOf(object)}
	for _, key := range timeKeys() {
		if at, ok := timeOf(object[key]); ok {
			if p.Wall == 0 {
				p.Wall = at
			}
			delete(object, key)
		}
	}
	trial := ""
	if l.quoted {
		_ = json.Unmarshal(object["trial"], &trial)
		if n, err := strconv.ParseUint(trial, 10, 31); err != nil || n == 0 {
			trial = ""
		}
		delete(object, "trial")
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if v, ok := numeric(object[key], l.quoted); ok {
			p.Value = v
			l.c.add(trial, []byte(key), p)
		}
	}
	return true
}

// stepOf takes an object's step away from it, with the other whole numbers that may be one, and returns it. An object
// without a step, where the file has one, has that of the line before.
func (l *lines) stepOf(object map[string]json.RawMessage) int64 {
	next := l.objects
	l.objects++
	for _, key := range stepKeys() {
		v, ok := numeric(object[key], l.quoted)
		if !ok || math.Abs(v) > 1<<53 {
			continue
		}
		if l.stepKey == "" && v == math.Trunc(v) {
			l.stepKey = key
		}
		if key == l.stepKey {
			l.step = int64(math.Floor(v))
			delete(object, key)
		} else if v == math.Trunc(v) && l.stepKey != "" {
			delete(object, key)
		}
	}
	if l.stepKey == "" {
		return next
	}
	return l.step
}

// numeric returns a JSON value as a number, also one beyond the greatest float64 as an infinity. Numbers in
// quotes count where quoted says so; the odd ones count always.
func numeric(raw json.RawMessage, quoted bool) (float64, bool) {
	if len(raw) == 0 {
		return 0, false
	}
	s := string(raw)
	if raw[0] == '"' {
		var err error
		if s, err = strconv.Unquote(s); err != nil || len(s) > 64 {
			return 0, false
		}
		switch s {
		case "NaN", "Infinity", "-Infinity":
		default:
			if !quoted {
				return 0, false
			}
		}
	} else if raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil || errors.Is(err, strconv.ErrRange)
}

// quoteOdd returns a line with NaN, Infinity and -Infinity in quotes, which JSON asks for.
func quoteOdd(line []byte) []byte {
	odd := [][]byte{[]byte("NaN"), []byte("-Infinity"), []byte("Infinity")}
	if !bytes.Contains(line, odd[0]) && !bytes.Contains(line, odd[2]) {
		return line
	}
	out := make([]byte, 0, len(line)+16)
	inside := false
next:
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			inside = !inside
		case inside && c == '\\' && i+1 < len(line):
			out = append(out, c)
			i++
		case !inside && (c == 'N' || c == '-' || c == 'I'):
			for _, o := range odd {
				if bytes.HasPrefix(line[i:], o) {
					out = append(append(append(out, '"'), o...), '"')
					i += len(o) - 1
					continue next
				}
			}
		}
		out = append(out, line[i])
	}
	return out
}

// timeOf returns a time in milliseconds since 1970: a number of seconds, or of a smaller unit if it is that large, or
// a text as ISO 8601 has it, in UTC if it names no zone.
func timeOf(raw json.RawMessage) (int64, bool) {
	if v, ok := numeric(raw, true); ok {
		for _, unit := range []float64{1, 1e3, 1e6, 1e9} {
			// From 2001 to 2286: the ranges of the units do not meet.
			if v >= 1e9*unit && v < 1e10*unit {
				return int64(math.Round(v / unit * 1e3)), true
			}
		}
		return 0, false
	}
	var s string
	if len(raw) > 64 || json.Unmarshal(raw, &s) != nil {
		return 0, false
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05"} {
		if at, err := time.Parse(layout, s); err == nil {
			return at.UnixMilli(), true
		}
	}
	return 0, false
}
