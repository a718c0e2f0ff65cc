package link

import (
	"cmp"
	"context"
	"io"
	"slices"
	"sync"
	"time"

	"sinete/cardauth/seal"
	"sinete/transport"
	"sinete/transport/channel"
	"sinete/wire"
)

// Lane is a lane of the hop: one QUIC stream. Flight is for one goroutine at a time, Run for another.
type Lane struct {
	link   *Link
	hop    *channel.HopLane
	Stream *transport.Stream
	// Acknowledged is called, if not nil, when the other side has acknowledged more, with the head that does, whose bytes are good until it
	// returns. Set it before Run.
	Acknowledged func(e *wire.SealEntry)

	room   signal   // raised when the other side has acknowledged more
	sealed deadline // runs while received envelopes wait for their seal
	acked  deadline // runs while sealed envelopes wait for their acknowledgement
	newest Newest   // of a relay; a relay keeps none of its peers'

	writtenMu sync.Mutex
	written   wire.Place // the last place whose seal is written

	pending Received // of the flight that no seal covers yet
}

// Item is one envelope of a flight, or a seal of somebody else that is passed on behind the envelopes it covers.
type Item struct {
	Type    wire.EnvelopeType
	Payload []byte
	Digests [][32]byte       // of the envelopes that the payload stands for, where Type is EnvelopeInner
	Seals   []wire.SealEntry // if not nil, this is no envelope
	Frees   *Received        // if not nil, a flight whose payloads nobody needs any more once this item has left
}

// Flight is what is sent together, and the heads of a conversation that are sealed in the same batch.
type Flight struct {
	Items []Item
	// Make makes the items behind Items, one at a time as the flight leaves, until they stand for Made envelopes. Each payload is used before the next
	// is made.
	Make  func() Item
	Made  int
	Class string                               // of its batch, where that is not the link's (section 4.4); empty: the link's
	Heads func(closing wire.Place) []wire.Head // called when the batch begins, with the place that closes the flight; may be nil
	// Sealed is called with those heads and their seals once they are written; may be nil.
	Sealed func([]wire.SealEntry)
}

// FlightOf returns how many items, from the front, fit one flight, and their bytes of payload.
func FlightOf(items []Item) (n, bytes int) {
	envelopes, seals, sealed := 0, 0, 0
	for _, it := range items {
		if it.Seals != nil {
			length := wire.SealFrame(it.Seals).Len()
			if seals == wire.MaxFlightSeals || sealed+length > wire.MaxFlightSealed {
				break
			}
			seals++
			sealed += length
		} else {
			if envelopes+it.envelopes() > wire.MaxFlight || bytes+len(it.Payload) > wire.MaxFlightBytes {
				break
			}
			envelopes += it.envelopes()
			bytes += len(it.Payload)
		}
		n++
	}
	return n, bytes
}

// Lane makes the lane of a stream.
func (l *Link) Lane(s *transport.Stream) *Lane {
	lane := &Lane{link: l, hop: l.Channel.Hop(s.ID()), Stream: s, room: newSignal()}
	lane.written = lane.hop.Sent.Here()
	lane.sealed.received, lane.acked.received = l.Conn.Received, l.Conn.Received
	lane.sealed.fail = func() {
		l.Fail(wire.Errorf(wire.CodeUnsealed, "envelopes on stream %d without their seal", s.ID()))
	}
	lane.acked.fail = func() {
		l.Fail(wire.Errorf(wire.CodeIntegrity, "no acknowledgement on stream %d in time", s.ID()))
	}
	l.mu.Lock()
	l.lanes[s.ID()] = lane
	l.mu.Unlock()
	return lane
}

// First is where the lane's epoch in a direction begins.
func (l *Lane) First(d wire.Direction) wire.Place {
	if d == l.link.Role.Sends() {
		return l.hop.Sent.First()
	}
	return l.hop.Received.First()
}

