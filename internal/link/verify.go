package link

import (
	"time"

	"sinete/cardauth/seal"
	"sinete/wire"
)

// VerifyHead checks the seal over a head that has just come. The time in a seal is its signer's claim, so a delegation's end is held
// against this side's clock as well: a stolen key must not go on by dating its seals back (protocol.md section 4.5).
func VerifyHead(v *seal.Verifier, s seal.Signer, e *wire.SealEntry) error {
	if d := s.Delegation; d != nil && uint64(time.Now().Unix()) > d.NotAfter {
		return wire.Errorf(wire.CodeIntegrity, "a seal of a delegated key whose time is over")
	}
	return v.Verify(s, wire.PurposeHead, e.Statement, e.Seal)
}
