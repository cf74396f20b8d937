package account

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// ErrPolicy is returned for a policy that is not valid.
var ErrPolicy = errors.New("the policy is not valid, so nothing is decided until it is mended")

// reads is what reads objects.
type reads interface {
	Read(ctx context.Context, bucket, name string, generation, limit int64) ([]byte, int64, error)
}

// ReadPolicy returns the operator's policy as it is now, from its object; one without rules if that has no name. Its
// places are URIs with line and column. It returns [ErrPolicy] for one that is not valid.
func ReadPolicy(ctx context.Context, s reads, bucket, object string) (policy.Policy, error) {
	if object == "" {
		return policy.Policy{}, nil
	}
	data, _, err := s.Read(ctx, bucket, object, 0, jobspec.MaxSize)
	if err != nil {
		return policy.Policy{}, err
	}
	rules, vs := policy.Parse("gs://"+bucket+"/"+object, data)
	for _, fault := range vs {
		if fault.Severity != job.Warning {
			return policy.Policy{}, fmt.Errorf("%w: %s", ErrPolicy, fault)
		}
	}
	return policy.Policy{Rules: rules}, nil
}

// restarted reports whether jobdrop cancels or cancelled a job that its backend started again too often.
func restarted(r attempt.Record) bool {
	return r.CancelRequested != nil && r.CancelRequested.Kind == job.KindRestarts
}

// ruleBudgetSpent is the rule of a drop that waited for its turn, and that the operator's budget refused.
const ruleBudgetSpent = "policy-budget-spent"

// limit returns the setting of the policy that ended an attempt, or ends it now; empty if none does.
func limit(r attempt.Record) string {
	switch spent := func(v job.Violation) bool { return v.Rule == ruleBudgetSpent }; {
	case r.State == job.Rejected && slices.ContainsFunc(r.Violations, spent):
		return "limits.acceleratorHours.most"
	case restarted(r):
		return "limits.restarts"
	}
	return ""
}

// addLimit adds the policy's line of a setting, as the policy is now.
func (c circumstances) addLimit(r attempt.Record, a *Account, setting string) {
	s := Step{Step: StepPolicy, At: r.Times.Concluded, Text: "the policy has no " + setting + " any more"}
	if at := c.policy.Place(r.Drop.Prefix, setting); at != "" {
		s.Text, s.Evidence = "the policy's "+setting, []string{at + ": " + setting}
	}
	if c.policyErr != nil {
		s.Text = "the policy can't be read: " + c.cause(c.policyErr)
	}
	a.Chain = append(a.Chain, s)
}

// addPolicy says that the policy is not valid, and why.
func (a *Account) addPolicy(said string) {
	a.Because, a.Next = ErrPolicy.Error(), "the operator mends the policy; jobdrop goes on by itself then"
	a.Chain = append(a.Chain, Step{Step: StepPolicy, Text: said})
}
