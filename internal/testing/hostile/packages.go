package hostile

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

const (
	// Sdist and Wheel are the names that the packages are meant to be uploaded by.
	Sdist = "trainer-0.1.tar.gz"
	Wheel = "trainer-0.1-py3-none-any.whl"

	setup = "from setuptools import setup, find_packages\nsetup(name='trainer', version='0.1', packages=find_packages())\n"
)

// Package is a hostile package; make makes its bytes, which may be some megabytes.
type Package struct {
	Name string
	// File is the name that says what it is: [Sdist] or [Wheel].
	File string
	Make func() []byte
	// Refused reports that every check has to refuse it.
	Refused bool
}

// harmless are the packages that take time, and are sound.
var harmless = map[string]bool{
	Sdist + "/100,000 empty members":         true,
	Sdist + "/256 MiB, just dense enough":    true,
	Sdist + "/49,000 entries":                true,
	Sdist + "/a PKG-INFO of 64 MiB":          true,
	Sdist + "/a gzip header of 64 KiB":       true,
	Sdist + "/a large extended record":       true,
	Sdist + "/a setup.py of 64 MiB":          true,
	Sdist + "/a setup.py of brackets":        true,
	Sdist + "/a setup.py of comments":        true,
	Sdist + "/a setup.py of includes":        true,
	Sdist + "/a setup.py of literals":        true,
	Sdist + "/a setup.py of options":         true,
	Sdist + "/a setup.py of package_dir":     true,
	Sdist + "/a setup.py of quotes":          true,
	Sdist + "/a setup.py of spaces":          true,
	Sdist + "/a setup.py of words":           true,
	Sdist + "/a setup.py that lists 9,999":   true,
	Sdist + "/a sparse map without end":      true,
	Sdist + "/deep folders":                  true,
	Sdist + "/deep source roots":             true,
	Sdist + "/extended records":              true,
	Sdist + "/folders without __init__":      true,
	Sdist + "/global records":                true,
	Sdist + "/hard links of themselves":      true,
	Sdist + "/links in a chain":              true,
	Sdist + "/links in a circle":             true,
	Sdist + "/links that double":             true,
	Sdist + "/links to folders":              true,
	Sdist + "/members of one byte":           true,
	Sdist + "/names like the module's":       true,
	Sdist + "/names of 1,000 bytes":          true,
	Sdist + "/packages in a package":         true,
	Sdist + "/packages without end":          true,
	Sdist + "/setup files one after another": true,
	Wheel + "/a RECORD of 7 MiB":             true,
}

// Packages returns packages that want more time or memory than they should get, or that
// lie about themselves.
func Packages() []Package {
	var all []Package
	for _, kind := range []struct {
		file  string
		makes map[string]func() []byte
	}{{Sdist, sdists()}, {Wheel, wheels()}} {
		for _, name := range slices.Sorted(maps.Keys(kind.makes)) {
			all = append(all, Package{name, kind.file, kind.makes[name], !harmless[kind.file+"/"+name]})
		}
	}
	return all
}

// entry is one of an archive; a tar entry's header may be anything.
type entry struct {
	header tar.Header
	body   string
}

func file(name, body string) entry {
	return entry{tar.Header{Name: name, Mode: 0o644, Size: int64(len(body)), Typeflag: tar.TypeReg}, body}
}

func link(name, target string) entry {
	return entry{tar.Header{Name: name, Linkname: target, Typeflag: tar.TypeSymlink}, ""}
}

// must panics on an error. Writers into memory don't fail.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func tarball(entries ...entry) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		must(w.WriteHeader(&e.header))
		_, err := w.Write([]byte(e.body))
		must(err)
	}
	must(w.Close())
	return b.Bytes()
}

// member packs some bytes as one gzip member.
func member(data []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	must(err)
	_, err = w.Write(data)
	must(err)
	must(w.Close())
	return b.Bytes()
}

func sdist(entries ...entry) []byte { return member(tarball(project(entries...)...)) }

// project puts the files of a sound package before others.
func project(entries ...entry) []entry {
	return append([]entry{
		file("trainer-0.1/setup.py", setup), file("trainer-0.1/trainer/__init__.py", ""),
		file("trainer-0.1/trainer/task.py", "print('hello')\n"),
	}, entries...)
}

// named makes so many entries, each by its number.
func named(n int, one func(i int) entry) []entry {
	all := make([]entry, n)
	for i := range all {
		all[i] = one(i)
	}
	return all
}

