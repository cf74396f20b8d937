package policy_test

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// rules reads a policy that has no violations.
func rules(t testing.TB, data string) policy.Rules {
	t.Helper()
	r, vs := policy.Parse("policy.yaml", []byte(data))
	if len(vs) > 0 {
		t.Fatalf("the policy: %v\n%s", vs, data)
	}
	return r
}

// installation returns a policy with an operator's rules; data is empty for none.
func installation(t testing.TB, data string) policy.Policy {
	t.Helper()
	p := policy.Policy{Project: "project", Inbox: "inbox", Own: []string{"state"}, Backend: "aiplatform"}
	if data != "" {
		p.Rules = rules(t, data)
	}
	return p
}

// apply applies a policy to a job file in the folder teams/nlp/, which holds
// a.tar.gz of 100 bytes.
func apply(t testing.TB, p policy.Policy, file string) (*jobspec.File, job.Resolution, policy.Policy) {
	t.Helper()
	f, vs := jobspec.Parse("job.yaml", []byte(file))
	if len(vs) > 0 {
		t.Fatalf("the job file: %v\n%s", vs, file)
	}
	d := job.Drop{
		Bucket: "inbox", Folder: "teams/nlp/",
		Packages: []job.Object{{Bucket: "inbox", Name: "teams/nlp/a.tar.gz", Size: 100}},
	}
	p = p.For(d.Folder)
	p.ApplyDefaults(f)
	var r job.Resolution
	if in := f.Spec.TrainingInput; in != nil {
		r = d.Resolve(in.PackageURIs, in.HasImage(), nil)
		in.PackageURIs = r.URIs
	}
	return f, r, p
}

// decisions returns what some rules say about a job: field, value, verdict and where
// the rule is written, without trainingInput.
func decisions(t testing.TB, p policy.Policy, file string, of ...string) []string {
	t.Helper()
	f, r, p := apply(t, p, file)
	violations := p.Check(f, r)
	var got []string
	for _, d := range p.Explain(f, r) {
		if d.Verdict == policy.Refused || d.Verdict == policy.Unknown {
			if len(violations) == 0 || violations[0].Rule != d.Rule || violations[0].Field != d.Field {
				t.Errorf("%+v is not a violation: %v", d, violations)
			} else {
				v := violations[0]
				violations = violations[1:]
				if (v.Severity == job.Warning) != (d.Verdict == policy.Unknown) || d.Verdict == policy.Refused && v.Remedy == "" {
					t.Errorf("violation %+v for %+v", v, d)
				}
				if d.Because != "built in" && !strings.Contains(v.Message, d.Because) {
					t.Errorf("the message does not name the place %s: %s", d.Because, v.Message)
				}
			}
		}
		if len(violations) > 0 && d.Verdict == policy.Allowed && violations[0].Rule == d.Rule &&
			violations[0].Severity == job.Warning {
			violations = violations[1:] // it passes, and somebody is told
		}
		if slices.Contains(of, string(d.Rule)) {
			got = append(got,
				strings.Join(strings.Fields(fmt.Sprintf("%s %s %s: %s", strings.TrimPrefix(d.Field, "trainingInput."), d.Value,
					d.Verdict, d.Because)), " "))
		}
	}
	if len(violations) > 0 {
		t.Errorf("violations without a decision: %v", violations)
	}
	return got
}

// image returns a job file with a master's image.
func image(uri string) string { return "trainingInput: {masterConfig: {imageUri: '" + uri + "'}}" }

// input returns a job file with one field.
func input(field, value string) string { return "trainingInput: {" + field + ": " + value + "}" }

