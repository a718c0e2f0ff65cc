// Package systemtest holds the tests of relay and peers together: in one process over UDP or a simulated network, and with
// evil endpoints.
package systemtest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/softcard"
	"sinete/internal/trialpki"
	"sinete/peer"
	"sinete/relay"
	"sinete/relay/flow"
	"sinete/transport/transporttest"
	"sinete/wire"
)

// world is a hierarchy, a relay and a network.
type world struct {
	t       testing.TB
	pki     *trialpki.World
	policy  *cardauth.Policy
	network *transporttest.Network // nil: UDP on loopback
	address net.Addr
	relay   relay.Config
	stop    func() // ends the relay in order

	mu      sync.Mutex
	levels  map[string]wire.Level
	below   map[string]bool // who may label below their level
	changed chan struct{}   // levels have, for the relay
}

const relayName = "relay.example"

// newWorld starts a relay. edit, if not nil, changes its configuration.
func newWorld(t testing.TB, network *transporttest.Network, edit func(*relay.Config)) *world {
	t.Helper()
	pki, err := trialpki.New(trialpki.Options{OCSP: "http://ocsp.example"}) // which nobody asks where revocation is off
	must(t, err)
	w := &world{t: t, pki: pki, network: network, levels: map[string]wire.Level{}, below: map[string]bool{}, changed: make(chan struct{}),
		policy: &cardauth.Policy{Anchors: []*x509.Certificate{pki.Root.Certificate}, Revocation: cardauth.RevocationOff}}
	issued, err := pki.IssueRelay(trialpki.Relay{Names: []string{relayName}})
	must(t, err)
	card, err := softcard.FromKey(issued.Key, issued.Chain, wire.SchemeP256)
	must(t, err)
	cfg := relay.Config{Name: "Trial relay", Card: card, Policy: w.policy, Flow: flow.NoWriteUp, Logger: logger(),
		Certificate: tls.Certificate{Certificate: issued.Chain, PrivateKey: issued.Key, Leaf: issued.Certificate},
		Level: func(identity string) (flow.Subject, bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return flow.Subject{Level: w.levels[identity], LabelsBelow: w.below[identity]}, true
		}, Changed: w.changed}
	if edit != nil {
		edit(&cfg)
	}
	w.relay = cfg
	w.start()
	return w
}

// start runs the relay, where it ran before if it did.
func (w *world) start() {
	w.t.Helper()
	var socket net.PacketConn
	var err error
	switch at, _ := w.address.(*net.UDPAddr); {
	case w.network == nil:
		if at == nil {
			at = &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}
		}
		socket, err = net.ListenUDP("udp", at)
		must(w.t, err)
	case at != nil:
		socket = w.network.EndpointAt(at)
	default:
		socket = w.network.Endpoint()
	}
	w.address = socket.LocalAddr()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- relay.Serve(ctx, socket, w.relay, func() { close(ready) }) }()
	<-ready
	var once sync.Once
	w.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				w.t.Error("relay:", err)
			}
			socket.Close()
		})
	}
	w.t.Cleanup(w.stop) // before the socket goes
}

// kill takes the relay away without a last word of it; start brings another one, which knows nothing of before.
func (w *world) kill() {
	w.network.Cut(w.address)
	w.stop()
	w.network.Restore(w.address)
}

// restart stops the relay in order and runs it again, with the memory of a new one.
func (w *world) restart(t *testing.T) {
	t.Helper()
	w.stop()
	w.start()
}

func logger() *slog.Logger {
	if os.Getenv("SINETE_TEST_LOG") == "" {
		return nil
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// card issues a soft card. The same name again is a renewed card.
func (w *world) card(name string) cardauth.Card {
	w.t.Helper()
	issued, err := w.pki.IssuePerson(trialpki.Person{Name: name})
	must(w.t, err)
	c, err := softcard.FromKey(issued.Key, issued.Chain, wire.SchemeP256)
	must(w.t, err)
	return c
}

func (w *world) identity(c cardauth.Card) string {
	w.t.Helper()
	id, err := cardauth.Identity(c.Certificate(), w.pki.Root.Certificate)
	must(w.t, err)
	return id
}

func (w *world) config(c cardauth.Card) peer.Config {
	return peer.Config{Relay: w.address.String(), RelayName: relayName, Card: c, Policy: w.policy, Logger: logger(),
		Machine: &peer.Machine{Facts: []byte("facts"), Description: "a test machine"},
		Socket: func() (net.PacketConn, net.Addr, error) {
			if w.network != nil {
				return w.network.Endpoint(), w.address, nil
			}
			pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			return pc, w.address, err
		}}
}

// login logs a card in until the test ends.
func (w *world) login(c cardauth.Card) *peer.Session {
	w.t.Helper()
	return w.loginWith(w.config(c))
}

func (w *world) loginWith(cfg peer.Config) *peer.Session {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := peer.Login(ctx, cfg)
	must(w.t, err)
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = s.Close(ctx) // a test that ended the session itself has looked at the error
	})
	return s
}

// connect makes a conversation and returns both ends.
func connect(t testing.TB, from, to *peer.Session) (a, b *peer.Conversation) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	people, err := from.List(ctx)
	must(t, err)
	for _, p := range people {
		if p.Identity == to.Identity() {
			a, err = from.Connect(ctx, p.ID, nil)
			must(t, err)
		}
	}
	if a == nil {
		t.Fatalf("%s is not in the list of %s", to.Name(), from.Name())
	}
	return a, opened(t, to)
}

// opened takes the session's next event, which must be a conversation.
func opened(t testing.TB, s *peer.Session) *peer.Conversation {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	e, err := s.Next(ctx)
	must(t, err)
	o, ok := e.(*peer.Opened)
	if !ok {
		t.Fatalf("%T where a conversation should open: %+v", e, e)
	}
	return o.Conversation
}

// next takes the conversation's next event of type E, passing over the others.
func next[E peer.Event](t testing.TB, c *peer.Conversation) E {
	t.Helper()
	return nextThat(t, c, func(E) bool { return true })
}

// nextThat takes the conversation's next event of type E that pleases ok.
func nextThat[E peer.Event](t testing.TB, c *peer.Conversation, ok func(E) bool) E {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for {
		e, err := c.Next(ctx)
		if err != nil {
			var zero E
			t.Fatalf("waiting for a %T: %v", zero, err)
		}
		if e, is := e.(E); is && ok(e) {
			return e
		}
		if closed, is := e.(*peer.Closed); is {
			var zero E
			t.Fatalf("the conversation closed (%v) where a %T was awaited", closed.Number, zero)
		}
	}
}

// sendText queues a text that must be taken.
func sendText(t testing.TB, c *peer.Conversation, text string) uint64 {
	t.Helper()
	n, err := c.Send(context.Background(), text)
	must(t, err)
	return n
}

// delivered waits until everything up to number is acknowledged by the other person.
func delivered(t testing.TB, c *peer.Conversation, number uint64) {
	t.Helper()
	nextThat(t, c, func(r *peer.Receipt) bool { return r.Stage == peer.StagePeer && r.Number >= number })
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
