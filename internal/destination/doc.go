// Package destination has what all destinations share: a client that reaches allowed hosts only, the class of each
// answer, and secrets that are read late and stand in no error.
//
// The error of a constructor says what is wrong in the routes file. It is not [delivery.Never]: messages wait for a
// corrected file.
//
// Each folder below is one kind of destination. Its Send tells one message within [Deadline], and returns the receipt
// that the conversation's next message needs. It may return both a receipt and an error, where a part was told: the
// receipt then keeps the next try from telling that part again.
package destination
