package policy

import (
	"cmp"
	"fmt"
	"path"

	"github.com/jobdrop/jobdrop/pkg/job"
)

const vertexField = "jobdrop.vertex."

// vertex judges the options for Vertex AI. What reaches a network, a server or a resource of others is
// refused unless a list allows it. What only says how machines are found is free. Of a list that is not
// there, and an option that nobody set, it says nothing.
func (j *judge) vertex() {
	own := cmp.Or(j.f.Options.Vertex, &job.VertexOptions{})
	j.strategy(own.Strategy)
	j.reservation(own.ReservationAffinity)
	j.resource("allow.persistentResources", "persistentResourceId", "", own.PersistentResourceID,
		"choose a persistent resource to run on")
	j.resource("allow.tensorboards", "tensorboard", "", own.Tensorboard, "choose a TensorBoard")
	j.resource("allow.experiments", "experiment", "", own.Experiment, "choose an experiment")
	j.networkInterface(own.PSCInterfaceConfig)
	const mount = "mount what a server exports"
	for i, m := range own.NFSMounts {
		j.resource("allow.nfsMounts", "nfsMounts", fmt.Sprintf("[%d]", i), m.Server+":"+path.Clean("/"+m.Path), mount)
	}
	for i, m := range own.LustreMounts {
		at := fmt.Sprintf("[%d]", i)
		j.resource("allow.lustreMounts", "lustreMounts", at+".instanceIp", m.InstanceIP+":/"+m.Filesystem, mount)
		j.resource("allow.lustreMounts", "lustreMounts", at+".volumeHandle", m.VolumeHandle, mount)
	}
}

// resource judges what an option, or a part of it, names. what says what the job may not do without a
// list.
func (j *judge) resource(setting, option, part, value, what string) {
	if value == "" && j.list(setting).globs == nil {
		return
	}
	j.right(setting, vertexField+option+part, "defaults.vertex."+option, value, job.Violation{
		Message: "this installation's policy does not let a job " + what,
		Remedy:  "remove the field, or ask the operator to allow it",
	})
}

// strategy judges the strategy. ml/v1 has none, so a job there that names none is not asked for one.
func (j *judge) strategy(own string) {
	const field = vertexField + "strategy"
	l := j.list("allow.strategies")
	if own == "" && (l.globs == nil || j.p.Backend == "aiplatform" || j.f.Unreadable(field)) {
		return
	}
	if place, preset := j.fromPolicy(field, "defaults.vertex.strategy"); preset {
		j.say(l.rule, field, own, Defaulted, place)
		return
	}
	j.optional(l, field, cmp.Or(own, job.StrategyStandard))
}

// reservation judges the reservations that the job takes machines from.
func (j *judge) reservation(r *job.ReservationAffinity) {
	const setting, option, what = "allow.reservations", "reservationAffinity", "take reserved machines"
	if r == nil {
		r = &job.ReservationAffinity{}
	}
	switch {
	case r.ReservationAffinityType == "NO_RESERVATION":
		j.say(rulePolicyReservation, vertexField+option, r.ReservationAffinityType, Allowed, builtIn)
	case len(r.Values) == 0:
		j.resource(setting, option, "", r.ReservationAffinityType, what)
	}
	for i, name := range r.Values {
		j.resource(setting, option, fmt.Sprintf(".values[%d]", i), name, what)
	}
}

// networkInterface judges the network attachment, and the networks by whose DNS the job finds names:
// those are networks like that of trainingInput.network.
func (j *judge) networkInterface(p *job.PSCInterfaceConfig) {
	const option, what = "pscInterfaceConfig", "choose its network"
	if p == nil {
		p = &job.PSCInterfaceConfig{}
	}
	j.resource("allow.networkAttachments", option, ".networkAttachment", p.NetworkAttachment, what)
	for i, d := range p.DNSPeeringConfigs {
		j.resource("allow.networks", option, fmt.Sprintf(".dnsPeeringConfigs[%d].targetNetwork", i),
			"projects/"+d.TargetProject+"/global/networks/"+d.TargetNetwork, what)
	}
}
