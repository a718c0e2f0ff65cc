package stores

import (
	"context"

	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/terminal"
	"sinete/peer/store"
)

// Command is peer store.
type Command struct {
	Passwd Passwd `cmd:"" help:"Change the passphrase of a store, or protect it in another way."`
	Export Export `cmd:"" help:"Write all that a store has into one encrypted file."`
	Import Import `cmd:"" help:"Take over what an export of the same person's has, into a store that is there or a new one."`
	Check  Check  `cmd:"" help:"Read everything, verify what proves it, and name what is damaged."`
}

// folder is the argument that names the store.
type folder struct {
	Dir string `arg:"" help:"The folder that peer chat --store names."`
}

// Passwd is peer store passwd and its flags.
type Passwd struct {
	folder
	existing
	NewPassphrase string `placeholder:"SOURCE" help:"Where the new passphrase is: file:PATH or env:NAME. Without it you are asked, on a terminal only."`
	StoreKey      string `enum:"passphrase,keyring,nothing" default:"passphrase" help:"What protects the store from now on (${enum}). Default: ${default}."`
}

func (c *Passwd) Run(t *terminal.Terminal) int {
	return run(t, c.JSON, func(ctx context.Context, out screen.Screen) error {
		owner, kind, err := c.find(c.Dir)
		if err != nil {
			return err
		}
		old, fresh := passphrase{terminal: t, source: c.Passphrase}, passphrase{terminal: t, source: c.NewPassphrase}
		var changed store.Protection
		err = old.for3(ctx, kind, func(secret []byte) (err error) {
			if changed.Kind == "" { // where the old one was wrong the new one is chosen already
				if changed, err = fresh.protection(ctx, store.Kind(c.StoreKey), aboutNewPassphrase); err != nil {
					return err
				}
			}
			return store.Protect(c.Dir, owner.Identity, secret, changed)
		})
		if err == nil {
			out.Show(screen.Done{Command: "store passwd", Text: protectedBy[changed.Kind]})
		}
		return err
	})
}
