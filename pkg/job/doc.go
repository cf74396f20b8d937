// Package job is the domain of jobdrop: drops, attempts, jobs, and the pure
// transitions between their states. It imports the standard library only and
// does no I/O: time, identifiers and everything that was seen come in as
// arguments.
//
// An attempt is one generation of a drop's job file. [Step] takes its record
// and one observation and gives the record's next form, with the events that
// the transition causes already in its outbox. What is to be done about a record
// follows from its state ([State.Undecided], [Record.Claimable],
// [State.Terminal]) and is derived again at each look. All depends on nothing
// but the arguments, so a redelivery or another worker that looks at the same
// record comes to the same result.
package job
