// Package udpproxy stands between a program and its relay and does to datagrams what networks do: it loses, delays and reorders them,
// carries none at all for a while, and gives flows other ports, as a NAT does. It is for tests, in real time and between processes.
//
// Most readers need Listen, Proxy.Addr and Proxy.Set.
package udpproxy

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Weather is what becomes of a datagram, in either direction alike. The zero value carries each at once.
type Weather struct {
	Cut    bool          // none is carried
	Drop   float64       // of each datagram: how likely it is lost, from 0 to 1
	Delay  time.Duration // of each
	Jitter time.Duration // drawn from 0 to this, beside Delay: what is sent within it arrives in any order
}

// maxDatagram is more than UDP carries.
const maxDatagram = 1 << 16

// Proxy carries datagrams between its clients and one server. Its methods may be called by any goroutine.
type Proxy struct {
	front   *net.UDPConn // where the clients send to
	server  *net.UDPAddr
	running sync.WaitGroup

	mu      sync.Mutex
	weather Weather
	random  *rand.Rand
	flows   map[netip.AddrPort]*flow // by client
	closed  bool
}

// flow is one client, whom the server knows by a socket of its own.
type flow struct {
	client netip.AddrPort
	socket *net.UDPConn
}

// Listen begins to carry datagrams to the server at that address (host:port). With the same seed the same draws are made, in the order in
// which datagrams come. Close must follow.
func Listen(server string, seed uint64) (*Proxy, error) {
	to, err := net.ResolveUDPAddr("udp", server)
	if err != nil {
		return nil, err
	}
	front, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	p := &Proxy{front: front, server: to, random: rand.New(rand.NewPCG(seed, 0)), flows: map[netip.AddrPort]*flow{}}
	p.running.Go(p.fromClients)
	return p, nil
}

// Addr is where clients send to: host:port, on this machine.
func (p *Proxy) Addr() string { return p.front.LocalAddr().String() }

// Set changes the weather for what comes from now on. What is on its way arrives.
func (p *Proxy) Set(w Weather) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.weather = w
}

// Rebind gives every flow another port towards the server, as a NAT does that has forgotten it. What the server sends to the old one is lost.
func (p *Proxy) Rebind() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.flows {
		if err := p.bind(f); err != nil {
			return err
		}
	}
	return nil
}

// Close carries nothing any more, and returns when nothing of the proxy runs.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.front.Close()
	for _, f := range p.flows {
		f.socket.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
}

// bind gives a flow a socket in place of the one that it may have. mu is held.
func (p *Proxy) bind(f *flow) error {
	socket, err := net.DialUDP("udp", nil, p.server)
	if err != nil {
		return err
	}
	if f.socket != nil {
		f.socket.Close()
	}
	f.socket = socket
	p.running.Go(func() { p.fromServer(f.client, socket) })
	return nil
}

func (p *Proxy) fromClients() {
	b := make([]byte, maxDatagram)
	for {
		n, client, err := p.front.ReadFromUDPAddrPort(b)
		if p.over() {
			return
		}
		if err != nil {
			continue // of an earlier datagram, whose receiver is gone
		}
		p.carry(b[:n], func(b []byte) {
			if s := p.socket(client); s != nil {
				_, _ = s.Write(b) // nobody may be there: a datagram lost
			}
		})
	}
}

func (p *Proxy) fromServer(client netip.AddrPort, socket *net.UDPConn) {
	b := make([]byte, maxDatagram)
	for {
		n, err := socket.Read(b)
		if p.over() || p.socket(client) != socket {
			return
		}
		if err != nil {
			continue // the server is not there now
		}
		p.carry(b[:n], func(b []byte) { _, _ = p.front.WriteToUDPAddrPort(b, client) })
	}
}

func (p *Proxy) over() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// socket is the one of a client's flow, which is made where there is none; nil where none can be had.
func (p *Proxy) socket(client netip.AddrPort) *net.UDPConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.flows[client]; f != nil {
		return f.socket
	}
	f := &flow{client: client}
	if p.closed || p.bind(f) != nil {
		return nil
	}
	p.flows[client] = f
	return f.socket
}

// carry sends a datagram on as the weather has it.
func (p *Proxy) carry(b []byte, send func([]byte)) {
	p.mu.Lock()
	w := p.weather
	lost := w.Cut || p.random.Float64() < w.Drop
	delay := w.Delay
	if w.Jitter > 0 {
		delay += time.Duration(p.random.Int64N(int64(w.Jitter)))
	}
	p.mu.Unlock()
	switch {
	case lost:
	case delay == 0:
		send(b)
	default:
		later := append([]byte(nil), b...)
		time.AfterFunc(delay, func() { send(later) })
	}
}
