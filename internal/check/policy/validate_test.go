package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	pages "github.com/jobdrop/jobdrop/internal/cli/rules"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// parseCase is a policy file with its violations: severity, rule, line and
// column, field.
type parseCase struct {
	name, data string
	want       []string
}

func parseCases() []parseCase {
	list := func(n int, entry string) string { return strings.TrimSuffix(strings.Repeat(entry+", ", n), ", ") }
	return []parseCase{
		{"no rules", "{}", nil},
		{"no rules in JSON", `{"allow": {}}`, nil},
		{"sections without settings", "allow:\nlimits:\ndefaults:\npatience:\nprefixes:\ncatalogue:\n", nil},
		{"empty", "", []string{"error file-empty 0:0 "}},
		{"comments only", "# allow:\n#   images: []\n", []string{"error file-empty 0:0 "}},
		{"no mapping", "- a\n", []string{"error shape 1:1 "}},
		{"no YAML", "allow: [\n", []string{"error syntax 1:1 "}},
		{"two documents", "{}\n---\n{}\n", []string{"error single-document 2:1 "}},

		{"unknown field", "limits: {}\nalow: {}\n", []string{"error unknown-field 2:1 alow"}},
		{"unknown setting", "allow:\n  image: []\n", []string{"error unknown-field 2:3 allow.image"}},
		{"misplaced setting", "replicas: 3\n", []string{"error unknown-field 1:1 replicas"}},
		{"setting of nothing", "stop: true\n", []string{"error unknown-field 1:1 stop"}},
		{
			"prefix in a prefix", "prefixes:\n- match: a\n  prefixes: []\n",
			[]string{"error unknown-field 3:3 prefixes[0].prefixes"},
		},
		{
			"catalogue in a prefix", "prefixes:\n- match: a\n  catalogue: {}\n",
			[]string{"error unknown-field 3:3 prefixes[0].catalogue"},
		},
		{"other spelling", "allow:\n  machine_types: [a]\n", []string{"warning field-spelling 2:3 allow.machineTypes"}},
		{"twice", "allow:\n  regions: [a]\n  regions: [b]\n", []string{"error duplicate-key 3:3 allow.regions"}},
		{
			"twice by another spelling", "allow:\n  jobDirs: ['**']\n  job_dirs: []\n",
			[]string{"error duplicate-key 3:3 allow.jobDirs"},
		},

		{"wrong types",
			"defaults: 1\nallow: {regions: {a: b}, images: [1]}\nlimits: {replicas: few, packageBytes: [1]}\n" +
				"patience: {settle: 60, stuck: 5s}\nprefixes: {match: a}\n", []string{
				"error shape 1:11 defaults",
				"error shape 2:9 allow.regions",
				"error text 2:35 allow.images[0]",
				"error integer 3:20 limits.replicas",
				"error shape 3:25 limits.packageBytes",
				"error text 4:20 patience.settle",
				"error shape 4:31 patience.stuck",
				"error shape 5:1 prefixes",
			}},
		{"null list", "allow:\n  images:\n  regions: ~\n", []string{
			"error policy-empty 2:3 allow.images",
			"error policy-empty 3:3 allow.regions",
		}},
		{"null entry", "allow:\n  images:\n  - \n", []string{"error shape 3:4 allow.images[0]"}},
		{"null value", "defaults: {region: }\nlimits: {replicas: }\npatience: {stuck: {queued: null}}\n", []string{
			"error policy-empty 1:12 defaults.region",
			"error policy-empty 2:10 limits.replicas",
			"error policy-empty 3:20 patience.stuck.queued",
		}},
		{"null in a prefix", "prefixes:\n- match: a\n  allow: {networks: null}\n  defaults: {labels: }\n", []string{
			"error policy-empty 3:11 prefixes[0].allow.networks",
			"error policy-empty 4:14 prefixes[0].defaults.labels",
		}},
		{"lists", "allow: {regions: [], images: project, accelerators: [TPU_*]}", nil},

		{"share without a path", "allow:\n  nfsMounts: ['10.0.0.2', '10.0.0.2:/a', '**']\n", []string{
			"error policy-pattern 2:15 allow.nfsMounts[0]",
		}},
		{"empty pattern", "allow:\n  regions: ['']\n", []string{"error policy-pattern 2:13 allow.regions[0]"}},
		{"longest pattern", "allow: {regions: [" + strings.Repeat("a", 512) + ", " + strings.Repeat("a*", 16) + "]}", nil},
		{
			"pattern too long", "allow: {regions: [" + strings.Repeat("a", 513) + "]}",
			[]string{"error policy-pattern 1:19 allow.regions[0]"},
		},
		{
			"too many wildcards", "allow: {regions: [" + strings.Repeat("a**", 17) + "]}",
			[]string{"error policy-pattern 1:19 allow.regions[0]"},
		},
		{"spaces",
			"allow: {regions: [' a'], images: ['a ', \"a\\tb\", \"a\\u200bb\", \"a\\u00a0b\"], jobDirs: ['gs://a/b c/*']}",
			[]string{
				"error policy-pattern 1:19 allow.regions[0]",
				"error policy-pattern 1:35 allow.images[0]",
				"error policy-pattern 1:41 allow.images[1]",
				"error policy-pattern 1:49 allow.images[2]",
				"error policy-pattern 1:61 allow.images[3]",
			}},
		{"letters", "allow: {jobDirs: [gs://a/größe/*]}\nprefixes: [{match: Ü b/*}]\n", nil},
		{"other patterns' characters", "allow: {regions: ['us-[a-z]*', 'a?', '{a,b}', 'a\\\\', '^a$', 'a|b']}", []string{
			"warning policy-pattern 1:19 allow.regions[0]",
			"warning policy-pattern 1:32 allow.regions[1]",
			"warning policy-pattern 1:38 allow.regions[2]",
			"warning policy-pattern 1:47 allow.regions[3]",
			"warning policy-pattern 1:54 allow.regions[4]",
			"warning policy-pattern 1:61 allow.regions[5]",
		}},
		{"most entries", "allow: {regions: [" + list(500, "a") + "]}", nil},
		{
			"too many entries", "allow: {regions: [" + list(501, "a") + "]}",
			[]string{"error policy-list-length 1:9 allow.regions"},
		},
		{
			"too many prefixes", "prefixes: [" + list(501, "{match: a}") + "]",
			[]string{"error policy-list-length 1:1 prefixes"},
		},

		{"no URI", "allow:\n  jobDirs: [bucket/a, '*']\n  packageSources: ['GS://a/b']\n", []string{
			"error policy-pattern 2:13 allow.jobDirs[0]",
			"error policy-pattern 2:23 allow.jobDirs[1]",
			"error policy-pattern 3:20 allow.packageSources[0]",
		}},
		{"any URI", "allow:\n  jobDirs: ['**']\n  packageSources: [gs://**, 'gs://*/*.whl']\n", nil},
		{"a bucket alone", "allow:\n  jobDirs: [gs://a]\n  packageSources: [gs://a, gs://*]\n", []string{
			"warning policy-pattern 3:20 allow.packageSources[0]",
			"warning policy-pattern 3:28 allow.packageSources[1]",
		}},
		{"open bucket",
			"allow:\n  jobDirs: ['gs://bucket*', 'gs://*bucket/**', 'gs://bucket**', 'gs://a*b/c', 'gs://*.com/**', " +
				"'gs://**.example.com/a']\n  packageSources: ['gs://b*/**']\n", []string{
				"error policy-open-pattern 2:13 allow.jobDirs[0]",
				"error policy-open-pattern 2:29 allow.jobDirs[1]",
				"error policy-open-pattern 2:48 allow.jobDirs[2]",
				"error policy-open-pattern 2:65 allow.jobDirs[3]",
				"error policy-open-pattern 2:79 allow.jobDirs[4]",
				"error policy-open-pattern 2:96 allow.jobDirs[5]",
				"error policy-open-pattern 3:20 allow.packageSources[0]",
			}},
		{"bucket of a domain", "allow:\n  jobDirs: ['gs://*.example.com/**']\n", nil},
		{"scheme of an image", "allow:\n  images: ['https://gcr.io/a/b', '*']\n", []string{
			"error policy-pattern 2:12 allow.images[0]",
			"warning policy-pattern 2:34 allow.images[1]",
		}},
		{
			"images",
			"allow:\n  images: [project, '**', 'gcr.io/a/**', '*.gcr.io/a/b:*', '*-docker.pkg.dev/a/**', 'us*.gcr.io/a/b', " +
				"'registry.example.com/a*/b', 'gcr.io/*/b', python:3.*]\n", nil,
		},
		{"open images",
			"allow:\n  images: ['gcr.io/a*/**', 'gcr.io/a**', '*gcr.io/a/b', 'gcr.io**', '**.gcr.io/a/b', " +
				"'eu-docker.pkg.dev/*a/b/c', 'a.*/b', 'docker.io/a*/b', 'a*/b']\n", []string{
				"error policy-open-pattern 2:12 allow.images[0]",
				"error policy-open-pattern 2:28 allow.images[1]",
				"error policy-open-pattern 2:42 allow.images[2]",
				"error policy-open-pattern 2:57 allow.images[3]",
				"error policy-open-pattern 2:69 allow.images[4]",
				"error policy-open-pattern 2:86 allow.images[5]",
				"error policy-open-pattern 2:114 allow.images[6]",
				"error policy-open-pattern 2:123 allow.images[7]",
				"error policy-open-pattern 2:141 allow.images[8]",
			}},
		{
			"accounts",
			"allow:\n  serviceAccounts: ['**', '123', 'a@*.iam.gserviceaccount.com', '*@a.iam.gserviceaccount.com', " +
				"'*@example.com', '1-compute@developer.gserviceaccount.com', '**@**']\n", nil,
		},
		{"open accounts",
			"allow:\n  serviceAccounts: ['a@b*.iam.gserviceaccount.com', 'a@*b.iam.gserviceaccount.com', " +
				"'*@developer.gserviceaccount.com', '*@*gserviceaccount.com']\n", []string{
				"error policy-open-pattern 2:21 allow.serviceAccounts[0]",
				"error policy-open-pattern 2:53 allow.serviceAccounts[1]",
				"error policy-open-pattern 2:85 allow.serviceAccounts[2]",
				"error policy-open-pattern 2:120 allow.serviceAccounts[3]",
			}},
		{"accounts without an address", "allow:\n  serviceAccounts: ['*', 'trainer-*']\n", []string{
			"warning policy-pattern 2:21 allow.serviceAccounts[0]",
			"warning policy-pattern 2:26 allow.serviceAccounts[1]",
		}},
		{"any network", "allow: {networks: ['*']}", []string{"warning policy-pattern 1:20 allow.networks[0]"}},
		{"accelerators", "allow: {accelerators: [NVIDIA_*, NVIDIA_L4, '*', TPU_V2, nvidia_tesla_t4, NVIDIA_TESLA_T5]}",
			[]string{
				"warning policy-pattern 1:58 allow.accelerators[4]",
				"warning policy-pattern 1:75 allow.accelerators[5]",
			}},

		{
			"defaults",
			"defaults: {region: us-east1, runtimeVersion: '2.11', pythonVersion: '3.7', labels: {a: b}, serviceAccount: " +
				"a@b.c, network: projects/1/global/networks/a, maxRunningTime: 60s}", nil,
		},
		{"wrong defaults",
			"defaults:\n  region: us-east1-b\n  runtimeVersion: latest\n  pythonVersion: '3.8'\n" +
				"  labels: {Team: a, jobdrop-x: b, c: D}\n  serviceAccount: me\n  network: default\n  maxRunningTime: 1h\n",
			[]string{
				"error region-format 2:11 defaults.region",
				"error runtime-version-format 3:19 defaults.runtimeVersion",
				"error python-version 4:18 defaults.pythonVersion",
				"error label-key 5:18 defaults.labels.Team",
				"error label-reserved 5:32 defaults.labels.jobdrop-x",
				"error label-value 5:38 defaults.labels.c",
				"error service-account-format 6:19 defaults.serviceAccount",
				"error network-format 7:12 defaults.network",
				"error duration-format 8:19 defaults.maxRunningTime",
			}},
		{"doubtful defaults", "defaults: {region: us-east99, runtimeVersion: '9.9'}", []string{
			"warning region-unknown 1:20 defaults.region",
			"warning runtime-version-unknown 1:47 defaults.runtimeVersion",
		}},
		{
			"defaults that don't agree", "defaults: {runtimeVersion: '2.11', pythonVersion: '2.7'}",
			[]string{"error python-for-runtime 1:51 defaults.pythonVersion"},
		},
		{"empty defaults", "defaults: {region: '', labels: {}, maxRunningTime: ''}", []string{
			"error policy-empty 1:20 defaults.region",
			"error policy-empty 1:52 defaults.maxRunningTime",
		}},
		{"no number", "defaults: {runtimeVersion: 2.10}", []string{"error text 1:28 defaults.runtimeVersion"}},
		{
			"defaults of a prefix", "prefixes:\n- match: a\n  defaults: {region: nowhere}\n",
			[]string{"error region-format 3:22 prefixes[0].defaults.region"},
		},
		{
			"defaults of the operator's catalogue",
			"catalogue:\n  regions: [{name: us-east99}]\n  runtimes: [{version: '9.9'}]\n" +
				"  pythons: [{version: '3.12', from: '9.0'}]\n" +
				"defaults: {region: us-east99, runtimeVersion: '9.9', pythonVersion: '3.12'}\n", nil,
		},
		{
			"too many labels", "defaults: {labels: {" + manyLabels(65) + "}}",
			[]string{"error label-count 1:12 defaults.labels"},
		},

		{"limits", "limits: {replicas: 1, maxRunningTime: 1s, packageBytes: '1'}", nil},
		{"no room", "limits: {replicas: 0, maxRunningTime: 0s, packageBytes: -5}", []string{
			"error policy-limit 1:20 limits.replicas",
			"error policy-duration 1:39 limits.maxRunningTime",
			"error policy-limit 1:57 limits.packageBytes",
		}},
		{
			"numbers of jobs", "limits: {activeJobs: 1, jobsPerHour: 1}\npause: true\nprefixes: [{match: a, pause: false}]\n",
			nil,
		},
		{"no room for jobs", "limits: {activeJobs: 0, jobsPerHour: -1}\n", []string{
			"error policy-limit 1:22 limits.activeJobs",
			"error policy-limit 1:38 limits.jobsPerHour",
		}},
		{"a budget", "limits: {acceleratorHours: {per: month, most: 2000, over: refuse}}\n", nil},
		{"a budget of nothing", "limits: {acceleratorHours: {per: month, most: 0}}\n", []string{
			"error policy-limit 1:47 limits.acceleratorHours.most",
		}},
		{"a budget of too much", "limits: {acceleratorHours: {per: month, most: 1000000001}}\n", []string{
			"error policy-limit 1:47 limits.acceleratorHours.most",
		}},
		{"a budget without its parts", "limits: {acceleratorHours: {over: wait}}\n", []string{
			"error policy-limit 1:10 limits.acceleratorHours",
			"error policy-limit 1:10 limits.acceleratorHours",
		}},
		{"a budget in other words", "limits: {acceleratorHours: {per: week, most: 1, over: stop}}\n", []string{
			"error enum 1:34 limits.acceleratorHours.per",
			"error enum 1:55 limits.acceleratorHours.over",
		}},
		{"a strategy that nothing has", "allow: {strategies: [SPOT, spot, '*']}\n", []string{
			"warning policy-pattern 1:28 allow.strategies[1]",
		}},
		{"pause of nothing", "pause:\n", []string{"error policy-empty 1:1 pause"}},
		{"the same content runs or is withdrawn", "sameContent: run\nprefixes: [{match: a, sameContent: withdraw}]\n", nil},
		{"the same content in another word", "sameContent: withdrawn\n", []string{"error enum 1:14 sameContent"}},
		{"the same content in capitals", "sameContent: Withdraw\n", []string{"warning enum-spelling 1:14 sameContent"}},
		{"the same content of nothing", "sameContent:\n", []string{"error policy-empty 1:1 sameContent"}},
		{"the same content under a key nearly right", "prefixes: [{match: a, sameContents: run}]\n",
			[]string{"error unknown-field 1:23 prefixes[0].sameContents"}},
		{"pause by a number", "pause: 1\n", []string{"error bool 1:8 pause"}},
		{"no time for submits", "patience: {submit: 0s}\n", []string{"error policy-duration 1:20 patience.submit"}},
		{"limit without suffix", "limits: {maxRunningTime: 3600}", []string{"error text 1:26 limits.maxRunningTime"}},
		{
			"limit with other suffix", "limits: {maxRunningTime: 2h}",
			[]string{"error policy-duration 1:26 limits.maxRunningTime"},
		},
		{
			"default above the limit", "defaults: {maxRunningTime: 61s}\nlimits: {maxRunningTime: 60s}\n",
			[]string{"error policy-limit 1:28 defaults.maxRunningTime"},
		},
		{"default at the limit", "defaults: {maxRunningTime: 60s}\nlimits: {maxRunningTime: 60s}\n", nil},
		{
			"default of no time", "defaults: {maxRunningTime: 0s}",
			[]string{"error max-running-time 1:28 defaults.maxRunningTime"},
		},

		{
			"patience",
			"patience: {settle: 0s, incomplete: 60s, expire: 60s, stuck: {queued: 1s, preparing: 1.5s, running: 9s}}", nil,
		},
		{"no patience",
			"patience: {settle: '', incomplete: 0s, expire: 0.5s, stuck: {queued: 0s, preparing: soon, running: -1s}}", []string{
				"error policy-duration 1:20 patience.settle",
				"error policy-duration 1:36 patience.incomplete",
				"error policy-duration 1:48 patience.expire",
				"error policy-duration 1:70 patience.stuck.queued",
				"error policy-duration 1:85 patience.stuck.preparing",
				"error policy-duration 1:100 patience.stuck.running",
			}},
		{
			"given up before it is reported", "patience: {incomplete: 61s, expire: 60s}",
			[]string{"error policy-patience 1:37 patience.expire"},
		},

		{"prefixes", "prefixes: [{match: a}, {match: '*'}, {match: '**'}, {match: a/}, {match: a/b c/**}]", nil},
		{"wrong prefixes",
			"prefixes:\n- match: gs://inbox/a\n- match: /a\n- match: ''\n- allow: {}\n- {}\n- match: 1\n- match: \n" +
				"- match: ' a'\n", []string{
				"error policy-match 2:10 prefixes[0].match",
				"error policy-match 3:10 prefixes[1].match",
				"error policy-match 4:10 prefixes[2].match",
				"error policy-match 5:3 prefixes[3].match",
				"error policy-match 6:3 prefixes[4].match",
				"error text 7:10 prefixes[5].match",
				"error policy-match 8:3 prefixes[6].match",
				"error policy-pattern 9:10 prefixes[7].match",
			}},
		{
			"the same prefix", "prefixes:\n- match: a/**\n- match: b\n- match: a/**\n",
			[]string{"error policy-prefix-twice 4:10 prefixes[2].match"},
		},
		{"all of a prefix is checked",
			"prefixes:\n- match: a\n  allow: {jobDirs: [a]}\n  limits: {replicas: 0}\n  patience: {expire: 1}\n" +
				"  defaults: {maxRunningTime: 0s}\n", []string{
				"error policy-pattern 3:21 prefixes[0].allow.jobDirs[0]",
				"error policy-limit 4:22 prefixes[0].limits.replicas",
				"error text 5:22 prefixes[0].patience.expire",
				"error max-running-time 6:30 prefixes[0].defaults.maxRunningTime",
			}},

		{
			"viewers",
			"viewers:\n- members: ['user:ann@example.com', 'domain:example.com', 'serviceAccount:a@b.iam.gserviceaccount.com']\n" +
				"  prefixes: ['**', teams/nlp/**]\n  outputs: ['gs://nlp-output/**']\n- {members: 'user:a@b.c', prefixes: a}\n" +
				"- {members: ['domain:Example.COM'], prefixes: ['*'], outputs: []}\n", nil,
		},
		{"viewers without their parts",
			"viewers:\n- {}\n- members: []\n  prefixes: [a]\n- members: ['user:a@b.c']\n  prefixes:\n  outputs:\n", []string{
				"error policy-viewer 2:3 viewers[0]",
				"error policy-viewer 2:3 viewers[0]",
				"error policy-viewer 3:3 viewers[1].members",
				"error policy-viewer 5:3 viewers[2]",
				"error policy-empty 7:3 viewers[2].outputs",
			}},
		{"nobody's members",
			"viewers:\n- prefixes: [a]\n  members:\n  - allUsers\n  - allAuthenticatedUsers\n  - ann@example.com\n" +
				"  - group:nlp@example.com\n  - domain:gmail.com\n  - domain:b.iam.gserviceaccount.com\n  - domain:*.example.com\n" +
				"  - domain:ann@example.com\n  - user:*@example.com\n  - user:a@b.iam.gserviceaccount.com\n" +
				"  - serviceAccount:ann@example.com\n  - 'user: ann@example.com'\n  - user:ann@exämple.com\n  - User:a@b.c\n  - ''\n",
			members(4, 18)},
		{"viewers' patterns",
			"viewers:\n- members: ['user:a@b.c']\n  prefixes: ['', /a, 'gs://inbox/a', ' a']\n" +
				"  outputs: [nlp-output, 'gs://nlp*/**', '**', 'gs://**', '']\n", []string{
				"error policy-pattern 3:14 viewers[0].prefixes[0]",
				"error policy-match 3:18 viewers[0].prefixes[1]",
				"error policy-match 3:22 viewers[0].prefixes[2]",
				"error policy-pattern 3:38 viewers[0].prefixes[3]",
				"error policy-pattern 4:13 viewers[0].outputs[0]",
				"error policy-open-pattern 4:25 viewers[0].outputs[1]",
				"warning policy-viewer 4:41 viewers[0].outputs[2]",
				"warning policy-viewer 4:47 viewers[0].outputs[3]",
				"error policy-pattern 4:58 viewers[0].outputs[4]",
			}},
		{
			"too many viewers", "viewers: [" + list(501, "{members: 'user:a@b.c', prefixes: a}") + "]",
			[]string{"error policy-list-length 1:1 viewers"},
		},
		{"too many of an entry of viewers",
			"viewers:\n- members: [" + list(501, "'user:a@b.c'") + "]\n  prefixes: [a]\n" +
				"- members: ['user:a@b.c']\n  prefixes: [" + list(501, "a") + "]\n  outputs: [" + list(501, "gs://a") + "]\n", []string{
				"error policy-list-length 2:3 viewers[0].members",
				"error policy-list-length 5:3 viewers[1].prefixes",
				"error policy-list-length 6:3 viewers[1].outputs",
			}},
		{
			"viewers of a prefix", "prefixes: [{match: a, viewers: []}]",
			[]string{"error unknown-field 1:23 prefixes[0].viewers"},
		},

		{
			"catalogue",
			"catalogue: {date: '2026-01-01', sources: [us], machines: [{names: [a-1], category: TPU, accelerators: {TPU_V3: " +
				"[1], TPU_V2: []}, deduced: true}], regions: [{name: a-b1, tpu: true}], runtimes: [{version: '3.0', ended: " +
				"'2026-01-01', tpu: 'no'}], pythons: [{version: '3.12', from: '3.0', to: '3.1'}]}", nil,
		},
		{"wrong catalogue",
			"catalogue:\n  machines:\n  - names: []\n    category: GPU\n  - {}\n  regions: [{tpu: true}]\n  runtimes:\n" +
				"  - tpu: maybe\n  - version: '3.0'\n    tpu: yes\n  pythons: [{}]\n", []string{
				"error policy-catalogue 3:5 catalogue.machines[0].names",
				"error policy-catalogue 4:15 catalogue.machines[0].category",
				"error policy-catalogue 5:5 catalogue.machines[1].category",
				"error policy-catalogue 5:5 catalogue.machines[1].names",
				"error policy-catalogue 6:13 catalogue.regions[0].name",
				"error policy-catalogue 8:5 catalogue.runtimes[0].version",
				"error policy-catalogue 8:10 catalogue.runtimes[0].tpu",
				"error text 10:10 catalogue.runtimes[1].tpu",
				"error policy-catalogue 11:13 catalogue.pythons[0].version",
			}},
	}
}

