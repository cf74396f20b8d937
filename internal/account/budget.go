package account

import (
	"fmt"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/flow/submitter"
	"github.com/jobdrop/jobdrop/internal/text"
)

// Budget is what is left of the operator's budget of accelerator hours for a job.
type Budget struct {
	// Folders is the pattern of the folders that share the budget, Most its hours in a month.
	Folders string `json:"folders"`
	Most    int64  `json:"most"`
	// Left is how many of them nobody has used or may use yet, until the month ends at Until.
	Left  float64   `json:"left"`
	Until time.Time `json:"until"`
	// Needs is how many the job may take at most.
	Needs float64 `json:"needs"`

	said string
}

// BudgetFor returns what is left of the budget that decides for a folder, by the turns that were given, for a job that
// may take some accelerator seconds; nil if there is no budget for it.
func BudgetFor(turns attempt.Turns, p policy.Policy, folder string, needs int64, now time.Time) *Budget {
	a := submitter.Left(turns, p, folder, now)
	if a == nil {
		return nil
	}
	return &Budget{
		Folders: a.Budget.Folders, Most: a.Budget.Most, Left: inHours(a.Seconds), Until: a.Until, Needs: inHours(needs),
		said: fmt.Sprintf("%s of %s left until %s; the job may take %s", text.Hours(a.Seconds), a.Budget.Hours(),
			a.Until.Format(time.DateOnly), text.HoursUp(needs)),
	}
}

// String returns it in words: "12.5 of 2000 of teams/nlp/** left until 2026-12-01; the job may take 8".
func (b Budget) String() string { return b.said }

// short reports whether too little is left for the job.
func (b *Budget) short() bool { return b != nil && b.Needs > b.Left }

func inHours(seconds int64) float64 { return float64(seconds) / 3600 }
