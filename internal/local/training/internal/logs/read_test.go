package logs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// randomLog writes a log whose lines share times, with what a service that was killed leaves of some, and returns its
// lines.
func randomLog(t *testing.T, r *rand.Rand, dir, id string) (lines []Line) {
	t.Helper()
	var b bytes.Buffer
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for seq := range r.Int64N(300) {
		at = at.Add(time.Duration(r.IntN(3)) * time.Second)
		l := Line{id, "", []string{"service", "master-replica-0"}[r.IntN(2)], seq + 1, at, []string{Stdout, Stderr}[r.IntN(2)],
			strings.Repeat("é", r.IntN(10)) + strings.Repeat("x", r.IntN(2)*r.IntN(3)*r.IntN(1000))}
		data, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		switch r.IntN(200) {
		case 0, 1, 2, 3:
			b.Write(data[:r.IntN(len(data))])
			b.WriteByte('\n')
		case 4, 5:
			b.WriteString("\n")
		case 6:
			b.WriteString(strings.Repeat("y", readBytes+r.IntN(2*blockBytes)) + "\n")
		}
		b.Write(append(data, '\n'))
		lines = append(lines, l)
	}
	if r.IntN(2) == 0 {
		b.WriteString(`{"jobId":"j","seq":9999,"time":"2027-01-01T00:00:00Z"}`) // its end is still to come
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, FileName), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return lines
}

// randomFilter returns a filter that has parts of several kinds.
func randomFilter(r *rand.Rand) string {
	var parts []string
	for range r.IntN(4) {
		at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(r.IntN(320)) * time.Second).Format(time.RFC3339)
		id := fmt.Sprintf("%012d-a", r.IntN(300))
		parts = append(parts, []string{
			`severity>=ERROR`, `resource.labels.job_id="a"`, `resource.labels.task_name!="service"`, `jsonPayload.message:"É"`,
			fmt.Sprintf(`timestamp>=%q`, at), fmt.Sprintf(`timestamp<=%q`, at), fmt.Sprintf(`timestamp<%q`, at),
			fmt.Sprintf(`(timestamp<%q OR (timestamp=%q AND insertId<%q))`, at, at, id),
			fmt.Sprintf(`(timestamp>%q OR (timestamp=%q AND insertId>%q))`, at, at, id),
		}[r.IntN(9)])
	}
	return strings.Join(parts, " AND ")
}

// However logs are read, forward, from their ends or from a time, their pages are the entries that match, in order.
func TestPagesAreWhatMatches(t *testing.T) {
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(28, seed))
		dir := t.TempDir()
		var all []foundLine
		var jobs []Job
		for _, id := range []string{"a", "b"}[:1+r.IntN(2)] {
			jobs = append(jobs, Job{"p", id, filepath.Join(dir, id)})
			for _, l := range randomLog(t, r, filepath.Join(dir, id), id) {
				all = append(all, foundLine{place{l.Time, insertID(&l)}, "p", l})
			}
		}
		reader := &Reader{jobs: func() []Job { return jobs }, scan: maxScanBytes}
		slices.SortFunc(all, func(a, b foundLine) int { return a.compare(b.place) })
		for range 6 {
			filter, newest := randomFilter(r), r.IntN(2) == 0
			clause, err := parseFilter(filter)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, f := range all {
				if clause.test(view{f.project, f.line.JobID, &f.line}) == yes {
					want = append(want, insertID(&f.line))
				}
			}
			if newest {
				slices.Reverse(want)
			}
			var got []string
			q := query{projects: []string{"p"}, filter: clause, newest: newest, limit: 10 + r.IntN(90)}
			for {
				p, err := reader.entries(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range p.found {
					got = append(got, insertID(&f.line))
				}
				if left := len(want) - len(got); len(p.found) > q.limit ||
					left > 0 && len(p.found) < q.limit && p.bytes < maxPageBytes/2 || (left > 0) != (p.last() != nil) {
					t.Fatalf("seed %d, %s, newest first %v: a page of %d entries and %d bytes before %d others, the next one: %v",
						seed, filter, newest, len(p.found), p.bytes, left, p.last())
				}
				if q.after = p.last(); q.after == nil {
					break
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("seed %d, %s, newest first %v (-want +got):\n%s", seed, filter, newest, diff)
			}
		}
	}
}

