package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/wire"
)

// saying is an authority that says the same of every certificate.
type saying struct {
	cardauth.Revocation
	err error
}

func (s saying) Settle(context.Context, cardauth.Claim, time.Duration) error { return s.err }

func TestDoctorAsksAboutRevocation(t *testing.T) {
	world := newWorld(t)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for name, c := range map[string]struct {
		err    error
		words  string
		status int
	}{
		"good":    {nil, stillHolds, statusDone},
		"revoked": {&cardauth.CertificateError{Number: wire.CodeCertificateRevoked, Reason: "revoked, says http://ocsp"}, "says http://ocsp", statusFailed},
		"silent":  {errors.New("http://ocsp: no answer in time"), "no answer in time", statusFailed},
	} {
		checks, status := diagnose(t, world, func(p *patient) {
			p.revocation = "hard"
			p.program.authorities = saying{err: c.err}
		})
		for _, check := range []string{"revocation", "relay-revocation"} {
			e, ok := checks[check]
			if !ok || e.OK != (c.err == nil) || !strings.Contains(e.Text, c.words) || status != c.status {
				t.Errorf("%s: %s says %+v, status %d", name, check, e, status)
			}
		}
		if name == "silent" && !strings.Contains(checks["revocation"].Remedy, "--revocation-network") {
			t.Error(checks["revocation"].Remedy)
		}
	}
	if checks, _ := diagnose(t, world, func(*patient) {}); checks["revocation"].Text != "" {
		t.Error("asked where it is off")
	}
}
