package doctor

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card"
	"sinete/cardauth/revocation"
	"sinete/cmd/peer/internal/cards"
	"sinete/cmd/peer/internal/screen"
	"sinete/wire"
)

// All that peer doctor says which no other command does.

const aboutDoctor = `Each line says ok, or what to do: after -- now, after !! soon or where it matters to you. The PIN is not asked for and nothing is signed. The relay is asked for its certificate
and not logged in at. The authorities of both are asked whether card and relay were revoked, unless --revocation off is given.

Exit status: 0 where all is well, 1 otherwise, 2 wrong usage.`

func diagnosis(failed int) string {
	if failed == 0 {
		return "All that was looked at is well."
	}
	return screen.Plural(failed, "One thing is to be mended.", "%d things are to be mended. Begin with the first: others may follow from it.")
}

const (
	pinUntouched = "not locked"
	pinLow       = "not locked, but a wrong one has been given since the last right one"

	usableForThis = "the certificate is for authentication"
)

func nameOf(c *x509.Certificate) string {
	return cmp.Or(cardauth.DisplayName(c), c.Subject.String(), "somebody without a name")
}

func issuerOf(c *x509.Certificate) string {
	return cmp.Or(cardauth.DisplayName(&x509.Certificate{Subject: c.Issuer}), c.Issuer.String(), "somebody without a name")
}

// cardOf says whose card it is, of which kind, with which key, and why it is the one.
func cardOf(name string, f *pkcs11card.Found) string {
	s := fmt.Sprintf("%s, on %s (%s, %s)", name, f.Token.Label, f.Token.Profile.Name, cards.KeyName(f.Certificate.PublicKey))
	return s + screen.WhyChosen[string(f.Why)]
}

func softCardOf(name, path string) string {
	return fmt.Sprintf("%s, in the file %s; its PIN cannot be locked", name, path)
}

func strangeCertificate(where string, err error) string {
	return fmt.Sprintf("a certificate in %s cannot be read: %v", where, err)
}

func validUntil(c *x509.Certificate, now time.Time) string {
	days := int(c.NotAfter.Sub(now) / (24 * time.Hour))
	return fmt.Sprintf("until %s, %s", screen.Day(c.NotAfter), screen.Plural(days, "1 day", "%d days"))
}

func notYetValid(c *x509.Certificate) string {
	return fmt.Sprintf("the certificate is valid from %s on, and not yet", screen.Day(c.NotBefore))
}

func expired(c *x509.Certificate) string {
	return fmt.Sprintf("the certificate was valid until %s", screen.Day(c.NotAfter))
}

func wrongUse(err error) string { return "this certificate is not for authentication: " + err.Error() }

func trusted(roots, others int, dir string) string {
	return fmt.Sprintf("%s and %s in %s", screen.Plural(roots, "1 root", "%d roots"), screen.Plural(others, "1 authority below", "%d authorities below"), dir)
}

func leadsTo(root string) string { return "your card's certificate leads to " + root }

func issuerMissing(issuer, of string) string {
	return fmt.Sprintf("the certificate of %q is missing, which issued %q", issuer, of)
}

func issuerIsAnother(issuer, of string) string {
	return fmt.Sprintf("the certificate of %q that is there is another one than that which issued %q", issuer, of)
}

func rootNotTrusted(root, dir string) string {
	return fmt.Sprintf("it leads to the root %q, which is not in %s", root, dir)
}

func answers(relay string, took time.Duration) string {
	s := relay + fmt.Sprintf(" answers, in version %d of the protocol", wire.Version)
	if took > 0 {
		s += fmt.Sprintf(", after %v", took.Round(100*time.Microsecond))
	}
	return s
}

func relayIs(name string, c *x509.Certificate) string {
	return fmt.Sprintf("it is %s, until %s", name, screen.Day(c.NotAfter))
}

func relayOutOfTime(err error) string {
	return "a certificate of the relay is out of its validity: " + err.Error()
}

func relayOtherName(name string, others []string) string {
	return fmt.Sprintf("the relay is trusted, but goes by other names than %q: %s", name, strings.Join(others, ", "))
}

func clockPlausible(now time.Time) string {
	return fmt.Sprintf("%s, and no certificate is from later", minute(now))
}

func clockBehind(now time.Time, c *x509.Certificate) string {
	return fmt.Sprintf("it says %s, but %q was made on %s", minute(now), nameOf(c), screen.Day(c.NotBefore))
}

func clockOff(now time.Time, r reading) string {
	return fmt.Sprintf("it says %s; that of %s is %s", minute(now), r.address, offBy(r.ahead))
}

func clockRight(now time.Time, r reading) string {
	return fmt.Sprintf("%s, and that of %s agrees", minute(now), r.address)
}

// offBy is how far another clock is ahead, in words.
func offBy(ahead time.Duration) string {
	if ahead < 0 {
		return fmt.Sprintf("%v behind", -ahead.Round(time.Second))
	}
	return fmt.Sprintf("%v ahead", ahead.Round(time.Second))
}

func minute(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

// versions are those that a report of a fault wants to name.
func versions(system string) string {
	version := "unknown"
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" {
		version = b.Main.Version
	}
	return fmt.Sprintf("peer %s, protocol %d, %s, %s/%s", version, wire.Version, runtime.Version(), system, runtime.GOARCH)
}

func moduleOf(m *pkcs11card.Module) string {
	return fmt.Sprintf("%s: %s %s, of %s", m.Path, m.Description, m.Version, m.Maker)
}

func unknownCard(readers []string) string {
	return "in " + strings.Join(readers, ", ") + " is something that no module knows"
}

func blankToken(readers []string) string {
	return "in " + strings.Join(readers, ", ") + " is a token that was never initialised"
}

func noPCSC(socket string) string {
	return cards.NoReader + ", and the service for readers does not listen at " + socket
}

// pinHabitOf is when the card asks for its PIN, where that is not simply at login.
func pinHabitOf(t pkcs11card.Token) string {
	s := ""
	switch {
	case t.Profile.EachTime:
		s = "; asked for at each signature by the card's own software, so the card signs once, for a key that seals during the session"
	case t.Login && t.Pad:
		s = "; entered at the reader"
	}
	if t.Profile.CAN && t.Login {
		s += "; without contact, the six digits printed on the card (CAN) are asked for at login"
	}
	return s
}

func authorityExpired(c *x509.Certificate) string {
	return fmt.Sprintf("the authority %q was valid until %s", nameOf(c), screen.Day(c.NotAfter))
}

func weakSignature(of, by string) string {
	return fmt.Sprintf("%q signed %q with SHA-1", by, of)
}

// revocationReasons are why a certificate ended (RFC 5280 section 5.3.1).
var revocationReasons = map[int]string{1: "its key may be in other hands", 2: "its authority's key may be in other hands", 3: "its owner's affiliation changed",
	4: "another took its place", 5: "it is no longer needed", 6: "suspended", 9: "its owner lost the right to it"}

func goodUntil(t time.Time) string {
	return "not revoked, its authorities say; the first answer holds until " + minute(t)
}

func heldUntil(of string, t time.Time) string {
	return fmt.Sprintf("not revoked by the last answer about %q, which held until %s and serves by --revocation grace until %s", of, minute(t),
		minute(t.Add(revocation.DefaultGrace)))
}

func cacheUnusable(dir string) string { return "nothing can be kept in " + dir }

func memoryUnusable(file string) string {
	return "the card that you chose last cannot be read from " + file
}

const placesUsable = "what this program keeps can be read and written"
