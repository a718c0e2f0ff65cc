// Package transport carries frames (protocol.md section 2.3) over QUIC: Listen and Dial make connections, a connection
// has a channel binding (section 1.1) and streams (section 2.2), and a stream reads frames one by one and writes together
// whatever waits.
//
// Most readers need Dial, Conn.OpenStream, Stream.ReadFrame and Stream.Append:
//
//	conn, err := transport.Dial(ctx, socket, relay, transport.ClientConfig{VerifyServer: verify})
//	control, err := conn.OpenStream(ctx)
//	err = control.Append(wire.Frame{Type: wire.FrameHello, Body: hello}.Append)
//	answer, err := control.ReadFrame()
//
// An orderly end loses nothing only in this order: one side calls Finish on its streams, the other reads each to io.EOF and
// then closes the connection. Close destroys whatever is under way, even what had arrived and was not read yet. The one
// packet that tells of a Close can be lost, and then only silence does, after 45 seconds: who waits for it needs a limit
// (protocol.md section 6).
package transport

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"sinete/wire"
)

// Conn is a QUIC connection between a peer and its relay. Its methods may be called from several goroutines.
type Conn struct {
	qc       *quic.Conn
	tr       *quic.Transport // of a client; nil at the relay
	udp      bool            // and its socket is a real one
	relay    net.Addr        // of a client; QUIC's own note of it is not safe to read while it migrates
	released <-chan struct{} // closed when the client's socket is; nil at the relay, whose socket is the Listener's
	onLogin  func()          // tells the Listener; nil at the client
	login    *time.Timer     // nil at the client

	loggedIn atomic.Bool
	received atomic.Int64 // bytes read before login

	mu      sync.Mutex
	closed  error // no writer starts any more
	writers sync.WaitGroup
}

// Binding returns the channel binding of protocol.md section 1.1, equal at both ends and different on every connection.
func (c *Conn) Binding() (binding [32]byte, err error) {
	state := c.qc.ConnectionState().TLS
	b, err := state.ExportKeyingMaterial(exporterLabel, nil, len(binding))
	if err != nil {
		return binding, err
	}
	return [32]byte(b), nil
}

// OpenStream opens a stream and waits for the other side's leave to do so. A client has leave for one, the control stream,
// ever; a relay for wire.MaxStreams at once. The other side sees it with the first frame.
func (c *Conn) OpenStream(ctx context.Context) (*Stream, error) {
	qs, err := c.qc.OpenStreamSync(ctx)
	if err != nil {
		return nil, typed(err)
	}
	return newStream(c, qs), nil
}

// AcceptStream waits for a stream that the other side opened.
func (c *Conn) AcceptStream(ctx context.Context) (*Stream, error) {
	qs, err := c.qc.AcceptStream(ctx)
	if err != nil {
		return nil, typed(err)
	}
	return newStream(c, qs), nil
}

// LoggedIn lifts the limits of the time before login: wire.MaxBeforeLogin bytes, wire.LoginSeconds or what ExtendLogin
// gave, and the listener's caps. Only a relay's connections have them.
func (c *Conn) LoggedIn() {
	if c.login == nil || c.loggedIn.Swap(true) {
		return
	}
	c.login.Stop()
	c.onLogin()
}

// ExtendLogin gives the login d from now, after which the connection closes with CodeTimeout.
func (c *Conn) ExtendLogin(d time.Duration) {
	if c.login != nil && !c.loggedIn.Load() {
		c.login.Reset(d)
	}
}

// count counts n bytes that were read and ends the connection when they are too many before login.
func (c *Conn) count(n int) error {
	if c.login == nil || c.loggedIn.Load() || c.received.Add(int64(n)) <= wire.MaxBeforeLogin {
		return nil
	}
	err := wire.Errorf(wire.CodeLimitExceeded, "more than %d bytes before login", wire.MaxBeforeLogin)
	c.Close(wire.CodeLimitExceeded)
	return err
}

// Close tells the other side the number, drops everything under way and returns when no goroutine of the connection is left.
// Only the first call's number counts. It must be called even when the other side closed before.
func (c *Conn) Close(code wire.Code) {
	c.mu.Lock()
	if c.closed == nil {
		c.closed = &CloseError{Number: code}
	}
	c.mu.Unlock()
	if c.login != nil {
		c.login.Stop()
	}
	_ = c.qc.CloseWithError(quic.ApplicationErrorCode(code), "") // always nil
	c.writers.Wait()
	if c.released != nil {
		<-c.released
	}
}

// startWriter runs write in a goroutine that Close waits for, or says why the connection is closed.
func (c *Conn) startWriter(write func()) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.Err(); err != nil {
		return err
	}
	if c.closed != nil {
		return c.closed
	}
	c.writers.Go(write)
	return nil
}

// Context ends with the connection.
func (c *Conn) Context() context.Context { return c.qc.Context() }

// Err says why the connection ended: a *CloseError, *LostError or *RefusedError. It is nil while the connection lives.
func (c *Conn) Err() error {
	if c.qc.Context().Err() == nil {
		return nil
	}
	return typed(context.Cause(c.qc.Context()))
}

// Received counts the packets that have arrived. On a connection that lives it moves at least every 15 seconds.
func (c *Conn) Received() uint64 { return c.qc.ConnectionStats().PacketsReceived }

// RTT is the shortest time so far that a packet took to the other side and back.
func (c *Conn) RTT() time.Duration { return c.qc.ConnectionStats().MinRTT }

// RemoteAddr is the other side's address; it can change when the client's network does.
func (c *Conn) RemoteAddr() net.Addr {
	if c.relay != nil {
		return c.relay
	}
	return c.qc.RemoteAddr()
}
