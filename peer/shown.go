package peer

import (
	"crypto/x509"
	"time"

	"sinete/cardauth"
	"sinete/peer/store"
	"sinete/wire"
)

// Shown is what the other person has shown of themselves in a conversation.
type Shown struct {
	Certificate *x509.Certificate
	Delegated   bool      // a key seals that the card delegated to, rather than the card
	Until       time.Time // when the certificate or the delegation ends, whichever is first
	Asked       bool      // it was asked whether the certificate was revoked, and is again as long as the conversation lasts (protocol.md section 3.10)
	Found       wire.Code // what ended the conversation when it was asked again: CodeCertificateRevoked or another; 0 as long as the certificate is good
}

// Shown is what the other person has shown. The conversation must be established.
func (c *Conversation) Shown() Shown {
	return Shown{Certificate: c.other.Certificate, Delegated: c.other.Delegated, Until: c.other.Until(),
		Asked: c.session.cfg.Policy.Revocation != cardauth.RevocationOff, Found: wire.Code(c.found.Load())}
}

// Contact is what the session's store keeps of somebody, or nil.
func (s *Session) Contact(identity string) *store.Contact { return s.cfg.Store.Known(identity) }
