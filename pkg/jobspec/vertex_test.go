package jobspec

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// vertexCases are the cases of the rules of jobdrop.vertex. The options begin in line 11 of the file.
func vertexCases() []ruleCase {
	asking := func(base string, options ...string) string {
		return base + "jobdrop:\n  vertex:\n    " + strings.Join(options, "\n    ") + "\n"
	}
	vertex := func(options ...string) string { return asking(trainer, options...) }
	const (
		attachment = "pscInterfaceConfig: {networkAttachment: projects/p/regions/us-central1/networkAttachments/n}"
		board      = "projects/p/locations/us-central1/tensorboards/1"
		census     = "projects/p/locations/us-central1/metadataStores/default/contexts/census"
		reserved   = "projects/p/zones/us-central1-a/reservations/a100"
		nfs        = "nfsMounts: [{server: 10.0.0.2, path: /data, mountPoint: data}]"
		account    = "  serviceAccount: a@p.iam.gserviceaccount.com"
		dir        = "  jobDir: gs://out/census"
	)
	logged := with(trainer, account, dir)
	waits := func(scheduling string, options ...string) string {
		return asking(with(trainer, "  scheduling: "+scheduling), options...)
	}
	specific := func(values string) string {
		return "reservationAffinity: {reservationAffinityType: SPECIFIC_RESERVATION, values: " + values + "}"
	}
	dns := func(peering string) string {
		return strings.TrimSuffix(attachment, "}") + ", dnsPeeringConfigs: [" + peering + "]}"
	}
	return []ruleCase{
		{"vertex-wait", "flex-start", vertex("strategy: FLEX_START", "maxWaitDuration: 7200s"), nil},
		{"vertex-wait", "without end", vertex("strategy: FLEX_START", "maxWaitDuration: 0s"), nil},
		{
			"vertex-wait", "the same twice",
			waits("{maxWaitTime: 7200s}", "strategy: FLEX_START", "maxWaitDuration: 7200.0s"), nil,
		},
		{
			"vertex-wait", "spot", vertex("strategy: SPOT", "maxWaitDuration: 7200s"),
			[]string{"error 12:22 jobdrop.vertex.maxWaitDuration: only a job of the strategy FLEX_START"},
		},
		{
			"vertex-wait", "no strategy", vertex("maxWaitDuration: 7200s"),
			[]string{"error 11:22 jobdrop.vertex.maxWaitDuration: write strategy: FLEX_START"},
		},
		{
			"vertex-wait", "another wait",
			waits("{maxWaitTime: 3600s}", "strategy: FLEX_START", "maxWaitDuration: 7200s"),
			[]string{"error 13:22 jobdrop.vertex.maxWaitDuration: by scheduling.maxWaitTime, 3600s"},
		},
		{
			"duration-format", "of flex-start", vertex("strategy: FLEX_START", "maxWaitDuration: 2h"),
			[]string{"error 12:22 jobdrop.vertex.maxWaitDuration: write 7200s"},
		},
		{"flex-start-run", "seven days", waits("{maxRunningTime: 604800s}", "strategy: FLEX_START"), nil},
		{"flex-start-run", "another strategy", waits("{maxRunningTime: 604801s}", "strategy: SPOT"), nil},
		{
			"flex-start-run", "a second more", waits("{maxRunningTime: 604801s}", "strategy: FLEX_START"),
			[]string{"error 9:32 trainingInput.scheduling.maxRunningTime: at most 604800s"},
		},
		{"vertex-retries", "without a strategy", vertex("disableRetries: true"), nil},
		{"vertex-retries", "spot with retries", vertex("strategy: SPOT", "restartJobOnWorkerRestart: true"), nil},
		{
			"vertex-retries", "spot", vertex("strategy: SPOT", "disableRetries: true"),
			[]string{"warning 12:21 jobdrop.vertex.disableRetries: ends with the first machine"},
		},
		{
			"vertex-retries", "restarts", vertex("disableRetries: true", "restartJobOnWorkerRestart: true"),
			[]string{"warning 11:21 jobdrop.vertex.disableRetries: restartJobOnWorkerRestart has no effect"},
		},
		{"vertex-reservation", "specific", vertex(specific("[" + reserved + "]")), nil},
		{"vertex-reservation", "any", vertex("reservationAffinity: {reservationAffinityType: ANY_RESERVATION}"), nil},
		{
			"vertex-reservation", "none of a spot job",
			vertex("strategy: SPOT", "reservationAffinity: {reservationAffinityType: NO_RESERVATION}"), nil,
		},
		{
			"vertex-reservation", "no type", vertex("reservationAffinity: {key: compute.googleapis.com/reservation-name}"),
			[]string{"error 11:5 jobdrop.vertex.reservationAffinity.reservationAffinityType: it is not said which"},
		},
		{
			"vertex-reservation", "no values", vertex("reservationAffinity: {reservationAffinityType: SPECIFIC_RESERVATION}"),
			[]string{"error 11:5 jobdrop.vertex.reservationAffinity.values: write values: and"},
		},
		{
			"vertex-reservation", "values of any",
			vertex("reservationAffinity: {reservationAffinityType: ANY_RESERVATION, values: [" + reserved + "]}"),
			[]string{"error 11:52 jobdrop.vertex.reservationAffinity.reservationAffinityType: go with SPECIFIC_RESERVATION"},
		},
		{
			"vertex-reservation", "short name", vertex(specific("[a100]")),
			[]string{"error 11:83 jobdrop.vertex.reservationAffinity.values[0]: not the full name of a reservation"},
		},
		{
			"vertex-reservation", "another key",
			vertex("reservationAffinity:", "  reservationAffinityType: SPECIFIC_RESERVATION", "  key: name",
				"  values: ["+reserved+"]"),
			[]string{"error 13:12 jobdrop.vertex.reservationAffinity.key: under another key"},
		},
		{
			"vertex-reservation", "of a spot job", vertex("strategy: SPOT", specific("["+reserved+"]")),
			[]string{"warning 12:5 jobdrop.vertex.reservationAffinity: a SPOT job takes no machines"},
		},
		{"vertex-persistent-resource", "an ID", vertex("persistentResourceId: gpus-1"), nil},
		{
			"vertex-persistent-resource", "a full name",
			vertex("persistentResourceId: projects/p/locations/us-central1/persistentResources/gpus"),
			[]string{"error 11:27 jobdrop.vertex.persistentResourceId: write gpus: the project and the region are the job's"},
		},
		{
			"vertex-persistent-resource", "capitals", vertex("persistentResourceId: GPUs"),
			[]string{"error 11:27 jobdrop.vertex.persistentResourceId: lower-case letters"},
		},
		{
			"vertex-persistent-resource", "with a strategy", vertex("strategy: SPOT", "persistentResourceId: gpus"),
			[]string{"warning 12:27 jobdrop.vertex.persistentResourceId: the strategy SPOT has no effect"},
		},
		{"vertex-tensorboard", "complete", asking(logged, "tensorboard: "+board), nil},
		{
			"vertex-tensorboard", "an ID", asking(logged, "tensorboard: '1'"),
			[]string{"error 13:18 jobdrop.vertex.tensorboard: not the full name of a TensorBoard"},
		},
		{
			"vertex-tensorboard", "elsewhere, without an account and a directory",
			vertex("tensorboard: projects/p/locations/europe-west4/tensorboards/1"), []string{
				"warning 11:18 jobdrop.vertex.tensorboard: is in europe-west4, the job in us-central1",
				"warning 11:18 jobdrop.vertex.tensorboard: needs a service account",
				"warning 11:18 jobdrop.vertex.tensorboard: needs a jobDir",
			},
		},
		{"vertex-experiment", "with a run", vertex("experiment: "+census, "experimentRun: "+census+"-1"), nil},
		{
			"vertex-experiment", "names alone", vertex("experiment: census", "experimentRun: census-1"), []string{
				"error 11:17 jobdrop.vertex.experiment: not the full name", "error 12:20 jobdrop.vertex.experimentRun: not the full",
			},
		},
		{
			"vertex-experiment", "a run alone", vertex("experimentRun: " + census + "-1"),
			[]string{"error 11:20 jobdrop.vertex.experimentRun: belongs to no experiment"},
		},
		{
			"vertex-experiment", "another's run", vertex("experiment: "+census, "experimentRun: "+census+"1"),
			[]string{"error 12:20 jobdrop.vertex.experimentRun: belongs to another experiment"},
		},
		{
			"vertex-network-attachment", "with DNS",
			vertex(dns("{domain: corp.example.com., targetProject: p, targetNetwork: n}")), nil,
		},
		{
			"vertex-network-attachment", "a short name", vertex("pscInterfaceConfig: {networkAttachment: n}"),
			[]string{"error 11:45 jobdrop.vertex.pscInterfaceConfig.networkAttachment: needs the full name"},
		},
		{
			"vertex-network-attachment", "elsewhere, beside a peered network",
			asking(with(trainer, "  network: projects/1/global/networks/n"),
				strings.Replace(attachment, "us-central1", "us-east1", 1)),
			[]string{
				"warning 12:5 jobdrop.vertex.pscInterfaceConfig: a peered network, too",
				"warning 12:45 jobdrop.vertex.pscInterfaceConfig.networkAttachment: is in us-east1",
			},
		},
		{
			"vertex-network-attachment", "DNS without names", vertex(dns("{domain: corp.example.com}")), []string{
				"error 11:118 jobdrop.vertex.pscInterfaceConfig.dnsPeeringConfigs[0].targetNetwork: the network in which",
				"error 11:118 jobdrop.vertex.pscInterfaceConfig.dnsPeeringConfigs[0].targetProject: the project in which",
				"error 11:127 jobdrop.vertex.pscInterfaceConfig.dnsPeeringConfigs[0].domain: with a dot at its end",
			},
		},
		{"vertex-mount", "NFS", vertex(attachment, nfs), nil},
		{"vertex-mount", "NFS in a peered network", asking(with(trainer, "  network: projects/1/global/networks/n"), nfs), nil},
		{"vertex-mount", "NFS of a persistent resource's network", vertex("persistentResourceId: a", nfs), nil},
		{
			"vertex-mount", "Lustre", vertex(attachment,
				"lustreMounts: [{instanceIp: 10.0.0.3, filesystem: a, volumeHandle: p/z/i, mountPoint: data}]", nfs), nil,
		},
		{
			"vertex-mount", "no network", vertex(nfs),
			[]string{"error 11:5 jobdrop.vertex.nfsMounts: no network through which the server is reached"},
		},
		{
			"vertex-mount", "nothing said", vertex(attachment, "nfsMounts: [{}]", "lustreMounts: [{}]"), []string{
				"error 12:17 jobdrop.vertex.nfsMounts[0].mountPoint: not the name of a folder in /mnt/nfs (",
				"error 12:17 jobdrop.vertex.nfsMounts[0].path: write the plain path",
				"error 12:17 jobdrop.vertex.nfsMounts[0].server: by its IP address",
				"error 13:20 jobdrop.vertex.lustreMounts[0].filesystem: name of the file system is missing",
				"error 13:20 jobdrop.vertex.lustreMounts[0].instanceIp: by its IP address",
				"error 13:20 jobdrop.vertex.lustreMounts[0].mountPoint: not the name of a folder in /mnt/lustre (",
				"error 13:20 jobdrop.vertex.lustreMounts[0].volumeHandle: handle of the volume is missing",
			},
		},
		{
			"vertex-mount", "a folder outside, a path with dots",
			vertex(attachment, "nfsMounts: [{server: 10.0.0.2, path: /data/../home, mountPoint: ../data}]"), []string{
				"error 12:42 jobdrop.vertex.nfsMounts[0].path: without . and ..",
				"error 12:69 jobdrop.vertex.nfsMounts[0].mountPoint: not the name of a folder",
			},
		},
		{
			"vertex-mount", "the whole folder",
			vertex(attachment, "nfsMounts: [{server: 10.0.0.2, path: /data, mountPoint: /mnt/nfs/data}]"),
			[]string{"error 12:61 jobdrop.vertex.nfsMounts[0].mountPoint: write data"},
		},
		{
			"vertex-mount", "twice", vertex(attachment, "nfsMounts:",
				"- {server: 10.0.0.2, path: /a, mountPoint: data}", "- {server: 10.0.0.2, path: /b, mountPoint: data}"),
			[]string{"error 14:48 jobdrop.vertex.nfsMounts[1].mountPoint: jobdrop.vertex.nfsMounts[0] is mounted there already"},
		},
		{"vertex-gpu-partition", "a size", vertex("gpuPartitionSize: 1g.10gb"), nil},
		{
			"vertex-gpu-partition", "memory alone", vertex("gpuPartitionSize: 10gb"),
			[]string{"error 11:23 jobdrop.vertex.gpuPartitionSize: e.g. 1g.10gb"},
		},
	}
}

