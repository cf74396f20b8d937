package cli

import "github.com/jobdrop/jobdrop/pkg/job"

// The rules that this package finds broken. A constant's comment is its page: "jobdrop explain"
// prints it, and docs/rules.md is made of it. A line that begins with - breaks the rule, one that
// begins with + mends it.
const (
	// ruleDropIncomplete: the drop lacks its job file, or a package that its job file names. It waits
	// for them, and runs as soon as they are there.
	//
	// Source: docs/watch.md.
	//
	// For example: a folder with a job file alone; upload what is missing into the folder.
	ruleDropIncomplete job.Rule = "drop-incomplete"

	// ruleFaultsAlways: a fault that comes always has no number of times.
	//
	// Source: docs/local.md.
	//
	//	 # faults.yaml
	//	 faults:
	//	-- {do: return-503, times: 2, always: true}
	//	+- {do: return-503, always: true}
	ruleFaultsAlways job.Rule = "faults-always"

	// ruleFaultsBucket: a fault's bucket is a glob.
	//
	// Source: docs/local.md.
	//
	// For example: a bucket of 2,000 characters; shorten it.
	ruleFaultsBucket job.Rule = "faults-bucket"

	// ruleFaultsDo: a fault says how the calls fail, in a word that is known.
	//
	// Source: docs/local.md.
	//
	//	 # faults.yaml
	//	 faults:
	//	-- {do: explode}
	//	+- {do: return-503}
	ruleFaultsDo job.Rule = "faults-do"

	// ruleFaultsEvery: a fault comes at each so many calls, from 1.
	//
	// Source: docs/local.md.
	//
	//	 # faults.yaml
	//	 faults:
	//	-- {do: return-503, every: 0}
	//	+- {do: return-503, every: 2}
	ruleFaultsEvery job.Rule = "faults-every"

	// ruleFaultsFrom: a fault begins with a call by its number, from 1.
	//
	// Source: docs/local.md.
	//
	//	 # faults.yaml
	//	 faults:
	//	-- {do: return-503, from: 0}
	//	+- {do: return-503, from: 1}
	ruleFaultsFrom job.Rule = "faults-from"

	// ruleFaultsListLength: a file of faults has too many entries.
	//
	// Source: jobdrop's own limit.
	//
	// For example: a file of faults with 101 entries; let patterns stand for several.
	ruleFaultsListLength job.Rule = "faults-list-length"

	// ruleFaultsMethod: a fault's calls are named as Google's API does.
	//
	// Source: docs/local.md.
	//
	//	 # faults.yaml
	//	 faults:
	//	-- {do: return-503, method: storage.objects.put}
	//	+- {do: return-503, method: storage.objects.insert}
	ruleFaultsMethod job.Rule = "faults-method"

	// ruleFaultsObject: a fault's object is a glob.
	//
	// Source: docs/local.md.
	//
	// For example: an object of 2,000 characters; shorten it.
	ruleFaultsObject job.Rule = "faults-object"

	// ruleFaultsTimes: a fault comes so many times, from 1.
	//
	// Source: docs/local.md.
	//
	//	 # faults.yaml
	//	 faults:
	//	-- {do: return-503, times: 0}
	//	+- {do: return-503, times: 2}
	ruleFaultsTimes job.Rule = "faults-times"
)
