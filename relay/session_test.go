package relay

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/internal/link"
	"sinete/relay/flow"
	"sinete/transport"
	"sinete/transport/channel"
	"sinete/transport/transporttest"
	"sinete/wire"
)

// A list is as long as there are people, up to the number that a relay takes at first, and none is too long for the queue to the session.
func TestLongList(t *testing.T) {
	transporttest.Certificate() // its key generation is no part of any bubble
	synctest.Test(t, func(t *testing.T) {
		r := &Relay{cfg: Config{Flow: flow.NoWriteUp, Logger: slog.New(slog.DiscardHandler)}, people: newDirectory(defaultMaxSessions, 0, false)}
		level := wire.Level{Compartments: []string{"a", "b"}}
		for id := range uint32(defaultMaxSessions) {
			identity := fmt.Sprint(strings.Repeat("x", 180), id)
			s := &session{relay: r, id: id + 1, suites: channel.Suites(),
				other: &link.Other{Party: &cardauth.Party{Identity: identity, Name: identity}}}
			s.who.Store(&flow.Subject{Level: level})
			r.people.sessions[identity], r.people.byNumber[s.id] = s, s
		}
		client, p, _ := client(t, r)
		const lists = 3
		for req := range uint64(lists) {
			must(t, client.Send(wire.List{Req: req}))
		}
		for req := range uint64(lists) {
			for id, more := uint32(0), true; more; {
				page := <-p.lists
				if page.Req != req {
					t.Fatalf("a page of list %d, not %d", page.Req, req)
				}
				for _, e := range page.Entries {
					if id++; e.ID != id {
						t.Fatalf("entry %d where %d was next", e.ID, id)
					}
				}
				if more = page.More; !more && id != defaultMaxSessions {
					t.Errorf("%d entries", id)
				}
			}
		}
		const together = wire.MaxLists + 4
		for req := range uint64(together) { // more than may wait
			must(t, client.Send(wire.List{Req: lists + req}))
		}
		full, refused := 0, 0
		for full+refused < together {
			switch page := <-p.lists; {
			case page.Req == busy:
				refused++
			case !page.More:
				full++
			}
		}
		if full < wire.MaxLists || refused == 0 {
			t.Errorf("%d lists came, %d were refused", full, refused)
		}
	})
}

// Acknowledgements without number, faster than they can leave, fill nobody's control stream: the newest one arrives.
func TestManyReceipts(t *testing.T) {
	transporttest.Certificate()
	synctest.Test(t, func(t *testing.T) {
		r := &Relay{cfg: Config{Logger: slog.New(slog.DiscardHandler)}, people: newDirectory(1, 0, false)}
		_, p, s := client(t, r)
		l := &leg{conversation: &conversation{relay: r}, session: s, role: wire.RoleInitiator}
		l.conversation.legs = [2]*leg{l, {conversation: l.conversation, role: wire.RoleResponder}}
		const n = 20_000
		e := wire.SealEntry{Seal: wire.Seal{Signature: make([]byte, 512), Leaves: 1}, Head: wire.Head{Role: wire.RoleResponder}}
		for range n {
			e.Head.Yours.Count++
			l.confirm([]wire.SealEntry{e})
		}
		passed := 0
		for last := uint64(0); last < n; passed++ {
			h := <-p.heads
			if h.Yours.Count <= last {
				t.Fatalf("%d after %d", h.Yours.Count, last)
			}
			last = h.Yours.Count
		}
		if passed == n {
			t.Error("nothing had to wait")
		}
		l.confirm([]wire.SealEntry{e})
		<-p.heads
		r.running.Wait()
	})
}

const busy = 1 << 40

// asker hands on what the peer at the other end of a session gets.
type asker struct {
	lists chan wire.Peers
	heads chan wire.Head
}

func (p *asker) Control(m wire.Control) error {
	switch m := m.(type) {
	case wire.Peers:
		p.lists <- m
	case wire.Refused:
		p.lists <- wire.Peers{Req: busy}
	}
	return nil
}

