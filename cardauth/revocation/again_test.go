package revocation

import (
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ocsp"

	"sinete/wire"
)

// Who was suspended is let in soon after it was lifted: judging must not refuse by what settling would ask anew.
func TestSuspendedComeBack(t *testing.T) {
	for name, status := range map[string]ocsp.Response{
		"suspended": {Status: ocsp.Revoked, RevocationReason: ocsp.CertificateHold},
		"unknown":   {Status: ocsp.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, cert := newResponder(t)
				k := r.checker(nil)
				chain := []*x509.Certificate{cert, r.cert}
				before := r.sign(ocsp.Response{SerialNumber: cert.SerialNumber, ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour)})
				r.says(status)
				if k.Settle(t.Context(), claim(time.Now(), nil, chain...), 0) == nil {
					t.Fatal("let in")
				}
				if k.Staples(t.Context(), chain)[0] != nil {
					t.Error("has something to show")
				}
				r.wantAsked(t, 1)
				r.says(ocsp.Response{})
				time.Sleep(retryAfter)
				for what, staple := range map[string][]byte{"nothing stapled": nil, "an old staple": before} {
					wants(t, what, k.Judge(claim(time.Now(), staple, chain...)), 0)
				}
				if own := k.Staples(t.Context(), chain); own[0] == nil {
					t.Error("the owner has nothing to show")
				}
				wants(t, "settled", k.Settle(t.Context(), claim(time.Now(), before, chain...), 0), 0)
				r.wantAsked(t, 2)
			})
		})
	}
}

// Revoked is for good, whatever else was said and when.
func TestRevokedCountsWhateverElseWasSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, cert := newResponder(t)
		k := r.checker(nil)
		settle(t, "good", k, r, cert, 0, 0)
		earlier := ocsp.Response{SerialNumber: cert.SerialNumber, Status: ocsp.Revoked, ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour)}
		wants(t, "a staple from before", k.Judge(claim(time.Now(), r.sign(earlier), cert, r.cert)), isRevoked)
		time.Sleep(time.Second)
		r.says(earlier) // another machine of the authority, which is some minutes behind or answers in advance
		settle(t, "an answer from before", k, r, cert, time.Nanosecond, isRevoked)
		r.says(ocsp.Response{})
		settle(t, "afterwards", k, r, cert, 0, isRevoked)
	})
}

// What a list said is not forgotten over a restart for an older answer of a responder.
func TestRevokedByAListAfterARestart(t *testing.T) {
	r, _ := newResponder(t)
	cert, _ := r.issue(t, func(c *x509.Certificate) {
		c.OCSPServer, c.CRLDistributionPoints = []string{"http://ocsp.example"}, []string{listURL}
	})
	dir := t.TempDir()
	kept := func(c *Config) { c.Dir = dir }
	settle(t, "good, says the responder", r.checker(kept), r, cert, 0, 0)
	r.serves(func(q *http.Request, _ []byte) (*http.Response, error) {
		if q.Method == http.MethodPost {
			return nil, errDown
		}
		return reply(200, "application/pkix-crl", r.crl(t, nil, entry(cert, 1))), nil
	})
	settle(t, "revoked, says the list", r.checker(kept), r, cert, time.Nanosecond, isRevoked)
	r.down()
	settle(t, "after a restart", r.checker(kept), r, cert, 0, isRevoked)
	wants(t, "judged", r.checker(kept).Judge(claim(time.Now(), nil, cert, r.cert)), wire.CodeCertificateRevoked)
}

// lists makes an authority whose responder is down, with certificates that name it and a list.
func lists(t *testing.T) (r *responder, issue func() *x509.Certificate, serve func(list []byte)) {
	r, _ = newResponder(t)
	issue = func() *x509.Certificate {
		c, _ := r.issue(t, func(c *x509.Certificate) {
			c.OCSPServer, c.CRLDistributionPoints = []string{"http://ocsp.example"}, []string{listURL}
		})
		return c
	}
	serve = func(list []byte) {
		r.serves(func(q *http.Request, _ []byte) (*http.Response, error) {
			if q.Method == http.MethodPost {
				return nil, errDown
			}
			return reply(200, "application/pkix-crl", list), nil
		})
	}
	return r, issue, serve
}

