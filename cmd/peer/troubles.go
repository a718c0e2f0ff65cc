package main

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card"
	"sinete/peer"
	"sinete/wire"
)

// codes are the words of protocol.md section 11 as a person is told them, with the exit status of a login or session that ends so.
var codes = map[string]trouble{
	"bye":                   {what: "you ended it", status: statusFailed},
	"internal":              {what: "something failed inside", advice: "Try again; if it stays so, tell whoever runs the relay.", status: statusFailed},
	"malformed":             {what: "something could not be read", advice: "Texts must be UTF-8 and not empty. Otherwise one of the programs is faulty, or somebody tampers.", status: statusFailed},
	"unexpected":            {what: "something came that had no place there", advice: "One of the programs is faulty or of another version, or somebody tampers.", status: statusFailed},
	"limit-exceeded":        {what: "more came than is allowed at once", advice: "Send less at a time.", status: statusFailed},
	"version-unsupported":   {what: "the other side speaks no version of the protocol that is known here", advice: "Update the older of the two programs.", status: statusFailed},
	"suite-unsupported":     {what: "there is no suite that both sides offer", advice: "ciphers shows yours; offer more with --suite.", status: statusRefused},
	"integrity":             {what: "something that was received was altered on its way", advice: "Nothing of it was shown. Connect again; if it stays so, somebody tampers: tell whoever runs the relay.", status: statusFailed},
	"unsealed":              {what: "messages came that nobody sealed in time", advice: "Connect again. Is the card still in the reader?", status: statusFailed},
	"certificate-invalid":   {what: "a card's certificate is not accepted", advice: "Is it a card of one of the authorities that both sides trust?", status: statusRefused},
	"certificate-expired":   {what: "a certificate is out of its validity", advice: "Check the date of this machine, and the card's with peer cards; an expired card must be renewed.", status: statusRefused},
	"certificate-revoked":   {what: "a certificate was revoked or suspended", advice: "Ask the authority that issued the card.", status: statusRefused},
	"revocation-unknown":    {what: "nobody could say whether a certificate was revoked", advice: "Try again later, when the authority's service answers.", status: statusRefused},
	"authentication-failed": {what: "the proof of who somebody is was wrong", advice: "Try again; if it stays so, the card does not fit its certificate, or somebody tampers.", status: statusRefused},
	"wrong-context":         {what: "a proof was made for another relay, conversation or person", advice: "Does --relay-name name the relay that you mean? Otherwise somebody may be in between.", status: statusRefused},
	"card-in-use":           {what: "this card is logged in already", advice: "Leave the other session first, on whatever machine it is.", status: statusRefused},
	"superseded":            {what: "the same card has logged in anew and took over", advice: "If that was not you, somebody has your card and its PIN: have it revoked.", status: statusRefused},
	"flow-denied":           {what: "the flow policy does not allow this", advice: "list shows to whom you may write.", status: statusRefused},
	"unknown-peer":          {what: "nobody of that number is logged in", advice: "list shows who is.", status: statusFailed},
	"not-connected":         {what: "you are not connected to them", advice: "connect#ID connects you.", status: statusFailed},
	"already-connected":     {what: "you are connected to them already, or just about to be", advice: "connected shows with whom.", status: statusFailed},
	"timeout":               {what: "an answer did not come in time", advice: "Try again. Is a card still waiting for a PIN?", status: statusFailed},
	"going-away":            {what: "the relay shuts down", advice: "Log in again in a while.", status: statusFailed},
	"busy":                  {what: "the relay or a queue is full", advice: "Try again later.", status: statusFailed},
	"signing-refused":       {what: "this relay does not take delegated signing", advice: "Use --sign card.", status: statusRefused},
	"cut":                   {what: "the connection was lost", advice: "Log in again when the network is back.", status: statusFailed},
	"peer-left":             {what: "they ended it", status: statusFailed},
	"slow":                  {what: "messages were not taken fast enough", advice: "Log in again, and let nothing stop the output of this program.", status: statusFailed},
}

