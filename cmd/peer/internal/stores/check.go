package stores

import (
	"context"

	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/settings"
	"sinete/cmd/peer/internal/terminal"
	"sinete/cmd/peer/internal/trouble"
	"sinete/peer/evidence/held"
	"sinete/peer/store"
)

// Check is peer store check and its flags.
type Check struct {
	folder
	existing
	Trust string `placeholder:"DIR" help:"As in peer chat: what proves the messages is verified with it. Default: sinete/trust in your configuration folder, where it is there."`
}

// Run reads everything. What is damaged has been shown when the store was opened.
func (c *Check) Run(t *terminal.Terminal) int {
	return c.with(t, c.Dir, func(ctx context.Context, s *store.Store, out screen.Screen) error {
		e := screen.Checked{Damaged: len(s.Damage())}
		p := begin(t, "")
		defer p.end()
		read := &source{s, p}
		for _, err := range read.History(store.Query{}) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return err
			}
			e.Messages++
		}
		_, policy, err := settings.LoadTrust(c.Trust)
		unproved := 0
		switch {
		case err == nil:
			r, err := held.Check(read.Evidence(), policy)
			if err != nil {
				return err
			}
			p.end()
			unproved = len(r.Faults)
			e.Sent, e.Received, e.Receipts, e.Unproved = &r.Sent, &r.Received, &r.Receipts, &unproved
			for _, f := range r.Faults {
				out.Show(screen.Warning{Code: "store-unproved", Text: notProved(f, nameOf(s, f.With))})
			}
		case c.Trust == "" && trouble.Explain(err).Code == trustMissing:
			p.end()
			out.Show(screen.Warning{Code: trustMissing, Text: notChecked})
		default:
			return err
		}
		out.Show(e)
		if e.Damaged+unproved > 0 {
			return trouble.StoreDamaged(e.Damaged, unproved)
		}
		return nil
	})
}

const trustMissing = "trust-missing"

// nameOf is a contact's name, or what there is instead.
func nameOf(s *store.Store, identity string) string {
	if c := s.Known(identity); c != nil {
		return c.Name()
	}
	return "somebody whose name is lost"
}
