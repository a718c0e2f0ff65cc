package export

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"iter"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/cardauth/softcard"
	"sinete/internal/trialpki"
	"sinete/peer/store"
	"sinete/wire"
)

// talker is one of two people in a story.
type talker struct {
	shown    wire.Credentials
	identity string
	key      seal.Key
	digest   [32]byte // of the signer
	events   []store.Evidence
	history  []store.Entry

	here, last wire.Place // of what they send
	sealed     wire.Place // the latest that they have sealed
	number     uint64
}

// Evidence and History make a Source of what the talker's store would hold.
func (p *talker) Evidence() iter.Seq2[store.Evidence, error] {
	return func(yield func(store.Evidence, error) bool) {
		for _, e := range p.events {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (p *talker) History(store.Query) iter.Seq2[store.Entry, error] {
	return func(yield func(store.Entry, error) bool) {
		for _, e := range p.history {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// story is two people who talk, ana first, and what their stores hold of it.
type story struct {
	t        testing.TB
	ana, rui *talker
	policy   *cardauth.Policy
	id       [32]byte
	epochs   map[uint64][]byte
	epoch    uint64
	now      time.Time
	again    *[16]byte // id of what is sent, which has been sent before; nil: a new one
}

// kind is what somebody seals with.
type kind struct {
	key       trialpki.KeyType
	scheme    wire.Scheme
	delegated bool
}

var (
	p256         = kind{trialpki.P256, wire.SchemeP256, false}
	p384         = kind{trialpki.P384, wire.SchemeP384, false}
	rsa2048      = kind{trialpki.RSA2048, wire.SchemeRSAPKCS1, false}
	pss2048      = kind{trialpki.RSA2048, wire.SchemeRSAPSS, false}
	byDelegation = kind{trialpki.P256, wire.SchemeP256, true}
)

func newStory(t testing.TB, ana, rui kind) *story {
	t.Helper()
	return storyBelow(t, func(w *trialpki.World) *x509.Certificate { return w.Root.Certificate }, ana, rui)
}

// shortStory is one whose anchor is who issued the cards: of what is verified a thousand times.
func shortStory(t testing.TB, ana, rui kind) *story {
	t.Helper()
	return storyBelow(t, func(w *trialpki.World) *x509.Certificate { return w.Authentication.Certificate }, ana, rui)
}

func storyBelow(t testing.TB, anchor func(*trialpki.World) *x509.Certificate, ana, rui kind) *story {
	t.Helper()
	w, err := trialpki.New(trialpki.Options{})
	must(t, err)
	s := &story{t: t, now: time.Now()}
	s.policy = &cardauth.Policy{Anchors: []*x509.Certificate{anchor(w)}, Revocation: cardauth.RevocationOff}
	s.ana, s.rui = s.talker(w, "ana", ana), s.talker(w, "rui", rui)
	s.begin()
	return s
}

// begin begins a channel.
func (s *story) begin() {
	s.epoch, s.epochs = 0, map[uint64][]byte{0: random(48)}
	s.id = wire.ChannelID(s.epochs[0])
	for p, d := range map[*talker]wire.Direction{s.ana: 1, s.rui: 2} {
		p.here, p.last = wire.Place{T: wire.FirstTranscript(s.epochs[0], 0, d, 0, [32]byte{})}, wire.Place{}
		p.sealed = p.here
	}
}

func (s *story) talker(w *trialpki.World, name string, k kind) *talker {
	s.t.Helper()
	issued, err := w.IssuePerson(trialpki.Person{Name: name, Key: k.key})
	must(s.t, err)
	card, err := softcard.FromKey(issued.Key, issued.Chain, k.scheme)
	must(s.t, err)
	party, err := s.policy.VerifyPerson(issued.Chain, nil)
	must(s.t, err)
	p := &talker{shown: wire.Credentials{Chain: issued.Chain}, identity: party.Identity, key: card, digest: wire.SignerHash(issued.Chain[0], nil)}
	if k.delegated {
		d, err := cardauth.NewDelegate("relay.example", s.now.Add(time.Hour))
		must(s.t, err)
		p.shown.Delegation = &wire.SealedDelegation{Statement: d.Statement(), Seal: s.seal(p, wire.PurposeDelegation, d.Statement())}
		p.key, p.digest = d, wire.SignerHash(issued.Chain[0], d.Statement())
	}
	return p
}

// seal seals a statement with three batch-mates.
func (s *story) seal(by *talker, p wire.Purpose, statement []byte) wire.Seal {
	s.t.Helper()
	sealer := seal.NewSealer(by.key, by.digest, seal.Config{Now: func() time.Time { return s.now }})
	defer sealer.Close()
	seals, err := sealer.Seal(context.Background(), "", func() []seal.Statement {
		batch := make([]seal.Statement, 3)
		for i := range batch {
			batch[i] = seal.Statement{Purpose: wire.PurposeHead, Bytes: random(40)}
		}
		batch[1] = seal.Statement{Purpose: p, Bytes: statement}
		return batch
	})
	must(s.t, err)
	return seals[1]
}

// known is the channel as one of them has stored it.
func (s *story) known(by *talker) *store.Known {
	k := &store.Known{At: s.now, With: s.other(by).identity, Epochs: s.epochs}
	k.Channel = store.Channel{ID: s.id, Role: s.role(by), Own: by.shown, Other: s.other(by).shown}
	return k
}

func (s *story) other(p *talker) *talker {
	if p == s.ana {
		return s.rui
	}
	return s.ana
}

func (s *story) role(p *talker) wire.Role {
	if p == s.ana {
		return wire.RoleInitiator
	}
	return wire.RoleResponder
}

func (s *story) parties(from *talker) [32]byte {
	key := func(p *talker) [32]byte {
		c, err := x509.ParseCertificate(p.shown.Chain[0])
		must(s.t, err)
		return sha256.Sum256(c.RawSubjectPublicKeyInfo)
	}
	to := s.other(from)
	return wire.Parties(from.identity, key(from), to.identity, key(to))
}

// says has somebody send texts in one flight; an empty one is a machine statement, which is no text.
func (s *story) says(from *talker, texts ...string) { s.flight(from, s.epoch, texts...) }

// flight is says with a head that names the beginning of a later epoch.
func (s *story) flight(from *talker, named uint64, texts ...string) {
	s.t.Helper()
	to, d := s.other(from), s.role(from).Sends()
	if from.here.Epoch < s.epoch {
		s.reach(from, s.epoch)
	}
	f := store.Flight{Channel: s.id, Epoch: s.epoch, First: from.here.Count, Before: from.here.T}
	theirs := f
	for _, text := range texts {
		c := &wire.Content{Parties: s.parties(from), ID: [16]byte(random(16)), Time: uint64(s.now.UnixMilli()), Type: wire.ContentText, Number: from.number, Text: text}
		if s.again != nil {
			c.ID = *s.again
		}
		if text == "" {
			c = &wire.Content{Parties: c.Parties, ID: c.ID, Time: c.Time, Type: wire.ContentMachine, Machine: wire.Machine{Hash: c.Parties, Description: "a machine"}}
		}
		content := c.Append(nil)
		h := wire.Header{Epoch: s.epoch, Seq: from.here.Count, Type: wire.EnvelopeContent, Label: wire.Level{Rank: 3, Compartments: []string{"a", "crypto"}}}
		e := store.Envelope{Ciphertext: [32]byte(random(32)), Opening: [32]byte(random(32)), Content: content}
		h.Commitment = wire.Commitment(e.Opening, s.id, 0, d, h.AppendUncommitted(nil), content)
		e.Header = h.Append(nil)
		mine := e
		if text != "" {
			t := store.TextOf(c, h.Label)
			e.Is, e.Text = store.IsNewText, t
			mine.Is, mine.Number, mine.Content, mine.Text = store.IsOwnText, c.Number, nil, t
			from.history = append(from.history, store.Entry{With: to.identity, Text: *t, State: store.Delivered})
			to.history = append(to.history, store.Entry{With: from.identity, Text: *t, State: store.Received})
			from.number++
		}
		f.Envelopes, theirs.Envelopes = append(f.Envelopes, mine), append(theirs.Envelopes, e)
		from.here.T = wire.NextTranscript(from.here.T, e.Digest())
		from.here.Count++
	}
	if named != s.epoch {
		s.reach(from, named)
	}
	place := from.here
	from.sealed = place
	f.Seal = s.head(from, &place)
	theirs.Seal = f.Seal
	from.events = append(from.events, store.Evidence{Channel: s.known(from), Own: true, Flight: &f})
	to.events = append(to.events, store.Evidence{Channel: s.known(to), Flight: &theirs})
}

func (s *story) reach(p *talker, epoch uint64) {
	if p.here.Count > 0 {
		p.last = p.here
	}
	p.here = wire.Place{Epoch: epoch, T: wire.FirstTranscript(s.epochs[epoch], 0, s.role(p).Sends(), p.last.Count, p.last.T)}
}

func (s *story) head(by *talker, mine *wire.Place) wire.SealEntry {
	s.t.Helper()
	h := wire.Head{Channel: s.id, Role: s.role(by), Mine: mine, Yours: s.other(by).sealed}
	statement := h.Append(nil)
	return wire.SealEntry{Seal: s.seal(by, wire.PurposeHead, statement), Head: h, Statement: statement}
}

// confirms has somebody acknowledge all that the other sent.
func (s *story) confirms(by *talker) {
	s.t.Helper()
	e := s.head(by, nil)
	to := s.other(by)
	to.events = append(to.events, store.Evidence{Channel: s.known(to), Receipt: &e})
}

func (s *story) rekey() {
	s.epoch++
	s.epochs[s.epoch] = random(48)
}

// export is Export of somebody's store, which must succeed.
func (s *story) export(by *talker, messages ...Range) *Exported {
	s.t.Helper()
	x, err := Export(s.t.Context(), by, s.policy, Wanted{With: s.other(by).identity, Messages: messages})
	must(s.t, err)
	return x
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// told is a story of two epochs with messages both ways, hidden things among them, and receipts.
func told(t testing.TB, ana, rui kind) *story {
	t.Helper()
	s := newStory(t, ana, rui)
	s.says(s.ana, "", "Bom dia, Rui.", "The second: \x1b[31mred\r\n")
	s.confirms(s.rui)
	s.says(s.rui, "")
	s.says(s.rui, "Olá, Ana!")
	s.flight(s.ana, s.epoch, "before the new keys")
	s.rekey()
	s.says(s.ana, "after the new keys", "and more")
	s.confirms(s.rui)
	s.rekey()
	s.says(s.rui, "two epochs later")
	s.says(s.ana, "not confirmed")
	return s
}