// members returns the violations of an entry's members that stand on lines from first to last.
func members(first, last int) []string {
	var all []string
	for line := first; line <= last; line++ {
		all = append(all, fmt.Sprintf("error policy-viewer %d:5 viewers[0].members[%d]", line, line-first))
	}
	return all
}

func manyLabels(n int) string {
	var labels []string
	for i := range n {
		labels = append(labels, fmt.Sprintf("l%d: a", i))
	}
	return strings.Join(labels, ", ")
}

func TestParse(t *testing.T) {
	for _, tt := range parseCases() {
		t.Run(tt.name, func(t *testing.T) {
			rules, vs := Parse("policy.yaml", []byte(tt.data))
			var got []string
			for _, v := range vs {
				if !pages.Known(v.Rule) || v.File != "policy.yaml" || v.Message == "" || v.Remedy == "" {
					t.Errorf("violation without a rule, a file, a message or a remedy: %+v", v)
				}
				got = append(got, fmt.Sprintf("%s %s %d:%d %s", v.Severity, v.Rule, v.Line, v.Column, v.Field))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("violations (-want +got):\n%s\n%v", diff, vs)
			}
			if rules.given() == job.HasErrors(vs) {
				t.Errorf("rules are given: %t", rules.given())
			}
		})
	}
}

