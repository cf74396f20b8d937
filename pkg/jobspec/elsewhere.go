package jobspec

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// named is the place that a name from elsewhere has in a job file.
type named struct {
	// to is the field's path. {role} stands for a kind of replica.
	to string
	// remark says more about the place. Without a place it is all there is to say.
	remark string
}

const (
	below = trainingInput + "."
	tuned = hyperField + "."
)

// vertexNames are the names of aiplatform/v1 (CustomJob, CustomJobSpec,
// HyperparameterTuningJob and their parts) that job files don't have, as [fold]
// makes them.
var vertexNames = map[string]named{
	"displayname":      {to: "jobId", remark: "of letters, digits and underscores"},
	"encryptionspec":   {to: below + "encryptionConfig"},
	"machinetype":      {to: below + "{role}Type"},
	"replicacount":     {to: below + "{role}Count"},
	"acceleratortype":  {to: below + "{role}Config.acceleratorConfig.type"},
	"acceleratorcount": {to: below + "{role}Config.acceleratorConfig.count"},
	"diskspec":         {to: below + "{role}Config.diskConfig"},
	"command":          {to: below + "{role}Config.containerCommand"},
	"executorimageuri": {to: below + "runtimeVersion and " + below + "pythonVersion"},
	"env":              {remark: "pass what env holds in args, as jobs set no environment variables"},

	"timeout":             {to: maxRunningTime},
	"baseoutputdirectory": {to: jobDirField},

	"strategy":                  {to: strategyField},
	"maxwaitduration":           {to: vertexWaitField},
	"restartjobonworkerrestart": {to: vertexField + ".restartJobOnWorkerRestart"},
	"disableretries":            {to: vertexField + ".disableRetries"},
	"persistentresourceid":      {to: persistentField},
	"reservationaffinity":       {to: reservationField},
	"tensorboard":               {to: tensorboardField},
	"experiment":                {to: experimentField},
	"experimentrun":             {to: vertexField + ".experimentRun"},
	"enabledashboardaccess":     {to: vertexField + ".enableDashboardAccess"},
	"pscinterfaceconfig":        {to: interfaceField},
	"nfsmounts":                 {to: vertexField + ".nfsMounts"},
	"lustremounts":              {to: vertexField + ".lustreMounts"},
	"gpupartitionsize":          {to: gpuPartitionField},

	"maxtrialcount":       {to: tuned + "maxTrials"},
	"paralleltrialcount":  {to: tuned + "maxParallelTrials"},
	"maxfailedtrialcount": {to: tuned + "maxFailedTrials"},
	"metrics":             {to: tuned + "hyperparameterMetricTag and " + tuned + "goal"},
	"metricid":            {to: tuned + "hyperparameterMetricTag"},
	"parameters": {
		to: paramsField, remark: "each with parameterName, type, and minValue and maxValue or a list of values",
	},
	"parameterid":                 {to: paramsField + "[].parameterName"},
	"doublevaluespec":             {to: paramsField + "[].type", remark: "DOUBLE, with minValue and maxValue beside it"},
	"integervaluespec":            {to: paramsField + "[].type", remark: "INTEGER, with minValue and maxValue beside it"},
	"categoricalvaluespec":        {to: paramsField + "[].type", remark: "CATEGORICAL, with categoricalValues beside it"},
	"discretevaluespec":           {to: paramsField + "[].type", remark: "DISCRETE, with discreteValues beside it"},
	"medianautomatedstoppingspec": {to: tuned + "enableTrialEarlyStopping", remark: "true"},
}

// sharedNames are Vertex AI's names that job files have, too, each with its place.
// They are looked up in a file of Vertex AI's alone.
var sharedNames = map[string]named{
	"labels":          {to: "labels"},
	"imageuri":        {to: below + "{role}Config.imageUri"},
	"args":            {to: below + "args"},
	"packageuris":     {to: packagesField},
	"pythonmodule":    {to: moduleField},
	"serviceaccount":  {to: below + "serviceAccount"},
	"network":         {to: below + "network"},
	"enablewebaccess": {to: below + "enableWebAccess"},
	"algorithm":       {to: tuned + "algorithm"},
}