// Strategies of elsewhere, and options that stand outside of vertex, are told what to write.
func TestVertexNames(t *testing.T) {
	for data, want := range map[string]string{
		"jobdrop: {vertex: {strategy: ON_DEMAND}}":              "write STANDARD",
		"jobdrop: {vertex: {strategy: LOW_COST}}":               "write SPOT",
		"jobdrop: {vertex: {strategy: spot}}":                   "write SPOT",
		"jobdrop: {vertex: {strategy: DWS}}":                    "write FLEX_START",
		"trainingInput: {scheduling: {strategy: SPOT}}":         "write it as jobdrop.vertex.strategy",
		"trainingInput: {scheduling: {maxWaitDuration: 3600s}}": "write it as jobdrop.vertex.maxWaitDuration",
		"strategy: SPOT": "write it as jobdrop.vertex.strategy",
		"jobdrop: {vertex: {maxWaitDuration: 3600}}":         "write the seconds with the suffix s: 3600s",
		"jobdrop: {strategy: SPOT}":                          "move it to jobdrop.vertex.strategy",
		"jobdrop: {vertex: {max_wait_duration: 1s}}":         "write maxWaitDuration",
		"jobdrop: {vertex: {nfsMounts: {server: 10.0.0.2}}}": "write '- ' before the first field of each entry",
	} {
		_, vs := Parse("job.yaml", []byte(data))
		if len(vs) != 1 || !strings.Contains(vs[0].String(), want) {
			t.Errorf("%s: got %v, want %q", data, vs, want)
		}
	}
}

