package channel

import (
	"fmt"
	"testing"

	"sinete/wire"
)

// rekeying is the handshake of a rekeying between two ends that have no network between them.
func rekeying(i, r *Channel) *talk {
	creds := func(name string) wire.Credentials {
		return wire.Credentials{Chain: [][]byte{[]byte("certificate of " + name), []byte("its issuer")}}
	}
	limits := wire.RekeyLimits{Messages: 7, Seconds: 9}
	return &talk{i: NewInitiator(i.Rekeying(creds("initiator"), limits)), r: NewResponder(r.Rekeying(creds("responder"), limits)),
		plain: []byte("0123456789ab")}
}

// rekeyed runs a rekeying's handshake: both sides have the next epoch's keys, and neither has switched.
func rekeyed(t testing.TB, i, r *Channel) {
	t.Helper()
	h := rekeying(i, r)
	hello, err := h.i.Hello()
	must(t, err)
	must(t, h.deliver(wire.FrameHello, hello))
	if h.ic != i || h.rc != r {
		t.Fatal("a rekeying makes another channel")
	}
}

// switched lets both sides switch, with nothing under way.
func switched(t testing.TB, i, r *Channel) {
	t.Helper()
	body, err := i.Switch()
	must(t, err)
	must(t, r.Switched(body))
	body, err = r.Switch()
	must(t, err)
	must(t, i.Switched(body))
}

func settled(c *Channel) bool {
	select {
	case <-c.Settled():
		return true
	default:
		return false
	}
}

func TestRekeyHop(t *testing.T) {
	eachSuite(t, func(t *testing.T, s wire.Suite) {
		i, r := channels(t, wire.KindHop, s)
		id, th := i.ID, i.TH()
		a, b := i.Hop(0), r.Hop(0)
		for e := range uint64(3) {
			for n, way := range [][2]*HopLane{{a, b}, {b, a}, {a, b}} {
				text := fmt.Sprintf("%d in epoch %d", n, e)
				o, err := way[1].Open(nil, control(t, way[0], text))
				must(t, err)
				if string(o.Payload) != text {
					t.Errorf("%q", o.Payload)
				}
				sealed, _, err := way[1].Check(way[0].Closing())
				must(t, err)
				if !sealed {
					t.Error("a head seals nothing")
				}
				must(t, way[1].Confirm(way[1].Received.LastSealed()))
			}
			if i.Envelopes() != 3 || r.Envelopes() != 3 {
				t.Errorf("%d and %d envelopes counted", i.Envelopes(), r.Envelopes())
			}
			rekeyed(t, i, r)
			if settled(i) || settled(r) || i.Epoch() != e {
				t.Error("settled before anybody has switched")
			}
			switched(t, i, r)
			if !settled(i) || !settled(r) || i.Epoch() != e+1 || r.Epoch() != e+1 || i.Envelopes() != 0 {
				t.Errorf("epochs %d, %d", i.Epoch(), r.Epoch())
			}
		}
		if i.ID != id || string(i.TH()) == string(th) || string(i.TH()) != string(r.TH()) {
			t.Error("the id stays, and TH is another in each epoch")
		}
	})
}

func TestRekeyConversation(t *testing.T) {
	eachSuite(t, func(t *testing.T, s wire.Suite) {
		i, r := channels(t, wire.KindConversation, s)
		a, b := i.Conversation(), r.Conversation()
		for range 3 {
			for _, way := range [][2]*ConversationLane{{a, b}, {b, a}, {a, b}} {
				must(t, open(way[1], say(way[0], "text")))
				_, _, err := way[1].Check(way[0].Closing())
				must(t, err)
			}
			rekeyed(t, i, r)
			checkMachine(t, r, i)
			switched(t, i, r)
			checkMachine(t, r, i)
			checkMachine(t, i, r)
		}
		wantCommon(t, a, b, false)
		must(t, confirm(a, b))
		must(t, confirm(b, a))
		wantCommon(t, a, b, true)
		rekeyed(t, i, r)
		switched(t, i, r)
		wantCommon(t, a, b, true) // new keys alone change nothing
		must(t, open(b, say(a, "not acknowledged")))
		wantCommon(t, a, b, true)
		if !settled(i) || a.Sent.Here().Epoch != 4 || a.Sent.Here() != b.Received.Here() || b.Sent.Here() != a.Received.Here() {
			t.Errorf("%+v, %+v", a.Sent.Here(), b.Received.Here())
		}
	})
}

