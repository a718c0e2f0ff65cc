// Package fork proves that somebody has sealed two different values for one place: of what they sent, of what they received, or of a relay's
// audit log. Nobody honest does; whoever does it shows different people, or one person at different times, different histories. A proof is a
// file that anybody can verify who trusts the certificate's authority (docs/evidence.md).
//
// Most readers need Heads, Proof.Pack, Parse and Proof.Verify.
package fork

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/wire"
)

// Proof is two statements that somebody has sealed and that contradict each other.
type Proof struct {
	Purpose     wire.Purpose     // wire.PurposeHead or wire.PurposeAuditHead
	Credentials wire.Credentials // the signer's; staples are not looked at
	Seals       [2]Sealed
}

// Sealed is a statement and a seal over it.
type Sealed struct {
	Statement []byte
	Seal      wire.Seal
}

// Time is when it was sealed, by the signer's clock.
func (s *Sealed) Time() time.Time { return time.Unix(int64(s.Seal.Time), 0).UTC() }

// Heads makes a proof of two heads of one signer, whose seals have been verified. It is nil where they do not contradict each other.
func Heads(shown wire.Credentials, a, b *wire.SealEntry) *Proof {
	p := &Proof{Purpose: wire.PurposeHead, Credentials: shown}
	for i, e := range []*wire.SealEntry{a, b} {
		p.Seals[i] = Sealed{e.Head.Append(nil), e.Seal}
		p.Seals[i].Seal.Signature = slices.Clone(e.Seal.Signature)
	}
	if _, err := p.compare(); err != nil {
		return nil
	}
	return p
}

// AuditHeads makes a proof of two sealed heads of a relay's audit log. It is nil where they do not contradict each other.
func AuditHeads(chain [][]byte, a, b Sealed) *Proof {
	p := &Proof{Purpose: wire.PurposeAuditHead, Credentials: wire.Credentials{Chain: chain}, Seals: [2]Sealed{a, b}}
	if _, err := p.compare(); err != nil {
		return nil
	}
	return p
}

// What is it that was sealed twice.
type What string

const (
	Sent     What = "sent"     // what the signer sent in a lane (`mine`)
	Received What = "received" // what the signer received there (`yours`)
	Log      What = "log"      // a relay's audit log
)

// Contradiction is the place for which there are two values.
type Contradiction struct {
	What    What
	Channel [32]byte // of the log only 16 bytes, its id
	Lane    uint64
	Role    wire.Role // the signer's
	Epoch   uint64
	Count   uint64 // envelopes of the epoch, or records of the log
	Values  [2][32]byte
}

func (c *Contradiction) String() string {
	if c.What == Log {
		return fmt.Sprintf("the first %d records of the audit log %x: %x and %x", c.Count, c.Channel[:16], c.Values[0], c.Values[1])
	}
	return fmt.Sprintf("the first %d envelopes of epoch %d that they %s as %v in lane %d of channel %x: %x and %x", c.Count, c.Epoch, c.What, c.Role, c.Lane,
		c.Channel, c.Values[0], c.Values[1])
}

// Error says why something is no proof of a fork.
type Error struct {
	Reason string
	Err    error // may be nil
}

func (e *Error) Error() string {
	if e.Err != nil {
		return "no proof of a fork: " + e.Reason + ": " + e.Err.Error()
	}
	return "no proof of a fork: " + e.Reason
}

func (e *Error) Unwrap() error { return e.Err }

// compare finds the place for which the two statements have different values.
func (p *Proof) compare() (*Contradiction, error) {
	switch p.Purpose {
	case wire.PurposeHead:
		return compareHeads(p.Seals[0].Statement, p.Seals[1].Statement)
	case wire.PurposeAuditHead:
		return compareAuditHeads(p.Seals[0].Statement, p.Seals[1].Statement)
	}
	return nil, &Error{Reason: fmt.Sprintf("statements of purpose %d", p.Purpose)}
}

func compareHeads(first, second []byte) (*Contradiction, error) {
	a, err := wire.ParseHead(first)
	if err != nil {
		return nil, &Error{"the first statement", err}
	}
	b, err := wire.ParseHead(second)
	switch {
	case err != nil:
		return nil, &Error{"the second statement", err}
	}
	what, places := Received, [2]wire.Place{a.Yours, b.Yours}
	switch mine, yours := a.Contradicts(b); {
	case mine:
		what, places = Sent, [2]wire.Place{*a.Mine, *b.Mine}
	case !yours:
		return nil, &Error{Reason: "the two heads do not contradict each other"}
	}
	return &Contradiction{What: what, Channel: a.Channel, Lane: a.Lane, Role: a.Role, Epoch: places[0].Epoch, Count: places[0].Count,
		Values: [2][32]byte{places[0].T, places[1].T}}, nil
}

