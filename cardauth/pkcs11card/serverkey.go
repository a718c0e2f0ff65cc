package pkcs11card

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card/internal/cryptoki"
	"sinete/cardauth/pkcs11card/internal/login"
	"sinete/cardauth/seal"
	"sinete/wire"
)

// serverSignTime is how long a signature for TLS may take, the wait for its turn included.
const serverSignTime = 10 * time.Second

// ServerKey is the private key of a TLS server in an HSM. It is a crypto.Signer, which a person's card never is, and so it is to be
// had for certificates with the extended usage serverAuth alone, which nobody takes for a person's. It is a cardauth.Card as well.
type ServerKey struct {
	holder *login.Holder
	uri    URI
	token  Token // as it was listed
	cert   *x509.Certificate
	chain  [][]byte
	scheme wire.Scheme
	mech   uint64
	id     []byte // CKA_ID, or
	label  string // CKA_LABEL of the key; where both are empty it is the only one
	key    uint64 // in the holder's session
}

var (
	_ crypto.Signer = (*ServerKey)(nil)
	_ cardauth.Card = (*ServerKey)(nil)
)

// OpenServerKey opens the key that the URI names. chain is the certificate, DER, and its issuers; where it is nil, they are those on
// the token. Nobody is asked for the PIN: it comes from the URI.
//
// The key is P-256, P-384, or RSA on a token with CKM_RSA_PKCS_PSS, since TLS 1.3 has no other padding; and it must sign without a PIN
// each time. Many identity cards have RSA without PSS, or a PIN each time: they are for persons.
//
// Errors: URIError, NotFoundError, AmbiguousError, UnsupportedError, ExportableError, ModuleError, cardauth.AbsentError,
// cardauth.PINError.
func OpenServerKey(ctx context.Context, uri string, chain [][]byte) (*ServerKey, error) {
	u, err := ParseURI(uri)
	if err != nil {
		return nil, err
	}
	modules, err := Modules(uri)
	if err != nil {
		return nil, err
	}
	tokens, held, listErr := list(ctx, modules, u.matchesToken)
	defer held.release()
	t, err := u.onlyToken(tokens)
	if err != nil {
		return nil, withCause(err, listErr)
	}
	h, err := hold(u, t, nil, Options{}, false)
	if err != nil {
		return nil, err
	}
	k := &ServerKey{holder: h, uri: u, token: *t, chain: chain}
	if err = h.Begin(ctx); err == nil {
		err = k.bind(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, k.Close())
	}
	return k, nil
}

// bind finds certificate and key, after login, and has the key sign to see that they belong together.
func (k *ServerKey) bind(ctx context.Context) error {
	t := k.token
	if err := readObjects(ctx, k.holder.Session, &t); err != nil {
		return err
	}
	u := &k.uri
	if k.chain == nil {
		c, err := u.serverCertificate(t.Certificates)
		if err != nil {
			return err
		}
		k.chain = chainOf(c.Certificate, t.Certificates, wire.MaxChain)
	}
	var err error
	if k.cert, err = x509.ParseCertificate(k.chain[0]); err != nil {
		return err
	}
	if !isServer(k.cert) {
		return &UnsupportedError{What: "a key is a server's only where its certificate has the extended usage serverAuth"}
	}
	k.id, k.label = u.ID, u.Object
	if i := slices.IndexFunc(t.Certificates, func(c Certificate) bool { return c.Equal(k.cert) }); i >= 0 {
		k.id = t.Certificates[i].ID // its key has the same; the label in the URI may be either's
	}
	list, err := k.holder.Mechanisms(ctx)
	if err != nil {
		return err
	}
	if k.mech, k.scheme, err = serverMechanism(list, k.cert); err != nil {
		return err
	}
	if err := k.findKey(ctx); err != nil {
		return err
	}
	digest := make([]byte, k.hash().Size())
	rand.Read(digest)
	sig, err := k.signOnce(ctx, digest)
	if err != nil {
		return err
	}
	if k.verify(digest, sig) != nil {
		return &NotFoundError{URI: u.String(), Reason: "its private key is not that of the certificate"}
	}
	return nil
}

