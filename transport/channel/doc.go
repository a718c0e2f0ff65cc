// Package channel is the one implementation of both kinds of channel, hop and conversation: handshake, key schedule, lanes,
// envelopes, transcripts and heads (docs/protocol.md sections 3 and 5). It is pure: bytes and verified facts go in, bytes
// and statements to be sealed come out. Whose certificate it is, and whether a seal verifies, its caller decides between
// two steps, however long the card takes.
//
// Most readers want NewInitiator and NewResponder, whose steps read in the order of the protocol, and Channel.Hop or
// Channel.Conversation, which give the lanes.
package channel
