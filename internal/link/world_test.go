package link

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/transport"
	"sinete/transport/channel"
	"sinete/transport/transporttest"
	"sinete/wire"
)

// bubble runs a test in virtual time. That nothing of a link is left running at its end, synctest sees to.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	transporttest.Certificate() // its key generation is no part of any bubble
	synctest.Test(t, f)
}

// key seals at once, or after a delay as a card does.
type key struct {
	private ed25519.PrivateKey
	delay   atomic.Int64
	made    atomic.Int64
	fails   atomic.Pointer[cardauth.AbsentError] // nil: it does not
}

func newKey() *key {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return &key{private: private}
}

func (k *key) Scheme() wire.Scheme { return wire.SchemeEd25519 }
func (k *key) Software() bool      { return false }

func (k *key) SealRoot(ctx context.Context, in wire.SealInput) ([]byte, error) {
	wait := time.NewTimer(time.Duration(k.delay.Load()))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := k.fails.Load(); err != nil {
		return nil, err
	}
	k.made.Add(1)
	return ed25519.Sign(k.private, in.Append(nil)), nil
}

func (k *key) signer() seal.Signer {
	return seal.Signer{Key: k.private.Public(), Scheme: wire.SchemeEd25519, Digest: k.digest()}
}

func (k *key) digest() [32]byte { return wire.SignerHash(k.private.Public().(ed25519.PublicKey), nil) }

// end is one end of a session before anything runs on it.
type end struct {
	conn    *transport.Conn
	control *transport.Stream
	channel *channel.Channel
	role    wire.Role
	key     *key
	sealer  *seal.Sealer
	network *transporttest.Network
}

// ends connects a peer and a relay up to the point where a login is done.
func ends(t *testing.T) (client, server *end) {
	t.Helper()
	return endsOver(t, transporttest.Options{Latency: 5 * time.Millisecond})
}

func endsOver(t *testing.T, options transporttest.Options) (client, server *end) {
	t.Helper()
	client, server = &end{role: wire.RoleInitiator, key: newKey()}, &end{role: wire.RoleResponder, key: newKey()}
	client.channel, server.channel = hop(t)
	network := transporttest.New(t, options)
	client.network, server.network = network, network
	client.conn, server.conn = network.Dial(network.Listen(transport.ServerConfig{}))
	server.conn.LoggedIn()
	var err error
	client.control, err = client.conn.OpenStream(t.Context())
	must(t, err)
	must(t, client.control.Append(wire.Frame{Type: wire.FrameHello}.Append)) // so that the server sees the stream
	server.control, err = server.conn.AcceptStream(t.Context())
	must(t, err)
	_, err = server.control.ReadFrame()
	must(t, err)
	for _, e := range []*end{client, server} {
		e.sealer = seal.NewSealer(e.key, e.key.digest(), seal.Config{})
		t.Cleanup(e.sealer.Close)
	}
	return client, server
}

func newInitiator(c *channel.Channel) *channel.Initiator {
	return channel.NewInitiator(c.Rekeying(wire.Credentials{Chain: [][]byte{{1}}}, wire.RekeyLimits{}))
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

// side is an end with a link on it, and what came up from the link.
type side struct {
	*end
	link     *Link
	messages chan wire.Control
	inner    chan []wire.SealEntry
	probed   chan [8]byte
	refuse   error // what Control says
	began    time.Time
	ended    chan error
}

func (s *side) Control(m wire.Control) error {
	s.messages <- m
	return s.refuse
}

func (s *side) Inner(e []wire.SealEntry) error {
	s.inner <- e
	return nil
}

func (s *side) Probed(nonce [8]byte) {
	select {
	case s.probed <- nonce:
	default:
	}
}

// run starts the link of an end, which ends with the test at the latest.
func (e *end) run(t *testing.T, other *end, edit func(*Config)) *side {
	t.Helper()
	s := &side{end: e, messages: make(chan wire.Control, 4096), inner: make(chan []wire.SealEntry, 64), probed: make(chan [8]byte, 64),
		ended: make(chan error, 1), began: time.Now()}
	cfg := Config{Conn: e.conn, Control: e.control, Channel: e.channel, Role: e.role, Other: other.key.signer(), Sealer: e.sealer,
		Class: func() string { return "class" }, Verifier: seal.NewVerifier(16)}
	if edit != nil {
		edit(&cfg)
	}
	s.link = New(cfg, s)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { s.ended <- s.link.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-s.link.Context().Done()
		synctest.Wait()
	})
	return s
}

// session is two honest ends.
func session(t *testing.T) (client, server *side) {
	t.Helper()
	c, s := ends(t)
	return c.run(t, s, nil), s.run(t, c, nil)
}

