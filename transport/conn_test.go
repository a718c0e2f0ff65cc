package transport_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sinete/transport"
	"sinete/transport/transporttest"
	"sinete/wire"
)

func TestBinding(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := transporttest.New(t, transporttest.Options{})
		l := n.Listen(transport.ServerConfig{})
		seen := make(map[[32]byte]bool)
		for range 4 {
			client, server := n.Dial(l)
			a, b := must(client.Binding()), must(server.Binding())
			if a != b {
				t.Error("the two ends disagree")
			}
			if seen[a] || a == [32]byte{} {
				t.Error("the same binding twice")
			}
			seen[a] = true
		}
	})
}

func TestCloseCodeArrives(t *testing.T) {
	for _, fromServer := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			client, server := transporttest.Pair(t, transporttest.Options{Latency: 10 * time.Millisecond})
			closer, other := client, server
			if fromServer {
				closer, other = server, client
			}
			a, b := open(t, client, server)
			if closer.Err() != nil || other.Err() != nil {
				t.Error("an error on a living connection")
			}
			closer.Close(wire.CodeCardInUse)
			closer.Close(wire.CodeBye) // the first number counts
			<-other.Context().Done()
			for c, remote := range map[*transport.Conn]bool{closer: false, other: true} {
				var e *transport.CloseError
				if !errors.As(c.Err(), &e) || *e != (transport.CloseError{Number: wire.CodeCardInUse, Remote: remote}) {
					t.Errorf("closed from the server's side %v: %v", fromServer, c.Err())
				}
			}
			for _, s := range []*transport.Stream{a, b} {
				wantCode(t, second(s.ReadFrame()), wire.CodeCardInUse)
				wantCode(t, s.Append(envelope(nil)), wire.CodeCardInUse)
				wantCode(t, s.Finish(t.Context()), wire.CodeCardInUse)
			}
			wantCode(t, second(other.AcceptStream(t.Context())), wire.CodeCardInUse)
			wantCode(t, second(other.OpenStream(t.Context())), wire.CodeCardInUse)
		})
	}
}

// FIN, read to the end, and only then close: nothing is lost however much was under way.
func TestOrderlyEndLosesNothing(t *testing.T) {
	for run := range 20 {
		bubble(t, func(t *testing.T) {
			client, server := transporttest.Pair(t, transporttest.Options{Latency: 25 * time.Millisecond, Loss: 0.02, Seed: uint64(run)})
			server.LoggedIn()
			a, b := open(t, client, server)
			const frames = 400
			for range frames {
				ok(t, a.Append(envelope(make([]byte, 256))))
			}
			done := make(chan int, 1)
			go func() {
				got := 0
				for {
					_, err := b.ReadFrame()
					if err != nil {
						if err != io.EOF {
							t.Error(err)
						}
						break
					}
					got++
				}
				server.Close(wire.CodeBye)
				done <- got
			}()
			ok(t, a.Finish(t.Context()))
			if got := <-done; got != frames {
				t.Errorf("run %d: %d of %d frames", run, got, frames)
			}
			select {
			case <-client.Context().Done():
				wantCode(t, client.Err(), wire.CodeBye)
			case <-time.After(wire.ByeSeconds * time.Second): // the packet that says so was lost
			}
		})
	}
}

func TestCancelReachesTheOtherSide(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := transporttest.Pair(t, transporttest.Options{Latency: time.Millisecond})
		server.LoggedIn()
		open(t, client, server)
		a, b := open(t, server, client)
		ok(t, a.Append(raw(make([]byte, 200<<10))))
		a.Cancel(wire.CodeFlowDenied)
		wantReset := func(err error, remote bool) {
			t.Helper()
			var e *transport.ResetError
			if !errors.As(err, &e) || *e != (transport.ResetError{Number: wire.CodeFlowDenied, Remote: remote}) {
				t.Errorf("error is %v", err)
			}
		}
		if a.Pending() > 200<<10 {
			t.Error("pending grew")
		}
		wantReset(a.Append(envelope(nil)), false)
		wantReset(a.WaitBelow(t.Context(), 1), false)
		wantReset(second(a.ReadFrame()), false)
		time.Sleep(100 * time.Millisecond)
		wantReset(second(b.ReadFrame()), true)
		ok(t, b.Append(envelope(nil))) // what is on its way to Finish learns of it
		wantReset(b.Finish(t.Context()), true)
		b.Cancel(wire.CodeFlowDenied)
	})
}

// A client has one stream and never another, and nobody has unidirectional ones (protocol.md section 2.2).
func TestSecondStreamOfAClient(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := transporttest.Pair(t, transporttest.Options{})
		blocked := func(when string) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if _, err := client.OpenStream(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("second stream %s: %v", when, err)
			}
		}
		server.LoggedIn()
		a, b := open(t, client, server)
		blocked("beside the first")
		ok(t, a.Finish(t.Context()))
		ok(t, b.Finish(t.Context()))
		for _, s := range []*transport.Stream{a, b} {
			if _, err := s.ReadFrame(); err != io.EOF {
				t.Error(err)
			}
		}
		blocked("after the first")
	})
}