// Drop forgets the lane, keys and all, once its stream is given up: its deadlines no longer count, and acknowledgements for it are ignored.
func (l *Lane) Drop() {
	l.link.mu.Lock()
	delete(l.link.lanes, l.Stream.ID())
	l.link.mu.Unlock()
	l.sealed.end()
	l.acked.end()
	l.hop.Erase()
}

const headTime = wire.HeadSeconds * time.Second

// writeAhead is how much may wait in a stream's buffer when a part of a flight is added: far less than what fills it.
const writeAhead = 128 << 10

// writePart is how much of a flight is handed to the stream at once: QUIC begins with it while the rest is made, and the stream's blocks
// stay of a size that is used again. Each part wakes the writer, QUIC and everybody behind it.
const writePart = 64 << 10

// holdBelow is how short the last part of a flight must be to wait for its seal and leave with it: nobody can do anything with it before, and
// a packet more wakes everybody on the way once more. Where seals are not quick it goes ahead, so as to be there when the seal is made.
const holdBelow = 32 << 10

// quickSeal is what a signature may take where hardly anything could be on its way meanwhile.
const quickSeal = 500 * time.Microsecond

// Flight sends a flight and returns when its seal is written: then the next may follow.
func (l *Lane) Flight(ctx context.Context, f Flight) error {
	if err := l.waitForRoom(ctx, f.envelopes()); err != nil {
		return err
	}
	if err := l.link.rekeyer.MaySend(ctx); err != nil {
		return err
	}
	hold := 0
	if l.link.Sealer.Takes() < quickSeal {
		hold = holdBelow
	}
	for items, made := f.Items, 0; len(items) > 0 || made < f.Made; {
		if err := l.Stream.WaitBelow(ctx, writeAhead); err != nil {
			return err
		}
		err := l.Stream.AppendBlock(hold, func(b []byte) []byte {
			for (len(items) > 0 || made < f.Made) && len(b) < writePart {
				var it Item
				if len(items) > 0 {
					it, items = items[0], items[1:]
				} else {
					it = f.Make()
					made += it.envelopes()
				}
				b = l.append(b, it)
				if it.Frees != nil {
					it.Frees.Free()
				}
			}
			return b
		})
		if err != nil {
			return err
		}
	}
	if l.hop.Erased() {
		return channel.ErrErased
	}
	var heads []wire.Head
	seals, err := l.link.Sealer.Seal(ctx, cmp.Or(f.Class, l.link.class()), func() []seal.Statement {
		heads = append(heads, l.hop.Closing())
		if f.Heads != nil {
			heads = append(heads, f.Heads(*heads[0].Mine)...)
		}
		return statements(heads)
	})
	if err != nil {
		return err
	}
	l.writtenMu.Lock()
	l.written = *heads[0].Mine
	l.await()
	l.writtenMu.Unlock()
	l.link.rekeyer.Note()
	if err := appendSeals(l.Stream, seals, heads); err != nil {
		return err
	}
	if f.Sealed != nil {
		f.Sealed(entries(seals, heads)[1:])
	}
	return nil
}

// envelopes is how many envelopes the item stands for: none where it is a seal.
func (it *Item) envelopes() int {
	if it.Seals != nil {
		return 0
	}
	return max(1, len(it.Digests))
}

func (f *Flight) envelopes() int {
	n := f.Made
	for i := range f.Items {
		n += f.Items[i].envelopes()
	}
	return n
}

func (l *Lane) append(b []byte, it Item) []byte {
	switch {
	case it.Seals != nil:
		return appendSealFrame(b, it.Seals)
	case it.Type == wire.EnvelopeInner:
		return l.hop.SealInner(b, it.Payload, it.Digests)
	}
	return l.hop.Seal(b, it.Type, it.Payload)
}

// await lets the deadline of acknowledgements run if one is due: for what is sealed and written, since a card may take longer for the next
// seal, and only for envelopes, since nobody acknowledges a seal that is passed on. writtenMu is held.
func (l *Lane) await() {
	if l.written.After(l.hop.Sent.Acknowledged()) {
		l.acked.start(headTime)
	}
}

