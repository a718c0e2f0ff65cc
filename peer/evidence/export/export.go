// Package export makes bundles of evidence (package evidence) of what a store holds.
//
// Most readers need Export and ParseRange.
package export

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"sinete/cardauth"
	"sinete/peer/evidence"
	"sinete/peer/evidence/held"
	"sinete/peer/evidence/internal/bundle"
	"sinete/peer/evidence/internal/facts"
	"sinete/peer/store"
	"sinete/wire"
)

// Wanted says of which messages evidence is wanted: of those with one person, all or some.
type Wanted struct {
	With     string     // identity
	Messages []Range    // none: all that were sent or received
	Stamp    *Authority // whose time-stamp the bundle is to bear; nil: none
}

// Range is messages of one author by their numbers, from 0.
type Range struct {
	Own         bool
	First, Last uint64
}

// String is the form that ParseRange reads: there people count from 1.
func (r Range) String() string {
	whose := "received"
	if r.Own {
		whose = "sent"
	}
	if r.First == r.Last {
		return fmt.Sprintf("%s:%d", whose, r.First+1)
	}
	return fmt.Sprintf("%s:%d-%d", whose, r.First+1, r.Last+1)
}

// maxRange is more messages than a bundle takes.
const maxRange = bundle.MaxFiles

// ParseRange reads sent:3, received:5 or sent:5-9, with the numbers that the history shows people: from 1.
func ParseRange(s string) (r Range, err error) {
	whose, numbers, _ := strings.Cut(s, ":")
	first, last, several := strings.Cut(numbers, "-")
	if !several {
		last = first
	}
	r.Own = whose == "sent"
	if r.First, err = strconv.ParseUint(first, 10, 62); err == nil {
		r.Last, err = strconv.ParseUint(last, 10, 62)
	}
	if err != nil || whose != "sent" && whose != "received" || r.First == 0 || r.Last < r.First || r.Last-r.First >= maxRange {
		return r, fmt.Errorf("%q is no message: say sent:3, received:5 or sent:5-9", s)
	}
	return Range{r.Own, r.First - 1, r.Last - 1}, nil
}

// Source is a *store.Store.
type Source interface {
	History(store.Query) iter.Seq2[store.Entry, error]
	Evidence() iter.Seq2[store.Evidence, error]
}

// Exported is a bundle that was made.
type Exported struct {
	Bundle []byte
	Report *evidence.Report // what it proves
	Left   []Unproved       // messages that were sent or received, and of which there is no evidence
}

// Export makes a bundle of what is wanted. A message that went out several times is proved where its receipt is, if there is one. Whose certificates and
// delegations do not verify by the policy at the time of the channel proves nothing, as in held.Check. Where single messages are wanted, all of them must be proved.
// Errors: *UnprovedError, evidence.ErrTooMuch, *StampError, that of ctx, those of reading the store.
func Export(ctx context.Context, s Source, policy *cardauth.Policy, want Wanted) (*Exported, error) {
	x := &exporter{Verifier: held.New(policy), want: want, texts: map[message]*text{}, sides: map[side]*collected{}}
	if err := x.list(s); err != nil {
		return nil, err
	}
	for e, err := range s.Evidence() {
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return nil, err
		}
		if e.Channel.With == want.With {
			x.collect(&e)
		}
	}
	runs, left := x.plan()
	if len(runs) == 0 || len(want.Messages) > 0 && len(left) > 0 {
		return nil, &UnprovedError{left}
	}
	files, err := x.compose(runs)
	if err != nil {
		return nil, err
	}
	if want.Stamp != nil {
		if err := want.Stamp.stamp(ctx, files); err != nil {
			return nil, err
		}
	}
	b, r, err := evidence.Make(files)
	if err != nil {
		return nil, err // of a bundle too large; else a fault of ours: all of it has been verified
	}
	return &Exported{b, r, left}, nil
}

type exporter struct {
	*held.Verifier
	want  Wanted
	texts map[message]*text // that are wanted
	sides map[side]*collected
	order []side
}

// message is one by its author and its number. A contact that keeps nothing counts from 0 again in each of its lives: then it is several.
type message struct {
	own    bool
	number uint64
}

// text is what becomes of a message that is wanted.
type text struct {
	unsent bool
	ids    map[[16]byte]*place // where it is proved; nil: nowhere yet
	err    error               // why a proof of it is none
}

// place is a flight.
type place struct {
	side   side
	flight *flight
}

// side is one direction of a channel.
type side struct {
	channel [32]byte
	own     bool
}

// list looks for what is wanted in the history.
func (x *exporter) list(s Source) error {
	for _, r := range x.want.Messages {
		for n := r.First; n <= r.Last; n++ {
			x.texts[message{r.Own, n}] = &text{err: ErrNoMessage}
		}
	}
	all := len(x.want.Messages) == 0
	for e, err := range s.History(store.Query{With: x.want.With}) {
		if err != nil {
			return err
		}
		m := message{e.State != store.Received, e.Text.Number}
		if all && x.texts[m] == nil {
			x.texts[m] = &text{}
		}
		t := x.texts[m]
		if t == nil {
			continue
		}
		if t.ids == nil {
			t.ids = map[[16]byte]*place{}
		}
		t.ids[e.Text.ID], t.err = nil, ErrNoProof
		if t.unsent = e.Verification() == store.Unsealed; t.unsent {
			t.err = ErrNotSent
		}
	}
	return nil
}