// checkMachine wants one side to take the other's machine frames, and to learn what was noticed.
func checkMachine(t *testing.T, to, from *Channel) {
	t.Helper()
	for _, noticed := range []bool{false, true} {
		if got, err := to.CheckMachine(from.MachineFrame([32]byte{1}, noticed)); err != nil || got != noticed {
			t.Errorf("noticed: %v, %v", got, err)
		}
	}
}

// confirm has one side acknowledge all that it has, and the other learn of it.
func confirm(to, from *ConversationLane) error {
	if err := from.Confirm(from.Received.LastSealed()); err != nil {
		return err
	}
	h, _ := from.Acknowledging()
	_, _, err := to.Check(h)
	return err
}

// wantCommon wants both sides to hold the same for common, all that was said or nothing.
func wantCommon(t *testing.T, a, b *ConversationLane, all bool) {
	t.Helper()
	var want [2]wire.Common
	if all {
		want = [2]wire.Common{{Count: 6, T: a.Sent.acked.last}, {Count: 3, T: b.Sent.acked.last}}
		if want[0].T == want[1].T || want[0].T == ([32]byte{}) {
			t.Errorf("%x", want)
		}
	}
	for _, l := range []*ConversationLane{a, b} {
		if one, two := l.Common(); one != want[0] || two != want[1] {
			t.Errorf("common to both: %+v and %+v, where %+v is right", one, two, want)
		}
	}
}

// Places of an epoch with nothing in it chain to the last one that had something, whenever a lane began.
func TestTranscriptsChain(t *testing.T) {
	i, r := channels(t, wire.KindHop, wire.SuiteX25519AES256GCM)
	a, b := i.Hop(0), r.Hop(0)
	_, err := b.Open(nil, control(t, a, "x"))
	must(t, err)
	first := a.Sent.Here()
	for e := range uint64(2) {
		rekeyed(t, i, r)
		switched(t, i, r)
		want := wire.Place{Epoch: e + 1, T: wire.FirstTranscript(i.TH(), 0, 1, 1, first.T)}
		if a.Sent.Here() != want || b.Received.Here() != want {
			t.Fatalf("epoch %d: %+v, %+v, by the text %+v", e+1, a.Sent.Here(), b.Received.Here(), want)
		}
	}
	late, same := i.Hop(5), r.Hop(5)
	if late.Received.Here().T != wire.FirstTranscript(i.TH(), 5, 2, 0, [32]byte{}) || late.Received.Here() != same.Sent.Here() {
		t.Error("a lane that begins late does not begin in the epoch in force")
	}
}

// Whoever holds a channel between two steps can be handed anything: what is not due is refused and changes nothing.
func TestRekeyOutOfOrder(t *testing.T) {
	i, r := channels(t, wire.KindHop, wire.SuiteX25519AES256GCM)
	refuse := func(f func() error) {
		t.Helper()
		wantCode(t, f(), wire.CodeUnexpected)
	}
	doSwitch := func(c *Channel) func() error { return func() error { _, err := c.Switch(); return err } }
	refuse(doSwitch(i))
	refuse(doSwitch(r))
	rekeyed(t, i, r)
	refuse(doSwitch(r)) // before I has
	refuse(func() error { _, err := rekeying(i, r).i.Hello(); return err })
	body, err := i.Switch()
	must(t, err)
	refuse(doSwitch(i))
	wantCode(t, i.Switched(body), wire.CodeIntegrity) // reflected: I waits for R's, of another direction
	must(t, r.Switched(body))
	refuse(func() error { return r.Switched(body) }) // a second time
	refuse(func() error { _, err := r.Please(); return err })
	body, err = r.Switch()
	must(t, err)
	must(t, i.Switched(body))
	refuse(func() error { return i.Switched(body) })
	please, err := r.Please()
	must(t, err)
	refuse(func() error { _, err := r.Please(); return err })
	refuse(func() error { _, err := i.Please(); return err })
	refuse(func() error { return r.Asked(please) })
	must(t, i.Asked(please))
	refuse(func() error { return i.Asked(please) })
	rekeyed(t, i, r)
	switched(t, i, r)
	refuse(func() error { return i.Asked(please) }) // of the epoch before
}

