package job

// The rules that this package finds broken. A constant's comment is its page: "jobdrop explain"
// prints it, and docs/rules.md is made of it. A line that begins with - breaks the rule, one that
// begins with + mends it.
const (
	// ruleJobSize: the job is too large to be recorded, with what YAML's aliases stand for counted at
	// each use.
	//
	// Source: jobdrop's own limit: a record and its events must be readable.
	//
	// For example: args of 100,000 long texts by way of an alias; put long input into a file that the
	// trainer reads.
	ruleJobSize Rule = "job-size"

	// RulePackageExtension: a Python package is a .tar.gz, .tgz or .whl. pip tells formats by the
	// extension; it knows more of them than jobdrop inspects, so of a job file's entry the rule only
	// warns.
	//
	// Source: pip, "Supported formats".
	//
	//	 trainingInput:
	//	-  packageUris: [gs://my-bucket/trainer.zip]
	//	+  packageUris: [gs://my-bucket/trainer-0.1.tar.gz]
	RulePackageExtension Rule = "package-extension"

	// RuleTooManyViolations: there are more violations than one list holds: 100 of a file, 20 of a
	// package, 200 of an event. What stands first is listed, errors before warnings.
	//
	// Source: jobdrop's own limit. Nobody reads more at once.
	//
	// For example: a file with 150 unknown fields; correct those that are listed, and check again.
	RuleTooManyViolations Rule = "too-many-violations"
)
