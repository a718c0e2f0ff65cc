package channel

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"sinete/wire"
)

// item is what stands in a stream: an envelope, a head, or on the control stream a frame of the handshake.
type item struct {
	body []byte     // of an envelope
	text string     // in it
	head *wire.Head // or a head
	f    wire.Frame // or a frame
}

// end is one end of a hop in the model: its streams are queues, each in order, and nothing is in order between them.
type end struct {
	c     *Channel
	talk  *talk
	lanes map[uint64]*HopLane
	out   map[uint64][]item
	other *end
	sent  map[uint64]int
	got   map[uint64]int
	owes  map[uint64]bool // sent and not sealed
	rekey bool
}

func (e *end) lane(t *rapid.T, id uint64) *HopLane {
	if e.c.Role == wire.RoleInitiator { // streams are accepted in the order of their ids
		for n := uint64(1); n < id; n += 4 {
			if e.lanes[n] == nil {
				e.lanes[n] = e.c.Hop(n)
			}
		}
	}
	if e.lanes[id] == nil {
		e.lanes[id] = e.c.Hop(id)
	}
	return e.lanes[id]
}

func (e *end) put(id uint64, i item) { e.out[id] = append(e.out[id], i) }

func (e *end) send(t *rapid.T, id uint64) {
	l := e.lane(t, id)
	text := fmt.Sprintf("%v %d %d", e.c.Role, id, e.sent[id])
	f, err := wire.ParseFrame(l.Seal(nil, wire.EnvelopeControl, []byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	e.sent[id]++
	e.owes[id] = true
	e.put(id, item{body: f.Body, text: text})
}

func (e *end) frame(f wire.FrameType, body []byte, err error) {
	if err != nil {
		panic(err)
	}
	e.put(0, item{f: wire.Frame{Type: f, Body: body}})
}

// begin is what the driver of the initiator does: one rekeying at a time.
func (e *end) begin() {
	if !e.rekey && settled(e.c) {
		e.rekey = true
		e.talk = rekeying(e.c, e.other.c)
		e.other.talk = e.talk
		hello, err := e.talk.i.Hello()
		e.frame(wire.FrameHello, hello, err)
	}
}

// ready reports whether the first item of a stream can be taken: a responder answers when it has left the epoch before.
func (e *end) ready(id uint64) bool {
	q := e.other.out[id]
	return len(q) > 0 && (q[0].f.Type != wire.FrameHello || settled(e.c))
}

func (e *end) take(t *rapid.T, id uint64) {
	i := e.other.out[id][0]
	e.other.out[id] = e.other.out[id][1:]
	l := e.lane(t, id)
	switch {
	case i.body != nil:
		o, err := l.Open(nil, i.body)
		if err != nil || string(o.Payload) != i.text || i.text != fmt.Sprintf("%v %d %d", e.other.c.Role, id, e.got[id]) {
			t.Fatalf("%q: %q, %v", i.text, o.Payload, err)
		}
		e.got[id]++
	case i.head != nil:
		target := e.lane(t, i.head.Lane)
		if i.head.Lane != id && i.head.Mine != nil {
			t.Fatal("no such head here")
		}
		if _, _, err := target.Check(*i.head); err != nil {
			t.Fatal(err)
		}
		if i.head.Mine != nil {
			if err := l.Confirm(l.Received.LastSealed()); err != nil {
				t.Fatal(err)
			}
		}
	case i.f.Type == wire.FrameSwitched:
		if err := e.c.Switched(i.f.Body); err != nil {
			t.Fatal(err)
		}
		if e.c.Role == wire.RoleResponder {
			body, err := e.c.Switch()
			e.frame(wire.FrameSwitched, body, err)
		} else {
			e.rekey = false
		}
	case i.f.Type == wire.FrameRekeyPlease:
		if err := e.c.Asked(i.f.Body); err != nil {
			t.Fatal(err)
		}
		e.begin()
	default:
		next, err := e.talk.step(i.f.Type, i.f.Body)
		if err != nil {
			t.Fatal(err)
		}
		if i.f.Type == wire.FrameAccept {
			body, err := e.c.Switch()
			e.frame(wire.FrameSwitched, body, err)
		} else {
			e.frame(i.f.Type+1, next, nil)
		}
	}
}

// Whatever the order in which streams bring what was sent, and whoever wants new keys when: everything arrives, once and in order, both ends
// come to the same epoch and the same transcripts, and acknowledgements fit.
func TestRekeySchedules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := newTalk(variant{kind: wire.KindHop}, wire.SuiteX25519AES256GCM)
		hello, err := first.i.Hello()
		if err == nil {
			err = first.deliver(wire.FrameHello, hello)
		}
		if err != nil {
			t.Fatal(err)
		}
		newEnd := func(c *Channel) *end {
			return &end{c: c, lanes: map[uint64]*HopLane{}, out: map[uint64][]item{}, sent: map[uint64]int{}, got: map[uint64]int{}, owes: map[uint64]bool{}}
		}
		i, r := newEnd(first.ic), newEnd(first.rc)
		i.other, r.other = r, i
		i.lane(t, 0)
		r.lane(t, 0)
		streams := []uint64{0}
		ends := []*end{i, r}
		close := func(e *end, id uint64, mine bool) {
			l := e.lanes[id]
			if l == nil {
				return
			}
			if mine && e.owes[id] {
				h := l.Closing()
				e.owes[id] = false
				e.put(id, item{head: &h})
				return
			}
			h, _ := l.Acknowledging()
			e.put(0, item{head: &h})
		}
		t.Repeat(map[string]func(*rapid.T){
			"open": func(t *rapid.T) {
				id := uint64(4*len(streams) - 3)
				if len(streams) < 6 {
					streams = append(streams, id)
					r.send(t, id)
				}
			},
			"send": func(t *rapid.T) {
				e, id := rapid.SampledFrom(ends).Draw(t, "end"), rapid.SampledFrom(streams).Draw(t, "stream")
				if e.lanes[id] != nil { // nobody sends on a stream that has not come
					e.send(t, id)
				}
			},
			"seal": func(t *rapid.T) {
				close(rapid.SampledFrom(ends).Draw(t, "end"), rapid.SampledFrom(streams).Draw(t, "stream"), true)
			},
			"acknowledge": func(t *rapid.T) {
				close(rapid.SampledFrom(ends).Draw(t, "end"), rapid.SampledFrom(streams).Draw(t, "stream"), false)
			},
			"deliver": func(t *rapid.T) {
				e, id := rapid.SampledFrom(ends).Draw(t, "end"), rapid.SampledFrom(streams).Draw(t, "stream")
				for range rapid.IntRange(1, 4).Draw(t, "n") {
					if e.ready(id) {
						e.take(t, id)
					}
				}
			},
			"rekey": func(t *rapid.T) { i.begin() },
			"please": func(t *rapid.T) {
				if body, err := r.c.Please(); err == nil && (i.talk == nil || !i.rekey) {
					r.frame(wire.FrameRekeyPlease, body, nil)
				}
			},
		})
		for busy := true; busy; { // the rest arrives
			busy = false
			for _, e := range ends {
				for _, id := range streams {
					if e.ready(id) {
						e.take(t, id)
						busy = true
					}
					if !busy && e.owes[id] {
						close(e, id, true)
						busy = true
					}
				}
			}
		}
		if i.c.Epoch() != r.c.Epoch() || !settled(i.c) || !settled(r.c) || string(i.c.TH()) != string(r.c.TH()) {
			t.Fatalf("epochs %d, %d; settled %v, %v", i.c.Epoch(), r.c.Epoch(), settled(i.c), settled(r.c))
		}
		for _, id := range streams {
			for _, e := range ends {
				l, o := e.lane(t, id), e.other.lane(t, id)
				if e.sent[id] != e.other.got[id] || l.Sent.Here() != o.Received.Here() {
					t.Fatalf("stream %d: %d sent, %d came; %+v, %+v", id, e.sent[id], e.other.got[id], l.Sent.Here(), o.Received.Here())
				}
				h := o.Closing()
				h.Mine = nil
				if _, _, err := l.Check(h); err != nil {
					t.Fatal(err)
				}
				if n, _ := l.Sent.Unacknowledged(); n != 0 {
					t.Fatalf("stream %d: %d are not acknowledged", id, n)
				}
			}
		}
		if len(i.c.early) > 0 || len(i.c.epochs) != 1 || len(r.c.epochs) != 1 {
			t.Fatal("old keys are kept")
		}
	})
}
