package store

// inbox is what has come from a contact. The contact's mu guards it.
type inbox struct {
	came    uint64 // how many texts have come
	unshown []Text // the last of them, which nobody has taken yet

	ids   []([16]byte) // of the texts that came last, oldest first
	known map[[16]byte]bool
}

// Receive takes verified texts, and passes over those that are known. What has come up to now is before to: Show gives it.
func (c *Contact) Receive(texts []Text) (to uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range texts {
		if c.in.isNew(texts[i].ID) {
			c.in.came++
			c.in.unshown = append(c.in.unshown, texts[i])
		}
	}
	return c.in.came
}

// isNew remembers an id and reports whether it is new.
func (in *inbox) isNew(id [16]byte) bool {
	if in.known[id] {
		return false
	}
	if in.known == nil {
		in.known = map[[16]byte]bool{}
	}
	if len(in.ids) == maxRemembered {
		delete(in.known, in.ids[0])
		in.ids = in.ids[1:]
	}
	in.ids = append(in.ids, id)
	in.known[id] = true
	return true
}

// Came counts the texts that have come.
func (c *Contact) Came() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.in.came
}

// Unshown counts the texts before to that nobody has taken yet.
func (c *Contact) Unshown(to uint64) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.in.before(to)
}

func (in *inbox) before(to uint64) int {
	shown := in.came - uint64(len(in.unshown))
	return int(max(to, shown) - shown)
}

// Show takes the next text before to that nobody has taken yet; ok is false where there is none.
func (c *Contact) Show(to uint64) (t Text, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in := &c.in
	if in.before(to) == 0 {
		return t, false
	}
	t = in.unshown[0]
	in.unshown[0] = Text{}
	in.unshown = in.unshown[1:]
	return t, true
}
