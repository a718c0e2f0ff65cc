// Package bench holds the Go benchmarks of what several rooms do together. Those of one room stand beside it; docs/performance.md
// lists them all. The program bench/load measures the whole system.
package bench