func isServer(c *x509.Certificate) bool {
	return !c.IsCA && slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
}

// serverCertificate is the one certificate of a server that the URI names.
func (u *URI) serverCertificate(all []Certificate) (*Certificate, error) {
	all = slices.DeleteFunc(slices.Clone(all), func(c Certificate) bool { return !isServer(c.Certificate) || !u.matchesCertificate(&c) })
	switch len(all) {
	case 0:
		return nil, &NotFoundError{URI: u.String(), Reason: "no certificate of a server is on the token"}
	case 1:
		return &all[0], nil
	}
	e := &AmbiguousError{}
	for _, c := range all {
		e.URIs = append(e.URIs, c.URI)
	}
	return nil, e
}

// serverMechanism is the one mechanism that serves TLS 1.3 and seals alike.
func serverMechanism(list []uint64, c *x509.Certificate) (mech uint64, s wire.Scheme, err error) {
	if s, err = seal.DefaultScheme(c.PublicKey); err != nil {
		return 0, 0, err
	}
	mech = cryptoki.MechECDSA
	if s == wire.SchemeRSAPKCS1 {
		mech, s = cryptoki.MechRSAPSS, wire.SchemeRSAPSS
	}
	if !slices.Contains(list, mech) {
		return 0, 0, &UnsupportedError{What: fmt.Sprintf("the token has no mechanism for %v, which TLS 1.3 wants", s)}
	}
	return mech, s, nil
}

// findKey finds the private key in the session.
func (k *ServerKey) findKey(ctx context.Context) error {
	template := []cryptoki.Attribute{isPrivateKey}
	if len(k.id) > 0 {
		template = append(template, cryptoki.Bytes(cryptoki.AttrID, k.id))
	} else if k.label != "" {
		template = append(template, cryptoki.Bytes(cryptoki.AttrLabel, []byte(k.label)))
	}
	keys, err := k.holder.Session.Find(ctx, keyAttributes, template...)
	if err != nil {
		return err
	}
	if len(keys) != 1 {
		return &NotFoundError{URI: k.uri.String(), Reason: fmt.Sprintf("there are %d private keys like that; the URI's id says which", len(keys))}
	}
	if exportable(&keys[0]) && !k.uri.Exportable {
		return &ExportableError{k.token.Label}
	}
	if always, _ := keys[0].True(cryptoki.AttrAlwaysAuthenticate); always {
		return &UnsupportedError{What: "the key wants the PIN at each signature, and nobody is there to give it"}
	}
	k.key = keys[0].Handle
	return nil
}

func (k *ServerKey) hash() crypto.Hash { return seal.SignOptions(k.scheme).HashFunc() }

