package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"sinete/cmd/peer/internal/settings"
	"sinete/cmd/peer/internal/trouble"
	"sinete/transport"
	"sinete/wire"
)

// relay begins a connection, as far as the relay's certificate, and returns what it showed.
func (d *doctor) relay(ctx context.Context, relay, name string) (shown [][]byte) {
	host, err := settings.HostOf(relay)
	if err != nil {
		d.fails("relay", err)
		return nil
	}
	if name == "" {
		name = host
	}
	pc, addr, err := d.socket(relay)
	if err != nil {
		d.fails("relay", err)
		return nil
	}
	var verdict error
	var took time.Duration
	conn, err := transport.Dial(ctx, pc, addr, transport.ClientConfig{ServerName: name, VerifyServer: func(chain [][]byte) error {
		shown = chain
		if d.policy != nil {
			_, verdict = d.policy.VerifyRelay(chain, nil, name)
		}
		return verdict
	}})
	if err == nil {
		took = conn.RTT()
		conn.Close(wire.CodeBye)
	}
	silent, isSilent := trouble.AsError[*transport.UnreachableError](err)
	switch {
	case isSilent:
		d.silent(ctx, addr, silent)
		return nil
	case err != nil && verdict == nil:
		d.fails("relay", err)
		return nil
	}
	d.ok("relay", answers(addr.String(), took))
	if d.policy != nil {
		d.relayCertificate(shown, name, verdict)
	}
	return shown
}

// silent finds out more about an address from which no handshake came.
func (d *doctor) silent(ctx context.Context, addr net.Addr, err error) {
	t := trouble.Explain(err)
	what := d.probe(ctx, addr)
	d.bad("relay", t.What+"; "+string(what), probeRemedies[what])
}

// echo is what comes back to a single datagram.
type echo string

const (
	echoNothing echo = "nothing at all comes back"
	echoRefused echo = "the machine says that nothing listens there"
	echoNoRoute echo = "there is no way there"
	echoOther   echo = "something else answers"
	echoQUIC    echo = "single packets are answered"
)

var probeRemedies = map[echo]string{echoNothing: trouble.RemedyRelaySilent, echoRefused: trouble.RemedyRelayClosed, echoNoRoute: trouble.RemedyNoRoute,
	echoOther: trouble.RemedyNotQUIC, echoQUIC: trouble.RemedyHandshakeLost}

// probeTime is how long a single datagram may take there and back.
const probeTime = 2 * time.Second

// probe sends a datagram that every server of QUIC answers, since it asks for a version that does not exist (RFC 9000 section 6.3). The
// socket is connected, so that the system tells of an ICMP message.
func probe(ctx context.Context, addr net.Addr) echo {
	c, err := net.Dial("udp", addr.String())
	if err != nil {
		return echoNoRoute
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })()
	if _, err := c.Write(versionQuestion()); err != nil {
		return echoNoRoute
	}
	b := make([]byte, 2048)
	n, err := c.Read(b)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return echoNothing
	case err != nil:
		return echoRefused
	case isVersionNegotiation(b[:n]):
		return echoQUIC
	}
	return echoOther
}

// versionQuestion is a long header of a version from those that are kept free for this, as long as a server wants a first packet to be.
func versionQuestion() []byte {
	b := make([]byte, 1200)
	copy(b, "\xc0\x1a\x2a\x3a\x4a\x08sinete??\x08doctor??")
	return b
}

// isVersionNegotiation: a long header of version 0 (RFC 8999 section 6).
func isVersionNegotiation(b []byte) bool {
	return len(b) > 6 && b[0]&0x80 != 0 && [4]byte(b[1:5]) == [4]byte{}
}

func (d *doctor) relayCertificate(shown [][]byte, name string, verdict error) {
	const check = "relay-certificate"
	chain, err := parseChain(shown)
	if err != nil {
		d.fails(check, &transport.ServerCertificateError{Err: err})
		return
	}
	d.issued = append(d.issued, chain...)
	leaf := chain[0]
	switch others := d.otherNames(leaf, shown); {
	case verdict == nil:
		d.ok(check, relayIs(name, leaf))
	case !d.climb(chain).complete():
		d.broken(check, d.climb(chain), d.now)
	case wire.CodeOf(verdict) == wire.CodeCertificateExpired:
		d.bad(check, relayOutOfTime(verdict), trouble.RemedyRelayOutOfTime)
	case leaf.VerifyHostname(name) != nil && len(others) > 0:
		d.bad(check, relayOtherName(name, others), fmt.Sprintf(trouble.RemedyRelayName, others[0]))
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
