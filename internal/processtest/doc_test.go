// Package processtest holds the tests of the programs as processes: built with the race detector, talking over UDP on loopback,
// driven and judged by what they print, by their exit status, and by what they leave behind. What passed the relay is judged by
// code that comes from docs/protocol.md alone.
package processtest
