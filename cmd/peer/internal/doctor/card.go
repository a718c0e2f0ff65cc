package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"os"
	"slices"
	"strings"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card"
	"sinete/cardauth/softcard"
	"sinete/cmd/peer/internal/cards"
	"sinete/cmd/peer/internal/settings"
	"sinete/cmd/peer/internal/trouble"
)

// card looks for the card that peer chat would open, and returns its certificates; none where there is no such card.
func (d *doctor) card(ctx context.Context, name string) []*x509.Certificate {
	if soft, ok := strings.CutPrefix(name, "soft:"); ok {
		path, _ := cards.CutPIN(soft)
		raw, err := softcard.Chain(path)
		if err != nil {
			d.fails("card", err)
			return nil
		}
		return d.shows(raw, path, func(c *x509.Certificate) string { return softCardOf(nameOf(c), path) })
	}
	found := d.find(ctx, name)
	if found == nil {
		return nil
	}
	chain := d.shows(found.Chain, found.Token.Label, func(c *x509.Certificate) string { return cardOf(nameOf(c), found) })
	d.pin(found.Token)
	return chain
}

// shows reads what a card has shown, and says whose it is.
func (d *doctor) shows(raw [][]byte, where string, whose func(*x509.Certificate) string) []*x509.Certificate {
	chain, err := parseChain(raw)
	if err != nil {
		d.bad("card", strangeCertificate(where, err), trouble.RemedyStrangeCertificate)
		return nil
	}
	d.ok("card", whose(chain[0]))
	d.issued = append(d.issued, chain...)
	return chain
}

// find goes the way to a card in a reader: modules, readers, what is in them, and which of it is meant.
func (d *doctor) find(ctx context.Context, name string) *pkcs11card.Found {
	switch {
	case name == "":
		name = "pkcs11:"
	case !strings.HasPrefix(name, "pkcs11:"):
		d.fails("card", trouble.BadCardName(name))
		return nil
	}
	paths, err := pkcs11card.Modules(name)
	if missing, ok := trouble.AsError[*pkcs11card.NotFoundError](err); ok && missing.NoModule {
		d.bad("module", missing.Reason, trouble.InstallModule(d.machine.system))
		return nil
	}
	if err != nil {
		d.fails("card", err)
		return nil
	}
	modules := d.machine.survey(ctx, paths)
	all := thingsIn(modules)
	d.modules(modules, all.card())
	if !d.readers(modules, all) {
		return nil
	}
	o := pkcs11card.Options{Preferred: d.Remembered()}
	if d.policy != nil {
		o.Accept = settings.Trusts(d.policy)
	}
	found, err := pkcs11card.FindWith(name, all.tokens, o)
	switch uri, _ := pkcs11card.ParseURI(name); {
	case err != nil && !all.card() && len(all.unknown) > 0:
		d.bad("card", unknownCard(all.unknown), trouble.RemedyUnknownCard)
	case err != nil && !all.card() && len(all.blank) > 0:
		d.bad("card", blankToken(all.blank), trouble.RemedyBlankToken)
	case err != nil:
		d.fails("card", err)
	case found.Certificate.Exportable && !uri.Exportable:
		d.fails("card", &pkcs11card.ExportableError{Card: found.Token.Label})
	default:
		return found
	}
	return nil
}

// things are what is in the readers of all modules.
type things struct {
	tokens         []pkcs11card.Token
	unknown, blank []string // readers
}

func thingsIn(modules []pkcs11card.Module) (all things) {
	for _, m := range modules {
		all.tokens = append(all.tokens, m.Tokens...)
		all.unknown, all.blank = append(all.unknown, m.Unknown...), append(all.blank, m.Blank...)
	}
	return all
}

// card reports whether there is one, whether it can be used or not.
func (t *things) card() bool {
	return slices.ContainsFunc(t.tokens, func(t pkcs11card.Token) bool { return t.Present })
}

func (t *things) readers() []string {
	names := slices.Concat(t.unknown, t.blank)
	for _, t := range t.tokens {
		names = append(names, t.Reader)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// modules says of each what it is. One that does not work is no harm where another shows a card.
func (d *doctor) modules(modules []pkcs11card.Module, card bool) {
	for _, m := range modules {
		switch {
		case m.Err == nil:
			d.ok("module", moduleOf(&m))
		case card:
			d.warns("module", trouble.Explain(m.Err).What, trouble.RemedyModuleOther)
		default:
			d.fails("module", m.Err)
		}
	}
}

// readers reports whether there is one to look into, and says why not. Slots of software are no readers where a card was meant.
func (d *doctor) readers(modules []pkcs11card.Module, all things) bool {
	works, pcsc := false, false
	for _, m := range modules {
		works = works || m.Err == nil
		pcsc = pcsc || m.Err == nil && m.NeedsPCSC() && len(m.Tokens)+len(m.Unknown)+len(m.Blank) == 0
	}
	noService := pcsc && d.machine.system == "linux" && !d.machine.exists(pcscSocket())
	names := all.readers()
	if len(names) > 0 && (all.card() || !noService) {
		d.ok("reader", strings.Join(names, ", "))
		return true
	}
	if !works {
		return false // which has been said
	}
	switch {
	case noService:
		d.bad("reader", noPCSC(pcscSocket()), trouble.RemedyPCSCLinux)
	case d.machine.system == "darwin":
		d.bad("reader", cards.NoReader, trouble.RemedyReaderMac)
	case d.machine.system == "windows":
		d.bad("reader", cards.NoReader, trouble.RemedyReaderWindows)
	default:
		d.bad("reader", cards.NoReader, trouble.RemedyReaderLinux)
	}
	return false
}

// pcscSocket is where PC/SC's service listens, and its library looks for it.
func pcscSocket() string {
	if s := os.Getenv("PCSCLITE_CSOCK_NAME"); s != "" {
		return s
	}
	return "/run/pcscd/pcscd.comm"
}

func (d *doctor) pin(t pkcs11card.Token) {
	switch t.PIN {
	case pkcs11card.PINLocked:
		d.fails("pin", &cardauth.PINError{Card: t.Label, Locked: true})
	case pkcs11card.PINFinal:
		d.fails("pin", &cardauth.PINError{Card: t.Label, Tries: 1, Final: true})
	case pkcs11card.PINLow:
		d.ok("pin", pinLow+pinHabitOf(t))
	default:
		d.ok("pin", pinUntouched+pinHabitOf(t))
	}
}

func parseChain(raw [][]byte) (chain []*x509.Certificate, err error) {
	if len(raw) == 0 {
		return nil, errors.New("no certificate")
	}
	for _, der := range raw {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	return chain, nil
}

func rawOf(chain []*x509.Certificate) (raw [][]byte) {
	for _, c := range chain {
		raw = append(raw, c.Raw)
	}
	return raw
}