// noise returns n bytes that can't be compressed, the same each time.
func noise(n int) []byte {
	r := rand.NewChaCha8([32]byte{1})
	data := make([]byte, n)
	_, _ = r.Read(data)
	return data
}

// word returns a name that does not compress away.
func word(i int) string { return fmt.Sprintf("%08x", uint32(i)*2654435761) } // #nosec G115 -- Knuth's hash wraps

// bomb returns a tar archive with one file of so many mebibytes: so many bytes of
// noise, then zeros. It is packed as gzip members of 16 MiB each.
func bomb(mebibytes, perMember int) []byte {
	head := entry{
		tar.Header{Name: "trainer-0.1/zeros", Mode: 0o644, Size: int64(mebibytes) << 20, Typeflag: tar.TypeReg}, "",
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range project() {
		must(w.WriteHeader(&e.header))
		_, err := w.Write([]byte(e.body))
		must(err)
	}
	must(w.WriteHeader(&head.header))
	packed := member(b.Bytes())
	one := member(append(noise(perMember), make([]byte, 16<<20-perMember)...))
	packed = append(packed, bytes.Repeat(one, mebibytes/16)...)
	return append(packed, member(make([]byte, 1024))...)
}

// raw writes a tar header by hand, since tar.Writer refuses what no tool writes.
func raw(name string, typ byte, size string) []byte {
	h := make([]byte, 512)
	copy(h, name)
	copy(h[100:], "0000644\x000000000\x000000000\x00")
	copy(h[124:136], size)
	copy(h[136:], "00000000000\x00        ")
	h[156] = typ
	copy(h[257:], "ustar\x0000")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return h
}

// pad fills up to a tar block.
func pad(data []byte) []byte { return append(data, make([]byte, (512-len(data)%512)%512)...) }

// paxed returns a tar archive of one file with these extended records, so many times.
func paxed(records []byte, typ byte, n int) []byte {
	one := append(raw("PaxHeaders/x", typ, fmt.Sprintf("%011o\x00", len(records))), pad(bytes.Clone(records))...)
	one = append(one, raw("trainer-0.1/x", '0', "00000000000\x00")...)
	return append(tarball(project()...)[:5*512], bytes.Repeat(one, n)...)
}

// record returns one extended record: its own length, a key and a value.
func record(key, value string) string {
	size := len(key) + len(value) + 3
	for n := size; ; n++ {
		if s := fmt.Sprintf("%d %s=%s\n", n, key, value); len(s) == n {
			return s
		}
	}
}

func records(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		b.WriteString(record("JD."+word(i), "a"))
	}
	return b.Bytes()
}

// chain returns links that each lead to the next.
func chain(n int) []entry {
	return named(n, func(i int) entry { return link("trainer-0.1/l"+word(i), "l"+word(i+1)) })
}

// steps returns a path of so many folders.
func steps(n int) string { return strings.Repeat("a/", n) }

