// Package training is the embedded local training service: it speaks ml/v1's
// REST API (AI Platform Training, projects.jobs) and runs the jobs that it is
// given as Python processes on this machine.
//
// A job is one replica, without containers. Its packages are fetched from Cloud
// Storage, installed into a virtual environment of the job's own that also sees
// the libraries of the Python that made it, and its module is run with the
// arguments, --job-dir and environment (TF_CONFIG among it) that the cloud's
// service gives. The job's region, machine and runtime version are taken as
// they are and choose nothing.
//
// What the package promises:
//   - A job that was answered for is on disk: after a restart on the same
//     folder queued jobs are queued again, and those that were under way end as
//     FAILED, their processes killed.
//   - When a job has ended, no process of its process group is left.
//   - Jobs start in the order of their creation, and the limits of
//     trainingInput.scheduling are enforced by the service itself.
//
// A job's program has the rights of the user who runs the service: the process
// group and the folder of its own keep jobs apart, they are no sandbox.
package training