// against is an honest relay, or an honest peer, and somebody at the other end who does as the test says.
func against(t *testing.T, honest wire.Role, edit func(*Config)) (*evil, *side) {
	t.Helper()
	c, s := ends(t)
	if honest == wire.RoleInitiator {
		c, s = s, c
	}
	return &evil{t: t, end: c, lane: c.channel.Hop(0)}, s.run(t, c, edit)
}

// evil writes what it likes on the control stream.
type evil struct {
	t *testing.T
	*end
	lane  *channel.HopLane
	other Acquaintance // in rekeyings
}

func (e *evil) send(frames ...wire.Frame) { e.on(e.end.control, frames...) }

func (e *evil) on(s *transport.Stream, frames ...wire.Frame) {
	for _, f := range frames {
		must(e.t, s.Append(f.Append))
	}
}

// says puts messages into envelopes that no seal covers yet.
func (e *evil) says(messages ...wire.Control) {
	for _, m := range messages {
		must(e.t, e.end.control.Append(func(b []byte) []byte { return e.lane.Seal(b, wire.EnvelopeControl, m.Append(nil)) }))
	}
}

// lives keeps the connection busy with what means nothing: deadlines count only while something comes.
func (e *evil) lives() {
	go func() {
		answer := wire.Frame{Type: wire.FrameProbeAnswer, Body: make([]byte, 8)}
		each := time.NewTicker(time.Second)
		defer each.Stop()
		for e.end.control.Append(answer.Append) == nil {
			select {
			case <-each.C:
			case <-e.conn.Context().Done():
			}
		}
	}()
}

// seals writes heads under a seal of its own key.
func (e *evil) seals(heads ...wire.Head) { e.sealsWith(e.sealer, e.end.control, heads...) }

// anotherSealer signs with a key in the name of a signer.
func (e *evil) anotherSealer(key seal.Key, signer [32]byte) *seal.Sealer {
	s := seal.NewSealer(key, signer, seal.Config{})
	e.t.Cleanup(s.Close)
	return s
}

func (e *evil) sealsWith(sealer *seal.Sealer, on *transport.Stream, heads ...wire.Head) {
	seals, err := sealer.Seal(e.t.Context(), "", func() []seal.Statement { return statements(heads) })
	must(e.t, err)
	must(e.t, appendSeals(on, seals, heads))
}

// receives reads n frames of a stream, opens what is in them and returns the last head.
func (e *evil) receives(s *transport.Stream, lane *channel.HopLane, n int) (h wire.Head) {
	for range n {
		f, err := s.ReadFrame()
		must(e.t, err)
		switch f.Type {
		case wire.FrameEnvelope:
			_, err = lane.Open(nil, f.Body)
			must(e.t, err)
		case wire.FrameSeal:
			frame, err := wire.ParseSealFrame(f.Body)
			must(e.t, err)
			h = frame[0].Head
			if h.Lane == lane.ID {
				_, _, err = lane.Check(h)
				must(e.t, err)
			}
		}
	}
	return h
}

// wantEnd waits for the end of the link's Run, which must come with that number after that time.
func (s *side) wantEnd(t *testing.T, number wire.Code, after time.Duration) {
	t.Helper()
	err := s.said(t)
	if err == nil || wire.CodeOf(err) != number {
		t.Fatalf("the session ended with %v, where %v was due", err, number)
	}
	if took := time.Since(s.began); took < after || took > after+time.Second {
		t.Fatalf("it ended after %v (%v)", took, err)
	}
}

// said is what Run returned.
func (s *side) said(t *testing.T) error {
	t.Helper()
	select {
	case err := <-s.ended:
		return err
	case <-time.After(time.Hour): // virtual
		t.Fatal("the session goes on")
		return nil
	}
}

// wantAlive waits and finds the session as it was.
func (s *side) wantAlive(t *testing.T, after time.Duration) {
	t.Helper()
	time.Sleep(after) // virtual
	synctest.Wait()
	if err := s.link.Err(); err != nil {
		t.Fatalf("the session has ended: %v", err)
	}
}

// received is what came up so far.
func (s *side) received() (m []wire.Control) {
	synctest.Wait()
	for {
		select {
		case c := <-s.messages:
			m = append(m, c)
		default:
			return m
		}
	}
}

// told is the number with which a connection was closed by the other side.
func told(t *testing.T, c *transport.Conn) wire.Code {
	t.Helper()
	<-c.Context().Done()
	var closed *transport.CloseError
	if !errors.As(c.Err(), &closed) || !closed.Remote {
		t.Fatalf("closed by %v", c.Err())
	}
	return closed.Number
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
