// Package training is the embedded local training service: it speaks ml/v1's
// REST API (AI Platform Training, projects.jobs) and, of aiplatform/v1's (Vertex
// AI), customJobs and hyperparameterTuningJobs, and runs the jobs that it is given
// as Python processes on this machine. Both have one queue, one runner and one
// set of limits; neither shows the other's jobs.
//
// Service and runner know of an API what package jobs calls a dialect: the words
// in which it speaks of a job. Packages ml and vertex implement one each, and
// apis.go lists them. Package process runs programs, logs keeps and serves what
// they write, study chooses and judges the trials of tuning jobs, and rest has
// what Google's REST APIs share. Package rpc serves gRPC calls by those, with the
// descriptors of package protos.
//
// Each of a job's replicas is a process, with a working directory, HOME and
// TMPDIR of its own. The job's packages are fetched from Cloud Storage and
// installed, once for all replicas, into a virtual environment of the job's own
// that also sees the libraries of the Python that made it. The module is run with
// the arguments, --job-dir and environment that the cloud's service gives:
// TF_CONFIG among it, with the replicas' addresses on loopback. A replica with
// an image is run by [Options.ContainerRunner] on the machine's own network, as
// the image is: packages are not installed into it. The scale tier and counts
// choose the replicas; region, machines and runtime version are held to the rules
// of ml/v1 and choose nothing but the master's name in TF_CONFIG.
//
// A job with hyperparameters runs its trials, each of them a run of all replicas
// with folders of its own. The environment is made once for all. A trial's
// program gets its parameters as --name=value behind the job's own arguments,
// the job directory <jobDir>/<trial's ID>, and the ID in TF_CONFIG (task.trial) and
// CLOUD_ML_TRIAL_ID. Its result is the last value of the metric that it wrote, as
// the Python package cloudml-hypertune does, to CLOUD_ML_HP_METRIC_FILE, of which
// each replica has its own: the master's counts, then the evaluator's. TensorFlow's
// summaries are not read. The algorithms are a grid, random search and, for the
// service's Bayesian default, a simple search around the best trials so far; with
// enableTrialEarlyStopping the median rule ends trials that are worse than most.
// Suggestions depend on nothing but the job's ID and the results, in the order in
// which they came. trainingOutput has the trials while the job runs, too, the best
// one first.
//
// A CustomJob's pools are chief, workers, parameter servers and evaluators, in this
// order. A pool with a Python package runs it with this machine's Python, whatever
// its executor image holds. So does one whose image is of Google's own for training
// and whose command is python3 or python: the command runs in an environment of
// each replica's own, empty but for this machine's libraries, with pip, and may
// install into it. Every other image is for [Options.ContainerRunner]. Replicas
// have CLUSTER_SPEC, and TF_CONFIG where there are several, AIP_MODEL_DIR and its
// like below the base output directory (a trial's: below <base>/<trial's ID>), and
// the spec's own env, which yields to what the service sets; --job-dir is not
// added. IDs are the service's, and two creates of the same are two jobs. What a
// job asks for that would make another run of it here (peered networks, TPUs, other
// stopping rules than the median's) is refused; machines, disks, accounts, keys,
// dashboards, tensorboards, reservations, persistent resources, network attachments,
// mounts and the scheduling fields other than timeout, disableRetries and the wait of
// FLEX_START are checked, kept and do nothing.
//
// A job is run again only after it has lost its machines, by [Service.Preempt] or
// [Options.Preemption]: up to six times, as Google says of Spot VMs, and never with
// disableRetries, when it fails with code 13. It goes back to PREPARING (JOB_STATE_PENDING)
// meanwhile; its start time and its limits stay those of the first run. A program finds
// its checkpoints in AIP_CHECKPOINT_DIR. Of ml/v1's jobs, which had no such variable, it
// is the same folder of the job directory; they also have JOBDROP_RESTART_COUNT, which for
// the others jobdrop's own bootstrap sets.
//
// How such jobs end: FAILED with code 3 (INVALID_ARGUMENT, as jobs are seen to whose
// replica exited) and the replica's message; CANCELLED with code 1 after a cancel and
// after scheduling.timeout. The API's reference does not say how the latter ends;
// reports of jobs that ran for the default of 7 days say cancelled, so the message,
// which names scheduling.timeout, and the times are what tells the two apart. A
// FLEX_START job that did not run within maxWaitDuration (24 hours if it does not say)
// is EXPIRED with code 4 (DEADLINE_EXCEEDED). Code 13
// (INTERNAL) is a job that the service's own end stopped. A tuning job's timeout is
// that of each trial, which is INFEASIBLE then; the job itself has none.
//
// The logs of all replicas are kept with the job, and are served as Cloud
// Logging's entries.list does, to gcloud ai-platform jobs stream-logs and gcloud ai
// custom-jobs stream-logs among others.
//
// Not here: workers of the type cloud_tpu and resumePreviousJobId (such jobs are
// refused), CLUSTER_SPEC of ml/v1's jobs, deletion of jobs, and Cloud Logging's other
// methods. What is not here is refused as package absent says.
//
// What the package promises:
//   - A job that was answered for is on disk: after a restart on the same
//     folder queued jobs are queued again, and those that were under way end as
//     FAILED, their processes killed.
//   - When a job has ended, no process of its replicas' process groups and no
//     container of it is left, and its log is complete.
//   - The job ends with its master, or with the first other replica that fails;
//     what is left then has one SIGTERM and the grace that all share. So does a
//     trial. A tuning job ends with its last trial, fails with the one that makes
//     maxFailedTrials failed ones (or that fails before any has succeeded, where
//     that is zero), and is cancelled with all its trials.
//   - Jobs start in the order of their creation, a large one is not overtaken,
//     the replicas that run at once, those of parallel trials among them, are no
//     more than [Options.MaxReplicas], and the limits of trainingInput.scheduling
//     are enforced by the service itself.
//
// A job's program has the rights of the user who runs the service: the process
// group and the folder of its own keep jobs apart, they are no sandbox.
package training
