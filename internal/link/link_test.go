package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"sinete/wire"
)

// Messages of both sides arrive in order, are acknowledged, and cost as few signatures as flights.
func TestControlTravels(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := session(t)
		client.key.delay.Store(int64(time.Second))
		const n = 500
		var want []wire.Control
		for i := range n {
			m := wire.List{Req: uint64(i)}
			want = append(want, m)
			must(t, client.link.Send(m))
			must(t, server.link.Send(wire.Done{Req: uint64(i)}))
		}
		must(t, client.link.Settled(t.Context()))
		must(t, server.link.Settled(t.Context()))
		client.wantAlive(t, 5*time.Second)
		if got := server.received(); !reflect.DeepEqual(got, want) {
			t.Errorf("%d messages arrived", len(got))
		}
		if got := client.received(); len(got) != n {
			t.Errorf("%d messages came back", len(got))
		}
		for _, s := range []*side{client, server} {
			if n, _ := s.link.control.hop.Sent.Unacknowledged(); n != 0 {
				t.Errorf("%d envelopes unacknowledged", n)
			}
		}
		if made := client.key.made.Load(); made > 4 {
			t.Errorf("%d signatures of a slow card", made)
		}
		client.wantAlive(t, 5*time.Minute) // and no deadline is left behind
		server.wantAlive(t, 0)
	})
}

// A receiver acts on nothing that no seal covers.
func TestNothingBeforeItsSeal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		evil, server := against(t, wire.RoleResponder, nil)
		evil.says(wire.List{Req: 1})
		time.Sleep(time.Second)
		if got := server.received(); len(got) != 0 {
			t.Fatalf("%v without a seal", got)
		}
		evil.seals(evil.lane.Closing())
		time.Sleep(time.Second)
		if got := server.received(); len(got) != 1 {
			t.Fatalf("%v", got)
		}
		if h := evil.receives(evil.end.control, evil.lane, 1); h.Yours != evil.lane.Sent.Here() || h.Mine != nil {
			t.Errorf("acknowledged with %+v", h)
		}
	})
}

// Heads of conversations come up in their place, unverified: the link knows neither the people nor their channels.
// Where a seal takes no time, a short flight waits for it: one packet brings both. With a slow card it is there before.
func TestShortFlightLeavesWithItsSeal(t *testing.T) {
	for name, c := range map[string]struct {
		takes time.Duration
		ahead uint64 // packets that come before the seal
	}{"quick": {0, 0}, "slow": {time.Second, 1}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				client, server := session(t)
				client.key.delay.Store(int64(c.takes))
				for range 2 { // with the first it turns out how long a seal takes
					must(t, client.link.Send(wire.List{}))
					<-server.messages
				}
				time.Sleep(10 * time.Second) // acknowledgements, and no sign of life yet
				before := server.conn.Received()
				must(t, client.link.Send(wire.List{}))
				time.Sleep(c.takes / 2)
				synctest.Wait()
				if n := server.conn.Received() - before; n != c.ahead {
					t.Errorf("%d packets before the seal", n)
				}
				<-server.messages
				if n := server.conn.Received() - before; n != c.ahead+1 {
					t.Errorf("%d packets in all", n)
				}
			})
		})
	}
}

func TestInnerHeads(t *testing.T) {
	bubble(t, func(t *testing.T) {
		evil, server := against(t, wire.RoleResponder, nil)
		evil.says(wire.List{Req: 1})
		foreign := wire.Head{Channel: [32]byte{9}, Lane: 0, Role: wire.RoleResponder, Yours: wire.Place{Count: 3}}
		evil.seals(foreign)
		time.Sleep(time.Second)
		if len(server.inner) != 0 {
			t.Fatal("heads inside a flight came up before its seal")
		}
		evil.seals(evil.lane.Closing(), foreign)
		evil.seals(foreign) // outside a flight
		time.Sleep(time.Second)
		if got := server.received(); len(got) != 1 || len(server.inner) != 3 {
			t.Fatalf("%v, %d times heads", got, len(server.inner))
		}
		if e := <-server.inner; len(e) != 1 || e[0].Head != foreign || string(e[0].Statement) != string(foreign.Append(nil)) {
			t.Errorf("%+v", e)
		}
	})
}

func TestProbe(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, server := session(t)
		nonce := [8]byte{1, 2, 3}
		must(t, server.link.Probe(nonce))
		if got := <-server.probed; got != nonce {
			t.Errorf("answered with %x", got)
		}
	})
}

