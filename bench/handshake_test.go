package bench

import (
	"context"
	"crypto/x509"
	"slices"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/cardauth/softcard"
	"sinete/internal/link"
	"sinete/internal/trialpki"
	"sinete/transport/channel"
	"sinete/wire"
)

// pipe carries frames between both sides of a handshake in memory.
type pipe struct{ out, in chan wire.Frame }

func newPipe() (a, b pipe) {
	there, back := make(chan wire.Frame, 1), make(chan wire.Frame, 1)
	return pipe{there, back}, pipe{back, there}
}

func (p pipe) Send(_ context.Context, f wire.Frame) error {
	p.out <- wire.Frame{Type: f.Type, Body: slices.Clone(f.Body)}
	return nil
}

func (p pipe) Receive(ctx context.Context) (wire.Frame, error) {
	select {
	case f := <-p.in:
		return f, nil
	case <-ctx.Done():
		return wire.Frame{}, ctx.Err()
	}
}

const relayName = "relay.example"

// world is who takes part in the handshakes.
type world struct {
	policy *cardauth.Policy
	pki    *trialpki.World
}

func newWorld(b *testing.B) *world {
	pki, err := trialpki.New(trialpki.Options{})
	check(b, err)
	return &world{pki: pki, policy: &cardauth.Policy{Anchors: []*x509.Certificate{pki.Root.Certificate}, Revocation: cardauth.RevocationOff}}
}

// side is a card and what the other side needs to verify it.
type side struct {
	card     cardauth.Card
	digest   [32]byte
	verifier *seal.Verifier
}

func newSide(b *testing.B, issued *trialpki.Issued, err error) *side {
	check(b, err)
	card, err := softcard.FromKey(issued.Key, issued.Chain, 0)
	check(b, err)
	return &side{card, wire.SignerHash(issued.Certificate.Raw, nil), seal.NewVerifier(16)}
}

func (w *world) person(b *testing.B, name string, key trialpki.KeyType) *side {
	issued, err := w.pki.IssuePerson(trialpki.Person{Name: name, Key: key})
	return newSide(b, issued, err)
}

func (w *world) relay(b *testing.B, key trialpki.KeyType) *side {
	issued, err := w.pki.IssueRelay(trialpki.Relay{Names: []string{relayName}, Key: key})
	return newSide(b, issued, err)
}

// seal signs one statement as a batch of its own. Sealers pace themselves, and here only the work counts.
func (s *side) seal(ctx context.Context, p wire.Purpose, statement []byte) (wire.Seal, error) {
	leaf := seal.Leaf(p, [16]byte{}, statement)
	in := wire.SealInput{Signer: s.digest, Time: uint64(time.Now().Unix()), Leaves: 1, Root: leaf}
	signature, err := s.card.SealRoot(ctx, in)
	return wire.Seal{Scheme: s.card.Scheme(), Signature: signature, Time: in.Time, Leaves: 1}, err
}

func (w *world) acquaintance(s *side, meet func(chain, staples [][]byte) (*cardauth.Party, error)) link.Acquaintance {
	return link.Acquaintance{Verifier: s.verifier, Now: time.Now, Settle: w.policy.Settle, Meet: func(_ context.Context, c wire.Credentials) (*cardauth.Party, error) {
		return meet(c.Chain, c.Staples)
	}}
}

// handshake runs one: all shares, chains, seals and MACs of both sides.
func (w *world) handshake(ctx context.Context, kind wire.Kind, suite wire.Suite, i, r *side) error {
	config := func(s *side) channel.Config {
		return channel.Config{Kind: kind, Suites: []wire.Suite{suite}, Credentials: wire.Credentials{Chain: s.card.Chain()}}
	}
	meet, parameters := w.policy.VerifyPerson, wire.AppendConversationParameters(nil, wire.RekeyLimits{})
	initiation := link.Initiation{Config: config(i), Seal: func(ctx context.Context, th2 []byte) (wire.Seal, *wire.SealedDelegation, error) {
		s, err := i.seal(ctx, wire.PurposeInitiator, th2)
		return s, nil, err
	}}
	if kind == wire.KindHop {
		meet = func(chain, staples [][]byte) (*cardauth.Party, error) {
			return w.policy.VerifyRelay(chain, staples, relayName)
		}
		p := wire.HopParameters{Relay: relayName}
		parameters = p.Append(nil)
		initiation.Context = wire.HopContext{Relay: relayName}.Append(nil)
	} else {
		initiation.Context = wire.ConversationContext{Asking: "a@b", AskedFor: "c@d"}.Append(nil)
	}
	initiation.Acquaintance = w.acquaintance(i, meet)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	from, to := newPipe()
	responded := make(chan error, 1)
	go func() {
		_, _, err := link.Respond(ctx, to, link.Response{Config: config(r), Acquaintance: w.acquaintance(r, w.policy.VerifyPerson),
			Context: func(*wire.Hello) (string, error) { return "", nil },
			Admit:   func(context.Context, *link.Other, *wire.Hello) ([]byte, error) { return parameters, nil },
			Seal: func(ctx context.Context, th3 []byte) (wire.Seal, error) {
				return r.seal(ctx, wire.PurposeResponder, th3)
			},
		})
		if err != nil {
			cancel() // the initiator waits for nothing any more
		}
		responded <- err
	}()
	if _, _, _, err := link.Initiate(ctx, from, initiation); err != nil {
		cancel()
		if err := <-responded; err != nil {
			return err
		}
		return err
	}
	return <-responded
}

func (w *world) bench(b *testing.B, kind wire.Kind, suite wire.Suite, i, r *side) {
	b.ReportAllocs()
	for b.Loop() {
		check(b, w.handshake(b.Context(), kind, suite, i, r))
	}
}

// BenchmarkHandshakeSuite is the handshake of a hop and of a conversation under each suite, all keys P-256.
func BenchmarkHandshakeSuite(b *testing.B) {
	w := newWorld(b)
	alice, bob, relay := w.person(b, "alice", trialpki.P256), w.person(b, "bob", trialpki.P256), w.relay(b, trialpki.P256)
	for _, s := range channel.Suites() {
		b.Run("hop/"+s.String(), func(b *testing.B) { w.bench(b, wire.KindHop, s, alice, relay) })
		b.Run("conversation/"+s.String(), func(b *testing.B) { w.bench(b, wire.KindConversation, s, alice, bob) })
	}
}

// BenchmarkHandshakeKey is the same with each type of key on both sides, under the default suite.
func BenchmarkHandshakeKey(b *testing.B) {
	w := newWorld(b)
	for _, key := range trialpki.KeyTypes {
		alice, bob, relay := w.person(b, "alice", key), w.person(b, "bob", key), w.relay(b, key)
		b.Run("hop/"+string(key), func(b *testing.B) { w.bench(b, wire.KindHop, channel.Suites()[0], alice, relay) })
		b.Run("conversation/"+string(key), func(b *testing.B) { w.bench(b, wire.KindConversation, channel.Suites()[0], alice, bob) })
	}
}

// BenchmarkSoftCard signs a root with a key in a file.
func BenchmarkSoftCard(b *testing.B) {
	w := newWorld(b)
	for _, key := range trialpki.KeyTypes {
		s := w.person(b, "alice", key)
		b.Run(string(key), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, err := s.seal(b.Context(), wire.PurposeHead, []byte("a head"))
				check(b, err)
			}
		})
	}
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
