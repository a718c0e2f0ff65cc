package export

import (
	"cmp"
	"slices"
)

// part is flights of one side that follow each other, which prove messages and what became of them.
type part struct {
	*collected
	first, last int
	receipts    map[int]bool // after which flights there are receipts
}

// plan decides what is shown, and returns the parts of the transcripts that prove it, and what is not proved.
func (x *exporter) plan() (parts []*part, left []Unproved) {
	for _, id := range x.order {
		c := x.sides[id]
		c.sort()
		c.lead()
		for _, f := range c.flights {
			x.choose(id, c, f)
		}
	}
	left = x.settle()
	for _, id := range x.order {
		parts = append(parts, x.sides[id].parts(id.own)...)
	}
	return parts, left
}

// lead finds for each flight the next one to which there is a receipt.
func (c *collected) lead() {
	for i := len(c.flights) - 1; i >= 0; i-- {
		f := c.flights[i]
		f.receipt = -1
		if c.receipts[*f.seal.Head.Mine] != nil {
			f.receipt = i
		} else if i+1 < len(c.flights) {
			if _, ok := c.then(f.end, c.flights[i+1]); ok {
				f.receipt = c.flights[i+1].receipt
			}
		}
	}
}

// choose takes a flight for the place of its texts, if it is better than what there was.
func (x *exporter) choose(id side, c *collected, f *flight) {
	if len(f.shown) == 0 {
		return
	}
	err := x.SealedBy(c.Known, c.d, &f.seal)
	if err == nil && id.own {
		x.verifyReceipt(c, f)
	}
	for _, i := range sorted(f.shown) {
		s := f.shown[i]
		t := x.texts[s.message]
		switch had := t.ids[s.content.ID]; {
		case err != nil:
			t.err = err
		case had == nil || had.flight.receipt < 0 && f.receipt >= 0:
			t.ids[s.content.ID] = &place{id, f}
		}
	}
}

// verifyReceipt looks for a receipt that is genuine.
func (x *exporter) verifyReceipt(c *collected, f *flight) {
	for f.receipt >= 0 {
		place := *c.flights[f.receipt].seal.Head.Mine
		e := c.receipts[place]
		if e != nil && x.SealedBy(c.Known, 3-c.d, e) == nil {
			return
		}
		delete(c.receipts, place)
		c.lead()
	}
}

// settle marks the texts where they are shown, and returns those that are nowhere.
func (x *exporter) settle() (left []Unproved) {
	for m, t := range x.texts {
		proved := len(t.ids) > 0
		for _, p := range t.ids {
			if p == nil {
				proved = false
				continue
			}
			for i, s := range p.flight.shown {
				if s.message == m && t.ids[s.content.ID] == p {
					p.flight.chosen[i] = true
				}
			}
		}
		if !proved && (len(x.want.Messages) > 0 || !t.unsent) {
			left = append(left, Unproved{m.own, m.number, t.err})
		}
	}
	slices.SortFunc(left, func(a, b Unproved) int {
		if a.Own != b.Own {
			return cmp.Compare(Range{Own: a.Own}.String(), Range{Own: b.Own}.String())
		}
		return cmp.Compare(a.Number, b.Number)
	})
	return left
}

// parts are the flights in which something is chosen, those of the owner's up to the receipts, and joined where they touch.
func (c *collected) parts(own bool) (parts []*part) {
	for i, f := range c.flights {
		if len(f.chosen) == 0 {
			continue
		}
		last := i
		if own && f.receipt >= 0 {
			last = f.receipt
		}
		var p *part
		if n := len(parts); n > 0 && c.touches(parts[n-1].last, i) {
			p = parts[n-1]
			p.last = max(p.last, last)
		} else {
			p = &part{c, i, last, map[int]bool{}}
			parts = append(parts, p)
		}
		if own && f.receipt >= 0 {
			p.receipts[f.receipt] = true
		}
	}
	return parts
}

// touches reports whether flight i lies in a part that goes to last, or follows it.
func (c *collected) touches(last, i int) bool {
	if i <= last {
		return true
	}
	_, ok := c.then(c.flights[last].end, c.flights[i])
	return i == last+1 && ok
}
