package revocation

import (
	"context"
	"crypto/x509"
	"errors"
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

var errDown = errors.New("no route to host")

func (r *responder) down() {
	r.serves(func(*http.Request, []byte) (*http.Response, error) { return nil, errDown })
}

func settle(t *testing.T, what string, k *Checker, r *responder, cert *x509.Certificate, within time.Duration, want wire.Code) {
	t.Helper()
	wants(t, what, k.Settle(t.Context(), claim(time.Now(), nil, cert, r.cert), within), want)
}

func TestAnswersServeAsLongAsTheyAreFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, cert := newResponder(t)
		k := r.checker(nil)
		settle(t, "first", k, r, cert, 0, 0)
		time.Sleep(DefaultRecheck/2 - time.Second)
		settle(t, "still fresh", k, r, cert, 0, 0)
		r.wantAsked(t, 1)
		settle(t, "a recheck that wants it fresher", k, r, cert, time.Minute, 0)
		r.wantAsked(t, 2)
		time.Sleep(DefaultRecheck / 2)
		r.says(ocsp.Response{Status: ocsp.Revoked, RevocationReason: ocsp.KeyCompromise, RevokedAt: time.Now()})
		settle(t, "revoked meanwhile", k, r, cert, 0, isRevoked)
		r.wantAsked(t, 3)

		// For good: nobody is asked again, and no older or newer staple helps.
		staple := r.sign(ocsp.Response{SerialNumber: cert.SerialNumber})
		wants(t, "a good staple", k.Judge(claim(time.Now(), staple, cert, r.cert)), isRevoked)
		wants(t, "none", k.Judge(claim(time.Now(), nil, cert, r.cert)), isRevoked)
		time.Sleep(30 * 24 * time.Hour)
		r.says(ocsp.Response{})
		settle(t, "a month later", k, r, cert, 0, isRevoked)
		r.wantAsked(t, 3)
	})
}

func TestSuspensionCanEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, cert := newResponder(t)
		k := r.checker(nil)
		r.says(ocsp.Response{Status: ocsp.Revoked, RevocationReason: ocsp.CertificateHold, RevokedAt: time.Now()})
		before := r.sign(ocsp.Response{SerialNumber: cert.SerialNumber, ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour)})
		settle(t, "suspended", k, r, cert, 0, isRevoked)
		wants(t, "a staple from before", k.Judge(claim(time.Now(), before, cert, r.cert)), isRevoked)
		wants(t, "no staple", k.Judge(claim(time.Now(), nil, cert, r.cert)), isRevoked)
		r.says(ocsp.Response{})
		settle(t, "asked again at once", k, r, cert, 0, isRevoked)
		r.wantAsked(t, 1)
		time.Sleep(retryAfter)
		after := r.sign(ocsp.Response{SerialNumber: cert.SerialNumber})
		wants(t, "a staple from after", k.Judge(claim(time.Now(), after, cert, r.cert)), 0)
		settle(t, "lifted", k, r, cert, 0, 0)
	})
}

func TestUnavailableResponders(t *testing.T) {
	for name, c := range map[string]struct {
		grace time.Duration
		after time.Duration // since the last good answer, which holds for an hour
		want  wire.Code
	}{
		"hard, the answer holds":        {0, 50 * time.Minute, 0},
		"hard, it has ended":            {0, time.Hour + skew + time.Minute, isUnknown},
		"grace, it has ended":           {24 * time.Hour, 24 * time.Hour, 0},
		"grace has ended as well":       {24 * time.Hour, 25*time.Hour + skew, isUnknown},
		"grace, and nothing ever known": {24 * time.Hour, -1, isUnknown},
	} {
		for _, within := range []time.Duration{0, time.Minute} { // at login, and in a session
			synctest.Test(t, func(t *testing.T) {
				r, cert := newResponder(t)
				k := r.checker(func(cfg *Config) { cfg.Grace = c.grace })
				if c.after >= 0 {
					settle(t, name, k, r, cert, 0, 0)
					time.Sleep(c.after)
				}
				r.down()
				settle(t, name, k, r, cert, within, c.want)
			})
		}
	}
}

