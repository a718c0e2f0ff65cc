package link

import (
	"slices"
	"testing"
	"time"

	"sinete/cardauth/seal"
	"sinete/wire"
)

// Evil peers, each against a relay that does as it should.
func TestEvilFlights(t *testing.T) {
	inner := func() []byte { // the body of an inner envelope that the link cannot know anything about
		h := wire.Header{Type: wire.EnvelopeContent}
		return append(h.Append(nil), make([]byte, 16)...)
	}
	for _, test := range []struct {
		name   string
		attack func(e *evil)
		want   wire.Code
	}{
		{"sealed by another key", func(e *evil) {
			e.says(wire.List{})
			other := newKey()
			e.sealsWith(e.anotherSealer(other, other.digest()), e.end.control, e.lane.Closing())
		}, wire.CodeIntegrity},
		{"sealed in another's name", func(e *evil) {
			e.says(wire.List{})
			e.sealsWith(e.anotherSealer(newKey(), e.key.digest()), e.end.control, e.lane.Closing())
		}, wire.CodeIntegrity},
		{"another T", func(e *evil) {
			e.says(wire.List{})
			h := e.lane.Closing()
			h.Mine.T[0] ^= 1
			e.seals(h)
		}, wire.CodeIntegrity},
		{"a head over part of the flight", func(e *evil) {
			e.says(wire.List{})
			h := e.lane.Closing()
			e.says(wire.List{})
			e.seals(h)
		}, wire.CodeIntegrity},
		{"the relay's own head reflected", func(e *evil) {
			h := e.lane.Closing()
			h.Role = wire.RoleResponder
			e.seals(h)
		}, wire.CodeIntegrity},
		{"an acknowledgement of what was not sent", func(e *evil) {
			h := e.lane.Closing()
			h.Yours.Count = 1
			e.seals(h)
		}, wire.CodeIntegrity},
		{"a head that signs another stream's envelopes", func(e *evil) {
			h := e.channel.Hop(4).Closing()
			e.seals(h)
		}, wire.CodeIntegrity},
		{"a repeated envelope", func(e *evil) {
			e.says(wire.List{})
			e.lane = e.channel.Hop(0)
			e.says(wire.List{})
		}, wire.CodeIntegrity},
		{"too many envelopes in a flight", func(e *evil) {
			for range wire.MaxFlight + 1 {
				e.says(wire.List{})
			}
		}, wire.CodeLimitExceeded},
		{"too many bytes in a flight", func(e *evil) {
			payload := make([]byte, 60<<10)
			for range wire.MaxFlightBytes/len(payload) + 1 {
				must(e.t, e.end.control.Append(func(b []byte) []byte { return e.lane.Seal(b, wire.EnvelopeControl, payload) }))
			}
		}, wire.CodeLimitExceeded},
		{"too many heads in a flight", func(e *evil) {
			e.says(wire.List{})
			for range wire.MaxFlight + 1 {
				e.seals(wire.Head{Channel: [32]byte{1}, Role: wire.RoleInitiator})
			}
		}, wire.CodeLimitExceeded},
		{"no control message", func(e *evil) {
			must(e.t, e.end.control.Append(func(b []byte) []byte { return e.lane.Seal(b, wire.EnvelopeControl, []byte{0xff}) }))
			e.seals(e.lane.Closing())
		}, wire.CodeMalformed},
		{"a handshake on the control stream", func(e *evil) {
			must(e.t, e.end.control.Append(func(b []byte) []byte { return e.lane.Seal(b, wire.EnvelopeHandshake, []byte("hello")) }))
			e.seals(e.lane.Closing())
		}, wire.CodeUnexpected},
		{"content on the control stream", func(e *evil) {
			must(e.t, e.end.control.Append(func(b []byte) []byte { return e.lane.SealInner(b, inner(), [][32]byte{{}}) }))
			e.seals(e.lane.Closing())
		}, wire.CodeIntegrity}, // the digest is a lie, so the head is
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				evil, server := against(t, wire.RoleResponder, nil)
				test.attack(evil)
				server.wantEnd(t, test.want, 0)
				if got := server.received(); len(got) != 0 {
					t.Errorf("the relay acted on %v", got)
				}
				if got := told(t, evil.conn); got != test.want {
					t.Errorf("the evil peer is told %v", got)
				}
			})
		})
	}
}

func TestSealDeadlines(t *testing.T) {
	patient := func(c *Config) { c.Patient = true }
	const card, own = wire.CardSeconds * time.Second, wire.UnsealedSeconds * time.Second
	for _, test := range []struct {
		name    string
		edit    func(*Config)
		waiting bool
		want    time.Duration
	}{
		{"a delegated key", nil, false, own},
		{"a delegated key that said waiting", nil, true, card},
		{"a card", patient, false, card},
		{"a card that said waiting", patient, true, card},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				evil, server := against(t, wire.RoleResponder, test.edit)
				evil.lives()
				evil.says(wire.List{})
				for range 3 { // however often it says so
					if test.waiting {
						time.Sleep(own / 4)
						evil.send(wire.Frame{Type: wire.FrameWaiting, Body: []byte{byte(wire.WaitingForPIN)}})
					}
				}
				server.wantEnd(t, wire.CodeUnsealed, test.want)
			})
		})
	}
}

// Envelopes that come one by one do not put off the deadline of the first.
func TestSealDeadlineCountsFromTheFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		evil, server := against(t, wire.RoleResponder, nil)
		evil.lives()
		for range wire.UnsealedSeconds {
			evil.says(wire.List{})
			time.Sleep(time.Second)
		}
		server.wantEnd(t, wire.CodeUnsealed, wire.UnsealedSeconds*time.Second)
	})
}

