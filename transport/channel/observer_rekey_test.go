package channel

import (
	"testing"

	"sinete/wire"
)

// rekeyPassing runs a rekeying and returns what passes through the relay: the four messages of its handshake, then what both sides say of
// their switch.
func rekeyPassing(t testing.TB, i, r *Channel) (messages []passing) {
	t.Helper()
	h := rekeying(i, r)
	body, err := h.i.Hello()
	for f := wire.FrameHello; f <= wire.FrameAccept; f++ {
		must(t, err)
		from := wire.RoleInitiator
		if f == wire.FrameAnswer || f == wire.FrameAccept {
			from = wire.RoleResponder
		}
		messages = append(messages, passing{from, wire.Frame{Type: f, Body: body}})
		body, err = h.step(f, body)
	}
	must(t, err)
	body, err = i.Switch()
	must(t, err)
	must(t, r.Switched(body))
	messages = append(messages, passing{wire.RoleInitiator, wire.Frame{Type: wire.FrameSwitched, Body: body}})
	body, err = r.Switch()
	must(t, err)
	must(t, i.Switched(body))
	return append(messages, passing{wire.RoleResponder, wire.Frame{Type: wire.FrameSwitched, Body: body}})
}

// established is an observer of a conversation that both ends have as well.
func established(t testing.TB) (o *Observer, i, r *Channel) {
	t.Helper()
	h := newTalk(variants[2], wire.SuiteX25519AES256GCM)
	o = NewObserver()
	body, err := h.i.Hello()
	for f := wire.FrameHello; f <= wire.FrameAccept; f++ {
		must(t, err)
		from := wire.RoleInitiator
		if f == wire.FrameAnswer || f == wire.FrameAccept {
			from = wire.RoleResponder
		}
		must(t, o.Handshake(from, wire.Frame{Type: f, Body: body}))
		body, err = h.step(f, body)
	}
	must(t, err)
	return o, h.ic, h.rc
}

// passes sends one envelope through the observer, with its head.
func passes(t testing.TB, o *Observer, from, to *Channel) {
	t.Helper()
	body := say(from.Conversation(), "x")
	e, err := wire.ParseEnvelope(body)
	must(t, err)
	must(t, o.Envelope(from.Role, &e, e.InnerDigests()))
	must(t, open(to.Conversation(), body))
	head := from.Conversation().Closing()
	news, err := o.Head(from.Role, head)
	must(t, err)
	if !news || !o.Sealed(from.Role) {
		t.Error("a head without news")
	}
	_, _, err = to.Conversation().Check(head)
	must(t, err)
	must(t, to.Conversation().Confirm(*head.Mine))
}

func TestObserverFollowsEpochs(t *testing.T) {
	o, i, r := established(t)
	for range 3 {
		passes(t, o, i, r)
		passes(t, o, r, i)
		for _, m := range rekeyPassing(t, i, r) {
			must(t, o.Handshake(m.from, m.Frame))
			if o.ID() != i.ID {
				t.Fatal("another channel")
			}
		}
	}
	passes(t, o, r, i)
	please, err := r.Please()
	must(t, err)
	f := wire.Frame{Type: wire.FrameRekeyPlease, Body: please}
	wantCode(t, o.Handshake(wire.RoleInitiator, f), wire.CodeUnexpected)
	must(t, o.Handshake(wire.RoleResponder, f))
	wantCode(t, o.Handshake(wire.RoleResponder, f), wire.CodeUnexpected) // a second time
}

// What two who cheat, or somebody on the way, do to a rekeying: dropped, twice, in another order, of another conversation or epoch.
func TestObserverRefusesRekeys(t *testing.T) {
	o, i, r := established(t)
	passes(t, o, i, r)
	old := rekeyPassing(t, i, r)
	for _, m := range old {
		must(t, o.Handshake(m.from, m.Frame))
	}
	passes(t, o, i, r)
	wantCode(t, o.Handshake(old[0].from, old[0].Frame), wire.CodeWrongContext) // again
	_, j, s := established(t)
	spliced := rekeyPassing(t, j, s)
	wantCode(t, o.Handshake(spliced[0].from, spliced[0].Frame), wire.CodeWrongContext)
	messages := rekeyPassing(t, i, r)
	for due, m := range messages {
		for n, other := range messages {
			for _, from := range []wire.Role{wire.RoleInitiator, wire.RoleResponder} {
				switch {
				case n == due && from == m.from:
				case due >= 4 && n >= 4 && from == m.from: // the other side's, as if it were one's own: a relay has no key to see that, but counts
					wantCode(t, o.Handshake(from, other.Frame), wire.CodeIntegrity)
				default:
					wantCode(t, o.Handshake(from, other.Frame), wire.CodeUnexpected)
				}
			}
		}
		if due >= 4 {
			altered := wire.Switched{Epoch: 2, Lanes: []wire.LaneEnd{{Lane: 0, Last: 7}}}
			wantCode(t, o.Handshake(m.from, wire.Frame{Type: m.Type, Body: altered.Append(nil)}), wire.CodeIntegrity)
			wantCode(t, o.Handshake(m.from, wire.Frame{Type: m.Type, Body: m.Body[:5]}), wire.CodeMalformed)
		}
		must(t, o.Handshake(m.from, m.Frame))
	}
	passes(t, o, i, r)
	passes(t, o, r, i)
}

// Content of the new epoch before switched, or of the old one behind it.
func TestObserverKeepsEpochsApart(t *testing.T) {
	o, i, r := established(t)
	early := wire.Envelope{Header: wire.Header{Epoch: 1}}
	wantCode(t, o.Envelope(1, &early, [][32]byte{{}}), wire.CodeIntegrity)
	for _, m := range rekeyPassing(t, i, r) {
		must(t, o.Handshake(m.from, m.Frame))
	}
	late := wire.Envelope{}
	wantCode(t, o.Envelope(1, &late, [][32]byte{{}}), wire.CodeIntegrity)
}