// Grace is for a good answer that has ended. What was ever refused is not let in because nobody can be asked any more.
func TestGraceIsForGoodOnesOnly(t *testing.T) {
	for name, c := range map[string]struct {
		said ocsp.Response
		want wire.Code
	}{
		"revoked":   {ocsp.Response{Status: ocsp.Revoked, RevocationReason: ocsp.KeyCompromise}, isRevoked},
		"suspended": {ocsp.Response{Status: ocsp.Revoked, RevocationReason: ocsp.CertificateHold}, isUnknown},
		"unknown":   {ocsp.Response{Status: ocsp.Unknown}, isUnknown},
	} {
		synctest.Test(t, func(t *testing.T) {
			r, cert := newResponder(t)
			k := r.checker(func(cfg *Config) { cfg.Grace = 24 * time.Hour })
			r.says(c.said)
			k.Settle(t.Context(), claim(time.Now(), nil, cert, r.cert), 0)
			time.Sleep(2 * time.Hour)
			r.down()
			settle(t, name, k, r, cert, 0, c.want)
		})
	}
}

// A staple that has been settled serves a session while nobody can be asked, for as long as it holds.
func TestStapleServesWhileNobodyCanBeAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, cert := newResponder(t)
		r.down()
		k := r.checker(nil)
		c := claim(time.Now(), r.sign(ocsp.Response{SerialNumber: cert.SerialNumber}), cert, r.cert)
		wants(t, "at login", k.Settle(t.Context(), c, 0), 0)
		r.wantAsked(t, 0)
		time.Sleep(30 * time.Minute)
		c.Now = time.Now()
		wants(t, "rechecked", k.Settle(t.Context(), c, time.Minute), 0)
		r.wantAsked(t, 1)
		time.Sleep(time.Hour)
		c.Now = time.Now()
		wants(t, "ended", k.Settle(t.Context(), c, time.Minute), isUnknown)
	})
}

func TestOneFetchForAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, cert := newResponder(t)
		serve := r.serve
		r.serves(func(q *http.Request, body []byte) (*http.Response, error) {
			time.Sleep(time.Second)
			return serve(q, body)
		})
		k := r.checker(nil)
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { settle(t, "together", k, r, cert, 0, 0) })
		}
		// Whoever gives up does not take the answer from the others.
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		if err := k.Settle(ctx, claim(time.Now(), nil, cert, r.cert), 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		all.Wait()
		r.wantAsked(t, 1)
	})
}

func TestWhatFailedIsNotAskedAgainAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, cert := newResponder(t)
		other, _ := r.issue(t, func(c *x509.Certificate) { c.OCSPServer = cert.OCSPServer })
		says := r.serve
		k := r.checker(nil)
		r.down()
		settle(t, "down", k, r, cert, 0, isUnknown)
		settle(t, "again", k, r, cert, 0, isUnknown)
		settle(t, "another certificate there", k, r, other, 0, isUnknown)
		r.wantAsked(t, 1)
		time.Sleep(retryAfter)
		r.serves(func(*http.Request, []byte) (*http.Response, error) {
			return reply(200, "application/ocsp-response", nil), nil
		})
		settle(t, "nonsense", k, r, cert, 0, isUnknown)
		r.serves(says)
		settle(t, "again", k, r, cert, 0, isUnknown)
		settle(t, "another is not to suffer for it", k, r, other, 0, 0)
		r.wantAsked(t, 3)
		time.Sleep(retryAfter)
		settle(t, "later", k, r, cert, 0, 0)
	})
}

func TestDiskCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	r, cert := newResponder(t)
	kept := func(c *Config) { c.Dir = dir }
	settle(t, "first", r.checker(kept), r, cert, 0, 0)
	settle(t, "after a restart", r.checker(kept), r, cert, 0, 0)
	r.wantAsked(t, 1)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	must(t, err)
	if len(files) != 1 {
		t.Fatalf("%v", files)
	}
	whole, err := os.ReadFile(files[0])
	must(t, err)
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	// Damaged in any way it is ignored, and replaced.
	asked := 1
	for name, b := range map[string][]byte{
		"empty": nil, "short": whole[:5], "cut": whole[:len(whole)-1], "another signature": append(append([]byte(nil), whole[:len(whole)-1]...), whole[len(whole)-1]^1),
		"no answer": append(append([]byte(nil), whole[:8]...), "nonsense"...), "of the future": append([]byte{0, 0, 1, 0, 0, 0, 0, 0}, whole[8:]...),
	} {
		must(t, os.WriteFile(files[0], b, 0o600))
		settle(t, name, r.checker(kept), r, cert, 0, 0)
		asked++
		r.wantAsked(t, asked)
		settle(t, name+", replaced", r.checker(kept), r, cert, 0, 0)
		r.wantAsked(t, asked)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".new-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	// Who is revoked stays so, with nobody to ask.
	r.says(ocsp.Response{Status: ocsp.Revoked, RevocationReason: ocsp.KeyCompromise})
	settle(t, "revoked", r.checker(kept), r, cert, time.Nanosecond, isRevoked)
	r.down()
	settle(t, "revoked, after a restart", r.checker(kept), r, cert, 0, isRevoked)
}

