package systemtest

import (
	"context"
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/internal/link"
	"sinete/peer"
	"sinete/transport/channel"
	"sinete/wire"
)

// evilTalk is one end of a conversation: an evil peer's own, or that of somebody whom an evil relay plays.
type evilTalk struct {
	at      *evil
	lane    *evilLane // of the hop
	own     *cardauth.Party
	sealer  *seal.Sealer // of own
	other   *link.Other
	channel *channel.Channel
	inner   *channel.ConversationLane
	open    wire.Open
	number  uint64
	chain   [][]byte // of own, for rekeyings

	said, heard []byte         // the last inner envelopes, for a relay that keeps them
	sealed      wire.SealEntry // over said
}

// entry is how the relay lists somebody.
func (e *evil) entry(identity string) wire.PeerEntry {
	e.t.Helper()
	people := e.list()
	i := slices.IndexFunc(people, func(p wire.PeerEntry) bool { return p.Identity == identity })
	if i < 0 {
		e.t.Fatalf("%s is not in the list", identity)
	}
	return people[i]
}

// connect asks for a conversation, as an honest peer does.
func (e *evil) connect(w *world, identity string) *evilTalk {
	e.t.Helper()
	id := e.entry(identity).ID
	e.ask(func(req uint64) wire.Control { return wire.Connect{Req: req, ID: id, Suites: e.suites} })
	return e.join(w, wire.RoleInitiator)
}

// join takes the next conversation that the relay opens.
func (e *evil) join(w *world, role wire.Role) *evilTalk {
	e.t.Helper()
	t, err := e.tryJoin(w, role, nil)
	must(e.t, err)
	return t
}

// tryJoin is join that may fail. spoil, if not nil, may change each handshake message that is sent.
func (e *evil) tryJoin(w *world, role wire.Role, spoil func(f *wire.Frame)) (*evilTalk, error) {
	e.t.Helper()
	t := e.opened(role)
	return t, t.handshake(w, role, e.credentials, spoil)
}

// opened takes the next conversation that the relay opens, before its handshake.
func (e *evil) opened(role wire.Role) *evilTalk {
	e.t.Helper()
	t := &evilTalk{at: e, own: e.own, sealer: e.sealer}
	opening := e.await("open", func(a *arrival) bool {
		if a.stream == 0 || a.opened == nil || a.opened.Type != wire.EnvelopeControl {
			return false
		}
		m, err := wire.ParseControl(a.opened.Payload)
		must(e.t, err)
		t.open, _ = m.(wire.Open)
		return t.open.Role == role
	})
	e.mu.Lock()
	t.lane = e.lanes[opening.stream]
	e.mu.Unlock()
	return t
}

// handshake makes the conversation's channel.
func (t *evilTalk) handshake(w *world, role wire.Role, credentials wire.Credentials, spoil func(f *wire.Frame)) (err error) {
	config := channel.Config{Kind: wire.KindConversation, Limits: evilLimits, Suites: t.at.suites, Credentials: credentials}
	who := link.Acquaintance{Verifier: seal.NewVerifier(16), Now: time.Now, Settle: w.policy.Settle,
		Meet: func(_ context.Context, c wire.Credentials) (*cardauth.Party, error) {
			return w.policy.VerifyPerson(c.Chain, nil)
		}}
	sealing := func(p wire.Purpose, statement []byte) wire.Seal {
		return t.sealsFor(seal.Statement{Purpose: p, Bytes: statement})
	}
	if role == wire.RoleInitiator {
		config.Context = wire.ConversationContext{Conversation: t.open.Conversation, Asking: t.own.Identity,
			AskedFor: t.open.Other.Identity}.Append(nil)
		t.channel, t.other, _, err = link.Initiate(context.Background(), evilMessages{t, spoil}, link.Initiation{Config: config, Acquaintance: who,
			Seal: func(_ context.Context, th2 []byte) (wire.Seal, *wire.SealedDelegation, error) {
				return sealing(wire.PurposeInitiator, th2), nil, nil
			}})
	} else {
		t.channel, t.other, err = link.Respond(context.Background(), evilMessages{t, spoil}, link.Response{Config: config, Acquaintance: who,
			Context: func(*wire.Hello) (string, error) { return "", nil },
			Admit: func(_ context.Context, _ *link.Other, h *wire.Hello) ([]byte, error) {
				return wire.AppendConversationParameters(nil, evilLimits.Smaller(h.Limits)), nil
			},
			Seal: func(_ context.Context, th3 []byte) (wire.Seal, error) {
				return sealing(wire.PurposeResponder, th3), nil
			},
		})
	}
	if err == nil {
		t.inner = t.channel.Conversation()
	}
	return err
}

