package link

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/cardtest"
	"sinete/cardauth/seal"
	"sinete/cardauth/softcard"
	"sinete/internal/trialpki"
	"sinete/transport/channel"
	"sinete/wire"
)

// country has three people with cards.
var country = sync.OnceValue(func() *trialpki.World {
	w, err := trialpki.New(trialpki.Options{})
	if err != nil {
		panic(err)
	}
	return w
})

// person counts what their card signs.
type person struct {
	card   *cardtest.Fake
	sealer *seal.Sealer
}

func newPerson(t *testing.T, name string) *person {
	t.Helper()
	issued, err := country().IssuePerson(trialpki.Person{Name: name})
	must(t, err)
	soft, err := softcard.FromKey(issued.Key, issued.Chain, 0)
	must(t, err)
	p := &person{card: cardtest.NewFake(soft, 0)}
	p.sealer = seal.NewSealer(p.card, wire.SignerHash(soft.Certificate().Raw, nil), seal.Config{})
	t.Cleanup(p.sealer.Close)
	return p
}

func (p *person) seals(t *testing.T, statements ...seal.Statement) []wire.Seal {
	t.Helper()
	seals, err := p.sealer.Seal(t.Context(), "", func() []seal.Statement { return statements })
	must(t, err)
	return seals
}

const deployment = "relay.example"

// delegates makes a key that the person's card lets seal, and its sealer.
func (p *person) delegates(t *testing.T, forRelay string, until time.Duration) (*wire.SealedDelegation, *seal.Sealer) {
	t.Helper()
	key, err := cardauth.NewDelegate(forRelay, time.Now().Add(until))
	must(t, err)
	made := &wire.SealedDelegation{Statement: key.Statement(), Seal: p.seals(t, seal.Statement{Purpose: wire.PurposeDelegation, Bytes: key.Statement()})[0]}
	sealer := seal.NewSealer(key, wire.SignerHash(p.card.Certificate().Raw, made.Statement), seal.Config{})
	t.Cleanup(sealer.Close)
	return made, sealer
}

// meeting is a handshake about to begin, between alice, who asks, and bob.
type meeting struct {
	t                   *testing.T
	alice, bob, mallory *person
	i                   Initiation
	r                   Response
	admitted            int
	altered             func(f *wire.Frame) // in transit; may be nil
}

func newMeeting(t *testing.T, kind wire.Kind) *meeting {
	t.Helper()
	m := &meeting{t: t, alice: newPerson(t, "alice"), bob: newPerson(t, "bob"), mallory: newPerson(t, "mallory")}
	policy := &cardauth.Policy{Anchors: []*x509.Certificate{country().Root.Certificate}, Revocation: cardauth.RevocationOff}
	who := Acquaintance{Verifier: seal.NewVerifier(16), Now: time.Now, Settle: policy.Settle,
		Meet: func(_ context.Context, c wire.Credentials) (*cardauth.Party, error) {
			return policy.VerifyPerson(c.Chain, c.Staples)
		}}
	config := func(p *person) channel.Config {
		return channel.Config{Kind: kind, Suites: channel.Suites(), Credentials: wire.Credentials{Chain: p.card.Chain()}}
	}
	m.i = Initiation{Config: config(m.alice), Acquaintance: who,
		Seal: func(ctx context.Context, th2 []byte) (wire.Seal, *wire.SealedDelegation, error) {
			return m.alice.seals(t, seal.Statement{Purpose: wire.PurposeInitiator, Bytes: th2})[0], nil, nil
		}}
	m.i.Config.Context = []byte("context")
	m.r = Response{Config: config(m.bob), Acquaintance: who,
		Context: func(h *wire.Hello) (string, error) {
			if string(h.Context) != "context" {
				return "", wire.Errorf(wire.CodeWrongContext, "%q", h.Context)
			}
			return deployment, nil
		},
		Admit: func(context.Context, *Other, *wire.Hello) ([]byte, error) {
			m.admitted++
			return []byte("parameters"), nil
		},
		Seal: func(ctx context.Context, th3 []byte) (wire.Seal, error) {
			return m.bob.seals(t, seal.Statement{Purpose: wire.PurposeResponder, Bytes: th3})[0], nil
		}}
	return m
}