func sdists() map[string]func() []byte {
	script := func(text string) func() []byte {
		return func() []byte {
			return member(tarball(file("trainer-0.1/setup.py", text[:min(len(text), 256<<10)]),
				file("trainer-0.1/trainer/__init__.py", ""), file("trainer-0.1/trainer/task.py", "")))
		}
	}
	listed := func() string {
		var b strings.Builder
		for i := range 9_999 {
			b.WriteString("'p" + word(i) + "', ")
		}
		return b.String()
	}
	return map[string]func() []byte{
		"empty file":                 func() []byte { return []byte{0} },
		"a bomb of 1 GiB":            func() []byte { return bomb(1<<10, 0) },
		"256 MiB, just dense enough": func() []byte { return bomb(256, 90<<10) },
		"a bomb in a bomb":           func() []byte { return member(bomb(1<<10, 0)) },
		"a bomb behind the archive": func() []byte {
			return append(sdist(), bytes.Repeat(member(make([]byte, 16<<20)), 64)...)
		},
		"100,000 empty members":   func() []byte { return append(sdist(), bytes.Repeat(member(nil), 100_000)...) },
		"200,000 empty members":   func() []byte { return append(sdist(), bytes.Repeat(member(nil), 200_000)...) },
		"members of one byte":     func() []byte { return append(sdist(), bytes.Repeat(member([]byte{0}), 100_000)...) },
		"a gzip header of 64 KiB": func() []byte { return gzipHeader(1<<16-1, 0) },
		"a gzip name of 1 MiB":    func() []byte { return gzipHeader(0, 1<<20) },
		"noise":                   func() []byte { return noise(1 << 20) },
		"noise, packed":           func() []byte { return member(noise(1 << 20)) },
		"zeros":                   func() []byte { return member(make([]byte, 64<<20)) },
		"cut in the middle":       func() []byte { return sdist(file("trainer-0.1/x", string(noise(1<<20))))[:1<<19] },
		"two formats":             func() []byte { return append(sdist(), wheelOf(release()...)...) },
		"packages in a package":   func() []byte { return sdist(nested(sdist())...) },
		"49,000 entries": func() []byte {
			return sdist(named(49_000, func(i int) entry { return file("trainer-0.1/"+word(i)+".py", "") })...)
		},
		"60,000 entries": func() []byte {
			return sdist(named(60_000, func(i int) entry { return file("trainer-0.1/"+word(i), "") })...)
		},
		"packages without end": func() []byte {
			return sdist(named(40_000, func(i int) entry { return file("trainer-0.1/trainer/"+word(i)+"/__init__.py", "") })...)
		},
		"folders without __init__": func() []byte {
			return sdist(named(40_000, func(i int) entry { return file("trainer-0.1/d"+word(i)+"/x.py", "") })...)
		},
		"deep folders": func() []byte {
			return sdist(named(4_000, func(i int) entry { return file("trainer-0.1/"+steps(490)+word(i)+".py", "") })...)
		},
		"deep source roots": func() []byte { return deepRoots() },
		"names of 1,000 bytes": func() []byte {
			return sdist(named(4_000, func(i int) entry {
				return file("trainer-0.1/"+word(i)+strings.Repeat("n", 950)+".py", "")
			})...)
		},
		"a name of 900 KiB": func() []byte {
			return sdist(file("trainer-0.1/"+strings.Repeat("n/", 450<<10)+"x", ""))
		},
		"names of 900 KiB, many": func() []byte { return longNames(50) },
		"an absolute name":       func() []byte { return sdist(file("/etc/passwd", "")) },
		"a name that climbs":     func() []byte { return sdist(file("trainer-0.1/../../x", "")) },
		"extended records":       func() []byte { return member(paxed(records(40_000), 'x', 20)) },
		"a large extended record": func() []byte {
			return member(paxed([]byte(record("JD.x", string(noise(1000<<10)))), 'x', 20))
		},
		"an extended record of 2 MiB": func() []byte {
			return member(paxed([]byte(record("JD.x", strings.Repeat("x", 2<<20))), 'x', 1))
		},
		"global records":             func() []byte { return member(paxed(records(40_000), 'g', 20)) },
		"global records without end": func() []byte { return recordsWithoutEnd() },
		"records behind holes":       func() []byte { return recordsBehindHoles() },
		"names like the module's": func() []byte {
			return sdist(named(20_000, func(i int) entry {
				return file("trainer-0.1/trainer/tas"+word(i)[7:]+strings.Repeat("k", 160)+word(i)+".py", "")
			})...)
		},
		"records that are cut":     func() []byte { return member(paxed([]byte("99999 a=b\n"), 'x', 1)) },
		"a sparse file of 1 EiB":   func() []byte { return sparse("1152921504606846976", 1) },
		"a sparse map without end": func() []byte { return sparse("1048576", 100_000) },
		"a size of 8 EiB": func() []byte {
			return member(append(tarball(project()...)[:5*512],
				raw("trainer-0.1/x", '0', "\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff")...))
		},
		"a negative size": func() []byte {
			return member(append(tarball(project()...)[:5*512],
				raw("trainer-0.1/x", '0', "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")...))
		},
		"a device": func() []byte {
			return sdist(entry{tar.Header{Name: "trainer-0.1/null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}, ""})
		},
		"devices": func() []byte {
			return sdist(named(40_000, func(i int) entry {
				return entry{tar.Header{Name: "trainer-0.1/" + word(i), Typeflag: tar.TypeFifo}, ""}
			})...)
		},
		"links in a chain": func() []byte { return sdist(chain(40_000)...) },
		"links in a circle": func() []byte {
			return sdist(append(chain(30), link("trainer-0.1/l"+word(30), "l"+word(0)))...)
		},
		"links to folders":  func() []byte { return folderLinks() },
		"links that double": func() []byte { return doublingLinks() },
		"links that leave": func() []byte {
			return sdist(named(10_000, func(i int) entry { return link("trainer-0.1/"+word(i), "../../"+word(i)) })...)
		},
		"links of 1,000 bytes": func() []byte {
			return sdist(named(3_000, func(i int) entry { return link("trainer-0.1/"+word(i), steps(490)+word(i+1)) })...)
		},
		"hard links of themselves": func() []byte {
			return sdist(named(10_000, func(i int) entry {
				return entry{
					tar.Header{Name: "trainer-0.1/h" + word(i), Linkname: "trainer-0.1/h" + word(i), Typeflag: tar.TypeLink}, "",
				}
			})...)
		},
		"a PKG-INFO of 64 MiB": func() []byte {
			return sdist(file("trainer-0.1/PKG-INFO", "Name: trainer\n"+strings.Repeat("A: "+string(noise(40))+"\n", 1<<20)))
		},
		"a PKG-INFO of one line": func() []byte {
			return sdist(file("trainer-0.1/PKG-INFO", "Name: "+strings.Repeat("x", 8<<20)))
		},
		"setup files one after another": func() []byte {
			return sdist(named(2_000, func(int) entry {
				return file("trainer-0.1/setup.cfg", strings.Repeat("packages = a\n", 2_000))
			})...)
		},
		"setup files in folders": func() []byte {
			return sdist(named(500, func(i int) entry {
				return file(word(i)+"/setup.py", strings.Repeat("setup(\n", 30_000))
			})...)
		},
		"a setup.py of 64 MiB": func() []byte {
			return sdistWithout(file("trainer-0.1/setup.py", setup+strings.Repeat("# x\n", 16<<20)))
		},
		"a setup.py of brackets": script("setup(packages=" + strings.Repeat("[", 256<<10)),
		"a setup.py of literals": script("setup(packages=[" + strings.Repeat("'a',", 64<<10)),
		"a setup.py of spaces":   script("setup(packages" + strings.Repeat(" ", 256<<10)),
		"a setup.py of options":  script("setup(packages=find_packages(" + strings.Repeat("'',", 80<<10) + "),)"),
		"a setup.py of includes": script("setup(packages=find_packages(" + strings.Repeat("include=['*'],", 18<<10) +
			"),)"),
		"a setup.py of patterns":    patterns,
		"a setup.py of words":       script("setup(package_dir={'': 'x'}, x='" + strings.Repeat("a b ", 64<<10)),
		"a setup.py of package_dir": script(strings.Repeat("package_dir={", 20<<10)),
		"a setup.py of comments":    script("setup(packages=[\n" + strings.Repeat("# '\n", 64<<10)),
		"a setup.py of quotes":      script("setup(packages=find_packages(" + strings.Repeat("'", 256<<10)),
		"a setup.py that lists 9,999": func() []byte {
			return member(tarball(slices.Concat(
				[]entry{
					file("t/setup.py", "setup(packages=['trainer', "+listed()+"])"), file("t/trainer/__init__.py", ""),
					file("t/trainer/task.py", ""),
				},
				named(2_000, func(i int) entry { return file("t/trainer/"+word(i)+"/x.py", "") }))...))
		},
		"imports without end": func() []byte {
			return member(tarball(slices.Concat([]entry{file("t/setup.py", generated), file("t/trainer/__init__.py", "")},
				named(2_000, func(i int) entry {
					return file(fmt.Sprintf("t/trainer/m%d.py", i),
						strings.Repeat(fmt.Sprintf("from trainer.%s import x%s\n", word(i), word(i)), 500))
				}))...))
		},
	}
}

// generated is the setup.py that gcloud writes, with which imports are compared
// with files.
const generated = "from setuptools import setup, find_packages\n\nif __name__ == '__main__':\n    setup(\n" +
	"        name='trainer',\n        packages=find_packages(include=['trainer'])\n    )\n"

// sdistWithout returns an sdist without setup.py, unless entries have one.
func sdistWithout(entries ...entry) []byte {
	return member(tarball(append(entries, file("trainer-0.1/trainer/__init__.py", ""),
		file("trainer-0.1/trainer/task.py", ""))...))
}

// patterns names packages by patterns that take long to match, from many places.
func patterns() []byte {
	stars := strings.Repeat("'"+strings.Repeat("*a", 2_000)+"b',", 25)
	roots := strings.Repeat("a", 40)
	text := "setup(packages=find_packages(include=[" + stars + "], exclude=[" + stars + "]), package_dir={'': ["
	for i := range 20 {
		text += " '" + strings.TrimSuffix(strings.Repeat(roots+"/", i+1), "/") + "',"
	}
	text += "]})"
	return member(tarball(slices.Concat([]entry{file("t/setup.py", text), file("t/trainer/__init__.py", "")},
		named(1_500, func(i int) entry {
			return file("t/"+strings.Repeat(roots+"/", 20)+"a"+word(i)+"/x.py", "")
		}))...))
}

// recordsWithoutEnd returns 160 MiB of extended records, packed by the mebibyte.
func recordsWithoutEnd() []byte {
	all := paxed(records(40_000), 'g', 1)
	head, one := member(all[:5*512]), member(all[5*512:])
	return append(head, bytes.Repeat(one, 200)...)
}

// recordsBehindHoles returns as many, each behind a file that is all holes: the sizes
// do not add up to what is stored.
func recordsBehindHoles() []byte {
	hole := record("GNU.sparse.major", "0") + record("GNU.sparse.minor", "1") +
		record("GNU.sparse.name", "trainer-0.1/hole") +
		record("GNU.sparse.size", "1048576") + record("GNU.sparse.numblocks", "1") + record("GNU.sparse.map", "1048576,0")
	all := paxed(records(40_000), 'x', 1)
	head := member(all[:5*512])
	one := member(append(paxed([]byte(hole), 'x', 1)[5*512:], all[5*512:]...))
	return append(head, bytes.Repeat(one, 200)...)
}

func deepRoots() []byte {
	var roots strings.Builder
	for i := range 100 {
		roots.WriteString(" '" + steps(i+1) + "'")
	}
	return sdistWithout(append(named(4_000, func(i int) entry {
		return file("trainer-0.1/"+steps(490)+word(i)+".py", "")
	}),
		file("trainer-0.1/setup.py", "setup(packages=find_packages(), package_dir={'': ["+roots.String()+"]})"))...)
}

// nested puts a package into a package, some times over.
func nested(inner []byte) []entry {
	for range 20 {
		inner = sdist(file("trainer-0.1/inner.tar.gz", string(inner)))
	}
	return []entry{file("trainer-0.1/inner.tar.gz", string(inner))}
}

func folderLinks() []byte {
	files := named(20_000, func(i int) entry { return file("trainer-0.1/trainer/"+word(i)+".py", "") })
	return sdist(append(files, named(5_000, func(i int) entry { return link("trainer-0.1/k"+word(i), "trainer") })...)...)
}

// doublingLinks returns links that each lead through the one before twice.
func doublingLinks() []byte {
	return sdist(named(2_000, func(i int) entry {
		return link(fmt.Sprintf("trainer-0.1/d%d", i+1), fmt.Sprintf("d%d/../d%d", i, i))
	})...)
}

// longNames returns names of the kind that GNU tar writes, of nearly 1 MiB each.
func longNames(n int) []byte {
	name := []byte("trainer-0.1/" + strings.Repeat("n", 900<<10) + "\x00")
	one := append(raw("././@LongLink", 'L', fmt.Sprintf("%011o\x00", len(name))), pad(name)...)
	one = append(one, raw("x", '0', "00000000000\x00")...)
	return bytes.Join([][]byte{
		member(tarball(project()...)[:5*512]), bytes.Repeat(member(append(noise(512), one...)[512:]), n),
	}, nil)
}

// sparse returns a file that states a size and a map of its holes (PAX format 0.1).
func sparse(size string, blocks int) []byte {
	places := make([]string, 0, 2*blocks)
	for i := range blocks {
		places = append(places, fmt.Sprint(2*i), "0")
	}
	text := record("GNU.sparse.major", "0") + record("GNU.sparse.minor", "1") +
		record("GNU.sparse.name", "trainer-0.1/sparse") +
		record("GNU.sparse.size", size) + record("GNU.sparse.numblocks", fmt.Sprint(blocks)) +
		record("GNU.sparse.map", strings.Join(places, ","))
	return member(paxed([]byte(text), 'x', 1))
}

// gzipHeader returns a member with an extra field and a name of so many bytes.
func gzipHeader(extra, name int) []byte {
	plain := sdist()
	head := []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff")
	if extra > 0 {
		head[3] |= 4
		head = binary.LittleEndian.AppendUint16(head, uint16(extra)) // #nosec G115 -- at most 64 KiB
		head = append(head, make([]byte, extra)...)
	}
	if name > 0 {
		head[3] |= 8
		head = append(append(head, bytes.Repeat([]byte("n"), name)...), 0)
	}
	return append(head, plain[10:]...)
}

// zipped is one entry of a zip archive.
type zipped struct {
	header zip.FileHeader
	body   []byte
	// packed reports that body is packed already; the header says how.
	packed bool
}

func inflated(name, body string) zipped {
	return zipped{header: zip.FileHeader{Name: name, Method: zip.Deflate}, body: []byte(body)}
}

// release returns a wheel's entries, before others.
func release(more ...zipped) []zipped {
	const info = "trainer-0.1.dist-info/"
	return append([]zipped{
		inflated("trainer/__init__.py", ""), inflated("trainer/task.py", "print('hello')\n"),
		inflated(info+"METADATA", "Metadata-Version: 2.1\nName: trainer\nVersion: 0.1\n"),
		inflated(info+"WHEEL", "Wheel-Version: 1.0\n"),
	}, more...)
}

const recordFile = "trainer-0.1.dist-info/RECORD"

func wheelOf(entries ...zipped) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		create := w.CreateHeader
		if e.packed {
			create = w.CreateRaw
		}
		f, err := create(&e.header)
		must(err)
		_, err = f.Write(e.body)
		must(err)
	}
	must(w.Close())
	return b.Bytes()
}

func manyZipped(n int, one func(i int) zipped) []zipped {
	all := make([]zipped, n)
	for i := range all {
		all[i] = one(i)
	}
	return all
}

// lies returns an entry that states what it likes of its content.
func lies(h zip.FileHeader, body []byte) zipped { return zipped{h, body, true} }

// deflated returns so many mebibytes of zeros as one entry, packed once.
func deflated(name string, mebibytes int) zipped {
	zeros := make([]byte, mebibytes<<20)
	packed := member(zeros)
	return lies(zip.FileHeader{
		Name: name, Method: zip.Deflate, CRC32: crc32.ChecksumIEEE(zeros),
		UncompressedSize64: uint64(len(zeros)), CompressedSize64: uint64(len(packed) - 18), // #nosec G115 -- lengths
	}, packed[10:len(packed)-8])
}

// directory replaces a wheel's table of contents: by one that says to have so many
// entries, at an offset.
func directory(wheel []byte, entries uint16, size, offset uint32) []byte {
	at := bytes.LastIndex(wheel, []byte("PK\x05\x06"))
	end := bytes.Clone(wheel)
	binary.LittleEndian.PutUint16(end[at+8:], entries)
	binary.LittleEndian.PutUint16(end[at+10:], entries)
	binary.LittleEndian.PutUint32(end[at+12:], size)
	binary.LittleEndian.PutUint32(end[at+16:], offset)
	return end
}

// shared returns a package whose table of contents has the same entry so many times.
func shared(n int) []byte {
	one := wheelOf(deflated("x", 1))
	from, to := bytes.Index(one, []byte("PK\x01\x02")), bytes.LastIndex(one, []byte("PK\x05\x06"))
	table := bytes.Repeat(one[from:to], n)
	all := slices.Concat(one[:from], table, one[to:])
	return directory(all, uint16(min(n, 1<<16-1)), uint32(len(table)), uint32(from)) // #nosec G115 -- small
}

func wheels() map[string]func() []byte {
	record := func(text string) func() []byte {
		return func() []byte { return wheelOf(release(inflated(recordFile, text))...) }
	}
	return map[string]func() []byte{
		"an empty archive": func() []byte { return wheelOf() },
		"a bomb":           func() []byte { return wheelOf(release(deflated("zeros", 256))...) },
		"bombs, each small": func() []byte {
			one := deflated("", 1)
			return wheelOf(release(manyZipped(2_000, func(i int) zipped { z := one; z.header.Name = word(i); return z })...)...)
		},
		"entries that share bytes":    func() []byte { return shared(2_000) },
		"60,000 entries in the table": func() []byte { return shared(60_000) },
		"49,000 entries": func() []byte {
			return wheelOf(release(manyZipped(49_000,
				func(i int) zipped { return inflated("trainer/"+word(i)+".py", "") })...)...)
		},
		"deep folders": func() []byte {
			return wheelOf(release(manyZipped(4_000,
				func(i int) zipped { return inflated(steps(490)+word(i)+".py", "") })...)...)
		},
		"names of 60 KiB": func() []byte {
			return wheelOf(release(manyZipped(300, func(i int) zipped {
				return inflated(word(i)+strings.Repeat("n", 60<<10), "")
			})...)...)
		},
		"extra fields of 60 KiB": func() []byte {
			return wheelOf(release(manyZipped(300, func(i int) zipped {
				z := inflated(word(i), "")
				z.header.Extra = extra(60 << 10)
				return z
			})...)...)
		},
		"comments of 60 KiB": func() []byte {
			return wheelOf(release(manyZipped(900, func(i int) zipped {
				z := inflated(word(i), "")
				z.header.Comment = strings.Repeat("c", 60<<10)
				return z
			})...)...)
		},
		"a table that is not there":  func() []byte { return directory(wheelOf(release()...), 5, 1<<31, 1<<31) },
		"a table before the start":   func() []byte { return directory(wheelOf(release()...), 5, 1<<16, 1<<20) },
		"a table that says 65,535":   func() []byte { return directory(wheelOf(release()...), 1<<16-1, 200, 0) },
		"marks of a table, no table": func() []byte { return bytes.Repeat([]byte("PK\x01\x02"), 1<<20) },
		"ends of an archive":         func() []byte { return bytes.Repeat([]byte("PK\x05\x06"), 1<<20) },
		"a size of 8 EiB": func() []byte {
			return wheelOf(release(lies(zip.FileHeader{
				Name:               "x",
				CompressedSize64:   5,
				UncompressedSize64: 1 << 62,
			}, []byte("hello")))...)
		},
		"more than it says": func() []byte {
			z := deflated("x", 16)
			z.header.UncompressedSize64 = 5
			return wheelOf(release(z)...)
		},
		"a wrong checksum": func() []byte { z := deflated("x", 1); z.header.CRC32++; return wheelOf(release(z)...) },
		"an encrypted entry": func() []byte {
			return wheelOf(release(lies(zip.FileHeader{
				Name:               "x",
				Flags:              1,
				CompressedSize64:   5,
				UncompressedSize64: 5,
			}, []byte("hello")))...)
		},
		"an unknown method": func() []byte {
			return wheelOf(release(lies(zip.FileHeader{
				Name:               "x",
				Method:             99,
				CompressedSize64:   5,
				UncompressedSize64: 5,
			}, []byte("hello")))...)
		},
		"noise that is to be inflated": func() []byte {
			return wheelOf(release(lies(zip.FileHeader{
				Name:               "x",
				Method:             zip.Deflate,
				CompressedSize64:   1 << 20,
				UncompressedSize64: 1 << 24,
			}, noise(1<<20)))...)
		},
		"an absolute name": func() []byte { return wheelOf(release(inflated("/etc/passwd", ""))...) },
		"dist-infos without end": func() []byte {
			return wheelOf(release(manyZipped(10_000,
				func(i int) zipped { return inflated(word(i)+".dist-info/METADATA", "Name: x\n") })...)...)
		},
		"a METADATA of 64 MiB": func() []byte {
			return wheelOf(zipped{
				header: zip.FileHeader{Name: "trainer-0.1.dist-info/METADATA", Method: zip.Deflate},
				body:   bytes.Repeat(append(noise(400), '\n'), 160<<10),
			})
		},
		"METADATA again and again": func() []byte {
			return wheelOf(release(manyZipped(1_000, func(int) zipped {
				return inflated("trainer-0.1.dist-info/METADATA", strings.Repeat("Name: y\n", 30<<10))
			})...)...)
		},
		"a RECORD of 7 MiB":    record(longRecord()),
		"a RECORD of one line": record(strings.Repeat("x", 7<<20)),
		"a RECORD of quotes":   record(strings.Repeat(`"`, 7<<20)),
		"a RECORD of commas":   record(strings.Repeat(",", 7<<20)),
		"a RECORD of 64 MiB":   record(strings.Repeat("a,sha256=b,1\n", 5<<20)),
	}
}

func longRecord() string {
	var b strings.Builder
	for i := range 49_000 {
		b.WriteString("trainer/" + strings.Repeat("n", 60) + word(i) +
			".py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n")
	}
	return b.String()
}

// extra returns a well-formed extra field of so many bytes.
func extra(n int) []byte {
	// #nosec G115 -- at most 64 KiB
	field := binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(nil, 0xcafe), uint16(n))
	return append(field, make([]byte, n)...)
}
