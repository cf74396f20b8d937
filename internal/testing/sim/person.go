package sim

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// The names of packages. Those of the folder "drop0/" and the like are trainers.
const (
	sdist   = "trainer-0.1.tar.gz"
	wheel   = "trainer-0.1-py3-none-any.whl"
	helpers = "helpers-0.1.tar.gz"
)

// elsewhere is a bucket of packages that the policy allows.
const elsewhere = "elsewhere"

// content is what a package holds.
type content struct {
	data []byte
	// fault is the rule that the content breaks, whatever the job file says.
	fault string
	// module reports that it holds the module of the job files.
	module bool
}

// contents are the packages that people upload, by name, each a few times with
// different code.
var contents = sync.OnceValue(func() map[string][]content {
	const versions = 3
	all := map[string][]content{}
	for i := range versions {
		code := fmt.Sprintf("print(%d)\n", i)
		all[sdist] = append(all[sdist], content{data: tarred("trainer", "task.py", code), module: true})
		all[helpers] = append(all[helpers], content{data: tarred("helpers", "__main__.py", code)})
		all[wheel] = append(all[wheel], content{data: zipped("trainer/task.py", code), module: true})
	}
	all[sdist] = append(all[sdist], content{data: tarred("trainer", "tusk.py", "print(3)\n")},
		content{data: []byte("no archive at all"), fault: "package-format"})
	return all
})

func tarred(module, file, code string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	t := tar.NewWriter(z)
	for _, file := range [][2]string{
		{"PKG-INFO", "Metadata-Version: 2.1\nName: " + module + "\nVersion: 0.1\n"},
		{
			"setup.py", "from setuptools import setup, find_packages\nsetup(name='" + module +
				"', version='0.1', packages=find_packages())\n",
		},
		{module + "/__init__.py", ""},
		{module + "/" + file, code},
	} {
		must(t.WriteHeader(&tar.Header{
			Name:     module + "-0.1/" + file[0],
			Mode:     0o644,
			Size:     int64(len(file[1])),
			Typeflag: tar.TypeReg,
		}))
		_, err := t.Write([]byte(file[1]))
		must(err)
	}
	must(t.Close())
	must(z.Close())
	return b.Bytes()
}