// verify checks a signature over a digest: a faulty one of RSA would give the key away.
func (k *ServerKey) verify(digest, sig []byte) error {
	valid := false
	switch p := k.cert.PublicKey.(type) {
	case *ecdsa.PublicKey:
		valid = ecdsa.VerifyASN1(p, digest, sig)
	case *rsa.PublicKey:
		valid = rsa.VerifyPSS(p, k.hash(), digest, sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
	}
	if !valid {
		return &ModuleError{Module: k.holder.Module.Path(), Call: cryptoki.OpSign.String(), Err: errors.New("a signature that does not verify")}
	}
	return nil
}

// sign signs a digest on the token, from a fresh session or a fresh child where that helps.
func (k *ServerKey) sign(ctx context.Context, digest []byte) ([]byte, error) {
	h := k.holder
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(h.Ending, stop)()
	select {
	case h.Turn <- struct{}{}:
		defer func() { <-h.Turn }()
	case <-ctx.Done():
		return nil, ended(h, ctx.Err())
	}
	if h.Closed() {
		return nil, cardauth.ErrClosed
	}
	sig, err := k.signOnce(ctx, digest)
	switch {
	case login.Lost(err):
		err = h.Drop(ctx)
	case login.Broken(err):
		h.Session = nil
		err = h.Module.Restart(ctx, h.Life)
	case err == nil:
		return sig, k.verify(digest, sig)
	}
	if err == nil {
		sig, err = k.signOnce(ctx, digest)
	}
	if err != nil {
		return nil, ended(h, err)
	}
	return sig, k.verify(digest, sig)
}

// signOnce signs in the session that is there or a fresh one. Its caller has the turn.
func (k *ServerKey) signOnce(ctx context.Context, digest []byte) ([]byte, error) {
	h := k.holder
	if h.Session == nil {
		err := h.Seek(ctx)
		if err == nil {
			err = h.Begin(ctx)
		}
		if err == nil {
			err = k.findKey(ctx)
		}
		if err != nil {
			return nil, errors.Join(err, h.Drop(context.WithoutCancel(ctx)))
		}
	}
	a, err := h.Session.Do(ctx, &cryptoki.Request{Op: cryptoki.OpSign, Object: k.key, Mechanism: k.mech, PSS: k.scheme == wire.SchemeRSAPSS, Data: digest})
	if err != nil {
		return nil, err
	}
	if p, ok := k.cert.PublicKey.(*ecdsa.PublicKey); ok {
		return encodeECDSA(a.Data, (p.Params().BitSize+7)/8)
	}
	return a.Data, nil
}

// Public is the certificate's key.
func (k *ServerKey) Public() crypto.PublicKey { return k.cert.PublicKey }

// Sign signs a digest for TLS: of SHA-256 with a P-256 key and with PSS, of SHA-384 with a P-384 key. It gives up after ten seconds.
func (k *ServerKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	pss, isPSS := opts.(*rsa.PSSOptions)
	fits := opts.HashFunc() == k.hash() && len(digest) == k.hash().Size() && isPSS == (k.scheme == wire.SchemeRSAPSS)
	if isPSS {
		fits = fits && (pss.SaltLength == rsa.PSSSaltLengthEqualsHash || pss.SaltLength == k.hash().Size())
	}
	if !fits {
		return nil, &UnsupportedError{What: fmt.Sprintf("a signature that is not %v", k.scheme)}
	}
	ctx, cancel := context.WithTimeout(context.Background(), serverSignTime)
	defer cancel()
	return k.sign(ctx, digest)
}

// SealRoot signs in.Append(nil).
func (k *ServerKey) SealRoot(ctx context.Context, in wire.SealInput) ([]byte, error) {
	h := k.hash().New()
	h.Write(in.Append(nil))
	return k.sign(ctx, h.Sum(nil))
}

// TLSAlgorithms are what the key signs in TLS, for tls.Certificate.
func (k *ServerKey) TLSAlgorithms() []tls.SignatureScheme {
	return []tls.SignatureScheme{map[wire.Scheme]tls.SignatureScheme{wire.SchemeP256: tls.ECDSAWithP256AndSHA256,
		wire.SchemeP384: tls.ECDSAWithP384AndSHA384, wire.SchemeRSAPSS: tls.PSSWithSHA256}[k.scheme]}
}

// Certificate is the server's own.
func (k *ServerKey) Certificate() *x509.Certificate { return k.cert }

// Chain is as it was given or stood on the token.
func (k *ServerKey) Chain() [][]byte { return k.chain }

// Scheme is PSS for RSA.
func (k *ServerKey) Scheme() wire.Scheme { return k.scheme }

// Software is false.
func (k *ServerKey) Software() bool { return false }

// Close ends the session, and with the program's last one on the token its login.
func (k *ServerKey) Close() error { return k.holder.Close() }
