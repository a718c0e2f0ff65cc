package systemtest

import (
	"net"
	"strings"
	"testing"
	"time"

	"sinete/peer"
	"sinete/wire"
)

// junk is an inner envelope of that length which nobody can read: the relay cannot tell.
func (t *evilTalk) junk(length int) []byte {
	t.at.t.Helper()
	header := wire.Header{Seq: t.inner.Sent.Here().Count, Type: wire.EnvelopeContent}
	body := t.inner.Seal(nil, wire.Level{}, make([]byte, length-len(header.Append(nil))-wire.MinCiphertext)).Body
	if len(body) != length {
		t.at.t.Fatalf("%d bytes, not %d", len(body), length)
	}
	return body
}

// The longest payload passes on to a lane where its number is longer, and a longer one of any type ends its sender's session, not the relay.
func TestLongestPayload(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		birds, card, watcher := newCanary(t, w), w.card("mallory"), w.evilPeer(t, w.card("watcher"))
		for _, c := range []struct {
			name string
			send func(m *evilTalk)
		}{
			{"content", func(m *evilTalk) {
				m.put(forgery{}, m.junk(wire.MaxPayload+1))
				m.close(forgery{})
			}},
			{"handshake", func(m *evilTalk) {
				frame := wire.Frame{Type: wire.FrameMachine}.Append(nil)
				m.at.send(m.lane, wire.EnvelopeHandshake, append(frame, make([]byte, wire.MaxPayload+1-len(frame))...))
			}},
			{"control", func(m *evilTalk) {
				m.at.send(m.at.control, wire.EnvelopeControl, make([]byte, wire.MaxPayload+1))
			}},
		} {
			t.Log("too long:", c.name)
			joined := make(chan *evilTalk, 1)
			go func() { joined <- watcher.join(w, wire.RoleResponder) }()
			mallory := w.evilPeer(t, card)
			m := mallory.connect(w, watcher.own.Identity)
			r := soon(t, joined)
			for m.lane.Sent.Here().Count < 63 {
				m.say("x", forgery{})
			}
			m.put(forgery{}, m.junk(wire.MaxPayload)) // 63 takes one byte, and 64 two
			m.close(forgery{})
			watcher.await("the longest payload", func(a *arrival) bool {
				return a.stream == r.lane.ID && isContent(a) && len(a.opened.Payload) == wire.MaxPayload
			})
			c.send(m)
			mallory.thrownOut(wire.CodeLimitExceeded)
			r.closed(wire.CodeCut)
			birds.sings(t)
		}
	})
}

// Seal frames with heads of others, while an envelope waits for its seal, are counted.
func TestSealFramesWithoutEnd(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		birds := newCanary(t, w)
		for name, entries := range map[string]int{"large": 600, "small": 1} {
			mallory := w.evilPeer(t, w.card("mallory"+name))
			f := make(wire.SealFrame, entries)
			for i := range f {
				f[i] = wire.SealEntry{Seal: wire.Seal{Scheme: 1, Signature: []byte{1}, Leaves: 1}, Head: wire.Head{Role: 1}}
			}
			frame := wire.Frame{Type: wire.FrameSeal, Body: f.Append(nil)}
			must(t, mallory.control.stream.Append(func(b []byte) []byte {
				return mallory.control.Seal(b, wire.EnvelopeControl, wire.List{Req: 1}.Append(nil))
			}))
			allowed := min(wire.MaxFlightSeals, wire.MaxFlightSealed/len(frame.Body))
			for range allowed {
				must(t, mallory.control.stream.WaitBelow(t.Context(), 256<<10))
				must(t, mallory.control.stream.Append(frame.Append))
			}
			time.Sleep(time.Second) // virtual
			if err := mallory.conn.Err(); err != nil {
				t.Fatalf("%d seal frames of %d bytes: %v", allowed, len(frame.Body), err)
			}
			must(t, mallory.control.stream.Append(frame.Append))
			mallory.thrownOut(wire.CodeLimitExceeded)
			birds.sings(t)
		}
	})
}

// slowConn takes some 8 Mbit/s.
type slowConn struct{ net.PacketConn }

func (c *slowConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, a, err := c.PacketConn.ReadFrom(b)
	time.Sleep(time.Duration(n) * time.Microsecond)
	return n, a, err
}

