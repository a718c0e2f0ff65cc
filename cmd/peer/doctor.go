package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"os"
	"runtime"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card"
	"sinete/wire"
)

type doctorCommand struct {
	Relay     string `arg:"" optional:"" help:"The relay, as HOST:PORT. Without it only what is on this machine is checked."`
	Card      string `placeholder:"CARD" help:"As in peer chat."`
	Trust     string `placeholder:"DIR" help:"As in peer chat."`
	RelayName string `placeholder:"NAME" help:"As in peer chat."`
	asksRevocation
	JSON bool `name:"json" help:"One JSON object a line instead of text."`
}

// Help is what peer doctor --help shows below its first line.
func (*doctorCommand) Help() string { return aboutDoctor }

// run checks one thing after the other, all that can be checked even where something is wrong. It asks for no PIN and has
// nothing signed. What stands first is what the rest depends on.
func (c *doctorCommand) run(p *program) int {
	ctx, _, stop := p.interrupted()
	defer stop()
	d := &doctor{program: p, screen: p.screen(c.JSON), now: time.Now()}
	var trustErr error
	d.dir, d.policy, trustErr = loadTrust(c.Trust) // the card is chosen by it, as peer chat does

	d.versions()
	chain := d.card(ctx, c.Card)
	d.trust(trustErr)
	d.certificate(chain)
	var relay [][]byte
	if c.Relay != "" {
		relay = d.relay(ctx, c.Relay, c.RelayName)
	}
	d.revocation(ctx, &c.asksRevocation, rawOf(chain), relay)
	d.clock()
	d.places(&c.asksRevocation)

	if ctx.Err() != nil {
		d.screen.show(errorEvent(interrupted()))
		return statusFailed
	}
	d.screen.show(noticeEvent{diagnosis(d.failed)})
	if d.failed > 0 {
		return statusFailed
	}
	return statusDone
}

// doctor is one look at a machine.
type doctor struct {
	*program
	screen screen
	now    time.Time
	failed int

	dir    string           // of what is trusted
	policy *cardauth.Policy // nil: nothing could be loaded

	issued   []*x509.Certificate // that were seen: none can be from later than now
	readings []reading           // of others' clocks
}

func (d *doctor) ok(name, text string) { d.screen.show(checkEvent{Name: name, OK: true, Text: text}) }

// warns is for what is well now and will not stay so, or what does no harm.
func (d *doctor) warns(name, text, remedy string) {
	d.screen.show(checkEvent{Name: name, OK: true, Text: text, Remedy: remedy})
}

func (d *doctor) bad(name, text, remedy string) {
	d.failed++
	d.screen.show(checkEvent{Name: name, Text: text, Remedy: remedy})
}

// fails says of an error what peer chat would say; nothing of what an interrupt broke.
func (d *doctor) fails(name string, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	t := explain(err)
	if t.code == wire.CodeInternal.String() {
		t.what, t.advice = err.Error(), remedyUnforeseen
	}
	d.bad(name, t.what, t.advice)
}

func (d *doctor) versions() { d.ok("versions", versions(d.machine.system)) }

// places are where this program keeps what it can do without.
func (d *doctor) places(flags *asksRevocation) {
	const check = "places"
	bad := false
	if flags.Revocation != "off" {
		if dir, err := cacheFolder(); err != nil || !writable(dir) {
			d.warns(check, cacheUnusable(cmp.Or(dir, "the cache")), remedyCache)
			bad = true
		}
	}
	if _, err := os.Stat(d.memory); d.memory != "" && err == nil && d.remembered() == [32]byte{} {
		d.warns(check, memoryUnusable(d.memory), remedyMemory)
		bad = true
	}
	if !bad {
		d.ok(check, placesUsable)
	}
}

// writable reports whether files can be made in a folder, which is made where it is missing, as New of package revocation would.
func writable(dir string) bool {
	if os.MkdirAll(dir, 0o700) != nil {
		return false
	}
	f, err := os.CreateTemp(dir, ".new-")
	if err != nil {
		return false
	}
	f.Close()
	return os.Remove(f.Name()) == nil
}

// machine is what the doctor looks at beside files and the network.
type machine struct {
	system string // GOOS
	survey func(ctx context.Context, modules []string) []pkcs11card.Module
	exists func(path string) bool
}

func thisMachine() machine {
	return machine{system: runtime.GOOS, survey: pkcs11card.Survey, exists: func(path string) bool {
		_, err := os.Stat(path)
		return err == nil
	}}
}
