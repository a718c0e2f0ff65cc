package link

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/transport/transporttest"
	"sinete/wire"
)

// rekeys is what both ends of a test's hop need for rekeyings.
func rekeys(other *end, limits wire.RekeyLimits, waits func(RekeyWait)) Rekeys {
	return Rekeys{Other: &Other{Signer: other.key.signer()}, Credentials: wire.Credentials{Chain: [][]byte{{1}}}, Limits: limits, InForce: limits,
		Waits: waits, Acquaintance: Acquaintance{Verifier: seal.NewVerifier(16), Now: time.Now,
			Meet:   func(context.Context, wire.Credentials) (*cardauth.Party, error) { return nil, nil },
			Settle: func(context.Context, *cardauth.Party) error { return nil }}}
}

// rekeyingSession is two honest ends whose hop takes new keys by those limits. waits collects what the client's rekeyings wait for.
func rekeyingSession(t *testing.T, limits wire.RekeyLimits) (client, server *side, waits *waits) {
	t.Helper()
	c, s := ends(t)
	waits = newWaits()
	return c.run(t, s, func(cfg *Config) { cfg.Rekeys = rekeys(s, limits, waits.add) }),
		s.run(t, c, func(cfg *Config) { cfg.Rekeys = rekeys(c, limits, nil) }), waits
}

type waits struct {
	mu  sync.Mutex
	all []RekeyWait
}

func newWaits() *waits { return &waits{} }

func (w *waits) add(r RekeyWait) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, r)
}

func (w *waits) take() (all []RekeyWait) {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	all, w.all = w.all, nil
	return all
}

func (s *side) epoch() uint64 { return s.link.Channel.Epoch() }

func wantEpoch(t *testing.T, want uint64, sides ...*side) {
	t.Helper()
	synctest.Wait()
	for _, s := range sides {
		if got := s.epoch(); got != want {
			t.Fatalf("the %v is in epoch %d, where %d was due", s.role, got, want)
		}
		if err := s.link.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// carries sends n messages one way and wants them at the other end, in order.
func carries(t *testing.T, from, to *side, first, n uint64) {
	t.Helper()
	for i := range n {
		for from.link.WaitBelow(t.Context(), 1<<19) == nil && from.link.Send(wire.List{Req: first + i}) != nil {
		}
	}
	for i := range n {
		select {
		case m := <-to.messages:
			if m != (wire.List{Req: first + i}) {
				t.Fatalf("%v where message %d was due", m, first+i)
			}
		case <-time.After(time.Hour): // virtual
			t.Fatalf("message %d does not come: %v, %v", first+i, from.link.Err(), to.link.Err())
		}
	}
}

func TestRekeyByTime(t *testing.T) {
	for name, options := range map[string]transporttest.Options{
		"a good network": {Latency: 5 * time.Millisecond},
		"a bad one":      {Latency: 300 * time.Millisecond, Loss: 0.02, Seed: 7},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, s := endsOver(t, options)
				limits := wire.RekeyLimits{Messages: 1 << 20, Seconds: 900}
				client := c.run(t, s, func(cfg *Config) { cfg.Rekeys = rekeys(s, limits, nil) })
				server := s.run(t, c, func(cfg *Config) { cfg.Rekeys = rekeys(c, wire.RekeyLimits{Messages: 1 << 20, Seconds: 900}, nil) })
				time.Sleep(850 * time.Second) // virtual
				wantEpoch(t, 0, client, server)
				for e := range uint64(3) {
					time.Sleep(100 * time.Second)
					wantEpoch(t, e+1, client, server)
					carries(t, client, server, 10*e, 5)
					carries(t, server, client, 10*e, 5)
					time.Sleep(800 * time.Second)
				}
			})
		})
	}
}

// Under load the hop takes new keys again and again, and nothing is lost, doubled or out of order.
func TestRekeyByCount(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server, _ := rekeyingSession(t, wire.RekeyLimits{Messages: 1000, Seconds: 900})
		var both sync.WaitGroup
		both.Go(func() { carries(t, client, server, 0, 20_000) })
		both.Go(func() { carries(t, server, client, 0, 20_000) })
		both.Wait()
		if client.epoch() < 4 {
			t.Errorf("%d rekeyings", client.epoch())
		}
		wantEpoch(t, client.epoch(), server)
	})
}

// Both sides want new keys at the same moment, a thousand times.
func TestRekeyAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server, _ := rekeyingSession(t, wire.RekeyLimits{Messages: 1 << 20, Seconds: 900})
		for n := range uint64(1000) {
			client.link.Rekey()
			server.link.Rekey()
			client.link.Rekey()
			time.Sleep(2 * time.Second) // virtual
			wantEpoch(t, n+1, client, server)
		}
		carries(t, client, server, 0, 10)
		carries(t, server, client, 0, 10)
	})
}

