package policy

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"reflect"
	"testing"

	"github.com/jobdrop/jobdrop/internal/check/glob"
	"github.com/jobdrop/jobdrop/internal/testing/schematest"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

var update = flag.Bool("update", false, "write policy.schema.json anew")

type object = schematest.Object

// ofJob returns what the schema of job files says about a field, less its
// description.
func ofJob(t *testing.T, path ...string) object {
	t.Helper()
	var s object
	if err := json.Unmarshal(jobspec.Schema(), &s); err != nil {
		t.Fatal(err)
	}
	for _, name := range path {
		s, _ = s[name].(object)
	}
	if s == nil {
		t.Fatalf("the schema of job files has no %v", path)
	}
	s = maps.Clone(s)
	delete(s, "description")
	return s
}

// descriptions returns an entry for each member of each structure.
func descriptions(t *testing.T) map[string]schematest.Described {
	field := func(name string) object { return ofJob(t, "$defs", "TrainingInput", "properties", name) }
	duration := func(example string) object {
		s := ofJob(t, "$defs", "Scheduling", "properties", "maxRunningTime")
		s["examples"] = []string{example}
		return s
	}
	python := object{"pattern": `^[0-9]+\.[0-9]+$`, "examples": field("pythonVersion")["enum"]} // the file may add to them
	version := object{"pattern": field("runtimeVersion")["pattern"]}
	day := object{"pattern": `^[0-9]{4}-[0-9]{2}-[0-9]{2}$`}
	patterns := func(description string, items object, examples ...string) schematest.Described {
		all := object{"minLength": 1, "maxLength": glob.MaxPattern}
		maps.Copy(all, items)
		return schematest.Described{
			Text: description, More: object{"maxItems": maxEntries, "examples": [][]string{examples}}, Items: all,
		}
	}
	uri := object{"pattern": `^(gs://|\*\*$)`}
	all := map[string]schematest.Described{
		"document.catalogue": {Text: "What the service offers besides what jobdrop knows of."},
		"document.prefixes": {
			Text: "Settings for some folders. Each setting is taken from the most specific pattern that matches the folder " +
				"and has it, else from the file's top.", More: object{"maxItems": maxEntries},
		},
		"Prefix.match": {
			Text: "Pattern of folders in the inbox: * stands for any characters other than /, ** for any characters at all.",
			More: object{
				"minLength": 1, "maxLength": glob.MaxPattern, "pattern": "^[^/]", "not": object{"pattern": "://"},
				"examples": []string{"teams/nlp/**"},
			},
		},

		"document.viewers": {
			Text: "Who sees which drops in the console on Cloud Run; nobody if missing.", More: object{"maxItems": maxEntries},
		},
		"Viewers.members": patterns("People, service accounts and domains, as in IAM.",
			object{"pattern": "^(user|serviceAccount|domain):"}, "user:ann@example.com", "domain:example.com"),
		"Viewers.prefixes": patterns("Patterns of the folders that they see.",
			object{"pattern": "^[^/]", "not": object{"pattern": "://"}}, "teams/nlp/**"),
		"Viewers.outputs": patterns("Job directories whose outputs and curves they see, of drops in these folders; none if "+
			"missing.", uri, "gs://nlp-output/**"),

		"Defaults.region": {Text: "Region that jobs run in.", More: field("region")},
		"Defaults.runtimeVersion": {
			Text: "Version of the service's machine image, in quotes. Jobs with an image of their own go without.",
			More: field("runtimeVersion"),
		},
		"Defaults.pythonVersion": {
			Text: "Python version, in quotes. Jobs with an image of their own go without.", More: python,
		},
		"Defaults.labels": {
			Text: "Labels, each of which a job may set otherwise.", More: ofJob(t, "properties", "labels"),
		},
		"Defaults.serviceAccount": {Text: "Account whose rights trainers have.", More: field("serviceAccount")},
		"Defaults.network":        {Text: "VPC network to peer with, by the number of its project.", More: field("network")},
		"Defaults.maxRunningTime": {
			Text: "Seconds that a job may run, with the suffix s. Where the limit is lower, that counts.",
			More: duration("14400s"),
		},

		"Defaults.vertex": {Text: "Options for Vertex AI, each of which a job may set otherwise."},

		"Allow.regions": patterns("Regions; any if missing.", nil, "europe-west4"),
		"Allow.machineTypes": patterns("Machine types, and scale tiers other than CUSTOM; any if missing.", nil, "BASIC",
			"n1-*"),
		"Allow.accelerators": patterns("Accelerators, those that come with a machine type or a scale tier among them; "+
			"any if missing.", nil, "NVIDIA_TESLA_T4"),
		"Allow.images": patterns("Container images. The word project stands for the project's own registries, "+
			"which are allowed if the list is missing.", object{"not": object{"pattern": "://"}}, "project",
			"gcr.io/my-project/*"),
		"Allow.serviceAccounts": patterns("Service accounts; none if missing. * does not stand for @.", nil,
			"trainer-*@my-project.iam.gserviceaccount.com"),
		"Allow.networks": patterns("VPC networks; none if missing.", nil,
			"projects/123456789012/global/networks/default"),
		"Allow.jobDirs": patterns("Folders that jobs may write to; any if missing, jobdrop's own buckets never.", uri,
			"gs://my-bucket/**"),
		"Allow.packageSources": patterns("Packages outside the drop's folder; none if missing.", uri, "gs://my-bucket/*.whl"),
		"Allow.strategies": patterns("Strategies of Vertex AI; any if missing. A job that names none has STANDARD.", nil,
			"SPOT"),
		"Allow.reservations": patterns("Reservations, and the word ANY_RESERVATION; none if missing.", nil,
			"projects/my-project/zones/*/reservations/nlp-*"),
		"Allow.persistentResources": patterns("IDs of persistent resources; none if missing.", nil, "nlp-*"),
		"Allow.tensorboards": patterns("TensorBoards; none if missing.", nil,
			"projects/my-project/locations/*/tensorboards/*"),
		"Allow.experiments": patterns("Contexts of experiments; none if missing.", nil,
			"projects/my-project/locations/*/metadataStores/default/contexts/nlp-*"),
		"Allow.networkAttachments": patterns("Network attachments; none if missing.", nil,
			"projects/my-project/regions/*/networkAttachments/training"),
		"Allow.nfsMounts": patterns("What NFS servers export, as SERVER:PATH; none if missing.", nil, "10.0.0.2:/data/**"),
		"Allow.lustreMounts": patterns("Lustre file systems as IP:/FILESYSTEM, and handles of volumes; none if missing. A "+
			"mount needs both.", nil, "10.0.0.3:/scratch"),

		"Limits.replicas": {
			Text: "Replicas of one job at the same time, the master and those of parallel trials among them.",
			More: object{"minimum": 1, "examples": []int{8}},
		},
		"Limits.maxRunningTime": {
			Text: "Seconds that a job may run, with the suffix s. A job that says nothing gets it.", More: duration("86400s"),
		},
		"Limits.packageBytes": {
			Text: "Size of a drop's packages in all.", More: object{"minimum": 1, "examples": []int{100 << 20}},
		},

		"Limits.activeJobs": {
			Text: "Jobs of these folders without a verdict, all together. More wait for their turn.",
			More: object{"minimum": 1, "examples": []int{8}},
		},
		"Limits.jobsPerHour": {
			Text: "Jobs of these folders created within an hour, all together. More wait for their turn.",
			More: object{"minimum": 1, "examples": []int{20}},
		},
		"Limits.restarts": {
			Text: "How often the backend may start a job again that ran, before jobdrop cancels it; any number if missing. " +
				"0 keeps Vertex AI from doing it at all.",
			More: object{"minimum": 0, "examples": []int{10}},
		},

		"Limits.acceleratorHours": {
			Text: "Accelerator hours that all jobs of these folders may use, together. One accelerator for an hour is one hour.",
		},
		"AcceleratorHours.per": {Text: "Time that most is for: a calendar month of UTC."},
		"AcceleratorHours.most": {
			Text: "Hours. A job counts for what it may take at most until it has ended, then for what it used.",
			More: object{"minimum": 1, "maximum": mostHours, "examples": []int{2000}},
		},
		"AcceleratorHours.over": {
			Text: "What becomes of a drop for which too few hours are left: wait, if missing, or refuse.",
		},

		"Patience.settle": {
			Text: "How long a folder that ran before is given for its new package.", More: duration("60s"),
		},
		"Patience.incomplete": {Text: "When missing packages are reported.", More: duration("600s")},
		"Patience.expire":     {Text: "When a drop that lacks packages is given up.", More: duration("86400s")},
		"Patience.submit": {
			Text: "How long the backend is asked for the job of an accepted drop that it does not take.",
			More: duration("86400s"),
		},
		"Patience.stuck":  {Text: "How long a job may stay in a state before that is reported."},
		"Stuck.queued":    {Text: "Seconds in the backend's queue, with the suffix s.", More: duration("7200s")},
		"Stuck.preparing": {Text: "Seconds of preparation, with the suffix s.", More: duration("1800s")},
		"Stuck.running":   {Text: "Seconds of running, with the suffix s.", More: duration("43200s")},
		"Stuck.cancelling": {
			Text: "Seconds that a cancel may take, with the suffix s. 3600s if missing.", More: duration("3600s"),
		},
		"Patience.alone": {
			Text: "How long packages may lie in a folder without a job file before that is reported.", More: duration("3600s"),
		},
		"Patience.grace": {
			Text: "How long after a limit on its time jobdrop cancels a job that the backend has not.", More: duration("900s"),
		},

		"Vertex.strict": {
			Text: "Refuse a job of which anything would be replaced or left out; else that is a warning.",
		},
		"Vertex.images": {
			Text: "Container images that stand for runtime versions in the place of Google's own, by 2.11, or by 2.11/3.7 for " +
				"one Python version.", More: object{
				"propertyNames": object{"pattern": runtimeKey.String()},
				"examples":      []object{{"2.11": "europe-docker.pkg.dev/my-project/images/tf:2.11"}},
			},
		},
		"Vertex.accelerators": {
			Text: "Accelerators that jobs get in the place of those that they name.",
			More: object{"examples": []object{{"NVIDIA_TESLA_K80": "NVIDIA_TESLA_T4"}}},
		},
		"Vertex.disableRetries": {Text: "Keep the service from running a failed job again."},

		"Catalogue.date":     {Text: "Day up to which the sources were read.", More: day},
		"Catalogue.sources":  {Text: "Where the entries come from."},
		"Catalogue.machines": {Text: "Machine types."},
		"Catalogue.regions":  {Text: "Regions that train."},
		"Catalogue.runtimes": {Text: "Runtime versions."},
		"Catalogue.pythons":  {Text: "Python versions."},
		"Catalogue.minWait": {
			Text: "Shortest scheduling.maxWaitTime that the service takes: for a service of one's own.", More: duration("1s"),
		},

		"Machine.names": {
			Text: "Machine types that are alike in what follows.",
			More: object{"minItems": 1, "examples": [][]string{{"c3-standard-8"}}},
		},
		"Machine.category": {
			Text: "Kind of machine types: those of one job must not mix the first two.",
			More: object{"enum": []jobspec.Category{jobspec.Legacy, jobspec.ComputeEngine, jobspec.TPU}},
		},
		"Machine.accelerators": {
			Text: "Numbers of each accelerator that one machine can have: an empty list says none. Of those that are missing " +
				"nothing is known.", More: object{"examples": []object{{"NVIDIA_TESLA_T4": []int{1, 2, 4}}}},
		},
		"Machine.deduced": {Text: "No source states the accelerators: a contradiction is a warning then."},
		"Region.name":     {Text: "The region's name.", More: object{"minLength": 1}},
		"Region.tpu":      {Text: "It has TPUs."},
		"Runtime.version": {
			Text: "Major and minor version, in quotes.", More: object{"pattern": `^[0-9]{1,4}\.[0-9]{1,4}$`},
		},
		"Runtime.ended": {Text: "Day since when the service no longer trains with it.", More: day},
		"Runtime.tpu": {
			Text: "Whether it works with TPUs, in quotes; not known if missing.", More: object{"enum": []string{"yes", "no"}},
		},
		"Python.version": {Text: "Version, in quotes.", More: python},
		"Python.from":    {Text: "First runtime version that has it, in quotes.", More: version},
		"Python.manualFrom": {
			Text: "First runtime version that has it by the manual, in quotes, where that is later than from: those in " +
				"between are a warning.", More: version,
		},
		"Python.to": {Text: "Last runtime version that has it, in quotes.", More: version},
	}
	for _, where := range []string{"document.", "Prefix."} {
		all[where+
			"defaults"] = schematest.Described{
			Text: "Values for jobs that say nothing themselves. The lists of allow do not bind them.",
		}
		all[where+
			"allow"] = schematest.Described{
			Text: "Lists of patterns. A list that is there allows nothing else, an empty one nothing.",
		}
		all[where+
			"limits"] = schematest.Described{
			Text: "What one job may have at most, and how many there may be; what is missing is not limited.",
		}
		all[where+"pause"] = schematest.Described{Text: "No job is created; drops are accepted all the same, and wait."}
		all[where+"sameContent"] = schematest.Described{
			Text: "What becomes of a drop without a job ID whose content ran before in its folder and has ended: run, if " +
				"missing, or withdraw. The metadata jobdrop-rerun of the job file runs it always.",
		}
		all[where+"logExcerpt"] = schematest.Described{
			Text: "The event of a failed job, and its status.json, show the end of its log, which may hold secrets; false if missing.",
		}
		all[where+"vertex"] = schematest.Described{Text: "How jobs are put into Vertex AI's words."}
		all[where+
			"patience"] = schematest.Described{Text: "How long jobdrop waits; a missing one is the installation's own setting."}
	}
	for _, name := range [...]string{
		"VertexOptions", "ReservationAffinity", "PSCInterfaceConfig", "DNSPeeringConfig", "NFSMount", "LustreMount",
	} {
		for member, of := range ofJob(t, "$defs", name, "properties") {
			of := maps.Clone(of.(object))
			text := of["description"].(string)
			delete(of, "description")
			all[name+"."+member] = schematest.Described{Text: text, More: of}
		}
	}
	return all
}