// Somebody between here and the authority may show an older list that still holds.
func TestAnOlderListTellsNothing(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		r, issue, serve := lists(t)
		first, thief := issue(), issue()
		kept := func(c *Config) { c.Dir = dir }
		k := r.checker(kept)
		serve(r.crl(t, nil, entry(thief, 1)))
		settle(t, "the list", k, r, first, 0, 0)
		if dir != "" {
			k = r.checker(kept) // restarted
		}
		serve(r.crl(t, func(l *x509.RevocationList) { l.ThisUpdate = l.ThisUpdate.Add(-time.Hour) }))
		settle(t, "an older list", k, r, first, time.Nanosecond, 0)
		settle(t, "who is on the newer one", k, r, thief, time.Nanosecond, isRevoked)
	}
}

// A list on disk says what was known last. It does not stand in place of a responder that can be asked.
func TestTheResponderIsAskedBeforeAListOnDisk(t *testing.T) {
	r, issue, serve := lists(t)
	first, thief, last := issue(), issue(), issue()
	dir := t.TempDir()
	kept := func(c *Config) { c.Dir = dir }
	serve(r.crl(t, nil))
	settle(t, "the list", r.checker(kept), r, first, 0, 0)
	k := r.checker(kept)
	r.says(ocsp.Response{Status: ocsp.Revoked})
	settle(t, "revoked since", k, r, thief, 0, isRevoked)
	// It is read once for all.
	files, err := filepath.Glob(filepath.Join(dir, "*"+listSuffix))
	must(t, err)
	for _, f := range files {
		must(t, os.Remove(f))
	}
	r.down()
	settle(t, "with nobody to ask", k, r, last, 0, 0)
}

// A list that cannot be had costs one attempt, not one for each who waits for it.
func TestAListThatFailsIsNotAskedByAllWhoWait(t *testing.T) {
	for name, fails := range map[string]func() (*http.Response, error){
		"hangs": func() (*http.Response, error) { time.Sleep(listTime); return nil, errDown },
		"giant": func() (*http.Response, error) {
			time.Sleep(listTime)
			return reply(200, "application/pkix-crl", make([]byte, maxList+1)), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, issue, _ := lists(t)
				tries := 0
				r.serves(func(q *http.Request, _ []byte) (*http.Response, error) {
					if q.Method == http.MethodPost {
						return nil, errDown
					}
					tries++
					return fails()
				})
				k := r.checker(nil)
				start := time.Now()
				var all sync.WaitGroup
				for range 10 {
					cert := issue()
					all.Go(func() { settle(t, name, k, r, cert, 0, isUnknown) })
				}
				all.Wait()
				if tries != 1 || time.Since(start) != listTime {
					t.Errorf("%d tries in %v", tries, time.Since(start))
				}
			})
		})
	}
}

// A responder that finds fault with one question is there for the others.
func TestAResponderThatRefusesOneQuestion(t *testing.T) {
	r, cert := newResponder(t)
	other, _ := r.issue(t, func(c *x509.Certificate) { c.OCSPServer = cert.OCSPServer })
	says := r.serve
	k := r.checker(nil)
	r.serves(func(*http.Request, []byte) (*http.Response, error) { return reply(404, "text/html", nil), nil })
	settle(t, "not found", k, r, cert, 0, isUnknown)
	r.serves(says)
	settle(t, "another", k, r, other, 0, 0)
}

// What was learned last counts, in whatever order it is written down.
func TestAnswersThatComeTogether(t *testing.T) {
	c, err := newCache(t.TempDir())
	must(t, err)
	r, cert := newResponder(t)
	s, now := subject{cert, r.cert}, time.Now()
	gone, err := parseOCSP(r.sign(ocsp.Response{SerialNumber: cert.SerialNumber, Status: ocsp.Revoked}), s, now)
	must(t, err)
	fine, err := parseOCSP(r.sign(ocsp.Response{SerialNumber: cert.SerialNumber}), s, now)
	must(t, err)
	gone.fetched, fine.fetched = now, now
	c.put(s, gone, gone.raw)
	if c.keep(s.id(), fine) != gone || c.put(s, fine, fine.raw) != gone {
		t.Error("what was read or fetched before takes its place")
	}
	again, err := newCache(c.dir)
	must(t, err)
	if a := again.answer(s, now); a == nil || !a.lasting() {
		t.Errorf("on disk is %v", a)
	}
}
