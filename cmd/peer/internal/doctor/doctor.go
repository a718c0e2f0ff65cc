// Package doctor is peer doctor: it looks at everything on the way to a conversation and says what to do. Command.Run does that.
package doctor

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"runtime"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card"
	"sinete/cmd/peer/internal/cards"
	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/settings"
	"sinete/cmd/peer/internal/trouble"
	"sinete/wire"
)

// Command is peer doctor and its flags.
type Command struct {
	Relay     string `arg:"" optional:"" help:"The relay, as HOST:PORT. Without it only what is on this machine is checked."`
	Card      string `placeholder:"CARD" help:"As in peer chat."`
	Trust     string `placeholder:"DIR" help:"As in peer chat."`
	RelayName string `placeholder:"NAME" help:"As in peer chat."`
	settings.AsksRevocation
	JSON bool `name:"json" help:"One JSON object a line instead of text."`
}

// Help is what peer doctor --help shows below its first line.
func (*Command) Help() string { return aboutDoctor }

// Run checks one thing after the other, all that can be checked even where something is wrong. It asks for no PIN and has
// nothing signed. What stands first is what the rest depends on.
func (c *Command) Run(ctx context.Context, out screen.Screen, s *cards.Source, socket func(relay string) (net.PacketConn, net.Addr, error), m *Means) int {
	d := &doctor{Source: s, Means: m, socket: socket, screen: out, now: time.Now()}
	var trustErr error
	d.dir, d.policy, trustErr = settings.LoadTrust(c.Trust) // the card is chosen by it, as peer chat does

	d.versions()
	chain := d.card(ctx, c.Card)
	d.trust(trustErr)
	d.certificate(chain)
	var relay [][]byte
	if c.Relay != "" {
		relay = d.relay(ctx, c.Relay, c.RelayName)
	}
	d.revocation(ctx, &c.AsksRevocation, rawOf(chain), relay)
	d.clock()
	d.places(&c.AsksRevocation)

	if ctx.Err() != nil {
		d.screen.Show(screen.FailureOf(trouble.Interrupted()))
		return trouble.StatusFailed
	}
	d.screen.Show(screen.Notice{Text: diagnosis(d.failed)})
	if d.failed > 0 {
		return trouble.StatusFailed
	}
	return trouble.StatusDone
}

// doctor is one look at a machine.
type doctor struct {
	*cards.Source
	*Means
	socket func(relay string) (net.PacketConn, net.Addr, error)
	screen screen.Screen
	now    time.Time
	failed int

	dir    string           // of what is trusted
	policy *cardauth.Policy // nil: nothing could be loaded

	issued   []*x509.Certificate // that were seen: none can be from later than now
	readings []reading           // of others' clocks
}

func (d *doctor) ok(name, text string) {
	d.screen.Show(screen.Check{Name: name, OK: true, Text: text})
}

// warns is for what is well now and will not stay so, or what does no harm.
func (d *doctor) warns(name, text, remedy string) {
	d.screen.Show(screen.Check{Name: name, OK: true, Text: text, Remedy: remedy})
}

func (d *doctor) bad(name, text, remedy string) {
	d.failed++
	d.screen.Show(screen.Check{Name: name, Text: text, Remedy: remedy})
}

// fails says of an error what peer chat would say; nothing of what an interrupt broke.
func (d *doctor) fails(name string, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	t := trouble.Explain(err)
	if t.Code == wire.CodeInternal.String() {
		t.What, t.Advice = err.Error(), trouble.RemedyUnforeseen
	}
	d.bad(name, t.What, t.Advice)
}

func (d *doctor) versions() { d.ok("versions", versions(d.machine.system)) }

// places are where this program keeps what it can do without.
func (d *doctor) places(flags *settings.AsksRevocation) {
	const check = "places"
	bad := false
	if flags.Revocation != "off" {
		if dir, err := settings.CacheFolder(); err != nil || !writable(dir) {
			d.warns(check, cacheUnusable(cmp.Or(dir, "the cache")), trouble.RemedyCache)
			bad = true
		}
	}
	if _, err := os.Stat(d.Memory); d.Memory != "" && err == nil && d.Remembered() == [32]byte{} {
		d.warns(check, memoryUnusable(d.Memory), trouble.RemedyMemory)
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

// Means are what the doctor has beside readers and files; tests put others in their place.
type Means struct {
	machine machine
	probe   func(ctx context.Context, relay net.Addr) echo
	web     http.RoundTripper // asks authorities; nil: the network
}

func TheseMeans() Means { return Means{machine: thisMachine(), probe: probe} }

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