func TestSchema(t *testing.T) {
	schematest.UpToDate(t, "policy.schema.json", schematest.Source{
		Root:  reflect.TypeFor[document](),
		ID:    "https://jobdrop.dev/schemas/policy.schema.json",
		Title: "jobdrop policy",
		Description: "What an operator lets jobs ask for: defaults, lists of what is allowed, limits and patience, for " +
			"all folders of the inbox or for some.",
		Descriptions: descriptions(t),
		Required: map[string][]string{
			"Prefix": {"match"}, "Viewers": {"members", "prefixes"},
			"Machine": {"names", "category"}, "Region": {"name"}, "Runtime": {"version"},
			"Python": {"version"}, "AcceleratorHours": {"per", "most"},
		},
	}.Generate(t), *update)
}

func validator(t *testing.T) func(data []byte) error {
	t.Helper()
	s, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	return schematest.Validator(t, s)
}

func TestSchemaAccepts(t *testing.T) {
	validate := validator(t)
	file, err := os.ReadFile("../../../testdata/policy/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	accepted := []string{
		string(file), "{}", "allow: {images: []}", "allow: {regions: us-east1}", "allow: {jobDirs: '**'}",
		"limits: {replicas: '5'}",
		"logExcerpt: true", "prefixes: [{match: a, logExcerpt: false}]", "sameContent: run", "prefixes: [{match: a, sameContent: withdraw}]",
		"patience: {settle: 0s}", "{catalogue: {pythons: [{version: '3.12'}]}, defaults: {pythonVersion: '3.12'}}",
		"prefixes: []", "prefixes: [{match: '*'}]",
		"catalogue: {date: '2026-01-01', sources: [us], machines: [{names: x-1, category: TPU, deduced: true}]}",
	}
	for _, tt := range parseCases() {
		if len(tt.want) == 0 && tt.name != "sections without settings" { // that an editor may mark
			accepted = append(accepted, tt.data)
		}
	}
	for _, data := range accepted {
		if err := validate([]byte(data)); err != nil {
			t.Errorf("%v\n%s", err, data)
		}
		if _, vs := Parse("policy.yaml", []byte(data)); job.HasErrors(vs) {
			t.Errorf("only the schema accepts\n%s\n%v", data, vs)
		}
	}
}