// Thousands of flights, each with a seal as long as its message, come one after the other to somebody whose line is slow: what the sender does
// is not the recipient's fault.
func TestManySealsToSlowRecipient(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		cfg := w.config(w.card("bob"))
		socket := cfg.Socket
		cfg.Socket = func() (net.PacketConn, net.Addr, error) {
			pc, a, err := socket()
			return &slowConn{pc}, a, err
		}
		bob := w.loginWith(cfg)
		m := w.evilPeer(t, w.card("mallory")).connect(w, bob.Identity())
		b := opened(t, bob)
		const flights = 2000
		var heads []wire.Head
		var out [][]byte
		text := strings.Repeat("a", 330)
		for range flights {
			body := m.content(text).Body
			e, err := wire.ParseEnvelope(body)
			must(t, err)
			out = append(out, m.lane.SealInner(nil, body, e.InnerDigests()))
			heads = append(heads, m.inner.Closing(), m.lane.Closing())
		}
		entries := m.at.seal(m.sealer, heads...)
		m.lane.stream.SetLimit(64 << 20)
		for i := range flights {
			must(t, m.lane.stream.Append(func(b []byte) []byte { return append(b, out[i]...) }))
			m.at.write(m.lane, entries[2*i:2*i+2]...)
		}
		for i := range flights {
			if got := next[*peer.Message](t, b); got.Number != uint64(i) {
				t.Fatalf("message %d where %d was next", got.Number, i)
			}
		}
	})
}

// What a peer says about a conversation's end is passed on where a peer can know it.
func TestEndsThatPeersClaim(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		mallory, watcher := w.evilPeer(t, w.card("mallory")), w.evilPeer(t, w.card("watcher"))
		for said, told := range map[wire.Code]wire.Code{
			wire.CodeBye: wire.CodePeerLeft, wire.CodeIntegrity: wire.CodeIntegrity, wire.CodeFlowDenied: wire.CodeFlowDenied,
			wire.CodePeerLeft: wire.CodeCut, wire.CodeSuperseded: wire.CodeCut, wire.CodeGoingAway: wire.CodeCut, wire.CodeBusy: wire.CodeCut,
			wire.CodeSlow: wire.CodeCut, 4711: wire.CodeCut,
		} {
			for _, reset := range []bool{false, true} {
				if reset && said == 4711 {
					told = wire.CodeInternal // QUIC's numbers have other ranges: package transport makes that of one it does not know
				}
				time.Sleep(2 * time.Second) // virtual: the relay takes one connect request a second
				joined := make(chan *evilTalk, 1)
				go func() { joined <- watcher.join(w, wire.RoleResponder) }()
				m := mallory.connect(w, watcher.own.Identity)
				r := soon(t, joined)
				if reset {
					m.lane.stream.Cancel(said)
				} else {
					mallory.ask(func(req uint64) wire.Control {
						return wire.Disconnect{Req: req, Conversation: m.open.Conversation, Number: said}
					})
				}
				got := answerOf(watcher, func(c wire.Closed) bool { return c.Conversation == r.open.Conversation }).Number
				if got != told {
					t.Errorf("%v (reset: %v): told %v, not %v", said, reset, got, told)
				}
				mallory.list()
			}
		}
	})
}

// Connect requests are limited, whatever becomes of them.
func TestConnectRate(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		m := w.evilPeer(t, w.card("mallory"))
		asked := func() wire.Code {
			m.ask(func(req uint64) wire.Control { return wire.Connect{Req: req, ID: 4711, Suites: m.suites} })
			return answerOf(m, func(r wire.Refused) bool { return r.Req == m.req }).Number
		}
		n := 0
		for start := time.Now(); asked() == wire.CodeUnknownPeer; n++ {
			if time.Since(start) > time.Minute {
				t.Fatal("no limit")
			}
		}
		if n < wire.MaxConnects || n > wire.MaxConnects+5 {
			t.Errorf("%d connect requests at once", n)
		}
		time.Sleep(time.Second) // virtual
		if got := asked(); got != wire.CodeUnknownPeer {
			t.Errorf("a second later: %v", got)
		}
	})
}

// A reset without a reason, which an honest peer reads too, ends in no number that stands for nothing.
func TestResetWithoutReason(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		bob := w.login(w.card("bob"))
		m := w.evilPeer(t, w.card("mallory")).connect(w, bob.Identity())
		b := opened(t, bob)
		m.lane.stream.Cancel(wire.CodeBye)
		if c := next[*peer.Closed](t, b); c.Number == wire.CodeBye {
			t.Error("the conversation closed in order, and nobody said bye")
		}
		if _, err := bob.List(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