func ofCode(c wire.Code) trouble {
	t, ok := codes[c.String()]
	if !ok {
		t = codes["internal"]
		t.what += " (" + c.String() + ")"
	}
	t.code = c.String()
	return t
}

func refuse(code, what, advice string) error {
	return &problem{trouble{code, what, advice, statusFailed}}
}

func usage(code, what, advice string) error {
	return &problem{trouble{code, what, advice, statusUsage}}
}

// Usage and configuration.

func wrongUsage(what string) error {
	return usage("wrong-usage", what, "peer --help shows what there is.")
}

func badAddress(e *peer.AddressError) trouble {
	return trouble{"relay-address", fmt.Sprintf("%q is no address of a relay", e.Address), remedyAddress, statusUsage}
}

func unknownSuite(name string) error {
	return &problem{trouble{wire.CodeSuiteUnsupported.String(), fmt.Sprintf("there is no suite %q", name),
		"There are " + strings.Join(suiteNames(nil), ", ") + ".", statusUsage}}
}

func suitesTooWeak(least wire.Suite) error {
	return &problem{trouble{wire.CodeSuiteUnsupported.String(), fmt.Sprintf("every --suite is weaker than --min-suite %v", least),
		"Leave one of the two out.", statusUsage}}
}

func noTrustFolder(err error) error {
	return refuse("trust-missing", "there is no folder with trusted certificates: "+err.Error(), remedyTrustName)
}

func trustUnusable(e *cardauth.TrustError) trouble {
	t := trouble{"trust-unusable", "the trusted certificates in " + e.Path + " cannot be used: " + cause(e.Err),
		remedyTrust, statusFailed}
	switch {
	case errors.Is(e.Err, fs.ErrNotExist):
		t.code, t.what = "trust-missing", "there is no folder "+e.Path
		t.advice += "\n" + remedyTrustMissing
	case errors.Is(e.Err, cardauth.ErrNoAnchors):
		t.what = "there is no root among the certificates in " + e.Path
	}
	return t
}

// The relay.

func relayUnreachable(err error) trouble {
	return trouble{"relay-unreachable", err.Error(), remedyRelaySilent, statusFailed}
}

func noSuchHost(err error) trouble {
	t := relayUnreachable(err)
	t.advice = remedyHost
	return t
}

func relayBusy() trouble {
	t := ofCode(wire.CodeBusy)
	t.advice = remedyRelayBusy
	return t
}

func relayUntrusted(err error) trouble {
	return trouble{"relay-untrusted", "the relay could not show that it is the one you mean: " + err.Error(),
		remedyRelayUntrusted + "\n" + remedySomebodyInBetween, statusRefused}
}

// relayStatus says what is wrong with the relay's certificate: it, or what could not be learned of it.
func relayStatus(e *cardauth.CertificateError) trouble {
	t := ofCode(e.Number)
	t.what = "the relay: " + e.Error()
	switch e.Number {
	case wire.CodeCertificateRevoked:
		t.advice = remedyRelayRevoked
	case wire.CodeRevocationUnknown:
		t.advice = remedyUnanswered + "\n" + remedyNetwork
	default:
		return relayUntrusted(e)
	}
	return t
}

func noRelay(err error) trouble {
	t := ofCode(wire.CodeVersionUnsupported)
	t.what, t.advice = "what answers there is no relay of this kind", remedyNoRelay
	return t
}

// The card.

func ownCertificate(e *peer.OwnCertificateError) trouble {
	t := ofCode(wire.CodeOf(e))
	t.what = "your card would not be accepted: " + e.Err.Error()
	switch t.code {
	case wire.CodeCertificateInvalid.String():
		t.advice = remedyOwnCertificate
	case wire.CodeCertificateExpired.String():
		t.advice = remedyExpired
	case wire.CodeCertificateRevoked.String():
		t.advice = remedyRevoked
	}
	return t
}