func TestDiskCacheIsBounded(t *testing.T) {
	dir := t.TempDir()
	c, err := newCache(dir)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "not ours"), make([]byte, 100), 0o600))
	for i := range 10 {
		c.store(answerFile([32]byte{byte(i)}), time.Now(), make([]byte, 1000))
		at := time.Now().Add(time.Duration(i-100) * time.Minute)
		must(t, os.Chtimes(filepath.Join(dir, answerFile([32]byte{byte(i)})), at, at))
	}
	c.prune(4 * 1008)
	files, err := filepath.Glob(filepath.Join(dir, "*.ocsp"))
	must(t, err)
	if len(files) != 4 || c.onDisk != 4*1008 {
		t.Errorf("%d files of %d bytes", len(files), c.onDisk)
	}
	if _, err := os.Stat(filepath.Join(dir, answerFile([32]byte{9}))); err != nil {
		t.Errorf("the newest is gone: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "not ours")); err != nil {
		t.Error(err)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	c, err := newCache("")
	must(t, err)
	for i := range maxAnswers + 100 {
		c.keep([32]byte{byte(i), byte(i >> 8), byte(i >> 16)}, &answer{})
	}
	if len(c.answers) != maxAnswers {
		t.Errorf("%d answers", len(c.answers))
	}
}

func TestOwnStaples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, cert := newResponder(t)
		chain := []*x509.Certificate{cert, r.cert}
		k := r.checker(nil)
		own := func() []byte {
			t.Helper()
			s := k.Staples(t.Context(), chain)
			if len(s) != 2 || s[1] != nil {
				t.Fatalf("%d staples", len(s))
			}
			return s[0]
		}
		first := own()
		wants(t, "another side", r.checker(nil).Judge(claim(time.Now(), first, cert, r.cert)), 0)
		time.Sleep(20 * time.Minute)
		if string(own()) != string(first) {
			t.Error("fetched before half its time")
		}
		time.Sleep(20 * time.Minute)
		second := own()
		if string(second) == string(first) || second == nil {
			t.Error("not fetched anew after half its time")
		}
		r.down()
		time.Sleep(50 * time.Minute)
		if string(own()) != string(second) {
			t.Error("what holds is not shown while nobody can be asked")
		}
		time.Sleep(20 * time.Minute)
		if own() != nil {
			t.Error("shows what has ended")
		}
		time.Sleep(retryAfter)
		r.says(ocsp.Response{Status: ocsp.Revoked, RevocationReason: ocsp.KeyCompromise})
		if own() != nil {
			t.Error("shows that it is revoked, which helps nobody")
		}
	})
}

func TestEveryCertificateBelowTheAnchorCounts(t *testing.T) {
	r, cert := newResponder(t)
	silent := newAuthority(t)
	leaf, _ := r.issue(t, nil) // names nobody
	k := r.checker(nil)
	now := time.Now()
	wants(t, "the anchor is not asked about", k.Settle(t.Context(), claim(now, nil, cert, r.cert), 0), 0)
	wants(t, "one that names nobody", k.Settle(t.Context(), claim(now, nil, leaf, r.cert), 0), isUnknown)
	wants(t, "an authority that names nobody", k.Settle(t.Context(), claim(now, nil, cert, r.cert, silent.cert), 0), isUnknown)
	r.says(ocsp.Response{Status: ocsp.Revoked})
	wants(t, "revoked says more than unknown", r.checker(nil).Settle(t.Context(), claim(now, nil, leaf, r.cert, r.cert), 0), isUnknown)
	wants(t, "revoked says more than unknown", r.checker(nil).Settle(t.Context(), claim(now, nil, cert, r.cert, silent.cert), 0), isRevoked)
}
