package systemtest

import (
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"sinete/cardauth"
	"sinete/cardauth/cardtest"
	"sinete/cardauth/revocation"
	"sinete/cardauth/softcard"
	"sinete/internal/trialpki"
	"sinete/peer"
	"sinete/transport"
	"sinete/wire"
)

// authorities stand in place of the network to them: in virtual time there is none.
type authorities struct {
	*trialpki.Responder
	real http.Transport

	answering sync.Mutex // what the responder says does not change under it

	mu      sync.Mutex
	down    bool
	openSSL string // address of what answers for opensslHost
	asked   int
}

const opensslHost = "openssl.example"

func (a *authorities) RoundTrip(q *http.Request) (*http.Response, error) {
	a.mu.Lock()
	a.asked++
	down, openSSL := a.down, a.openSSL
	a.mu.Unlock()
	switch {
	case down:
		return nil, errors.New("no route to the authority")
	case q.URL.Host == opensslHost:
		there := q.Clone(q.Context())
		there.URL.Host = openSSL
		return a.real.RoundTrip(there)
	}
	out := httptest.NewRecorder()
	a.answering.Lock()
	defer a.answering.Unlock()
	a.ServeHTTP(out, q)
	return out.Result(), nil
}

func (a *authorities) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

func (a *authorities) setDown(down bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = down
}

func (a *authorities) setOpenSSL(address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.openSSL = address
}

// become has an authority say something else from now on.
func (a *authorities) become(w *world, make func(w *world, a *authorities)) {
	a.answering.Lock()
	defer a.answering.Unlock()
	make(w, a)
}

const bound = 15 * time.Minute

// asking is a policy of somebody of their own: what one has learned, another has not.
func (w *world) asking(a *authorities, grace time.Duration) *cardauth.Policy {
	w.t.Helper()
	k, err := revocation.New(revocation.Config{Transport: a, Grace: grace})
	must(w.t, err)
	return &cardauth.Policy{Anchors: []*x509.Certificate{w.pki.Root.Certificate}, Revocation: k}
}

// revocable has the relay ask, or not; people do by configOf.
func (w *world) revocable(relayAsks bool, grace time.Duration) *authorities {
	w.t.Helper()
	responder, err := w.pki.Responder()
	must(w.t, err)
	a := &authorities{Responder: responder, real: http.Transport{DisableKeepAlives: true}}
	if relayAsks {
		w.stop()
		w.relay.Policy = w.asking(a, grace)
		w.start()
	}
	return a
}

// askingConfig is the configuration of somebody who asks.
func (w *world) askingConfig(c cardauth.Card, a *authorities) peer.Config {
	cfg := w.config(c)
	cfg.Policy = w.asking(a, 0)
	return cfg
}

// statuses are what an authority can say of a card, and what must come of it.
var statuses = map[string]struct {
	make func(w *world, a *authorities)
	want wire.Code
}{
	"good":                  {func(*world, *authorities) {}, wire.CodeBye},
	"revoked":               {func(w *world, _ *authorities) { w.revokes("bob", ocsp.KeyCompromise) }, wire.CodeCertificateRevoked},
	"suspended":             {func(w *world, _ *authorities) { w.revokes("bob", ocsp.CertificateHold) }, wire.CodeCertificateRevoked},
	"its authority revoked": {func(w *world, _ *authorities) { w.revokes("card-ca", ocsp.CACompromise) }, wire.CodeCertificateRevoked},
	"unknown":               {func(w *world, a *authorities) { a.Edit = func(r *ocsp.Response) { r.Status = ocsp.Unknown } }, wire.CodeRevocationUnknown},
	"expired": {func(w *world, a *authorities) {
		a.Edit = func(r *ocsp.Response) {
			r.ThisUpdate, r.NextUpdate = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		}
	}, wire.CodeRevocationUnknown},
	"of the future": {func(w *world, a *authorities) {
		a.Edit = func(r *ocsp.Response) { r.ThisUpdate = time.Now().Add(time.Hour) }
	}, wire.CodeRevocationUnknown},
	"signed by another card holder": {func(w *world, a *authorities) {
		other, err := w.pki.IssuePerson(trialpki.Person{Name: "mallory"})
		must(w.t, err)
		w.revokes("bob", ocsp.KeyCompromise)
		a.Signer, a.Edit = other, func(r *ocsp.Response) { r.Status = ocsp.Good }
	}, wire.CodeRevocationUnknown},
	"not to be had": {func(_ *world, a *authorities) { a.setDown(true) }, wire.CodeRevocationUnknown},
}

func (w *world) revokes(name string, reason int) {
	w.t.Helper()
	_, err := w.pki.Revoke(name, reason)
	must(w.t, err)
}

func TestStatusAtLogin(t *testing.T) {
	for name, s := range statuses {
		t.Run(name, func(t *testing.T) {
			simulated(t, nil, func(t *testing.T, w *world) {
				a := w.revocable(true, 0)
				// Lists would know better than some of these answers.
				bob := w.cardWithoutList("bob")
				a.become(w, s.make)
				cfg := w.config(bob) // Bob's own program does not ask: a thief's would not either
				if s.want == wire.CodeBye {
					w.loginWith(cfg)
					return
				}
				turnedAway(t, tryLogin(t, cfg), s.want)
			})
		})
	}
}