// While a slow card makes the proof, everything goes on in the old epoch.
func TestRekeyWithSlowCard(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server, waits := rekeyingSession(t, wire.RekeyLimits{Messages: 1 << 20, Seconds: 900})
		client.key.delay.Store(int64(2 * time.Second))
		time.Sleep(900*time.Second + time.Millisecond) // the proof is being made
		began := time.Now()
		carries(t, server, client, 0, 3)
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("messages wait %v for a rekeying", took)
		}
		wantEpoch(t, 0, client, server)
		time.Sleep(10 * time.Second)
		wantEpoch(t, 1, client, server)
		if got := waits.take(); len(got) > 0 {
			t.Errorf("told: %+v", got)
		}
	})
}

// A card that was pulled out is waited for, and said to be; at twice the limit nothing more is sent until it is back.
func TestRekeyWithoutCard(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server, waits := rekeyingSession(t, wire.RekeyLimits{Messages: 1 << 20, Seconds: 900})
		client.key.fails.Store(&cardauth.AbsentError{Card: "the test's"})
		time.Sleep(1000 * time.Second) // virtual
		if got := waits.take(); len(got) != 1 || got[0].Err == nil || !got[0].Own || got[0].Stopped {
			t.Fatalf("told: %+v", got)
		}
		time.Sleep(1000 * time.Second)
		if got := waits.take(); len(got) != 1 || got[0].Err == nil || !got[0].Stopped {
			t.Fatalf("told: %+v", got)
		}
		for _, s := range []*side{client, server} {
			must(t, s.link.Send(wire.List{Req: 1}))
		}
		time.Sleep(time.Hour)
		if got := append(client.received(), server.received()...); len(got) > 0 {
			t.Fatalf("sent with keys that are too old: %v", got)
		}
		wantEpoch(t, 0, client, server)
		client.key.fails.Store(nil)
		time.Sleep(3 * time.Second)
		wantEpoch(t, 1, client, server)
		if a, b := client.received(), server.received(); len(a) != 1 || len(b) != 1 {
			t.Fatalf("what waited does not come: %v, %v", a, b)
		}
		carries(t, client, server, 2, 5)
	})
}

// The other way round: the initiator never answers, and the relay says nothing more with the old keys.
func TestRekeyStopsByCount(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server, waits := rekeyingSession(t, wire.RekeyLimits{Messages: 10, Seconds: 900})
		carries(t, server, client, 0, 5)
		client.key.delay.Store(int64(time.Hour))
		for n := range uint64(100) {
			must(t, server.link.Send(wire.List{Req: 5 + n}))
			time.Sleep(100 * time.Millisecond)
		}
		if got := len(client.received()); got > 20 {
			t.Fatalf("%d messages with keys for 10", got)
		}
		synctest.Wait()
		if stopped, _ := server.link.rekeyer.Stopped(); !stopped {
			t.Error("the relay goes on")
		}
		_ = waits
	})
}

// What does not belong into a rekeying ends the session, with its number.
func TestRekeyFramesOutOfPlace(t *testing.T) {
	for name, test := range map[string]struct {
		attack func(e *evil)
		want   wire.Code
	}{
		"a second hello": {func(e *evil) {
			hello := e.hello()
			e.send(hello, hello)
		}, wire.CodeUnexpected},
		"a proof before anything": {func(e *evil) { e.send(wire.Frame{Type: wire.FrameProof, Body: []byte{1}}) }, wire.CodeUnexpected},
		"a hello of another kind": {func(e *evil) { e.send(changed(e.hello(), wire.KindHop)) }, wire.CodeUnexpected},
		"an answer from the peer": {func(e *evil) { e.send(e.hello(), wire.Frame{Type: wire.FrameAnswer}) }, wire.CodeUnexpected},
		"switched without accept": {func(e *evil) {
			e.send(e.hello(), wire.Frame{Type: wire.FrameSwitched, Body: (&wire.Switched{Epoch: 1}).Append(nil)})
		}, wire.CodeUnexpected},
		"a proof that proves nothing": {func(e *evil) {
			some := wire.Seal{Scheme: wire.SchemeEd25519, Signature: []byte{1}, Leaves: 1}
			e.send(e.hello(), wire.Frame{Type: wire.FrameProof, Body: (&wire.Proof{Seal: some, MAC: make([]byte, 32)}).Append(nil)})
		}, wire.CodeAuthenticationFailed},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, s := ends(t)
				e := &evil{t: t, end: c, lane: c.channel.Hop(0)}
				server := s.run(t, c, func(cfg *Config) { cfg.Rekeys = rekeys(c, wire.RekeyLimits{}, nil) })
				test.attack(e)
				server.wantEnd(t, test.want, 0)
			})
		})
	}
}

