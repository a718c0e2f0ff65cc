package transport_test

import (
	"net"
	"testing"

	"sinete/transport"
	"sinete/transport/transporttest"
	"sinete/wire"
)

// loopback returns both ends of a control stream over real UDP.
func loopback(b *testing.B) (from, to *transport.Stream) {
	b.Helper()
	l := must(transport.Listen(must(net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})),
		transport.ServerConfig{Certificate: transporttest.Certificate()}))
	b.Cleanup(l.Close)
	client := must(transport.Dial(b.Context(), must(net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})), l.Addr(), trust()))
	b.Cleanup(func() { client.Close(wire.CodeBye) })
	server := must(l.Accept(b.Context()))
	server.LoggedIn()
	from = must(client.OpenStream(b.Context()))
	if err := from.Append(envelope(nil)); err != nil {
		b.Fatal(err)
	}
	to = must(server.AcceptStream(b.Context()))
	must(to.ReadFrame())
	return from, to
}

func benchmarkOneWay(b *testing.B, send func(s *transport.Stream, f wire.Frame)) {
	from, to := loopback(b)
	f := wire.Frame{Type: wire.FrameEnvelope, Body: make([]byte, 256)}
	done := make(chan int)
	b.SetBytes(int64(len(f.Body)))
	b.ReportAllocs()
	b.ResetTimer()
	go func() {
		got := 0
		for ; got < b.N; got++ {
			if _, err := to.ReadFrame(); err != nil {
				break
			}
		}
		done <- got
	}()
	for range b.N {
		send(from, f)
	}
	b.ReportMetric(float64(b.N-<-done), "lost")
}

func BenchmarkOneWayCoalesced(b *testing.B) {
	benchmarkOneWay(b, func(s *transport.Stream, f wire.Frame) {
		if s.Append(f.Append) != nil { // full
			_ = s.WaitBelow(b.Context(), 256<<10)
			_ = s.Append(f.Append)
		}
	})
}

// One write to QUIC for each frame, to show what coalescing gains.
func BenchmarkOneWayEachAlone(b *testing.B) {
	benchmarkOneWay(b, func(s *transport.Stream, f wire.Frame) {
		_ = s.Append(f.Append)
		_ = s.WaitBelow(b.Context(), 1)
	})
}

func BenchmarkRoundTrip(b *testing.B) {
	from, to := loopback(b)
	f := wire.Frame{Type: wire.FrameEnvelope, Body: make([]byte, 256)}
	go func() {
		for {
			f, err := to.ReadFrame()
			if err != nil {
				return
			}
			_ = to.Append(f.Append)
		}
	}()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		_ = from.Append(f.Append)
		must(from.ReadFrame())
	}
}
