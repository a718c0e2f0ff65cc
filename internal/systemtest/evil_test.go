package systemtest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/internal/link"
	"sinete/transport"
	"sinete/transport/channel"
	"sinete/wire"
)

// evil is one end of a hop, a peer's or a relay's, that keeps to the protocol exactly as far as a test wants. What it reads it keeps
// until the test asks for it; it acknowledges by itself what the other side sealed, unless receipt says otherwise.
type evil struct {
	t        testing.TB
	conn     *transport.Conn
	channel  *channel.Channel
	other    *link.Other
	own      *cardauth.Party
	sealer   *seal.Sealer
	verifier *seal.Verifier
	control  *evilLane

	// credentials are what it shows in conversations.
	credentials wire.Credentials
	// suites are what it offers there.
	suites     []wire.Suite
	accomplice cardauth.Card // lends it a valid card of somebody else
	// seals, if not nil, is how it seals for the other person of a conversation.
	seals func(by *seal.Sealer, st seal.Statement) wire.Seal
	// listens, if not nil, is told each message of a conversation's handshake that it reads.
	listens func(f wire.Frame)

	req     uint64
	running sync.WaitGroup

	mu      sync.Mutex
	lanes   map[uint64]*evilLane
	read    []arrival
	more    chan struct{}           // closed at the next arrival
	receipt func(h *wire.Head) bool // may change an acknowledgement before it is sealed, or withhold it (false)
}

// evilLane is a stream of an evil end.
type evilLane struct {
	*channel.HopLane
	stream *transport.Stream
}

// arrival is something that an evil end has read. One of opened, head, inner, frame and err is set.
type arrival struct {
	stream uint64
	at     time.Time
	opened *channel.Opened // an envelope
	head   *wire.Head      // a head of the hop whose seal has been verified
	inner  *wire.SealEntry // a head of a conversation
	frame  *wire.Frame     // anything else
	err    error           // the stream's end
}

// evilLimits is what an evil end proposes: it wants no new keys of itself.
var evilLimits = wire.RekeyLimits{Messages: 1 << 40, Seconds: 1 << 30}

const patience = 20 * time.Minute // virtual

// login makes an evil peer. seals seals TH2, and delegates if it likes; nil is what an honest card does.
func (w *world) evilLogin(t testing.TB, card cardauth.Card, seals func(th2 []byte) (wire.Seal, *wire.SealedDelegation)) (*evil, error) {
	t.Helper()
	return w.evilReturn(t, card, nil, seals)
}

// evilReturn is evilLogin with a delegation in hello.
func (w *world) evilReturn(t testing.TB, card cardauth.Card, shown *wire.SealedDelegation,
	seals func(th2 []byte) (wire.Seal, *wire.SealedDelegation)) (*evil, error) {
	t.Helper()
	own, err := w.policy.VerifyPerson(card.Chain(), nil)
	must(t, err)
	socket, _, err := w.config(card).Socket()
	must(t, err)
	conn, err := transport.Dial(t.Context(), socket, w.address, transport.ClientConfig{ServerName: relayName,
		VerifyServer: func([][]byte) error { return nil }})
	must(t, err)
	t.Cleanup(func() { conn.Close(wire.CodeBye) })
	control, err := conn.OpenStream(t.Context())
	must(t, err)
	binding, err := conn.Binding()
	must(t, err)
	e := &evil{t: t, conn: conn, own: own, credentials: wire.Credentials{Chain: card.Chain()},
		sealer: sealerOf(t, card, wire.SignerHash(own.Certificate.Raw, nil))}
	if seals == nil {
		seals = func(th2 []byte) (wire.Seal, *wire.SealedDelegation) {
			return e.sealOne(wire.PurposeInitiator, th2), nil
		}
	}
	ch, relay, _, err := link.Initiate(t.Context(), link.OnStream{Stream: control}, link.Initiation{
		Config: channel.Config{Kind: wire.KindHop, Limits: evilLimits, Suites: channel.Suites(), Credentials: wire.Credentials{Chain: card.Chain(), Delegation: shown},
			Context: wire.HopContext{Binding: binding, Relay: relayName}.Append(nil)},
		Acquaintance: link.Acquaintance{Verifier: seal.NewVerifier(16), Now: time.Now, Settle: w.policy.Settle,
			Meet: func(_ context.Context, c wire.Credentials) (*cardauth.Party, error) {
				return w.policy.VerifyRelay(c.Chain, nil, relayName)
			}},
		Seal: func(_ context.Context, th2 []byte) (wire.Seal, *wire.SealedDelegation, error) {
			s, d := seals(th2)
			return s, d, nil
		},
	})
	if err != nil {
		<-conn.Context().Done()
		return nil, conn.Err()
	}
	e.start(ch, relay, control)
	return e, nil
}

