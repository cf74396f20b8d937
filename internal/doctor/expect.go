package doctor

// What deploy/terraform sets. deploy/internal/check compares the two, so that neither changes without the other.

// Rule is a rule of a bucket that deletes objects. Numbers are 0 where the rule has no such condition, and [Chosen]
// where each installation chooses.
type Rule struct {
	Age, DaysSinceNoncurrent, NewerVersions int64
	// State is LIVE or ARCHIVED, or empty for both.
	State    string
	Prefixes []string
}

// Chosen stands for a number that a variable of Terraform sets.
const Chosen = -1

// Bucket is what is set of a bucket.
type Bucket struct {
	Versioned bool
	Rules     []Rule
}

// Buckets returns what is set of the buckets, by purpose. All of them are closed to the public, and have no access
// lists of single objects.
func Buckets() map[string]Bucket {
	history := Rule{DaysSinceNoncurrent: Chosen, State: archived}
	return map[string]Bucket{
		"inbox": {Versioned: true, Rules: []Rule{history}},
		"state": {Versioned: true, Rules: []Rule{
			history,
			{NewerVersions: 10, State: archived, Prefixes: []string{"heartbeat.json", "cursors.json", "turns.json",
				"queue.json"}},
			{NewerVersions: 3, State: archived, Prefixes: []string{"deliveries/"}},
			{Age: Chosen, State: live, Prefixes: []string{"recent/", "ended/"}},
			{Age: 30, Prefixes: []string{"results/"}},
			{Age: 100, State: live, Prefixes: []string{
				"deliveries/folders/", "deliveries/open/", "deliveries/heartbeats/", "deliveries/parked/",
			}},
		}},
		"staging": {Rules: []Rule{{Age: Chosen}}},
		"status":  {Rules: []Rule{{Age: Chosen}}},
	}
}

const (
	live     = "LIVE"
	archived = "ARCHIVED"
)

// BrokenUploads is after how many days what a broken upload left is removed, in each bucket.
const BrokenUploads = 7

// What is set of each subscription.
const (
	AckDeadline    = 600 // seconds
	MinimumBackoff = "10s"
	MaximumBackoff = "600s"
	DeadAttempts   = 20
	// DeadSuffix is what a dead letter topic and its subscription have after the subscription's name.
	DeadSuffix = "-dead"
)

// WorkSeconds is how long a function may work.
const WorkSeconds = 540

// Dropper and Reader are the permissions that Terraform's roles of these names have: droppers have the first in the
// inbox, and the second in the status bucket.
func Dropper() []string {
	return []string{"storage.objects.create", "storage.objects.delete", "storage.objects.get", "storage.objects.list"}
}

// Reader returns the permissions of whoever reads a bucket.
func Reader() []string { return []string{"storage.objects.get", "storage.objects.list"} }

// Names of what an installation has, after its own name.
const (
	InboxTopic  = "-inbox"
	InboxPush   = "-submit-inbox"
	NotifyPush  = "-notify-lifecycle"
	HintsPush   = "-watch-hints"
	Subscribers = "-lifecycle-"
	WatchTicks  = "-tick"
	NotifyTicks = "-notify-tick"
	SubmitName  = "-submit"
	WatchName   = "-watch"
	NotifyName  = "-notify"
)

// What the inbox's notification tells, where Eventarc does not wake Submit.
const (
	Finalized = "OBJECT_FINALIZE"
	JSONForm  = "JSON_API_V1"
)
