package revocation

import (
	"bytes"
	"crypto/x509"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// A staple that was read before is not verified again, but whatever time can change about it is looked at each time.
func TestStaplesAreRemembered(t *testing.T) {
	r, cert := newResponder(t)
	now := time.Now()
	delegate, key := r.delegate(t, func(c *x509.Certificate) { c.NotAfter = now.Add(2 * time.Hour) })
	raw, err := ocsp.CreateResponse(r.cert, delegate, ocsp.Response{SerialNumber: cert.SerialNumber, ThisUpdate: now, NextUpdate: now.Add(30 * time.Hour),
		Certificate: delegate}, key)
	must(t, err)
	k := r.checker(nil)
	s := subject{cert, r.cert}
	first, err := k.staple(raw, s, now)
	must(t, err)
	held, ok := k.staples.get(s.with(raw))
	if _, vouched := k.responders.get(subject{delegate, r.cert}.with(nil)); !ok || !vouched {
		t.Fatal("nothing is remembered")
	}
	held.status = suspended // whoever verifies again says otherwise
	again, err := k.staple(raw, s, now.Add(time.Hour))
	must(t, err)
	if first == again || again.status != suspended || first.status != good {
		t.Errorf("%+v and %+v", first, again)
	}
	if _, err := k.staple(raw, s, now.Add(3*time.Hour)); err == nil {
		t.Error("the responder's certificate has ended, and it serves")
	}
	if _, err := k.staple(raw, s, now.Add(-3*time.Hour)); err == nil {
		t.Error("it serves before it was made")
	}
	flipped := bytes.Clone(raw)
	flipped[len(flipped)/2] ^= 1
	if a, err := k.staple(flipped, s, now); err == nil && a.status == suspended {
		t.Error("another staple is taken for it")
	}
	// The same about another issuer of the same name and key, and about another certificate, is not what was read.
	other, _ := r.issue(t, nil)
	for _, s := range []subject{{other, r.cert}, {cert, newAuthority(t).cert}} {
		if a, err := k.staple(raw, s, now); err == nil {
			t.Errorf("%+v about somebody else", a)
		}
	}
	// What another issuer never gave the right to is none of its responders, whoever else is remembered.
	stranger := newAuthority(t)
	forged, err := ocsp.CreateResponse(stranger.cert, delegate, ocsp.Response{SerialNumber: cert.SerialNumber, ThisUpdate: now,
		NextUpdate: now.Add(time.Hour), Certificate: delegate}, key)
	must(t, err)
	if _, err := k.staple(forged, subject{cert, stranger.cert}, now); err == nil {
		t.Error("a responder of another authority is taken")
	}
}

func TestMemoryForgets(t *testing.T) {
	var m memory[int]
	id := func(i int) [32]byte { return [32]byte{byte(i), byte(i >> 8)} }
	for i := range 10 * remembered {
		m.put(id(i), i)
		if _, ok := m.get(id(0)); !ok {
			t.Fatalf("what is used is forgotten after %d", i)
		}
	}
	if n := len(m.young) + len(m.old); n > remembered {
		t.Errorf("it holds %d", n)
	}
	if _, ok := m.get(id(1)); ok {
		t.Error("it forgets nothing")
	}
}

// A relay has thousands of people's staples: what they say stays, and on disk they do themselves. Authorities' stay, for one's own chain to show.
func TestPeoplesStaplesAreNotHeld(t *testing.T) {
	r, person := newResponder(t)
	r.down()
	authority, _ := r.issue(t, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })
	dir, now := t.TempDir(), time.Now()
	kept := func(c *Config) { c.Dir = dir }
	k := r.checker(kept)
	for _, cert := range []*x509.Certificate{person, authority} {
		s, staple := subject{cert, r.cert}, r.sign(ocsp.Response{SerialNumber: cert.SerialNumber})
		wants(t, "with a staple", k.Settle(t.Context(), claim(now, staple, cert, r.cert), 0), 0)
		if held, ok := k.staples.get(s.with(staple)); !ok || held.raw != nil {
			t.Errorf("of the staple %x is remembered", held.raw)
		}
		if a := k.cache.answer(s, now); a == nil || (a.raw != nil) != cert.IsCA {
			t.Errorf("of an authority: %v; the answer is %+v", cert.IsCA, a)
		}
		wants(t, "after a restart", r.checker(kept).Settle(t.Context(), claim(now, nil, cert, r.cert), 0), 0)
	}
	if shown := k.Staples(t.Context(), []*x509.Certificate{authority, r.cert}); shown[0] == nil {
		t.Error("an authority's staple that came from somebody else is not shown")
	}
}
