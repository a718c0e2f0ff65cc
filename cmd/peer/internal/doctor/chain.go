package doctor

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sinete/cardauth"
	"sinete/cmd/peer/internal/trouble"
	"sinete/peer"
	"sinete/wire"
)

func (d *doctor) trust(err error) {
	if err != nil {
		d.fails("trust", err)
		return
	}
	d.issued = slices.Concat(d.issued, d.policy.Anchors, d.policy.Intermediates)
	d.ok("trust", trusted(len(d.policy.Anchors), len(d.policy.Intermediates), d.dir))
}

// expiresSoon is how long before its end a certificate is warned of.
const expiresSoon = 30 * 24 * time.Hour

// certificate checks the person's own.
func (d *doctor) certificate(chain []*x509.Certificate) {
	if len(chain) == 0 {
		return
	}
	leaf := chain[0]
	at := d.now
	switch {
	case d.now.Before(leaf.NotBefore):
		d.bad("validity", notYetValid(leaf), trouble.RemedyClock)
		at = leaf.NotBefore
	case d.now.After(leaf.NotAfter):
		d.bad("validity", expired(leaf), trouble.RemedyExpired)
		at = leaf.NotAfter
	case d.now.Add(expiresSoon).After(leaf.NotAfter):
		d.warns("validity", validUntil(leaf, d.now), trouble.RemedyExpiresSoon)
	default:
		d.ok("validity", validUntil(leaf, d.now))
	}
	usage := cardauth.CheckUsage(leaf)
	if usage != nil {
		d.bad("usage", wrongUse(usage), trouble.RemedyUsage)
	} else {
		d.ok("usage", usableForThis)
	}
	if d.policy == nil {
		return
	}
	policy := *d.policy
	policy.Now = func() time.Time { return at } // what is told already is not told again as the chain's fault
	_, err := policy.VerifyPerson(rawOf(chain), nil)
	way := d.climb(chain)
	switch {
	case err == nil || way.complete() && usage != nil:
		d.ok("chain", leadsTo(nameOf(way.top)))
	case !d.broken("chain", way, at):
		d.fails("chain", &peer.OwnCertificateError{Err: err})
	}
}

// way is how far a chain leads up.
type way struct {
	top    *x509.Certificate   // the last that is there
	passed []*x509.Certificate // all up to it
	anchor bool                // it is trusted
	weak   *x509.Certificate   // whose signature by the next above is too weak to count; nil: none
}

func (w *way) complete() bool { return w.anchor && w.weak == nil }

// climb follows a chain up as far as certificates are there.
func (d *doctor) climb(chain []*x509.Certificate) *way {
	w := &way{top: chain[0], passed: chain[:1]}
	for range wire.MaxChain + 1 {
		if slices.ContainsFunc(d.policy.Anchors, w.top.Equal) {
			w.anchor = true
			break
		}
		i, weak := -1, false
		above := slices.Concat(d.policy.Anchors, d.policy.Intermediates, chain[1:])
		for j, c := range above {
			if c.Equal(w.top) || !bytes.Equal(c.RawSubject, w.top.RawIssuer) {
				continue
			}
			err := w.top.CheckSignatureFrom(c)
			if tooWeak(err) && i < 0 {
				i, weak = j, true
			}
			if err == nil {
				i, weak = j, false
				break
			}
		}
		if i < 0 {
			break
		}
		if weak && w.weak == nil {
			w.weak = w.top
		}
		w.top = above[i]
		w.passed = append(w.passed, w.top)
	}
	return w
}

func tooWeak(err error) bool {
	_, weak := errors.AsType[x509.InsecureAlgorithmError](err)
	return weak
}

// broken says why a way does not lead to an anchor, and reports whether it knows.
func (d *doctor) broken(name string, w *way, at time.Time) bool {
	for _, c := range w.passed[1:] {
		if at.After(c.NotAfter) {
			d.bad(name, authorityExpired(c), trouble.RemedyAuthorityExpired)
			return true
		}
	}
	switch {
	case w.weak != nil:
		d.bad(name, weakSignature(nameOf(w.weak), issuerOf(w.weak)), trouble.RemedySHA1)
	case w.anchor:
		return false
	case bytes.Equal(w.top.RawSubject, w.top.RawIssuer):
		d.bad(name, rootNotTrusted(nameOf(w.top), d.dir), trouble.RemedyRoot)
	default:
		d.missing(name, w.top)
	}
	return true
}

// missing says which certificate is not there, and where it could come from. Nothing is fetched: what is trusted is for people to decide.
func (d *doctor) missing(name string, top *x509.Certificate) {
	named := slices.ContainsFunc(slices.Concat(d.policy.Anchors, d.policy.Intermediates), func(c *x509.Certificate) bool {
		return bytes.Equal(c.RawSubject, top.RawIssuer)
	})
	what := issuerMissing(issuerOf(top), nameOf(top))
	if named {
		what = issuerIsAnother(issuerOf(top), nameOf(top))
	}
	remedy := fmt.Sprintf(trouble.RemedyIssuer, d.dir, issuerOf(top))
	if len(top.IssuingCertificateURL) > 0 {
		remedy += "\n" + fmt.Sprintf(trouble.RemedyIssuerAddress, top.IssuingCertificateURL[0])
	}
	if strings.Contains(top.Issuer.String()+top.Subject.String(), "Cartão de Cidadão") {
		remedy += "\n" + trouble.RemedyCitizenCard
	}
	d.bad(name, what, remedy)
}
