package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"net"
	"slices"
	"strings"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card"
	"sinete/cardauth/revocation"
	"sinete/cardauth/softcard"
	"sinete/peer"
	"sinete/transport"
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
// nothing signed.
func (c *doctorCommand) run(p *program) int {
	ctx, _, stop := p.interrupted()
	defer stop()
	d := &doctor{program: p, screen: p.screen(c.JSON), now: time.Now()}
	chain := d.card(c.Card)
	d.trust(c.Trust)
	d.certificate(chain)
	var relay [][]byte
	if c.Relay != "" {
		relay = d.relay(ctx, c.Relay, c.RelayName)
	}
	if c.Revocation != "off" {
		d.revocation(ctx, &c.asksRevocation, rawOf(chain), relay)
	}
	d.clock()
	d.screen.show(noticeEvent{diagnosis(d.failed)})
	if d.failed > 0 {
		return statusFailed
	}
	return statusDone
}

type doctor struct {
	*program
	screen screen
	now    time.Time
	failed int

	dir    string           // of what is trusted
	policy *cardauth.Policy // nil: nothing could be loaded
	issued []*x509.Certificate
}

func (d *doctor) ok(name, text string) { d.screen.show(checkEvent{Name: name, OK: true, Text: text}) }

func (d *doctor) bad(name, text, remedy string) {
	d.failed++
	d.screen.show(checkEvent{Name: name, Text: text, Remedy: remedy})
}

func (d *doctor) fails(name string, err error) {
	t := explain(err)
	d.bad(name, t.what, t.advice)
}

// card looks for the card that peer chat would open, and returns its certificates; none where there is no such card.
func (d *doctor) card(name string) []*x509.Certificate {
	var raw [][]byte
	soft, isSoft := strings.CutPrefix(name, "soft:")
	if isSoft {
		path, _ := cutPIN(soft)
		var err error
		if raw, err = softcard.Chain(path); err != nil {
			d.fails("card", err)
			return nil
		}
		name = path
	} else {
		found, err := d.find(name)
		if err != nil {
			d.fails("card", err)
			return nil
		}
		defer d.pin(found.Token)
		raw, name = found.Chain, found.Token.Label
	}
	chain, err := parseChain(raw)
	if err != nil {
		d.bad("card", strangeCertificate(name, err), remedyStrangeCertificate)
		return nil
	}
	d.ok("card", cardOf(nameOf(chain[0]), name, isSoft))
	d.issued = append(d.issued, chain...)
	return chain
}

func (d *doctor) find(name string) (*pkcs11card.Found, error) {
	switch {
	case name == "":
		name = "pkcs11:"
	case !strings.HasPrefix(name, "pkcs11:"):
		return nil, badCardName(name)
	}
	modules, err := pkcs11card.Modules(name)
	if err != nil {
		return nil, err
	}
	tokens, listErr := d.listTokens(modules)
	if len(tokens) == 0 && listErr != nil {
		return nil, listErr
	}
	found, err := pkcs11card.Find(name, tokens)
	if missing, ok := asError[*pkcs11card.NotFoundError](err); ok {
		missing.Err = listErr // perhaps that is why
	}
	return found, err
}

func (d *doctor) pin(t pkcs11card.Token) {
	switch t.PIN {
	case pkcs11card.PINLocked:
		d.fails("pin", &cardauth.PINError{Card: t.Label, Locked: true})
	case pkcs11card.PINFinal:
		d.fails("pin", &cardauth.PINError{Card: t.Label, Tries: 1, Final: true})
	case pkcs11card.PINLow:
		d.ok("pin", pinLow)
	default:
		d.ok("pin", pinUntouched)
	}
}

func (d *doctor) trust(dir string) {
	var err error
	if d.dir, d.policy, err = loadTrust(dir); err != nil {
		d.fails("trust", err)
		return
	}
	d.issued = slices.Concat(d.issued, d.policy.Anchors, d.policy.Intermediates)
	d.ok("trust", trusted(len(d.policy.Anchors), len(d.policy.Intermediates), d.dir))
}

// certificate checks the person's own.
func (d *doctor) certificate(chain []*x509.Certificate) {
	if len(chain) == 0 {
		return
	}
	leaf := chain[0]
	at := d.now
	switch {
	case d.now.Before(leaf.NotBefore):
		d.bad("validity", notYetValid(leaf), remedyClock)
		at = leaf.NotBefore
	case d.now.After(leaf.NotAfter):
		d.bad("validity", expired(leaf), remedyExpired)
		at = leaf.NotAfter
	default:
		d.ok("validity", validUntil(leaf, d.now))
	}
	usage := cardauth.CheckUsage(leaf)
	if usage != nil {
		d.bad("usage", wrongUse(usage), remedyUsage)
	} else {
		d.ok("usage", usableForThis)
	}
	if d.policy == nil {
		return
	}
	policy := *d.policy
	policy.Now = func() time.Time { return at } // what is told already is not told again as the chain's fault
	_, err := policy.VerifyPerson(rawOf(chain), nil)
	top, complete := d.climb(chain)
	switch {
	case err == nil || complete && usage != nil:
		d.ok("chain", leadsTo(nameOf(top)))
	case !complete:
		d.missing("chain", top)
	default:
		d.fails("chain", &peer.OwnCertificateError{Err: err})
	}
}

