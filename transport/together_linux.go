package transport

import (
	"encoding/binary"
	"net"

	"github.com/quic-go/quic-go"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// together is a UDP socket from which packets of one sender that wait together are read as one bundle (UDP_GRO, Linux 5.0). That they are
// sent so is QUIC's own affair (UDP_SEGMENT); a bundle passes a loopback, and a network card that can do it, as one.
type together struct {
	udpSocket
	bundles *ipv4.PacketConn

	// Of ReadBatch, which QUIC calls from one goroutine.
	read    []ipv4.Message
	waiting []ipv4.Message // of read: what ReadBatch has not handed out
	rest    []byte         // of waiting[0]
	size    int            // of the packets in it but for the last
}

// udpSocket is what QUIC uses of a UDP socket. Its buffers are enlarged where it has all of this.
type udpSocket interface {
	quic.OOBCapablePacketConn
	net.Conn
	SetWriteBuffer(bytes int) error
}

const (
	largestBundle = 64 << 10
	controlSpace  = 256 // for what QUIC asks of the kernel, and the packets' size
)

// readTogether lets the kernel bundle what waits, for up to so many bundles of different senders to be read at once; each takes 64 KiB of
// memory. Where it does not know how, the socket stays as it is.
func readTogether(socket net.PacketConn, bundles int) net.PacketConn {
	udp, ok := socket.(udpSocket)
	if !ok {
		return socket
	}
	raw, err := udp.SyscallConn()
	if err != nil {
		return socket
	}
	var refused error
	err = raw.Control(func(fd uintptr) { refused = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1) })
	if err != nil || refused != nil {
		return socket
	}
	t := &together{udpSocket: udp, bundles: ipv4.NewPacketConn(udp), read: make([]ipv4.Message, bundles)} // for sockets of both families
	for i := range t.read {
		t.read[i].Buffers, t.read[i].OOB = [][]byte{make([]byte, largestBundle)}, make([]byte, controlSpace)
	}
	return t
}

// ReadBatch fills messages with a packet each, as that of ipv4.PacketConn does. QUIC reads by it.
func (t *together) ReadBatch(ms []ipv4.Message, flags int) (n int, err error) {
	if len(t.waiting) == 0 {
		n, err := t.bundles.ReadBatch(t.read, flags)
		if err != nil {
			return 0, err
		}
		t.waiting = t.read[:n]
		t.begin()
	}
	for n < len(ms) && len(t.waiting) > 0 {
		from, to := &t.waiting[0], &ms[n]
		packet := t.rest[:min(t.size, len(t.rest))]
		to.N, to.NN = copy(to.Buffers[0], packet), copy(to.OOB, from.OOB[:from.NN])
		to.Addr, to.Flags = from.Addr, from.Flags
		n++
		if t.rest = t.rest[len(packet):]; len(t.rest) == 0 {
			t.waiting = t.waiting[1:]
			t.begin()
		}
	}
	return n, nil
}

// begin looks at the first bundle that waits.
func (t *together) begin() {
	if len(t.waiting) == 0 {
		return
	}
	m := &t.waiting[0]
	t.rest, t.size = m.Buffers[0][:m.N], m.N
	for control := m.OOB[:m.NN]; len(control) > 0; {
		h, data, further, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			return
		}
		if h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && len(data) >= 4 {
			t.size = int(binary.NativeEndian.Uint32(data))
		}
		control = further
	}
}