func noCard(e *pkcs11card.NotFoundError) trouble {
	t := trouble{"no-card", "there is no card: " + e.Reason, remedyNoCard, statusFailed}
	if e.NoModule {
		t.advice = installModule(runtime.GOOS)
	}
	if e.URI != "pkcs11:" {
		t.what = "no card fits " + e.URI + ": " + e.Reason
	}
	if e.Err != nil {
		t.what += " (" + e.Err.Error() + ")"
	}
	return t
}

func cardAmbiguous(e *pkcs11card.AmbiguousError) trouble {
	return trouble{"card-ambiguous", fmt.Sprintf("%d cards are there", len(e.URIs)),
		fmt.Sprintf(remedyAmbiguous, strings.Join(e.URIs, "\n")), statusFailed}
}

func cardTakenOut() trouble {
	return trouble{"card-removed", "the card was taken out", "Put it back to log in again.", statusFailed}
}

func idleLogout() trouble {
	return trouble{"idle-logout", "nobody has typed anything for the time that --idle-logout sets", "Type anything to log in again.", statusFailed}
}

func away() trouble {
	return trouble{"away", "you are not logged in at the moment", "It is being tried again. What you send to people whose conversation broke is queued.", statusFailed}
}

func cardAbsent(e *cardauth.AbsentError) trouble {
	return trouble{"card-removed", e.Error(), "Put the card back.", statusFailed}
}

func cardCancelled(e *pkcs11card.CancelledError) trouble {
	return trouble{"pin-needed", e.Error(), "Try again, and give it where the card's own software or the reader asks for it.", statusFailed}
}

func cardExportable(e *pkcs11card.ExportableError) trouble {
	return trouble{"card-unsupported", e.Error() + ", so that holding the card proves nothing",
		remedyExportable, statusFailed}
}

func cardModule(e *pkcs11card.ModuleError) trouble {
	switch {
	case errors.Is(e, pkcs11card.ErrCrashed):
		return trouble{"card-module", "the card's PKCS#11 module crashed: " + e.Error(), remedyModuleCrashed, statusFailed}
	case errors.Is(e, pkcs11card.ErrHung):
		return trouble{"card-module", "the card's PKCS#11 module does not answer: " + e.Error(), remedyModuleHung, statusFailed}
	case errors.Is(e, pkcs11card.ErrCancelled):
		return trouble{"card-module", "the card's PKCS#11 module gave up: " + e.Error(), remedyModuleAsks, statusFailed}
	case errors.Is(e, fs.ErrNotExist):
		return trouble{"card-module", "there is no such PKCS#11 module: " + e.Error(), remedyModuleAbsent, statusFailed}
	}
	return trouble{"card-module", "the card's PKCS#11 module failed: " + e.Error(), remedyModuleFails, statusFailed}
}

// installModule is where a module comes from on that system (GOOS).
func installModule(goos string) string {
	install := remedyInstallLinux
	switch goos {
	case "darwin":
		install = remedyInstallMac
	case "windows":
		install = remedyInstallWindows
	}
	return install + "\n" + remedyModulePath
}

func cardUnsupported(e *pkcs11card.UnsupportedError) trouble {
	return trouble{"card-unsupported", strings.TrimPrefix(e.Error(), "pkcs11card: "), remedyNoCgo, statusFailed}
}

func cardUnreadable(err error) trouble {
	t := trouble{"card-unreadable", "the card cannot be read: " + err.Error(), remedySoftCard, statusFailed}
	if errors.Is(err, fs.ErrNotExist) {
		t.code = "no-card"
	}
	return t
}

func cardFailed(err error) trouble {
	return trouble{"card-failed", "the card did not sign: " + err.Error(), "Take it out, put it back and log in again.", statusFailed}
}

func badCardName(name string) error {
	return usage("card-name", fmt.Sprintf("%q names no card", name), remedyCardName)
}

func badCardURI(e *pkcs11card.URIError) trouble {
	return trouble{"card-name", e.Error(), remedyCardURI, statusUsage}
}