func TestFramesOutOfPlace(t *testing.T) {
	frame := func(f wire.FrameType, body ...byte) wire.Frame { return wire.Frame{Type: f, Body: body} }
	nonce := make([]byte, 8)
	for _, test := range []struct {
		frame  wire.Frame
		honest wire.Role // whose link reads it
		want   wire.Code
	}{
		{frame(wire.FrameHello), wire.RoleInitiator, wire.CodeUnexpected},
		{frame(wire.FrameHello), wire.RoleResponder, wire.CodeMalformed},
		{frame(wire.FrameAnswer), wire.RoleInitiator, wire.CodeUnexpected},
		{frame(wire.FrameProof), wire.RoleResponder, wire.CodeUnexpected},
		{frame(wire.FrameAccept), wire.RoleInitiator, wire.CodeUnexpected},
		{frame(wire.FrameSwitched), wire.RoleResponder, wire.CodeMalformed},
		{frame(wire.FrameSwitched, (&wire.Switched{Epoch: 1}).Append(nil)...), wire.RoleResponder, wire.CodeUnexpected},
		{frame(wire.FrameRekeyPlease), wire.RoleInitiator, wire.CodeMalformed},
		{frame(wire.FrameRekeyPlease, wire.RekeyPlease{}.Append(nil)...), wire.RoleResponder, wire.CodeUnexpected},
		{frame(wire.FrameRekeyPlease, wire.RekeyPlease{}.Append(nil)...), wire.RoleInitiator, wire.CodeIntegrity},
		{frame(wire.FrameMachine), wire.RoleResponder, wire.CodeUnexpected},
		{frame(wire.FrameProbe, nonce...), wire.RoleResponder, wire.CodeUnexpected}, // a peer asks nobody
		{frame(wire.FrameProbeAnswer, nonce...), wire.RoleInitiator, wire.CodeUnexpected},
		{frame(wire.FrameProbe, nonce[1:]...), wire.RoleInitiator, wire.CodeMalformed},
		{frame(wire.FrameProbeAnswer), wire.RoleResponder, wire.CodeMalformed},
		{frame(wire.FrameWaiting, 3), wire.RoleResponder, wire.CodeMalformed},
		{frame(wire.FrameAlive, 1), wire.RoleResponder, wire.CodeMalformed},
		{frame(wire.FrameAlive, wire.Alive{}.Append(nil)...), wire.RoleInitiator, wire.CodeUnexpected},
		{frame(wire.FrameSeal), wire.RoleResponder, wire.CodeMalformed},
		{frame(wire.FrameEnvelope), wire.RoleInitiator, wire.CodeMalformed},
		{frame(99), wire.RoleResponder, wire.CodeMalformed},
	} {
		t.Run(fmt.Sprintf("%v of %d bytes to the %v", test.frame.Type, len(test.frame.Body), test.honest), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				evil, honest := against(t, test.honest, nil)
				evil.send(test.frame)
				honest.wantEnd(t, test.want, 0)
				if got := told(t, evil.conn); got != test.want {
					t.Errorf("the other side is told %v", got)
				}
			})
		})
	}
}

func TestHowSessionsEnd(t *testing.T) {
	broken := wire.Errorf(wire.CodeFlowDenied, "broken")
	for _, test := range []struct {
		name string
		do   func(e *evil, s *side)
		want wire.Code // what Run says; CodeBye where it says nil
		told wire.Code // what the other side is told; CodeBye too where it closed itself
	}{
		{"the other side ends its stream", func(e *evil, _ *side) { must(e.t, e.end.control.Finish(e.t.Context())) }, wire.CodeBye, wire.CodeBye},
		{"in the middle of a flight", func(e *evil, _ *side) {
			e.says(wire.Bye{})
			must(e.t, e.end.control.Finish(e.t.Context()))
		}, wire.CodeUnsealed, wire.CodeUnsealed},
		{"in the middle of a frame", func(e *evil, _ *side) {
			must(e.t, e.end.control.Append(func(b []byte) []byte { return append(b, byte(wire.FrameSeal), 9) }))
			must(e.t, e.end.control.Finish(e.t.Context()))
		}, wire.CodeMalformed, wire.CodeMalformed},
		{"the other side closes in order", func(e *evil, _ *side) { e.conn.Close(wire.CodeBye) }, wire.CodeBye, wire.CodeBye},
		{"the other side closes", func(e *evil, _ *side) { e.conn.Close(wire.CodeSuperseded) }, wire.CodeSuperseded, wire.CodeBye},
		{"this side fails", func(_ *evil, s *side) {
			s.link.Fail(broken)
			s.link.Fail(errors.New("later")) // only the first counts
		}, wire.CodeFlowDenied, wire.CodeFlowDenied},
		{"the handler refuses a message", func(e *evil, s *side) {
			s.refuse = broken
			e.says(wire.List{})
			e.seals(e.lane.Closing())
		}, wire.CodeFlowDenied, wire.CodeFlowDenied},
		{"the sealer is closed", func(_ *evil, s *side) {
			s.sealer.Close()
			_ = s.link.Send(wire.List{})
		}, wire.CodeInternal, wire.CodeInternal},
	} {
		for _, honest := range []wire.Role{wire.RoleInitiator, wire.RoleResponder} {
			t.Run(fmt.Sprintf("%s, to the %v", test.name, honest), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					evil, s := against(t, honest, nil)
					test.do(evil, s)
					err := s.said(t)
					if test.want == wire.CodeBye && err != nil || test.want != wire.CodeBye && (err == nil || wire.CodeOf(err) != test.want) {
						t.Errorf("Run says %v", err)
					}
					if evil.conn.Err() == nil {
						if got := told(t, evil.conn); got != test.told {
							t.Errorf("the other side is told %v", got)
						}
					}
					if s.link.Send(wire.List{}) == nil || s.link.Context().Err() == nil {
						t.Error("the link goes on")
					}
				})
			})
		}
	}
}