// A flight that grows may take as long as the slowest network does, and no longer: envelopes and seals for others alike.
func TestSealDeadlineOfAGrowingFlight(t *testing.T) {
	envelope := func(e *evil) int {
		payload := make([]byte, 3*wire.SlowestRate/2)
		must(e.t, e.end.control.Append(func(b []byte) []byte { return e.lane.Seal(b, wire.EnvelopeControl, payload) }))
		return len(payload)
	}
	seals := func(e *evil) int {
		heads := slices.Repeat([]wire.Head{{Channel: [32]byte{1}, Role: wire.RoleInitiator}}, 64)
		s, err := e.sealer.Seal(e.t.Context(), "", func() []seal.Statement { return statements(heads) })
		must(e.t, err)
		frame := entries(s, heads)
		must(e.t, e.end.control.Append(func(b []byte) []byte { return appendSealFrame(b, frame) }))
		return wire.SealFrame(frame).Len()
	}
	for name, grow := range map[string]func(*evil) int{"envelopes": envelope, "seals": seals} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				evil, server := against(t, wire.RoleResponder, nil)
				evil.lives()
				bytes := envelope(evil)
				for range 2 * wire.UnsealedSeconds {
					time.Sleep(time.Second)
					bytes += grow(evil)
				}
				server.wantEnd(t, wire.CodeUnsealed, time.Duration(wire.UnsealedSeconds+bytes/wire.SlowestRate)*time.Second)
			})
		})
	}
}

func TestAcknowledgementDeadline(t *testing.T) {
	for _, waiting := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			evil, server := against(t, wire.RoleResponder, nil)
			evil.lives()
			must(t, server.link.Send(wire.Done{}))
			want := wire.HeadSeconds * time.Second
			if waiting {
				time.Sleep(want / 2)
				evil.send(wire.Frame{Type: wire.FrameWaiting, Body: []byte{byte(wire.WaitingForCard)}})
				want = wire.CardSeconds * time.Second
			}
			server.wantEnd(t, wire.CodeIntegrity, want)
		})
	}
}

// While the connection brings nothing, a missing seal is nobody's fault: it may come later, or the connection is given up as lost.
func TestDeadlinesStandStillWithTheConnection(t *testing.T) {
	for _, comesBack := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			evil, server := against(t, wire.RoleResponder, nil)
			must(t, server.link.Send(wire.Done{}))
			evil.says(wire.List{})
			head := evil.receives(evil.end.control, evil.lane, 2)
			evil.network.SetLoss(1)
			server.wantAlive(t, 40*time.Second)
			if !comesBack {
				server.wantEnd(t, wire.CodeCut, 45*time.Second)
				return
			}
			evil.network.SetLoss(0)
			must(t, evil.lane.Confirm(*head.Mine))
			evil.seals(evil.lane.Closing())
			server.wantAlive(t, time.Minute)
			if got := server.received(); len(got) != 1 {
				t.Errorf("%v", got)
			}
		})
	}
}

// A card may take longer for the second flight than the first one's acknowledgement may: what is not written yet, nobody can acknowledge.
func TestSlowCardKeepsItsSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := ends(t)
		client := c.run(t, s, nil)
		server := s.run(t, c, func(cfg *Config) { cfg.Patient = true })
		client.key.delay.Store(int64(100 * time.Second))
		must(t, client.link.Send(wire.List{Req: 1}))
		time.Sleep(time.Second)
		must(t, client.link.Send(wire.List{Req: 2})) // begins when the first is written, just before that is acknowledged
		client.wantAlive(t, 5*time.Minute)
		server.wantAlive(t, 0)
		if got := server.received(); len(got) != 2 {
			t.Errorf("%v", got)
		}
	})
}

func TestFlightOf(t *testing.T) {
	of := func(n, size int) (items []Item) {
		for range n {
			items = append(items, Item{Payload: make([]byte, size)})
		}
		return items
	}
	seals := func(n int) (items []Item) {
		for range n {
			items = append(items, Item{Seals: []wire.SealEntry{{}}})
		}
		return items
	}
	large := func(n int) (items []Item) { // of a sixteenth of what may be
		for range n {
			e := wire.SealEntry{Seal: wire.Seal{Signature: make([]byte, wire.MaxSignature)}}
			e.Seal.Signature = append(e.Seal.Signature, make([]byte, wire.MaxFlightSealed/16-wire.SealFrame{e}.Len())...)
			items = append(items, Item{Seals: []wire.SealEntry{e}})
		}
		return items
	}
	for _, test := range []struct {
		name  string
		items []Item
		want  int
	}{
		{"nothing", nil, 0},
		{"few", of(3, 10), 3},
		{"many", of(wire.MaxFlight+1, 1), wire.MaxFlight},
		{"large", of(9, wire.MaxFlightBytes/8), 8},
		{"a seal behind a full flight", append(of(wire.MaxFlight, 1), seals(1)...), wire.MaxFlight + 1},
		{"seals without end", append(of(1, 1), seals(3*wire.MaxFlight)...), 1 + wire.MaxFlight},
		{"seals of many bytes", append(of(1, 1), large(17)...), 1 + 16},
	} {
		if n, _ := FlightOf(test.items); n != test.want {
			t.Errorf("%s: %d of %d", test.name, n, len(test.items))
		}
	}
}
