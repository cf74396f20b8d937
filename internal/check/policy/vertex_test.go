package policy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// What a policy says of jobdrop.vertex.
func TestVertexOptions(t *testing.T) {
	const (
		attachment = "projects/p/regions/us-central1/networkAttachments/n"
		reserved   = "projects/p/zones/us-central1-a/reservations/a100"
		board      = "projects/p/locations/us-central1/tensorboards/1"
		census     = "projects/p/locations/us-central1/metadataStores/default/contexts/census"
		reach      = "{reservationAffinity: {reservationAffinityType: SPECIFIC_RESERVATION, values: [" + reserved + "]}, " +
			"persistentResourceId: gpus, tensorboard: " + board + ", experiment: " + census + ", pscInterfaceConfig: " +
			"{networkAttachment: " + attachment + ", dnsPeeringConfigs: [{domain: a., targetProject: p, targetNetwork: n}]}, " +
			"nfsMounts: [{server: 10.0.0.2, path: /data, mountPoint: a}], lustreMounts: [{instanceIp: 10.0.0.3, filesystem: " +
			"fs, volumeHandle: p/z/i, mountPoint: b}]}"
	)
	for _, test := range []struct {
		name, policy, vertex string
		want                 []string
	}{
		{"nothing said", "", "{}", nil},
		{"nothing said, under lists", "allow: {strategies: ['*'], reservations: [], tensorboards: []}", "{}", []string{
			"strategy STANDARD allowed: policy.yaml:1:22", "reservationAffinity not asked: policy.yaml:1:28",
			"tensorboard not asked: policy.yaml:1:46",
		}},
		{
			"what is free", "", "{strategy: SPOT, restartJobOnWorkerRestart: true, enableDashboardAccess: true, " +
				"gpuPartitionSize: 1g.5gb}",
			[]string{"strategy SPOT allowed: built in"},
		},
		{
			"no reservation", "", "{reservationAffinity: {reservationAffinityType: NO_RESERVATION}}",
			[]string{"reservationAffinity NO_RESERVATION allowed: built in"},
		},
		{
			"any reservation", "", "{reservationAffinity: {reservationAffinityType: ANY_RESERVATION}}",
			[]string{"reservationAffinity ANY_RESERVATION refused: built in"},
		},
		{
			"any reservation that is allowed", "allow: {reservations: [ANY_RESERVATION]}",
			"{reservationAffinity: {reservationAffinityType: ANY_RESERVATION}}",
			[]string{"reservationAffinity ANY_RESERVATION allowed: policy.yaml:1:24"},
		},
		{"what reaches others, without a policy", "", reach, []string{
			"reservationAffinity.values[0] " + reserved + " refused: built in",
			"persistentResourceId gpus refused: built in",
			"tensorboard " + board + " refused: built in",
			"experiment " + census + " refused: built in",
			"pscInterfaceConfig.networkAttachment " + attachment + " refused: built in",
			"pscInterfaceConfig.dnsPeeringConfigs[0].targetNetwork projects/p/global/networks/n refused: built in",
			"nfsMounts[0] 10.0.0.2:/data refused: built in",
			"lustreMounts[0].instanceIp 10.0.0.3:/fs refused: built in",
			"lustreMounts[0].volumeHandle p/z/i refused: built in",
		}},
		{
			"what reaches others, allowed", `
allow:
  reservations: ['projects/p/zones/*/reservations/*']
  persistentResources: [gpus]
  tensorboards: ['projects/p/locations/*/tensorboards/*']
  experiments: ['projects/p/**/contexts/census']
  networkAttachments: ['projects/p/**']
  networks: [projects/p/global/networks/n]
  nfsMounts: ['10.0.0.2:/data']
  lustreMounts: ['10.0.0.3:/fs', p/z/i]
`, reach, []string{
				"reservationAffinity.values[0] " + reserved + " allowed: policy.yaml:3:18",
				"persistentResourceId gpus allowed: policy.yaml:4:25",
				"tensorboard " + board + " allowed: policy.yaml:5:18",
				"experiment " + census + " allowed: policy.yaml:6:17",
				"pscInterfaceConfig.networkAttachment " + attachment + " allowed: policy.yaml:7:24",
				"pscInterfaceConfig.dnsPeeringConfigs[0].targetNetwork projects/p/global/networks/n allowed: policy.yaml:8:14",
				"nfsMounts[0] 10.0.0.2:/data allowed: policy.yaml:9:15",
				"lustreMounts[0].instanceIp 10.0.0.3:/fs allowed: policy.yaml:10:18",
				"lustreMounts[0].volumeHandle p/z/i allowed: policy.yaml:10:34",
			},
		},
		{
			"a share beside the one that is allowed", "allow: {nfsMounts: ['10.0.0.2:/data/**']}",
			"{nfsMounts: [{server: 10.0.0.2, path: /data/../home, mountPoint: a}]}",
			[]string{"nfsMounts[0] 10.0.0.2:/home refused: policy.yaml:1:9"},
		},
		{
			"a strategy that is not listed", "allow: {strategies: [SPOT]}", "{strategy: FLEX_START}",
			[]string{"strategy FLEX_START refused: policy.yaml:1:9"},
		},
		{
			"no strategy where the default is not listed", "allow: {strategies: [SPOT]}", "{}",
			[]string{"strategy STANDARD refused: policy.yaml:1:9"},
		},
		{
			"defaults are the operator's", `
defaults:
  vertex: {strategy: FLEX_START, tensorboard: ` + board + `, nfsMounts: [{server: 10.0.0.2, path: /data, mountPoint: a}]}
allow: {strategies: [SPOT], nfsMounts: []}
`, "{}", []string{
				"strategy FLEX_START defaulted: policy.yaml:3:22", "tensorboard " + board + " defaulted: policy.yaml:3:47",
				"nfsMounts[0] 10.0.0.2:/data defaulted: policy.yaml:3:96",
			},
		},
		{
			"the job beats the default", "defaults: {vertex: {strategy: FLEX_START}}", "{strategy: STANDARD}",
			[]string{"strategy STANDARD allowed: built in"},
		},
		{
			"the nearest folder's default", "defaults: {vertex: {strategy: FLEX_START}}\nprefixes: [{match: teams/nlp/**, " +
				"defaults: {vertex: {strategy: SPOT}}}]", "{}", []string{"strategy SPOT defaulted: policy.yaml:2:64"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := installation(t, test.policy)
			p.Backend = "vertex"
			var got []string
			for _, d := range decisions(t, p, "trainingInput: {region: us-central1}\njobdrop: {vertex: "+test.vertex+"}\n",
				"policy-strategy", "policy-reservation", "policy-persistent-resource", "policy-tensorboard",
				"policy-experiment", "policy-network-attachment", "policy-network", "policy-mount") {
				if rest, ok := strings.CutPrefix(d, "jobdrop.vertex."); ok {
					got = append(got, rest)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// ml/v1 has no strategies, so a job there is not asked for one.
func TestStrategyAtML(t *testing.T) {
	p := installation(t, "allow: {strategies: [SPOT]}")
	for file, want := range map[string]int{
		"trainingInput: {region: us-central1}\n":                                            0,
		"trainingInput: {region: us-central1}\njobdrop: {vertex: {strategy: FLEX_START}}\n": 1,
	} {
		f, r, p := apply(t, p, file)
		var got []job.Violation
		for _, v := range p.Check(f, r) {
			if v.Rule == "policy-strategy" {
				got = append(got, v)
			}
		}
		if len(got) != want {
			t.Errorf("%s: got %v, want %d", file, got, want)
		}
	}
}

// A default is held to the rules of job files, beside what it may find in a job.
func TestVertexDefaultsAreChecked(t *testing.T) {
	for _, test := range []struct{ data, want string }{
		{"defaults: {vertex: {maxWaitDuration: 7200s}}", ""},
		{"defaults: {vertex: {nfsMounts: [{server: 10.0.0.2, path: /a, mountPoint: a}]}}", ""},
		{"defaults: {vertex: {tensorboard: projects/p/locations/us-central1/tensorboards/1}}", ""},
		{
			"defaults: {vertex: {maxWaitDuration: 2h}}",
			"policy.yaml:1:38: defaults.vertex.maxWaitDuration: this is not a valid duration",
		},
		{"defaults: {vertex: {strategy: SPOT, maxWaitDuration: 7200s}}", "only a job of the strategy FLEX_START"},
		{"defaults: {vertex: {strategy: CHEAP}}", "defaults.vertex.strategy: the value is not one"},
		{
			"prefixes: [{match: a, defaults: {vertex: {persistentResourceId: A}}}]",
			"prefixes[0].defaults.vertex.persistentResourceId: this is not a valid ID",
		},
		{"defaults: {vertex: {strategy: }}", "nothing stands here"},
		{"allow: {networkAttachments: ['projects/acme-*/**']}", "anyone can take a name"},
		{"allow: {networkAttachments: ['projects/acme/**'], reservations: ['projects/*/zones/**']}", ""},
	} {
		_, vs := policy.Parse("policy.yaml", []byte(test.data))
		switch {
		case test.want == "" && len(vs) > 0, test.want != "" && len(vs) != 1,
			test.want != "" && !strings.Contains(vs[0].String(), test.want):
			t.Errorf("%s: got %v, want %q", test.data, vs, test.want)
		}
	}
}
