package pkcs11card

import (
	"context"

	"sinete/cardauth/pkcs11card/internal/child"
	"sinete/cardauth/pkcs11card/internal/cryptoki"
	"sinete/cardauth/pkcs11card/internal/login"
	"sinete/cardauth/pkcs11card/profile"
)

// Module is what Survey finds out about a PKCS #11 module.
type Module struct {
	Path                        string
	Description, Maker, Version string   // what it says of itself
	Tokens                      []Token  // as List shows them
	Unknown                     []string // readers in which something is that the module does not know
	Blank                       []string // readers with a token that was never initialised
	Err                         error    // what went wrong with it, or with a reader of it: UnsupportedError, ModuleError
}

// NeedsPCSC reports whether the module reaches its cards through PC/SC, as far as that is known.
func (m *Module) NeedsPCSC() bool { return profile.NeedsPCSC(m.Path) }

// Survey looks at the modules at these paths one by one, for finding out what is wrong with them. It asks for no PIN.
func Survey(ctx context.Context, paths []string) []Module {
	var all []Module
	for _, path := range paths {
		m := Module{Path: path}
		if loaded, err := acquire(path); err != nil {
			m.Err = err
		} else {
			m.Err = m.look(ctx, loaded)
			loaded.Release()
		}
		all = append(all, m)
	}
	return all
}

func (m *Module) look(ctx context.Context, loaded *child.Module) error {
	a, _, err := loaded.Do(ctx, 0, &cryptoki.Request{Op: cryptoki.OpInfo})
	if err != nil {
		return err
	}
	m.Description, m.Maker, m.Version = a.Info.Description, a.Info.Maker, a.Info.Version
	tokens, err := tokensOf(ctx, loaded, func(*Token) bool { return true })
	if m.Tokens = tokens; err != nil {
		return err
	}
	slots, err := login.Slots(ctx, loaded)
	for _, s := range slots {
		switch {
		case s.Unknown && s.Maker == "":
			m.Unknown = append(m.Unknown, s.Reader)
		case s.Unknown: // and it says what it is
			m.Blank = append(m.Blank, s.Reader)
		}
	}
	return err
}