func (e *evil) hello() wire.Frame {
	body, err := newInitiator(e.channel).Hello()
	must(e.t, err)
	return wire.Frame{Type: wire.FrameHello, Body: body}
}

func changed(f wire.Frame, k wire.Kind) wire.Frame {
	h, err := wire.ParseHello(f.Body)
	if err != nil {
		panic(fmt.Sprint(err))
	}
	h.Kind = k
	return wire.Frame{Type: f.Type, Body: h.Append(nil)}
}

// A relay that asks for the next rekeying in the same breath in which it ends one is not forgotten.
func TestAskedRightBehindSwitched(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e, client := againstRekeying(t, wire.RekeyLimits{Messages: 1 << 20, Seconds: 900})
		client.link.Rekey()
		e.rekeys()
		e.send(e.turns(), e.please())
		e.rekeys()
		e.send(e.turns())
		wantEpoch(t, 2, client)
	})
}

// A rekeying that was due while the one before was not done yet is begun then, though nothing is sent.
func TestDueMeanwhile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e, client := againstRekeying(t, wire.RekeyLimits{Messages: 1 << 20, Seconds: 10})
		client.link.Rekey()
		e.rekeys()
		switched := e.turns()
		time.Sleep(15 * time.Second) // virtual
		e.send(switched)
		e.rekeys()
		e.send(e.turns())
		wantEpoch(t, 2, client)
	})
}

// againstRekeying is an honest peer, and a relay that rekeys when the test says so.
func againstRekeying(t *testing.T, limits wire.RekeyLimits) (*evil, *side) {
	t.Helper()
	c, s := ends(t)
	who := rekeys(c, limits, nil)
	who.Known = who.Other
	late := time.AfterFunc(10*time.Minute, func() { s.conn.Close(wire.CodeTimeout) }) // virtual
	t.Cleanup(func() { late.Stop() })
	return &evil{t: t, end: s, lane: s.channel.Hop(0), other: who.Acquaintance}, c.run(t, s, func(cfg *Config) { cfg.Rekeys = rekeys(s, limits, nil) })
}

// rekeys answers a rekeying up to the peer's switched.
func (e *evil) rekeys() {
	e.t.Helper()
	_, _, err := Respond(e.t.Context(), OnStream{e.end.control}, Response{Acquaintance: e.other,
		Config:  e.channel.Rekeying(wire.Credentials{Chain: [][]byte{{1}}}, wire.RekeyLimits{Messages: 1 << 20, Seconds: 900}),
		Context: func(*wire.Hello) (string, error) { return "", nil },
		Admit: func(_ context.Context, _ *Other, h *wire.Hello) ([]byte, error) {
			return wire.AppendConversationParameters(nil, h.Limits), nil
		},
		Seal: func(ctx context.Context, th3 []byte) (wire.Seal, error) {
			return SealHandshake(ctx, e.sealer, wire.PurposeResponder, th3, false)
		}})
	must(e.t, err)
	f, err := e.end.control.ReadFrame()
	must(e.t, err)
	must(e.t, e.channel.Switched(f.Body))
}

// turns is the relay's switched.
func (e *evil) turns() wire.Frame {
	body, err := e.channel.Switch()
	must(e.t, err)
	return wire.Frame{Type: wire.FrameSwitched, Body: body}
}

func (e *evil) please() wire.Frame {
	body, err := e.channel.Please()
	must(e.t, err)
	return wire.Frame{Type: wire.FrameRekeyPlease, Body: body}
}

// A session that never began leaves nothing behind that still wants new keys for it.
func TestDiscard(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := ends(t)
		limits := wire.RekeyLimits{Messages: 1, Seconds: 1}
		s := &side{end: server}
		s.link = New(Config{Conn: server.conn, Control: server.control, Channel: server.channel, Role: server.role, Other: client.key.signer(),
			Sealer: server.sealer, Verifier: seal.NewVerifier(16), Rekeys: rekeys(client, limits, nil)}, s)
		s.link.Discard()
		if s.link.rekeyer.timer.Stop() {
			t.Error("the rekeyer's timer runs")
		}
		time.Sleep(time.Minute) // virtual
		server.conn.Close(wire.CodeBye)
		if f, err := client.control.ReadFrame(); err == nil {
			t.Errorf("the other side is sent a %v frame", f.Type)
		}
	})
}