func TestJudge(t *testing.T) {
	inputs := func(fields string) string { return "trainingInput: {" + fields + "}" }
	tests := []struct {
		name   string
		rule   string
		policy string
		job    string
		want   []string
	}{
		{"none asked", "policy-service-account", "", inputs(""), []string{"serviceAccount not asked: built in"}},
		{
			"none asked, with a list", "policy-service-account", "allow:\n  serviceAccounts: []\n", inputs(""),
			[]string{"serviceAccount not asked: policy.yaml:2:3"},
		},
		{
			"without a list", "policy-service-account", "{}", input("serviceAccount", "a@b.c"),
			[]string{"serviceAccount a@b.c refused: built in"},
		},
		{
			"on the list", "policy-service-account", "allow:\n  serviceAccounts:\n  - x@b.c\n  - a@b.c\n",
			input("serviceAccount", "a@b.c"), []string{"serviceAccount a@b.c allowed: policy.yaml:4:5"},
		},
		{
			"not on the list", "policy-service-account", "allow:\n  serviceAccounts: [x@b.c]\n",
			input("serviceAccount", "a@b.c"), []string{"serviceAccount a@b.c refused: policy.yaml:2:3"},
		},
		{
			"by default, whatever is allowed", "policy-service-account",
			"allow: {serviceAccounts: []}\ndefaults: {serviceAccount: a@b.c}\n", inputs(""),
			[]string{"serviceAccount a@b.c defaulted: policy.yaml:2:28"},
		},
		{
			"another than the default", "policy-service-account", "defaults: {serviceAccount: a@b.c}\n",
			input("serviceAccount", "x@b.c"), []string{"serviceAccount x@b.c refused: built in"},
		},

		{"none asked", "policy-network", "", inputs(""), []string{"network not asked: built in"}},
		{
			"without a list", "policy-network", "{}", input("network", "projects/1/global/networks/a"),
			[]string{"network projects/1/global/networks/a refused: built in"},
		},
		{
			"on the list", "policy-network", "allow: {networks: projects/1/global/networks/*}",
			input("network", "projects/1/global/networks/a"),
			[]string{"network projects/1/global/networks/a allowed: policy.yaml:1:19"},
		},
		{
			"not on the list", "policy-network", "allow: {networks: projects/1/global/networks/*}",
			input("network", "projects/12/global/networks/a"),
			[]string{"network projects/12/global/networks/a refused: policy.yaml:1:19"},
		},
		{
			"by default", "policy-network", "defaults: {network: projects/1/global/networks/a}", inputs(""),
			[]string{"network projects/1/global/networks/a defaulted: policy.yaml:1:21"},
		},

		{"none asked", "policy-region", "allow: {regions: []}", inputs(""), []string{"region not asked: policy.yaml:1:9"}},
		{"without a list", "policy-region", "{}", input("region", "us-east1"), []string{"region us-east1 allowed: built in"}},
		{
			"on the list", "policy-region", "allow: {regions: [us-*]}", input("region", "us-east1"),
			[]string{"region us-east1 allowed: policy.yaml:1:19"},
		},
		{
			"not on the list", "policy-region", "allow: {regions: [us-*]}", input("region", "europe-west1"),
			[]string{"region europe-west1 refused: policy.yaml:1:9"},
		},
		{
			"by default, whatever is allowed", "policy-region", "defaults: {region: us-east1}\nallow: {regions: []}", inputs(""),
			[]string{"region us-east1 defaulted: policy.yaml:1:20"},
		},
		{
			"the default's value, but not by default", "policy-region", "defaults: {region: us-east1}\nallow: {regions: []}",
			input("region", "us-east1"), []string{"region us-east1 refused: policy.yaml:2:9"},
		},

		{
			"none asked", "policy-machine-type", "allow: {machineTypes: []}", input("scaleTier", "CUSTOM"),
			[]string{"masterType not asked: policy.yaml:1:9"},
		},
		{
			"without a list", "policy-machine-type", "{}", inputs("scaleTier: CUSTOM, masterType: n1-standard-4"),
			[]string{"masterType n1-standard-4 allowed: built in"},
		},
		{"each role's", "policy-machine-type", "allow: {machineTypes: [n1-*]}",
			inputs("scaleTier: CUSTOM, masterType: n1-standard-4, workerType: a2-highgpu-1g, parameterServerType: " +
				"n1-highmem-2, evaluatorType: n2-a"), []string{
				"masterType n1-standard-4 allowed: policy.yaml:1:24", "workerType a2-highgpu-1g refused: policy.yaml:1:9",
				"parameterServerType n1-highmem-2 allowed: policy.yaml:1:24", "evaluatorType n2-a refused: policy.yaml:1:9",
			}},
		{
			"a tier", "policy-machine-type", "allow: {machineTypes: [n1-*]}", input("scaleTier", "BASIC_GPU"),
			[]string{"scaleTier BASIC_GPU refused: policy.yaml:1:9"},
		},
		{
			"a tier on the list", "policy-machine-type", "allow: {machineTypes: [BASIC]}", input("scaleTier", "BASIC"),
			[]string{"scaleTier BASIC allowed: policy.yaml:1:24"},
		},
		{
			"no tier is the least", "policy-machine-type", "allow: {machineTypes: [n1-*]}", inputs(""),
			[]string{"scaleTier BASIC refused: policy.yaml:1:9"},
		},
		{
			"the tier that says nothing is the least", "policy-machine-type", "allow: {machineTypes: [BASIC]}",
			input("scaleTier", "SCALE_TIER_UNSPECIFIED"), []string{"scaleTier BASIC allowed: policy.yaml:1:24"},
		},
		{
			"machines beside no tier", "policy-machine-type", "allow: {machineTypes: [BASIC]}", input("workerType", "n1-a"),
			[]string{"scaleTier BASIC allowed: policy.yaml:1:24", "workerType n1-a refused: policy.yaml:1:9"},
		},

		{
			"none asked", "policy-accelerator", "allow: {accelerators: []}", input("scaleTier", "BASIC"),
			[]string{"masterConfig.acceleratorConfig.type not asked: policy.yaml:1:9"},
		},
		{
			"without a list", "policy-accelerator", "{}", input("masterConfig", "{acceleratorConfig: {type: NVIDIA_TESLA_T4}}"),
			[]string{"masterConfig.acceleratorConfig.type NVIDIA_TESLA_T4 allowed: built in"},
		},
		{"each role's", "policy-accelerator", "allow: {accelerators: [TPU_*, '*_T4']}",
			inputs("workerConfig: {acceleratorConfig: {type: NVIDIA_TESLA_T4}}, parameterServerConfig: {acceleratorConfig: " +
				"{type: NVIDIA_TESLA_P4}}, evaluatorConfig: {acceleratorConfig: {type: TPU_V3}}"), []string{
				"workerConfig.acceleratorConfig.type NVIDIA_TESLA_T4 allowed: policy.yaml:1:31",
				"parameterServerConfig.acceleratorConfig.type NVIDIA_TESLA_P4 refused: policy.yaml:1:9",
				"evaluatorConfig.acceleratorConfig.type TPU_V3 allowed: policy.yaml:1:24",
			}},
		{
			"of a tier", "policy-accelerator", "allow: {accelerators: []}", input("scaleTier", "BASIC_GPU"),
			[]string{"scaleTier NVIDIA_TESLA_K80 refused: policy.yaml:1:9"},
		},
		{
			"of the tier with TPUs", "policy-accelerator", "allow: {accelerators: TPU_V2}", input("scaleTier", "BASIC_TPU"),
			[]string{"scaleTier TPU_V2 allowed: policy.yaml:1:23"},
		},
		{"of legacy machines", "policy-accelerator", "allow: {accelerators: []}",
			inputs("scaleTier: CUSTOM, masterType: complex_model_m_gpu, workerType: standard_p100, parameterServerType: " +
				"large_model_v100, evaluatorType: standard"), []string{
				"masterType NVIDIA_TESLA_K80 refused: policy.yaml:1:9", "workerType NVIDIA_TESLA_P100 refused: policy.yaml:1:9",
				"parameterServerType NVIDIA_TESLA_V100 refused: policy.yaml:1:9",
			}},
		{"of other machines", "policy-accelerator", "allow: {accelerators: []}",
			inputs("masterType: a2-megagpu-16g, workerType: g2-standard-4, parameterServerType: a3-highgpu-8g, evaluatorType: " +
				"ct5lp-hightpu-4t"), []string{
				"masterType NVIDIA_TESLA_A100 refused: policy.yaml:1:9", "workerType NVIDIA_L4 refused: policy.yaml:1:9",
				"parameterServerType NVIDIA_H100_80GB refused: policy.yaml:1:9",
				"evaluatorType TPU_V5_LITEPOD refused: policy.yaml:1:9",
			}},
		{"of the machine and its own", "policy-accelerator", "allow: {accelerators: [NVIDIA_TESLA_A100]}",
			inputs("masterType: a2-highgpu-1g, masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_T4}}"), []string{
				"masterConfig.acceleratorConfig.type NVIDIA_TESLA_T4 refused: policy.yaml:1:9",
				"masterType NVIDIA_TESLA_A100 allowed: policy.yaml:1:24",
			}},
		{
			"TPUs", "policy-accelerator", "allow: {accelerators: [TPU_V3]}",
			inputs("workerType: cloud_tpu, workerConfig: {acceleratorConfig: {type: TPU_V3}}"),
			[]string{"workerConfig.acceleratorConfig.type TPU_V3 allowed: policy.yaml:1:24"},
		},
		{
			"TPUs by default", "policy-accelerator", "allow: {accelerators: [TPU_V3]}", inputs("workerType: cloud_tpu"),
			[]string{"workerType TPU_V2 refused: policy.yaml:1:9"},
		},
		{
			"TPUs that say nothing", "policy-accelerator", "allow: {accelerators: [TPU_V3]}",
			inputs("workerType: cloud_tpu, workerConfig: {acceleratorConfig: {type: ACCELERATOR_TYPE_UNSPECIFIED}}"),
			[]string{"workerType TPU_V2 refused: policy.yaml:1:9"},
		},

		{"none asked", "policy-image", "", inputs(""), []string{"masterConfig.imageUri not asked: built in"}},
		{
			"none asked, with a list", "policy-image", "allow: {images: []}", inputs(""),
			[]string{"masterConfig.imageUri not asked: policy.yaml:1:9"},
		},
		{
			"own, without a list", "policy-image", "{}", image("gcr.io/project/a"),
			[]string{"masterConfig.imageUri gcr.io/project/a allowed: built in"},
		},
		{
			"other, without a list", "policy-image", "{}", image("gcr.io/other/a"),
			[]string{"masterConfig.imageUri gcr.io/other/a refused: built in"},
		},
		{
			"own, by the word", "policy-image", "allow: {images: [project]}", image("eu.gcr.io/project/a:1"),
			[]string{"masterConfig.imageUri eu.gcr.io/project/a:1 allowed: policy.yaml:1:18"},
		},
		{
			"other, beside the word", "policy-image", "allow: {images: [project]}", image("gcr.io/other/a"),
			[]string{"masterConfig.imageUri gcr.io/other/a refused: policy.yaml:1:9"},
		},
		{
			"by a pattern, beside the word", "policy-image", "allow: {images: [project, gcr.io/other/*]}",
			image("gcr.io/other/a"), []string{"masterConfig.imageUri gcr.io/other/a allowed: policy.yaml:1:27"},
		},
		{
			"own, with a list without the word", "policy-image", "allow: {images: [gcr.io/other/*]}", image("gcr.io/project/a"),
			[]string{"masterConfig.imageUri gcr.io/project/a refused: policy.yaml:1:9"},
		},
		{
			"the word is not an image", "policy-image", "allow: {images: [project]}", image("project"),
			[]string{"masterConfig.imageUri project refused: policy.yaml:1:9"},
		},
		{
			"none allowed", "policy-image", "allow: {images: []}", image("gcr.io/project/a"),
			[]string{"masterConfig.imageUri gcr.io/project/a refused: policy.yaml:1:9"},
		},
		{"of each role", "policy-image", "allow: {images: [gcr.io/a/*]}",
			inputs("workerConfig: {imageUri: gcr.io/a/b}, parameterServerConfig: {imageUri: gcr.io/b/b}, evaluatorConfig: " +
				"{imageUri: gcr.io/c/b}"), []string{
				"workerConfig.imageUri gcr.io/a/b allowed: policy.yaml:1:18",
				"parameterServerConfig.imageUri gcr.io/b/b refused: policy.yaml:1:9",
				"evaluatorConfig.imageUri gcr.io/c/b refused: policy.yaml:1:9",
			}},

		{
			"own folder", "policy-package-source", "", input("packageUris", "[a.tar.gz]"),
			[]string{"packageUris not asked: built in"},
		},
		{
			"own folder, with a list", "policy-package-source", "allow: {packageSources: []}",
			input("packageUris", "[a.tar.gz]"), []string{"packageUris not asked: policy.yaml:1:9"},
		},
		{
			"elsewhere, without a list", "policy-package-source", "{}", input("packageUris", "['gs://b/a.whl']"),
			[]string{"packageUris[0] gs://b/a.whl refused: built in"},
		},
		{"elsewhere, with a list", "policy-package-source", "allow: {packageSources: ['gs://b/*.whl']}",
			input("packageUris", "[a.tar.gz, 'gs://b/a.whl', 'gs://b/a/a.whl', 'gs://bb/a.whl']"), []string{
				"packageUris[1] gs://b/a.whl allowed: policy.yaml:1:26", "packageUris[2] gs://b/a/a.whl refused: policy.yaml:1:9",
				"packageUris[3] gs://bb/a.whl refused: policy.yaml:1:9",
			}},

		{"none asked", "policy-job-dir", "allow: {jobDirs: []}", inputs(""), []string{"jobDir not asked: policy.yaml:1:9"}},
		{
			"without a list", "policy-job-dir", "{}", input("jobDir", "gs://b/a"), []string{"jobDir gs://b/a allowed: built in"},
		},
		{
			"on the list", "policy-job-dir", "allow: {jobDirs: ['gs://b/**']}", input("jobDir", "gs://b/a/c"),
			[]string{"jobDir gs://b/a/c allowed: policy.yaml:1:19"},
		},
		{
			"not on the list", "policy-job-dir", "allow: {jobDirs: ['gs://b/**']}", input("jobDir", "gs://bb/a"),
			[]string{"jobDir gs://bb/a refused: policy.yaml:1:9"},
		},
		{
			"the inbox, whatever the list", "job-dir-outside-inbox", "allow: {jobDirs: ['**']}", input("jobDir", "gs://inbox/a"),
			[]string{"jobDir gs://inbox/a refused: built in"},
		},
		{
			"jobdrop's own, whatever the list", "job-dir-not-ours", "allow: {jobDirs: ['gs://state/**']}",
			input("jobDir", "gs://state"), []string{"jobDir gs://state refused: built in"},
		},

		{"none asked", "policy-backend", "", inputs(""), []string{"jobdrop.backend not asked: built in"}},
		{
			"the installation's", "policy-backend", "", "trainingInput: {}\njobdrop: {backend: aiplatform}\n",
			[]string{"jobdrop.backend aiplatform allowed: built in"},
		},
		{
			"another", "policy-backend", "", "trainingInput: {}\njobdrop: {backend: vertex}\n",
			[]string{"jobdrop.backend vertex refused: built in"},
		},

		{"without a budget", "policy-accelerator-hours", "{}", input("scaleTier", "BASIC_GPU"), nil},
		{
			"no accelerator", "policy-accelerator-hours", month(1), input("scaleTier", "BASIC"),
			[]string{"scheduling.maxRunningTime 0 accelerator hours not asked: policy.yaml:1:47"},
		},
		{
			"the whole budget", "policy-accelerator-hours", month(8),
			inputs("scaleTier: CUSTOM, masterType: a2-highgpu-4g, scheduling: {maxRunningTime: 7200s}"),
			[]string{"scheduling.maxRunningTime 8 accelerator hours allowed: policy.yaml:1:47"},
		},
		{
			"more than the whole budget", "policy-accelerator-hours", month(8),
			inputs("scaleTier: CUSTOM, masterType: a2-highgpu-4g, scheduling: {maxRunningTime: 7201s}"),
			[]string{"scheduling.maxRunningTime 8.01 accelerator hours refused: policy.yaml:1:47"},
		},
		{
			"no limit on the time", "policy-accelerator-hours", month(168), input("scaleTier", "BASIC_GPU"),
			[]string{"scheduling.maxRunningTime 168 accelerator hours allowed: policy.yaml:1:47"},
		},
		{
			"no limit on the time, for too little", "policy-accelerator-hours", month(167), input("scaleTier", "BASIC_GPU"),
			[]string{"scheduling.maxRunningTime 168 accelerator hours refused: policy.yaml:1:47"},
		},
		{
			"the policy's limit on the time", "policy-accelerator-hours",
			"limits: {acceleratorHours: {per: month, most: 1}, maxRunningTime: 3600s}", input("scaleTier", "BASIC_GPU"),
			[]string{"scheduling.maxRunningTime 1 accelerator hour allowed: policy.yaml:1:47"},
		},
		{
			"parallel trials", "policy-accelerator-hours", month(3),
			inputs("scaleTier: BASIC_GPU, scheduling: {maxRunningTime: 3600s}, " +
				"hyperparameters: {maxParallelTrials: 4, maxTrials: 10}"),
			[]string{"scheduling.maxRunningTime 4 accelerator hours refused: policy.yaml:1:47"},
		},

		{"without a limit", "policy-replicas", "{}", inputs("scaleTier: CUSTOM, workerCount: 1000"), nil},
		{
			"a tier of one", "policy-replicas", "limits: {replicas: 1}", input("scaleTier", "BASIC_GPU"),
			[]string{"scaleTier 1 allowed: policy.yaml:1:20"},
		},
		{
			"no tier", "policy-replicas", "limits: {replicas: 1}", inputs(""), []string{"scaleTier 1 allowed: policy.yaml:1:20"},
		},
		{
			"counts beside no tier", "policy-replicas", "limits: {replicas: 1}", input("workerCount", "1"),
			[]string{"workerCount 2 refused: policy.yaml:1:20"},
		},
		{
			"STANDARD_1", "policy-replicas", "limits: {replicas: 7}", input("scaleTier", "STANDARD_1"),
			[]string{"scaleTier 8 refused: policy.yaml:1:20"},
		},
		{
			"STANDARD_1 at the limit", "policy-replicas", "limits: {replicas: 8}", input("scaleTier", "STANDARD_1"),
			[]string{"scaleTier 8 allowed: policy.yaml:1:20"},
		},
		{
			"PREMIUM_1", "policy-replicas", "limits: {replicas: 30}", input("scaleTier", "PREMIUM_1"),
			[]string{"scaleTier 31 refused: policy.yaml:1:20"},
		},
		{
			"BASIC_TPU", "policy-replicas", "limits: {replicas: 1}", input("scaleTier", "BASIC_TPU"),
			[]string{"scaleTier 2 refused: policy.yaml:1:20"},
		},
		{
			"all roles", "policy-replicas", "limits: {replicas: 9}",
			inputs("scaleTier: CUSTOM, workerCount: 3, parameterServerCount: 5, evaluatorCount: 1"),
			[]string{"parameterServerCount 10 refused: policy.yaml:1:20"},
		},
		{
			"all roles at the limit", "policy-replicas", "limits: {replicas: 10}",
			inputs("scaleTier: CUSTOM, workerCount: 3, parameterServerCount: 5, evaluatorCount: 1"),
			[]string{"parameterServerCount 10 allowed: policy.yaml:1:20"},
		},
		{
			"parallel trials", "policy-replicas", "limits: {replicas: 7}",
			inputs("scaleTier: CUSTOM, workerCount: 1, hyperparameters: {maxParallelTrials: 4, maxTrials: 10}"),
			[]string{"hyperparameters.maxParallelTrials 8 refused: policy.yaml:1:20"},
		},
		{
			"no more parallel trials than trials", "policy-replicas", "limits: {replicas: 7}",
			inputs("scaleTier: CUSTOM, workerCount: 1, hyperparameters: {maxParallelTrials: 4, maxTrials: 3}"),
			[]string{"hyperparameters.maxParallelTrials 6 allowed: policy.yaml:1:20"},
		},
		{
			"one trial by default", "policy-replicas", "limits: {replicas: 1}",
			inputs("hyperparameters: {maxParallelTrials: 4}"),
			[]string{"hyperparameters.maxParallelTrials 1 allowed: policy.yaml:1:20"},
		},
		{
			"counts that would overflow", "policy-replicas", "limits: {replicas: 100}",
			inputs("scaleTier: CUSTOM, workerCount: '9223372036854775807', parameterServerCount: 2147483647, evaluatorCount: " +
				"2147483647, hyperparameters: {maxParallelTrials: 2147483647, maxTrials: 2147483647}"),
			[]string{"hyperparameters.maxParallelTrials 4611686014132420609 refused: policy.yaml:1:20"},
		},
		{
			"counts below zero make no room", "policy-replicas", "limits: {replicas: 5}",
			inputs("scaleTier: CUSTOM, workerCount: 9, parameterServerCount: -5"),
			[]string{"workerCount 10 refused: policy.yaml:1:20"},
		},

		{"without a limit", "policy-max-running-time", "{}", input("scheduling", "{maxRunningTime: 999999999s}"), nil},
		{
			"below the limit", "policy-max-running-time", "limits: {maxRunningTime: 60s}",
			input("scheduling", "{maxRunningTime: 60.0s}"),
			[]string{"scheduling.maxRunningTime 60.0s allowed: policy.yaml:1:26"},
		},
		{
			"above the limit", "policy-max-running-time", "limits: {maxRunningTime: 60s}",
			input("scheduling", "{maxRunningTime: 60.000000001s}"),
			[]string{"scheduling.maxRunningTime 60.000000001s refused: policy.yaml:1:26"},
		},
		{
			"no time is not a limit", "policy-max-running-time", "limits: {maxRunningTime: 60s}",
			input("scheduling", "{maxRunningTime: 0s}"), []string{"scheduling.maxRunningTime 0s refused: policy.yaml:1:26"},
		},
		{
			"the limit is the default", "policy-max-running-time", "limits: {maxRunningTime: 60s}", inputs(""),
			[]string{"scheduling.maxRunningTime 60s defaulted: policy.yaml:1:26"},
		},
		{
			"a null says nothing", "policy-max-running-time", "limits: {maxRunningTime: 60s}",
			input("scheduling", "{maxRunningTime: null}"), []string{"scheduling.maxRunningTime 60s defaulted: policy.yaml:1:26"},
		},
		{
			"a default below the limit", "policy-max-running-time",
			"limits: {maxRunningTime: 60s}\ndefaults: {maxRunningTime: 30s}\n", inputs(""),
			[]string{"scheduling.maxRunningTime 30s defaulted: policy.yaml:2:28"},
		},
		{
			"a limit above the service's own", "policy-max-running-time", "limits: {maxRunningTime: 604800s}", inputs(""),
			[]string{"scheduling.maxRunningTime not asked: policy.yaml:1:26"},
		},
		{
			"a default above the service's own", "policy-max-running-time",
			"limits: {maxRunningTime: 999999s}\ndefaults: {maxRunningTime: 700000s}\n", inputs(""),
			[]string{"scheduling.maxRunningTime 700000s defaulted: policy.yaml:2:28"},
		},
		{
			"no duration", "policy-max-running-time", "limits: {maxRunningTime: 60s}",
			input("scheduling", "{maxRunningTime: soon}"),
			[]string{"scheduling.maxRunningTime soon not asked: policy.yaml:1:26"},
		},

		{"without a limit", "policy-package-bytes", "{}", inputs(""), nil},
		{
			"at the limit", "policy-package-bytes", "limits: {packageBytes: 100}", inputs(""),
			[]string{"packageUris 100 allowed: policy.yaml:1:24"},
		},
		{
			"above the limit", "policy-package-bytes", "limits: {packageBytes: 99}", inputs(""),
			[]string{"packageUris 100 refused: policy.yaml:1:24"},
		},
		{
			"no packages", "policy-package-bytes", "limits: {packageBytes: 99}", image("gcr.io/project/a"),
			[]string{"packageUris not asked: policy.yaml:1:24"},
		},

		{"none", "policy-default", "", inputs(""), nil},
		{"those that no other rule tells of", "policy-default",
			"defaults: {runtimeVersion: '2.11', pythonVersion: '3.7', region: us-east1, maxRunningTime: 60s, labels: {b: c, " +
				"a: b}}", inputs(""), []string{
				"runtimeVersion 2.11 defaulted: policy.yaml:1:28", "pythonVersion 3.7 defaulted: policy.yaml:1:51",
				"scheduling.maxRunningTime 60s defaulted: policy.yaml:1:92", "labels.a b defaulted: policy.yaml:1:115",
				"labels.b c defaulted: policy.yaml:1:109",
			}},
		{
			"what the job gives is not a default", "policy-default", "defaults: {runtimeVersion: '2.11', labels: {a: b}}",
			"labels: {a: b}\ntrainingInput: {runtimeVersion: '2.11'}\n", nil,
		},
	}
	for _, test := range tests {
		t.Run(test.rule+"/"+test.name, func(t *testing.T) {
			got := decisions(t, installation(t, test.policy), test.job, test.rule)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("decisions (-want +got):\n%s", diff)
			}
		})
	}
}

