// Package transporttest gives tests connections over a simulated network. Inside a testing/synctest bubble its time is
// virtual, so that latency, loss and timeouts cost nothing.
//
// Most readers need Pair; tests with several clients make a Network, and from it a Listen and any number of Dial.
//
// What must be observed in a bubble: make everything inside it, wait with channels or synctest.Wait and not on real sockets, and
// close connections and listeners before the test function returns (Pair, Listen and Dial register that themselves). There is
// no segmentation offload and no ECN. The clock starts in the year 2000, which Certificate allows for. Loss is drawn from a
// seed, but which packet meets which draw depends on the scheduler.
package transporttest

import (
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go/testutils/simnet"

	"sinete/transport"
)

// Options describe a network; zero is a perfect one.
type Options struct {
	Latency time.Duration // one way; a round trip takes twice as long
	Jitter  time.Duration // each datagram takes up to so much longer, so that they overtake each other
	Loss    float64       // share of datagrams dropped, 0 to 1
	Rate    int           // bytes a second that each endpoint receives, of which at most a second's wait on the way; 0: any number
	Seed    uint64        // of the loss and the jitter
	Server  transport.ServerConfig
}

// Network is a network of datagrams that several clients and listeners share.
type Network struct {
	t    testing.TB
	opts Options

	mu     sync.Mutex
	next   uint16
	random *rand.Rand
	loss   float64
	cut    map[string]bool
	seen   map[string]net.Addr  // by an endpoint's own address: under which the others see it after Rebind
	behind map[string]net.Addr  // by such an address: the endpoint's own
	free   map[string]time.Time // when an endpoint will have received what is on the way to it
	sent   int
	router simnet.PerfectRouter
}

// New makes a network that ends with the test.
func New(t testing.TB, opts Options) *Network {
	return &Network{
		t:      t,
		opts:   opts,
		random: rand.New(rand.NewPCG(opts.Seed, 0)),
		loss:   opts.Loss,
		cut:    make(map[string]bool),
		seen:   make(map[string]net.Addr),
		behind: make(map[string]net.Addr),
		free:   make(map[string]time.Time),
	}
}

// Endpoint returns a new socket with an address of its own.
func (n *Network) Endpoint() net.PacketConn {
	n.mu.Lock()
	addr := n.newAddr()
	n.mu.Unlock()
	return n.EndpointAt(addr)
}

// EndpointAt returns a new socket with the given address, which must be free.
func (n *Network) EndpointAt(addr *net.UDPAddr) net.PacketConn {
	link := &simnet.SimulatedLink{
		UplinkSettings:   simnet.LinkSettings{MTU: 1452},
		DownlinkSettings: simnet.LinkSettings{MTU: 1452},
		Latency:          n.opts.Latency,
		UploadPacket:     n,
	}
	if n.opts.Jitter > 0 {
		link.LatencyFunc = func(simnet.Packet) time.Duration { return n.opts.Latency + n.drawn(n.opts.Jitter) }
	}
	if n.opts.Rate > 0 {
		link.LatencyFunc = func(p simnet.Packet) time.Duration { return n.opts.Latency + n.queued(addr, len(p.Data)) }
	}
	socket := simnet.NewBlockingSimConn(addr, link)
	link.Start()
	n.AddNode(addr, link) // last: somebody may be sending there already
	n.t.Cleanup(func() {
		_ = socket.Close()
		_ = link.Close()
	})
	return socket
}

// Listen listens at a new address until the test ends. A configuration without a certificate gets Certificate's.
func (n *Network) Listen(cfg transport.ServerConfig) *transport.Listener {
	n.t.Helper()
	if cfg.Certificate.Certificate == nil {
		cfg.Certificate = Certificate()
	}
	l, err := transport.Listen(n.Endpoint(), cfg)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(l.Close)
	return l
}

// Dial connects a client to a listener with Certificate's certificate, until the test ends, and accepts it.
func (n *Network) Dial(l *transport.Listener) (client, server *transport.Conn) {
	n.t.Helper()
	client, err := transport.Dial(n.t.Context(), n.Endpoint(), l.Addr(), transport.ClientConfig{VerifyServer: Trust(Certificate())})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { client.Close(0) })
	server, err = l.Accept(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { server.Close(0) })
	return client, server
}

// Pair returns both ends of a connection that ends with the test.
func Pair(t testing.TB, opts Options) (client, server *transport.Conn) {
	t.Helper()
	n := New(t, opts)
	return n.Dial(n.Listen(opts.Server))
}

// SetLoss changes the share of datagrams that are dropped; 1 cuts all.
func (n *Network) SetLoss(share float64) {
	n.mu.Lock()
	n.loss = share
	n.mu.Unlock()
}

// Cut drops everything from and to an address from now on.
func (n *Network) Cut(addr net.Addr) {
	n.mu.Lock()
	n.cut[addr.String()] = true
	n.mu.Unlock()
}

// Restore undoes Cut.
func (n *Network) Restore(addr net.Addr) {
	n.mu.Lock()
	delete(n.cut, addr.String())
	n.mu.Unlock()
}

// Rebind has the others see an endpoint under a new address, which it returns, and drops what they still send to the one before: the
// endpoint's NAT has forgotten it, or its network is another one.
func (n *Network) Rebind(addr net.Addr) net.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	as := n.newAddr()
	if before := n.seen[addr.String()]; before != nil {
		delete(n.behind, before.String())
	}
	n.seen[addr.String()], n.behind[as.String()] = as, addr
	return as
}

// newAddr is one that nobody has. mu is held.
func (n *Network) newAddr() *net.UDPAddr {
	n.next++
	return &net.UDPAddr{IP: net.IPv4(10, 0, byte(n.next>>8), byte(n.next)), Port: 4433}
}

func (n *Network) drawn(most time.Duration) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return time.Duration(n.random.Int64N(int64(most)))
}

// queued is how long a datagram waits until an endpoint has received what is before it, and then it.
func (n *Network) queued(addr net.Addr, size int) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	wait := max(time.Until(n.free[addr.String()]), 0) + time.Duration(size)*time.Second/time.Duration(n.opts.Rate)
	n.free[addr.String()] = time.Now().Add(wait)
	return wait
}

// Sent counts the datagrams sent so far, dropped ones included.
func (n *Network) Sent() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sent
}

// AddNode makes Network a simnet.Router.
func (n *Network) AddNode(addr net.Addr, node simnet.PacketReceiver) { n.router.AddNode(addr, node) }

// SendPacket makes Network a simnet.Router: it carries or drops a datagram.
func (n *Network) SendPacket(p simnet.Packet) error {
	n.mu.Lock()
	n.sent++
	drop := n.random.Float64() < n.loss || n.cut[p.From.String()] || n.cut[p.To.String()] || n.seen[p.To.String()] != nil
	if as := n.seen[p.From.String()]; as != nil {
		p.From = as
	}
	if own := n.behind[p.To.String()]; own != nil {
		p.To = own
	}
	drop = drop || time.Until(n.free[p.To.String()]) > time.Second
	n.mu.Unlock()
	if drop {
		return nil
	}
	return n.router.SendPacket(p)
}
