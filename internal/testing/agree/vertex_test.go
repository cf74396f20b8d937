package agree_test

// forVertex are drops with options for Vertex AI, for each rule one that breaks it and one that keeps it.
func forVertex() []drop {
	asking := func(base, options string) string { return base + "jobdrop: {vertex: {" + options + "}}\n" }
	gpu := with(custom, "  masterType: a2-highgpu-1g")
	const (
		located    = "projects/p/locations/us-central1/"
		context    = located + "metadataStores/default/contexts/"
		attachment = "pscInterfaceConfig: {networkAttachment: projects/p/regions/us-central1/networkAttachments/n}"
		specific   = "reservationAffinity: {reservationAffinityType: SPECIFIC_RESERVATION, values: ["
		nfs        = "nfsMounts: [{server: 10.0.0.2, path: /a, mountPoint: a}]"
		noGPU      = "only Vertex AI's request says which machines a FLEX_START job may have, by the plan"
		unsplit    = "only Vertex AI's request says how many GPUs a replica has, by the plan"
	)
	return []drop{
		of("spot", asking(trainer, "strategy: SPOT, restartJobOnWorkerRestart: true"), ""),
		of("spot without retries", asking(trainer, "strategy: SPOT, disableRetries: true"), "~vertex-retries"),
		of("a strategy that is none", asking(trainer, "strategy: CHEAP"), "enum"),
		of("flex-start", asking(gpu, "strategy: FLEX_START"), ""),
		of("flex-start with a wait", asking(gpu, "strategy: FLEX_START, maxWaitDuration: 7200s"), ""),
		of("flex-start without a GPU", asking(trainer, "strategy: FLEX_START"), "~backend-mapping").but(onVertex, noGPU),
		of("a wait without flex-start", asking(gpu, "maxWaitDuration: 7200s"), "vertex-wait"),
		of("flex-start for seven days", asking(with(gpu, "  scheduling: {maxRunningTime: 604800s}"), "strategy: FLEX_START"),
			""),
		of("flex-start for longer", asking(with(gpu, "  scheduling: {maxRunningTime: 604801s}"), "strategy: FLEX_START"),
			"flex-start-run"),
		of("no reservation", asking(gpu, "reservationAffinity: {reservationAffinityType: NO_RESERVATION}"), ""),
		of("a reservation", asking(gpu, specific+"projects/p/zones/us-central1-a/reservations/r]}"), "policy-reservation"),
		of("a reservation's short name", asking(gpu, specific+"r]}"), "policy-reservation vertex-reservation"),
		of("a persistent resource", asking(gpu, "persistentResourceId: r"), "policy-persistent-resource"),
		of("a persistent resource, no such ID", asking(gpu, "persistentResourceId: R"),
			"policy-persistent-resource vertex-persistent-resource"),
		of("a TensorBoard", asking(trainer, "tensorboard: "+located+"tensorboards/1"),
			"policy-tensorboard ~vertex-tensorboard"),
		of("a TensorBoard's ID", asking(trainer, "tensorboard: '1'"), "policy-tensorboard vertex-tensorboard"),
		of("an experiment", asking(trainer, "experiment: "+context+"c"), "policy-experiment"),
		of("a run of no experiment", asking(trainer, "experimentRun: "+context+"c-1"), "vertex-experiment"),
		of("a network attachment", asking(trainer, attachment), "policy-network-attachment"),
		of("a network attachment's short name", asking(trainer, "pscInterfaceConfig: {networkAttachment: n}"),
			"policy-network-attachment vertex-network-attachment"),
		of("a share", asking(trainer, attachment+", "+nfs), "policy-mount policy-network-attachment"),
		of("a share without a network", asking(trainer, nfs), "policy-mount vertex-mount"),
		of("partitions", asking(gpu, "gpuPartitionSize: 1g.5gb"), ""),
		of("partitions of no size", asking(gpu, "gpuPartitionSize: 5gb"), "vertex-gpu-partition"),
		of("partitions of no GPU", asking(trainer, "gpuPartitionSize: 1g.5gb"), "~backend-mapping").but(onVertex, unsplit),
		of("a dashboard", asking(trainer, "enableDashboardAccess: true"), ""),
	}
}
