package jobspec

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// ApplyDefaults fills in what neither the file nor [File.SetMetadata] gave, field
// by field, labels by their keys; origin says where d comes from, in words that
// a remedy can repeat ("the operator's policy"). A field that could not be read
// is not filled in, since its author wanted something else, and neither is one
// that the job's own choices exclude:
//
//   - beside an image of the job's own: runtimeVersion, pythonVersion,
//     packageUris, pythonModule; beside one of those, an image;
//   - beside a scale tier other than CUSTOM: machine types, counts and
//     accelerators, and beside machines a tier other than CUSTOM;
//   - a machine type of another category than the master's, or of a replica
//     that has no count; accelerators beside another machine type than d's;
//   - a runtime or Python version that does not go with the other;
//   - args beside a container's own command line, and the other way round.
//
// Hyperparameters are filled in only where the job has some, and the job ID
// never is: an ID runs once.
func (f *File) ApplyDefaults(d job.Spec, origin string) {
	if f.unreadable[""] {
		return
	}
	if !f.silent("labels") {
		for key, value := range d.Labels {
			path := join("labels", key)
			if f.given(path) {
				continue
			}
			if f.Spec.Labels == nil {
				f.Spec.Labels = map[string]string{}
			}
			if _, ok := f.Spec.Labels[key]; !ok {
				f.Spec.Labels[key] = value
				f.origins[path] = origin
			}
		}
	}
	in := f.Spec.TrainingInput
	if in == nil || d.TrainingInput == nil || f.silent(trainingInput) {
		return
	}
	x := defaulter{f: f, in: in, d: d.TrainingInput, origin: origin}
	x.image = x.in.HasImage() || x.gives("masterConfig.imageUri")
	for _, role := range roleNames {
		x.commanded = x.commanded || x.gives(role+"Config.containerArgs", role+"Config.containerCommand")
	}
	for _, path := range defaultOrder() {
		if why := x.excludes(path); why == "" {
			x.fill(path)
		} else {
			x.leave(path, why)
		}
	}
}

// ApplyVertexDefaults fills in options for Vertex AI that neither the file nor [File.SetMetadata] gave,
// each as a whole; origin says of each where it comes from, as for [File.ApplyDefaults]. It leaves out what the job's
// own options exclude: a maxWaitDuration beside another strategy than FLEX_START or beside scheduling.maxWaitTime, a
// run beside another experiment, and what a persistent resource, a Private Service Connect interface or a
// peered network of the job's takes the place of.
func (f *File) ApplyVertexDefaults(d job.VertexOptions, origin func(option string) string) {
	if f.unreadable[""] || f.silent(vertexField) {
		return
	}
	own := job.VertexOptions{}
	if f.Options.Vertex != nil {
		own = *f.Options.Vertex
	}
	from, to := reflect.ValueOf(d), reflect.ValueOf(&own).Elem()
	for _, m := range structures()[from.Type()].members { // the strategy comes before what goes with it
		path := join(vertexField, m.name)
		value, place := from.FieldByIndex(m.index), to.FieldByIndex(m.index)
		if value.IsZero() || !place.IsZero() || f.given(path) || f.excludesVertex(&own, d, m.name) {
			continue
		}
		place.Set(value)
		f.origins[path] = origin(m.name)
		f.Options.Vertex = &own
	}
}

// excludesVertex reports whether the job's own choices leave no room for the default of an option.
func (f *File) excludesVertex(own *job.VertexOptions, d job.VertexOptions, name string) bool {
	switch name {
	case "maxWaitDuration":
		return !own.FlexStart() || f.given(maxWaitTime)
	case "strategy", "reservationAffinity":
		return own.PersistentResourceID != "" || f.given(persistentField)
	case "persistentResourceId":
		return f.given(strategyField) || f.given(reservationField)
	case "experimentRun":
		return own.Experiment != d.Experiment
	case "pscInterfaceConfig":
		return f.Spec.TrainingInput != nil && f.given(below+"network")
	}
	return false
}

// given reports whether the file or the metadata sets a field, readable or not.
func (f *File) given(path string) bool {
	p, there := f.places[path]
	return there && !p.null || f.origins[path] != "" || f.silent(path)
}

// roleNames are the roles in the order of [job.TrainingInput.Roles], which is also that of
// Vertex AI's worker pools.
var roleNames = [...]string{"master", "worker", "parameterServer", "evaluator"}

