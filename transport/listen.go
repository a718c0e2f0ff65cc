package transport

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"sinete/wire"
)

// ServerConfig is what a relay listens with. Only Certificate must be set.
type ServerConfig struct {
	Certificate tls.Certificate
	// ResetKey, secret and kept across restarts, lets clients notice at once that the relay was restarted. Each relay must
	// have its own: with a shared one, a packet that strays to another relay ends its connection. Zero: they notice after
	// 45 seconds.
	ResetKey [32]byte

	MaxConnections int // in all; 0 means 65,536
	MaxBeforeLogin int // that are not logged in, in all; 0 means 2,048
	MaxPerAddress  int // that are not logged in, from one IPv4 address or IPv6 /64; 0 means 256
	// RetryAbove is the number of connections before login from which newcomers must prove their address with a further
	// round trip; 0 means 256. An address that has used half of MaxPerAddress must in any case, since whoever forges
	// addresses could lock it out otherwise.
	RetryAbove int
	// MaxHandshakes, if not nil, is asked at each newcomer how many TLS handshakes may be under way at once: for a key that
	// is slow to sign. Newcomers must prove their address then while there is any. It must not block.
	MaxHandshakes func() int

	Logger *slog.Logger // refusals and failed handshakes, at level debug; nil is silent
}

func (c ServerConfig) withDefaults() ServerConfig {
	c.MaxConnections = cmp.Or(c.MaxConnections, defaultMaxConnections)
	c.MaxBeforeLogin = cmp.Or(c.MaxBeforeLogin, defaultMaxBeforeLogin)
	c.MaxPerAddress = cmp.Or(c.MaxPerAddress, defaultMaxPerAddress)
	c.RetryAbove = cmp.Or(c.RetryAbove, defaultRetryAbove)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Listener accepts the connections of clients.
type Listener struct {
	cfg    ServerConfig
	socket net.PacketConn
	tr     *quic.Transport
	ql     *quic.Listener

	accepting context.Context // ends with Drain
	stop      context.CancelFunc
	refusing  sync.WaitGroup
	closeOnce sync.Once

	mu       sync.Mutex
	draining bool
	guests   map[*guest]struct{}
	waiting  int                  // guests before login
	greeting int                  // guests before the end of their TLS handshake
	origins  map[netip.Prefix]int // the same by address
	refused  uint64
}

// guest is a connection from its first packet on. The Listener's mutex guards it.
type guest struct {
	origin   netip.Prefix
	greeted  bool // its TLS handshake is over, or it is gone
	loggedIn bool
	conn     *Conn // nil until accepted
}

type guestKey struct{}

// Listen listens on a socket, which it takes over: Close closes it.
func Listen(socket net.PacketConn, cfg ServerConfig) (*Listener, error) {
	l := &Listener{
		cfg:     cfg.withDefaults(),
		socket:  socket,
		guests:  make(map[*guest]struct{}),
		origins: make(map[netip.Prefix]int),
	}
	l.accepting, l.stop = context.WithCancel(context.Background())
	l.tr = &quic.Transport{Conn: readTogether(socket, relayBundles), VerifySourceAddress: l.mustProve, ConnContext: l.admit}
	if cfg.ResetKey != [32]byte{} {
		l.tr.StatelessResetKey = new(quic.StatelessResetKey(cfg.ResetKey))
	}
	conf := tlsConfig()
	conf.Certificates = []tls.Certificate{l.cfg.Certificate}
	ql, err := l.tr.Listen(conf, &quic.Config{
		MaxIdleTimeout: idleTimeout,
		// One stream ever: its credit is never given back.
		MaxIncomingStreams:             1,
		RequireStreamCreditRelease:     true,
		MaxIncomingUniStreams:          -1,
		InitialStreamReceiveWindow:     streamWindow,
		MaxStreamReceiveWindow:         maxStreamWindow,
		InitialConnectionReceiveWindow: connectionWindow,
		MaxConnectionReceiveWindow:     connectionWindow,
	})
	if err != nil {
		l.stop()
		_ = socket.Close()
		return nil, err
	}
	l.ql = ql
	return l, nil
}

// Addr is the address of the socket.
func (l *Listener) Addr() net.Addr { return l.ql.Addr() }

// Accept waits for a client whose TLS handshake is done. The caller must do nothing between two calls but start a
// goroutine: QUIC refuses clients while 32 wait here. The time for the login (LoggedIn) begins now.
func (l *Listener) Accept(ctx context.Context) (*Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.accepting, cancel)()

	qc, err := l.ql.Accept(ctx)
	switch {
	case err == nil:
	case l.accepting.Err() != nil:
		return nil, ErrListenerClosed
	case errors.Is(err, quic.ErrServerClosed):
		return nil, ErrListenerClosed // the socket failed
	default:
		return nil, err
	}
	g := qc.Context().Value(guestKey{}).(*guest)
	c := &Conn{qc: qc, onLogin: func() { l.login(g) }}
	c.mu.Lock() // the timer's goroutine must see the field
	c.login = time.AfterFunc(loginTime, func() { c.Close(wire.CodeTimeout) })
	c.mu.Unlock()

	l.mu.Lock()
	draining := l.draining
	l.greet(g)
	g.conn = c
	l.mu.Unlock()
	if draining {
		c.Close(wire.CodeGoingAway)
		return nil, ErrListenerClosed
	}
	return c, nil
}

