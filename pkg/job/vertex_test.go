package job

import (
	"testing"
	"time"
)

// The wait of a FLEX_START job is what its options say, else what its scheduling says; the options of
// other jobs say nothing of it.
func TestOrderLimits(t *testing.T) {
	scheduling := &Scheduling{MaxWaitTime: "3600s", MaxRunningTime: "60s"}
	for _, test := range []struct {
		name   string
		own    *VertexOptions
		wait   time.Duration
		limits bool
	}{
		{"no options", nil, time.Hour, false},
		{"spot", &VertexOptions{Strategy: StrategySpot, MaxWaitDuration: "7200s"}, time.Hour, false},
		{"flex-start", &VertexOptions{Strategy: StrategyFlexStart}, time.Hour, true},
		{"flex-start with a wait", &VertexOptions{Strategy: StrategyFlexStart, MaxWaitDuration: "7200s"}, 2 * time.Hour, true},
		{"flex-start without end", &VertexOptions{Strategy: StrategyFlexStart, MaxWaitDuration: "0s"}, 0, true},
	} {
		o := Order{Spec: Spec{TrainingInput: &TrainingInput{Scheduling: scheduling}}, Mapping: Mapping{Vertex: test.own}}
		if wait, run := o.Limits(); wait != test.wait || run != time.Minute {
			t.Errorf("%s: limits %s and %s, want %s and 1m", test.name, wait, run, test.wait)
		}
		if got := o.WaitLimitedByBackend(); got != test.limits {
			t.Errorf("%s: the backend limits the wait: %v", test.name, got)
		}
	}
	if wait, run := (Order{}).Limits(); wait != 0 || run != 0 {
		t.Errorf("no job: %s, %s", wait, run)
	}
}
