package relay

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"

	"sinete/wire"
)

// directory is who is logged in: one session an identity (protocol.md section 7.6).
type directory struct {
	limit int

	mu       sync.Mutex
	sessions map[string]*session // by identity
	reserved map[string]bool     // identities that a login has proved and not finished with
	ids      map[string]uint32   // kept as long as the relay runs
	byNumber map[uint32]*session
	sorted   []*session // by id; nil when somebody has come or gone, and never changed
	changes  uint64
}

func newDirectory(limit int) *directory {
	return &directory{limit: limit, sessions: map[string]*session{}, reserved: map[string]bool{}, ids: map[string]uint32{},
		byNumber: map[uint32]*session{}}
}

// place is an identity that is reserved for one login.
type place struct {
	d        *directory
	identity string
}

// reserve decides whether a login of that identity, just proved, may go on. A session that is alive wins over it; one that
// does not answer is superseded. Errors: CodeCardInUse, CodeBusy.
func (d *directory) reserve(ctx context.Context, identity string) (*place, error) {
	d.mu.Lock()
	if d.reserved[identity] {
		d.mu.Unlock()
		return nil, wire.Errorf(wire.CodeCardInUse, "another login with this card is under way")
	}
	old := d.sessions[identity]
	if old == nil && len(d.sessions)+len(d.reserved) >= d.limit {
		d.mu.Unlock()
		return nil, wire.Errorf(wire.CodeBusy, "%d sessions", d.limit)
	}
	d.reserved[identity] = true
	d.mu.Unlock()
	p := &place{d, identity}
	if old == nil {
		return p, nil
	}
	if old.alive(ctx) {
		p.release()
		return nil, wire.Errorf(wire.CodeCardInUse, "session %d is alive", old.id)
	}
	old.link.Fail(wire.Errorf(wire.CodeSuperseded, "a fresh login of the same identity took over"))
	select {
	case <-old.done:
		return p, nil
	case <-ctx.Done():
		p.release()
		return nil, context.Cause(ctx)
	}
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
		d.ids[p.identity] = uint32(len(d.ids) + 1)
	}
	s.id = d.ids[p.identity]
	if err := accept(); err != nil {
		return err
	}
	delete(d.reserved, p.identity)
	d.sessions[p.identity], d.byNumber[s.id] = s, s
	d.changed()
	return nil
}

func (d *directory) remove(s *session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sessions[s.other.Identity] == s {
		delete(d.sessions, s.other.Identity)
		delete(d.byNumber, s.id)
		d.changed()
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