// Drain refuses newcomers from now on, at once and not by silence. Accepted connections live on.
func (l *Listener) Drain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.draining {
		return
	}
	l.draining = true
	l.stop()
	// Handshakes that were under way complete into a queue that nobody else reads any more.
	l.refusing.Go(func() {
		for {
			qc, err := l.ql.Accept(context.Background())
			if err != nil {
				return
			}
			_ = qc.CloseWithError(quic.ApplicationErrorCode(wire.CodeGoingAway), "")
		}
	})
}

// Close drains, closes the connections that are left with CodeGoingAway, and then the socket. It returns when no goroutine
// of the listener or its connections is left.
func (l *Listener) Close() {
	l.Drain()
	l.closeOnce.Do(func() {
		l.mu.Lock()
		var closing sync.WaitGroup
		for g := range l.guests {
			if g.conn != nil {
				closing.Go(func() { g.conn.Close(wire.CodeGoingAway) })
			}
		}
		l.mu.Unlock()
		closing.Wait()
		_ = l.ql.Close()
		l.refusing.Wait()
		_ = l.tr.Close()
		_ = l.socket.Close()
	})
}

// Stats are a listener's numbers for its metrics.
type Stats struct {
	Open        int    // connections, from their first packet on
	BeforeLogin int    // of these not logged in
	Refused     uint64 // first packets, of which a client sends several, by the caps or after Drain, since the start
}

// Stats returns the numbers of now.
func (l *Listener) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{len(l.guests), l.waiting, l.refused}
}

// mustProve decides about QUIC's Retry for a source address that may be forged.
func (l *Listener) mustProve(addr net.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting >= l.cfg.RetryAbove || l.cfg.MaxHandshakes != nil && l.greeting > 0 || l.origins[origin(addr)] >= l.cfg.MaxPerAddress/2
}

// admit counts a newcomer in or refuses it, before anything is computed for it.
func (l *Listener) admit(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	g := &guest{origin: origin(info.RemoteAddr)}
	l.mu.Lock()
	defer l.mu.Unlock()
	var reason string
	switch {
	case l.draining:
		reason = "draining"
	case len(l.guests) >= l.cfg.MaxConnections:
		reason = "connections"
	case l.waiting >= l.cfg.MaxBeforeLogin:
		reason = "before login"
	case l.origins[g.origin] >= l.cfg.MaxPerAddress:
		reason = "per address"
	case l.cfg.MaxHandshakes != nil && l.greeting >= l.cfg.MaxHandshakes():
		reason = "handshakes"
	default:
		l.guests[g] = struct{}{}
		l.greeting++
		l.waiting++
		l.origins[g.origin]++
		context.AfterFunc(ctx, func() { l.leave(g, context.Cause(ctx)) })
		return context.WithValue(ctx, guestKey{}, g), nil
	}
	l.refused++
	l.cfg.Logger.Debug("connection refused", "address", info.RemoteAddr, "reason", reason)
	return nil, errors.New(reason)
}

func (l *Listener) login(g *guest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settle(g)
}

// settle takes a guest out of what is counted before login.
func (l *Listener) settle(g *guest) {
	if g.loggedIn {
		return
	}
	g.loggedIn = true
	l.waiting--
	if l.origins[g.origin]--; l.origins[g.origin] == 0 {
		delete(l.origins, g.origin)
	}
}

// greet takes a guest out of the handshakes under way.
func (l *Listener) greet(g *guest) {
	if !g.greeted {
		g.greeted = true
		l.greeting--
	}
}

func (l *Listener) leave(g *guest, cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settle(g)
	delete(l.guests, g)
	l.greet(g)
	if g.conn == nil {
		l.cfg.Logger.Debug("handshake failed", "network", g.origin, "reason", cause)
	}
}

// origin is what the caps count by: an IPv4 address, or an IPv6 /64, which is what one customer gets.
func origin(addr net.Addr) netip.Prefix {
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Prefix{} // all strange addresses together
	}
	ip := ap.Addr().Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // bits are right for the family
	return p
}
