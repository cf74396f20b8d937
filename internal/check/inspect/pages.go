package inspect

import "github.com/jobdrop/jobdrop/pkg/job"

// The rules that this package finds broken. A constant's comment is its page: "jobdrop explain"
// prints it, and docs/rules.md is made of it. A line that begins with - breaks the rule, one that
// begins with + mends it.
const (
	// ruleContentEncoding: an object says that it was packed for transport, and is not, or can't be
	// unpacked. Bytes that already are what the name promises are used as they are, with a warning.
	//
	// Source: Cloud Storage, "Transcoding of gzip-compressed files".
	//
	// For example: a package uploaded with contentEncoding: br; upload it without an encoding, then
	// the job file again.
	ruleContentEncoding job.Rule = "content-encoding"

	// ruleFolderName: a folder's name is too long, or holds a control character. The names of what
	// jobdrop writes for it must fit, too.
	//
	// Source: Cloud Storage, "Object names"; jobdrop's own limit.
	//
	// For example: a folder whose name has 901 bytes; upload into a folder with a shorter name.
	ruleFolderName job.Rule = "folder-name"

	// ruleFolderSize: a folder holds too much to be a drop.
	//
	// Source: jobdrop's own limit: docs/limits.md.
	//
	// For example: a job file at the top of a data set of 100,000 objects; upload it and its packages
	// into a folder of their own.
	ruleFolderSize job.Rule = "folder-size"

	// ruleInspectionTime: the check of the drop took too long, and stopped. A function has a deadline,
	// and one drop must not hold up the others.
	//
	// Source: jobdrop's own limit: docs/limits.md.
	//
	// For example: packages of so many files that reading them takes more than two minutes; leave data
	// and environments out.
	ruleInspectionTime job.Rule = "inspection-time"

	// ruleJobDirRegion: the directory's bucket lies in another region than the job, so that writing is
	// slower, and costs. The rule only warns.
	//
	// Source: Cloud Storage, pricing of network egress.
	//
	// For example: a job in us-central1 that writes to a bucket in europe-west1; use a bucket in the
	// job's region.
	ruleJobDirRegion job.Rule = "job-dir-region"

	// ruleOneJobFile: a folder holds one job file: job.yaml, job.yml or job.json.
	//
	// Source: jobdrop's own rule.
	//
	//	 jobId: census
	//	 # trainer-0.1.tar.gz
	//	-# job.json
	//	-jobId: census
	ruleOneJobFile job.Rule = "one-job-file"

	// rulePackageAmbiguous: the job file names no package, and the folder holds more than one.
	//
	// Source: jobdrop's own rule: without a name the folder's only package is meant.
	//
	//	 trainingInput:
	//	+  packageUris: [trainer-0.1.tar.gz]
	//	 # trainer-0.1.tar.gz
	//	 # other-0.1.tar.gz
	rulePackageAmbiguous job.Rule = "package-ambiguous"

	// rulePackageName: a package's name is too long for what jobdrop writes of it.
	//
	// Source: jobdrop's own limit: docs/limits.md.
	//
	// For example: a package whose file name has 300 bytes; rename it, and upload the job file again.
	rulePackageName job.Rule = "package-name"

	// rulePackagePython: the package asks for another Python than the job has, so that pip refuses it.
	// Where only PKG-INFO asks, the rule warns.
	//
	// Source: PEP 440; the core metadata, Requires-Python.
	//
	//	 # trainer-0.1.tar.gz
	//	 # setup.py
	//	 from setuptools import setup, find_packages
	//	 setup(
	//	     name='trainer',
	//	     version='0.1',
	//	     packages=find_packages(),
	//	-    python_requires='>=3.9',
	//	+    python_requires='>=3.7',
	//	 )
	rulePackagePython job.Rule = "package-python"

	// rulePackageSource: a package that lies elsewhere is not there, or jobdrop may not read it.
	//
	// Source: Cloud Storage's answer: 404 or 403.
	//
	// For example: packageUris with gs://elsewhere/trainer-0.1.tar.gz, which was deleted; upload it
	// there, and the job file again.
	rulePackageSource job.Rule = "package-source"

	// rulePackagesSize: the packages of the drop are too large in all.
	//
	// Source: jobdrop's own limit: docs/limits.md.
	//
	// For example: packages that have 5 GiB in all; let the trainer read data from a bucket.
	rulePackagesSize job.Rule = "packages-size"

	// rulePinUnused: a pin names a package that the job does not use.
	//
	// Source: jobdrop's own rule.
	//
	//	 trainingInput:
	//	   packageUris: [trainer-0.1.tar.gz]
	//	 jobdrop:
	//	-  packages: [{name: trainer-0.2.tar.gz, generation: 5}]
	//	 # trainer-0.1.tar.gz
	rulePinUnused job.Rule = "pin-unused"

	// rulePythonModuleInPackage: no package of the drop holds the module that is to run, or the module
	// is not one that Python can run. Where setup moves modules in ways that are not followed, the
	// rule only warns.
	//
	// Source: Python, -m; setuptools, "Package Discovery".
	//
	//	 trainingInput:
	//	-  pythonModule: trainer.main
	//	+  pythonModule: trainer.task
	//	 # trainer-0.1.tar.gz
	rulePythonModuleInPackage job.Rule = "python-module-in-package"
)
