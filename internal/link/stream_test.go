package link

import (
	"context"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sinete/cardauth/seal"
	"sinete/transport"
	"sinete/transport/channel"
	"sinete/wire"
)

// talkers is a conversation's stream between an honest relay and somebody.
type talkers struct {
	evil   *evil
	server *side
	lane   *Lane // the relay's
	stream *transport.Stream
	hop    *channel.HopLane // the other's
}

func newTalkers(t *testing.T) *talkers {
	t.Helper()
	evil, server := against(t, wire.RoleResponder, nil)
	stream, err := server.conn.OpenStream(t.Context())
	must(t, err)
	k := &talkers{evil: evil, server: server, lane: server.link.Lane(stream)}
	must(t, k.flight(t.Context(), 1)) // the other side sees the stream with it
	k.stream, err = evil.conn.AcceptStream(t.Context())
	must(t, err)
	k.hop = evil.channel.Hop(k.stream.ID())
	k.acknowledge(2)
	return k
}

// flight is one of the relay's, of n envelopes.
func (k *talkers) flight(ctx context.Context, n int) error {
	items := make([]Item, n)
	for i := range items {
		items[i] = Item{Type: wire.EnvelopeControl, Payload: []byte{1}}
	}
	return k.lane.Flight(ctx, Flight{Items: items})
}

// acknowledge reads n frames and acknowledges them on the control stream.
func (k *talkers) acknowledge(n int) {
	must(k.evil.t, k.hop.Confirm(*k.evil.receives(k.stream, k.hop, n).Mine))
	h, _ := k.hop.Acknowledging()
	k.evil.seals(h)
}

// Sending waits where too much is unacknowledged, and goes on when there is room again.
func TestWindow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		k := newTalkers(t)
		var places []wire.Place
		k.lane.Acknowledged = func(e *wire.SealEntry) { places = append(places, e.Head.Yours) }
		synctest.Wait()
		for range wire.MaxUnacknowledged / wire.MaxFlight {
			must(t, k.flight(t.Context(), wire.MaxFlight))
		}
		if n, _ := k.lane.hop.Sent.Unacknowledged(); n != wire.MaxUnacknowledged {
			t.Fatalf("%d envelopes unacknowledged", n)
		}
		sent := make(chan error, 1)
		go func() { sent <- k.flight(t.Context(), 1) }()
		time.Sleep(time.Second)
		if len(sent) > 0 {
			t.Fatal("one more than may be unacknowledged")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := k.lane.waitForRoom(ctx, 1); err == nil {
			t.Error("there is room")
		}
		k.acknowledge(wire.MaxFlight + 1)
		must(t, <-sent)
		k.server.wantAlive(t, time.Second)
		if len(places) == 0 || places[len(places)-1].Count != wire.MaxFlight+1 {
			t.Errorf("told of %d acknowledgements", len(places))
		}
	})
}

// A window in bytes as well.
func TestWindowOfBytes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		k := newTalkers(t)
		synctest.Wait()
		large := Item{Type: wire.EnvelopeControl, Payload: make([]byte, 32<<10)}
		full := Flight{}
		for range wire.MaxFlightBytes / len(large.Payload) {
			full.Items = append(full.Items, large)
		}
		go func() { // takes everything and acknowledges nothing
			for {
				if _, err := k.stream.ReadFrame(); err != nil {
					return
				}
			}
		}()
		for range wire.MaxUnackedBytes / wire.MaxFlightBytes {
			must(t, k.lane.Flight(t.Context(), full))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := k.lane.Flight(ctx, Flight{Items: []Item{large}}); err != context.DeadlineExceeded {
			t.Errorf("beyond %d bytes: %v", wire.MaxUnackedBytes, err)
		}
	})
}

