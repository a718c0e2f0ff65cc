package stores

import (
	"context"

	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/settings"
	"sinete/cmd/peer/internal/terminal"
	"sinete/cmd/peer/internal/trouble"
	"sinete/peer/evidence"
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
		for _, err := range s.History(store.Query{}) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return err
			}
			e.Messages++
		}
		_, policy, err := settings.LoadTrust(c.Trust)
		switch {
		case err == nil:
			r, err := evidence.Check(s.Evidence(), policy)
			if err != nil {
				return err
			}
			e.Sent, e.Received, e.Receipts, e.Unproved = r.Sent, r.Received, r.Receipts, len(r.Faults)
			for _, f := range r.Faults {
				out.Show(screen.Warning{Code: "store-unproved", Text: unproved(f, nameOf(s, f.With))})
			}
		case c.Trust != "":
			return err
		default:
			out.Show(screen.Notice{Text: notProved})
		}
		out.Show(e)
		if e.Damaged+e.Unproved > 0 {
			return trouble.StoreDamaged(e.Damaged, e.Unproved)
		}
		return nil
	})
}

// nameOf is a contact's name, or what there is instead.
func nameOf(s *store.Store, identity string) string {
	if c := s.Known(identity); c != nil {
		return c.Name()
	}
	return "somebody whose name is lost"
}
