package main

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/softcard"
	"sinete/internal/trialpki"
	"sinete/peer"
	"sinete/peer/store"
	"sinete/relay"
	"sinete/relay/flow"
	"sinete/wire"
)

const relayName = "relay.example"

func pack(i *trialpki.Issued) (Card, error) {
	key, err := x509.MarshalPKCS8PrivateKey(i.Key)
	return Card{Key: key, Chain: i.Chain}, err
}

func (c Card) signer() (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(c.Key)
	if err != nil {
		return nil, err
	}
	s, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("the key cannot sign")
	}
	return s, nil
}

func (c Card) certificate() (tls.Certificate, error) {
	key, err := c.signer()
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(c.Chain[0])
	return tls.Certificate{Certificate: c.Chain, PrivateKey: key, Leaf: leaf}, err
}

func (s *Setup) policy() (*cardauth.Policy, error) {
	anchor, err := x509.ParseCertificate(s.Anchor)
	return &cardauth.Policy{Anchors: []*x509.Certificate{anchor}, Revocation: cardauth.RevocationOff}, err
}

// counted counts the relay's signatures; peers count their own.
type counted struct {
	cardauth.Card
	signatures atomic.Uint64
}

func (c *counted) SealRoot(ctx context.Context, in wire.SealInput) ([]byte, error) {
	c.signatures.Add(1)
	return c.Card.SealRoot(ctx, in)
}

type relayRole struct {
	passive
	card *counted
}

func (r *relayRole) count(c *Counts) error {
	c.Signatures = r.card.signatures.Load()
	return nil
}

func startRelay(ctx context.Context, s Setup) (role, string, error) {
	certificate, err := s.Cards[0].certificate()
	if err != nil {
		return nil, "", err
	}
	key, err := s.Cards[0].signer()
	if err != nil {
		return nil, "", err
	}
	card, err := softcard.FromKey(key, s.Cards[0].Chain, 0)
	if err != nil {
		return nil, "", err
	}
	policy, err := s.policy()
	if err != nil {
		return nil, "", err
	}
	suites, err := s.Settings.suites()
	if err != nil {
		return nil, "", err
	}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, "", err
	}
	r := &relayRole{card: &counted{Card: card}}
	ready, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		failed <- relay.Serve(ctx, socket, relay.Config{Name: "Relay under load", Certificate: certificate, Card: r.card, Policy: policy,
			Flow: flow.NoWriteUp, Suites: suites, Limits: s.Settings.limits(), Level: func(string) (flow.Subject, bool) { return flow.Subject{}, true }}, func() { close(ready) })
	}()
	select {
	case <-ready:
		return r, socket.LocalAddr().String(), nil
	case err := <-failed:
		return nil, "", err
	}
}

// login logs one card in.
func (s *Setup) login(ctx context.Context, c Card) (*peer.Session, error) {
	key, err := c.signer()
	if err != nil {
		return nil, err
	}
	card, err := softcard.FromKey(key, c.Chain, 0)
	if err != nil {
		return nil, err
	}
	policy, err := s.policy()
	if err != nil {
		return nil, err
	}
	suites, err := s.Settings.suites()
	if err != nil {
		return nil, err
	}
	kept, err := s.store(policy, c)
	if err != nil {
		return nil, err
	}
	return peer.Login(ctx, peer.Config{Store: kept, Relay: s.Address, RelayName: relayName, Card: card, Policy: policy, Suites: suites,
		Sign: s.Settings.Sign, Limits: s.Settings.limits(), Machine: &peer.Machine{Facts: []byte("load"), Description: "bench/load"}})
}

// store is what the card's owner keeps; nil in memory. It ends with the process.
func (s *Setup) store(policy *cardauth.Policy, c Card) (*store.Store, error) {
	if s.Settings.Store != onDisk {
		return nil, nil
	}
	own, err := policy.VerifyPerson(c.Chain, nil)
	if err != nil {
		return nil, err
	}
	return store.Open(store.Options{Dir: s.Settings.Dir, Owner: store.Owner{Identity: own.Identity, Name: own.Name},
		Protection: store.Protection{Kind: store.Unprotected}})
}

func signatures(sessions []*peer.Session) (n uint64) {
	for _, s := range sessions {
		n += s.Signatures()
	}
	return n
}

type receiverRole struct {
	passive
	sessions                         []*peer.Session
	received, wrongOrder, duplicates atomic.Uint64
}

func (r *receiverRole) count(c *Counts) error {
	c.Signatures = signatures(r.sessions)
	c.Received, c.WrongOrder, c.Duplicates = r.received.Load(), r.wrongOrder.Load(), r.duplicates.Load()
	return nil
}

