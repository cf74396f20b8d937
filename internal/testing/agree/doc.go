// Package agree holds a table of drops to all rule sets of the project: the command line's
// validate and plan, an installation's own check with each backend, the local training
// service's APIs, and pip.
//
// What validate passes without a word, each of them takes. Where one says otherwise the table
// has the reason.
package agree
