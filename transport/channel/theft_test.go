package channel

import (
	"slices"
	"testing"

	"sinete/wire"
)

// stolen is a copy of every secret that a channel holds at one moment.
type stolen struct {
	epochs []epoch
	keys   []hopKeys // every key of every lane of a hop
	lane   *ConversationLane
}

func steal(c *Channel) (s stolen) {
	for _, e := range c.epochs {
		copied := *e
		copied.chain, copied.lanes = slices.Clone(e.chain), slices.Clone(e.lanes)
		s.epochs = append(s.epochs, copied)
	}
	for _, l := range c.hops {
		s.keys = append(s.keys, hopKeys{key: l.outKey, half: l.out}, hopKeys{key: l.inKey, half: l.in})
		if l.next != nil {
			s.keys = append(s.keys, *l.next)
		}
	}
	for _, l := range c.early {
		s.keys = append(s.keys, hopKeys{key: l.key, half: l.half})
	}
	if c.messages != nil {
		copied := *c.messages
		s.lane = &copied
	}
	return s
}

// opensHop reports whether the thief can open an envelope of lane 0 that I sent: with a key of a lane, or one made of a lane secret.
func (s stolen) opensHop(c *Channel, body []byte) bool {
	e, err := wire.ParseEnvelope(body)
	if err != nil {
		panic(err)
	}
	keys := slices.Clone(s.keys)
	for n := range s.epochs {
		if s.epochs[n].lanes != nil {
			key, half := c.hopHalf(&s.epochs[n], 0, wire.RoleInitiator.Sends())
			keys = append(keys, hopKeys{key: key, half: half})
		}
	}
	for _, k := range keys {
		half := k.half
		half.aad = wire.AppendPlace(nil, c.ID, 0, wire.RoleInitiator.Sends())
		half.seq = e.Header.Seq
		aad := append(half.place(), e.RawHeader...)
		if _, err := k.key.Open(nil, half.next(1), e.Ciphertext, aad); err == nil {
			return true
		}
	}
	return false
}

// Keys of a hop that somebody steals open what its epoch holds, nothing of the epochs before, and nothing of those after.
func TestStolenHopKeys(t *testing.T) {
	i, r := channels(t, wire.KindHop, wire.SuiteX25519MLKEM768AES256GCM)
	a, b := i.Hop(0), r.Hop(0)
	var sent [][]byte
	var thefts []stolen
	say := func() {
		body := control(t, a, "secret")
		sent = append(sent, body)
		_, err := b.Open(nil, body)
		must(t, err)
	}
	for range 3 {
		say()
		thefts = append(thefts, steal(i), steal(r))
		rekeyed(t, i, r)
		switched(t, i, r)
	}
	for at, s := range thefts {
		for n, body := range sent {
			if got, want := s.opensHop(i, body), n == at/2; got != want {
				t.Errorf("stolen in epoch %d, an envelope of epoch %d can be opened: %v", at/2, n, got)
			}
		}
	}
	// With the chain secret as well a thief has all but the shared secret of the next handshake.
	p := i.p
	wrong := p.extract(make([]byte, 32), thefts[0].epochs[0].chain)
	e := (&Channel{p: p, kind: wire.KindHop}).newEpoch(1, wrong, thefts[2].epochs[0].th)
	if (stolen{epochs: []epoch{*e}}).opensHop(i, sent[1]) {
		t.Error("the next epoch's keys come from the chain secret alone")
	}
}

// While an epoch changes, both epochs' receiving keys are there; each goes where section 9.5 says.
func TestHopKeysGo(t *testing.T) {
	i, r := channels(t, wire.KindHop, wire.SuiteX25519AES256GCM)
	a, b := i.Hop(0), r.Hop(0)
	old := control(t, a, "old")
	chains := [][]byte{i.epochs[0].chain, r.epochs[0].chain}
	lanes := [][]byte{i.epochs[0].lanes, r.epochs[0].lanes}
	rekeyed(t, i, r)
	for _, secret := range chains {
		if slices.ContainsFunc(secret, func(b byte) bool { return b != 0 }) {
			t.Error("a chain secret outlives its use")
		}
	}
	body, err := i.Switch()
	must(t, err)
	if steal(i).opensHop(i, control(t, a, "new")) == false {
		t.Error("the initiator does not send with the new key")
	}
	if s := steal(i); s.keys[0].half.epoch != 1 {
		t.Error("the sending key of the old epoch is kept")
	}
	must(t, r.Switched(body)) // overtakes the envelope
	if !steal(r).opensHop(r, old) || settled(r) {
		t.Error("the receiving key went before the last envelope came")
	}
	_, err = b.Open(nil, old)
	must(t, err)
	body, err = r.Switch()
	must(t, err)
	must(t, i.Switched(body))
	for _, c := range []*Channel{i, r} {
		if steal(c).opensHop(c, old) {
			t.Errorf("the %v keeps a key of the old epoch", c.Role)
		}
	}
	for _, secret := range lanes {
		if slices.ContainsFunc(secret, func(b byte) bool { return b != 0 }) {
			t.Error("a lane secret of the old epoch is kept")
		}
	}
}

