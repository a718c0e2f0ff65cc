package systemtest

import (
	"testing"
	"time"

	"sinete/wire"
)

// Every request on the control lane is acknowledged by a sealed head of the relay over the very place it has in the transcript, and every
// answer is an envelope that the relay seals and wants acknowledged.
func TestControlIsReceipted(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		birds := newCanary(t, w)
		bob, e := w.login(w.card("bob")), w.evilPeer(t, w.card("eve"))

		// request -> its place acknowledged; <- answer, sealed at a place that this side then acknowledges.
		exchange := func(m func(req uint64) wire.Control, answered func()) {
			t.Helper()
			before := e.control.Received.Acknowledged()
			p := e.ask(m)
			answered()
			if h := e.acknowledged(e.control, p); h.Lane != 0 || h.Role != wire.RoleResponder || h.Channel != e.channel.ID {
				t.Errorf("acknowledged by %+v", h)
			}
			time.Sleep(time.Second) // virtual: for the answer's seal
			if after := e.control.Received.Acknowledged(); after.Count <= before.Count || after != e.control.Received.Here() {
				t.Errorf("the answer is at %d, acknowledged up to %d", e.control.Received.Here().Count, after.Count)
			}
		}
		var id uint32
		exchange(func(req uint64) wire.Control { return wire.List{Req: req} }, func() {
			for _, p := range answerOf(e, func(p wire.Peers) bool { return p.Req == e.req }).Entries {
				if p.Identity == bob.Identity() {
					id = p.ID
				}
			}
		})
		var conversation [16]byte
		exchange(func(req uint64) wire.Control { return wire.Connect{Req: req, ID: id, Suites: e.suites} }, func() {
			conversation = answerOf(e, func(r wire.Ringing) bool { return r.Req == e.req }).Conversation
		})
		exchange(func(req uint64) wire.Control { return wire.Disconnect{Req: req, Conversation: conversation} }, func() {
			answerOf(e, func(d wire.Done) bool { return d.Req == e.req })
		})
		exchange(func(req uint64) wire.Control { return wire.Connect{Req: req, ID: 4711, Suites: e.suites} }, func() {
			if r := answerOf(e, func(r wire.Refused) bool { return r.Req == e.req }); r.Number != wire.CodeUnknownPeer {
				t.Errorf("refused with %v", r.Number)
			}
		})
		birds.sings(t)
	})
}

// A peer that does not acknowledge the answer to its list is thrown out, and one that falsifies the acknowledgement at once.
func TestListAnswerWantsReceipt(t *testing.T) {
	for name, c := range map[string]struct {
		receipt         func(*wire.Head) bool
		atLeast, atMost time.Duration
	}{
		"withheld": {withhold, 30 * time.Second, 50 * time.Second},
		"false": {func(h *wire.Head) bool {
			h.Yours.T[0] ^= 1
			return true
		}, 0, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			simulated(t, nil, func(t *testing.T, w *world) {
				birds := newCanary(t, w)
				e := w.evilPeer(t, w.card("eve"))
				e.receipts(c.receipt)
				start := time.Now()
				e.list()
				e.thrownOut(wire.CodeIntegrity)
				if took := time.Since(start); took < c.atLeast || took > c.atMost {
					t.Errorf("it took %v", took)
				}
				birds.sings(t)
			})
		})
	}
}

// The other way round: an honest peer acknowledges each answer of the relay with a sealed head over its place, and seals its requests.
func TestPeerReceiptsControl(t *testing.T) {
	inLair(t, func(t *testing.T, w *lair) {
		listed := make(chan error, 1)
		go func() {
			_, err := w.victim.List(t.Context())
			listed <- err
		}()
		asked := answerOf(w.relay, func(wire.List) bool { return true })
		p := w.relay.send(w.relay.control, wire.EnvelopeControl, wire.Peers{Req: asked.Req}.Append(nil))
		must(t, soon(t, listed))
		if h := w.relay.acknowledged(w.relay.control, p); h.Role != wire.RoleInitiator || h.Channel != w.relay.channel.ID {
			t.Errorf("acknowledged by %+v", h)
		}
		request := w.relay.await("the seal over the request", func(a *arrival) bool { return a.head != nil && a.head.Mine != nil })
		if got := request.head; got.Lane != 0 || got.Mine.Count != 1 {
			t.Errorf("the request is sealed by %+v", got)
		}
	})
}