// Of a strategy that can't be read nothing else is said.
func TestUnreadableStrategy(t *testing.T) {
	f, vs := Parse("job.yaml", []byte(trainer+"jobdrop: {vertex: {strategy: CHEAP, maxWaitDuration: 7200s}}\n"))
	if vs = append(vs, f.Check(nil)...); len(vs) != 1 || vs[0].Rule != ruleEnum {
		t.Errorf("got %v, want one of the strategy", vs)
	}
}

// Defaults are used where neither the file nor its metadata say anything, and where the job's own
// options leave room for them.
func TestApplyVertexDefaults(t *testing.T) {
	defaults := job.VertexOptions{
		Strategy: job.StrategyFlexStart, MaxWaitDuration: "7200s", DisableRetries: true, Tensorboard: "t",
		PSCInterfaceConfig: &job.PSCInterfaceConfig{NetworkAttachment: "n"}, Experiment: "e", ExperimentRun: "e-1",
	}
	all := []string{
		"disableRetries=true", "experiment=e", "experimentRun=e-1", "maxWaitDuration=7200s",
		"pscInterfaceConfig.networkAttachment=n", "strategy=FLEX_START", "tensorboard=t",
	}
	less := func(names ...string) []string {
		var some []string
		for _, one := range all {
			keep := true
			for _, name := range names {
				keep = keep && !strings.HasPrefix(one, name)
			}
			if keep {
				some = append(some, one)
			}
		}
		return some
	}
	for _, tt := range []struct {
		name, data string
		want       []string
	}{
		{"nothing said", trainer, all},
		{"its own strategy", trainer + "jobdrop: {vertex: {strategy: SPOT}}\n", less("strategy", "maxWait")},
		{"said otherwise", trainer + "jobdrop: {vertex: {disableRetries: false}}\n", less("disableRetries")},
		{"its own wait", with(trainer, "  scheduling: {maxWaitTime: 3600s}"), less("maxWait")},
		{"its own experiment", trainer + "jobdrop: {vertex: {experiment: f}}\n", less("experiment")},
		{"its own network", with(trainer, "  network: projects/1/global/networks/n"), less("psc")},
		{"a persistent resource", trainer + "jobdrop: {vertex: {persistentResourceId: a}}\n", less("strategy", "maxWait")},
		{"what can't be read", trainer + "jobdrop: {vertex: 5}\n", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, _ := Parse("job.yaml", []byte(tt.data))
			f.ApplyVertexDefaults(defaults, func(option string) string { return "default " + option })
			var got []string
			for _, e := range f.Explain() {
				if name, ok := strings.CutPrefix(e.Field, "jobdrop.vertex."); ok && strings.HasPrefix(e.Origin, "default ") {
					got = append(got, name+"="+e.Value)
					if option, _, _ := strings.Cut(name, "."); e.Origin != "default "+option {
						t.Errorf("%s comes from %s", name, e.Origin)
					}
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
