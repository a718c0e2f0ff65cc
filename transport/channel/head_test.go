package channel

import (
	"sync"
	"testing"

	"sinete/wire"
)

// heads is a lane's two ends and what they hold of each other's heads.
type heads struct {
	t    *testing.T
	a, b *HopLane
}

func newHeads(t *testing.T) heads {
	i, r := channels(t, wire.KindHop, wire.SuiteX25519AES256GCM)
	return heads{t, i.Hop(4), r.Hop(4)}
}

// flight carries n envelopes from a to b and returns a's closing head.
func (h heads) flight(n int) wire.Head {
	for range n {
		_, err := h.b.Open(nil, control(h.t, h.a, "x"))
		must(h.t, err)
	}
	return h.a.Closing()
}

func (h heads) check(l *HopLane, head wire.Head, wantSealed, wantAcked bool) {
	h.t.Helper()
	sealed, acked, err := l.Check(head)
	must(h.t, err)
	if sealed != wantSealed || acked != wantAcked {
		h.t.Fatalf("sealed %v, acknowledged %v", sealed, acked)
	}
}

func TestHeads(t *testing.T) {
	h := newHeads(t)
	first := h.flight(3)
	if n, bytes := h.a.Sent.Unacknowledged(); n != 3 || bytes != 3 {
		t.Errorf("%d envelopes of %d bytes unacknowledged", n, bytes)
	}
	h.check(h.b, first, true, false)
	h.check(h.b, first, false, false) // covers nothing new

	early, news := h.b.Acknowledging()
	if news || early.Yours.Count != 0 {
		t.Errorf("acknowledged before it was confirmed: %+v", early)
	}
	must(t, h.b.Confirm(*first.Mine))
	ack, news := h.b.Acknowledging()
	if !news || ack.Mine != nil || ack.Yours != *first.Mine {
		t.Errorf("news %v: %+v", news, ack)
	}
	if again, news := h.b.Acknowledging(); news || again.Yours != ack.Yours {
		t.Errorf("the same news twice")
	}
	h.check(h.a, ack, false, true)
	if n, bytes := h.a.Sent.Unacknowledged(); n != 0 || bytes != 0 || h.a.Sent.Acknowledged() != *first.Mine {
		t.Errorf("%d envelopes of %d bytes unacknowledged", n, bytes)
	}

	// Two flights, of which the newer acknowledgement overtakes the older.
	second, third := h.flight(1), h.flight(2)
	must(t, h.a.Sent.check(6))
	if _, _, err := h.b.Check(second); err == nil {
		t.Error("a head that is late behind further envelopes was taken")
	}
	h.check(h.b, third, true, false)
	must(t, h.b.Confirm(*third.Mine))
	newer, _ := h.b.Acknowledging()
	h.check(h.a, newer, false, true)
	h.check(h.a, ack, false, false) // ignored
	h.check(h.a, early, false, false)
	lower := ack
	lower.Yours.T[0] ^= 1 // nobody remembers T of a place that low, and nothing follows from it
	h.check(h.a, lower, false, false)
	if h.a.Sent.Acknowledged() != *third.Mine {
		t.Error("an older acknowledgement took back a newer one")
	}
}

func (t *Transcript) check(count uint64) error {
	if here := t.Here(); here.Count != count {
		return wire.Errorf(wire.CodeInternal, "at %d", here.Count)
	}
	return nil
}

// A closing head acknowledges as well, so that two who talk need no head of their own for it.
func TestClosingHeadAcknowledges(t *testing.T) {
	h := newHeads(t)
	first := h.flight(1)
	h.check(h.b, first, true, false)
	must(t, h.b.Confirm(*first.Mine))
	_, err := h.a.Open(nil, control(t, h.b, "answer"))
	must(t, err)
	h.check(h.a, h.b.Closing(), true, true)
	if _, news := h.b.Acknowledging(); news {
		t.Error("what the closing head said is said again")
	}
}

func TestLyingHeads(t *testing.T) {
	for _, test := range []struct {
		name string
		lie  func(head *wire.Head)
	}{
		{"another T", func(h *wire.Head) { h.Mine.T[31] ^= 1 }},
		{"an envelope too few", func(h *wire.Head) { h.Mine.Count-- }},
		{"an envelope too many", func(h *wire.Head) { h.Mine.Count++ }},
		{"another epoch", func(h *wire.Head) { h.Mine.Epoch++ }},
		{"another lane", func(h *wire.Head) { h.Lane++ }},
		{"another channel", func(h *wire.Head) { h.Channel[0] ^= 1 }},
		{"reflected", func(h *wire.Head) { h.Role = h.Role.Other() }},
		{"acknowledges what was not sent", func(h *wire.Head) { h.Yours.Count = 9 }},
		{"acknowledges what was not sealed", func(h *wire.Head) { h.Yours.Count = 1 }},
		{"acknowledges another history", func(h *wire.Head) { h.Yours.T[0] ^= 1 }},
		{"acknowledges an epoch to come", func(h *wire.Head) { h.Yours.Epoch = 1 }},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHeads(t)
			// b has sent two envelopes and sealed the second only; a confirmed them.
			for range 2 {
				_, err := h.a.Open(nil, control(t, h.b, "x"))
				must(t, err)
			}
			h.check(h.a, h.b.Closing(), true, false)
			must(t, h.a.Confirm(h.a.Received.Here()))
			head := h.flight(2)
			test.lie(&head)
			_, _, err := h.b.Check(head)
			wantCode(t, err, wire.CodeIntegrity)
		})
	}
}

// Only what the other side has sealed can be confirmed.
func TestConfirmUnsealed(t *testing.T) {
	h := newHeads(t)
	h.flight(2)
	wantCode(t, h.b.Confirm(h.b.Received.Here()), wire.CodeIntegrity)
	if head, _ := h.b.Acknowledging(); head.Yours.Count != 0 {
		t.Error("it is acknowledged all the same")
	}
}

// An acknowledgement is said once and none is lost, whoever makes heads at the same time.
func TestNewsUnderConcurrency(t *testing.T) {
	h := newHeads(t)
	const places = 200
	var said sync.Map
	done := make(chan struct{})
	var makers sync.WaitGroup
	for range 3 {
		makers.Go(func() {
			for stop := false; !stop; {
				select {
				case <-done:
					stop = true // once more, for what was confirmed last
				default:
				}
				if head, news := h.b.Acknowledging(); news {
					if _, twice := said.LoadOrStore(head.Yours.Count, true); twice {
						t.Errorf("place %d is news twice", head.Yours.Count)
					}
				}
			}
		})
	}
	for range places {
		head := h.flight(1)
		h.check(h.b, head, true, false)
		must(t, h.b.Confirm(*head.Mine))
	}
	close(done)
	makers.Wait()
	if _, ok := said.Load(uint64(places)); !ok {
		t.Error("the last place was never news")
	}
	if head, news := h.b.Acknowledging(); news || head.Yours != h.a.Sent.Here() {
		t.Errorf("news %v: %+v", news, head)
	}
}
