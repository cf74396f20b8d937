package training

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
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const (
	// metricsFile is what CLOUD_ML_HP_METRIC_FILE names, in a folder of each
	// replica's own.
	metricsFile = "output.metrics"
	// maxMetricsBytes bounds that file: cloudml-hypertune keeps 100 lines in
	// it, so each may have 10 KiB.
	maxMetricsBytes = 1 << 20
	// maxTags bounds those that a message names.
	maxTags = 10
)

// errTooManyMetrics is what the service said of such a trial.
var errTooManyMetrics = message("Too many hyperparameter tuning metrics were written.")

// metrics are what a trial has reported.
type metrics struct {
	values map[string][]measurement // by tag, in the order of the reports
	// odd is a tag's last value where that is no finite number.
	odd map[string]string
}

// reservedKeys are those of a line that are no metric's.
var reservedKeys = []string{"timestamp", "trial", "global_step", "checkpoint_path"}

// parseMetrics reads what the Python package cloudml-hypertune writes: a JSON
// object a line, with the metric's tag as the key of its value, which is text,
// as is global_step. It rewrites the file with each report, so a line may be
// torn while the program runs; what can't be read is left out.
func parseMetrics(data []byte) metrics {
	m := metrics{map[string][]measurement{}, map[string]string{}}
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
			m.values[tag] = append(m.values[tag], measurement{wholeStep(step), value})
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

// wholeStep is a step as the API has it, a whole number that is not negative.
func wholeStep(f float64) int64 {
	if math.IsNaN(f) || f < 0 {
		return 0
	}
	return int64(min(f, maxWhole))
}

// readMetrics reads what the replicas of a trial have reported. The file of the
// master counts; for a tag that it lacks, that of the first other replica which
// has it, evaluators first.
func readMetrics(rooms map[replica]room) (metrics, error) {
	rank := func(r replica) int {
		return slices.Index([]string{roleMaster, roleEvaluator, roleWorker, rolePS}, r.role)
	}
	all := metrics{map[string][]measurement{}, map[string]string{}}
	for _, r := range slices.SortedFunc(maps.Keys(rooms), func(a, b replica) int {
		if c := rank(a) - rank(b); c != 0 {
			return c
		}
		return a.index - b.index
	}) {
		data, err := readMetricsFile(filepath.Join(rooms[r].metrics, metricsFile))
		if err != nil {
			return metrics{}, err
		}
		m := parseMetrics(data)
		for _, tag := range slices.Concat(slices.Collect(maps.Keys(m.values)), slices.Collect(maps.Keys(m.odd))) {
			if all.values[tag] != nil || all.odd[tag] != "" {
				delete(m.values, tag)
				delete(m.odd, tag)
			}
		}
		maps.Copy(all.values, m.values)
		maps.Copy(all.odd, m.odd)
	}
	return all, nil
}

// readMetricsFile reads a file that a program has made, or not. It may be
// anything, and must not be waited for.
func readMetricsFile(file string) ([]byte, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, messagef("The trial's metrics can't be read: %v", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, message("The trial's metrics can't be read: CLOUD_ML_HP_METRIC_FILE is no regular file.")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxMetricsBytes+1))
	if err != nil {
		return nil, messagef("The trial's metrics can't be read: %v", err)
	}
	if len(data) > maxMetricsBytes {
		return nil, errTooManyMetrics
	}
	return data, nil
}

// result gives the values of a tag, or why there is none that counts.
func (m metrics) result(tag string) ([]measurement, error) {
	values, odd := m.values[tag], m.odd[tag]
	if odd != "" {
		return nil, messagef("The last value of the metric %q is no number to compare: %q.", tag, cut(odd, 40))
	}
	if len(values) > 0 {
		return values, nil
	}
	var others []string
	for tag := range maps.Keys(m.values) {
		others = append(others, fmt.Sprintf("%q", cut(tag, 100)))
	}
	slices.Sort(others)
	if len(others) == 0 {
		return nil, messagef("The trial ended well but reported no metric; hyperparameterMetricTag is %q. "+
			"The local training service reads what the Python package cloudml-hypertune writes to the file that CLOUD_ML_HP_METRIC_FILE names, and no TensorFlow summaries.", tag)
	}
	if len(others) > maxTags {
		others = append(others[:maxTags], "…")
	}
	return nil, messagef("The trial ended well but did not report the metric %q (hyperparameterMetricTag), only %s.", tag, strings.Join(others, ", "))
}

// cut keeps a text's begin, whole characters of it.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}