// Every prefix and every flipped bit of the two frames is refused.
func TestAlteredRekeyFrames(t *testing.T) {
	for _, kind := range []wire.Kind{wire.KindHop, wire.KindConversation} {
		i, r := channels(t, kind, wire.SuiteX25519AES256GCM)
		if kind == wire.KindHop {
			for _, id := range []uint64{0, 1, 5} {
				a, b := i.Hop(id), r.Hop(id)
				_, err := b.Open(nil, control(t, a, "x"))
				must(t, err)
			}
		}
		please, err := r.Please()
		must(t, err)
		refuseAltered(t, please, func(b []byte) error {
			i.asked = false
			return i.Asked(b)
		})
		rekeyed(t, i, r)
		body, err := i.Switch()
		must(t, err)
		refuseAltered(t, body, r.Switched)
		must(t, r.Switched(body))
		body, err = r.Switch()
		must(t, err)
		refuseAltered(t, body, i.Switched)
		must(t, i.Switched(body))
	}
}

func refuseAltered(t *testing.T, body []byte, take func([]byte) error) {
	t.Helper()
	for n := range body {
		for bit := range 8 {
			b := append([]byte(nil), body...)
			b[n] ^= 1 << bit
			if take(b) == nil {
				t.Fatalf("bit %d of byte %d flipped, and taken", bit, n)
			}
		}
		if take(body[:n]) == nil {
			t.Fatalf("%d bytes of %d taken", n, len(body))
		}
	}
	if take(append(append([]byte(nil), body...), 0)) == nil {
		t.Fatal("a byte more, and taken")
	}
}

// A rekeying shows what the first handshake showed, offers the channel's suite, and speaks of this channel and epoch.
func TestRekeyRefusesAnother(t *testing.T) {
	suite := wire.SuiteX25519AES256GCM
	for _, test := range []struct {
		name   string
		change func(c *Config, other *Channel)
		want   wire.Code
	}{
		{"another certificate", func(c *Config, _ *Channel) { c.Credentials.Chain = [][]byte{[]byte("certificate of another")} }, wire.CodeWrongContext},
		{"a delegation", func(c *Config, _ *Channel) { c.Credentials.Delegation = delegation }, wire.CodeWrongContext},
		{"more suites", func(c *Config, _ *Channel) { c.Suites = []wire.Suite{suite, wire.SuiteP256AES128GCM} }, wire.CodeIntegrity},
	} {
		t.Run(test.name, func(t *testing.T) {
			i, r := channels(t, wire.KindHop, suite)
			h := rekeying(i, r)
			test.change(&h.i.cfg, i)
			hello, err := h.i.Hello()
			must(t, err)
			_, err = h.step(wire.FrameHello, hello)
			wantCode(t, err, test.want)

			h = rekeying(i, r)
			test.change(&h.r.cfg, i)
			hello, err = h.i.Hello()
			must(t, err)
			answer, err := h.step(wire.FrameHello, hello)
			must(t, err)
			_, err = h.step(wire.FrameAnswer, answer)
			wantCode(t, err, test.want)
		})
	}
	i, r := channels(t, wire.KindHop, suite)
	j, s := channels(t, wire.KindHop, suite)
	for name, from := range map[string]*Channel{"of another channel": j, "of another epoch": i} {
		if name == "of another epoch" {
			rekeyed(t, i, r)
			switched(t, i, r)
		}
		_ = s
		old := rekeying(from, r)
		if name == "of another epoch" {
			old.i.cfg.Context = wire.RekeyContext{Channel: i.ID, TH: j.TH()}.Append(nil)
		}
		hello, err := old.i.Hello()
		must(t, err)
		_, err = rekeying(i, r).step(wire.FrameHello, hello)
		wantCode(t, err, wire.CodeWrongContext)
	}
	conversation, _ := channels(t, wire.KindConversation, suite)
	hello, err := rekeying(conversation, r).i.Hello()
	must(t, err)
	_, err = rekeying(i, r).step(wire.FrameHello, hello)
	wantCode(t, err, wire.CodeUnexpected)
}

// A rekeying of which one side has other keys than the other ends at the first MAC: the salt is in it.
func TestRekeyNeedsTheOldKeys(t *testing.T) {
	i, r := channels(t, wire.KindHop, wire.SuiteX25519AES256GCM)
	r.epochs[0].chain[0] ^= 1
	h := rekeying(i, r)
	hello, err := h.i.Hello()
	must(t, err)
	wantCode(t, h.deliver(wire.FrameHello, hello), wire.CodeAuthenticationFailed)
	if h.ic != nil || h.rc != nil {
		t.Error("a rekeying without the old keys")
	}
	_, err = rekeying(i, r).i.Hello()
	must(t, err) // and the chain secret is gone: nobody can go on
	if i.epochs[0].chain != nil || r.epochs[0].chain != nil {
		t.Error("a chain secret is kept")
	}
}