// gcloudNames are flags of gcloud ai-platform jobs submit training that have other
// names than the fields that they set, as [fold] makes them.
var gcloudNames = map[string]named{
	"mastermachinetype":          {to: below + "masterType"},
	"masteraccelerator":          {to: below + "masterConfig.acceleratorConfig"},
	"masterimageuri":             {to: below + "masterConfig.imageUri"},
	"workermachinetype":          {to: below + "workerType"},
	"workeraccelerator":          {to: below + "workerConfig.acceleratorConfig"},
	"workerimageuri":             {to: below + "workerConfig.imageUri"},
	"parameterservermachinetype": {to: below + "parameterServerType"},
	"parameterserveraccelerator": {to: below + "parameterServerConfig.acceleratorConfig"},
	"parameterserverimageuri":    {to: below + "parameterServerConfig.imageUri"},
	"modulename":                 {to: moduleField},
	"packages":                   {to: packagesField},
	"packagepath":                {remark: "put the package that setup.py sdist makes into the drop's folder"},
	"stagingbucket":              {remark: "remove it: jobdrop stages packages by itself"},
	"kmskey":                     {to: kmsKeyField},
	"userargs":                   {to: below + "args"},
}

// fromElsewhere returns whose name a key of field is, and where it belongs, or "".
func (d *decoder) fromElsewhere(field, name string) (whose string, n named) {
	if d.other() || len(name) > maxKey || strings.HasPrefix(field, "jobdrop") {
		return "", named{}
	}
	folded := fold(name)
	if n, ok := vertexNames[folded]; ok {
		return "Vertex AI", n
	}
	if n, ok := gcloudNames[folded]; ok {
		return "gcloud", n
	}
	return "", named{}
}

// forRole returns where the name belongs for a kind of replica.
func (n named) forRole(role string) string { return strings.ReplaceAll(n.to, "{role}", role) }

// remedy says what to do with a field that has the name.
func (n named) remedy() string {
	switch {
	case n.to == "":
		return n.remark
	case n.remark == "":
		return "write it as " + n.forRole("master")
	}
	return "write it as " + n.forRole("master") + ", " + n.remark
}

// vertexParts are the structures in which Vertex AI's files show themselves, as
// [fold] makes them.
var vertexParts = []string{
	"workerpoolspecs", "jobspec", "customjobspec", "studyspec", "trialjobspec", "trainingtaskdefinition",
	"trainingtaskinputs", "machinespec", "pythonpackagespec", "containerspec", "customjob", "hyperparametertuningjob",
}

// maxMoves is how many fields of a file of Vertex AI's a remedy names.
const maxMoves = 24

// vertexSpec returns a violation if the file is a job of Vertex AI's, in any of the
// forms in which its tools take one. It says all there is to say of the file.
func vertexSpec(root *yaml.Node) *job.Violation {
	found := map[string]bool{}
	first := vertexPart(root, "", 3, found)
	if first == nil {
		return nil
	}
	what := "worker pool (WorkerPoolSpec)"
	switch {
	case found["studyspec"], found["trialjobspec"], found["hyperparametertuningjob"]:
		what = "HyperparameterTuningJob"
	case found["trainingtaskinputs"]:
		what = "TrainingPipeline"
	case found["jobspec"], found["customjob"]:
		what = "CustomJob"
	case found["workerpoolspecs"], found["customjobspec"]:
		what = "CustomJobSpec"
	case root.Kind == yaml.SequenceNode:
		what = "list of worker pools (workerPoolSpecs)"
	}
	w := moves{below: []string{"scaleTier: CUSTOM", "region"}}
	w.walk(root, "", 0)
	v := &job.Violation{
		Rule:     ruleVertexSpec,
		Position: first.pos,
		Field:    first.path,
		Allowed:  "jobId, labels, trainingInput, jobdrop",
		Message: fmt.Sprintf("this is Vertex AI's %s; jobdrop takes a job of AI Platform Training, and makes Vertex "+
			"AI's of it", what),
	}
	for _, list := range [...]struct {
		head  string
		parts []string
	}{{"write ", w.top}, {"write below trainingInput: ", w.below}, {"", w.remarks}, {"leave out ", w.left}} {
		if len(list.parts) == 0 {
			continue
		}
		if v.Remedy != "" {
			v.Remedy += "; "
		}
		v.Remedy += list.head + strings.Join(list.parts[:min(len(list.parts), maxMoves)], ", ")
		if len(list.parts) > maxMoves {
			v.Remedy += " and so on"
		}
	}
	return v
}

// vertexPlace is where a file shows that it is Vertex AI's.
type vertexPlace struct {
	path string
	pos  job.Position
}