func TestConversationStreams(t *testing.T) {
	deliver := func(k *talkers, got *[]string) chan error {
		ended := make(chan error, 1)
		go func() {
			ended <- k.lane.Run(func(f *Received) error {
				for _, p := range f.Pieces {
					*got = append(*got, string(p.Opened.Payload))
				}
				return k.lane.Confirm()
			})
		}()
		return ended
	}
	envelope := func(k *talkers) {
		must(k.evil.t, k.stream.Append(func(b []byte) []byte { return k.hop.Seal(b, wire.EnvelopeHandshake, []byte("x")) }))
	}
	for _, test := range []struct {
		name string
		do   func(k *talkers)
		want wire.Code // CodeBye: the end of the stream
	}{
		{"a flight", func(k *talkers) {
			envelope(k)
			k.evil.sealsWith(k.evil.sealer, k.stream, k.hop.Closing())
			must(k.evil.t, k.stream.Finish(k.evil.t.Context()))
		}, wire.CodeBye},
		{"waiting, where it has no place", func(k *talkers) {
			k.evil.on(k.stream, wire.Frame{Type: wire.FrameWaiting, Body: []byte{1}})
		}, wire.CodeUnexpected},
		{"a head of the control stream", func(k *talkers) {
			h, _ := k.evil.lane.Acknowledging()
			k.evil.sealsWith(k.evil.sealer, k.stream, h)
		}, wire.CodeIntegrity},
		{"cut in the middle of a flight", func(k *talkers) {
			envelope(k)
			must(k.evil.t, k.stream.Finish(k.evil.t.Context()))
		}, wire.CodeUnsealed},
		{"given up", func(k *talkers) { k.stream.Cancel(wire.CodePeerLeft) }, wire.CodePeerLeft},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				k := newTalkers(t)
				var got []string
				ended := deliver(k, &got)
				test.do(k)
				err := <-ended
				if test.want == wire.CodeBye {
					if err != io.EOF || !slices.Equal(got, []string{"x"}) {
						t.Errorf("%v, envelopes %q", err, got)
					}
					if h := k.evil.receives(k.evil.end.control, k.evil.lane, 1); h.Lane != k.stream.ID() || h.Yours != k.hop.Sent.Here() {
						t.Errorf("acknowledged with %+v", h)
					}
				} else if err == nil || wire.CodeOf(err) != test.want || len(got) != 0 {
					t.Errorf("%v, envelopes %q", err, got)
				}
				k.server.wantAlive(t, 0) // what it means for the session, its owner decides
			})
		})
	}
}

// A conversation that has ended leaves nothing behind that could end its session: no deadline, not even one that its last frames would
// start, and no acknowledgement that comes late.
func TestDroppedLane(t *testing.T) {
	bubble(t, func(t *testing.T) {
		k := newTalkers(t)
		must(t, k.flight(t.Context(), 1))
		k.lane.Drop()
		if err := k.flight(t.Context(), 1); err != channel.ErrErased { // was just about to be written
			t.Errorf("a flight on a dropped lane: %v", err)
		}
		must(t, k.stream.Append(func(b []byte) []byte { return k.hop.Seal(b, wire.EnvelopeHandshake, []byte("x")) }))
		go k.lane.Run(func(*Received) error { return nil }) // just about to be read
		k.server.wantAlive(t, time.Hour)
		k.acknowledge(2)
		k.evil.seals(wire.Head{Channel: k.evil.channel.ID, Lane: 400, Role: wire.RoleInitiator}) // never existed
		k.server.wantAlive(t, time.Hour)
	})
}

// Seals that are passed on alone are no envelopes: nobody acknowledges them, and nobody waits for that.
func TestSealsPassedOnAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		k := newTalkers(t)
		synctest.Wait()
		seals, err := k.evil.sealer.Seal(t.Context(), "", func() []seal.Statement { return statements([]wire.Head{{Role: wire.RoleInitiator}}) })
		must(t, err)
		entries := []wire.SealEntry{{Seal: seals[0], Head: wire.Head{Role: wire.RoleInitiator}}}
		must(t, k.lane.Flight(t.Context(), Flight{Items: []Item{{Seals: entries}}}))
		k.server.wantAlive(t, time.Hour)
	})
}

// What a flight begins with arrives before its end is made.
func TestFlightLeavesAsItIsMade(t *testing.T) {
	bubble(t, func(t *testing.T) {
		k := newTalkers(t)
		const envelopes = 6
		payload, made := make([]byte, writePart*2/3), 0
		arrived, sent := make(chan struct{}), make(chan error, 1)
		go func() {
			sent <- k.lane.Flight(t.Context(), Flight{Made: envelopes, Make: func() Item {
				if made++; made == envelopes {
					<-arrived
				}
				return Item{Type: wire.EnvelopeControl, Payload: payload}
			}})
		}()
		k.evil.receives(k.stream, k.hop, 1)
		close(arrived)
		k.acknowledge(envelopes) // and the seal
		must(t, <-sent)
		if made != envelopes {
			t.Errorf("%d envelopes made, expected %d", made, envelopes)
		}
	})
}
