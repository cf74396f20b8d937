// Package job holds the words of jobdrop: drops and their objects, training jobs as
// ml/v1 writes them, violations, the states of an attempt, and what a lifecycle event
// tells of it. It imports the standard library only and does no I/O.
//
// An attempt is one generation of a drop's job file. [State] says where it stands and
// [Snapshot] is what subscribers and readers of status.json are told of it.
package job
