package revocation

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ocsp"

	"sinete/wire"
)

// A report decides as Settle does, and says what the authority said.
func TestReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		since := now.Add(-3 * time.Hour)
		for name, c := range map[string]struct {
			says ocsp.Response
			want Finding
			code wire.Code
		}{
			"good":      {ocsp.Response{Status: ocsp.Good}, Finding{Status: Good}, 0},
			"revoked":   {ocsp.Response{Status: ocsp.Revoked, RevokedAt: since, RevocationReason: ocsp.KeyCompromise}, Finding{Status: Revoked, Since: since, Reason: ocsp.KeyCompromise}, isRevoked},
			"suspended": {ocsp.Response{Status: ocsp.Revoked, RevokedAt: since, RevocationReason: ocsp.CertificateHold}, Finding{Status: Suspended, Since: since, Reason: ocsp.CertificateHold}, isRevoked},
			"unknown":   {ocsp.Response{Status: ocsp.Unknown}, Finding{Status: Unknown}, isUnknown},
		} {
			r, cert := newResponder(t)
			r.says(c.says)
			all := r.checker(nil).Report(t.Context(), claim(now, nil, cert, r.cert), 0)
			if len(all) != 1 {
				t.Fatalf("%+v", all)
			}
			f := all[0]
			wants(t, name, f.Err, c.code)
			if f.Status != c.want.Status || !f.Since.Equal(c.want.Since) || f.Reason != c.want.Reason || f.Certificate != cert ||
				!f.From.Equal(now) || !f.Until.Equal(now.Add(time.Hour)) || f.Source != "http://ocsp.example" {
				t.Errorf("%s: %+v", name, f)
			}
		}
	})
}

// An answer of another time says which, so that a wrong clock can be told from a stale answer; whoever answers says what time it is there.
func TestReportOfAnotherTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, cert := newResponder(t)
		from := time.Now().Add(-48 * time.Hour)
		r.serves(func(q *http.Request, body []byte) (*http.Response, error) {
			a := reply(200, "application/ocsp-response", r.sign(ocsp.Response{SerialNumber: cert.SerialNumber, ThisUpdate: from, NextUpdate: from.Add(time.Hour)}))
			a.Header.Set("Date", from.UTC().Format(http.TimeFormat))
			return a, nil
		})
		var theirs time.Time
		k := r.checker(func(c *Config) {
			c.Date = func(address string, date time.Time) {
				if address == "http://ocsp.example" {
					theirs = date
				}
			}
		})
		f := k.Report(t.Context(), claim(time.Now(), nil, cert, r.cert), 0)[0]
		e, ok := errors.AsType[*AnswerError](f.Err)
		if !ok || !e.From.Equal(from) || !e.Until.Equal(from.Add(time.Hour)) || f.Status != Unanswered {
			t.Errorf("%+v", f)
		}
		if !theirs.Equal(from) {
			t.Errorf("their clock says %v", theirs)
		}
	})
}