// climb follows a chain up as far as certificates are there. It is complete where that leads to an anchor.
func (d *doctor) climb(chain []*x509.Certificate) (top *x509.Certificate, complete bool) {
	top = chain[0]
	for range wire.MaxChain + 1 {
		if slices.ContainsFunc(d.policy.Anchors, top.Equal) {
			return top, true
		}
		above := slices.Concat(d.policy.Anchors, d.policy.Intermediates, chain[1:])
		i := slices.IndexFunc(above, func(c *x509.Certificate) bool {
			return !c.Equal(top) && bytes.Equal(c.RawSubject, top.RawIssuer) && top.CheckSignatureFrom(c) == nil
		})
		if i < 0 {
			break
		}
		top = above[i]
	}
	return top, false
}

func (d *doctor) missing(name string, top *x509.Certificate) {
	if bytes.Equal(top.RawSubject, top.RawIssuer) {
		d.bad(name, rootNotTrusted(nameOf(top), d.dir), remedyRoot)
		return
	}
	named := slices.ContainsFunc(slices.Concat(d.policy.Anchors, d.policy.Intermediates), func(c *x509.Certificate) bool {
		return bytes.Equal(c.RawSubject, top.RawIssuer)
	})
	what := issuerMissing(issuerOf(top), nameOf(top))
	if named {
		what = issuerIsAnother(issuerOf(top), nameOf(top))
	}
	d.bad(name, what, remedyIssuer(issuerOf(top), d.dir))
}

// relay begins a connection, as far as the relay's certificate, and returns what it showed.
func (d *doctor) relay(ctx context.Context, relay, name string) (shown [][]byte) {
	host, err := hostOf(relay)
	if err != nil {
		d.fails("relay", err)
		return nil
	}
	if name == "" {
		name = host
	}
	var verdict error
	pc, addr, err := d.socket(relay)
	if err == nil {
		var conn *transport.Conn
		conn, err = transport.Dial(ctx, pc, addr, transport.ClientConfig{ServerName: name, VerifyServer: func(chain [][]byte) error {
			shown = chain
			if d.policy != nil {
				_, verdict = d.policy.VerifyRelay(chain, nil, name)
			}
			return verdict
		}})
		if err == nil {
			conn.Close(wire.CodeBye)
		}
	}
	if err != nil && verdict == nil {
		d.fails("relay", err)
		return nil
	}
	d.ok("relay", answers(relay))
	if d.policy != nil {
		d.relayCertificate(shown, name, verdict)
	}
	return shown
}

func (d *doctor) relayCertificate(shown [][]byte, name string, verdict error) {
	const check = "relay-certificate"
	chain, err := parseChain(shown)
	if err != nil {
		d.fails(check, &transport.ServerCertificateError{Err: err})
		return
	}
	top, complete := d.climb(chain)
	leaf := chain[0]
	switch others := d.otherNames(leaf, shown); {
	case verdict == nil:
		d.ok(check, relayIs(name, leaf))
	case !complete:
		d.missing(check, top)
	case wire.CodeOf(verdict) == wire.CodeCertificateExpired:
		d.bad(check, relayOutOfTime(verdict), remedyRelayOutOfTime)
	case leaf.VerifyHostname(name) != nil && len(others) > 0:
		d.bad(check, relayOtherName(name, others), remedyRelayName(others[0]))
	default:
		d.fails(check, &transport.ServerCertificateError{Err: verdict})
	}
}

// otherNames are those under which the relay would be accepted.
func (d *doctor) otherNames(leaf *x509.Certificate, shown [][]byte) []string {
	names := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return slices.DeleteFunc(names, func(n string) bool {
		_, err := d.policy.VerifyRelay(shown, nil, n)
		return err != nil
	})
}

// revocation asks about the card and the relay. Chains that do not verify have been told of already.
func (d *doctor) revocation(ctx context.Context, flags *asksRevocation, card, relay [][]byte) {
	if d.policy == nil {
		return
	}
	asking, err := flags.checker(revocation.DefaultRecheck)
	if err != nil {
		d.fails("revocation", err)
		return
	}
	if d.authorities != nil {
		asking = d.authorities
	}
	policy := *d.policy
	for _, c := range []struct {
		name  string
		chain [][]byte
	}{{"revocation", card}, {"relay-revocation", relay}} {
		party, err := policy.VerifySelf(c.chain)
		if err != nil {
			continue
		}
		policy.Revocation = asking
		err = policy.Recheck(ctx, party, time.Nanosecond) // what an authority says now, not what it said
		policy.Revocation = d.policy.Revocation
		if err == nil {
			d.ok(c.name, stillHolds)
			continue
		}
		t := ofCode(wire.CodeOf(err))
		d.bad(c.name, err.Error(), t.advice+remedyRevocation[wire.CodeOf(err)])
	}
}

// clock compares this machine's with the certificates: none can have been made later than now.
func (d *doctor) clock() {
	if len(d.issued) == 0 {
		return
	}
	last := slices.MaxFunc(d.issued, func(a, b *x509.Certificate) int { return a.NotBefore.Compare(b.NotBefore) })
	if d.now.Before(last.NotBefore) {
		d.bad("clock", clockBehind(d.now, last), remedyClock)
		return
	}
	d.ok("clock", clockPlausible(d.now))
}

func parseChain(raw [][]byte) (chain []*x509.Certificate, err error) {
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

// socket is a UDP socket and the relay's address.
func socket(relay string) (net.PacketConn, net.Addr, error) {
	addr, err := net.ResolveUDPAddr("udp", relay)
	if err != nil {
		return nil, nil, &peer.AddressError{Address: relay, Err: err}
	}
	pc, err := net.ListenUDP("udp", nil)
	return pc, addr, err
}