// cardWithoutList is a card of which only the responder speaks.
func (w *world) cardWithoutList(name string) cardauth.Card {
	w.t.Helper()
	return w.cardWith(name, func(c *x509.Certificate) { c.CRLDistributionPoints = nil })
}

func (w *world) cardWith(name string, edit func(c *x509.Certificate)) cardauth.Card {
	w.t.Helper()
	issued, err := w.pki.IssuePerson(trialpki.Person{Name: name, Edit: edit})
	must(w.t, err)
	c, err := softcard.FromKey(issued.Key, issued.Chain, wire.SchemeP256)
	must(w.t, err)
	return c
}

// A relay that does not care, or is in league: the person at the other end asks too, whichever side of the handshake they are on.
func TestStatusInAConversation(t *testing.T) {
	for name, s := range statuses {
		if name == "its authority revoked" { // and Alice's too
			continue
		}
		for _, bobBegins := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				simulated(t, nil, func(t *testing.T, w *world) {
					a := w.revocable(false, 0)
					alice := w.loginWith(w.askingConfig(w.card("alice"), a))
					bob := w.login(w.cardWithoutList("bob"))
					a.become(w, s.make)
					from, to := alice, bob
					if bobBegins {
						from, to = bob, alice
					}
					c, err := from.Connect(t.Context(), listed(t, from, to).ID, nil)
					if s.want == wire.CodeBye {
						must(t, err)
						sendText(t, c, "Bom dia")
						return
					}
					if wire.CodeOf(err) != s.want {
						t.Errorf("%v, want %v", err, s.want)
					}
				})
			})
		}
	}
}

// A relay whose certificate does not hold gets no signature of anybody's card.
func TestRevokedRelayGetsNoSignature(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		a := w.revocable(false, 0)
		w.revokes(relayName, ocsp.KeyCompromise)
		card := cardtest.NewFake(w.card("alice"), 0)
		err := tryLogin(t, w.askingConfig(card, a))
		if wire.CodeOf(err) != wire.CodeCertificateRevoked || card.Signatures() != 0 {
			t.Errorf("%v after %d signatures", err, card.Signatures())
		}
	})
}

// Each side shows answers about itself, so that the other asks nobody about it.
func TestStaplesSpareTheOthersTheAsking(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		a := w.revocable(true, 0)
		silent := &authorities{Responder: a.Responder, down: true}
		cfg := w.askingConfig(w.card("alice"), a)
		alice := w.loginWith(cfg)
		before := a.count()
		// Bob can reach no authority at all, and so shows nothing of himself: the relay asks. What he must know he is shown.
		bob := w.loginWith(w.askingConfig(w.card("bob"), silent))
		if a.count() == before {
			t.Error("the relay took a card that showed nothing")
		}
		connect(t, bob, alice)
	})
}

func TestRevokedInMidSession(t *testing.T) {
	for name, relayAsks := range map[string]bool{"the relay asks": true, "only the people ask": false} {
		t.Run(name, func(t *testing.T) {
			simulated(t, nil, func(t *testing.T, w *world) {
				a := w.revocable(relayAsks, 0)
				alice, bob := w.loginWith(w.askingConfig(w.card("alice"), a)), w.loginWith(w.config(w.card("bob")))
				carla, duarte := w.loginWith(w.askingConfig(w.card("carla"), a)), w.loginWith(w.askingConfig(w.card("duarte"), a))
				ab, ba := connect(t, alice, bob)
				cd, dc := connect(t, carla, duarte)
				for range 3 {
					sendText(t, ba, "de mim")
				}
				nextThat(t, ab, func(m *peer.Message) bool { return m.Number == 2 })
				w.revokes("bob", ocsp.KeyCompromise)
				revokedAt := time.Now()
				closed := lastOf(t, ab)
				if closed.Number != wire.CodeCertificateRevoked || closed.Verified == nil || *closed.Verified != 2 {
					t.Errorf("%+v", closed)
				}
				if took := time.Since(revokedAt); took > bound+10*time.Second {
					t.Errorf("noticed after %v", took)
				}
				if other := lastOf(t, ba); other.Number != wire.CodeCertificateRevoked {
					t.Errorf("Bob is told %v", other.Number)
				}
				if found := ab.Shown(); !found.Asked || !relayAsks && found.Found != wire.CodeCertificateRevoked {
					t.Errorf("Alice has found %+v", found)
				}
				if found := ba.Shown(); found.Asked || found.Found != 0 {
					t.Errorf("Bob has found %+v", found)
				}
				if relayAsks {
					<-bob.Done()
					w.login(w.card("bob")) // a new card is another one
				}
				if _, err := alice.Queue(bob.Identity(), "para depois"); err != nil {
					t.Errorf("what Alice writes is not kept: %v", err)
				}
				// The others noticed nothing.
				sendText(t, cd, "ainda aqui")
				next[*peer.Message](t, dc)
			})
		})
	}
}

