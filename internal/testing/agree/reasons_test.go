package agree_test

// Why the local ml/v1 takes what validate refuses. It has the rules of ml/v1, as far as they are known, and those of
// what it needs itself; what else the cloud's would say is for validate.
const (
	optional     = "the local service needs none of them, and jobs of tests leave them out"
	patient      = "the local service takes shorter waits and any priority, which tests use"
	itself       = "the local service takes any text that can be passed on, and says what fails when it runs the job"
	installation = "the rule is of an installation, and the service knows no inbox, no policy and no label of jobdrop's"
	ofDrop       = "the rule is of the drop, and the request does not hold what it is about"
	ofFile       = "the rule is of the file's text, which a request has no more"
	forAnother   = "the rule is of what Vertex AI is asked for, which ml/v1 does not learn"
	content      = "the service sees a package when it installs it, and the job fails then"
)

// lenient are rules of errors that the local ml/v1 does not have, each with its reason.
var lenient = map[string]string{
	"scale-tier-required":      optional,
	"policy-service-account":   installation,
	"policy-network":           installation,
	"runtime-version-required": optional,
	"python-version-required":  optional,
	"max-wait-time":            patient,
	"priority-range":           patient,
	"control-character":        itself,
	"python-module-format":     itself,
	"label-count":              installation,
	"label-reserved":           installation,
	"job-dir-outside-inbox":    installation,
	"policy-image":             installation,
	"policy-package-source":    installation,
	"pin":                      ofDrop,
	"notify-route":             ofDrop,
	"enum":                     ofDrop,
	"package-ambiguous":        ofDrop,
	"package-uri":              ofDrop,
	"vertex-wait":              forAnother,
	"flex-start-run":           forAnother,
	"vertex-gpu-partition":     forAnother,
	"vertex-reservation":       forAnother,
	"vertex-experiment":        forAnother,
	"vertex-mount":             forAnother,

	"vertex-persistent-resource": forAnother,
	"vertex-tensorboard":         forAnother,
	"vertex-network-attachment":  forAnother,
	"policy-reservation":         installation,
	"policy-persistent-resource": installation,
	"policy-tensorboard":         installation,
	"policy-experiment":          installation,
	"policy-network-attachment":  installation,
	"policy-mount":               installation,

	"single-document":          ofFile,
	"python-module-in-package": content,
	"incomplete":               content,
	"package-absolute-path":    content,
	"package-empty":            content,
	"package-folder":           content,
	"package-format":           content,
	"package-link":             content,
	"package-not-installable":  content,
	"package-platform":         content,
	"package-python":           content,
	"package-traversal":        content,
	"package-truncated":        content,
	"package-wheel-name":       content,
}

// doubtful are rules of warnings: some services refuse what they warn of, each for a reason.
var doubtful = map[string]string{
	"region-unknown":          "ml/v1 is gone, and no region will be new there; a file may be meant for Vertex AI",
	"job-id-length":           "Vertex AI takes 128 characters, the local service 200; of ml/v1 no bound is known",
	"machine-unknown":         "ml/v1 had no list that is known to be whole; Vertex AI has no machine with an underscore",
	"tpu-worker-count":        noTPU,
	"tpu-region":              noTPU,
	"tpu-tf-version-unused":   noTPU,
	"tpu-accelerator":         noTPU,
	"runtime-version-patch":   noImage,
	"runtime-version-unknown": "ml/v1 is gone, and no version will be new there; Google has no training image of it",
	"runtime-version-ended":   noImage,
	"python-for-runtime":      noImage,
	"param-bounds-exact":      "the local service draws whole numbers that a double holds; the cloud's may take others",
	"kms-key-region":          "Vertex AI's reference asks for the job's region; ml/v1's does not",
}

// Why a service of today does not run what ml/v1 ran. Only plan knows the backend, and says so.
const (
	noTPU   = "no backend of today has the TPUs of ml/v1, and a file may be meant for either"
	noImage = "Google has no training image of it: plan says so, and which an operator can name"
	noK80   = "no machine has it any more; the policy may name another in its place"
	bounded = "the local service bounds a job's record, and says so; the cloud has no such bound"
)