// waitForRoom keeps to what may be unacknowledged in a lane (section 10).
func (l *Lane) waitForRoom(ctx context.Context, n int) error {
	for {
		envelopes, bytes := l.hop.Sent.Unacknowledged()
		if envelopes == 0 || envelopes+uint64(n) <= wire.MaxUnacknowledged && bytes <= wire.MaxUnackedBytes-wire.MaxFlightBytes {
			return nil
		}
		select {
		case <-l.room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Confirm acknowledges everything that sealed flights have brought so far: on the hop, that is verified.
func (l *Lane) Confirm() error {
	if err := l.hop.Confirm(l.hop.Received.LastSealed()); err != nil {
		return err
	}
	l.link.Acknowledge(l.hop)
	return nil
}

// Run receives until the other side ends the stream in order (io.EOF) or something fails. deliver takes each flight once its seal
// has been verified; what it returns ends the lane.
func (l *Lane) Run(deliver func(*Received) error) error {
	for {
		f, err := l.Stream.ReadFrame()
		if err != nil {
			if err == io.EOF && l.pending.envelopes > 0 {
				return wire.Errorf(wire.CodeUnsealed, "stream %d ends with envelopes that nobody sealed", l.Stream.ID())
			}
			return err
		}
		switch f.Type {
		case wire.FrameEnvelope:
			err = l.envelope(f.Body)
		case wire.FrameSeal:
			err = l.seal(f.Body, deliver)
		default:
			if l != l.link.control {
				return wire.Errorf(wire.CodeUnexpected, "a %v frame on a conversation's stream", f.Type)
			}
			err = l.link.outside(f)
		}
		if err == channel.ErrErased {
			return l.discard()
		}
		if err != nil {
			return err
		}
	}
}

// discard reads what still comes in a lane that has ended, until its stream does: that end says why.
func (l *Lane) discard() error {
	for {
		if _, err := l.Stream.ReadFrame(); err != nil {
			return err
		}
	}
}

func (l *Lane) envelope(body []byte) error {
	p := &l.pending
	o, err := l.hop.Open(p.room(len(body)), body)
	if err != nil {
		return err
	}
	if p.envelopes == 0 {
		l.sealed.start(l.sealTime())
	}
	p.took(o)
	if p.envelopes > wire.MaxFlight || p.bytes > wire.MaxFlightBytes {
		return wire.Errorf(wire.CodeLimitExceeded, "a flight of %d envelopes, %d bytes", p.envelopes, p.bytes)
	}
	l.grown(len(o.Payload))
	return nil
}

// grown gives a flight that has grown by so many bytes the time that a slow network takes to bring them (section 5.7).
func (l *Lane) grown(by int) {
	bytes := l.pending.bytes + l.pending.sealed
	if seconds := bytes / wire.SlowestRate; seconds > (bytes-by)/wire.SlowestRate {
		l.sealed.extend(time.Duration(wire.UnsealedSeconds+seconds) * time.Second)
	}
}

func (l *Lane) sealTime() time.Duration {
	if l.link.Patient {
		return wire.CardSeconds * time.Second
	}
	return wire.UnsealedSeconds * time.Second
}

// seal takes a seal frame: heads of the hop are verified and checked here, those of conversations go up with the flight.
func (l *Lane) seal(body []byte, deliver func(*Received) error) error {
	frame, err := wire.ParseSealFrame(body)
	if err != nil {
		return err
	}
	closed := false
	var inner []wire.SealEntry
	for i := range frame {
		e := &frame[i]
		if e.Head.Channel != l.link.Channel.ID {
			inner = append(inner, *e)
			e = &inner[len(inner)-1] // it stays when the frame's bytes are gone
			if e.Statement = slices.Clone(e.Statement); len(inner) == 1 {
				e.Seal.Signature = slices.Clone(e.Seal.Signature)
			}
			e.Seal.Signature = inner[0].Seal.Signature // one for all
			continue
		}
		if err := VerifyHead(l.link.Verifier, l.link.Other, e); err != nil {
			return err
		}
		c, err := l.head(e)
		if err != nil {
			return err
		}
		if c {
			closed, l.pending.Closing = true, e
		}
	}
	if len(inner) > 0 {
		p := &l.pending
		p.seals++
		p.sealed += len(body)
		if p.seals > wire.MaxFlightSeals || p.sealed > wire.MaxFlightSealed {
			return wire.Errorf(wire.CodeLimitExceeded, "a flight with %d seal frames, %d bytes", p.seals, p.sealed)
		}
		l.grown(len(body))
		p.add(Piece{Seals: inner})
	}
	if !closed && l.pending.envelopes > 0 || len(l.pending.Pieces) == 0 {
		return nil
	}
	flight := l.pending
	l.pending = Received{}
	l.sealed.stop()
	l.link.rekeyer.Note()
	err = deliver(&flight)
	flight.delivered()
	return err
}

// head takes a verified head of the hop. closed is true when it closes the flight of this lane.
func (l *Lane) head(e *wire.SealEntry) (closed bool, err error) {
	lane, h := l, e.Head
	if h.Lane != l.Stream.ID() {
		if l != l.link.control || h.Mine != nil {
			return false, wire.Errorf(wire.CodeIntegrity, "a head of stream %d on stream %d", h.Lane, l.Stream.ID())
		}
		l.link.mu.Lock()
		lane = l.link.lanes[h.Lane]
		l.link.mu.Unlock()
		if lane == nil {
			return false, nil // of a conversation that has ended
		}
	}
	sealed, acked, err := lane.hop.Check(h)
	if err != nil {
		return false, lane.newest.Fork(e, err)
	}
	if l.link.Role == wire.RoleInitiator {
		lane.newest.Note(e)
	}
	if acked {
		lane.acknowledged(e)
	}
	return sealed, nil
}

func (l *Lane) acknowledged(e *wire.SealEntry) {
	l.writtenMu.Lock()
	l.acked.stop()
	l.await()
	l.writtenMu.Unlock()
	l.room.raise()
	if l.Acknowledged != nil {
		l.Acknowledged(e)
	}
}

// Pass writes somebody else's seals on the control stream.
func (l *Link) Pass(entries []wire.SealEntry) error {
	return l.Control.Append(func(b []byte) []byte { return appendSealFrame(b, entries) })
}

func statements(heads []wire.Head) []seal.Statement {
	s := make([]seal.Statement, len(heads))
	for i, h := range heads {
		s[i] = seal.Statement{Purpose: wire.PurposeHead, Bytes: h.Append(nil)}
	}
	return s
}

// appendSeals writes heads with their seals, in as many seal frames as it takes.
func appendSeals(s *transport.Stream, seals []wire.Seal, heads []wire.Head) error {
	if len(seals) == 0 {
		return nil
	}
	// A head with its path takes at most 32 + 8 + 2 + 2x48 + 20 + 16x32 bytes.
	const perFrame = wire.MaxFrameBody / 1024
	return s.Append(func(b []byte) []byte {
		for part := range slices.Chunk(entries(seals, heads), perFrame) {
			b = appendSealFrame(b, part)
		}
		return b
	})
}

func entries(seals []wire.Seal, heads []wire.Head) []wire.SealEntry {
	entries := make([]wire.SealEntry, len(seals))
	for i := range seals {
		entries[i] = wire.SealEntry{Seal: seals[i], Head: heads[i]}
	}
	return entries
}

func appendSealFrame(b []byte, entries []wire.SealEntry) []byte {
	f := wire.SealFrame(entries)
	return f.Append(wire.AppendFrameHeader(b, wire.FrameSeal, f.Len()))
}
