package relay

import (
	"cmp"
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"sinete/internal/link"
	"sinete/wire"
)

// directory is who is logged in: one session an identity (protocol.md section 7.6).
type directory struct {
	limit  int
	hidden bool // not everybody sees everybody: ids must not tell how many there are

	mu       sync.Mutex
	sessions map[string]*session // by identity
	reserved map[string]bool     // identities that a login has proved and not finished with
	ids      map[string]uint32   // kept as long as the relay runs
	given    map[uint32]bool     // ids that were drawn
	byNumber map[uint32]*session
	sorted   []*session // by id; nil when somebody has come or gone, and never changed
	changes  uint64
	lost     lostSessions
}

func newDirectory(limit int, grace time.Duration, hidden bool) *directory {
	return &directory{limit: limit, hidden: hidden, sessions: map[string]*session{}, reserved: map[string]bool{}, ids: map[string]uint32{},
		given: map[uint32]bool{}, byNumber: map[uint32]*session{}, lost: lostSessions{grace: grace, limit: limit, signers: map[string]lostSession{}}}
}

// place is an identity that is reserved for one login.
type place struct {
	d        *directory
	identity string
}

// reserve decides whether a login, just proved, may go on. A session that is alive wins over it; one that does not answer is superseded.
// returns says that a delegation proved it which was made at an earlier login. Errors: CodeCardInUse, CodeBusy, CodeSigningRefused.
func (d *directory) reserve(ctx context.Context, o *link.Other, returns bool) (*place, error) {
	d.mu.Lock()
	if d.reserved[o.Identity] {
		d.mu.Unlock()
		return nil, wire.Errorf(wire.CodeCardInUse, "another login with this card is under way")
	}
	old := d.sessions[o.Identity]
	if old == nil && returns && !d.lost.has(o, time.Now()) {
		d.mu.Unlock()
		return nil, notTaken("no session of this delegation was lost of late")
	}
	if old == nil && len(d.sessions)+len(d.reserved) >= d.limit {
		d.mu.Unlock()
		return nil, wire.Errorf(wire.CodeBusy, "%d sessions", d.limit)
	}
	d.reserved[o.Identity] = true
	d.mu.Unlock()
	p := &place{d, o.Identity}
	if old == nil {
		return p, nil
	}
	if err := d.supersede(ctx, old, o, returns); err != nil {
		p.release()
		return nil, err
	}
	return p, nil
}

// supersede ends the session that is in the way of a login, or says why it stays.
func (d *directory) supersede(ctx context.Context, old *session, o *link.Other, returns bool) error {
	same := returns && old.other.Signer.Digest == o.Signer.Digest
	switch {
	case same && d.lost.grace > 0:
		old.returned.Store(true)
	case old.alive(ctx):
		return wire.Errorf(wire.CodeCardInUse, "session %d is alive", old.id)
	case returns:
		return notTaken("another session is in the way, which only the card may supersede")
	}
	old.link.Fail(wire.Errorf(wire.CodeSuperseded, "a fresh login of the same identity took over"))
	select {
	case <-old.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// notTaken refuses a delegation that is in order, but not for coming back here and now.
func notTaken(reason string) error {
	return wire.Errorf(wire.CodeSigningRefused, "a login with a delegation made before: %s", reason)
}

func (p *place) release() {
	p.d.mu.Lock()
	delete(p.d.reserved, p.identity)
	p.d.mu.Unlock()
}

// take sends accept and puts the session in its place, so that nobody sees one without the other.
func (p *place) take(s *session, accept func() error) error {
	d := p.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ids[p.identity] == 0 {
		d.ids[p.identity] = d.newID()
	}
	s.id = d.ids[p.identity]
	if err := accept(); err != nil {
		return err
	}
	delete(d.reserved, p.identity)
	d.lost.forget(p.identity) // whoever is in now, no earlier session comes back
	d.sessions[p.identity], d.byNumber[s.id] = s, s
	d.changed()
	return nil
}

// newID is the next number, or where some people are hidden one that is drawn, since gaps would show that there are others. mu is held.
func (d *directory) newID() uint32 {
	if !d.hidden {
		return uint32(len(d.ids) + 1)
	}
	for {
		id := 1 + rand.Uint32N(uint32(max(1000, 10*len(d.ids))))
		if !d.given[id] {
			d.given[id] = true
			return id
		}
	}
}

// remove takes a session out. lost says that its connection was, so that its delegation may come back for a while.
func (d *directory) remove(s *session, lost bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sessions[s.other.Identity] != s {
		return
	}
	delete(d.sessions, s.other.Identity)
	delete(d.byNumber, s.id)
	d.changed()
	if lost && s.other.Delegated {
		d.lost.add(s.other, time.Now())
	}
}

// changed forgets the sorted list. mu is held.
func (d *directory) changed() {
	d.sorted = nil
	d.changes++
}

// all lists the sessions by id. Nobody may change the list: it is the same for all who ask until somebody comes or goes.
func (d *directory) all() []*session {
	d.mu.Lock()
	all, changes := d.sorted, d.changes
	if all == nil {
		all = slices.AppendSeq(make([]*session, 0, len(d.sessions)), maps.Values(d.sessions))
	}
	known := d.sorted != nil
	d.mu.Unlock()
	if known {
		return all
	}
	slices.SortFunc(all, func(a, b *session) int { return cmp.Compare(a.id, b.id) })
	d.mu.Lock()
	if d.changes == changes {
		d.sorted = all
	}
	d.mu.Unlock()
	return all
}

func (d *directory) byID(id uint32) *session {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.byNumber[id]
}