// What depends on the installation is a doubt where that is not known; what does
// not is decided.
func TestJudgeWithoutInstallation(t *testing.T) {
	tests := []struct {
		name, rule, policy, job string
		want                    []string
	}{
		{
			"own image", "policy-image", "{}", image("gcr.io/project/a"),
			[]string{"masterConfig.imageUri gcr.io/project/a not known: built in"},
		},
		{
			"own image, by the word", "policy-image", "allow: {images: [project]}", image("gcr.io/project/a"),
			[]string{"masterConfig.imageUri gcr.io/project/a not known: policy.yaml:1:18"},
		},
		{
			"a pattern, beside the word", "policy-image", "allow: {images: [project, gcr.io/a/*]}", image("gcr.io/a/a"),
			[]string{"masterConfig.imageUri gcr.io/a/a allowed: policy.yaml:1:27"},
		},
		{
			"a list without the word", "policy-image", "allow: {images: [gcr.io/a/*]}", image("gcr.io/b/a"),
			[]string{"masterConfig.imageUri gcr.io/b/a refused: policy.yaml:1:9"},
		},
		{
			"a package elsewhere", "policy-package-source", "{}", input("packageUris", "['gs://b/a.whl']"),
			[]string{"packageUris[0] gs://b/a.whl not known: built in"},
		},
		{
			"a package of the list", "policy-package-source", "allow: {packageSources: ['gs://b/*']}",
			input("packageUris", "['gs://b/a.whl', 'gs://c/a.whl']"),
			[]string{
				"packageUris[0] gs://b/a.whl allowed: policy.yaml:1:26", "packageUris[1] gs://c/a.whl not known: policy.yaml:1:9",
			},
		},
		{
			"a backend", "policy-backend", "{}", "trainingInput: {}\njobdrop: {backend: vertex}\n",
			[]string{"jobdrop.backend vertex not known: built in"},
		},
		{
			"an account", "policy-service-account", "{}", input("serviceAccount", "a@b.c"),
			[]string{"serviceAccount a@b.c refused: built in"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := policy.Policy{Rules: rules(t, test.policy)}
			f, r, p := apply(t, p, test.job)
			var got []string
			for _, d := range p.Explain(f, r) {
				if string(d.Rule) == test.rule {
					got = append(got,
						fmt.Sprintf("%s %s %s: %s", strings.TrimPrefix(d.Field, "trainingInput."), d.Value, d.Verdict, d.Because))
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("decisions (-want +got):\n%s", diff)
			}
			for _, v := range p.Check(f, r) {
				if known := test.rule == "policy-service-account" ||
					strings.Contains(test.want[0], "refused"); (v.Severity == job.Error) != known {
					t.Errorf("violation %v", v)
				}
			}
		})
	}
}

// What lists must not let through, and what they must.
func TestListsAreNotEvaded(t *testing.T) {
	tests := []struct {
		list, pattern, field string
		allowed, refused     []string
	}{
		{
			"jobDirs", "gs://bucket/**", "jobDir",
			[]string{
				"gs://bucket", "gs://bucket/", "gs://bucket/a", "gs://bucket/a/", "gs://bucket/a/b", "gs://bucket/a..b/.c",
				"gs://bucket/größe",
			},
			[]string{
				"gs://bucket-evil", "gs://bucket-evil/a", "gs://bucketevil", "gs://Bucket/a", "GS://bucket/a", "gs://evil/bucket/a",
				"gs://bucket.evil.com/a", "gs://bucket//a", "gs://bucket/a//", "gs://bucket/../evil", "gs://bucket/a/../../evil",
				"gs://bucket/.", "gs://bucket/..", "gs://bucket/a/./b", "gs://bucket@evil/a", "gs:///bucket/a", "gs://bucket%2Fa",
				`gs://bucket\a`, "/bucket/a", "bucket/a",
			},
		},
		{
			"jobDirs", "gs://bucket/out", "jobDir",
			[]string{"gs://bucket/out", "gs://bucket/out/"},
			[]string{
				"gs://bucket/out/a", "gs://bucket/out-evil", "gs://bucket/Out", "gs://bucket/out//", "gs://bucket",
				"gs://bucket/ out", "gs://bucket/out ", "gs://bucket/o\u0075\u0308t",
			},
		},
		{
			"jobDirs", "gs://bucket/out/*", "jobDir",
			[]string{"gs://bucket/out/a", "gs://bucket/out/a/", "gs://bucket/out"},
			[]string{
				"gs://bucket/out/a/b", "gs://bucket/out/..", "gs://bucket/out/../a", "gs://bucket/out//a", "gs://bucket/out//",
			},
		},
		{
			"jobDirs", "gs://bucket/größe/*", "jobDir", // composed
			[]string{"gs://bucket/größe/a"},
			[]string{"gs://bucket/gro\u0308ße/a", "gs://bucket/grosse/a", "gs://bucket/GRÖẞE/a"},
		},
		{
			"jobDirs", "**", "jobDir",
			[]string{"gs://any/a"},
			[]string{"gs://inbox", "gs://inbox/a", "gs://state/", "gs://any/../inbox"},
		},
		{
			"packageSources", "gs://bucket/released/*", "packageUris",
			[]string{"gs://bucket/released/a.whl"},
			[]string{
				"gs://bucket/released/a/b.whl", "gs://bucket/released/../evil.whl", "gs://bucket/released//a.whl",
				"gs://bucket/Released/a.whl", "gs://bucket-evil/released/a.whl", "gs://evil/gs://bucket/released/a.whl",
				"gs://inbox/other/a.whl",
			},
		},
		{
			"images", "gcr.io/base/trainer", "masterConfig.imageUri",
			[]string{"gcr.io/base/trainer"},
			[]string{
				"gcr.io/base/trainer:latest",
				"gcr.io/base/trainer@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
				"gcr.io/base/trainer-evil", "gcr.io/base/trainer/evil", "gcr.io/base/Trainer", "GCR.IO/base/trainer",
				"eu.gcr.io/base/trainer", "evil.com/gcr.io/base/trainer", "gcr.io:443/base/trainer", "gcr.io/base//trainer",
				"gcr.io/base/./trainer", "https://gcr.io/base/trainer", "gcr.io/project/a",
			},
		},
		{
			"images", "gcr.io/base/trainer:1", "masterConfig.imageUri",
			[]string{"gcr.io/base/trainer:1"},
			[]string{
				"gcr.io/base/trainer", "gcr.io/base/trainer:10",
				"gcr.io/base/trainer:1@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
				"gcr.io/base/trainer:1/../evil",
			},
		},
		{
			"images", "gcr.io/base/trainer@sha256:*", "masterConfig.imageUri",
			[]string{"gcr.io/base/trainer@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
			[]string{
				"gcr.io/base/trainer:1",
				"gcr.io/base/trainer:1@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
				"gcr.io/base/trainer@sha512:00", "gcr.io/base/trainer@sha256:0/0",
			},
		},
		{
			"images", "gcr.io/base/**", "masterConfig.imageUri",
			[]string{
				"gcr.io/base/a", "gcr.io/base/a/b:1",
				"gcr.io/base/a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
			},
			[]string{
				"gcr.io/base-evil/a", "gcr.io/base", "gcr.io/base/../evil/a", "gcr.io/base/a/../../evil/b", "gcr.io//base/a",
				"evil.gcr.io/base/a",
			},
		},
		{
			"images", "*.gcr.io/base/**", "masterConfig.imageUri",
			[]string{"eu.gcr.io/base/a", "asia.gcr.io/base/a:1"},
			[]string{
				"evil.com?.gcr.io/base/a", "evil.com#.gcr.io/base/a", `evil.com\.gcr.io/base/a`, "mirror.gcr.io/base/a",
				"Mirror.GCR.io/base/a", "gcr.io/base/a",
			},
		},
		{
			"images", "*-docker.pkg.dev/base/**", "masterConfig.imageUri",
			[]string{"us-docker.pkg.dev/base/r/a"},
			[]string{
				"evil.com?-docker.pkg.dev/base/r/a", "evil.com:80-docker.pkg.dev/base/r/a", "evil.com#x-docker.pkg.dev/base/r/a",
			},
		},
		{
			"images", "**", "masterConfig.imageUri",
			[]string{"mirror.gcr.io/base/a", "evil.com/base/a"},
			[]string{"evil.com?/base/a", "https://gcr.io/base/a"},
		},
		{
			"images", "mirror.gcr.io/library/*", "masterConfig.imageUri",
			[]string{"mirror.gcr.io/library/python"},
			[]string{"mirror.gcr.io/evil/python"},
		},
		{
			"images", "project", "masterConfig.imageUri",
			[]string{"gcr.io/project/a", "europe-docker.pkg.dev/project/r/a:1"},
			[]string{
				"gcr.io/project/../evil/a", "gcr.io/project//a", "gcr.io/project-evil/a", "europe-docker.pkg.dev/project/./r/a",
				"project", "project/a",
			},
		},
		{
			"serviceAccounts", "*@project.iam.gserviceaccount.com", "serviceAccount",
			[]string{"trainer@project.iam.gserviceaccount.com"},
			[]string{
				"trainer@project-evil.iam.gserviceaccount.com", "trainer@evil.iam.gserviceaccount.com",
				"trainer@project.iam.gserviceaccount.com.evil.com", "trainer@evil.com@project.iam.gserviceaccount.com",
				"projects/evil/serviceAccounts/trainer@project.iam.gserviceaccount.com", "trainer@Project.iam.gserviceaccount.com",
				"trainer@PROJECT.IAM.GSERVICEACCOUNT.COM", "123456", "1-compute@developer.gserviceaccount.com",
			},
		},
		{
			"serviceAccounts", "trainer-*@*.iam.gserviceaccount.com", "serviceAccount",
			[]string{"trainer-1@any.iam.gserviceaccount.com"},
			[]string{
				"trainer@any.iam.gserviceaccount.com", "admin@trainer-1@any.iam.gserviceaccount.com",
				"trainer-1@a@b.iam.gserviceaccount.com", "Trainer-1@any.iam.gserviceaccount.com",
			},
		},
		{
			"networks", "projects/123/global/networks/*", "network",
			[]string{"projects/123/global/networks/a"},
			[]string{
				"projects/1234/global/networks/a", "projects/123/global/networks/a/b", "projects/123/global/networks/..",
				"projects/123/global/networks/", "projects/0123/global/networks/a", "Projects/123/global/networks/a",
			},
		},
		{
			"regions", "us-*", "region",
			[]string{"us-east1"},
			[]string{"US-EAST1", "europe-west1", "eu-us-east1", " us-east1", "us-east1/a", "us\u2010east1"},
		},
		{
			"machineTypes", "n1-standard-4", "masterType",
			[]string{"n1-standard-4"},
			[]string{"n1-standard-40", "N1-standard-4", "n1-standard-4 ", "xn1-standard-4", "n1_standard_4"},
		},
		{
			"accelerators", "NVIDIA_TESLA_T4", "masterConfig.acceleratorConfig.type",
			[]string{"NVIDIA_TESLA_T4"},
			[]string{"NVIDIA_TESLA_P4", "nvidia_tesla_t4", "NVIDIA_TESLA_T4_X"},
		},
	}
	for _, test := range tests {
		p := installation(t, fmt.Sprintf("allow: {%s: ['%s']}", test.list, test.pattern)).For("census/")
		check := func(value string, want bool) {
			in := &job.TrainingInput{ScaleTier: "CUSTOM"}
			switch test.field {
			case "jobDir":
				in.JobDir = value
			case "packageUris":
				in.PackageURIs = []string{value}
			case "masterConfig.imageUri":
				in.MasterConfig = &job.ReplicaConfig{ImageURI: value}
			case "masterConfig.acceleratorConfig.type":
				in.MasterConfig = &job.ReplicaConfig{AcceleratorConfig: &job.AcceleratorConfig{Type: value}}
			case "serviceAccount":
				in.ServiceAccount = value
			case "network":
				in.Network = value
			case "region":
				in.Region = value
			case "masterType":
				in.MasterType = value
			}
			f := jobspec.New("job.yaml", job.Spec{TrainingInput: in})
			vs := p.Check(f, job.Resolution{URIs: in.PackageURIs, Outside: in.PackageURIs})
			if got := !job.HasErrors(vs); got != want {
				t.Errorf("%s: %s allows %q: %t\n%v", test.list, test.pattern, value, got, vs)
			}
			if len(vs) > 1 {
				t.Errorf("%s: %q: %v", test.list, value, vs)
			}
		}
		for _, value := range test.allowed {
			check(value, true)
			if test.pattern != "project" {
				check(value+strings.Repeat("a", 2048), false)
			}
		}
		for _, value := range test.refused {
			check(value, false)
		}
	}
}

// A path that no pattern matches is told of as such.
func TestPathsThatLeadElsewhere(t *testing.T) {
	f, r, p := apply(t, installation(t, "allow: {jobDirs: ['gs://bucket/**']}"), input("jobDir", "gs://bucket/../evil"))
	vs := p.Check(f, r)
	if len(vs) != 1 ||
		vs[0].String() != "job.yaml:1:25: trainingInput.jobDir: the operator's policy allows no path with an empty part, "+
			"or with . or .. (policy.yaml:1:9) (found gs://bucket/../evil, allowed: gs://bucket/**); write the plain path" {
		t.Errorf("violations %v", vs)
	}
}

// Of a long list a message gives the beginning, and nothing that could steer a
// terminal.
func TestMessages(t *testing.T) {
	list := make([]string, 12)
	for i := range list {
		list[i] = fmt.Sprintf("region-%d", i)
	}
	f, r, p := apply(t, installation(t, "allow: {regions: ["+strings.Join(list, ", ")+"], serviceAccounts: []}"),
		`trainingInput: {region: "\e[31m", serviceAccount: a@b.c}`)
	var got []string
	for _, v := range p.Check(f, r) {
		got = append(got, v.String())
	}
	want := []string{
		"job.yaml:1:51: trainingInput.serviceAccount: the operator's policy does not allow this service account " +
			"(policy.yaml:1:142) (found a@b.c, allowed: none); write one that is allowed, or ask the operator to allow it",
		`job.yaml:1:25: trainingInput.region: the operator's policy does not allow this region (policy.yaml:1:9) (found "\x1b[31m", allowed: region-0, region-1, region-2, region-3, region-4, region-5, region-6, region-7, region-8, region-9, 2 more); write one that is allowed, or ask the operator to allow it`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}
	for _, d := range p.Explain(f, r) {
		if strings.Contains(d.Value, "\x1b") {
			t.Errorf("decision %q", d.Value)
		}
	}
}

func TestPackageBytesDoNotOverflow(t *testing.T) {
	f, _, p := apply(t, installation(t, "limits: {packageBytes: 100}"), "trainingInput: {}")
	vs := p.Check(f, job.Resolution{Packages: []job.Object{{Size: math.MaxInt64}, {Size: math.MaxInt64}, {Size: -1}}})
	if len(vs) != 1 || vs[0].Rule != "policy-package-bytes" ||
		vs[0].Found != fmt.Sprintf("%d bytes", int64(math.MaxInt64)) {
		t.Errorf("violations %v", vs)
	}
}

func TestFor(t *testing.T) {
	const file = `limits: {replicas: 1}
allow:
  regions: [us-east1]
  machineTypes: ['**']
defaults: {region: us-east1, labels: {a: top, b: top}}
patience: {settle: 10s, expire: 100s}
prefixes:
- match: teams/**
  limits: {replicas: 2}
  allow: {regions: []}
  defaults: {labels: {b: teams}}
- match: teams/nlp/**
  limits: {replicas: 3}
  patience: {settle: 0s, stuck: {running: 5s}}
- match: '*/*/x'
  limits: {replicas: 4}
- match: teams/nlp/*
  limits: {replicas: 5, packageBytes: 7}
- match: teams/nlp/ci
  defaults: {region: us-west1}
`
	// The place of the limit of replicas tells which one counts.
	tests := []struct {
		folder, limit, regions, region, settle string
	}{
		{"", "1:20", "3:3", "5:20", "10s"},
		{"census/", "1:20", "3:3", "5:20", "10s"},
		{"team/", "1:20", "3:3", "5:20", "10s"},
		{"Teams/a/", "1:20", "3:3", "5:20", "10s"},
		{"/teams/", "1:20", "3:3", "5:20", "10s"},
		{"x/teams/", "1:20", "3:3", "5:20", "10s"},
		{"teams", "9:22", "10:11", "5:20", "10s"},
		{"teams/", "9:22", "10:11", "5:20", "10s"},
		{"teams//", "9:22", "10:11", "5:20", "10s"},
		{"teams/../census/", "9:22", "10:11", "5:20", "10s"},
		{"teams/vision/", "9:22", "10:11", "5:20", "10s"},
		{"teams/vision/x/", "9:22", "10:11", "5:20", "10s"}, // teams/ has six characters, //x three
		{"a/b/x/", "16:22", "3:3", "5:20", "10s"},
		{"teams/nlp-2/", "9:22", "10:11", "5:20", "10s"},
		{"teams/nlp/", "18:22", "10:11", "5:20", "0s"}, // of two alike, the later
		{"teams/nlp/a/", "18:22", "10:11", "5:20", "0s"},
		{"teams/nlp/a/b", "13:22", "10:11", "5:20", "0s"}, // * stands for no slash
		{"teams/nlp/ci/", "18:22", "10:11", "20:22", "0s"},
		{"teams/nlp/ci/a/", "13:22", "10:11", "5:20", "0s"},
	}
	p := installation(t, file)
	for _, test := range tests {
		t.Run(test.folder, func(t *testing.T) {
			q := p.For(test.folder)
			f, _ := jobspec.Parse("job.yaml", []byte("trainingInput: {}"))
			q.ApplyDefaults(f)
			got := map[string]string{}
			for _, d := range q.Explain(f, job.Resolution{}) {
				got[string(d.Rule)] = strings.TrimPrefix(d.Because, "policy.yaml:")
			}
			f.Spec.TrainingInput.Region = "mars-north1"
			f2, _ := jobspec.Parse("job.yaml", []byte("trainingInput: {region: mars-north1}"))
			regions := ""
			for _, d := range q.Explain(f2, job.Resolution{}) {
				if d.Rule == "policy-region" {
					regions = strings.TrimPrefix(d.Because, "policy.yaml:")
				}
			}
			settle := ""
			if d := q.Patience(job.Patience{Settle: time.Nanosecond}).Settle; d != time.Nanosecond {
				settle = d.String()
			}
			have := []string{got["policy-replicas"], regions, got["policy-region"], settle}
			if diff := cmp.Diff([]string{test.limit, test.regions, test.region, test.settle}, have); diff != "" {
				t.Errorf("limit, regions, default region, settle (-want +got):\n%s", diff)
			}
		})
	}
	// Labels are merged one by one, and For changes nothing but its result.
	for folder, want := range map[string]map[string]string{
		"teams/a/": {"a": "top", "b": "teams"}, "census/": {"a": "top", "b": "top"},
	} {
		f, _ := jobspec.Parse("job.yaml", []byte("{}"))
		p.For(folder).ApplyDefaults(f)
		if diff := cmp.Diff(want, f.Spec.Labels); diff != "" {
			t.Errorf("labels in %s (-want +got):\n%s", folder, diff)
		}
	}
}

func TestPatience(t *testing.T) {
	minutes := func(n int) *job.Duration { return new(job.Duration(time.Duration(n) * time.Minute)) }
	own := job.Patience{
		Settle: 2 * time.Minute, Incomplete: 15 * time.Minute, Expire: time.Hour, Submit: 24 * time.Hour,
		JobPatience: job.JobPatience{Cancelling: *minutes(60), Grace: minutes(15)},
	}
	const file = "patience: {alone: 5s, incomplete: 60s, expire: 120.5s, submit: 7s, stuck: {queued: 1s, preparing: 2s, " +
		"cancelling: 4s}}\nprefixes:\n- match: a\n" +
		"  patience: {settle: 0s, grace: 0s, stuck: {running: 3s, preparing: 9s}}\n- match: b\n" +
		"  patience: {settle: 60s, expire: 30s}\n"
	top := job.Patience{
		Settle: 2 * time.Minute, Incomplete: time.Minute, Expire: 120500 * time.Millisecond, Submit: 7 * time.Second,
		Alone: 5 * time.Second,
		JobPatience: job.JobPatience{
			Queued: job.Duration(time.Second), Preparing: job.Duration(2 * time.Second),
			Cancelling: job.Duration(4 * time.Second), Grace: minutes(15),
		},
	}
	a := top
	a.Settle, a.Preparing, a.Running = 0, job.Duration(9*time.Second), job.Duration(3*time.Second)
	a.Grace = minutes(0)
	b := top
	b.Settle, b.Expire, b.Incomplete = time.Minute, 30*time.Second, 30*time.Second // not later than it is given up
	for _, test := range []struct {
		name, file, folder string
		want               job.Patience
	}{
		{"no policy", "", "a", own},
		{"an empty policy", "{}", "a", own},
		{"the top level", file, "c", top},
		{"zeros", file, "a", a},
		{"an earlier end", file, "b", b},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := installation(t, test.file).For(test.folder).Patience(own)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("patience (-want +got):\n%s", diff)
			}
		})
	}
}

