package systemtest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/cardtest"
	"sinete/cardauth/softcard"
	"sinete/internal/trialpki"
	"sinete/peer"
	"sinete/relay"
	"sinete/relay/flow"
	"sinete/transport"
	"sinete/transport/channel"
	"sinete/wire"
)

// Low may not write up, high may write down; both learn which machine the other speaks from.
func TestNoWriteUp(t *testing.T) {
	leakFree(t)
	w := newWorld(t, nil, nil)
	low, high := w.card("low"), w.card("high")
	w.grants(w.identity(low), wire.Level{Rank: 1}, false)
	w.grants(w.identity(high), wire.Level{Rank: 2, Compartments: []string{"crypto"}}, false)
	lowly, mighty := w.login(low), w.login(high)
	if lowly.Level().Rank != 1 || listed(t, mighty, lowly).Send != true || listed(t, lowly, mighty).Send != false {
		t.Fatalf("low of level %v sees %+v", lowly.Level(), listed(t, lowly, mighty))
	}
	up, down := connect(t, lowly, mighty)
	if up.MayWrite || !up.OtherMay || !down.MayWrite || down.OtherMay {
		t.Fatal("the ends disagree about who may write")
	}
	if m := next[*peer.MachineStatement](t, up); m.Description != "a test machine" {
		t.Errorf("low was told of the machine: %+v", m)
	}
	if m := next[*peer.MachineStatement](t, down); m.Description != "" || m.Known != peer.MachineNew {
		t.Errorf("a closed direction brought %+v, not a hash alone", m)
	}
	before := lowly.Signatures()
	_, err := up.Send(t.Context(), "psst")
	refused(t, err, wire.CodeFlowDenied)
	if lowly.Signatures() == before {
		t.Error("the refused request was not sealed")
	}
	talk(t, down, up, "an order", "and another")
	must(t, up.Disconnect(t.Context()))
	over(t, down, wire.CodePeerLeft, 0)
}

// Where neither may write there is no conversation.
func TestFlowForbidsConversation(t *testing.T) {
	leakFree(t)
	w := newWorld(t, nil, func(c *relay.Config) { c.Flow = flow.Equal })
	low, high := w.card("low"), w.card("high")
	w.grants(w.identity(high), wire.Level{Rank: 2}, false)
	a, b := w.login(low), w.login(high)
	_, err := a.Connect(t.Context(), listed(t, a, b).ID, nil)
	refused(t, err, wire.CodeFlowDenied)
	_, err = b.Connect(t.Context(), listed(t, b, a).ID, nil)
	refused(t, err, wire.CodeFlowDenied)
}

// Every suite carries both channels; the stronger side's wish does not win over what both offer.
func TestSuites(t *testing.T) {
	leakFree(t)
	w := newWorld(t, nil, nil)
	bob := w.login(w.card("bob"))
	for _, suite := range channel.Suites() {
		t.Run(suite.String(), func(t *testing.T) {
			cfg := w.config(w.card("alice"))
			cfg.Suites = []wire.Suite{suite}
			alice, err := peer.Login(t.Context(), cfg)
			must(t, err)
			a, err := alice.Connect(t.Context(), listed(t, alice, bob).ID, nil)
			must(t, err)
			b := sessionNext[*peer.Opened](t, bob).Conversation
			if alice.Suite() != suite || a.Suite() != suite || b.Suite() != suite {
				t.Errorf("negotiated %v on the hop, %v and %v in the conversation", alice.Suite(), a.Suite(), b.Suite())
			}
			talk(t, a, b, "there")
			talk(t, b, a, "and back")
			must(t, alice.Close(t.Context()))
		})
	}
}

// Without a common suite the other person's list comes back, so that one can choose again.
func TestNoCommonSuite(t *testing.T) {
	leakFree(t)
	w := newWorld(t, nil, func(c *relay.Config) { c.Suites = channel.Suites()[:4] })
	modern, old := w.config(w.card("alice")), w.config(w.card("bob"))
	modern.Suites, old.Suites = channel.Suites()[:2], channel.Suites()[2:4]
	alice, bob := w.loginWith(modern), w.loginWith(old)
	_, err := alice.Connect(t.Context(), listed(t, alice, bob).ID, nil)
	if r := refused(t, err, wire.CodeSuiteUnsupported); len(r.Suites) != 2 || r.Suites[0] != old.Suites[0] || r.Suites[1] != old.Suites[1] {
		t.Errorf("told of the suites %v", r.Suites)
	}
	a, err := alice.Connect(t.Context(), listed(t, alice, bob).ID, old.Suites[:1])
	must(t, err)
	talk(t, a, sessionNext[*peer.Opened](t, bob).Conversation, "with the suite chosen again")

	ancient := w.config(w.card("carol"))
	ancient.Suites = channel.Suites()[4:]
	turnedAway(t, tryLogin(t, ancient), wire.CodeSuiteUnsupported)
}

