package main

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"sinete/cardauth"
	"sinete/wire"
)

// All that peer doctor says which no other command does.

const aboutDoctor = `Each line says ok, or -- and what to do. The PIN is not asked for and nothing is signed. The relay is asked for its certificate
and not logged in at. The authorities of both are asked whether card and relay were revoked, unless --revocation off is given.

Exit status: 0 where all is well, 1 otherwise, 2 wrong usage.`

func checkLines(e checkEvent) []string {
	mark := "ok"
	if !e.OK {
		mark = "--"
	}
	lines := []string{fmt.Sprintf("%s  %-17s  %s", mark, e.Name, e.Text)}
	for l := range strings.SplitSeq(e.Remedy, "\n") {
		if l != "" {
			lines = append(lines, "                       "+l)
		}
	}
	return lines
}

func diagnosis(failed int) string {
	if failed == 0 {
		return "All that was looked at is well."
	}
	return plural(failed, "One thing is to be mended.", "%d things are to be mended. Begin with the first: others may follow from it.")
}

const (
	pinUntouched = "not locked"
	pinLow       = "not locked, but a wrong one has been given since the last right one"

	usableForThis = "the certificate is for authentication"

	remedyStrangeCertificate = "Nothing here can mend it. Is it the card you mean?"
	remedyClock              = "Set date and time of this machine, or let the network set it."
	remedyExpired            = "Is the date of this machine right? Otherwise have the card renewed: nobody accepts it any more."
	remedyUsage              = "A card has several certificates: name the one for authentication with --card. peer cards shows them."
	remedyRoot               = "Put its certificate there only if whoever issued your card, or runs the relay, says that this root is theirs."
	remedyRelayOutOfTime     = "Is the date of this machine right? Otherwise tell whoever runs the relay."
)

const stillHolds = "not revoked, its authorities say"

// remedyRevocation is what to do besides what the code says.
var remedyRevocation = map[wire.Code]string{
	wire.CodeRevocationUnknown: "\nAn authority on a private network must be allowed: --revocation-network NET",
}

func nameOf(c *x509.Certificate) string {
	return cmp.Or(cardauth.DisplayName(c), c.Subject.String(), "somebody without a name")
}

func issuerOf(c *x509.Certificate) string {
	return cmp.Or(cardauth.DisplayName(&x509.Certificate{Subject: c.Issuer}), c.Issuer.String(), "somebody without a name")
}

func day(t time.Time) string { return t.Local().Format(time.DateOnly) }

func cardOf(name, where string, soft bool) string {
	if soft {
		return fmt.Sprintf("%s, in the file %s; its PIN cannot be locked", name, where)
	}
	return fmt.Sprintf("%s, on %s", name, where)
}

func strangeCertificate(where string, err error) string {
	return fmt.Sprintf("a certificate in %s cannot be read: %v", where, err)
}

func validUntil(c *x509.Certificate, now time.Time) string {
	days := int(c.NotAfter.Sub(now) / (24 * time.Hour))
	return fmt.Sprintf("until %s, %s", day(c.NotAfter), plural(days, "1 day", "%d days"))
}

func notYetValid(c *x509.Certificate) string {
	return fmt.Sprintf("the certificate is valid from %s on, and not yet", day(c.NotBefore))
}

func expired(c *x509.Certificate) string {
	return fmt.Sprintf("the certificate was valid until %s", day(c.NotAfter))
}

func wrongUse(err error) string { return "this certificate is not for authentication: " + err.Error() }

func trusted(roots, others int, dir string) string {
	return fmt.Sprintf("%s and %s in %s", plural(roots, "1 root", "%d roots"), plural(others, "1 authority below", "%d authorities below"), dir)
}

func leadsTo(root string) string { return "your card's certificate leads to " + root }

func issuerMissing(issuer, of string) string {
	return fmt.Sprintf("the certificate of %q is missing, which issued %q", issuer, of)
}

func issuerIsAnother(issuer, of string) string {
	return fmt.Sprintf("the certificate of %q that is there is another one than that which issued %q", issuer, of)
}

func remedyIssuer(issuer, dir string) string {
	return fmt.Sprintf("Put it into %s, as PEM. Whoever issued the card, or runs the relay, has the certificate of %q.", dir, issuer)
}

func rootNotTrusted(root, dir string) string {
	return fmt.Sprintf("it leads to the root %q, which is not in %s", root, dir)
}

func answers(relay string) string { return relay + " answers" }

func relayIs(name string, c *x509.Certificate) string {
	return fmt.Sprintf("it is %s, until %s", name, day(c.NotAfter))
}

func relayOutOfTime(err error) string {
	return "a certificate of the relay is out of its validity: " + err.Error()
}

func relayOtherName(name string, others []string) string {
	return fmt.Sprintf("the relay is trusted, but goes by other names than %q: %s", name, strings.Join(others, ", "))
}

func remedyRelayName(name string) string {
	return "If it is the relay that you mean: --relay-name " + name + ". Otherwise the address is another's."
}

func clockPlausible(now time.Time) string {
	return fmt.Sprintf("%s, and no certificate is from later", now.Local().Format("2006-01-02 15:04"))
}

func clockBehind(now time.Time, c *x509.Certificate) string {
	return fmt.Sprintf("it says %s, but %q was made on %s", now.Local().Format("2006-01-02 15:04"), nameOf(c), day(c.NotBefore))
}
