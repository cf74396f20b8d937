package attempt

import (
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

func TestTwin(t *testing.T) {
	uploaded := at(time.Hour)
	receipt := &job.Receipt{Content: "same"}
	tests := []struct {
		name             string
		state            job.State
		receipt          *job.Receipt
		ended, concluded time.Time
		want             Twin
	}{
		{name: "no record yet", want: UndecidedTwin},
		{name: "waits", state: job.Waiting, want: UndecidedTwin},
		{name: "held", state: job.Held, want: UndecidedTwin},
		{name: "withdrawn", state: job.Withdrawn, concluded: at(0), want: NoTwin},
		{name: "rejected by its check", state: job.Rejected, concluded: at(0), want: NoTwin},
		{name: "of other content", state: job.Submitted, receipt: &job.Receipt{Content: "other"}, want: NoTwin},
		{name: "accepted", state: job.Accepted, receipt: receipt, want: RunningTwin},
		{name: "submitted", state: job.Submitted, receipt: receipt, want: RunningTwin},
		{
			name: "refused by the backend since", state: job.Rejected, receipt: receipt,
			concluded: at(2 * time.Hour), want: NoTwin,
		},
		{
			name: "ended since", state: job.Failed, receipt: receipt,
			ended: at(61 * time.Minute), concluded: at(62 * time.Minute), want: RunningTwin,
		},
		{
			name: "ended before", state: job.Cancelled, receipt: receipt,
			ended: at(58 * time.Minute), concluded: at(59 * time.Minute), want: EndedTwin,
		},
		{
			name: "ended at the same time", state: job.Succeeded, receipt: receipt,
			ended: uploaded, concluded: uploaded, want: EndedTwin,
		},
		{
			name: "ended before, and a tick saw it since", state: job.Succeeded, receipt: receipt,
			ended: at(59 * time.Minute), concluded: at(61 * time.Minute), want: EndedTwin,
		},
		{
			name: "ended before, and the backend's clock is ahead", state: job.TimedOut, receipt: receipt,
			ended: at(70 * time.Minute), concluded: at(59 * time.Minute), want: EndedTwin,
		},
		{name: "lost since", state: job.Lost, receipt: receipt, concluded: at(61 * time.Minute), want: RunningTwin},
		{name: "lost before", state: job.Lost, receipt: receipt, concluded: at(59 * time.Minute), want: EndedTwin},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := Record{State: test.state, Drop: job.DropInfo{Receipt: test.receipt},
				Times: job.Times{Created: start, Ended: test.ended, Concluded: test.concluded}}
			if got := r.Twin("same", uploaded); got != test.want {
				t.Errorf("Twin() = %d, want %d", got, test.want)
			}
		})
	}
}