// sealsFor seals for the other person as an honest program does, alone in a closed direction, unless the test says how.
func (t *evilTalk) sealsFor(st seal.Statement) wire.Seal {
	switch {
	case t.at.seals != nil:
		return t.at.seals(t.sealer, st)
	case t.open.MayWrite:
		return sealStatements(t.at.t, t.sealer, st)[0]
	}
	s, err := t.sealer.SealAlone(context.Background(), st)
	must(t.at.t, err)
	return s
}

// evilMessages carries the handshake in envelopes of the hop.
type evilMessages struct {
	*evilTalk
	spoil func(f *wire.Frame)
}

func (m evilMessages) Send(_ context.Context, f wire.Frame) error {
	if m.spoil != nil {
		f.Body = slices.Clone(f.Body) // the transcript has the honest one
		m.spoil(&f)
	}
	m.at.send(m.lane, wire.EnvelopeHandshake, f.Append(nil))
	return nil
}

func (m evilMessages) Receive(context.Context) (f wire.Frame, err error) {
	a := m.at.await("a handshake message", func(a *arrival) bool {
		return a.stream == m.lane.ID && (a.err != nil || a.opened != nil && a.opened.Type == wire.EnvelopeHandshake)
	})
	if a.err != nil {
		return f, a.err
	}
	if f, err = wire.ParseFrame(a.opened.Payload); err == nil && m.at.listens != nil {
		m.at.listens(f)
	}
	return f, err
}

// forgery is how a flight differs from an honest one. What is nil stays honest.
type forgery struct {
	beside  string                                            // another text, which shares the envelope
	body    func(b []byte)                                    // the inner envelope's bytes, before they are wrapped
	frame   func(b []byte)                                    // the body of the outer envelope's frame
	heads   func(t *evilTalk, outer, inner *wire.Head)        // before they are sealed
	seals   func(t *evilTalk, outer, inner *wire.SealEntry)   // afterwards
	without func(e *wire.SealEntry, outer bool) (leaves bool) // which heads are left out
}

// content makes the next text's inner envelope.
func (t *evilTalk) content(text string) channel.Sealed {
	c := wire.Content{Type: wire.ContentText, Number: t.number, Text: text}
	t.number++
	return t.contentOf(c)
}

// contentOf makes an inner envelope of any content. The label is the level that the relay gave this side.
func (t *evilTalk) contentOf(c wire.Content) channel.Sealed {
	t.sign(&c)
	return t.inner.Seal(nil, t.open.Level, c.Append(nil))
}

// sign says whose content it is.
func (t *evilTalk) sign(c *wire.Content) {
	c.Parties = wire.Parties(t.own.Identity, t.own.KeyHash, t.other.Identity, t.other.KeyHash)
	c.Time = uint64(time.Now().UnixMilli())
	rand.Read(c.ID[:])
}

// shared makes the inner envelope that the next texts share.
func (t *evilTalk) shared(label wire.Level, change func(*wire.Content), texts ...string) []byte {
	contents := make([]wire.Content, len(texts))
	for i, text := range texts {
		contents[i] = wire.Content{Type: wire.ContentText, Number: t.number, Text: text}
		t.number++
		t.sign(&contents[i])
		if change != nil {
			change(&contents[i])
		}
	}
	return t.inner.SealTexts(nil, label, contents).Body
}

// say sends a text in a flight of its own.
func (t *evilTalk) say(text string, f forgery) {
	t.at.t.Helper()
	var body []byte
	if f.beside != "" {
		body = t.shared(t.open.Level, nil, text, f.beside)
	} else {
		body = t.content(text).Body
	}
	t.said = body
	if f.body != nil {
		f.body(body)
	}
	t.put(f, body)
	t.close(f)
}

// put writes inner envelopes, wrapped.
func (t *evilTalk) put(f forgery, bodies ...[]byte) {
	t.at.t.Helper()
	for _, body := range bodies {
		e, err := wire.ParseEnvelope(body)
		must(t.at.t, err)
		must(t.at.t, t.lane.stream.Append(func(b []byte) []byte {
			start := len(b)
			b = t.lane.SealInner(b, body, e.InnerDigests())
			if f.frame != nil {
				_, _, n, err := wire.ParseFrameHeader(b[start:])
				must(t.at.t, err)
				f.frame(b[start+n:])
			}
			return b
		}))
	}
}