// vertexPart finds the first of vertexParts at most levels below n, and notes all of
// them in found. A file that has a training input's own fields, too, is a job file
// with names from elsewhere.
func vertexPart(n *yaml.Node, path string, levels int, found map[string]bool) *vertexPlace {
	if levels == 0 {
		return nil
	}
	var first *vertexPlace
	switch n.Kind {
	case yaml.SequenceNode:
		if len(n.Content) > 0 && n.Content[0].Kind == yaml.MappingNode {
			return vertexPart(n.Content[0], element(path, 0), levels-1, found)
		}
	case yaml.MappingNode:
		own := false
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			if key.Kind != yaml.ScalarNode || len(key.Value) > maxKey ||
				value.Kind != yaml.MappingNode && value.Kind != yaml.SequenceNode {
				continue
			}
			name, at := fold(key.Value), join(path, printable(text.Shorten(key.Value, maxShown)))
			switch {
			case name == "labels" || name == "jobdrop":
				continue
			case slices.Contains(vertexParts, name):
				found[name] = true
				if first == nil {
					first = &vertexPlace{at, position(key)}
				}
			case path == "" && name == fold(trainingInput):
				own = hasOwnField(value)
			}
			if at := vertexPart(value, at, levels-1, found); at != nil {
				own = own && name != fold(trainingInput)
				if first == nil {
					first = at
				}
			}
		}
		if own {
			return nil
		}
	}
	return first
}

// hasOwnField reports whether a mapping has a field of a training input.
func hasOwnField(n *yaml.Node) bool {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if isTrainingField(n.Content[i].Value) {
			return true
		}
	}
	return false
}

// moves gathers which field of a file of Vertex AI's goes where: to the top of a job
// file, or below its trainingInput.
type moves struct{ top, below, remarks, left []string }

func (w *moves) walk(n *yaml.Node, key string, pool int) {
	if len(w.top)+len(w.below)+len(w.remarks)+len(w.left) > 4*maxMoves {
		return
	}
	switch n.Kind {
	case yaml.SequenceNode:
		for i, item := range n.Content {
			if key == "" || fold(key) == "workerpoolspecs" {
				if pool = i; pool == len(roleNames) {
					return
				}
			}
			w.walk(item, key, pool)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if k := n.Content[i]; k.Kind == yaml.ScalarNode && len(k.Value) <= maxKey {
				w.entry(k.Value, n.Content[i+1], fold(key) == fold(trainingInput), pool)
			}
		}
	}
}

// described are fields of a job's description that say what became of the job.
var described = []string{
	"name", "state", "createtime", "starttime", "endtime", "updatetime", "etag", "error", "trials",
	"trainingtaskdefinition",
}

// entry says where one key goes. In a training input its own fields stay.
func (w *moves) entry(key string, value *yaml.Node, inTraining bool, pool int) {
	name, shown := fold(key), printable(text.Shorten(key, maxShown))
	if pool > 0 {
		shown = fmt.Sprintf("workerPoolSpecs[%d]'s %s", pool, shown)
	}
	to, ok := vertexNames[name]
	if !ok {
		to, ok = sharedNames[name]
	}
	switch {
	case isNull(value), name == "replicacount" && pool == 0, slices.Contains(described, name),
		inTraining && isTrainingField(key) && name != "scheduling", key == "jobId", ok && to.to == key:
	case ok && to.to == "":
		w.remarks = append(w.remarks, to.remark)
	case ok:
		place := to.forRole(roleNames[pool])
		if v := versions(value.Value); name == "executorimageuri" && v != "" {
			place = v
		}
		move := strings.ReplaceAll(place, below, "")
		if move != shown {
			move += " for " + shown
		}
		if to.remark != "" {
			move += " (" + to.remark + ")"
		}
		if strings.HasPrefix(to.to, below) {
			w.below = append(w.below, move)
		} else {
			w.top = append(w.top, move)
		}
	case value.Kind == yaml.MappingNode || value.Kind == yaml.SequenceNode && len(value.Content) > 0 &&
		value.Content[0].Kind == yaml.MappingNode:
		w.walk(value, key, pool)
	default:
		w.left = append(w.left, shown)
	}
}

// versions returns the fields that stand for one of Google's training images of
// TensorFlow, or "".
func versions(image string) string {
	_, name, ok := strings.Cut(image, "/vertex-ai/training/tf-")
	name, _, _ = strings.Cut(name, ":")
	_, name, found := strings.Cut(name, ".")
	release, python, _ := strings.Cut(name, ".py")
	major, minor, dash := strings.Cut(release, "-")
	if !ok || !found || !dash || !only(major, isDigit) || !only(minor, isDigit) {
		return ""
	}
	version := "3.7"
	if len(python) > 1 && only(python, isDigit) {
		version = python[:1] + "." + python[1:]
	}
	return fmt.Sprintf("runtimeVersion: '%s.%s' and pythonVersion: '%s'", major, minor, version)
}