func badPINAttribute() error {
	return usage("card-name", "what follows the soft card's path is neither pin-value=PIN nor pin-source=file:PATH",
		"In a PIN % and other special characters stand as %XX.")
}

func pinSourceUnreadable(err error) error {
	return refuse("pin-needed", "the PIN's file cannot be read: "+err.Error(), "pin-source=file:PATH names a file that holds the PIN.")
}

func pinNeeded(card string) error {
	return refuse("pin-needed", fmt.Sprintf("%s wants its PIN, and there is no terminal to ask for it", card),
		"Add ?pin-source=file:PATH to the card's name, with a file that only you can read.")
}

func pinRefused(e *cardauth.PINError) trouble {
	t := trouble{"pin-wrong", "the PIN was wrong for " + e.Card, "Log in again with the right one. Cards lock themselves after a few wrong PINs.", statusRefused}
	switch {
	case e.Locked:
		t.code, t.what, t.advice = "pin-locked", "the PIN of "+e.Card+" is locked", remedyPINLocked
	case e.Final:
		t.what, t.advice = "one more wrong PIN locks "+e.Card, remedyPINFinal
	}
	return t
}

func interrupted() trouble {
	return trouble{"interrupted", "interrupted before it was done", "", statusFailed}
}

// Commands.

func unknownCommand(word string) error {
	return refuse("unknown-command", fmt.Sprintf("there is no command %q", word), "menu names them, help explains them.")
}

// forms is how commands with arguments are written.
var forms = map[string]string{
	"send": "send##ID##TEXT", "connect": "connect#ID or connect#ID##SUITE", "disconnect": "disconnect#ID, or disconnect alone to leave", "whois": "whois#ID",
}

func badForm(word string) error {
	form, ok := forms[word]
	if !ok {
		form = word + ", with nothing after it"
	}
	return refuse("bad-command", "that is not how "+word+" is written", "It is "+form+".")
}

func notBuiltCommand(word string) error {
	return refuse("not-built", word+" is not built yet", "")
}

func lineTooLong() error {
	return refuse("message-too-large", fmt.Sprintf("a command of more than %d bytes", maxLine), tooLargeAdvice)
}

var tooLargeAdvice = fmt.Sprintf("A message has at most %d bytes: send it in parts. Nothing was sent.", wire.MaxText)

func tooLarge(e *peer.TooLargeError) trouble {
	return trouble{"message-too-large", e.Error(), tooLargeAdvice, statusFailed}
}

func unknownPerson(who string) error {
	return refuse(wire.CodeUnknownPeer.String(), fmt.Sprintf("nobody called %q is logged in", who), "list shows who is.")
}

func ambiguousName(who string, found []peer.Person) error {
	var which []string
	for _, p := range found {
		which = append(which, fmt.Sprintf("%d (%s)", p.ID, p.Identity))
	}
	if _, isNumber := personNumber(who); isNumber { // one of before the relay was restarted, one of now
		return refuse("ambiguous-name", fmt.Sprintf("%d people have had the number %s", len(found), who), "Give the identity: "+strings.Join(which, ", ")+".")
	}
	return refuse("ambiguous-name", fmt.Sprintf("%d people are called %q", len(found), who), "Give the number: "+strings.Join(which, ", ")+".")
}

func notConnected(who string) error {
	return refuse(wire.CodeNotConnected.String(), fmt.Sprintf("you are not connected to %s", who), "connect#"+who+" connects you.")
}

func suiteNotOffered(s wire.Suite, offered []wire.Suite) error {
	return refuse(wire.CodeSuiteUnsupported.String(), fmt.Sprintf("you do not offer %v", s), "With the options you gave, you offer "+strings.Join(suiteNames(offered), ", ")+".")
}

func suiteRefused(theirs []wire.Suite) trouble {
	t := ofCode(wire.CodeSuiteUnsupported)
	if len(theirs) > 0 {
		t.advice = "They offer " + strings.Join(suiteNames(theirs), ", ") + "."
	}
	return t
}