// A card that delegates signs once in a session; a relay can insist on the card itself.
func TestDelegatedSigning(t *testing.T) {
	leakFree(t)
	w := newWorld(t, nil, nil)
	card := cardtest.NewFake(w.card("alice"), 0)
	cfg := w.config(card)
	cfg.Sign = peer.SignDelegated
	alice, bob := w.loginWith(cfg), w.login(w.card("bob"))
	for _, ends := range [][2]*peer.Session{{alice, bob}, {bob, alice}} { // the delegation travels in hello, and in answer
		asking, asked := connect(t, ends[0], ends[1])
		a, b := asking, asked
		if ends[0] == bob {
			a, b = b, a
		}
		if !b.Delegated() || a.Delegated() || alice.Signing() != peer.SignDelegated {
			t.Error("the other person is not told that a delegated key seals")
		}
		talk(t, a, b, "by proxy")
		talk(t, b, a, "by card")
		must(t, asking.Disconnect(t.Context()))
		sessionNext[*peer.Opened](t, ends[0]) // one's own
	}
	if n := card.Signatures(); n != 1 {
		t.Errorf("the card signed %d times", n)
	}
}

func TestCardOnlyRelay(t *testing.T) {
	leakFree(t)
	w := newWorld(t, nil, func(c *relay.Config) { c.CardOnly = true })
	cfg := w.config(w.card("alice"))
	cfg.Sign = peer.SignDelegated
	turnedAway(t, tryLogin(t, cfg), wire.CodeSigningRefused)
	cfg.Sign = peer.SignCard
	w.loginWith(cfg)
}

// A relay that is not the one meant gets nothing from the card.
func TestWrongRelay(t *testing.T) {
	elsewhere, err := trialpki.New(trialpki.Options{})
	must(t, err)
	long := time.Now().Add(-48 * time.Hour)
	for name, c := range map[string]struct {
		issue  func(w *world) (*trialpki.Issued, error)
		inTLS  bool // else only in the hop's handshake
		number wire.Code
	}{
		"another name": {func(w *world) (*trialpki.Issued, error) {
			return w.pki.IssueRelay(trialpki.Relay{Names: []string{"other.example"}})
		}, true, wire.CodeCertificateInvalid},
		"a person": {func(w *world) (*trialpki.Issued, error) {
			return w.pki.IssuePerson(trialpki.Person{Name: "mallory", Edit: func(c *x509.Certificate) { c.DNSNames = []string{relayName} }})
		}, true, wire.CodeCertificateInvalid},
		"a person, behind TLS": {func(w *world) (*trialpki.Issued, error) {
			return w.pki.IssuePerson(trialpki.Person{Name: "mallory", Edit: func(c *x509.Certificate) { c.DNSNames = []string{relayName} }})
		}, false, wire.CodeCertificateInvalid},
		"another authority": {func(*world) (*trialpki.Issued, error) {
			return elsewhere.IssueRelay(trialpki.Relay{Names: []string{relayName}})
		}, true, wire.CodeCertificateInvalid},
		"another authority, behind TLS": {func(*world) (*trialpki.Issued, error) {
			return elsewhere.IssueRelay(trialpki.Relay{Names: []string{relayName}})
		}, false, wire.CodeCertificateInvalid},
		"expired": {func(w *world) (*trialpki.Issued, error) {
			return w.pki.IssueRelay(trialpki.Relay{Names: []string{relayName}, NotBefore: long, NotAfter: long.Add(time.Hour)})
		}, true, wire.CodeCertificateExpired},
	} {
		t.Run(name, func(t *testing.T) {
			leakFree(t)
			w := newWorld(t, nil, nil)
			issued, err := c.issue(w)
			must(t, err)
			card := cardtest.NewFake(w.card("alice"), 0)
			cfg := w.relayWith(issued, c.inTLS).config(card)
			cfg.Policy = w.policy
			err = tryLogin(t, cfg)
			certificate, ok := errors.AsType[*cardauth.CertificateError](err)
			if !ok || certificate.Number != c.number {
				t.Errorf("%v (%T) where the relay's certificate is to blame with %v", err, err, c.number)
			}
			if _, ok := errors.AsType[*transport.ServerCertificateError](err); ok != c.inTLS {
				t.Errorf("%T where the certificate was wrong in TLS: %v", err, c.inTLS)
			}
			if card.Signatures() != 0 {
				t.Error("the card signed for the wrong relay")
			}
		})
	}
}