func TestApplyDefaults(t *testing.T) {
	const all = `defaults:
  region: us-east1
  runtimeVersion: '2.11'
  pythonVersion: '3.7'
  serviceAccount: a@b.c
  network: projects/1/global/networks/a
  maxRunningTime: 60s
  labels: {team: ml}
`
	everything := []string{
		"labels.team = ml (policy.yaml:8:18)",
		"trainingInput.network = projects/1/global/networks/a (policy.yaml:6:12)",
		"trainingInput.pythonVersion = 3.7 (policy.yaml:4:18)",
		"trainingInput.region = us-east1 (policy.yaml:2:11)",
		"trainingInput.runtimeVersion = 2.11 (policy.yaml:3:19)",
		"trainingInput.scheduling.maxRunningTime = 60s (policy.yaml:7:19)",
		"trainingInput.serviceAccount = a@b.c (policy.yaml:5:19)",
	}
	without := func(fields ...string) []string {
		return slices.DeleteFunc(slices.Clone(everything), func(s string) bool {
			return slices.ContainsFunc(fields, func(f string) bool { return strings.Contains(s, f+" =") })
		})
	}
	tests := []struct {
		name, policy, job string
		metadata          map[string]string
		want              []string
	}{
		{"no policy", "", "trainingInput: {}", nil, nil},
		{"no defaults", "{}", "trainingInput: {}", nil, nil},
		{"all", all, "trainingInput: {}", nil, everything},
		{"no training input", all, "jobId: a", nil, everything[:1]},
		{
			"what the job gives", all,
			"labels: {team: x}\ntrainingInput: {region: a, network: b, serviceAccount: c, scheduling: {maxRunningTime: 1s}}",
			nil, without("team", "region", "network", "serviceAccount", "maxRunningTime"),
		},
		{
			"what metadata gives", all, "trainingInput: {}", map[string]string{
				"jobdrop-set-region": "europe-west1", "jobdrop-set-scheduling.maxRunningTime": "5s",
			}, without("region", "maxRunningTime"),
		},
		{"beside an image", all, image("gcr.io/a/b"), nil, without("runtimeVersion", "pythonVersion")},
		{
			"a Python version that does not go with it", all, "trainingInput: {pythonVersion: '2.7'}", nil,
			without("runtimeVersion", "pythonVersion"),
		},
		{
			"a runtime version that does not go with it", all, "trainingInput: {runtimeVersion: '1.14'}", nil,
			without("runtimeVersion", "pythonVersion"),
		},
		{"other labels", all, "labels: {a: b}\ntrainingInput: {}", nil, everything},
		{"null is nothing", all, "trainingInput: {region: null, scheduling: null}", nil, everything},
		{
			"a limit is a default", "limits: {maxRunningTime: 60s}", "trainingInput: {}", nil,
			[]string{"trainingInput.scheduling.maxRunningTime = 60s (policy.yaml:1:26)"},
		},
		{
			"the limit of a prefix beats the default",
			"defaults: {maxRunningTime: 90s}\nprefixes: [{match: teams/**, limits: {maxRunningTime: 60s}}]", "trainingInput: {}",
			nil, []string{"trainingInput.scheduling.maxRunningTime = 60s (policy.yaml:2:55)"},
		},
		{"a limit above the service's own is none", "limits: {maxRunningTime: 999999s}", "trainingInput: {}", nil, nil},
		{
			"of a prefix",
			"defaults: {region: us-east1}\nprefixes:\n- match: teams/**\n  defaults: {region: us-west1, labels: {a: b}}\n",
			"trainingInput: {}", nil,
			[]string{"labels.a = b (policy.yaml:4:44)", "trainingInput.region = us-west1 (policy.yaml:4:22)"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f, vs := jobspec.Parse("job.yaml", []byte(test.job))
			vs = append(vs, f.SetMetadata(test.metadata)...)
			if len(vs) > 0 {
				t.Fatal(vs)
			}
			p := installation(t, test.policy).For("teams/nlp/")
			p.ApplyDefaults(f)
			var got []string
			for _, e := range f.Explain() {
				if strings.HasPrefix(e.Origin, "policy.yaml") {
					got = append(got, fmt.Sprintf("%s = %s (%s)", e.Field, e.Value, e.Origin))
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			// Defaults are never refused.
			for _, v := range p.Check(f, job.Resolution{}) {
				if strings.Contains(v.Remedy, "comes from policy.yaml") {
					t.Errorf("violation %v", v)
				}
			}
		})
	}
}

// A limit for jobs of all folders holds in every folder: what metadata sets is
// judged as what the file says.
func TestMetadataIsJudged(t *testing.T) {
	f, _ := jobspec.Parse("job.yaml", []byte("trainingInput: {}"))
	if vs := f.SetMetadata(map[string]string{
		"jobdrop-set-serviceAccount": "a@b.c", "jobdrop-set-scheduling.maxRunningTime": "61s",
		"jobdrop-set-region": "us-east1",
	}); len(vs) > 0 {
		t.Fatal(vs)
	}
	p := installation(t, "limits: {maxRunningTime: 60s}\nallow: {regions: []}\ndefaults: {region: us-east1}\n").For("a/")
	p.ApplyDefaults(f)
	var got []string
	for _, v := range p.Check(f, job.Resolution{}) {
		got = append(got, string(v.Rule))
		if v.Line != 0 || !strings.Contains(v.Remedy, "metadata jobdrop-set-") {
			t.Errorf("violation %v", v)
		}
	}
	if diff := cmp.Diff([]string{"policy-service-account", "policy-region", "policy-max-running-time"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCatalogue(t *testing.T) {
	const file = "trainingInput: {region: mars-north1, scaleTier: CUSTOM, masterType: n9-fast-4, packageUris: " +
		"['gs://abc/a.whl'], pythonModule: a.b, runtimeVersion: '9.1', pythonVersion: '3.12'}"
	f, vs := jobspec.Parse("job.yaml", []byte(file))
	if len(vs) > 0 {
		t.Fatal(vs)
	}
	known := func(p policy.Policy) []string {
		var got []string
		for _, v := range f.Check(p.Catalogue()) {
			got = append(got, string(v.Rule))
		}
		return got
	}
	want := []string{"region-unknown", "machine-unknown", "runtime-version-unknown", "python-version"}
	for _, data := range []string{"", "{}", "catalogue: {}"} {
		if diff := cmp.Diff(want, known(installation(t, data).For("a/"))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", data, diff)
		}
	}
	p := installation(t,
		"catalogue: {regions: [{name: mars-north1}], machines: [{names: n9-fast-4, category: Compute Engine}], runtimes: "+
			"[{version: '9.1'}], pythons: [{version: '3.12'}]}")
	if got := known(p.For("a/")); len(got) > 0 {
		t.Errorf("extended: %v", got)
	}
}

func TestSamplePolicy(t *testing.T) {
	data, err := os.ReadFile("../../../testdata/policy/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p := policy.Policy{Project: "acme-ml", Inbox: "acme-inbox", Rules: rules(t, string(data))}
	tests := []struct {
		folder, job string
		want        []string // rules
	}{
		{"census/", "trainingInput: {scaleTier: BASIC}", nil},
		{"census/", "trainingInput: {scaleTier: CUSTOM, masterType: c3-standard-8, jobDir: gs://acme-models/census}", nil},
		{
			"census/",
			"trainingInput: {scaleTier: CUSTOM, masterType: a2-highgpu-1g, workerCount: 8, jobDir: gs://acme-models-2/census, " +
				"region: us-east1}",
			[]string{"policy-job-dir", "policy-region", "policy-machine-type", "policy-accelerator", "policy-replicas"},
		},
		{
			"teams/nlp/bert/",
			"trainingInput: {scaleTier: CUSTOM, masterType: a2-highgpu-1g, workerType: n1-standard-8, workerCount: 8, " +
				"scheduling: {maxRunningTime: 100000s}}", nil,
		},
		{
			"teams/nlp/ci/1/",
			"trainingInput: {scaleTier: BASIC_GPU, serviceAccount: trainer-1@acme-ml.iam.gserviceaccount.com}",
			[]string{"policy-service-account", "policy-machine-type", "policy-accelerator"},
		},
		{
			"teams/vision/ci/1/",
			"trainingInput: {masterConfig: {imageUri: europe-docker.pkg.dev/acme-base/training/a}, scheduling: " +
				"{maxRunningTime: 3600s}}", []string{"policy-image", "policy-max-running-time"},
		},
		{
			"census/",
			"trainingInput: {masterConfig: {imageUri: 'europe-docker.pkg.dev/acme-base/training/a:1'}, serviceAccount: " +
				"trainer-1@acme-ml.iam.gserviceaccount.com, network: projects/123456789012/global/networks/training}", nil,
		},
	}
	for _, test := range tests {
		f, vs := jobspec.Parse("job.yaml", []byte(test.job))
		if len(vs) > 0 {
			t.Fatal(vs)
		}
		q := p.For(test.folder)
		q.ApplyDefaults(f)
		var got []string
		for _, v := range q.Check(f, job.Resolution{}) {
			got = append(got, string(v.Rule))
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", test.folder, test.job, diff)
		}
	}
}

// BenchmarkPolicy reads the sample policy, and judges a job by it.
func BenchmarkPolicy(b *testing.B) {
	data, err := os.ReadFile("../../../testdata/policy/policy.yaml")
	if err != nil {
		b.Fatal(err)
	}
	const file = "trainingInput: {scaleTier: CUSTOM, masterType: n1-standard-8, jobDir: gs://acme-models/nlp, " +
		"packageUris: [a.tar.gz, 'gs://acme-packages/released/b.whl']}"
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			policy.Parse("policy.yaml", data)
		}
	})
	b.Run("check", func(b *testing.B) {
		p := policy.Policy{Project: "acme-ml", Inbox: "inbox", Rules: rules(b, string(data))}
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			f, vs := jobspec.Parse("job.yaml", []byte(file))
			if len(vs) > 0 {
				b.Fatal(vs)
			}
			r := job.Resolution{Outside: f.Spec.TrainingInput.PackageURIs[1:]}
			b.StartTimer()
			q := p.For("teams/nlp/bert/")
			q.ApplyDefaults(f)
			if vs := q.Check(f, r); len(vs) > 0 {
				b.Fatal(vs)
			}
		}
	})
}

// month returns a policy with a budget of accelerator hours.
func month(most int) string {
	return fmt.Sprintf("limits: {acceleratorHours: {per: month, most: %d}}", most)
}

// A job that sets no limit on its time is told what it counts for, and the longest time that fits.
func TestJudgeTellsOfTheDefaultTime(t *testing.T) {
	for most, want := range map[int]struct {
		severity job.Severity
		remedy   string
	}{
		400: {job.Warning, "write scheduling.maxRunningTime, so that"},
		300: {job.Error, "write scheduling.maxRunningTime: 540000s, the longest that fits, or ask for fewer accelerators"},
	} {
		const found = "336 accelerator hours at most: 2 accelerators for 168 h, since the job sets no limit on its running time"

		f, _ := jobspec.Parse("job.yaml", []byte("trainingInput: {scaleTier: CUSTOM, masterType: a2-highgpu-2g}"))
		vs := installation(t, month(most)).For("a/").Check(f, job.Resolution{})
		var got []job.Violation
		for _, v := range vs {
			if v.Rule == "policy-accelerator-hours" {
				got = append(got, v)
			}
		}
		if len(got) != 1 || got[0].Severity != want.severity || got[0].Found != found ||
			!strings.HasPrefix(got[0].Remedy, want.remedy) {
			t.Errorf("a budget of %d: %+v", most, got)
		}
	}
}
