package main

import (
	"context"
	"crypto"
	"crypto/elliptic"
	"errors"
	"path/filepath"
	"strings"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card"
	"sinete/cardauth/softcard"
	"sinete/internal/trialpki"
)

type initCmd struct {
	Dir       string           `arg:"" name:"DIR" help:"Directory, made if it is not there."`
	OCSP      string           `name:"ocsp" placeholder:"URL" help:"URL of the OCSP responder that all certificates name. Without it they name none."`
	RelayKey  trialpki.KeyType `default:"p256" enum:"rsa2048,rsa3072,p256,p384" help:"Key of the relay: ${enum}."`
	RelayName []string         `placeholder:"NAME" help:"DNS name or IP address of the relay, besides localhost, 127.0.0.1 and ::1; may be given several times."`
}

func (c *initCmd) Run(out output) error {
	w, err := trialpki.Create(c.Dir, trialpki.Options{OCSP: strings.TrimRight(c.OCSP, "/")})
	if err != nil {
		return err
	}
	relay, err := w.IssueRelay(trialpki.Relay{Names: c.RelayName, Key: c.RelayKey})
	if err != nil {
		return err
	}
	chain, key := filepath.Join(c.Dir, "relay.pem"), filepath.Join(c.Dir, "relay.key")
	if err := relay.WriteFiles(chain, key); err != nil {
		return err
	}
	out.line("authorities", "%s", filepath.Join(c.Dir, "trust"))
	out.line("relay", "%s, %s, for %s", chain, key, strings.Join(names(relay), ", "))
	out.line("next", "testpki card %s alice", quote(c.Dir))
	if w.OCSP() == "" {
		out.line("", "relay init %s --revocation off", quote(c.Dir))
	} else {
		out.line("", "relay init %s%s", quote(c.Dir), networkFlag(w.OCSP()))
		out.line("", "testpki ocsp %s", quote(c.Dir))
	}
	out.line("note", notice)
	return nil
}

func names(relay *trialpki.Issued) []string {
	n := relay.Certificate.DNSNames
	for _, ip := range relay.Certificate.IPAddresses {
		n = append(n, ip.String())
	}
	return n
}

// defaultPIN is that of soft cards made without --pin.
const defaultPIN = "1234"

type cardCmd struct {
	Dir     string           `arg:"" name:"DIR" help:"Directory that init made."`
	Name    string           `arg:"" name:"NAME" help:"Short name of the person. The same NAME again is the same identity with another key."`
	CN      string           `name:"cn" placeholder:"\"FULL NAME\"" help:"Full name in the certificate. Default: NAME with a surname."`
	Key     trialpki.KeyType `default:"p256" enum:"rsa2048,rsa3072,p256,p384" help:"Kind of key: ${enum}."`
	PIN     string           `name:"pin" help:"PIN of the soft card (default 1234), or the user PIN of the token."`
	Expired bool             `help:"A certificate that expired yesterday, to see it refused."`
	Module  string           `placeholder:"SO" and:"token" help:"PKCS #11 module, to put the card on a token: key and certificate replace those made here before."`
	Token   string           `placeholder:"LABEL" and:"token" help:"Label of the initialised token."`
}

// Validate is called by the parser.
func (c *cardCmd) Validate() error {
	if c.Module != "" && c.PIN == "" {
		return errors.New("--pin: give the token's user PIN")
	}
	return nil
}

func (c *cardCmd) Run(ctx context.Context, out output) error {
	w, err := trialpki.Open(c.Dir, trialpki.Options{})
	if err != nil {
		return err
	}
	p := trialpki.Person{Name: c.Name, CommonName: c.CN, Key: c.Key}
	if c.Expired {
		now := time.Now()
		p.NotBefore, p.NotAfter = now.AddDate(0, 0, -30), now.AddDate(0, 0, -1)
	}
	var card string
	var issued *trialpki.Issued
	if c.Module != "" {
		card, issued, err = c.onToken(ctx, w, p)
	} else {
		card, issued, err = c.inFile(w, p)
	}
	if err != nil {
		return err
	}
	subject := issued.Certificate.Subject
	out.line("card", "%s", strings.TrimPrefix(card, "soft:"))
	if c.Module == "" {
		out.line("PIN", "%s", c.PIN)
	}
	out.line("name", "%s", subject.CommonName)
	out.line("serialNumber", "%s, on every card of %s", subject.SerialNumber, c.Name)
	if c.Expired {
		out.line("expired", "%s", issued.Certificate.NotAfter.Format(time.RFC3339))
	}
	out.line("use", "peer chat RELAY --card %s --trust %s%s", quote(card), quote(filepath.Join(c.Dir, "trust")), revocationFlags(w))
	out.line("note", "For trials only, never for production.")
	return nil
}

func (c *cardCmd) inFile(w *trialpki.World, p trialpki.Person) (card string, issued *trialpki.Issued, err error) {
	if c.PIN == "" {
		c.PIN = defaultPIN
	}
	if issued, err = w.IssuePerson(p); err != nil {
		return "", nil, err
	}
	path := filepath.Join(c.Dir, c.Name+".card")
	return "soft:" + path, issued, softcard.Create(path, issued.Key, issued.Chain, c.PIN, softcard.Options{})
}

func (c *cardCmd) onToken(ctx context.Context, w *trialpki.World, p trialpki.Person) (card string, issued *trialpki.Issued, err error) {
	r := pkcs11card.StoreRequest{Issue: func(pub crypto.PublicKey) ([][]byte, error) {
		p.Public = pub
		if issued, err = w.IssuePerson(p); err != nil {
			return nil, err
		}
		return issued.Chain, nil
	}}
	switch c.Key {
	case trialpki.RSA2048:
		r.RSABits = 2048
	case trialpki.RSA3072:
		r.RSABits = 3072
	case trialpki.P256:
		r.Curve = elliptic.P256()
	case trialpki.P384:
		r.Curve = elliptic.P384()
	}
	u := pkcs11card.URI{Token: c.Token, ModulePath: c.Module}
	card, err = pkcs11card.Store(ctx, u.String(), c.prompt, r)
	return card, issued, err
}

// prompt gives the PIN of the command line once, and not at all where a wrong one would lock the token.
func (c *cardCmd) prompt(_ context.Context, r cardauth.PINRequest) (string, error) {
	if r.Wrong || r.Final {
		return "", &cardauth.PINError{Card: r.Card, Tries: r.Tries, Final: r.Final}
	}
	return c.PIN, nil
}

// quote makes s one word of a shell's line.
func quote(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/:=%+,@") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
