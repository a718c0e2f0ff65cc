package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
)

// patientSocket is a client's UDP socket. Once the connection is there, a datagram that has no way to the relay just now counts as lost on
// the way: the network comes back, and QUIC sends again.
type patientSocket struct {
	*net.UDPConn
	connected atomic.Bool
}

func (s *patientSocket) WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	n, oobn, err = s.UDPConn.WriteMsgUDP(b, oob, addr)
	if s.forgives(err) {
		return len(b), len(oob), nil
	}
	return n, oobn, err
}

func (s *patientSocket) WriteTo(b []byte, addr net.Addr) (n int, err error) {
	n, err = s.UDPConn.WriteTo(b, addr)
	if s.forgives(err) {
		return len(b), nil
	}
	return n, err
}

// forgives leaves to QUIC what only it can do something about: a closed socket, packets that are too large, and EIO, by which Linux refuses
// to cut one write into several packets.
func (s *patientSocket) forgives(err error) bool {
	return err != nil && s.connected.Load() && !errors.Is(err, net.ErrClosed) && !errors.Is(err, syscall.EMSGSIZE) && !errors.Is(err, syscall.EIO)
}

// Route is the address from which this machine reaches the other side at the moment, by its routes. It is not valid where there is no way, or
// the connection's network is none of this machine's.
func (c *Conn) Route() netip.Addr {
	if !c.udp {
		return netip.Addr{}
	}
	probe, err := net.DialUDP("udp", nil, c.RemoteAddr().(*net.UDPAddr)) // sends nothing
	if err != nil {
		return netip.Addr{}
	}
	defer probe.Close()
	return probe.LocalAddr().(*net.UDPAddr).AddrPort().Addr()
}

// Migrate tells the relay that the address of this machine has changed, and returns once it has answered there: QUIC's connection migration,
// with another connection id and a fresh idea of the path (RFC 9000 section 9). Where it returns an error, the connection may be as good as
// before all the same: a relay follows anything that it receives from the new address.
func (c *Conn) Migrate(ctx context.Context) error {
	path, err := c.qc.AddPath(c.tr)
	if err != nil {
		return err
	}
	if err := path.Probe(ctx); err != nil {
		_ = path.Close() // fails only on the path in use
		return err
	}
	return path.Switch()
}