// close seals what was put: the inner head in the name of the talk's person, the outer head in that of this end of the hop. They are one
// batch where both are the same.
func (t *evilTalk) close(f forgery) {
	outer, inner := t.lane.Closing(), t.inner.Closing()
	if f.heads != nil {
		f.heads(t, &outer, &inner)
	}
	var entries []wire.SealEntry
	if t.sealer == t.at.sealer {
		entries = t.at.seal(t.sealer, inner, outer)
	} else {
		entries = append(t.at.seal(t.sealer, inner), t.at.seal(t.at.sealer, outer)...)
	}
	if f.seals != nil {
		f.seals(t, &entries[1], &entries[0])
	}
	t.sealed = entries[0]
	written := entries[:0]
	for i := range entries {
		if f.without == nil || !f.without(&entries[i], i == 1) {
			written = append(written, entries[i])
		}
	}
	t.at.write(t.lane, written...)
}

// hear awaits everything up to the text of that number, and the author's seal over it.
func (t *evilTalk) hear(number uint64) *wire.Content {
	t.at.t.Helper()
	for {
		a := t.at.await("content", func(a *arrival) bool {
			return a.stream == t.lane.ID && a.opened != nil && a.opened.Type == wire.EnvelopeInner
		})
		t.heard = a.opened.Payload
		c := t.last(a.opened)
		if c.Type != wire.ContentText || c.Number < number {
			continue
		}
		here := t.inner.Received.Here()
		head := t.at.await("the author's seal", func(a *arrival) bool {
			return a.inner != nil && a.inner.Head.Channel == t.channel.ID && a.inner.Head.Mine != nil && *a.inner.Head.Mine == here
		}).inner
		must(t.at.t, t.at.verifier.Verify(t.other.Signer, wire.PurposeHead, head.Statement, head.Seal))
		_, _, err := t.inner.Check(head.Head)
		must(t.at.t, err)
		return c
	}
}

// last is the last content in an inner envelope.
func (t *evilTalk) last(o *channel.Opened) *wire.Content {
	t.at.t.Helper()
	if o.Inner.Header.Type == wire.EnvelopeTexts {
		texts, _, _, err := t.inner.OpenTexts(nil, &o.Inner, o.Digests)
		must(t.at.t, err)
		return &texts[len(texts)-1]
	}
	plain, _, err := t.inner.Open(nil, &o.Inner, o.Digests[0])
	must(t.at.t, err)
	c, err := wire.ParseContent(plain)
	must(t.at.t, err)
	return c
}

// confirm is H3 of everything heard. forge may change it before it is sealed.
func (t *evilTalk) confirm(forge func(h *wire.Head)) {
	must(t.at.t, t.inner.Confirm(t.inner.Received.LastSealed()))
	h, _ := t.inner.Acknowledging()
	if forge != nil {
		forge(&h)
	}
	t.at.write(t.at.control, wire.SealEntry{Seal: t.sealsFor(seal.Statement{Purpose: wire.PurposeHead, Bytes: h.Append(nil)}), Head: h})
}

// closed expects that the relay ends the conversation and nothing else.
func (t *evilTalk) closed(number wire.Code) {
	t.at.t.Helper()
	answerOf(t.at, func(c wire.Closed) bool {
		if c.Conversation == t.open.Conversation && c.Number != number {
			t.at.t.Fatalf("the conversation closed with %v, not with %v", c.Number, number)
		}
		return c.Conversation == t.open.Conversation
	})
	t.at.list()
}

// canary is an honest pair that talks before and after an attack.
type canary struct{ carol, dave *peer.Conversation }

func newCanary(t *testing.T, w *world) *canary {
	t.Helper()
	c := &canary{}
	c.carol, c.dave = connect(t, w.login(w.card("carol")), w.login(w.card("dave")))
	c.sings(t)
	return c
}

func (c *canary) sings(t *testing.T) {
	t.Helper()
	talk(t, c.carol, c.dave, "tweet")
	talk(t, c.dave, c.carol, "chirp")
}

// heardNothing expects a conversation to end without a message having been shown.
func heardNothing(t *testing.T, c *peer.Conversation, number wire.Code) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		e, err := c.Next(ctx)
		must(t, err)
		switch e := e.(type) {
		case *peer.Message:
			t.Fatalf("shown: %q", e.Text)
		case *peer.Closed:
			if e.Number != number {
				t.Fatalf("the honest side's conversation closed with %v, not with %v", e.Number, number)
			}
			return
		}
	}
}