// madeUp is a log of a job that no disk has to hold: each line is of madeLine bytes, and a second later than the last.
type madeUp struct{ read int64 }

const madeLine = 1 << 10

func (m *madeUp) line(n int64) []byte {
	l := Line{JobID: "j", Task: "master-replica-0", Seq: n + 1, Time: madeTime(n), Stream: Stdout}
	data, _ := json.Marshal(l)
	l.Text = strings.Repeat("x", madeLine-1-len(data))
	data, _ = json.Marshal(l)
	return append(data, '\n')
}

func madeTime(n int64) time.Time {
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Second)
}

func (m *madeUp) ReadAt(p []byte, at int64) (n int, err error) {
	m.read += int64(len(p))
	for n < len(p) {
		n += copy(p[n:], m.line((at + int64(n)) / madeLine)[(at+int64(n))%madeLine:])
	}
	return n, nil
}

// Of a log of a gigabyte a page costs a few reads, wherever it begins.
func TestLargeLogIsNotReadWhole(t *testing.T) {
	const size, lines = 1 << 30, (1 << 30) / madeLine
	for _, test := range []struct {
		name  string
		read  func(*file, func(Line) bool) error
		first int64
		most  int64
	}{
		{"its end", func(f *file, take func(Line) bool) error { return f.backward(t.Context(), time.Time{}, take) },
			lines - 1, 4 * blockBytes},
		{"up to a time", func(f *file, take func(Line) bool) error { return f.backward(t.Context(), madeTime(400_000), take) },
			400_000, 2*seekBytes + 20*blockBytes},
		{"from a time", func(f *file, take func(Line) bool) error { return f.forward(t.Context(), madeTime(400_000), take) },
			400_000, 2*seekBytes + 20*blockBytes},
	} {
		m := &madeUp{}
		f := newFile(m, size)
		var got []int64
		if err := test.read(f, func(l Line) bool {
			if at := l.Seq - 1; at == test.first || len(got) > 0 {
				got = append(got, at)
			}
			return len(got) < 100
		}); err != nil || len(got) != 100 || got[0] != test.first {
			t.Errorf("%s: %d lines from %v, %v", test.name, len(got), got[:min(1, len(got))], err)
		}
		if m.read > test.most {
			t.Errorf("%s: %d bytes are read, at most %d", test.name, m.read, test.most)
		}
	}
}

// A search for what is nowhere ends after some bytes, and goes on with the next page.
func TestSearchIsBounded(t *testing.T) {
	dir := t.TempDir()
	const scan = 256 << 10
	const lines = 5 * scan / 2 / madeLine
	made := &madeUp{}
	data := make([]byte, lines*madeLine)
	if _, err := made.ReadAt(data, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, FileName), data, 0o644); err != nil {
		t.Fatal(err)
	}
	clause, err := parseFilter(fmt.Sprintf(`insertId=("%012d-j" OR "%012d-j")`, 10, lines-10))
	if err != nil {
		t.Fatal(err)
	}
	reader := &Reader{jobs: func() []Job { return []Job{{"p", "j", dir}} }, scan: scan}
	for _, newest := range []bool{false, true} {
		q := query{projects: []string{"p"}, filter: clause, newest: newest, limit: 10}
		var found []int
		for {
			p, err := reader.entries(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, len(p.found))
			if q.after = p.last(); q.after == nil {
				break
			}
		}
		if diff := cmp.Diff([]int{1, 0, 1}, found); diff != "" {
			t.Errorf("newest first %v: entries by page (-want +got):\n%s", newest, diff)
		}
	}
}
