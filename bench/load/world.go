package main

import (
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"

	"sinete/bench/roles"
	"sinete/cardauth"
	"sinete/cardauth/cardtest"
	"sinete/cardauth/pkcs11card"
	"sinete/internal/trialpki"
)

// world is the certificates of a measurement.
type world struct {
	anchor             []byte // DER
	relay              roles.Card
	senders, receivers []roles.Card // one each for a conversation; of logins, the clients
	identities         []string     // of the receivers

	pki   *trialpki.World
	key   trialpki.KeyType
	token func(name string) (roles.Card, error) // where keys are in tokens
	ends  []func() error
}

// newWorld issues the certificates. Of logins and idle sessions there are so many clients; their certificates name a responder, which runs
// until the world's end.
func newWorld(s roles.Settings, clients int) (_ *world, err error) {
	w := &world{key: s.Key}
	defer func() {
		if err != nil {
			_ = w.end() // what went wrong before counts
		}
	}()
	if err := w.begin(s); err != nil {
		return nil, err
	}
	w.anchor = w.pki.Root.Certificate.Raw
	issued, err := w.pki.IssueRelay(trialpki.Relay{Names: []string{roles.RelayName}, Key: s.RelayKey})
	if err != nil {
		return nil, err
	}
	if w.relay, err = pack(issued); err != nil {
		return nil, err
	}
	if s.Job != roles.Messages {
		for i := range clients {
			c, err := w.person(fmt.Sprintf("client%d", i))
			if err != nil {
				return nil, err
			}
			w.senders = append(w.senders, c)
		}
		return w, nil
	}
	if s.Card == roles.SoftHSM {
		if err := w.tokens(s.Pairs()); err != nil {
			return nil, err
		}
	}
	for i := range s.Pairs() {
		from, err := w.person(sender(i))
		if err != nil {
			return nil, err
		}
		to, err := w.person(receiver(i))
		if err != nil {
			return nil, err
		}
		certificate, err := x509.ParseCertificate(to.Chain[0])
		if err != nil {
			return nil, err
		}
		identity, err := cardauth.Identity(certificate, w.pki.Root.Certificate)
		if err != nil {
			return nil, err
		}
		w.senders, w.receivers = append(w.senders, from), append(w.receivers, to)
		w.identities = append(w.identities, identity)
	}
	return w, nil
}

func sender(i int) string   { return fmt.Sprintf("sender%d", i) }
func receiver(i int) string { return fmt.Sprintf("receiver%d", i) }

// begin makes the hierarchy, and where logins are measured the responder.
func (w *world) begin(s roles.Settings) (err error) {
	if s.Job == roles.Messages {
		w.pki, err = trialpki.New(trialpki.Options{})
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	w.ends = append(w.ends, l.Close)
	if w.pki, err = trialpki.New(trialpki.Options{OCSP: "http://" + l.Addr().String()}); err != nil {
		return err
	}
	responder, err := w.pki.Responder()
	if err != nil {
		return err
	}
	server := &http.Server{Handler: responder}
	w.ends = []func() error{server.Close}
	go func() { _ = server.Serve(l) }() // until the end
	return nil
}

func (w *world) end() (err error) {
	for _, end := range w.ends {
		err = errors.Join(err, end())
	}
	return err
}

// person issues a card.
func (w *world) person(name string) (roles.Card, error) {
	if w.token != nil {
		return w.token(name)
	}
	issued, err := w.pki.IssuePerson(trialpki.Person{Name: name, Key: w.key})
	if err != nil {
		return roles.Card{}, err
	}
	return pack(issued)
}

func pack(i *trialpki.Issued) (roles.Card, error) {
	key, err := x509.MarshalPKCS8PrivateKey(i.Key)
	return roles.Card{Key: key, Chain: i.Chain}, err
}

// tokens makes tokens of SoftHSM2 for so many pairs.
func (w *world) tokens(pairs int) error {
	var labels []string
	for i := range pairs {
		labels = append(labels, sender(i), receiver(i))
	}
	module, remove, err := cardtest.SoftHSM(roles.PIN, labels...)
	if err != nil {
		return err
	}
	w.ends = append(w.ends, func() error { remove(); return nil })
	w.token = func(name string) (c roles.Card, err error) {
		request := pkcs11card.StoreRequest{Issue: func(public crypto.PublicKey) ([][]byte, error) {
			issued, err := w.pki.IssuePerson(trialpki.Person{Name: name, Public: public})
			if err == nil {
				c.Chain = issued.Chain
			}
			return c.Chain, err
		}}
		switch w.key {
		case trialpki.P256:
			request.Curve = elliptic.P256()
		case trialpki.P384:
			request.Curve = elliptic.P384()
		case trialpki.RSA2048:
			request.RSABits = 2048
		case trialpki.RSA3072:
			request.RSABits = 3072
		}
		pin := func(context.Context, cardauth.PINRequest) (string, error) { return roles.PIN, nil }
		c.URI, err = pkcs11card.Store(context.Background(), pkcs11card.URI{Token: name, ModulePath: module}.String(), pin, request)
		return c, err
	}
	return nil
}
