package revocation

import (
	"crypto/x509"
	"time"

	"sinete/cardauth"
	"sinete/wire"
)

// subject is one certificate of a chain and who issued it, which the chain has proved.
type subject struct{ cert, issuer *x509.Certificate }

type status uint8

const (
	good status = iota
	revoked
	suspended
	unknown
)

// answer is what an authority has said about one certificate, its signature verified.
type answer struct {
	status    status
	this      time.Time // from when it holds
	next      time.Time // until when, always set
	fetched   time.Time // by this side; of a staple, when it was made: so old is what it knows
	raw       []byte    // the OCSP response; nil where a list says it
	nonce     []byte    // of the OCSP response, or nil
	source    string    // the address, for reasons
	responder period    // in which the OCSP response's signer may answer; zero where that is the issuer itself
	ending
}

// period is that of a certificate.
type period struct{ from, until time.Time }

// ending is since when a certificate is revoked or suspended, and why (RFC 5280 section 5.3.1).
type ending struct {
	since  time.Time
	reason int
}

func (a *answer) holds(now time.Time) bool { return !now.After(a.next.Add(skew)) }

// lasting reports whether nothing that comes later can change the answer.
func (a *answer) lasting() bool { return a.status == revoked }

// passing reports whether it can change at any moment: a suspension can end, and an authority learn of a new card.
func (a *answer) passing() bool { return a.status == suspended || a.status == unknown }

// refusal is what the answer means for whoever shows the certificate.
func (a *answer) refusal(s subject) error {
	switch a.status {
	case good:
		return nil
	case revoked:
		return refuse(s, wire.CodeCertificateRevoked, "revoked, says "+a.source, nil)
	case suspended:
		return refuse(s, wire.CodeCertificateRevoked, "suspended, says "+a.source, nil)
	}
	return refuse(s, wire.CodeRevocationUnknown, "its authority does not know it, says "+a.source, nil)
}

// refuse names the kind of certificate, never the person.
func refuse(s subject, n wire.Code, reason string, err error) error {
	what := "the certificate"
	if s.cert.IsCA {
		what = "the authority " + cardauth.DisplayName(s.cert)
	}
	return &cardauth.CertificateError{Number: n, Subject: cardauth.DisplayName(s.cert), Reason: what + ": " + reason, Err: err}
}

// inTime refuses an OCSP response that does not hold yet or no longer, or whose responder's certificate does not.
func (a *answer) inTime(now time.Time) error {
	if err := a.checkResponder(now); err != nil {
		return err
	}
	return a.checkTimes(now)
}

func (a *answer) checkResponder(now time.Time) error {
	if r := a.responder; r != (period{}) && (now.Before(r.from) || now.After(r.until)) {
		return bad("signed by a responder whose certificate is out of its time")
	}
	return nil
}

// checkTimes refuses an answer that does not hold yet or no longer.
func (a *answer) checkTimes(now time.Time) error {
	switch {
	case a.this.After(now.Add(skew)):
		return &AnswerError{"it holds only from " + a.this.Format(time.RFC3339), a.this, a.next}
	case !a.holds(now):
		return &AnswerError{"it held until " + a.next.Format(time.RFC3339), a.this, a.next}
	}
	return nil
}