func TestStreamsOfARelay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := transporttest.Pair(t, transporttest.Options{})
		server.LoggedIn()
		var last, theirs *transport.Stream
		for range wire.MaxStreams {
			last, theirs = open(t, server, client)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := server.OpenStream(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("stream %d: %v", wire.MaxStreams+1, err)
		}
		last.Cancel(wire.CodeBye)
		theirs.Cancel(wire.CodeBye)
		open(t, server, client)
	})
}

// 127 streams that nobody reads hold up neither the remaining one nor the control stream.
func TestUnreadStreamsStopNoOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := transporttest.Pair(t, transporttest.Options{Latency: 5 * time.Millisecond})
		server.LoggedIn()
		control, controlEnd := open(t, client, server)
		for range wire.MaxStreams - 1 {
			s, unread := open(t, server, client)
			ok(t, s.Append(raw(make([]byte, 300<<10))))
			defer unread.Cancel(wire.CodeBye)
		}
		a, b := open(t, server, client)
		go func() {
			for range 20 {
				_ = a.Append(envelope(make([]byte, 60000)))
				_ = a.WaitBelow(t.Context(), 1)
				_ = controlEnd.Append(envelope(make([]byte, 60000)))
				_ = controlEnd.WaitBelow(t.Context(), 1)
			}
		}()
		for range 20 {
			ok(t, second(b.ReadFrame()))
			ok(t, second(control.ReadFrame()))
		}
	})
}

// Acknowledgements pass messages: 32 busy streams do not share what the control stream needs.
func TestControlStreamGoesFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := transporttest.Pair(t, transporttest.Options{Latency: 50 * time.Millisecond, Loss: 0.02})
		server.LoggedIn()
		controlEnd, control := open(t, client, server)
		const streams, frames = 32, 20
		var got atomic.Int64
		var reading sync.WaitGroup
		for range streams {
			a, b := open(t, server, client)
			for range frames {
				ok(t, a.Append(envelope(make([]byte, 10000))))
			}
			reading.Go(func() {
				for range frames {
					if err := second(b.ReadFrame()); err != nil {
						t.Error(err)
					}
					got.Add(1)
				}
			})
		}
		for got.Load() < streams {
			time.Sleep(10 * time.Millisecond)
		}
		start := got.Load()
		ok(t, control.Append(envelope(make([]byte, 50000))))
		ok(t, second(controlEnd.ReadFrame()))
		if now := got.Load(); now-start > 50 {
			t.Errorf("%d frames of other streams came meanwhile, %d before", now-start, start)
		}
		reading.Wait()
	})
}

func TestDialOwnsItsSocket(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := transporttest.New(t, transporttest.Options{})
		l := n.Listen(transport.ServerConfig{})
		for name, cfg := range map[string]transport.ClientConfig{
			"connected":   trust(),
			"refused":     {VerifyServer: func([][]byte) error { return errors.New("no") }},
			"not checked": {},
		} {
			socket := n.Endpoint()
			if c, err := transport.Dial(t.Context(), socket, l.Addr(), cfg); err == nil {
				c.Close(wire.CodeBye)
			}
			if _, _, err := socket.ReadFrom(nil); !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: the socket is open (%v)", name, err)
			}
		}
	})
}

func TestIdleConnectionLivesAndACutOneEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := transporttest.New(t, transporttest.Options{Latency: 10 * time.Millisecond})
		client, server := n.Dial(n.Listen(transport.ServerConfig{}))
		server.LoggedIn()
		time.Sleep(time.Hour)
		if client.Err() != nil || server.Err() != nil {
			t.Fatalf("after an idle hour: %v, %v", client.Err(), server.Err())
		}
		n.Cut(server.RemoteAddr())
		start := time.Now()
		for _, c := range []*transport.Conn{client, server} {
			<-c.Context().Done()
			var lost *transport.LostError
			if !errors.As(c.Err(), &lost) {
				t.Errorf("cut: %v", c.Err())
			}
			wantCode(t, c.Err(), wire.CodeCut)
		}
		if d := time.Since(start); d < 30*time.Second || d > time.Minute {
			t.Errorf("noticed after %v", d)
		}
	})
}

func TestLossAndLatency(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := transporttest.Pair(t, transporttest.Options{Latency: 100 * time.Millisecond, Loss: 0.05, Seed: 7})
		server.LoggedIn()
		a, b := open(t, client, server)
		echoes(t, a, b, 2000)
	})
}

// What waits together leaves together: a thousand frames in little more than the packets that their bytes need.
func TestCoalescing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := transporttest.New(t, transporttest.Options{Latency: time.Millisecond})
		client, server := n.Dial(n.Listen(transport.ServerConfig{}))
		server.LoggedIn()
		a, b := open(t, client, server)
		synctest.Wait()
		before := n.Sent()
		const frames, size = 1000, 256
		for range frames {
			ok(t, a.Append(envelope(make([]byte, size))))
		}
		for range frames {
			ok(t, second(b.ReadFrame()))
		}
		// 1,200 bytes of frames in a packet, an acknowledgement for every second one, and some for the windows.
		if sent, most := n.Sent()-before, frames*(size+3)/1200*2; sent > most {
			t.Errorf("%d packets for %d frames, at most %d are needed", sent, frames, most)
		}
	})
}
