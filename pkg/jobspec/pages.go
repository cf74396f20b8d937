package jobspec

import "github.com/jobdrop/jobdrop/pkg/job"

// The rules that this package finds broken. A constant's comment is its page: "jobdrop explain"
// prints it, and docs/rules.md is made of it. A line that begins with - breaks the rule, one that
// begins with + mends it.
const (
	// ruleBool: a truth value is expected: true or false.
	//
	// Source: reference: the field is a boolean.
	//
	//	 trainingInput:
	//	-  useChiefInTfConfig: maybe
	//	+  useChiefInTfConfig: false
	ruleBool job.Rule = "bool"

	// ruleBoolSpelling: yes, no, on and off are truth values in YAML 1.1 only. They are taken as they
	// are meant.
	//
	// Source: YAML 1.1, "Boolean Language-Independent Type"; YAML 1.2 has true and false only.
	//
	//	 trainingInput:
	//	-  useChiefInTfConfig: no
	//	+  useChiefInTfConfig: false
	ruleBoolSpelling job.Rule = "bool-spelling"

	// ruleComment: a comment begins with # in YAML; JSON has none. // and /* begin no comment.
	//
	// Source: YAML 1.2, "Comments"; RFC 8259.
	//
	//	 trainingInput:
	//	-  region: us-central1 // near the data
	//	+  region: us-central1 # near the data
	ruleComment job.Rule = "comment"

	// ruleDuplicateKey: a key stands twice, and which of the two values is meant would be a guess.
	// gcloud takes the first.
	//
	// Source: YAML 1.2: keys are unique; RFC 8259.
	//
	//	 labels:
	//	   team: growth
	//	-  team: ads
	ruleDuplicateKey job.Rule = "duplicate-key"

	// ruleEnum: a field takes certain words only.
	//
	// Source: reference: the field is an enumeration.
	//
	//	 trainingInput:
	//	-  scaleTier: BASICS
	//	+  scaleTier: BASIC
	ruleEnum job.Rule = "enum"

	// ruleEnumSpelling: a word is in another case, or written with dashes. It is taken as it is meant.
	//
	// Source: reference: the field is an enumeration.
	//
	//	 trainingInput:
	//	-  scaleTier: basic
	//	+  scaleTier: BASIC
	ruleEnumSpelling job.Rule = "enum-spelling"

	// ruleFieldSpelling: a field's name is spelt in the manner of Python or of another case. It is
	// taken as it is meant.
	//
	// Source: reference: the names of fields. google.protobuf's JSON takes both, gcloud only one.
	//
	//	 trainingInput:
	//	-  python_module: trainer.task
	//	+  pythonModule: trainer.task
	ruleFieldSpelling job.Rule = "field-spelling"

	// ruleFileDepth: a file is nested too deeply. No field of it needs that.
	//
	// Source: jobdrop's own limit.
	//
	// For example: a list of lists, 60 levels deep, as the value of args; write only the fields of a
	// job.
	ruleFileDepth job.Rule = "file-depth"

	// ruleFileEmpty: a file is empty, or holds only comments.
	//
	// Source: jobdrop's own rule.
	//
	//	-# jobId: census
	//	+jobId: census
	ruleFileEmpty job.Rule = "file-empty"

	// ruleFileEncoding: a file is plain text in UTF-8, without control characters.
	//
	// Source: YAML 1.2, "Character Set"; RFC 8259.
	//
	// For example: a job file in UTF-16, as an old PowerShell's > writes it; save it as UTF-8.
	ruleFileEncoding job.Rule = "file-encoding"

	// ruleFileNodes: a file has too many parts, or describes too many values, those behind aliases
	// counted at each use.
	//
	// Source: jobdrop's own limit: a small file must not take long to read.
	//
	// For example: a list of 300,000 entries; move them into a file that the trainer reads.
	ruleFileNodes job.Rule = "file-nodes"

	// ruleFileSize: a file is too large.
	//
	// Source: jobdrop's own limit: 256 KiB.
	//
	// For example: a job file with a comment of 300 KiB; move data into a package or an object that
	// the trainer reads.
	ruleFileSize job.Rule = "file-size"

	// ruleInteger: a whole number is expected.
	//
	// Source: reference: the field is an integer.
	//
	//	 trainingInput:
	//	   scaleTier: CUSTOM
	//	   masterType: n1-standard-8
	//	   workerType: n1-standard-8
	//	-  workerCount: two
	//	+  workerCount: 2
	ruleInteger job.Rule = "integer"

	// ruleKeyLength: a key is too long to be the name of a field.
	//
	// Source: jobdrop's own limit.
	//
	// For example: a key of 1,100 characters, which YAML takes after a question mark; write the name
	// of a field.
	ruleKeyLength job.Rule = "key-length"

	// ruleKeyText: a key is text.
	//
	// Source: reference: fields have names.
	//
	//	-trainingInput: {region: us-central1, 1: a}
	//	+trainingInput: {region: us-central1}
	ruleKeyText job.Rule = "key-text"

	// ruleListOfOne: a single value stands where a list is expected. It is taken for a list of one,
	// spaces and commas included.
	//
	// Source: reference: the field is repeated.
	//
	//	 trainingInput:
	//	-  args: --epochs=5 --verbose
	//	+  args: [--epochs=5, --verbose]
	ruleListOfOne job.Rule = "list-of-one"

	// ruleMerge: a merge (<<) can't be followed: a mapping merges itself, or mappings merge others too
	// deeply.
	//
	// Source: YAML, "Merge Key"; the depth is jobdrop's own limit.
	//
	//	-labels: &l
	//	+labels:
	//	-  <<: *l
	//	   team: growth
	ruleMerge job.Rule = "merge"

	// ruleMetadataEmpty: the object's metadata names a field and has no value.
	//
	// Source: jobdrop's own rule.
	//
	//	 # metadata
	//	-jobdrop-set-region: ''
	//	+jobdrop-set-region: us-central1
	ruleMetadataEmpty job.Rule = "metadata-empty"

	// ruleMetadataField: the object's metadata names a field that it can't set. Names are a field's
	// path, whole or below trainingInput, after jobdrop-set-.
	//
	// Source: jobdrop's own rule.
	//
	//	 # metadata
	//	-jobdrop-set-zone: us-central1
	//	+jobdrop-set-region: us-central1
	ruleMetadataField job.Rule = "metadata-field"

	// ruleMetadataSize: the object's metadata sets too much.
	//
	// Source: jobdrop's own limit.
	//
	// For example: settings that have 9,000 bytes in all; write the fields into the job file.
	ruleMetadataSize job.Rule = "metadata-size"

	// ruleMetadataText: a value of the object's metadata is plain text in UTF-8.
	//
	// Source: jobdrop's own rule.
	//
	//	 # metadata
	//	-jobdrop-set-region: "us-central1\a"
	//	+jobdrop-set-region: us-central1
	ruleMetadataText job.Rule = "metadata-text"

	// ruleMetadataTwice: two keys of the object's metadata set the same field. Case, dashes and
	// underscores don't tell them apart.
	//
	// Source: jobdrop's own rule.
	//
	//	 # metadata
	//	 jobdrop-set-runtimeVersion: '2.11'
	//	-jobdrop-set-runtime-version: '2.6'
	ruleMetadataTwice job.Rule = "metadata-twice"

	// ruleNotIndented: fields stand beside the one that they belong below.
	//
	// Source: reference: where the fields stand.
	//
	//	-trainingInput:
	//	-scaleTier: BASIC
	//	-region: us-central1
	//	-masterConfig: {imageUri: gcr.io/my-project/trainer}
	//	+trainingInput:
	//	+  scaleTier: BASIC
	//	+  region: us-central1
	//	+  masterConfig: {imageUri: gcr.io/my-project/trainer}
	ruleNotIndented job.Rule = "not-indented"

	// ruleNumber: a number is expected.
	//
	// Source: reference: the field is a number.
	//
	//	 trainingInput:
	//	   hyperparameters:
	//	     goal: MAXIMIZE
	//	     params:
	//	     - parameterName: rate
	//	       type: DOUBLE
	//	-      minValue: small
	//	+      minValue: 0.1
	//	       maxValue: 1
	ruleNumber job.Rule = "number"

	// ruleOddCharacter: a character looks like the one that is meant, and is another: a space that
	// doesn't break, a curly quote, a long dash. Word processors and chats put them in place of what
	// was typed.
	//
	// Source: what is seen in job files.
	//
	//	 trainingInput:
	//	-  region: us–central1
	//	+  region: us-central1
	ruleOddCharacter job.Rule = "odd-character"

	// ruleOutputOnly: only the service sets this field. It is ignored here, so that what gcloud
	// describes can be dropped.
	//
	// Source: reference, Job: "Output only".
	//
	//	-state: SUCCEEDED
	//	+jobId: census
	ruleOutputOnly job.Rule = "output-only"

	// rulePackageURI: an entry of packageUris is an object of Cloud Storage, or the name of a file in
	// the drop's folder.
	//
	// Source: reference, packageUris: "The Google Cloud Storage location of the packages".
	//
	//	 trainingInput:
	//	-  packageUris: ['https://example.com/trainer-0.1.tar.gz']
	//	+  packageUris: ['gs://my-bucket/trainer-0.1.tar.gz']
	rulePackageURI job.Rule = "package-uri"

	// rulePlaceholder: a placeholder of a template has not been replaced.
	//
	// Source: what is seen in job files.
	//
	//	 trainingInput:
	//	-  region: ${REGION}
	//	+  region: us-central1
	rulePlaceholder job.Rule = "placeholder"

	// ruleShape: a mapping, a list or a single value stands where another of the three is expected.
	//
	// Source: reference: the field's type.
	//
	//	 trainingInput:
	//	-  region: [us-central1]
	//	+  region: us-central1
	ruleShape job.Rule = "shape"

	// ruleSingleDocument: a file holds one YAML document.
	//
	// Source: jobdrop's own rule: a job file is one job.
	//
	//	-jobId: census
	//	----
	//	-jobId: census_2
	//	+jobId: census
	ruleSingleDocument job.Rule = "single-document"

	// ruleSyntax: the text is not YAML. JSON is YAML, too.
	//
	// Source: YAML 1.2.
	//
	//	-trainingInput: {scaleTier: BASIC
	//	+trainingInput: {scaleTier: BASIC}
	ruleSyntax job.Rule = "syntax"

	// ruleText: a text is expected. Numbers, dates and truth values become texts in quotes: 2.10
	// without them is the number 2.1.
	//
	// Source: reference: the field is a string.
	//
	//	 trainingInput:
	//	-  runtimeVersion: 2.11
	//	+  runtimeVersion: '2.11'
	ruleText job.Rule = "text"

	// ruleTrainingOnly: predictionInput describes a batch prediction, which jobdrop does not run.
	//
	// Source: reference, Job.
	//
	//	-predictionInput: {region: us-central1}
	ruleTrainingOnly job.Rule = "training-only"

	// ruleUnknownField: a field's name is not one of the file's kind. A misspelt field would be left
	// out in silence.
	//
	// Source: reference: the names of fields; for policies and routes, their schema.
	//
	//	 trainingInput:
	//	-  regoin: us-central1
	//	+  region: us-central1
	ruleUnknownField job.Rule = "unknown-field"

	// ruleVertexSpec: the file is a CustomJob, worker pool or pipeline of Vertex AI. jobdrop takes a
	// job of AI Platform Training, and makes Vertex AI's of it.
	//
	// Source: Vertex AI's reference, CustomJobSpec; docs/vertex.md.
	//
	//	-workerPoolSpecs:
	//	-- machineSpec: {machineType: n1-standard-8}
	//	-  replicaCount: 1
	//	+trainingInput:
	//	+  scaleTier: CUSTOM
	//	+  masterType: n1-standard-8
	//	+  region: us-central1
	//	-  containerSpec: {imageUri: gcr.io/my-project/trainer}
	//	+  masterConfig: {imageUri: gcr.io/my-project/trainer}
	ruleVertexSpec job.Rule = "vertex-spec"
)
