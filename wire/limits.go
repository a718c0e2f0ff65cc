package wire

// The limits of protocol.md section 10: one table, in force everywhere.
const (
	MaxFrameBody         = 64 << 10          // bytes
	MaxHandshake         = 60 << 10          // bytes of one handshake message
	MaxPayload           = MaxFrameBody - 33 // bytes in an outer envelope: whatever its numbers, it fits a frame
	MaxText              = 61_000            // bytes of one message's text
	MaxFlight            = 1024              // envelopes
	MaxFlightBytes       = 512 << 10         // bytes of payloads
	MaxFlightSeals       = 1024              // seal frames with heads of conversations
	MaxFlightSealed      = 512 << 10         // bytes of their bodies
	MaxUnacknowledged    = 4096              // envelopes in a lane and direction
	MaxUnackedBytes      = 2 << 20           // bytes of payloads in a lane and direction
	MaxChain             = 5                 // certificates
	MaxCertificate       = 8 << 10           // bytes
	MaxStaple            = 4 << 10           // bytes
	MaxSuites            = 16                // in an offer
	MaxShares            = 4                 // key shares in a hello
	MaxVersions          = 8                 // in a hello
	MaxSealEntries       = 1024              // heads in a seal frame
	MaxLeaves            = 1 << 16           // of a batch, padding included
	MaxPath              = 16                // log2(MaxLeaves)
	MaxSignature         = 1024              // bytes
	MaxCompartments      = 16                // of a level
	MaxCompartment       = 32                // bytes
	MaxIdentity          = 200               // bytes
	MaxName              = 200               // bytes
	MaxDescription       = 1024              // bytes of a machine's description
	MaxPeersEntries      = 64                // in one peers message, so that it fits a frame
	MaxStreams           = 128               // opened by the relay, at once
	MaxBeforeLogin       = 64 << 10          // bytes
	MaxControlQueue      = 1 << 20           // bytes queued for a session's control stream
	MaxLists             = 16                // requests of a session that wait for their list
	MaxConnects          = 30                // requests of a session at once
	ConnectsPerSecond    = 1                 // after that
	MaxSwitchedLanes     = 256               // in a switched frame
	MaxRekeys            = 30                // of a channel at once
	RekeysPerSecond      = 1                 // after that
	MaxClosedRekeys      = 4                 // of a conversation with a closed direction, at once
	ClosedRekeySeconds   = 60                // for one more after that
	MaxClosedConnects    = 8                 // requests, at once, of two people of whom one may not write to the other
	ClosedConnectSeconds = 10                // for one more after that
	ClosedHeadSeconds    = 1                 // between two heads that pass in a closed direction
	ClosedClockSeconds   = 120               // that the time of a seal may differ from the relay's clock there
	MaxDelegation        = 12 * 60 * 60      // seconds from its seal
	LoginSeconds         = 10                // until the relay answered
	CardSeconds          = 180               // a wait for card or PIN
	UnsealedSeconds      = 10                // without a head after an envelope, software and delegated keys
	HeadSeconds          = 30                // without an acknowledgement on the hop
	UnconfirmedAfter     = 60                // seconds without H3: a warning
	ByeSeconds           = 5                 // nobody waits longer for the acknowledgement of a bye
	ProbeSeconds         = 3                 // for the answer of a session that another login would supersede
	HandshakeSeconds     = 300               // a conversation's handshake, cards included
	DefaultRekeyAfter    = 15 * 60           // seconds, announced
	DefaultRekeyCount    = uint64(1) << 20   // messages, announced
	maxVarint            = uint64(1)<<62 - 1
)
