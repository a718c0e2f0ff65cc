package transport

import (
	"time"

	"sinete/wire"
)

// Limits and times of this package beside those of protocol.md section 10, which stand in wire.
const (
	alpn          = "sinete/1"          // section 1
	exporterLabel = "EXPORTER-sinete-1" // section 1.1

	idleTimeout = 45 * time.Second
	// Only the client pings: its NAT is the one that forgets, and ten thousand pinging clients cost a relay enough. After login its
	// signs of life (protocol.md section 2.5) come first.
	keepAlive = 20 * time.Second

	// FrameTimeout is how long a frame that has begun may take to end, and a write to get one byte further.
	FrameTimeout = 30 * time.Second

	streamWindow    = 64 << 10
	maxStreamWindow = 1 << 20
	// Unread streams must not stop the others. Hence all their first windows, the control stream's too, must fit into three
	// quarters of the connection's: QUIC renews that one only after a quarter of it was read. The rest is for the few
	// streams whose windows have grown.
	connectionWindow = 2 * wire.MaxStreams * streamWindow

	// stallChecks is into how many waits FrameTimeout is cut, so that a writer knows when it last got further.
	stallChecks = 6

	smallBuffer = 1 << 10                   // a reader's first, enough for what an idle session exchanges
	largeBuffer = 1 + 4 + wire.MaxFrameBody // the longest frame: type, length, body
	fullBlock   = 32 << 10                  // bytes to write together, from which a block takes no more frames
	keptBlock   = 128 << 10                 // a larger one, after very large frames, is left to the garbage collector

	relayBundles  = 8 // packets of that many clients at once
	clientBundles = 2 // of its relay, which sends acknowledgements apart

	queueLimit = wire.MaxControlQueue
	loginTime  = wire.LoginSeconds * time.Second

	defaultMaxConnections = 65536
	defaultMaxBeforeLogin = 2048
	defaultMaxPerAddress  = 256
	defaultRetryAbove     = 256
)