func (p *asker) Inner(entries []wire.SealEntry) error {
	for _, e := range entries {
		p.heads <- e.Head
	}
	return nil
}

func (p *asker) Probed([8]byte) {}

// client makes a session at the relay, with no login, and the link of its peer.
func client(t *testing.T, r *Relay) (*link.Link, *asker, *session) {
	t.Helper()
	network := transporttest.New(t, transporttest.Options{Latency: 5 * time.Millisecond})
	here, there := network.Dial(network.Listen(transport.ServerConfig{}))
	there.LoggedIn()
	ours, err := here.OpenStream(t.Context())
	must(t, err)
	must(t, ours.Append(wire.Frame{Type: wire.FrameHello}.Append)) // so that the relay sees the stream
	theirs, err := there.AcceptStream(t.Context())
	must(t, err)
	_, err = theirs.ReadFrame()
	must(t, err)
	a, b := hop(t)
	_, private, err := ed25519.GenerateKey(nil)
	must(t, err)
	k := key{private}
	config := func(conn *transport.Conn, control *transport.Stream, ch *channel.Channel) link.Config {
		sealer := seal.NewSealer(k, k.digest(), seal.Config{})
		t.Cleanup(sealer.Close)
		return link.Config{Conn: conn, Control: control, Channel: ch, Role: ch.Role, Sealer: sealer, Verifier: seal.NewVerifier(16),
			Other: seal.Signer{Key: private.Public(), Scheme: wire.SchemeEd25519, Digest: k.digest()}}
	}
	s := &session{relay: r, id: defaultMaxSessions + 1, legs: map[[16]byte]*leg{}, other: &link.Other{Party: &cardauth.Party{}}}
	s.who.Store(&flow.Subject{})
	s.link = link.New(config(there, theirs, b), s)
	p := &asker{make(chan wire.Peers), make(chan wire.Head)}
	l := link.New(config(here, ours, a), p)
	for _, l := range []*link.Link{l, s.link} {
		go func() {
			if err := l.Run(context.Background()); err != nil {
				t.Error(err)
			}
		}()
	}
	t.Cleanup(func() {
		l.Fail(&transport.CloseError{Number: wire.CodeBye})
		<-s.link.Context().Done()
		synctest.Wait()
	})
	return l, p, s
}

// key seals at once.
type key struct{ ed25519.PrivateKey }

func (k key) Scheme() wire.Scheme { return wire.SchemeEd25519 }
func (k key) Software() bool      { return false }
func (k key) digest() [32]byte    { return wire.SignerHash(k.Public().(ed25519.PublicKey), nil) }

func (k key) SealRoot(_ context.Context, in wire.SealInput) ([]byte, error) {
	return ed25519.Sign(k.PrivateKey, in.Append(nil)), nil
}

// hop makes the two ends of a hop channel.
func hop(t *testing.T) (a, b *channel.Channel) {
	t.Helper()
	cfg := channel.Config{Kind: wire.KindHop, Suites: []wire.Suite{wire.SuiteX25519AES256GCM}, Credentials: wire.Credentials{Chain: [][]byte{{1}}}}
	some := wire.Seal{Scheme: wire.SchemeEd25519, Signature: []byte{1}, Leaves: 1}
	i, r := channel.NewInitiator(cfg), channel.NewResponder(cfg)
	hello, err := i.Hello()
	must(t, err)
	_, err = r.ReadHello(hello)
	must(t, err)
	answer, err := r.Answer()
	must(t, err)
	_, _, err = i.ReadAnswer(answer)
	must(t, err)
	proof, err := i.Proof(some, nil)
	must(t, err)
	_, _, err = r.ReadProof(proof)
	must(t, err)
	_, err = r.Parameters(nil)
	must(t, err)
	accept, b, err := r.Accept(some)
	must(t, err)
	_, _, _, err = i.ReadAccept(accept)
	must(t, err)
	a, err = i.Finish()
	must(t, err)
	return a, b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