// evilPeer is an evil peer whose login is honest.
func (w *world) evilPeer(t testing.TB, card cardauth.Card) *evil {
	t.Helper()
	e, err := w.evilLogin(t, card, nil)
	must(t, err)
	return e
}

func sealerOf(t testing.TB, key seal.Key, signer [32]byte) *seal.Sealer {
	s := seal.NewSealer(key, signer, seal.Config{})
	t.Cleanup(s.Close)
	return s
}

// start begins to read, once the handshake is done.
func (e *evil) start(ch *channel.Channel, other *link.Other, control *transport.Stream) {
	e.channel, e.other, e.verifier = ch, other, seal.NewVerifier(64)
	e.suites = channel.Suites()
	e.lanes, e.more = map[uint64]*evilLane{}, make(chan struct{})
	e.t.Cleanup(func() {
		e.conn.Close(wire.CodeBye)
		e.running.Wait()
	})
	e.control = e.lane(control)
	if ch.Role == wire.RoleResponder {
		return
	}
	e.running.Go(func() {
		for {
			s, err := e.conn.AcceptStream(context.Background())
			if err != nil {
				return
			}
			e.lane(s)
		}
	})
}

// lane makes the lane of a stream and begins to read it.
func (e *evil) lane(s *transport.Stream) *evilLane {
	l := &evilLane{e.channel.Hop(s.ID()), s}
	e.mu.Lock()
	e.lanes[s.ID()] = l
	e.mu.Unlock()
	e.running.Go(func() {
		for {
			f, err := s.ReadFrame()
			if err == nil {
				err = e.take(l, f)
			}
			if err != nil {
				e.put(arrival{stream: s.ID(), err: err})
				return
			}
		}
	})
	return l
}

func (e *evil) put(a arrival) {
	e.mu.Lock()
	a.at = time.Now()
	e.read = append(e.read, a)
	close(e.more)
	e.more = make(chan struct{})
	e.mu.Unlock()
}

func (e *evil) take(l *evilLane, f wire.Frame) error {
	body := slices.Clone(f.Body)
	switch f.Type {
	case wire.FrameEnvelope:
		o, err := l.Open(nil, body)
		if err == nil {
			e.put(arrival{stream: l.ID, opened: &o})
		}
		return err
	case wire.FrameSeal:
		frame, err := wire.ParseSealFrame(body)
		for i := range frame {
			if err := e.head(l, &frame[i]); err != nil {
				return err
			}
		}
		return err
	}
	e.put(arrival{stream: l.ID, frame: &wire.Frame{Type: f.Type, Body: body}})
	return nil
}

func (e *evil) head(l *evilLane, entry *wire.SealEntry) error {
	h := entry.Head
	if h.Channel != e.channel.ID {
		e.put(arrival{stream: l.ID, inner: entry})
		return nil
	}
	if err := e.verifier.Verify(e.other.Signer, wire.PurposeHead, entry.Statement, entry.Seal); err != nil {
		return err
	}
	e.mu.Lock()
	of := e.lanes[h.Lane]
	e.mu.Unlock()
	sealed, _, err := of.Check(h)
	if err != nil {
		return err
	}
	e.put(arrival{stream: l.ID, head: &h})
	if sealed {
		e.acknowledge(of)
	}
	return nil
}

// acknowledge is H1 of an evil relay, H2 of an evil peer.
func (e *evil) acknowledge(l *evilLane) {
	if l.Confirm(l.Received.LastSealed()) != nil {
		return
	}
	h, _ := l.Acknowledging()
	e.mu.Lock()
	receipt := e.receipt
	e.mu.Unlock()
	if receipt == nil || receipt(&h) {
		e.write(e.control, e.seal(e.sealer, h)...)
	}
}

// receipts sets what becomes of acknowledgements from now on.
func (e *evil) receipts(f func(h *wire.Head) bool) {
	e.mu.Lock()
	e.receipt = f
	e.mu.Unlock()
}

// withhold is for receipts: none is sent.
func withhold(*wire.Head) bool { return false }

// await takes the first arrival that pleases, which may have come long ago.
func (e *evil) await(what string, pleases func(a *arrival) bool) arrival {
	e.t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		a, more := e.find(pleases)
		if more == nil {
			return a
		}
		select {
		case <-more:
		case <-late.C:
			e.t.Fatalf("%s did not come; connection: %v", what, e.conn.Err())
		}
	}
}