// pipe is one side's view of two queues.
type pipe struct {
	in, out chan wire.Frame
	altered func(f *wire.Frame)
}

func (p pipe) Send(ctx context.Context, f wire.Frame) error {
	f.Body = slices.Clone(f.Body)
	if p.altered != nil {
		p.altered(&f)
	}
	p.out <- f
	return nil
}

func (p pipe) Receive(ctx context.Context) (wire.Frame, error) {
	select {
	case f := <-p.in:
		return f, nil
	case <-ctx.Done():
		return wire.Frame{}, context.Cause(ctx)
	}
}

// outcome of one side.
type outcome struct {
	channel    *channel.Channel
	other      *Other
	parameters []byte
	err        error
}

var errOtherSide = errors.New("the other side gave up")

// run lets both sides go as far as they come. Where one refuses, the other waits no longer.
func (m *meeting) run() (i, r outcome) {
	there, back := make(chan wire.Frame, 4), make(chan wire.Frame, 4)
	ctx, cancel := context.WithCancelCause(m.t.Context())
	defer cancel(nil)
	var both sync.WaitGroup
	both.Go(func() {
		i.channel, i.other, i.parameters, i.err = Initiate(ctx, pipe{back, there, m.altered}, m.i)
		if i.err != nil {
			cancel(errOtherSide)
		}
	})
	both.Go(func() {
		r.channel, r.other, r.err = Respond(ctx, pipe{there, back, m.altered}, m.r)
		if r.err != nil {
			cancel(errOtherSide)
		}
	})
	both.Wait()
	return i, r
}

// agreed is a run in which nobody may refuse.
func (m *meeting) agreed() (i, r outcome) {
	m.t.Helper()
	i, r = m.run()
	must(m.t, i.err)
	must(m.t, r.err)
	if i.channel.ID != r.channel.ID || string(i.parameters) != "parameters" {
		m.t.Errorf("channels %x and %x, parameters %q", i.channel.ID, r.channel.ID, i.parameters)
	}
	for _, pair := range []struct {
		met  *Other
		real *person
	}{{i.other, m.bob}, {r.other, m.alice}} {
		if !pair.met.Certificate.Equal(pair.real.card.Certificate()) {
			m.t.Errorf("met %s", pair.met.Name)
		}
	}
	return i, r
}

func (m *meeting) wantSignatures(alice, bob int) {
	m.t.Helper()
	if a, b := m.alice.card.Signatures(), m.bob.card.Signatures(); a != alice || b != bob {
		m.t.Errorf("%d signatures of alice's card and %d of bob's, where %d and %d were due", a, b, alice, bob)
	}
}

func TestDirectHandshake(t *testing.T) {
	for _, kind := range []wire.Kind{wire.KindHop, wire.KindConversation} {
		m := newMeeting(t, kind)
		answered := 0
		m.r.Answered = func() { answered++ }
		i, r := m.agreed()
		m.wantSignatures(1, 1)
		if i.other.Delegated || r.other.Delegated || i.other.Signer.Scheme != wire.SchemeP256 || answered != 1 {
			t.Errorf("%+v, %+v", i.other.Signer, r.other.Signer)
		}
		// Heads of the card verify from here on.
		s := seal.Statement{Purpose: wire.PurposeHead, Bytes: []byte("head")}
		must(t, m.i.Verifier.Verify(i.other.Signer, s.Purpose, s.Bytes, m.bob.seals(t, s)[0]))
	}
}

