// Package wire is every byte that crosses a network or lands in evidence: frames, handshake messages, envelopes, heads,
// seals, control messages, content, and the hashes over them. It does no I/O and holds no keys.
//
// Each structure has Append, which appends its one encoding, and a Parse function, which consumes exactly one and refuses
// whatever would not be encoded so (docs/protocol.md). Most readers start with ParseFrame and Frame.Append.
package wire