func startReceiver(ctx context.Context, s Setup) (role, error) {
	r := &receiverRole{}
	for _, c := range s.Cards {
		session, err := s.login(ctx, c)
		if err != nil {
			return nil, err
		}
		r.sessions = append(r.sessions, session)
		go r.talk(ctx, session, s.Settings.Size)
	}
	return r, nil
}

func (r *receiverRole) talk(ctx context.Context, s *peer.Session, size int) {
	for {
		e, err := s.Next(ctx)
		if err != nil {
			return
		}
		switch e := e.(type) {
		case *peer.Opened:
			go r.listen(ctx, e.Conversation, size)
		case *peer.SessionClosed:
			return
		}
	}
}

// listen takes messages, which acknowledges them, and checks that each is the next.
func (r *receiverRole) listen(ctx context.Context, c *peer.Conversation, size int) {
	for next := uint64(0); ; {
		e, err := c.Next(ctx)
		if err != nil {
			return
		}
		switch e := e.(type) {
		case *peer.Message:
			next = r.check(e, next, size)
		case *peer.Closed:
			return
		}
	}
}

// check counts one message where next is the number due, and returns the number due after it.
func (r *receiverRole) check(m *peer.Message, next uint64, size int) uint64 {
	switch said, err := numberIn(m.Text); {
	case err != nil || said != m.Number || len(m.Text) != size || m.Number > next:
		r.wrongOrder.Add(1)
	case m.Number < next:
		r.duplicates.Add(1)
	default:
		r.received.Add(1)
		next++
	}
	return next
}

type senderRole struct {
	settings Settings
	sessions []*peer.Session
	loops    loops
}

func (r *senderRole) count(c *Counts) error {
	c.Signatures = signatures(r.sessions)
	for i, l := range r.loops {
		c.HopEpochs += r.sessions[i].Epoch()
		c.Epochs += l.conversation.(*outgoing).c.Epoch()
	}
	return nil
}

func (r *senderRole) run(ctx context.Context, n int) ([]time.Duration, error) {
	return r.loops.run(ctx, r.settings, n)
}

func startSender(ctx context.Context, s Setup) (role, error) {
	r := &senderRole{settings: s.Settings}
	for i, c := range s.Cards {
		session, err := s.login(ctx, c)
		if err != nil {
			return nil, err
		}
		r.sessions = append(r.sessions, session)
		talk, err := connect(ctx, session, s.Others[i])
		if err != nil {
			return nil, err
		}
		out := &outgoing{c: talk, singly: s.Settings.Singly, text: []byte(strings.Repeat("0", s.Settings.Size))}
		r.loops = append(r.loops, &loop{conversation: out, window: s.Settings.Window})
	}
	return r, nil
}

func connect(ctx context.Context, s *peer.Session, identity string) (*peer.Conversation, error) {
	people, err := s.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range people {
		if p.Identity == identity {
			return s.Connect(ctx, p.ID, nil)
		}
	}
	return nil, fmt.Errorf("%s is not logged in", identity)
}

// outgoing is a conversation under load. Its texts are their own numbers, filled up with zeros.
type outgoing struct {
	c      *peer.Conversation
	text   []byte
	number uint64
	texts  []string // that go out together
	singly bool     // each message waits for its own seal
	sent   uint64   // everything before is sealed and written
	next   uint64   // everything before is acknowledged
	told   uint64   // the same, as confirmed has said
}

func (o *outgoing) send(ctx context.Context) error {
	var digits [minSize]byte
	d := strconv.AppendUint(digits[:0], o.number, 10)
	copy(o.text[len(o.text)-len(d):], d)
	o.number++
	o.texts = append(o.texts, string(o.text))
	if !o.singly {
		return nil
	}
	err := o.flush()
	for err == nil && o.sent < o.number {
		err = o.event(ctx)
	}
	return err
}

func numberIn(text string) (uint64, error) {
	return strconv.ParseUint(text[max(0, len(text)-minSize):], 10, 64)
}

func (o *outgoing) flush() error {
	_, err := o.c.SendAll(context.Background(), o.texts...)
	o.texts = o.texts[:0]
	return err
}

func (o *outgoing) confirmed(ctx context.Context) (next uint64, err error) {
	for o.next == o.told {
		if err := o.event(ctx); err != nil {
			return 0, err
		}
	}
	o.told = o.next
	return o.next, nil
}

// event takes one.
func (o *outgoing) event(ctx context.Context) error {
	e, err := o.c.Next(ctx)
	if err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	switch e := e.(type) {
	case *peer.Progress:
		o.sent = e.Last + 1
	case *peer.Receipt:
		if e.Stage == peer.StagePeer {
			o.next = e.Number + 1
		}
	case *peer.Closed:
		return fmt.Errorf("the conversation closed: %v", e.Number)
	}
	return nil
}