func TestSchemaRefuses(t *testing.T) {
	validate := validator(t)
	for _, data := range []string{
		"[]", "allow", "alow: {}", "stop: true", "pause: maybe", "logExcerpt: some", "sameContent: maybe", "sameContent: ''",
		"limits: {activeJobs: 0}", "patience: {submit: 1h}",
		"defaults: {zone: a}", "allow: {region: a}", "limits: {cpus: 1}", "patience: {stuck: {done: 1s}}",
		"prefixes: [{match: a, prefixes: []}]", "catalogue: {zones: []}",
		"defaults: []", "defaults: {region: [us-east1]}", "defaults: {runtimeVersion: 2.10}", "defaults: {labels: [a]}",
		"defaults: {labels: {A: b}}", "defaults: {labels: {jobdrop-a: b}}", "defaults: {maxRunningTime: 1h}",
		"defaults: {maxRunningTime: 3600}", "defaults: {serviceAccount: me}", "defaults: {network: default}",
		"allow: [a]", "allow: {regions: {a: b}}", "allow: {regions: [1]}", "allow: {regions: ['']}",
		"allow: {regions: [null]}", "allow: {regions: null}", "allow: {jobDirs: [bucket]}", "allow: {packageSources: [/a]}",
		"allow: {images: ['https://gcr.io/a/b']}",
		"limits: {replicas: 0}", "limits: {replicas: many}", "limits: {replicas: 1.5}", "limits: {packageBytes: -1}",
		"limits: {maxRunningTime: ''}",
		"patience: {settle: 60}", "patience: {stuck: 60s}", "patience: {expire: 1d}",
		"prefixes: {match: a}", "prefixes: [a]", "prefixes: [{allow: {}}]", "prefixes: [{match: ''}]",
		"prefixes: [{match: /a}]", "prefixes: [{match: 'gs://a/b'}]", "prefixes: [{match: 1}]",
		"catalogue: {machines: [{names: [a]}]}", "catalogue: {machines: [{category: TPU}]}",
		"catalogue: {machines: [{names: [a], category: GPU}]}", "catalogue: {regions: [a]}",
		"catalogue: {runtimes: [{version: 2.12}]}", "catalogue: {runtimes: [{version: '2.12', tpu: maybe}]}",
		"catalogue: {pythons: [{from: '1.0'}]}",
		"viewers: {}", "viewers: [{members: ['user:a@b.c']}]", "viewers: [{prefixes: [a]}]",
		"viewers: [{members: [allUsers], prefixes: [a]}]", "viewers: [{members: [a@b.c], prefixes: [a]}]",
		"viewers: [{members: ['user:a@b.c'], prefixes: [/a]}]", "viewers: [{members: ['user:a@b.c'], prefixes: ['gs://a']}]",
		"viewers: [{members: ['user:a@b.c'], prefixes: [a], outputs: [b]}]",
	} {
		if validate([]byte(data)) == nil {
			t.Errorf("passes: %s", data)
		}
		if _, vs := Parse("policy.yaml", []byte(data)); !job.HasErrors(vs) {
			t.Errorf("only the schema refuses %s", data)
		}
	}
}
