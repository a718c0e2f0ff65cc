package channel

import (
	"slices"
	"testing"

	"sinete/wire"
)

// A script is what the two sides, and a relay's own muddle, make an observer see: steps, each an operation and its numbers. Numbers
// that are missing at the end are 0.
type script []byte

const (
	seeDue      = iota // the handshake's next message
	seeFrame           // who, type, body of which message, place, bits to change there
	seeEnvelope        // who, how many, KiB of each, seq from the next one on, epoch, digest
	seeHead            // who, mine, yours, what else is wrong
	seeKinds
)

func (s *script) next() byte {
	if len(*s) == 0 {
		return 0
	}
	b := (*s)[0]
	*s = (*s)[1:]
	return b
}

func (s *script) role() wire.Role { return wire.RoleInitiator + wire.Role(s.next()%2) }

// What a head may say of its place, and what else may be wrong with it.
const (
	mineAbsent = iota
	mineHonest
	mineOtherT
	mineOtherCount
	mineEarlier
	mineKinds

	otherChannel = 1
	otherLane    = 2
	otherRole    = 4
	otherYoursT  = 8
)

// side is what an observer must know of one side: a second implementation of section 5.5, with everything kept.
type side struct {
	places  []wire.Place // after each envelope; the first is T(-1)
	bytes   []int        // up to each place
	sealed  map[int]bool
	last    int // newest of sealed or acked
	acked   int
	machine bool
}

func newSide(th []byte, from wire.Role) *side {
	return &side{places: []wire.Place{{T: wire.FirstTranscript(th, 0, from.Sends(), 0, [32]byte{})}}, bytes: []int{0}, sealed: map[int]bool{}}
}

func (s *side) here() int { return len(s.places) - 1 }

func (s *side) add(digest [32]byte, size int) {
	p := s.places[s.here()]
	s.bytes = append(s.bytes, s.bytes[s.here()]+size)
	s.places = append(s.places, wire.Place{Count: p.Count + 1, T: wire.NextTranscript(p.T, digest)})
}

func (s *side) full() bool {
	return s.here()-s.acked > wire.MaxUnacknowledged || s.bytes[s.here()]-s.bytes[s.acked] > wire.MaxUnackedBytes
}

// watch is an observer beside what it must come to.
type watch struct {
	t        *testing.T
	o        *Observer
	messages []passing
	machine  []byte
	taken    int  // messages of the handshake
	altered  bool // one of them was
	sides    [2]*side
}

// Whatever passes, in whatever order: the observer takes what protocol.md sections 3, 5.5 and 5.6 allow, and nothing else.
func FuzzObserver(f *testing.F) {
	_, end, messages := handshakeOf(f, wire.SuiteX25519AES256GCM)
	machine := end.MachineFrame([32]byte{1}, false).Append(nil)
	handshake := []byte{seeDue, seeDue, seeDue, seeDue}
	after := func(more ...byte) []byte { return append(slices.Clone(handshake), more...) }
	window := handshake
	for range 17 { // more than may be unacknowledged
		window = append(slices.Clone(window), seeEnvelope, 0, 255, 0, 0, 0, 1)
	}
	seeds := [][]byte{
		handshake,
		{seeDue, seeDue, seeFrame, 1, byte(wire.FrameProof), 2, 0, 0, seeDue, seeDue},                              // from the other side
		{seeDue, seeFrame, 1, byte(wire.FrameAnswer), 1, 200, 1, seeDue, seeDue, seeDue},                           // altered
		after(seeFrame, 0, byte(wire.FrameMachine), 4, 0, 0, seeFrame, 0, byte(wire.FrameMachine)),                 // and once more
		after(seeEnvelope, 0, 3, 1, 0, 0, 9, seeHead, 0, mineHonest, 0, 0, seeHead, 1, 0, 3, 0),                    // sealed, acknowledged
		after(seeEnvelope, 0, 3, 1, 0, 0, 9, seeHead, 0, mineHonest, 0, 0, seeHead, 1, mineAbsent, 3, otherYoursT), // another history acknowledged
		after(seeEnvelope, 0, 3, 1, 0, 0, 9, seeHead, 1, mineAbsent, 2, 0),                                         // acknowledged unsealed
		after(seeEnvelope, 1, 1, 1, 0, 0, 9, seeHead, 1, mineOtherT, 0, 0),                                         // another history
		after(seeEnvelope, 0, 1, 1, 1, 0, 9),                                                                       // a gap
		after(seeEnvelope, 0, 1, 1, 0, 1, 9),                                                                       // another epoch
		after(seeEnvelope, 0, 1, 1, 0, 0, 9, seeHead, 0, mineHonest, 0, otherRole),                                 // in another's name
		after(seeEnvelope, 0, 9, 255, 0, 0, 9),                                                                     // too many bytes
		{seeEnvelope, 0, 1, 1, 0, 0, 9}, {seeHead, 0, mineHonest, 0, 0}, window,                                    // too early, and too many
		after(seeEnvelope, 0, 1, 1, 0, 0, 9, seeHead, 0, mineHonest, 0, 0, seeHead, 0, mineHonest),  // no news
		after(seeEnvelope, 0, 2, 1, 0, 0, 9, seeHead, 0, mineEarlier, 0, 0, seeHead, 0, mineAbsent), // from before
	}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, steps []byte) {
		w := &watch{t: t, o: NewObserver(), messages: messages, machine: machine,
			sides: [2]*side{newSide(end.TH(), wire.RoleInitiator), newSide(end.TH(), wire.RoleResponder)}}
		for s, goesOn := script(steps), true; len(s) > 0 && goesOn; {
			switch s.next() % seeKinds {
			case seeDue:
				m := w.messages[min(w.taken, 3)]
				goesOn = w.handshake(m.from, m.Type, m.Body)
			case seeFrame:
				goesOn = w.frame(&s)
			case seeEnvelope:
				goesOn = w.envelopes(&s)
			case seeHead:
				goesOn = w.head(&s)
			}
			if w.o.Established() != (w.taken == 4) {
				t.Fatalf("established after %d messages: %v", w.taken, w.o.Established())
			}
			if w.taken == 4 && (w.o.ID() == end.ID) == w.altered {
				t.Fatalf("the same channel id as the two people, though they said something else: %v", w.altered)
			}
			if w.altered && w.taken == 4 {
				return // its transcripts are nobody's
			}
			for n, side := range w.sides {
				if from := wire.Role(n + 1); goesOn && w.taken == 4 && w.o.Sealed(from) != (side.last == side.here()) {
					t.Fatalf("sealed by the %v: %v", from, w.o.Sealed(from))
				}
			}
		}
	})
}

