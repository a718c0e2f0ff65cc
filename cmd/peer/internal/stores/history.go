package stores

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/terminal"
	"sinete/cmd/peer/internal/trouble"
	"sinete/peer/store"
)

// History is peer history.
type History struct {
	Show   ShowHistory   `cmd:"" default:"withargs" help:"Show the messages that are kept."`
	Delete DeleteHistory `cmd:"" help:"Delete messages for good."`
}

// Help is what peer history --help shows below its first line: the flags are those of show, which need not be named.
func (*History) Help() string { return aboutFlags }

// kept are the flags that name the store.
type kept struct {
	Store Given `required:"" placeholder:"DIR" help:"The folder that peer chat --store names."`
	existing
}

// which are the flags that choose messages.
type which struct {
	With   Given  `placeholder:"NAME" help:"Only those with this person: a name, or an identity."`
	Since  Moment `placeholder:"WHEN" help:"Only those from then on: 2026-11-30, 2026-11-30T09:00, or 3d for three days ago."`
	Before Moment `placeholder:"WHEN" help:"Only those from before."`
	Search Given  `placeholder:"TEXT" help:"Only those in which this stands, in capitals or not."`
}

// Given is a text that says something: one that a script left empty must not mean everything.
type Given string

// UnmarshalText takes all but nothing.
func (g *Given) UnmarshalText(b []byte) error {
	if *g = Given(b); *g == "" {
		return errors.New("nothing is given: leave the flag out if that is meant")
	}
	return nil
}

// any reports whether all messages are meant.
func (w *which) any() bool {
	return w.With == "" && w.Since.IsZero() && w.Before.IsZero() && w.Search == ""
}

func (w *which) query(s *store.Store) (q store.Query, err error) {
	q = store.Query{Since: w.Since.Time, Until: w.Before.Time, Search: string(w.Search)}
	if w.With != "" {
		c, err := Contact(s, string(w.With))
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

// Show shows the messages that a query finds, oldest first, with the changes of people's machines between them, what damage is found on the way that was
// not known, and how many messages they are.
func Show(ctx context.Context, s *store.Store, q store.Query, out screen.Screen) error {
	n, known := 0, len(s.Damage())
	changes := changesOfMachines(s, q)
	for e, err := range s.History(q) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		for len(changes) > 0 && !changes[0].at.After(e.At) {
			out.Show(changes[0].event)
			changes = changes[1:]
		}
		out.Show(screen.HistoryOf(e))
		n++
	}
	for _, c := range changes {
		out.Show(c.event)
	}
	warnDamaged(s.Damage()[known:], out)
	out.Show(screen.History{Entries: n})
	return nil
}

// changeOfMachine is shown between the messages before it and those after it.
type changeOfMachine struct {
	at    time.Time
	event screen.HistoryMachine
}

// changesOfMachines are those that a query means, oldest first: none where it looks for words of messages.
func changesOfMachines(s *store.Store, q store.Query) (changes []changeOfMachine) {
	for _, c := range s.Contacts() {
		all := c.Machines()
		for i := 1; i < len(all); i++ {
			at := all[i].Since
			if q.Search == "" && (q.With == "" || q.With == c.Identity) && !at.Before(q.Since) && (q.Until.IsZero() || at.Before(q.Until)) {
				changes = append(changes, changeOfMachine{at, screen.HistoryMachineOf(c, all[i-1], all[i])})
			}
		}
	}
	slices.SortStableFunc(changes, func(a, b changeOfMachine) int { return a.at.Compare(b.at) })
	return changes
}

// ShowHistory is peer history and its flags.
type ShowHistory struct {
	kept
	which
}

// Help is what peer history --help shows below its first line.
func (*ShowHistory) Help() string { return aboutHistory }

func (c *ShowHistory) Run(t *terminal.Terminal) int {
	return c.with(t, string(c.Store), func(ctx context.Context, s *store.Store, out screen.Screen) error {
		q, err := c.query(s)
		if err != nil {
			return err
		}
		return Show(ctx, s, q, out)
	})
}

// DeleteHistory is peer history delete and its flags.
type DeleteHistory struct {
	kept
	which
	Yes bool `help:"Do not ask whether it is meant."`
}

func (c *DeleteHistory) Run(t *terminal.Terminal) int {
	return c.with(t, string(c.Store), func(ctx context.Context, s *store.Store, out screen.Screen) error {
		q, err := c.query(s)
		if err != nil {
			return err
		}
		if !c.Yes {
			n := 0
			for _, err := range s.History(q) {
				if err != nil {
					return err
				}
				n++
			}
			sure, err := confirm(ctx, t, deleteQuestion(n, c.any()))
			if err != nil || !sure {
				return err
			}
		}
		n, err := s.Delete(q)
		if err == nil {
			out.Show(screen.Done{Command: "history delete", Messages: n, Text: deleted(n)})
		}
		return err
	})
}

// confirm asks whether something is meant, and whoever is not there is asked for --yes.
func confirm(ctx context.Context, t *terminal.Terminal, question string) (bool, error) {
	if !t.Input {
		return false, trouble.WrongUsage("nobody is at a terminal to be asked whether it is meant: say --yes")
	}
	fmt.Fprint(t.Stderr, question)
	select {
	case l := <-terminal.NewInput(t.Stdin).Ask():
		return strings.EqualFold(strings.TrimSpace(l.Text), "yes"), nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}
