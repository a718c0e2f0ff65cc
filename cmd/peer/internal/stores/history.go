package stores

import (
	"context"
	"strings"

	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/terminal"
	"sinete/cmd/peer/internal/trouble"
	"sinete/peer/store"
)

// History is peer history.
type History struct {
	Show ShowHistory `cmd:"" default:"withargs" help:"Show the messages that are kept."`
}

// kept are the flags that name the store.
type kept struct {
	Store string `required:"" placeholder:"DIR" help:"The folder that peer chat --store names."`
	existing
}

// which are the flags that choose messages.
type which struct {
	With   string `placeholder:"NAME" help:"Only those with this person: a name, or an identity."`
	Since  Moment `placeholder:"WHEN" help:"Only those from then on: 2026-11-30, 2026-11-30T09:00, or 3d for three days ago."`
	Before Moment `placeholder:"WHEN" help:"Only those from before."`
	Search string `placeholder:"TEXT" help:"Only those in which this stands, in capitals or not."`
}

// any reports whether all messages are meant.
func (w *which) any() bool {
	return w.With == "" && w.Since.IsZero() && w.Before.IsZero() && w.Search == ""
}

func (w *which) query(s *store.Store) (q store.Query, err error) {
	q = store.Query{Since: w.Since.Time, Until: w.Before.Time, Search: w.Search}
	if w.With != "" {
		c, err := Contact(s, w.With)
		if err != nil {
			return q, err
		}
		q.With = c.Identity
	}
	return q, nil
}

// Contact finds somebody of whom something is kept, by identity or name.
func Contact(s *store.Store, who string) (*store.Contact, error) {
	var found []*store.Contact
	for _, c := range s.Contacts() {
		switch {
		case c.Identity == who:
			return c, nil
		case strings.EqualFold(c.Name(), who):
			found = append(found, c)
		}
	}
	switch len(found) {
	case 0:
		return nil, trouble.NobodyKept(who)
	case 1:
		return found[0], nil
	}
	return nil, trouble.SeveralKept(who, found)
}

// Show shows the messages that a query finds, oldest first, and how many they are.
func Show(ctx context.Context, s *store.Store, q store.Query, out screen.Screen) error {
	n := 0
	for e, err := range s.History(q) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		out.Show(screen.HistoryOf(e))
		n++
	}
	out.Show(screen.History{Entries: n})
	return nil
}

// ShowHistory is peer history and its flags.
type ShowHistory struct {
	kept
	which
}

// Help is what peer history --help shows below its first line.
func (*ShowHistory) Help() string { return aboutHistory }

func (c *ShowHistory) Run(t *terminal.Terminal) int {
	return c.with(t, c.Store, func(ctx context.Context, s *store.Store, out screen.Screen) error {
		q, err := c.query(s)
		if err != nil {
			return err
		}
		return Show(ctx, s, q, out)
	})
}