// The card signs once, for the login and the key that seals from there on.
func TestDelegationAtLogin(t *testing.T) {
	m := newMeeting(t, wire.KindHop)
	var delegated *seal.Sealer
	m.i.Seal = func(ctx context.Context, th2 []byte) (wire.Seal, *wire.SealedDelegation, error) {
		key, err := cardauth.NewDelegate(deployment, time.Now().Add(time.Hour))
		must(t, err)
		seals := m.alice.seals(t, seal.Statement{Purpose: wire.PurposeInitiator, Bytes: th2},
			seal.Statement{Purpose: wire.PurposeDelegation, Bytes: key.Statement()})
		delegated = seal.NewSealer(key, wire.SignerHash(m.alice.card.Certificate().Raw, key.Statement()), seal.Config{})
		t.Cleanup(delegated.Close)
		return seals[0], &wire.SealedDelegation{Statement: key.Statement(), Seal: seals[1]}, nil
	}
	_, r := m.agreed()
	m.wantSignatures(1, 1)
	if !r.other.Delegated || r.other.Signer.Delegation == nil {
		t.Fatalf("%+v", r.other)
	}
	s := seal.Statement{Purpose: wire.PurposeHead, Bytes: []byte("head")}
	seals, err := delegated.Seal(t.Context(), "", func() []seal.Statement { return []seal.Statement{s} })
	must(t, err)
	must(t, m.r.Verifier.Verify(r.other.Signer, s.Purpose, s.Bytes, seals[0]))
	if m.r.Verifier.Verify(r.other.Signer, s.Purpose, s.Bytes, m.alice.seals(t, s)[0]) == nil {
		t.Error("the card seals beside the key that it delegated to")
	}
}

// delegated makes alice seal with a key that signer's card let seal, and show that delegation where shown is true.
func (m *meeting) delegated(signer *person, relay string, until time.Duration, shown bool) {
	made, sealer := signer.delegates(m.t, relay, until)
	if shown {
		m.i.Credentials.Delegation = made
	}
	m.i.Seal = func(ctx context.Context, th2 []byte) (wire.Seal, *wire.SealedDelegation, error) {
		seals, err := sealer.Seal(ctx, "", func() []seal.Statement { return []seal.Statement{{Purpose: wire.PurposeInitiator, Bytes: th2}} })
		must(m.t, err)
		return seals[0], nil, nil
	}
}

// Conversations of people who have delegated cost their cards nothing.
func TestDelegatedConversation(t *testing.T) {
	m := newMeeting(t, wire.KindConversation)
	m.delegated(m.alice, deployment, time.Hour, true)
	made, sealer := m.bob.delegates(t, "another relay", time.Hour) // of which alice asks nothing
	m.r.Credentials.Delegation = made
	m.r.Seal = func(ctx context.Context, th3 []byte) (wire.Seal, error) {
		seals, err := sealer.Seal(ctx, "", func() []seal.Statement { return []seal.Statement{{Purpose: wire.PurposeResponder, Bytes: th3}} })
		return seals[0], err
	}
	i, r := m.agreed()
	m.wantSignatures(1, 1) // the delegations themselves
	if !i.other.Delegated || !r.other.Delegated {
		t.Errorf("delegated: %v, %v", i.other.Delegated, r.other.Delegated)
	}
}

