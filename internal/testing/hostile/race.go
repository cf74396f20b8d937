//go:build race

package hostile

// Racing reports whether the race detector is at work, which multiplies what a test
// computes.
const Racing = true
