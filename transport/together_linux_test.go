package transport

import (
	"bytes"
	"net"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// TestReadTogether sends bundles as QUIC does, and expects each packet by itself, in order and whole.
func TestReadTogether(t *testing.T) {
	socket, other := udp(t), udp(t).(*net.UDPConn)
	reading, ok := readTogether(socket, 2).(*together)
	if !ok {
		t.Fatal("this kernel does not bundle packets")
	}
	if err := socket.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	bundle := make([]byte, 3*1200+7)
	for i := range bundle {
		bundle[i] = byte(i / 1200)
	}
	send := func(b []byte) {
		t.Helper()
		if _, err := other.WriteTo(b, socket.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	cutAt(t, other, 1200)
	send(bundle)
	send([]byte("alone"))
	send(bundle[:1201])
	want := [][]byte{bundle[:1200], bundle[1200:2400], bundle[2400:3600], bundle[3600:], []byte("alone"), bundle[:1200], bundle[1200:1201]}

	for read := 0; read < len(want); {
		ms := make([]ipv4.Message, 2)
		for i := range ms {
			ms[i].Buffers, ms[i].OOB = [][]byte{make([]byte, 1452)}, make([]byte, 128)
		}
		n, err := reading.ReadBatch(ms, 0)
		if err != nil || n == 0 {
			t.Fatalf("%d packets, %v", n, err)
		}
		for _, m := range ms[:n] {
			if got := m.Buffers[0][:m.N]; !bytes.Equal(got, want[read]) || m.Addr.String() != other.LocalAddr().String() {
				t.Errorf("packet %d: %d bytes from %v, expected %d from %v", read, len(got), m.Addr, len(want[read]), other.LocalAddr())
			}
			read++
		}
		if read == 2 && len(reading.rest) != 1207 {
			t.Errorf("%d bytes left of a bundle of four packets after two: it did not come as one", len(reading.rest))
		}
	}
}

// TestReadTogetherAtTheEnd expects the error of a closed socket, and no packet beside it.
func TestReadTogetherAtTheEnd(t *testing.T) {
	socket := udp(t)
	reading := readTogether(socket, 2).(*together)
	_ = socket.Close()
	if n, err := reading.ReadBatch(make([]ipv4.Message, 1), 0); n != 0 || err == nil {
		t.Errorf("%d packets, %v", n, err)
	}
}

// cutAt has the kernel cut what the socket sends into packets of that size.
func cutAt(t *testing.T, socket *net.UDPConn, size int) {
	t.Helper()
	raw, err := socket.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var refused error
	err = raw.Control(func(fd uintptr) { refused = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT, size) })
	if err != nil || refused != nil {
		t.Fatal(err, refused)
	}
}