// Whoever refuses, refuses before their card is asked, and what the other side has signed until then is worth nothing.
func TestRefusals(t *testing.T) {
	stranger := func(context.Context, wire.Credentials) (*cardauth.Party, error) {
		return nil, wire.Errorf(wire.CodeCertificateInvalid, "a stranger")
	}
	const alice, bob = wire.RoleInitiator, wire.RoleResponder
	for _, test := range []struct {
		name      string
		edit      func(m *meeting)
		refuser   wire.Role
		want      wire.Code
		ofA, ofB  int  // signatures of both cards, that of a delegation included
		responder bool // bob has a channel, in which nobody will speak
	}{
		{"bob does not know alice's authority", func(m *meeting) { m.r.Meet = stranger }, bob, wire.CodeCertificateInvalid, 0, 0, false},
		{"alice does not know bob's authority", func(m *meeting) { m.i.Meet = stranger }, alice, wire.CodeCertificateInvalid, 0, 0, false},
		{"another context", func(m *meeting) { m.i.Config.Context = []byte("another") }, bob, wire.CodeWrongContext, 0, 0, false},
		{"no common suite", func(m *meeting) { m.r.Suites, m.i.Suites = m.r.Suites[:1], m.i.Suites[1:] }, bob, wire.CodeSuiteUnsupported, 0, 0, false},
		{"another kind", func(m *meeting) { m.i.Kind = wire.KindHop }, bob, wire.CodeUnexpected, 0, 0, false},
		{"alice's card fails", func(m *meeting) {
			m.i.Seal = func(context.Context, []byte) (wire.Seal, *wire.SealedDelegation, error) {
				return wire.Seal{}, nil, wire.Errorf(wire.CodeInternal, "the card was pulled")
			}
		}, alice, wire.CodeInternal, 0, 0, false},
		{"mallory's card with alice's certificate", func(m *meeting) {
			m.i.Seal = func(_ context.Context, th2 []byte) (wire.Seal, *wire.SealedDelegation, error) {
				return m.mallory.seals(t, seal.Statement{Purpose: wire.PurposeInitiator, Bytes: th2})[0], nil, nil
			}
		}, bob, wire.CodeAuthenticationFailed, 0, 0, false},
		{"a seal over something else", func(m *meeting) {
			m.i.Seal = func(_ context.Context, th2 []byte) (wire.Seal, *wire.SealedDelegation, error) {
				return m.alice.seals(t, seal.Statement{Purpose: wire.PurposeInitiator, Bytes: th2[1:]})[0], nil, nil
			}
		}, bob, wire.CodeAuthenticationFailed, 1, 0, false},
		{"a seal for another purpose", func(m *meeting) {
			m.i.Seal = func(_ context.Context, th2 []byte) (wire.Seal, *wire.SealedDelegation, error) {
				return m.alice.seals(t, seal.Statement{Purpose: wire.PurposeHead, Bytes: th2})[0], nil, nil
			}
		}, bob, wire.CodeAuthenticationFailed, 1, 0, false},
		{"a scheme that does not fit alice's key", func(m *meeting) {
			m.i.Seal = func(_ context.Context, th2 []byte) (wire.Seal, *wire.SealedDelegation, error) {
				s := m.alice.seals(t, seal.Statement{Purpose: wire.PurposeInitiator, Bytes: th2})[0]
				s.Scheme = wire.SchemeRSAPSS
				return s, nil, nil
			}
		}, bob, wire.CodeAuthenticationFailed, 1, 0, false},
		{"alice is logged in already", func(m *meeting) {
			m.r.Admit = func(context.Context, *Other, *wire.Hello) ([]byte, error) {
				return nil, wire.Errorf(wire.CodeCardInUse, "already there")
			}
		}, bob, wire.CodeCardInUse, 1, 0, false},
		{"bob's seal is over something else", func(m *meeting) {
			m.r.Seal = func(_ context.Context, th3 []byte) (wire.Seal, error) {
				return m.bob.seals(t, seal.Statement{Purpose: wire.PurposeInitiator, Bytes: th3})[0], nil
			}
		}, alice, wire.CodeAuthenticationFailed, 1, 1, true},
		{"mallory's card with bob's certificate", func(m *meeting) {
			m.r.Seal = func(_ context.Context, th3 []byte) (wire.Seal, error) {
				return m.mallory.seals(t, seal.Statement{Purpose: wire.PurposeResponder, Bytes: th3})[0], nil
			}
		}, alice, wire.CodeAuthenticationFailed, 1, 0, true},
		{"mallory's delegation", func(m *meeting) { m.delegated(m.mallory, deployment, time.Hour, true) }, bob, wire.CodeAuthenticationFailed, 0, 0, false},
		{"a delegation that nobody is shown", func(m *meeting) { m.delegated(m.alice, deployment, time.Hour, false) }, bob, wire.CodeAuthenticationFailed, 1, 0, false},
		{"a delegation whose time is over", func(m *meeting) { m.delegated(m.alice, deployment, -time.Minute, true) }, bob, wire.CodeAuthenticationFailed, 1, 0, false},
		{"a delegation for longer than allowed", func(m *meeting) { m.delegated(m.alice, deployment, 13*time.Hour, true) }, bob, wire.CodeAuthenticationFailed, 1, 0, false},
		{"a delegation for another relay", func(m *meeting) { m.delegated(m.alice, "other.example", time.Hour, true) }, bob, wire.CodeWrongContext, 1, 0, false},
		{"mallory's delegation at alice's login", func(m *meeting) {
			m.i.Kind, m.r.Kind = wire.KindHop, wire.KindHop
			made, _ := m.mallory.delegates(t, deployment, time.Hour)
			own := m.i.Seal
			m.i.Seal = func(ctx context.Context, th2 []byte) (wire.Seal, *wire.SealedDelegation, error) {
				s, _, err := own(ctx, th2)
				return s, made, err
			}
		}, bob, wire.CodeAuthenticationFailed, 1, 0, false},
		{"proof before hello", func(m *meeting) {
			m.altered = func(f *wire.Frame) {
				if f.Type == wire.FrameHello {
					f.Type = wire.FrameProof
				}
			}
		}, bob, wire.CodeUnexpected, 0, 0, false},
		{"accept in the place of answer", func(m *meeting) {
			m.altered = func(f *wire.Frame) {
				if f.Type == wire.FrameAnswer {
					f.Type = wire.FrameAccept
				}
			}
		}, alice, wire.CodeUnexpected, 0, 0, false},
		{"limits altered in transit", func(m *meeting) {
			m.altered = func(f *wire.Frame) {
				if f.Type == wire.FrameHello {
					f.Body[len(f.Body)-1-len("context")] ^= 1
				}
			}
		}, bob, wire.CodeAuthenticationFailed, 1, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMeeting(t, wire.KindConversation)
			test.edit(m)
			i, r := m.run()
			refused := i.err
			if test.refuser == bob {
				refused = r.err
			}
			if wire.CodeOf(refused) != test.want || errors.Is(refused, errOtherSide) || refused == nil {
				t.Errorf("refused with %v, where %v was due; the other side says %v", refused, test.want, i.err)
			}
			if i.channel != nil || (r.channel != nil) != test.responder {
				t.Error("somebody has a channel")
			}
			m.wantSignatures(test.ofA, test.ofB)
			if !test.responder && m.admitted > 0 {
				t.Error("bob applied his rules for somebody who had not proved who they are")
			}
		})
	}
}