func zipped(file, code string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	var record strings.Builder
	add := func(name, text string) {
		f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
		must(err)
		_, err = f.Write([]byte(text))
		must(err)
		sum := sha256.Sum256([]byte(text))
		fmt.Fprintf(&record, "%s,sha256=%s,%d\n", name, base64.RawURLEncoding.EncodeToString(sum[:]), len(text))
	}
	const info = "trainer-0.1.dist-info/"
	add("trainer/__init__.py", "")
	add(file, code)
	add(info+"METADATA", "Metadata-Version: 2.1\nName: trainer\nVersion: 0.1\n")
	add(info+"WHEEL", "Wheel-Version: 1.0\nGenerator: sim\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
	record.WriteString(info + "RECORD,,\n")
	f, err := z.CreateHeader(&zip.FileHeader{Name: info + "RECORD", Method: zip.Deflate})
	must(err)
	_, err = f.Write([]byte(record.String()))
	must(err)
	must(z.Close())
	return b.Bytes()
}

// contentOf finds a package among those that people have, by its bytes.
func contentOf(name string, data []byte) (content, int, bool) {
	for i, c := range contents()[name] {
		if bytes.Equal(c.data, data) {
			return c, i, true
		}
	}
	return content{}, 0, false
}

// jobFile is a job file as its author means it: what the checker knows of it, it
// knows from here, and not from the code that reads it.
type jobFile struct {
	id   string // empty where jobdrop makes one
	body string // YAML below trainingInput
	args string // the one of args, if any
	// fault is the rule that the file breaks.
	fault string
	// names are the packages that the file names; none is the folder's only one,
	// or, in a container, none at all.
	names     []string
	container bool
	// outside names a package of the bucket elsewhere.
	outside string
	// pins are the generations, or the checksums, that packages have to have.
	pins map[string]pin
	// region is what the object's metadata sets, correlation the uploader's own ID there.
	region, correlation string
	// rerun reports that the object's metadata say to run it whatever ran before.
	rerun bool
}

type pin struct {
	generation int64
	crc        string
}

const usual = "  scaleTier: BASIC\n  region: us-central1\n  runtimeVersion: '2.11'\n  pythonVersion: '3.7'\n" +
	"  pythonModule: trainer.task\n"

// jobFiles are the job files that people upload: two that differ, one with an ID, the
// same ID with other content, an invalid one, and some with limits.
var jobFiles = []jobFile{
	{body: usual}, {body: usual}, {body: usual, args: "again"},
	{id: "shared", body: usual}, {id: "shared", body: usual, args: "other"}, {id: "foreign", body: usual},
	{body: strings.Replace(usual, "BASIC", "HUGE", 1), fault: "enum"},
	{body: usual + "  scheduling: {maxRunningTime: 180s}\n"}, {body: usual + "  scheduling: {maxWaitTime: 1800s}\n"},
}

// specialFiles are job files that few people write.
var specialFiles = []jobFile{
	{body: usual, names: []string{sdist, helpers}}, {body: usual, names: []string{helpers, sdist}, args: "again"},
	{body: usual, names: []string{wheel}}, {body: usual, names: []string{sdist}, outside: "lib-0.1.tar.gz"},
	{body: usual, region: "europe-west1"},
	{
		body: "  scaleTier: CUSTOM\n  masterType: n1-standard-4\n  region: us-central1\n" +
			"  masterConfig: {imageUri: 'gcr.io/project/image:1'}\n",
		container: true,
	},
}

// text returns the file as it is uploaded.
func (f jobFile) text() []byte {
	var b strings.Builder
	if f.id != "" {
		fmt.Fprintf(&b, "jobId: %s\n", f.id)
	}
	b.WriteString("trainingInput:\n" + f.body)
	if f.args != "" {
		fmt.Fprintf(&b, "  args: [%s]\n", f.args)
	}
	if uris := f.uris(); len(uris) > 0 {
		fmt.Fprintf(&b, "  packageUris: ['%s']\n", strings.Join(uris, "', '"))
	}
	if len(f.pins) > 0 {
		b.WriteString("jobdrop:\n  packages:\n")
		for _, name := range slices.Sorted(maps.Keys(f.pins)) {
			p := f.pins[name]
			fmt.Fprintf(&b, "  - name: %s\n", name)
			if p.generation != 0 {
				fmt.Fprintf(&b, "    generation: '%d'\n", p.generation)
			}
			if p.crc != "" {
				fmt.Fprintf(&b, "    crc32c: %s\n", p.crc)
			}
		}
	}
	return []byte(b.String())
}

func (f jobFile) uris() []string {
	uris := slices.Clone(f.names)
	if f.outside != "" {
		uris = append(uris, "gs://"+elsewhere+"/"+f.outside)
	}
	return uris
}

// metadata returns the metadata of the object.
func (f jobFile) metadata() map[string]string {
	m := map[string]string{}
	if f.region != "" {
		m["jobdrop-set-region"] = f.region
	}
	if f.correlation != "" {
		m["jobdrop-correlation-id"] = f.correlation
	}
	if f.rerun {
		m["jobdrop-rerun"] = "yes"
	}
	return m
}

// longText is as much as an object's metadata takes, and what JSON writes with six
// bytes each.
var longText = strings.Repeat("\x01", 8000)

// uploads returns the packages that the author uploads with the file.
func (f jobFile) uploads() []string {
	switch {
	case f.container:
		return nil
	case len(f.names) > 0:
		return f.names
	}
	return []string{sdist}
}

// sameJob reports whether two files ask for the same, but for the packages' code.
func (f jobFile) sameJob(other jobFile) bool {
	return f.body == other.body && f.args == other.args && f.region == other.region && slices.Equal(f.uris(), other.uris())
}

// upload is what one person uploaded at one time, and what belongs to it.
type upload struct {
	at   time.Time
	path string // bucket/name
	// generation and data are the object's.
	generation int64
	data       []byte
	file       *jobFile // of a job file
	drop       *drop
	// old reports that it was there before jobdrop.
	old bool
}

// drop is what one person uploads as one: a job file and its packages, in any order.
type drop struct {
	folder string
	// packages holds the packages that were uploaded with the job file, by name.
	packages map[string]upload
}

func crc32c(data []byte) string {
	sum := make([]byte, 4)
	binary.BigEndian.PutUint32(sum, crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
	return base64.StdEncoding.EncodeToString(sum)
}

// habit is in which order a person uploads.
type habit int

const (
	packagesFirst habit = iota
	jobFileFirst
	jobFileAlone
	packagesAlone
	pinned   // by generation, as jobdrop submit does: so packages first
	foretold // pinned by checksum, which is known before: in either order
)

// again uploads some of a folder's objects again, as they are or as they were once, with their
// metadata: each becomes a new generation of the same bytes. names are their names, in order. once
// draws which generation of each is meant, 0 for the present one. The caller holds mu.
func (w *world) again(folder string, names []string, once func(name string) int64, gap func() time.Duration) {
	d := &drop{folder: folder, packages: map[string]upload{}}
	for i, name := range names {
		if i > 0 {
			w.later(gap())
		}
		path := inbox + "/" + folder + name
		o, ok := w.storage.objects[path]
		if generation := once(name); generation != 0 {
			o, ok = w.storage.history[versionKey(path, generation)]
		}
		if !ok || o.Size == 0 {
			continue
		}
		u := w.upload(folder+name, o.data, o.Metadata, w.uploads[key(o)].file, d)
		if u.file == nil {
			d.packages[name] = u
		}
	}
}

// present is the generation of an object that is there.
func present(string) int64 { return 0 }

// rewrite does what gsutil rewrite does with a folder, with another key or storage class. The caller
// holds mu.
func (w *world) rewrite(folder string, gap func() time.Duration) {
	all := []string{"job.yaml", "job.yml", helpers, wheel, sdist}
	w.say("%-8s rewrites %s", "someone", folder)
	w.again(folder, pick(w.rng, all, all, []string{"job.yaml"}, []string{sdist, "job.yaml"}), present, gap)
}

// restore makes former generations of a folder's objects live again. The caller holds mu.
func (w *world) restore(folder string, gap func() time.Duration) {
	was := map[string][]int64{}
	for _, path := range slices.Sorted(maps.Keys(w.uploads)) {
		if u := w.uploads[path]; u.drop != nil && u.drop.folder == folder && len(u.data) > 0 {
			was[base(u.path)] = append(was[base(u.path)], u.generation)
		}
	}
	w.say("%-8s restores %s", "someone", folder)
	once := func(name string) int64 {
		if len(was[name]) == 0 {
			return 0
		}
		return pick(w.rng, was[name]...)
	}
	w.again(folder, pick(w.rng, []string{"job.yaml"}, []string{"job.yaml", sdist}, []string{sdist, "job.yaml"}), once, gap)
}

// retry uploads a drop, and a moment later again: the client got no answer. The caller holds mu.
func (w *world) retry(folder string, f jobFile, code func(string) content, gap func() time.Duration) {
	how := pick(w.rng, packagesFirst, jobFileFirst)
	w.person(folder, f, how, code, gap)
	w.later(w.between(200*time.Millisecond, 3*time.Second))
	w.say("%-8s tries again in %s", "someone", folder)
	all, file := f.uploads(), []string{"job.yaml"}
	if how == packagesFirst {
		all = append(slices.Clone(all), file...)
	} else {
		all = append(file, all...)
	}
	w.again(folder, pick(w.rng, all, all, file), present, gap)
}

// habit uploads a drop, and the same again around the end of its job: by habit after it, some a bit
// too early. The caller holds mu.
func (w *world) habit(code func(string) content, gap func() time.Duration) {
	folder := fmt.Sprintf("habit%d/", w.rng.IntN(2)) // where others do little
	f := jobFile{body: usual, args: pick(w.rng, "", "again"), rerun: w.chance(0.1)}
	w.person(folder, f, packagesFirst, code, gap)
	all := append(slices.Clone(f.uploads()), "job.yaml")
	for range 20 {
		w.later(w.between(5*time.Second, time.Minute))
		end, ok := w.judge.endOf(folder)
		if !ok || time.Until(end) > chaos {
			continue
		}
		w.later(max(time.Until(end)+w.between(-40*time.Second, 40*time.Second), time.Second))
		if w.weather.calm {
			return // the run may end any moment: nobody would look at it
		}
		w.say("%-8s runs %s again", "someone", folder)
		w.again(folder, pick(w.rng, all, []string{"job.yaml"}), present, gap)
		return
	}
}

// person uploads a drop. The caller holds mu.
func (w *world) person(folder string, f jobFile, how habit, choose func(name string) content,
	gap func() time.Duration) {
	d := &drop{folder: folder, packages: map[string]upload{}}
	code := map[string]content{}
	for _, name := range f.uploads() {
		code[name] = choose(name)
	}
	var metadata map[string]string
	if w.chance(0.1) {
		f.correlation = pick(w.rng, "build 7", longText)
		metadata = map[string]string{"jobdrop-correlation-id": f.correlation}
	}
	packages := func() {
		for i, name := range f.uploads() {
			if i > 0 {
				w.later(gap())
			}
			d.packages[name] = w.upload(folder+name, code[name].data, metadata, nil, d)
		}
	}
	file := func() { w.upload(folder+"job.yaml", w.textOf(f), f.metadata(), &f, d) }
	f.pins = map[string]pin{}
	first := how == jobFileFirst
	if how == foretold {
		for name, c := range code {
			f.pins[name] = pin{crc: crc32c(c.data)}
		}
		first = w.chance(0.5)
	}
	switch {
	case how == packagesAlone:
		packages()
	case how == jobFileAlone:
		file()
	case first:
		file()
		w.later(gap())
		packages()
	default:
		packages()
		w.later(gap())
		if how == pinned {
			for name, u := range d.packages {
				f.pins[name] = pin{generation: u.generation}
			}
		}
		file()
	}
}
