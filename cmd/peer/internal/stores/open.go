// Package stores is what peer does with stores: Flags.Open opens the one that a chat keeps its messages in, History and Command are
// peer history and peer store.
package stores

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/terminal"
	"sinete/cmd/peer/internal/trouble"
	"sinete/peer/store"
)

// Flags are those of whoever keeps messages.
type Flags struct {
	Store      Given  `placeholder:"DIR" help:"Keep messages in this folder, encrypted: what waits goes out after the next start, too. Default: nothing is kept."`
	Passphrase string `placeholder:"SOURCE" help:"Where the store's passphrase is: file:PATH or env:NAME. Without it you are asked, on a terminal only."`
	StoreKey   string `enum:"auto,passphrase,keyring,nothing" default:"auto" help:"What protects a new store (${enum}): a passphrase; the system's keyring; or nothing, for trials and automation. auto is a passphrase where somebody can be asked or --passphrase is given, else nothing. Default: ${default}."`
	Keep       Kept   `placeholder:"TIME" help:"Delete what is older than that, at the start and once a day: 90d, 2w, 1y. What is still to be sent or shown stays. Default: keep all."`
}

// Validate refuses flags of a store where none is named: whoever gives them believes that something is kept.
func (f *Flags) Validate() error {
	if f.Store == "" && (f.Passphrase != "" || f.StoreKey != "auto" || f.Keep != 0) {
		return errors.New("--passphrase, --store-key and --keep are of a store: name it with --store")
	}
	return nil
}

// Open opens a person's store, or makes it, and shows it.
func (f *Flags) Open(ctx context.Context, t *terminal.Terminal, out screen.Screen, owner store.Owner) (*store.Store, error) {
	p := passphrase{terminal: t, source: f.Passphrase}
	dir := string(f.Store)
	o := store.Options{Dir: dir, Owner: owner, Keep: time.Duration(f.Keep)}
	kind, err := store.Look(dir, owner.Identity)
	fresh := errors.Is(err, fs.ErrNotExist)
	var s *store.Store
	switch {
	case fresh:
		kind = f.kind(&p)
		s, err = create(ctx, o, kind, &p)
	case err == nil:
		s, err = open(ctx, o, kind, &p)
	}
	if err != nil {
		return nil, trouble.StoreDisk(err)
	}
	e := screen.Store{Folder: dir, Protection: kind, New: fresh, Waiting: []screen.WaitingEntry{}}
	for _, c := range s.Contacts() {
		if n, _ := c.Waiting(); n > 0 {
			e.Waiting = append(e.Waiting, screen.WaitingEntry{Name: c.Name(), Identity: c.Identity, Messages: n})
		}
	}
	slices.SortFunc(e.Waiting, func(a, b screen.WaitingEntry) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Identity, b.Identity))
	})
	out.Show(e)
	warn(s, dir, kind, out)
	return s, nil
}

// kind is what protects a new store.
func (f *Flags) kind(p *passphrase) store.Kind {
	switch {
	case f.StoreKey != "auto":
		return store.Kind(f.StoreKey)
	case p.there():
		return store.ByPassphrase
	}
	return store.Unprotected
}

func create(ctx context.Context, o store.Options, kind store.Kind, p *passphrase) (s *store.Store, err error) {
	if o.Protection, err = p.protection(ctx, kind, aboutNewStore); err != nil {
		return nil, err
	}
	return store.Open(o)
}

// open opens a store that is there.
func open(ctx context.Context, o store.Options, kind store.Kind, p *passphrase) (s *store.Store, err error) {
	err = p.for3(ctx, kind, func(secret []byte) error {
		o.Protection.Passphrase = secret
		progress := begin(p.terminal, openingStore)
		defer progress.end()
		s, err = store.Open(o)
		return err
	})
	return s, err
}

// warn says what is wrong with a store that is open.
func warn(s *store.Store, dir string, kind store.Kind, out screen.Screen) {
	if kind == store.Unprotected {
		out.Show(screen.Warning{Code: "store-unprotected", Text: unprotected(dir)})
	}
	warnDamaged(s.Damage(), out)
}

func warnDamaged(damage []*store.Damage, out screen.Screen) {
	for _, d := range damage {
		out.Show(screen.Warning{Code: "store-damaged", Text: damaged(d)})
	}
}

// existing are the flags of commands on a store that is there.
type existing struct {
	Of         string `placeholder:"NAME" help:"Whose store it is, where the folder has several people's: a name or an identity."`
	Passphrase string `placeholder:"SOURCE" help:"Where the store's passphrase is: file:PATH or env:NAME. Without it you are asked, on a terminal only."`
	JSON       bool   `name:"json" help:"One JSON object a line instead of text."`
}

// with does something with the store and returns the exit status.
func (e *existing) with(t *terminal.Terminal, dir string, do func(ctx context.Context, s *store.Store, out screen.Screen) error) int {
	return run(t, e.JSON, func(ctx context.Context, out screen.Screen) (err error) {
		owner, kind, err := e.find(dir)
		if err != nil {
			return err
		}
		s, err := open(ctx, store.Options{Dir: dir, Owner: owner, Whole: true}, kind, &passphrase{terminal: t, source: e.Passphrase})
		if err != nil {
			return err
		}
		defer func() {
			if closed := s.Close(); err == nil {
				err = closed
			}
		}()
		warn(s, dir, kind, out)
		return do(ctx, s, out)
	})
}

// run shows what a command ends with, and returns its exit status.
func run(t *terminal.Terminal, json bool, do func(ctx context.Context, out screen.Screen) error) int {
	ctx, _, stop := t.Interrupted()
	defer stop()
	out := screen.New(t, json)
	err := do(ctx, out)
	if err == nil {
		return trouble.StatusDone
	}
	why := trouble.Explain(err)
	out.Show(screen.FailureOf(why))
	return why.Status
}

// find finds out whose store is meant, and what protects it.
func (e *existing) find(dir string) (owner store.Owner, kind store.Kind, err error) {
	all, err := store.Owners(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return owner, "", trouble.NoStore(dir)
	}
	var found []store.Owner
	for _, o := range all {
		if e.Of == "" || e.Of == o.Identity || e.Of == o.Name {
			found = append(found, o)
		}
	}
	switch {
	case err != nil && (e.Of == "" || len(found) == 0): // it may be the one that is meant
		return owner, "", trouble.StoreDisk(err)
	case len(all) == 0:
		return owner, "", trouble.NoStore(dir)
	case len(found) == 0:
		return owner, "", trouble.NotTheirStore(dir, e.Of, all)
	case len(found) == 1:
		kind, err = store.Look(dir, found[0].Identity)
		return found[0], kind, trouble.StoreDisk(err)
	}
	return owner, "", trouble.SeveralStores(dir, found)
}