// Of a conversation a thief opens what comes after the theft in the same epoch, nothing from before, and nothing of the next.
func TestStolenConversationKeys(t *testing.T) {
	i, r := channels(t, wire.KindConversation, wire.SuiteX25519AES256GCM)
	a, b := i.Conversation(), r.Conversation()
	var sent [][]byte
	exchange := func() {
		m := say(a, "secret")
		sent = append(sent, m)
		must(t, open(b, m))
	}
	exchange()
	theft := steal(r) // after message 0
	exchange()
	_, _, err := b.Check(a.Closing())
	must(t, err)
	rekeyed(t, i, r)
	switched(t, i, r)
	exchange()
	for n, want := range []bool{false, true, false} {
		thief := *theft.lane
		thief.Lane = &Lane{channel: i.ID, role: wire.RoleResponder, Received: newTranscript(0, i.TH(), 0, 1)}
		e, err := wire.ParseEnvelope(sent[n])
		must(t, err)
		thief.in.epoch, thief.in.seq = e.Header.Epoch, e.Header.Seq
		_, _, err = thief.Open(nil, &e, wire.InnerDigest(e.RawHeader, e.Ciphertext))
		if got := err == nil; got != want {
			t.Errorf("message %d can be opened: %v", n, got)
		}
	}
}

// A tail of the old epoch that a relay, or whoever else stands between, keeps back: in a conversation switched says so at once; on a hop
// switched or the first head of the new epoch does.
func TestWithheldTail(t *testing.T) {
	for _, from := range []wire.Role{wire.RoleInitiator, wire.RoleResponder} {
		i, r := channels(t, wire.KindConversation, wire.SuiteX25519AES256GCM)
		say(map[wire.Role]*Channel{1: i, 2: r}[from].Conversation(), "withheld")
		rekeyed(t, i, r)
		body, err := i.Switch()
		must(t, err)
		if err = r.Switched(body); from == wire.RoleInitiator {
			wantCode(t, err, wire.CodeIntegrity)
			continue
		}
		must(t, err)
		body, err = r.Switch()
		must(t, err)
		wantCode(t, i.Switched(body), wire.CodeIntegrity)
	}
	for _, from := range []wire.Role{wire.RoleInitiator, wire.RoleResponder} {
		for _, told := range []bool{false, true} { // switched comes first, or a head does
			i, r := channels(t, wire.KindHop, wire.SuiteX25519AES256GCM)
			a, b := i.Hop(0), r.Hop(0)
			if from == wire.RoleResponder {
				a, b = b, a
			}
			control(t, a, "withheld")
			rekeyed(t, i, r)
			body, err := i.Switch()
			must(t, err)
			if from == wire.RoleResponder {
				must(t, r.Switched(body))
				body, err = r.Switch()
				must(t, err)
			}
			other := map[wire.Role]*Channel{1: r, 2: i}[from]
			if told {
				must(t, other.Switched(body))
			}
			_, _, err = b.Check(a.Closing())
			wantCode(t, err, wire.CodeIntegrity)
			if !told { // the lane has gone ahead, and switched shows that it was too early
				wantCode(t, other.Switched(body), wire.CodeIntegrity)
			}
		}
	}
}

// A switch must come behind the seal over what stands before it.
func TestSwitchBehindUnsealed(t *testing.T) {
	i, r := channels(t, wire.KindConversation, wire.SuiteX25519AES256GCM)
	a, b := i.Conversation(), r.Conversation()
	must(t, open(b, say(a, "x")))
	rekeyed(t, i, r)
	body, err := i.Switch()
	must(t, err)
	wantCode(t, r.Switched(body), wire.CodeUnsealed)
}

// A lane that has ended is waited for by nobody, and opens and sends nothing more.
func TestErasedLane(t *testing.T) {
	i, r := channels(t, wire.KindHop, wire.SuiteX25519AES256GCM)
	a, b := i.Hop(0), r.Hop(0)
	c, d := i.Hop(1), r.Hop(1)
	lost := control(t, c, "lost")
	rekeyed(t, i, r)
	body, err := i.Switch()
	must(t, err)
	must(t, r.Switched(body))
	d.Erase()
	c.Erase()
	body, err = r.Switch()
	must(t, err)
	must(t, i.Switched(body))
	if !settled(i) || !settled(r) {
		t.Error("a lane that has ended keeps an epoch open")
	}
	if _, err := d.Open(nil, lost); err != ErrErased {
		t.Errorf("opened: %v", err)
	}
	if len(c.Seal(nil, wire.EnvelopeControl, []byte("x"))) > 0 {
		t.Error("sealed")
	}
	_, err = b.Open(nil, control(t, a, "others go on"))
	must(t, err)
}