// collected is what the store has of one side.
type collected struct {
	*held.Known
	d        wire.Direction
	flights  []*flight
	receipts map[wire.Place]*wire.SealEntry // of the other side, by what they acknowledge; not verified yet
	passages []*store.Passage               // not verified yet
	passing  *passing                       // nil: not needed yet
}

// flight is one of the store, of which only what may be needed is kept.
type flight struct {
	at      int // in its side
	begin   wire.Place
	end     facts.Transcript
	digests [][32]byte
	shown   map[int]*shown // texts that are wanted, by their envelope
	seal    wire.SealEntry
	receipt int // the next flight, from this one on, to whose head there is a receipt; -1: none
	chosen  map[int]bool
}

// position is that of the flight's envelope i.
func (f *flight) position(i int) held.Position {
	return held.Position{Epoch: f.begin.Epoch, Number: f.begin.Count + uint64(i)}
}

// shown is the envelope of a text that is wanted.
type shown struct {
	message
	header              []byte
	ciphertext, opening [32]byte
	content             *wire.Content
}

func (x *exporter) side(k *held.Known, own bool) *collected {
	id := side{k.ID, own}
	c := x.sides[id]
	if c == nil {
		c = &collected{Known: k, d: k.Sends(own), receipts: map[wire.Place]*wire.SealEntry{}}
		x.sides[id] = c
		x.order = append(x.order, id)
	}
	return c
}

func (x *exporter) collect(e *store.Evidence) {
	k := x.Known(e.Channel)
	if e.Passage != nil {
		if k.Err == nil {
			c := x.side(k, e.Own)
			c.passages = append(c.passages, e.Passage)
		}
		return
	}
	if e.Receipt != nil {
		if k.Err == nil {
			x.side(k, true).acknowledged(e.Receipt)
		}
		return
	}
	var end facts.Transcript
	err := k.Err
	if err == nil {
		end, err = k.Follow(k.Sends(e.Own), e.Flight)
	}
	f := &flight{begin: wire.Place{Epoch: e.Flight.Epoch, Count: e.Flight.First, T: e.Flight.Before}, end: end, seal: e.Flight.Seal,
		shown: map[int]*shown{}, chosen: map[int]bool{}}
	for i := range e.Flight.Envelopes {
		env := &e.Flight.Envelopes[i]
		f.digests = append(f.digests, env.Digest())
		x.find(k, f, i, e.Own, env, err)
	}
	if err != nil {
		return
	}
	c := x.side(k, e.Own)
	c.flights = append(c.flights, f)
	x.side(k, !e.Own).acknowledged(&e.Flight.Seal)
}

// find keeps the envelope of a text that is wanted. err is why its flight proves nothing.
func (x *exporter) find(k *held.Known, f *flight, i int, own bool, env *store.Envelope, err error) {
	if env.Text == nil {
		return
	}
	m := message{own, env.Text.Number}
	t := x.texts[m]
	if t == nil || t.ids == nil {
		return
	}
	if _, there := t.ids[env.Text.ID]; !there {
		return
	}
	if err == nil {
		err = k.Reads(k.Sends(own), env)
	}
	var content *wire.Content
	if err == nil {
		b, _ := k.Content(k.Sends(own), env) // reads has read it
		content, err = wire.ParseContent(b)
	}
	if err != nil {
		t.err = err
		return
	}
	f.shown[i] = &shown{m, env.Header, env.Ciphertext, env.Opening, content}
}

func (c *collected) acknowledged(e *wire.SealEntry) {
	if c.receipts[e.Head.Yours] == nil {
		c.receipts[e.Head.Yours] = e
	}
}

// sort puts the flights in order, each once.
func (c *collected) sort() {
	slices.SortStableFunc(c.flights, func(a, b *flight) int {
		return cmp.Or(cmp.Compare(a.begin.Epoch, b.begin.Epoch), cmp.Compare(a.begin.Count, b.begin.Count))
	})
	c.flights = slices.CompactFunc(c.flights, func(a, b *flight) bool { return a.begin == b.begin && a.end.Place == b.end.Place })
	for i, f := range c.flights {
		f.at = i
	}
}

// then is the transcript at the beginning of a flight, where the one before it ended there.
func (c *collected) then(before facts.Transcript, f *flight) (t facts.Transcript, ok bool) {
	if f.begin.Epoch > before.Epoch {
		var err error
		if before, err = before.In(f.begin.Epoch, c.Epochs[f.begin.Epoch]); err != nil {
			return before, false
		}
	}
	return before, before.Place == f.begin
}
