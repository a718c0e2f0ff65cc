//go:build !race

package journal_test

// stride is how far apart TestCutAtEveryByte cuts.
const stride = 1