// auditHeadLen is that of protocol.md section 4.6: log, size, root.
const auditHeadLen = 16 + 8 + 32

func compareAuditHeads(a, b []byte) (*Contradiction, error) {
	if len(a) != auditHeadLen || len(b) != auditHeadLen {
		return nil, &Error{Reason: "a statement that is no head of an audit log"}
	}
	c := &Contradiction{What: Log, Count: binary.BigEndian.Uint64(a[16:]), Values: [2][32]byte{[32]byte(a[24:]), [32]byte(b[24:])}}
	copy(c.Channel[:], a[:16])
	switch {
	case !bytes.Equal(a[:16], b[:16]):
		return nil, &Error{Reason: "the two heads are of different logs"}
	case !bytes.Equal(a[16:24], b[16:24]):
		return nil, &Error{Reason: "the two heads are of different sizes, which contradicts nothing"}
	case c.Values[0] == c.Values[1]:
		return nil, &Error{Reason: "the two heads do not contradict each other"}
	}
	return c, nil
}

// Finding is what a proof shows.
type Finding struct {
	*Contradiction
	Relay     bool            // a relay's certificate; else a person's
	Party     *cardauth.Party // whose seals they are. A relay has no identity
	Delegated bool            // a key sealed that the card delegated to
	Times     [2]time.Time    // of the two seals, by the signer's clock
}

// Verify checks everything, by the certificates that policy trusts at the times of the seals. Whether the certificate was revoked, and somebody else
// had the card, is not asked about. What is wrong is an *Error.
func (p *Proof) Verify(policy *cardauth.Policy) (*Finding, error) {
	c, err := p.compare()
	if err != nil {
		return nil, err
	}
	f := &Finding{Contradiction: c, Delegated: p.Credentials.Delegation != nil, Times: [2]time.Time{p.Seals[0].Time(), p.Seals[1].Time()}}
	v := seal.NewVerifier(0)
	for i := range p.Seals {
		s := &p.Seals[i]
		at := *policy
		at.Revocation, at.Now = cardauth.RevocationOff, s.Time
		if f.Party, f.Relay, err = who(&at, p.Credentials.Chain); err != nil {
			return nil, &Error{"the certificate at the time of a seal", err}
		}
		if p.Purpose == wire.PurposeAuditHead && (!f.Relay || f.Delegated) {
			return nil, &Error{Reason: "a head of an audit log that no relay's own key sealed"}
		}
		signer, err := p.signer(v, f.Party, s)
		if err != nil {
			return nil, err
		}
		if err := v.Verify(signer, p.Purpose, s.Statement, s.Seal); err != nil {
			return nil, &Error{"a seal", err}
		}
	}
	return f, nil
}

// signer is who sealed, at the time of one of the seals.
func (p *Proof) signer(v *seal.Verifier, party *cardauth.Party, s *Sealed) (seal.Signer, error) {
	if p.Credentials.Delegation == nil {
		signer, err := party.Signer(s.Seal.Scheme, nil)
		if err != nil {
			return signer, &Error{"the key", err}
		}
		return signer, nil
	}
	signer, err := cardauth.VerifyDelegation(v, party, p.Credentials.Delegation, s.Time(), "")
	if err != nil {
		return signer, &Error{"the delegation", err}
	}
	return signer, nil
}

// who verifies a chain, a relay's under the name that it carries itself.
func who(policy *cardauth.Policy, chain [][]byte) (party *cardauth.Party, relay bool, err error) {
	if len(chain) > 0 {
		leaf, err := x509.ParseCertificate(chain[0])
		if err == nil && slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) {
			party, err := policy.VerifyRelay(chain, nil, nameOf(leaf))
			return party, true, err
		}
	}
	party, err = policy.VerifyPerson(chain, nil)
	return party, false, err
}

func nameOf(relay *x509.Certificate) string {
	switch {
	case len(relay.DNSNames) > 0:
		return relay.DNSNames[0]
	case len(relay.IPAddresses) > 0:
		return relay.IPAddresses[0].String()
	}
	return ""
}