// find takes the first arrival that pleases; where there is none, more is closed at the next one. pleases may fail the test.
func (e *evil) find(pleases func(a *arrival) bool) (a arrival, more chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.read {
		if a := e.read[i]; pleases(&a) {
			e.read = slices.Delete(e.read, i, i+1)
			return a, nil
		}
	}
	return a, e.more
}

// soon waits for another goroutine of the test, which may have failed.
func soon[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(2 * patience):
		t.Fatal("another goroutine of the test gave up")
	}
	return v
}

// count is how many arrivals not yet awaited please.
func (e *evil) count(pleases func(a *arrival) bool) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.read {
		if pleases(&e.read[i]) {
			n++
		}
	}
	return n
}

// answerOf awaits a control message.
func answerOf[M wire.Control](e *evil, pleases func(M) bool) (m M) {
	e.t.Helper()
	e.await("a control message", func(a *arrival) bool {
		if a.opened == nil || a.opened.Type != wire.EnvelopeControl {
			return false
		}
		got, err := wire.ParseControl(a.opened.Payload)
		must(e.t, err)
		is, ok := got.(M)
		if ok = ok && pleases(is); ok {
			m = is
		}
		return ok
	})
	return m
}

// acknowledged awaits the other side's sealed head over a place of ours.
func (e *evil) acknowledged(l *evilLane, p wire.Place) wire.Head {
	e.t.Helper()
	return *e.await("an acknowledgement", func(a *arrival) bool {
		return a.head != nil && a.head.Lane == l.ID && a.head.Yours == p
	}).head
}

// seal seals heads in one batch.
func (e *evil) seal(by *seal.Sealer, heads ...wire.Head) []wire.SealEntry {
	statements := make([]seal.Statement, len(heads))
	for i, h := range heads {
		statements[i] = seal.Statement{Purpose: wire.PurposeHead, Bytes: h.Append(nil)}
	}
	seals, err := by.Seal(context.Background(), "", func() []seal.Statement { return statements })
	if err != nil {
		return nil // the test is over
	}
	entries := make([]wire.SealEntry, len(heads))
	for i := range heads {
		entries[i] = wire.SealEntry{Seal: seals[i], Head: heads[i]}
	}
	return entries
}

func (e *evil) sealOne(p wire.Purpose, statement []byte) wire.Seal {
	return sealStatements(e.t, e.sealer, seal.Statement{Purpose: p, Bytes: statement})[0]
}

func sealStatements(t testing.TB, by *seal.Sealer, s ...seal.Statement) []wire.Seal {
	seals, err := by.Seal(context.Background(), "", func() []seal.Statement { return s })
	must(t, err)
	return seals
}

// write writes seal frames, one for each signature among the entries. That a stream has ended is for the test to see elsewhere.
func (e *evil) write(l *evilLane, entries ...wire.SealEntry) {
	for len(entries) > 0 {
		n := 1
		for n < len(entries) && slices.Equal(entries[n].Seal.Signature, entries[0].Seal.Signature) {
			n++
		}
		_ = l.stream.Append(wire.Frame{Type: wire.FrameSeal, Body: wire.SealFrame(entries[:n]).Append(nil)}.Append)
		entries = entries[n:]
	}
}

// send sends an envelope honestly sealed.
func (e *evil) send(l *evilLane, t wire.EnvelopeType, payload []byte) wire.Place {
	must(e.t, l.stream.Append(func(b []byte) []byte { return l.Seal(b, t, payload) }))
	h := l.Closing()
	e.write(l, e.seal(e.sealer, h)...)
	return *h.Mine
}

func (e *evil) ask(m func(req uint64) wire.Control) wire.Place {
	e.req++
	return e.send(e.control, wire.EnvelopeControl, m(e.req).Append(nil))
}

// list asks honestly who is there, which a session that has ended cannot.
func (e *evil) list() []wire.PeerEntry {
	e.t.Helper()
	e.ask(func(req uint64) wire.Control { return wire.List{Req: req} })
	return answerOf(e, func(p wire.Peers) bool { return p.Req == e.req }).Entries
}

// thrownOut expects that the other side ends the session.
func (e *evil) thrownOut(number wire.Code) {
	e.t.Helper()
	select {
	case <-e.conn.Context().Done():
	case <-time.After(patience):
		e.t.Fatalf("the session lives; it should have ended with %v", number)
	}
	if c, ok := errors.AsType[*transport.CloseError](e.conn.Err()); !ok || !c.Remote || c.Number != number {
		e.t.Fatalf("the session ended with %v, not by the other side with %v", e.conn.Err(), number)
	}
}