// What the caller's context ends, ends; and whatever a link was doing meanwhile.
func TestContextEndsALink(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := ends(t)
		c.key.delay.Store(int64(time.Hour))
		client := c.run(t, s, nil)
		must(t, client.link.Send(wire.List{})) // its seal will never come
		settled := make(chan error, 1)
		go func() { settled <- client.link.Settled(context.Background()) }()
		synctest.Wait()
		why := wire.Errorf(wire.CodeGoingAway, "enough")
		client.link.Fail(why)
		if err := <-client.ended; err != why {
			t.Errorf("Run: %v", err)
		}
		if err := <-settled; err != why {
			t.Errorf("Settled: %v", err)
		}
		if got := told(t, s.conn); got != wire.CodeGoingAway {
			t.Errorf("the other side is told %v", got)
		}
		if got := context.Cause(client.link.Context()); got != why {
			t.Errorf("the context's cause: %v", got)
		}
	})
}

// Settled waits for the seal of what was sent and for the acknowledgement of what came.
func TestSettled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		evil, server := against(t, wire.RoleResponder, nil)
		must(t, server.link.Settled(t.Context()))

		server.key.delay.Store(int64(3 * time.Second))
		began := time.Now()
		must(t, server.link.Send(wire.Done{}))
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := server.link.Settled(short); err != context.DeadlineExceeded {
			t.Errorf("settled before the seal is made: %v", err)
		}
		must(t, server.link.Settled(t.Context()))
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("settled after %v", took)
		}
		if h := evil.receives(evil.end.control, evil.lane, 2); h.Mine == nil || h.Mine.Count != 1 {
			t.Errorf("sealed with %+v", h)
		}

		evil.says(wire.List{})
		evil.seals(evil.lane.Closing())
		<-server.messages
		synctest.Wait() // the card is at work
		began = time.Now()
		must(t, server.link.Settled(t.Context()))
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("settled %v after a message that was to be acknowledged", took)
		}
		if h := evil.receives(evil.end.control, evil.lane, 1); h.Yours != evil.lane.Sent.Here() {
			t.Errorf("acknowledged with %+v", h)
		}
	})
}

func TestSendIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := ends(t)
		c.key.delay.Store(int64(time.Hour))
		client := c.run(t, s, nil)
		large := wire.Peers{Entries: make([]wire.PeerEntry, wire.MaxPeersEntries)}
		size, sent := len(large.Append(nil)), 0
		var err error
		for err == nil && sent < 4*wire.MaxControlQueue {
			if err = client.link.Send(large); err == nil {
				sent += size
			}
		}
		// Beside the queue there may be the one flight that waits for its seal.
		if wire.CodeOf(err) != wire.CodeSlow || sent < wire.MaxControlQueue-size || sent > wire.MaxControlQueue+wire.MaxFlightBytes {
			t.Errorf("%d bytes taken, then %v", sent, err)
		}
	})
}

func TestOrderly(t *testing.T) {
	for _, err := range []error{io.EOF, nil} {
		if orderly(err) != nil {
			t.Errorf("%v", err)
		}
	}
	if orderly(io.ErrUnexpectedEOF) == nil {
		t.Error("a cut stream is no orderly end")
	}
}