// expect compares what the observer says with what it must say.
func (w *watch) expect(err error, want bool, what string) {
	w.t.Helper()
	switch {
	case want && err != nil:
		w.t.Fatalf("%s refused: %v", what, err)
	case !want && err == nil:
		w.t.Fatalf("%s taken", what)
	case err != nil:
		refusal(w.t, err)
	}
}

func (w *watch) frame(s *script) bool {
	from, kind, which, place, bits := s.role(), wire.FrameType(s.next()%14), s.next()%5, int(s.next()), s.next()
	body := w.machine
	if which < 4 {
		body = w.messages[which].Body
	}
	body = slices.Clone(body)
	body[place%len(body)] ^= bits
	return w.handshake(from, kind, body)
}

// handshake goes on after a refusal: nothing may have changed by it.
func (w *watch) handshake(from wire.Role, kind wire.FrameType, body []byte) bool {
	side, before := w.sides[from-1], w.o.ID()
	err := w.o.Handshake(from, wire.Frame{Type: kind, Body: body})
	if w.taken == 4 {
		w.expect(err, kind == wire.FrameMachine && !side.machine && len(body) == 64, "a frame after the handshake")
		side.machine = side.machine || kind == wire.FrameMachine
		return true
	}
	due := w.messages[w.taken]
	genuine := from == due.from && kind == due.Type && slices.Equal(body, due.Body)
	if genuine || err != nil || from != due.from || kind != due.Type {
		w.expect(err, genuine, kind.String())
	} else {
		w.altered = true // canonical all the same
	}
	if err == nil {
		w.taken++
	} else if w.o.ID() != before {
		w.t.Fatal("what was refused changes the channel id")
	}
	return true
}

var manyBytes = make([]byte, 256<<10)

func (w *watch) envelopes(s *script) bool {
	from, count, size, off, epoch, digest := s.role(), s.next(), int(s.next()), s.next(), s.next(), [32]byte{s.next()}
	side := w.sides[from-1]
	for range count {
		e := wire.Envelope{Header: wire.Header{Epoch: uint64(epoch), Seq: uint64(side.here()) + uint64(off), Type: wire.EnvelopeContent}}
		e.RawHeader, e.Ciphertext = e.Header.Append(nil), manyBytes[:wire.MinCiphertext+size<<10]
		err := w.o.Envelope(from, &e, [][32]byte{digest})
		next := w.taken == 4 && epoch == 0 && off == 0
		if next {
			side.add(digest, len(e.RawHeader)+len(e.Ciphertext))
		}
		w.expect(err, next && !side.full(), "an envelope")
		if err != nil {
			return false // the conversation ends
		}
	}
	return true
}

func (w *watch) head(s *script) bool {
	from, mine, yours, wrong := s.role(), s.next()%mineKinds, int(s.next()), s.next()
	own, other := w.sides[from-1], w.sides[from.Other()-1]
	k := min(yours, other.here())
	h := wire.Head{Channel: w.o.ID(), Role: from, Yours: other.places[k]}
	want := w.taken == 4 && wrong&(otherChannel|otherLane|otherRole) == 0
	if wrong&otherChannel != 0 {
		h.Channel[0] ^= 1
	}
	if wrong&otherLane != 0 {
		h.Lane = 2
	}
	if wrong&otherRole != 0 {
		h.Role = from.Other()
	}
	if wrong&otherYoursT != 0 {
		h.Yours.T[0] ^= 1
	}
	if mine != mineAbsent {
		p := own.places[own.here()]
		switch mine {
		case mineOtherT:
			p.T[0] ^= 1
		case mineOtherCount:
			p.Count++
		case mineEarlier:
			p = own.places[max(0, own.here()-1)]
		}
		h.Mine = &p
		want = want && p == own.places[own.here()]
	}
	late := k < other.acked // overtaken, and ignored whatever it says
	want = want && (late || wrong&otherYoursT == 0 && (k == other.acked || other.sealed[k]))

	news, err := w.o.Head(from, h)
	w.expect(err, want, "a head")
	if err != nil {
		return false // the conversation ends
	}
	wantNews := mine != mineAbsent && own.last != own.here() || k > other.acked
	if news != wantNews {
		w.t.Fatalf("news %v, %v", news, wantNews)
	}
	if mine != mineAbsent {
		own.sealed[own.here()], own.last = true, own.here()
	}
	other.acked = max(other.acked, k)
	return true
}
