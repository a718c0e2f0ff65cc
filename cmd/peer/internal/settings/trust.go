// Package settings is what several commands are told: what is trusted, who is asked about revocation, and where the relay is.
package settings

import (
	"os"
	"path/filepath"

	"sinete/cardauth"
	"sinete/cmd/peer/internal/trouble"
)

// Whose says whose a chain is, if it leads to an authority that the policy trusts, whatever has become of the certificate since.
func Whose(policy *cardauth.Policy, chain [][]byte) (*cardauth.Party, error) {
	p := *policy
	p.Revocation = cardauth.RevocationOff
	return p.VerifyPerson(chain, nil)
}

// Trusts reports whether a chain leads to an authority that the policy trusts.
func Trusts(policy *cardauth.Policy) func(chain [][]byte) error {
	return func(chain [][]byte) error {
		_, err := Whose(policy, chain)
		return err
	}
}

// LoadTrust makes a policy of the certificates in a folder, the usual one where none is named.
func LoadTrust(dir string) (string, *cardauth.Policy, error) {
	if dir == "" {
		home, err := os.UserConfigDir()
		if err != nil {
			return "", nil, trouble.NoTrustFolder(err)
		}
		dir = filepath.Join(home, "sinete", "trust")
	}
	anchors, intermediates, err := cardauth.LoadTrust(dir)
	if err != nil {
		return dir, nil, err
	}
	return dir, &cardauth.Policy{Anchors: anchors, Intermediates: intermediates, Revocation: cardauth.RevocationOff}, nil
}
