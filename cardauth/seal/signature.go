package seal

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"

	"sinete/wire"
)

// CheckKey refuses a scheme that the key cannot seal with (protocol.md section 3.8): RSA of 2,048 to 4,096 bits with either
// padding, P-256 and P-384 each with its own, Ed25519.
func CheckKey(key crypto.PublicKey, scheme wire.Scheme) error {
	fits := false
	switch k := key.(type) {
	case *rsa.PublicKey:
		n := k.N.BitLen()
		fits = (scheme == wire.SchemeRSAPKCS1 || scheme == wire.SchemeRSAPSS) && n >= 2048 && n <= 4096
	case *ecdsa.PublicKey:
		fits = scheme == wire.SchemeP256 && k.Curve == elliptic.P256() || scheme == wire.SchemeP384 && k.Curve == elliptic.P384()
	case ed25519.PublicKey:
		fits = scheme == wire.SchemeEd25519 && len(k) == ed25519.PublicKeySize
	}
	if !fits {
		return &VerifyError{fmt.Sprintf("%v does not fit the key", scheme)}
	}
	return nil
}

// VerifySignature checks a signature over message, which the scheme itself hashes. Cards use it on what their hardware
// returns; seals are checked with a Verifier.
func VerifySignature(key crypto.PublicKey, scheme wire.Scheme, message, signature []byte) error {
	if err := CheckKey(key, scheme); err != nil {
		return err
	}
	valid := false
	switch k := key.(type) {
	case *rsa.PublicKey:
		h := sha256.Sum256(message)
		if scheme == wire.SchemeRSAPKCS1 {
			valid = rsa.VerifyPKCS1v15(k, crypto.SHA256, h[:], signature) == nil
		} else {
			valid = rsa.VerifyPSS(k, crypto.SHA256, h[:], signature, &rsa.PSSOptions{SaltLength: sha256.Size}) == nil
		}
	case *ecdsa.PublicKey:
		if scheme == wire.SchemeP256 {
			h := sha256.Sum256(message)
			valid = ecdsa.VerifyASN1(k, h[:], signature)
		} else {
			h := sha512.Sum384(message)
			valid = ecdsa.VerifyASN1(k, h[:], signature)
		}
	case ed25519.PublicKey:
		valid = ed25519.Verify(k, message, signature)
	}
	if !valid {
		return &VerifyError{"the signature does not verify"}
	}
	return nil
}

// appendKey appends bytes that tell any two keys apart, for the memory of verified signatures.
func appendKey(b []byte, key crypto.PublicKey) ([]byte, error) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return fmt.Appendf(append(append(b, 'R'), k.N.Bytes()...), "/%d", k.E), nil
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		return append(append(b, 'E'), point...), err
	case ed25519.PublicKey:
		return append(append(b, 'D'), k...), nil
	}
	return nil, &VerifyError{"no key that seals"}
}

// DefaultScheme returns the scheme of a leaf's key: PKCS #1 v1.5 for RSA, since many cards have no PSS. The error is a
// *VerifyError.
func DefaultScheme(key crypto.PublicKey) (wire.Scheme, error) {
	for _, s := range []wire.Scheme{wire.SchemeRSAPKCS1, wire.SchemeP256, wire.SchemeP384} {
		if CheckKey(key, s) == nil {
			return s, nil
		}
	}
	return 0, &VerifyError{fmt.Sprintf("a key that no scheme fits: %T", key)}
}

// SignOptions are what crypto.SignMessage wants for the scheme: its hash and padding.
func SignOptions(s wire.Scheme) crypto.SignerOpts {
	switch s {
	case wire.SchemeRSAPSS:
		return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	case wire.SchemeP384:
		return crypto.SHA384
	}
	return crypto.SHA256
}