// relayWith starts a second relay, which trusts whom w does and has another certificate: in TLS too, or only behind it.
func (w *world) relayWith(issued *trialpki.Issued, inTLS bool) *world {
	w.t.Helper()
	card, err := softcard.FromKey(issued.Key, issued.Chain, wire.SchemeP256)
	must(w.t, err)
	shown := issued
	if !inTLS {
		shown, err = w.pki.IssueRelay(trialpki.Relay{Names: []string{relayName}})
		must(w.t, err)
	}
	return newWorld(w.t, nil, func(c *relay.Config) {
		c.Card, c.Policy = card, w.policy
		c.Certificate = tls.Certificate{Certificate: shown.Chain, PrivateKey: shown.Key, Leaf: shown.Certificate}
	})
}

// Asking for a relay by a name that it does not have stops before the login.
func TestWrongRelayName(t *testing.T) {
	leakFree(t)
	w := newWorld(t, nil, nil)
	cfg := w.config(w.card("alice"))
	cfg.RelayName = "relay.example.evil.example"
	if _, ok := errors.AsType[*transport.ServerCertificateError](tryLogin(t, cfg)); !ok {
		t.Error("a wrong name was not noticed")
	}
}

// An expired card is refused by its owner's own program, and by the relay where that one's clock lies.
func TestExpiredCard(t *testing.T) {
	leakFree(t)
	w := newWorld(t, nil, nil)
	long := time.Now().Add(-48 * time.Hour)
	issued, err := w.pki.IssuePerson(trialpki.Person{Name: "alice", NotBefore: long, NotAfter: long.Add(2 * time.Hour)})
	must(t, err)
	card, err := softcard.FromKey(issued.Key, issued.Chain, wire.SchemeP256)
	must(t, err)
	cfg := w.config(card)
	if own, ok := errors.AsType[*peer.OwnCertificateError](tryLogin(t, cfg)); !ok || wire.CodeOf(own.Err) != wire.CodeCertificateExpired {
		t.Errorf("one's own expired card: %v", own)
	}
	// A clock that is slow takes the card, and a relay whose certificate is as old. The relay's own clock does not.
	old, err := w.pki.IssueRelay(trialpki.Relay{Names: []string{relayName}, NotBefore: long})
	must(t, err)
	cfg = w.relayWith(old, true).config(card)
	cfg.Policy = &cardauth.Policy{Anchors: w.policy.Anchors, Revocation: cardauth.RevocationOff,
		Now: func() time.Time { return long.Add(time.Hour) }}
	turnedAway(t, tryLogin(t, cfg), wire.CodeCertificateExpired)
}

// The longest text arrives whole; one byte more, nothing, and bytes that are no text are refused before they are queued.
func TestTextsThatDoNotFit(t *testing.T) {
	leakFree(t)
	w := newWorld(t, nil, nil)
	w.grants(w.identity(w.card("alice")), longestLevel(), false)
	alice, bob := w.login(w.card("alice")), w.login(w.card("bob"))
	a, b := connect(t, alice, bob)
	for text, number := range map[string]wire.Code{
		strings.Repeat("a", wire.MaxText+1): wire.CodeLimitExceeded,
		"":                                  wire.CodeMalformed,
		"\xff":                              wire.CodeMalformed,
	} {
		if _, err := a.Send(context.Background(), text); err == nil || wire.CodeOf(err) != number {
			t.Errorf("a text of %d bytes: %v", len(text), err)
		}
	}
	talk(t, a, b, strings.Repeat("a", wire.MaxText), "ok")
}

// longestLevel leaves the least room for text.
func longestLevel() wire.Level {
	l := wire.Level{Rank: 65535}
	for i := range wire.MaxCompartments {
		l.Compartments = append(l.Compartments, string(rune('a'+i))+strings.Repeat("z", wire.MaxCompartment-1))
	}
	return l
}
