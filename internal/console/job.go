package console

import (
	"context"
	"fmt"
	"slices"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// jobPage is the data of the page of an attempt's job.
type jobPage struct {
	heading
	Plan plan.Plan
	// Vertex are options for Vertex AI; nil if there are none.
	Vertex *job.VertexOptions
	Due    []due
}

func (s *Server) jobPage(ctx context.Context, r request) (page, error) {
	record, err := s.record(ctx, r)
	if err != nil {
		return page{}, err
	}
	if record.Spec == nil {
		return page{}, errNotFound
	}
	h := s.heading(record, "job")
	p, _ := plan.New(record.Order()) // what it warns of was said when the drop was checked
	d := jobPage{heading: h, Plan: p, Vertex: record.Mapping.Vertex, Due: dueOf(h.Snapshot, r.now)}
	return page{view: "job", title: d.title("job"), section: "/", data: d, live: !d.State.Terminal()}, nil
}

// mostReplicas is how many replicas a log can be chosen by.
const mostReplicas = 100

// vertexBackend is the name of the backend that runs jobs on Vertex AI.
const vertexBackend = "vertex"

// poolRoles are the roles in the order of Vertex AI's worker pools, by which its logs name replicas.
var poolRoles = [...]plan.RoleName{plan.Master, plan.Worker, plan.ParameterServer, plan.Evaluator}

// replicasOf returns the names of a job's replicas, as its log has them: the backend's own lines first.
func replicasOf(r attempt.Record) []string {
	names := []string{"service"}
	if r.Spec == nil {
		return names
	}
	p, _ := plan.New(r.Order())
	for _, role := range p.Roles {
		for i := range role.Replicas {
			if len(names) == mostReplicas {
				return names
			}
			name := fmt.Sprintf("%s-replica-%d", role.Name, i)
			if r.Backend == vertexBackend {
				name = fmt.Sprintf("workerpool%d-%d", slices.Index(poolRoles[:], role.Name), i)
			}
			names = append(names, name)
		}
	}
	return names
}
