package store

import (
	"time"

	"sinete/peer/store/internal/record"
)

// inbox is what has come from a contact. The contact's mu guards it.
type inbox struct {
	came    uint64        // how many new texts have come
	shown   uint64        // how many of them the person has
	unshown []come        // that nobody has taken
	before  uint64        // how many had come when the store was opened
	taken   chan struct{} // raised when somebody takes one

	ids   []([16]byte)      // of the texts that came last, oldest first
	known map[[16]byte]bool // these, and those of texts that are being stored
}

// come is a text that has come, and its place among them.
type come struct {
	place uint64
	text  Text
}

// arrive takes a text whose place is the next.
func (in *inbox) arrive(t *Text) {
	in.unshown = append(in.unshown, come{in.came, *t})
	in.came++
}

// learn makes an id known, and reports whether it was not before.
func (in *inbox) learn(id [16]byte) bool {
	if in.known == nil {
		in.known = map[[16]byte]bool{}
	}
	n := len(in.known)
	in.known[id] = true // which costs half of what it does to look first
	return len(in.known) > n
}

// keep remembers an id that is known, in the place of the oldest.
func (in *inbox) keep(id [16]byte) {
	if len(in.ids) == maxRemembered {
		delete(in.known, in.ids[0])
		in.ids = in.ids[1:]
	}
	in.ids = append(in.ids, id)
}

func (in *inbox) remember(id [16]byte) {
	if in.learn(id) {
		in.keep(id)
	}
}

// show forgets the texts before shown.
func (in *inbox) show(shown uint64) {
	k := 0
	for k < len(in.unshown) && in.unshown[k].place < shown {
		k++
	}
	clear(in.unshown[:k])
	in.unshown = in.unshown[k:]
	in.shown = max(in.shown, shown)
}

// Came counts the new texts that have come.
func (c *Contact) Came() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.in.came
}

// CameBefore counts those that had come when the store was opened.
func (c *Contact) CameBefore() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.in.before
}

// Untaken reports whether there is a text among the first to that nobody has taken yet.
func (c *Contact) Untaken(to uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.in.untaken(to)
}

func (in *inbox) untaken(to uint64) bool { return len(in.unshown) > 0 && in.unshown[0].place < to }

func (c *Contact) hasShown(place uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return place < c.in.shown
}

// Hand takes the next text among the first to that nobody has taken yet; ok is false where there is none. Who takes it says Shown(next) once the
// person has it: until then the next life of the program hands it out again.
func (c *Contact) Hand(to uint64) (t Text, next uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in := &c.in
	if !in.untaken(to) {
		return t, 0, false
	}
	first := in.unshown[0]
	in.unshown[0] = come{}
	in.unshown = in.unshown[1:]
	raise(in.taken)
	return first.text, first.place + 1, true
}

// Shown notes that the person has the texts before next.
func (c *Contact) Shown(next uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if next > c.in.shown {
		c.in.shown = next
		c.store.disk.mark(c)
	}
}

// Full reports whether so many texts wait to be taken that no more should come. Taken is raised when one is.
func (c *Contact) Full() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.in.unshown) >= maxUnshown
}

// Taken is raised when somebody takes a text.
func (c *Contact) Taken() <-chan struct{} { return c.in.taken }

// Receive stores flights of the contact's, and returns when they are safe. All new texts that have come then are among the first to: Show gives
// them. Where it fails nothing has come. Errors: *FullError, *IOError.
func (t *Talk) Receive(flights ...*Flight) (to uint64, err error) {
	c := t.contact
	t.contact.receiving.Lock()
	defer t.contact.receiving.Unlock()
	var texts []*Text
	var records [][]byte
	c.mu.Lock()
	next := c.in.came
	for _, f := range flights {
		first := next
		for i := range f.Envelopes {
			f.Envelopes[i].Is = IsOther // where it was tried before, too, another conversation may have brought it meanwhile
			if text := f.Envelopes[i].Text; text != nil && c.in.learn(text.ID) {
				f.Envelopes[i].Is = IsNewText
				texts = append(texts, text)
				next++
			}
		}
		if c.store.disk != nil {
			records = append(records, (&record.Received{Contact: c.number, At: time.Now(), First: first, Flight: *f}).Append(nil))
		}
	}
	c.mu.Unlock()
	if c.store.disk != nil {
		err = c.append(records...)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		for _, text := range texts {
			delete(c.in.known, text.ID)
		}
		return 0, err
	}
	for _, text := range texts {
		c.in.keep(text.ID)
		c.in.arrive(text)
	}
	return c.in.came, nil
}