// What Accept does is done before the other side can have read accept.
func TestAcceptCallback(t *testing.T) {
	m := newMeeting(t, wire.KindConversation)
	sent := 0
	m.altered = func(f *wire.Frame) {
		if f.Type == wire.FrameAccept {
			sent++
		}
	}
	full := wire.Errorf(wire.CodeBusy, "no place is left")
	m.r.Accept = func(ch *channel.Channel, o *Other, send func() error) error {
		if sent > 0 || ch == nil || o == nil {
			t.Error("accept is under way before its callback")
		}
		return full
	}
	i, r := m.run()
	if r.err != full || i.channel != nil || sent > 0 {
		t.Errorf("%v, sent %d times", r.err, sent)
	}
}

// A stranger is not worth a question to anybody: the responder settles once the proof has been verified, the initiator before its card signs.
func TestSettlingHasItsPlace(t *testing.T) {
	refusal := wire.Errorf(wire.CodeCertificateRevoked, "revoked")
	t.Run("after the proof", func(t *testing.T) {
		m := newMeeting(t, wire.KindConversation)
		settled := 0
		m.r.Settle = func(context.Context, *cardauth.Party) error { settled++; return refusal }
		_, r := m.run()
		if err := r.err; wire.CodeOf(err) != wire.CodeCertificateRevoked || settled != 1 || m.admitted != 0 {
			t.Errorf("%v; settled %d times, admitted %d", r.err, settled, m.admitted)
		}
	})
	t.Run("never without one", func(t *testing.T) {
		m := newMeeting(t, wire.KindConversation)
		m.r.Settle = func(context.Context, *cardauth.Party) error { t.Error("settled for a stranger"); return nil }
		m.altered = func(f *wire.Frame) {
			if f.Type == wire.FrameProof {
				f.Body[len(f.Body)-1] ^= 1
			}
		}
		if _, r := m.run(); wire.CodeOf(r.err) != wire.CodeAuthenticationFailed {
			t.Error(r.err)
		}
	})
	t.Run("before the card signs", func(t *testing.T) {
		m := newMeeting(t, wire.KindConversation)
		m.i.Settle = func(context.Context, *cardauth.Party) error { return refusal }
		m.i.Seal = func(context.Context, []byte) (wire.Seal, *wire.SealedDelegation, error) {
			t.Error("signed for a revoked certificate")
			return wire.Seal{}, nil, nil
		}
		if i, _ := m.run(); wire.CodeOf(i.err) != wire.CodeCertificateRevoked {
			t.Error(i.err)
		}
	})
}
