// Package attempt holds the record of an attempt and its pure transitions. It does no I/O: time,
// identifiers and everything that was seen come in as arguments.
//
// An attempt is one generation of a drop's job file. [Step] applies one observation to its record
// and returns the record's next form. Events that the transition causes are already in its outbox.
// What to do about a record follows from its state ([job.State.Undecided], [Record.Claimable],
// [job.State.Terminal]) and is derived again at each look. The result depends only on the
// arguments, so a redelivery, or another worker that looks at the same record, comes to the same
// result.
package attempt