// defaultOrder lists the fields below trainingInput that hold no further ones:
// first those that others depend on.
var defaultOrder = sync.OnceValue(func() []string {
	rank := func(path string) int {
		switch {
		case path == "scaleTier":
			return 0
		case strings.HasSuffix(path, "Count"), path == "masterType":
			return 1
		case path == "masterConfig.imageUri":
			return 2
		}
		return 3
	}
	var paths []string
	for _, s := range spots() {
		path, below := strings.CutPrefix(s.path, trainingInput+".")
		if below && !strings.Contains(path, "[]") && s.typ.Kind() != reflect.Pointer {
			paths = append(paths, path)
		}
	}
	slices.SortStableFunc(paths, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	return paths
})

// defaulter fills in a training input from the default d.
type defaulter struct {
	f      *File
	in, d  *job.TrainingInput
	origin string
	// image and commanded tell that the job itself has an image, and command
	// lines of containers.
	image, commanded bool
}

// gives reports whether the job itself sets one of these fields.
func (x *defaulter) gives(paths ...string) bool {
	return slices.ContainsFunc(paths, func(path string) bool { return x.f.given(join(trainingInput, path)) })
}

// excludes returns why the job's own choices leave no room for a default, or "".
func (x *defaulter) excludes(path string) string {
	const (
		tier    = "it goes with scaleTier CUSTOM only"
		noImage = "it goes with an image only"
		image   = "the job has an image of its own"
		command = "the job has a command line of its own"
	)
	unless := func(ok bool, why string) string {
		if ok {
			return ""
		}
		return why
	}
	role, inConfig, _ := strings.Cut(path, "Config.")
	switch {
	case path == "scaleTier":
		return unless(x.d.ScaleTier == "CUSTOM" || !x.gives("masterType", "workerType", "workerCount",
			"parameterServerType", "parameterServerCount", "evaluatorType", "evaluatorCount"),
			"the job names machines of its own, which go with CUSTOM")
	case path == "masterType", strings.HasSuffix(path, "Count"):
		return unless(x.in.ScaleTier == "CUSTOM", tier)
	case strings.HasSuffix(path, "Type") && inConfig == "":
		if x.in.ScaleTier != "CUSTOM" {
			return tier
		}
		return unless(x.fits(path), "it does not go with masterType, or there are no such replicas")
	case strings.HasPrefix(inConfig, "acceleratorConfig."):
		_, own := x.f.places[join(trainingInput, path[:strings.LastIndexByte(path, '.')])]
		if x.in.ScaleTier != "CUSTOM" {
			return tier
		}
		return unless(!own && textOf(x.in, role+"Type") == textOf(x.d, role+"Type"), "the job has another machine type")

	case path == "masterConfig.imageUri":
		return unless(!x.gives("runtimeVersion", "pythonVersion", "packageUris", "pythonModule"),
			"the job names a runtime or a package of its own")
	case inConfig == "imageUri", inConfig == "tpuTfVersion", path == "useChiefInTfConfig":
		return unless(x.in.HasImage(), noImage)
	case path == "packageUris", path == "pythonModule":
		return unless(!x.hasImage(), image)
	case path == "runtimeVersion":
		if x.hasImage() {
			return image
		}
		return unless(agree(x.in.PythonVersion, x.d.RuntimeVersion), "it does not go with pythonVersion "+x.in.PythonVersion)
	case path == "pythonVersion":
		if x.hasImage() {
			return image
		}
		return unless(agree(x.d.PythonVersion, x.in.RuntimeVersion), "it does not go with runtimeVersion "+x.in.RuntimeVersion)

	case path == "args":
		return unless(!x.commanded, command)
	case inConfig == "containerArgs", inConfig == "containerCommand":
		return unless(x.in.HasImage() && !x.commanded && len(x.in.Args) == 0 && !x.gives("args"), command)
	case strings.HasPrefix(path, "hyperparameters."):
		return unless(x.in.Hyperparameters != nil, "the job tunes nothing")
	}
	return ""
}

// leave notes why the default of a field is not used, for whoever misses the field.
func (x *defaulter) leave(path, why string) {
	src := x.source(path)
	if src.Kind() != reflect.String || src.IsZero() {
		return
	}
	x.f.unused[join(trainingInput, path)] = fmt.Sprintf("the default %s of %s is not used: %s", show(src.String()), x.origin, why)
}

func (x *defaulter) hasImage() bool { return x.image || x.in.HasImage() }

// fits reports whether a default machine type goes with the replica's count and the
// master's type.
func (x *defaulter) fits(path string) bool {
	known := DefaultCatalogue()
	master, category := known.category(x.in.MasterType), known.category(textOf(x.d, path))
	count := reach(reflect.ValueOf(x.in), strings.TrimSuffix(path, "Type")+"Count").Int()
	return count > 0 && (master == category || master == TPU || category == TPU || master == "" || category == "")
}

// agree reports whether a Python version goes with a runtime version, as far as
// known.
func agree(python, runtime string) bool {
	v, ok := parseVersion(runtime)
	p, known := DefaultCatalogue().python(python)
	return !ok || !known || p.has(v)
}

// textOf returns the text of a field.
func textOf(in *job.TrainingInput, name string) string {
	return field(reflect.ValueOf(in).Elem(), name).String()
}

// source returns a field of the defaults, which is not valid if they lack it.
func (x *defaulter) source(path string) reflect.Value {
	src := reflect.ValueOf(x.d)
	for name := range strings.SplitSeq(path, ".") {
		if src = src.Elem(); !src.IsValid() {
			break // a nil pointer on the way
		}
		src = field(src, name)
		if src.Kind() != reflect.Pointer {
			break
		}
	}
	return src
}

// fill sets one field that is not given.
func (x *defaulter) fill(path string) {
	src := x.source(path)
	full := join(trainingInput, path)
	if !src.IsValid() || src.IsZero() || x.f.given(full) {
		return
	}
	dst := reach(reflect.ValueOf(x.in), path)
	if !dst.IsZero() {
		return // set by the caller
	}
	if src.Kind() == reflect.Slice { // the caller may change its own
		src = reflect.AppendSlice(reflect.MakeSlice(src.Type(), 0, src.Len()), src)
	}
	dst.Set(src)
	x.f.origins[full] = x.origin
}
