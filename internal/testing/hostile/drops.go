package hostile

import (
	"maps"
	"slices"
)

// Drop is a folder that is hostile in one thing: its job file, that file's
// metadata, or its package.
type Drop struct {
	Name string
	// Files makes the folder's files, by name; JobFile is that of the job file,
	// which has the metadata.
	Files    func() map[string][]byte
	Metadata map[string]string
	// Refused reports that every check has to refuse it.
	Refused bool
}

// JobFile is the name of a drop's job file.
const JobFile = "job.yaml"

// jobFile is one that is sound.
const jobFile = `trainingInput:
  scaleTier: BASIC
  region: us-central1
  runtimeVersion: '2.11'
  pythonVersion: '3.7'
  pythonModule: trainer.task
`

// waits is the job file that names packages which nobody uploads.
const waits = "packages"

// Drops returns a drop for each of [JobFiles], [Metadata] and [Packages].
func Drops() []Drop {
	var all []Drop
	with := func(file string, job []byte, pack func() []byte) func() map[string][]byte {
		return func() map[string][]byte { return map[string][]byte{JobFile: job, file: pack()} }
	}
	sound := func() []byte { return sdist() }
	for _, in := range JobFiles() {
		all = append(all, Drop{"job file: " + in.Name, with(Sdist, in.Data, sound), nil, in.Name != waits})
	}
	for _, name := range slices.Sorted(maps.Keys(Metadata())) {
		size := 0
		for key, value := range Metadata()[name] {
			size += len(key) + len(value)
		}
		if size > MetadataSize {
			continue // Cloud Storage does not take it
		}
		all = append(all, Drop{"metadata: " + name, with(Sdist, []byte(jobFile), sound), Metadata()[name], false})
	}
	for _, p := range Packages() {
		all = append(all, Drop{p.File + ": " + p.Name, with(p.File, []byte(jobFile), p.Make), nil, p.Refused})
	}
	return all
}