// lastOf is the end of a conversation, however long it takes to come.
func lastOf(t *testing.T, c *peer.Conversation) *peer.Closed {
	t.Helper()
	for {
		e, err := c.Next(t.Context())
		must(t, err)
		if closed, ok := e.(*peer.Closed); ok {
			return closed
		}
	}
}

// A relay whose certificate is revoked while it runs loses its people, who ask for themselves.
func TestRelayRevokedInMidSession(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		a := w.revocable(false, 0)
		alice := w.loginWith(w.askingConfig(w.card("alice"), a))
		w.revokes(relayName, ocsp.KeyCompromise)
		at := time.Now()
		<-alice.Done()
		if took := time.Since(at); took > bound+10*time.Second {
			t.Errorf("noticed after %v", took)
		}
		e, err := alice.Next(t.Context())
		must(t, err)
		if closed, ok := e.(*peer.SessionClosed); !ok || wire.CodeOf(closed.Err) != wire.CodeCertificateRevoked {
			t.Errorf("%+v", e)
		}
	})
}

// Where the authorities fall silent a session goes on for as long as the last answer counts, by the policy.
func TestAuthoritiesFallSilentInMidSession(t *testing.T) {
	const life = time.Hour // of the trial responder's answers
	for name, c := range map[string]struct{ grace, atLeast, atMost time.Duration }{
		"hard":  {0, life - bound, life + bound},
		"grace": {4 * time.Hour, life + 4*time.Hour - bound, life + 4*time.Hour + bound},
	} {
		t.Run(name, func(t *testing.T) {
			simulated(t, nil, func(t *testing.T, w *world) {
				a := w.revocable(true, c.grace)
				alice := w.login(w.card("alice"))
				a.setDown(true)
				silent := time.Now()
				<-alice.Done()
				if took := time.Since(silent); took < c.atLeast || took > c.atMost {
					t.Errorf("ended after %v", took)
				}
				e, err := alice.Next(t.Context())
				must(t, err)
				closed, ok := e.(*peer.SessionClosed)
				if end, is := errors.AsType[*transport.CloseError](closed.Err); !ok || !is || end.Number != wire.CodeRevocationUnknown {
					t.Errorf("%+v", e)
				}
			})
		})
	}
}

// The same against stock openssl: at login, in a conversation and in mid-session.
func TestStatusByOpenSSL(t *testing.T) {
	leakFree(t)
	w := newWorld(t, nil, nil)
	w.relay.Recheck = 200 * time.Millisecond
	bob := w.cardWith("bob", func(c *x509.Certificate) {
		c.OCSPServer, c.CRLDistributionPoints = []string{"http://" + opensslHost}, nil
	})
	issue := func(name string, usage ...x509.ExtKeyUsage) *trialpki.Issued {
		issued, err := w.pki.IssuePerson(trialpki.Person{Name: name, Edit: func(c *x509.Certificate) { c.ExtKeyUsage = usage }})
		must(t, err)
		return issued
	}
	answering := func(signer *trialpki.Issued, line string) string {
		o := cardtest.OpenSSL{Address: cardtest.FreeAddress(t), CA: w.pki.Authentication.Certificate, Signer: signer.Certificate,
			SignerKey: signer.Key, Index: []string{line}, Args: []string{"-ndays", "1"}}
		o.Start(t)
		return o.Address
	}
	responder := issue("responder", x509.ExtKeyUsageOCSPSigning)
	good := answering(responder, cardtest.Valid(bob.Certificate()))
	revoked := answering(responder, cardtest.Revoked(bob.Certificate(), "keyCompromise"))
	forged := answering(issue("mallory"), cardtest.Valid(bob.Certificate()))

	// Another card holder's word counts for nothing, with the relay and between people.
	a := w.revocable(true, 0)
	a.setOpenSSL(forged)
	turnedAway(t, tryLogin(t, w.config(bob)), wire.CodeRevocationUnknown)
	for _, c := range []struct {
		address string
		want    wire.Code
	}{{forged, wire.CodeRevocationUnknown}, {revoked, wire.CodeCertificateRevoked}} {
		w.stop()
		w.relay.Policy = w.policy // asks nobody
		w.start()
		a.setOpenSSL(c.address)
		alice, session := w.loginWith(w.askingConfig(w.card("alice"), a)), w.login(bob)
		if _, err := alice.Connect(t.Context(), listed(t, alice, session).ID, nil); wire.CodeOf(err) != c.want {
			t.Errorf("a conversation with him: %v, want %v", err, c.want)
		}
		must(t, alice.Close(t.Context()))
		must(t, session.Close(t.Context()))
	}

	a = w.revocable(true, 0)
	a.setOpenSSL(good)
	alice, session := w.loginWith(w.askingConfig(w.card("alice"), a)), w.login(bob)
	c, _ := connect(t, alice, session)
	a.setOpenSSL(revoked)
	if closed := lastOf(t, c); closed.Number != wire.CodeCertificateRevoked {
		t.Errorf("%+v", closed)
	}
	<-session.Done()
	turnedAway(t, tryLogin(t, w.config(bob)), wire.CodeCertificateRevoked)
}
