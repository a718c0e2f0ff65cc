package export

import (
	"cmp"
	"slices"

	"sinete/peer/evidence/held"
	"sinete/peer/evidence/internal/facts"
	"sinete/peer/store"
	"sinete/wire"
)

// passing finds for the envelopes of a side what a relay has sealed of them.
type passing struct {
	digests  map[held.Position][32]byte
	passages []*store.Passage // that prove something, in the order of their messages
}

// passing verifies what is kept for a side. What proves nothing is left out: a message is proved without it.
func (x *exporter) passing(c *collected) *passing {
	p := &passing{digests: map[held.Position][32]byte{}}
	for _, f := range c.flights {
		for i, digest := range f.digests {
			p.digests[f.position(i)] = digest
		}
	}
	for _, passage := range c.passages {
		if proves, err := x.Passed(c.Known, passage, p.digests); proves && err == nil && inOrder(passage) && c.Relayer.Name != "" {
			p.passages = append(p.passages, passage)
		}
	}
	slices.SortStableFunc(p.passages, func(a, b *store.Passage) int { return compare(begins(a), begins(b)) })
	return p
}

func compare(a, b held.Position) int {
	return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Number, b.Number))
}

// of is the passage in which a flight lies, nil where there is none.
func (p *passing) of(f *flight) *walk {
	at := f.position(0)
	i, found := slices.BinarySearchFunc(p.passages, at, func(passage *store.Passage, at held.Position) int { return compare(begins(passage), at) })
	if !found {
		i--
	}
	if i < 0 {
		return nil
	}
	w := &walk{Passage: p.passages[i], Outer: facts.Outer{Place: p.passages[i].Before}}
	for _, s := range w.Steps {
		if s.Count == 0 {
			w.rest = append(w.rest, envelope{digest: s.Digest})
		}
		for n := range uint64(s.Count) {
			at := held.Position{Epoch: s.Epoch, Number: s.First + n}
			w.rest = append(w.rest, envelope{at, true, p.digests[at]})
		}
	}
	if !w.holds(f) {
		return nil
	}
	return w
}

// walk goes through a passage beside a run.
type walk struct {
	*store.Passage
	facts.Outer
	rest []envelope
}

// envelope is one of the hop's lane, around one of the conversation at a position, or something else.
type envelope struct {
	at      held.Position
	content bool
	digest  [32]byte // of the inner one; else its own
}

// holds reports whether all of a flight is still to come.
func (w *walk) holds(f *flight) bool {
	i := slices.IndexFunc(w.rest, func(e envelope) bool { return e.content && e.at == f.position(0) })
	if i < 0 {
		return false
	}
	n := 0
	for _, e := range w.rest[i:] {
		if e.content && n < len(f.digests) && e.at == f.position(n) {
			n++
		}
	}
	return n == len(f.digests)
}

// goOn says what stands before an envelope that the run shows or hides, and goes on behind that.
func (w *walk) goOn(c *composer, at held.Position) {
	for len(w.rest) > 0 {
		e := w.rest[0]
		w.rest = w.rest[1:]
		if e.content && e.at == at {
			w.Around(e.digest)
			return
		}
		w.aside(c, e)
	}
}

// aside says that an envelope stands here which the run does not have.
func (w *walk) aside(c *composer, e envelope) {
	digest := e.digest
	if e.content {
		digest = w.Digest(digest)
	}
	c.say("outer %x", digest)
	w.Add(digest)
}

// end goes on to the place that the relay has sealed, and says so.
func (w *walk) end(c *composer, k *held.Known) error {
	for _, e := range w.rest {
		w.aside(c, e)
	}
	batch, err := c.seal(k.Relayer, c.card(k.Relayer.Person), wire.PurposeHead, w.Seal.Statement, &w.Seal.Seal)
	if err == nil {
		c.say("relayed %s", tailOf(batch, w.Seal.Statement, &w.Seal.Seal))
	}
	return err
}

// walk begins to go through the passage in which a flight lies; nil where there is none.
func (c *composer) walk(p *part, f *flight) *walk {
	w := p.passing.of(f)
	if w != nil {
		c.say("passage %d %d %d %x", direction(w.Own), w.Before.Epoch, w.Before.Count, w.Before.T)
	}
	return w
}

// direction is that of the hop's lane.
func direction(own bool) wire.Direction {
	if own {
		return wire.RoleInitiator.Sends()
	}
	return wire.RoleResponder.Sends()
}

// begins is the position of the first message in a passage.
func begins(p *store.Passage) held.Position {
	for _, s := range p.Steps {
		if s.Count > 0 {
			return held.Position{Epoch: s.Epoch, Number: s.First}
		}
	}
	return held.Position{}
}

// inOrder reports whether a passage has messages, and in the order in which their author sent them.
func inOrder(p *store.Passage) bool {
	var last wire.Place
	for _, s := range p.Steps {
		if s.Count > 0 {
			if last.After(wire.Place{Epoch: s.Epoch, Count: s.First}) {
				return false
			}
			last = wire.Place{Epoch: s.Epoch, Count: s.First + uint64(s.Count)}
		}
	}
	return last.Count > 0
}
