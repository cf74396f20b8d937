package study

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const (
	// maxMetricsBytes bounds the file of a replica: cloudml-hypertune keeps 100 lines in
	// it, so each may have 10 KiB.
	maxMetricsBytes = 1 << 20
	// maxTags bounds those that a message names.
	maxTags = 10
)

// errTooManyMetrics is what the service said of such a trial.
var errTooManyMetrics = message("Too many hyperparameter tuning metrics were written.")

// message is an error in the words of the service, which people read as a sentence.
type message string

func (m message) Error() string { return string(m) }

// Metrics are what a trial has reported.
type Metrics struct {
	Values map[string][]Measurement // by tag, in the order of the reports
	// odd is a tag's last value where that is not a finite number.
	odd map[string]string
}

// reservedKeys are those of a line that are no metric's.
var reservedKeys = []string{"timestamp", "trial", "global_step", "checkpoint_path"}

// parseMetrics reads what the Python package cloudml-hypertune writes: a JSON
// object a line, with the metric's tag as the key of its value, which is text,
// as is global_step. It rewrites the file with each report, so a line may be
// torn while the program runs; what can't be read is left out.
func parseMetrics(data []byte) Metrics {
	m := Metrics{map[string][]Measurement{}, map[string]string{}}
	for line := range bytes.Lines(data) {
		var members map[string]any
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.UseNumber()
		if dec.Decode(&members) != nil {
			continue
		}
		step, _ := number(members["global_step"])
		for tag, member := range members {
			if slices.Contains(reservedKeys, tag) {
				continue
			}
			value, text := number(member)
			if text == "" {
				continue
			}
			if math.IsNaN(value) || math.IsInf(value, 0) {
				m.odd[tag] = text
				continue
			}
			delete(m.odd, tag)
			m.Values[tag] = append(m.Values[tag], Measurement{wholeStep(step), value})
		}
	}
	return m
}

// number reads a number or its text, as Python writes it; NaN for any other
// text, and no text for what is neither.
func number(member any) (value float64, text string) {
	switch v := member.(type) {
	case string:
		text = v
	case json.Number:
		text = v.String()
	default:
		return 0, ""
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil && !math.IsInf(value, 0) {
		value = math.NaN()
	}
	return value, text
}

// wholeStep returns a step as the API has it, a whole number that is not negative.
func wholeStep(f float64) int64 {
	if math.IsNaN(f) || f < 0 {
		return 0
	}
	return int64(min(f, maxWhole))
}

// ReadMetrics reads what the replicas of a trial have reported to their files. The first file counts. For a tag that it
// lacks, the first other file that has the tag does.
func ReadMetrics(files []string) (Metrics, error) {
	all := Metrics{map[string][]Measurement{}, map[string]string{}}
	for _, file := range files {
		data, err := readFile(file)
		if err != nil {
			return Metrics{}, err
		}
		m := parseMetrics(data)
		for _, tag := range slices.Concat(slices.Collect(maps.Keys(m.Values)), slices.Collect(maps.Keys(m.odd))) {
			if all.Values[tag] != nil || all.odd[tag] != "" {
				delete(m.Values, tag)
				delete(m.odd, tag)
			}
		}
		maps.Copy(all.Values, m.Values)
		maps.Copy(all.odd, m.odd)
	}
	return all, nil
}

// readFile reads a file that a program has made, or not. It may be
// anything, and must not be waited for.
func readFile(file string) ([]byte, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, message(fmt.Sprintf("The trial's metrics can't be read: %v", err))
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, message("The trial's metrics can't be read: CLOUD_ML_HP_METRIC_FILE is not a regular file.")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxMetricsBytes+1))
	if err != nil {
		return nil, message(fmt.Sprintf("The trial's metrics can't be read: %v", err))
	}
	if len(data) > maxMetricsBytes {
		return nil, errTooManyMetrics
	}
	return data, nil
}

// Result returns the values of a tag, or why there is none that counts.
func (m Metrics) Result(tag string) ([]Measurement, error) {
	values, odd := m.Values[tag], m.odd[tag]
	if odd != "" {
		return nil, message(fmt.Sprintf("The last value of the metric %q is not a number to compare: %q.", tag, Cut(odd, 40)))
	}
	if len(values) > 0 {
		return values, nil
	}
	var others []string
	for tag := range maps.Keys(m.Values) {
		others = append(others, fmt.Sprintf("%q", Cut(tag, 100)))
	}
	slices.Sort(others)
	if len(others) == 0 {
		return nil, message(fmt.Sprintf("The trial ended well but reported no metric; hyperparameterMetricTag is %q. "+
			"The local training service reads what the Python package cloudml-hypertune writes to the file that "+
			"CLOUD_ML_HP_METRIC_FILE names, and no TensorFlow summaries.", tag))
	}
	if len(others) > maxTags {
		others = append(others[:maxTags], "…")
	}
	return nil, message(fmt.Sprintf("The trial ended well but did not report the metric %q (hyperparameterMetricTag), only %s.",
		tag, strings.Join(others, ", ")))
}

// Cut keeps a text's begin, whole characters of it.
func Cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}
