package pkcs11card

import (
	"context"
	"errors"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card/internal/store"
)

// StoreRequest is a key to be made on a token, and who certifies it.
type StoreRequest = store.Request

// Store makes a key on the one token that the URI names, has it certified and writes key, certificate and issuers to the
// token, for trials. The key is generated on the token, or imported where the token cannot generate such a one. It returns
// the certificate's URI. What had the same CKA_ID is deleted once the new certificate has been issued.
//
// Errors are those of Open, and what Issue returned.
func Store(ctx context.Context, uri string, prompt cardauth.Prompt, r StoreRequest) (string, error) {
	if r.Label == "" {
		r.Label = "CITIZEN AUTHENTICATION"
	}
	if len(r.ID) == 0 {
		r.ID = []byte{0x45}
	}
	u, err := ParseURI(uri)
	if err != nil {
		return "", err
	}
	tokens, held, listErr := list(ctx, u.modules(), u.matchesToken)
	defer held.release()
	t, err := u.onlyToken(tokens)
	if err != nil {
		return "", withCause(err, listErr)
	}
	h, err := hold(u, t, prompt, Options{}, true)
	if err != nil {
		return "", err
	}
	if err = h.Begin(ctx); err == nil {
		err = store.Write(ctx, h, r)
	}
	if err := errors.Join(err, h.Close()); err != nil {
		return "", err
	}
	return t.uri(&Certificate{Label: r.Label + " CERTIFICATE", ID: r.ID}), nil
}