// However much is wrong, the list ends, its last entry says how much is left out,
// and it is the same each time.
func TestParseBoundsViolations(t *testing.T) {
	data := "allow: {regions: [" + strings.Repeat("'', ", 60) + "''], images: [" + strings.Repeat("1, ", 60) + "1]}"
	_, vs := Parse("policy.yaml", []byte(data))
	if n := len(vs); n != 101 || vs[100].Rule != "too-many-violations" ||
		vs[100].Message != "there are 22 more violations" || vs[100].Severity != job.Error {
		t.Errorf("%d violations, the last %v", n, vs[n-1])
	}
	for i, v := range vs[1:100] {
		if v.Line != 1 || v.Column <= vs[i].Column {
			t.Fatalf("not in order: %v after %v", v, vs[i])
		}
	}
	for range 10 {
		if _, again := Parse("policy.yaml", []byte(data)); !cmp.Equal(vs, again) {
			t.Fatal("not the same again")
		}
	}
}

// What people write of a budget in words from elsewhere is taken for what they mean, in the remedy.
func TestBudgetInOtherWords(t *testing.T) {
	_, vs := Parse("p.yaml", []byte("limits: {acceleratorHours: {per: week, most: 1, over: reject}}"))
	var got []string
	for _, v := range vs {
		got = append(got, v.Remedy)
	}
	if diff := cmp.Diff([]string{"write month", "write refuse"}, got); diff != "" {
		t.Errorf("remedies (-want +got):\n%s", diff)
	}
}
