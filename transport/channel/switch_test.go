package channel

import (
	"testing"

	"sinete/wire"
)

// switchBoth lets both sides switch and returns what each says, for a test to deliver when it likes; R's only once I's has come.
func switchBoth(t *testing.T, i, r *Channel) (ofR []byte) {
	t.Helper()
	rekeyed(t, i, r)
	ofI, err := i.Switch()
	must(t, err)
	must(t, r.Switched(ofI))
	ofR, err = r.Switch()
	must(t, err)
	return ofR
}

// A stream that the relay opened before it switched comes after its switched, which was faster.
func TestLaneComesLate(t *testing.T) {
	i, r := channels(t, wire.KindHop, wire.SuiteX25519AES256GCM)
	b := r.Hop(5)
	first, second := control(t, b, "first"), control(t, b, "second")
	head := b.Closing()
	ofR := switchBoth(t, i, r)
	third := control(t, b, "third")
	must(t, i.Switched(ofR))
	if settled(i) {
		t.Fatal("settled while a lane is still to come")
	}
	a := i.Hop(5)
	for _, body := range [][]byte{first, second} {
		_, err := a.Open(nil, body)
		must(t, err)
	}
	if !settled(i) || len(i.early) > 0 {
		t.Error("the lane is in the old epoch still")
	}
	sealed, _, err := a.Check(head) // made in the old epoch
	must(t, err)
	if !sealed {
		t.Error("its head seals nothing")
	}
	_, err = a.Open(nil, third)
	must(t, err)
	if a.Received.Here() != b.Sent.Here() {
		t.Error("transcripts disagree")
	}
}

// A head that was made before the lane changed and comes after it; and one that comes too late for what it covers.
func TestHeadOfTheOldEpoch(t *testing.T) {
	for _, late := range []bool{false, true} {
		i, r := channels(t, wire.KindHop, wire.SuiteX25519AES256GCM)
		a, b := i.Hop(0), r.Hop(0)
		_, err := a.Open(nil, control(t, b, "x"))
		must(t, err)
		head := b.Closing()
		must(t, i.Switched(switchBoth(t, i, r)))
		if a.in.epoch != 1 {
			t.Fatal("the lane has not changed")
		}
		if late {
			_, err := a.Open(nil, control(t, b, "y"))
			must(t, err)
			_, _, err = a.Check(head)
			wantCode(t, err, wire.CodeIntegrity)
			continue
		}
		sealed, _, err := a.Check(head)
		must(t, err)
		if !sealed {
			t.Error("it seals nothing")
		}
		must(t, a.Confirm(a.Received.LastSealed()))
		_, acked, err := b.Check(a.Closing())
		must(t, err)
		if n, _ := b.Sent.Unacknowledged(); !acked || n != 0 {
			t.Errorf("%d are not acknowledged", n)
		}
	}
}

// A lane that the relay opened and did not use before the switch, and that the peer sees after it: both name the new epoch's T(-1).
func TestUnusedLaneThroughSwitch(t *testing.T) {
	i, r := channels(t, wire.KindHop, wire.SuiteX25519AES256GCM)
	b := r.Hop(1)
	must(t, i.Switched(switchBoth(t, i, r)))
	a := i.Hop(1)
	_, err := b.Open(nil, control(t, a, "x"))
	must(t, err)
	_, _, err = b.Check(a.Closing())
	must(t, err)
}

// Once switched has said how many there are, a lane does not go on without them.
func TestEnvelopeBeforeTheTail(t *testing.T) {
	i, r := channels(t, wire.KindHop, wire.SuiteX25519AES256GCM)
	a, b := i.Hop(0), r.Hop(0)
	control(t, b, "withheld")
	must(t, i.Switched(switchBoth(t, i, r)))
	_, err := a.Open(nil, control(t, b, "new"))
	wantCode(t, err, wire.CodeIntegrity)
}

// The relay refuses a switch behind content that its author has not sealed.
func TestObserverRefusesUnsealedSwitch(t *testing.T) {
	o, i, r := established(t)
	body := say(i.Conversation(), "x")
	e, err := wire.ParseEnvelope(body)
	must(t, err)
	must(t, o.Envelope(i.Role, &e, e.InnerDigests()))
	must(t, open(r.Conversation(), body))
	_, _, err = r.Conversation().Check(i.Conversation().Closing())
	must(t, err)
	messages := rekeyPassing(t, i, r)
	for _, m := range messages[:4] {
		must(t, o.Handshake(m.from, m.Frame))
	}
	wantCode(t, o.Handshake(messages[4].from, messages[4].Frame), wire.CodeUnsealed)
}

// Either side may end a conversation just before it switches: its switched leaves that lane out, and the other side has not heard of the end
// yet. The lane then counts no more, whatever of it had come, and nothing waits for it.
func TestLaneEndsBeforeSwitch(t *testing.T) {
	for _, came := range []int{0, 1, 2} {
		for _, ends := range []wire.Role{wire.RoleInitiator, wire.RoleResponder} {
			i, r := channels(t, wire.KindHop, wire.SuiteX25519AES256GCM)
			a, b := i.Hop(5), r.Hop(5)
			if ends == wire.RoleResponder {
				a, b = b, a
			}
			bodies := [][]byte{control(t, a, "first"), control(t, a, "second")}
			head := a.Closing()
			for _, body := range bodies[:came] {
				_, err := b.Open(nil, body)
				must(t, err)
			}
			if ends == wire.RoleInitiator {
				a.Erase()
			}
			rekeyed(t, i, r)
			if ends == wire.RoleResponder {
				a.Erase() // a moment later
			}
			switched(t, i, r)
			if !settled(i) || !settled(r) {
				t.Errorf("%v ended a lane of which %d envelopes came, and that is waited for", ends, came)
			}
			for _, body := range bodies[came:] { // what was under way
				if _, err := b.Open(nil, body); err != ErrErased {
					t.Errorf("%d came before: %v", came, err)
				}
			}
			if _, _, err := b.Check(head); err != ErrErased {
				t.Errorf("its head after %d envelopes: %v", came, err)
			}
			rekeyed(t, i, r)
			switched(t, i, r)
			if !settled(i) || !settled(r) {
				t.Error("it holds up the next rekeying")
			}
			b.Erase()
		}
	}
}

// A stream that the relay opened, used and gave up before it switched, and that the peer sees after that.
func TestLaneThatHasEndedComesLate(t *testing.T) {
	i, r := channels(t, wire.KindHop, wire.SuiteX25519AES256GCM)
	b := r.Hop(5)
	body := control(t, b, "open")
	b.Erase()
	rekeyed(t, i, r)
	switched(t, i, r)
	if _, err := i.Hop(5).Open(nil, body); err != ErrErased {
		t.Error(err)
	}
}

// The control stream never ends: one that switched leaves out has lost its envelopes.
func TestControlLaneLeftOut(t *testing.T) {
	i, r := channels(t, wire.KindHop, wire.SuiteX25519AES256GCM)
	a, b := i.Hop(0), r.Hop(0)
	_, err := b.Open(nil, control(t, a, "x"))
	must(t, err)
	a.Erase()
	rekeyed(t, i, r)
	ofI, err := i.Switch()
	must(t, err)
	wantCode(t, r.Switched(ofI), wire.CodeIntegrity)
}
