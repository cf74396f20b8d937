// Package contract holds what the use cases rely on in Cloud Storage, a backend
// and Pub/Sub. The simulator's stand-ins and the real adapters, over what speaks
// the real protocols, are held to the same.
//
// A backend is held to named promises, see [TestBackend]. Each has a subtest that
// fails with what was seen, with what becomes of people's jobs if the promise is
// broken, and with the functions that rely on it. The suite puts a [Proxy] before
// the service, which loses answers, refuses, lags, shows jobs as the suite wants
// them, or is hostile. A service says in [Words] how its API speaks of that. Who
// enforces a limit, and how its end is told, is held by an attempt's record: it
// follows the job, and must come to the right verdict.
//
// [CheckBackend] holds a stand-in to the promises that need no faults.
//
// # Promises of a backend
//
//   - the name stays: for submitter.otherBackend, watcher.ask
//   - a create tells its job: for submitter.ask, attempt.apply
//   - limits reach the service: for submitter.decide, attempt.limits
//   - a check makes no call: for submitter.decide
//   - a second create is a conflict, where IDs are taken: for submitter.ask
//   - another's job with the ID is a conflict, where IDs are taken: for submitter.ask, submitter.taken
//   - a conflict that can't be looked at leaves the outcome open, where IDs are taken: for submitter.ask
//   - a refusal after an open outcome leaves it open, where IDs are taken: for submitter.ask
//   - a create is sent once, where no IDs are taken: for submitter.ask
//   - a conflict without an ID leaves the outcome open, where no IDs are taken: for submitter.ask
//   - a lost answer leaves the outcome open: for submitter.ask, submitter.findEarlier
//   - a service that is down leaves the outcome open: for submitter.ask
//   - an answer that is no job leaves the outcome open: for submitter.ask
//   - a refusal says what is wrong: for submitter.ask, attempt.apply
//   - a quota that is used up says later: for submitter.ask, submitter.startAll
//   - no place for the job says so: for submitter.ask
//   - a search that finds nothing is no error: for submitter.findEarlier, submitter.found
//   - a search that fails is an error: for submitter.findEarlier
//   - labels come back: for submitter.own, watcher.cancel, attempt.Made
//   - packages come back: for attempt.Made
//   - a search finds the attempt's own jobs only, where no IDs are taken: for submitter.own, submitter.findEarlier
//   - a search finds what stands in the way, where IDs are taken: for submitter.findEarlier, submitter.asBackendSays
//   - of two jobs the oldest comes first, where no IDs are taken: for submitter.own
//   - what lists show late is there: for watcher.ask, submitter.findEarlier
//   - a list has the installation's jobs that go on: for watcher.list, watcher.shownBy
//   - a list has all of its pages: for watcher.list
//   - a list stops with its reader: for watcher.list
//   - a list goes on where it stopped: for watcher.list, watcher.run
//   - a list that breaks off says so: for watcher.list, watcher.run
//   - an answer that is no list is an error: for watcher.list
//   - a place that is no more is told: for watcher.tooOld
//   - a look at nothing says so: for watcher.ask
//   - states are told: for attempt.follow
//   - a state of tomorrow ends nothing: for attempt.follow
//   - an answer that is no job ends nothing: for attempt.follow, watcher.ask
//   - times are the service's, in UTC: for attempt.limit, attempt.timedOut
//   - a job that lost its machine starts once: for attempt.apply, attempt.follow
//   - a run limit's end is a timeout: for attempt.timedOut
//   - a wait limit's end is a timeout: for attempt.timedOut, submitter.decide
//   - a person's cancel is no timeout: for attempt.timedOut
//   - why a job failed is told, within bounds: for attempt.follow, attempt.bound
//   - trials are told: for attempt.follow, submitter.findEarlier
//   - a cancel ends the job: for watcher.cancel, watcher.cancelOne
//   - a cancel of nothing says so: for watcher.cancelOne, watcher.cancel
//   - a cancel of an ended job changes nothing: for watcher.cancel
//   - a job that is being cancelled has not ended: for attempt.follow, watcher.cancel
//   - a service that stumbles is asked again: for watcher.ask, watcher.list, watcher.cancel
//   - a quota of looks is left to the next tick: for watcher.ask, watcher.list, watcher.cancel
//   - a call ends with its context: for submitter.ask, watcher.run
//   - an answer without an end is cut off: for watcher.ask, watcher.list, submitter.ask
//   - every replica knows its role: for submitter.ask
//   - a run limit ends a program: for attempt.timedOut, watcher.cancel
//   - trials run with their parameters, and few at a time: for attempt.follow
package contract
