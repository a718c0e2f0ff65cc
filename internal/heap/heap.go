// Package heap has what this tree's programs, though not its libraries, ask of the garbage collector: Floor.
package heap

const floor = 16 << 20

//lint:ignore U1000 it is there to be held
var held []byte

// Floor lets at least 16 MiB be allocated from one collection to the next, where Go would collect from 4 MiB on. Programs that pass messages
// keep little and throw away much: for up to 16 MiB of memory more it takes 17 % off the processor time of a message (docs/performance.md). A
// high GOGC would do as much here, and make a relay with thousands of sessions several times as large.
func Floor() { held = make([]byte, floor) } // never written to, so no memory stands behind it
