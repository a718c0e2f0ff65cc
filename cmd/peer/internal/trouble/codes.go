package trouble

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

// Codes are the words of protocol.md section 11 as a person is told them, with the exit status of a login or session that ends so.
var Codes = map[string]Trouble{
	"bye":                   {What: "you ended it", Status: StatusFailed},
	"internal":              {What: "something failed inside", Advice: "Try again; if it stays so, tell whoever runs the relay.", Status: StatusFailed},
	"malformed":             {What: "something could not be read", Advice: "Texts must be UTF-8 and not empty. Otherwise one of the programs is faulty, or somebody tampers.", Status: StatusFailed},
	"unexpected":            {What: "something came that had no place there", Advice: "One of the programs is faulty or of another version, or somebody tampers.", Status: StatusFailed},
	"limit-exceeded":        {What: "more came than is allowed at once", Advice: "Send less at a time.", Status: StatusFailed},
	"version-unsupported":   {What: "the other side speaks no version of the protocol that is known here", Advice: "Update the older of the two programs.", Status: StatusFailed},
	"suite-unsupported":     {What: "there is no suite that both sides offer", Advice: "ciphers shows yours; offer more with --suite.", Status: StatusRefused},
	"integrity":             {What: "something that was received was altered on its way", Advice: "Nothing of it was shown. Connect again; if it stays so, somebody tampers: tell whoever runs the relay.", Status: StatusFailed},
	"unsealed":              {What: "messages came that nobody sealed in time", Advice: "Connect again. Is the card still in the reader?", Status: StatusFailed},
	"certificate-invalid":   {What: "a card's certificate is not accepted", Advice: "Is it a card of one of the authorities that both sides trust?", Status: StatusRefused},
	"certificate-expired":   {What: "a certificate is out of its validity", Advice: "Check the date of this machine, and the card's with peer cards; an expired card must be renewed.", Status: StatusRefused},
	"certificate-revoked":   {What: "a certificate was revoked or suspended", Advice: "Ask the authority that issued the card.", Status: StatusRefused},
	"revocation-unknown":    {What: "nobody could say whether a certificate was revoked", Advice: "Try again later, when the authority's service answers.", Status: StatusRefused},
	"authentication-failed": {What: "the proof of who somebody is was wrong", Advice: "Try again; if it stays so, the card does not fit its certificate, or somebody tampers.", Status: StatusRefused},
	"wrong-context":         {What: "a proof was made for another relay, conversation or person", Advice: "Does --relay-name name the relay that you mean? Otherwise somebody may be in between.", Status: StatusRefused},
	"card-in-use":           {What: "this card is logged in already", Advice: "Leave the other session first, on whatever machine it is.", Status: StatusRefused},
	"superseded":            {What: "the same card has logged in anew and took over", Advice: "If that was not you, somebody has your card and its PIN: have it revoked.", Status: StatusRefused},
	"flow-denied":           {What: "the flow policy does not allow this", Advice: "list shows to whom you may write.", Status: StatusRefused},
	"unknown-peer":          {What: "nobody of that number is logged in", Advice: "list shows who is.", Status: StatusFailed},
	"not-connected":         {What: "you are not connected to them", Advice: "connect#ID connects you.", Status: StatusFailed},
	"already-connected":     {What: "you are connected to them already, or just about to be", Advice: "connected shows with whom.", Status: StatusFailed},
	"timeout":               {What: "an answer did not come in time", Advice: "Try again. Is a card still waiting for a PIN?", Status: StatusFailed},
	"going-away":            {What: "the relay shuts down", Advice: "Log in again in a while.", Status: StatusFailed},
	"busy":                  {What: "the relay or a queue is full", Advice: "Try again later.", Status: StatusFailed},
	"signing-refused":       {What: "this relay does not take delegated signing", Advice: "Use --sign card.", Status: StatusRefused},
	"cut":                   {What: "the connection was lost", Advice: "Log in again when the network is back.", Status: StatusFailed},
	"peer-left":             {What: "they ended it", Status: StatusFailed},
	"level-changed":         {What: "your level or theirs is another now", Advice: "The conversation begins anew under it, as far as the flow policy allows; level shows yours.", Status: StatusFailed},
	"label-denied":          {What: "the relay gives you no right to label messages below your level", Advice: "send uses your level. For the right, ask whoever runs the relay: labels_below in its configuration.", Status: StatusRefused},
	"slow":                  {What: "messages were not taken fast enough", Advice: "Log in again, and let nothing stop the output of this program.", Status: StatusFailed},
}

func ofCode(c wire.Code) Trouble {
	t, ok := Codes[c.String()]
	if !ok {
		t = Codes["internal"]
		t.What += " (" + c.String() + ")"
	}
	t.Code = c.String()
	return t
}

// Refuse makes a trouble of this program: exit status 1 where it ends it.
func Refuse(code, what, advice string) error {
	return &Problem{Trouble{code, what, advice, StatusFailed}}
}

// Usage makes one of a command line: exit status 2.
func Usage(code, what, advice string) error {
	return &Problem{Trouble{code, what, advice, StatusUsage}}
}

// Usage and configuration.

func WrongUsage(what string) error {
	return Usage("wrong-usage", what, "peer --help shows what there is.")
}

func badAddress(e *peer.AddressError) Trouble {
	return Trouble{"relay-address", fmt.Sprintf("%q is no address of a relay", e.Address), remedyAddress, StatusUsage}
}

func UnknownSuite(name string) error {
	return &Problem{Trouble{wire.CodeSuiteUnsupported.String(), fmt.Sprintf("there is no suite %q", name),
		"There are " + strings.Join(SuiteNames(nil), ", ") + ".", StatusUsage}}
}

func SuitesTooWeak(least wire.Suite) error {
	return &Problem{Trouble{wire.CodeSuiteUnsupported.String(), fmt.Sprintf("every --suite is weaker than --min-suite %v", least),
		"Leave one of the two out.", StatusUsage}}
}

func NoTrustFolder(err error) error {
	return Refuse("trust-missing", "there is no folder with trusted certificates: "+err.Error(), remedyTrustName)
}

func trustUnusable(e *cardauth.TrustError) Trouble {
	t := Trouble{"trust-unusable", "the trusted certificates in " + e.Path + " cannot be used: " + cause(e.Err),
		remedyTrust, StatusFailed}
	switch {
	case errors.Is(e.Err, fs.ErrNotExist):
		t.Code, t.What = "trust-missing", "there is no folder "+e.Path
		t.Advice += "\n" + remedyTrustMissing
	case errors.Is(e.Err, cardauth.ErrNoAnchors):
		t.What = "there is no root among the certificates in " + e.Path
	}
	return t
}

// The relay.

func relayUnreachable(err error) Trouble {
	return Trouble{"relay-unreachable", err.Error(), RemedyRelaySilent, StatusFailed}
}

func noSuchHost(err error) Trouble {
	t := relayUnreachable(err)
	t.Advice = remedyHost
	return t
}

func relayBusy() Trouble {
	t := ofCode(wire.CodeBusy)
	t.Advice = remedyRelayBusy
	return t
}

func relayUntrusted(err error) Trouble {
	return Trouble{"relay-untrusted", "the relay could not show that it is the one you mean: " + err.Error(),
		remedyRelayUntrusted + "\n" + remedySomebodyInBetween, StatusRefused}
}

// relayStatus says what is wrong with the relay's certificate: it, or what could not be learned of it.
func relayStatus(e *cardauth.CertificateError) Trouble {
	t := ofCode(e.Number)
	t.What = "the relay: " + e.Error()
	switch e.Number {
	case wire.CodeCertificateRevoked:
		t.Advice = RemedyRelayRevoked
	case wire.CodeRevocationUnknown:
		t.Advice = RemedyUnanswered + "\n" + RemedyNetwork
	default:
		return relayUntrusted(e)
	}
	return t
}

func noRelay(err error) Trouble {
	t := ofCode(wire.CodeVersionUnsupported)
	t.What, t.Advice = "what answers there is no relay of this kind", remedyNoRelay
	return t
}

// The card.

func ownCertificate(e *peer.OwnCertificateError) Trouble {
	t := ofCode(wire.CodeOf(e))
	t.What = "your card would not be accepted: " + e.Err.Error()
	switch t.Code {
	case wire.CodeCertificateInvalid.String():
		t.Advice = remedyOwnCertificate
	case wire.CodeCertificateExpired.String():
		t.Advice = RemedyExpired
	case wire.CodeCertificateRevoked.String():
		t.Advice = RemedyRevoked
	}
	return t
}

func noCard(e *pkcs11card.NotFoundError) Trouble {
	t := Trouble{"no-card", "there is no card: " + e.Reason, RemedyNoCard, StatusFailed}
	if e.NoModule {
		t.Advice = InstallModule(runtime.GOOS)
	}
	if e.URI != "pkcs11:" {
		t.What = "no card fits " + e.URI + ": " + e.Reason
	}
	if e.Err != nil {
		t.What += " (" + e.Err.Error() + ")"
	}
	return t
}

func cardAmbiguous(e *pkcs11card.AmbiguousError) Trouble {
	return Trouble{"card-ambiguous", fmt.Sprintf("%d cards are there", len(e.URIs)),
		fmt.Sprintf(remedyAmbiguous, strings.Join(e.URIs, "\n")), StatusFailed}
}

func CardTakenOut() Trouble {
	return Trouble{"card-removed", "the card was taken out", "Put it back to log in again.", StatusFailed}
}

func IdleLogout() Trouble {
	return Trouble{"idle-logout", "nobody has typed anything for the time that --idle-logout sets", "Type anything to log in again.", StatusFailed}
}

func away() Trouble {
	return Trouble{"away", "you are not logged in at the moment", "It is being tried again. What you send to people whose conversation broke is queued.", StatusFailed}
}

func cardAbsent(e *cardauth.AbsentError) Trouble {
	return Trouble{"card-removed", e.Error(), "Put the card back.", StatusFailed}
}

func cardCancelled(e *pkcs11card.CancelledError) Trouble {
	return Trouble{"pin-needed", e.Error(), "Try again, and give it where the card's own software or the reader asks for it.", StatusFailed}
}

func cardExportable(e *pkcs11card.ExportableError) Trouble {
	return Trouble{"card-unsupported", e.Error() + ", so that holding the card proves nothing",
		remedyExportable, StatusFailed}
}

func cardModule(e *pkcs11card.ModuleError) Trouble {
	switch {
	case errors.Is(e, pkcs11card.ErrCrashed):
		return Trouble{"card-module", "the card's PKCS#11 module crashed: " + e.Error(), RemedyModuleCrashed, StatusFailed}
	case errors.Is(e, pkcs11card.ErrHung):
		return Trouble{"card-module", "the card's PKCS#11 module does not answer: " + e.Error(), remedyModuleHung, StatusFailed}
	case errors.Is(e, pkcs11card.ErrCancelled):
		return Trouble{"card-module", "the card's PKCS#11 module gave up: " + e.Error(), RemedyModuleAsks, StatusFailed}
	case errors.Is(e, fs.ErrNotExist):
		return Trouble{"card-module", "there is no such PKCS#11 module: " + e.Error(), RemedyModuleAbsent, StatusFailed}
	}
	return Trouble{"card-module", "the card's PKCS#11 module failed: " + e.Error(), RemedyModuleFails, StatusFailed}
}

// InstallModule is where a module comes from on that system (GOOS).
func InstallModule(goos string) string {
	install := remedyInstallLinux
	switch goos {
	case "darwin":
		install = remedyInstallMac
	case "windows":
		install = remedyInstallWindows
	}
	return install + "\n" + remedyModulePath
}

func cardUnsupported(e *pkcs11card.UnsupportedError) Trouble {
	return Trouble{"card-unsupported", strings.TrimPrefix(e.Error(), "pkcs11card: "), remedyNoCgo, StatusFailed}
}

func cardUnreadable(err error) Trouble {
	t := Trouble{"card-unreadable", "the card cannot be read: " + err.Error(), remedySoftCard, StatusFailed}
	if errors.Is(err, fs.ErrNotExist) {
		t.Code = "no-card"
	}
	return t
}

func cardFailed(err error) Trouble {
	return Trouble{"card-failed", "the card did not sign: " + err.Error(), "Take it out, put it back and log in again.", StatusFailed}
}

func BadCardName(name string) error {
	return Usage("card-name", fmt.Sprintf("%q names no card", name), remedyCardName)
}

func badCardURI(e *pkcs11card.URIError) Trouble {
	return Trouble{"card-name", e.Error(), remedyCardURI, StatusUsage}
}

func BadPINAttribute() error {
	return Usage("card-name", "what follows the soft card's path is neither pin-value=PIN nor pin-source=file:PATH",
		"In a PIN % and other special characters stand as %XX.")
}

func PinSourceUnreadable(err error) error {
	return Refuse("pin-needed", "the PIN's file cannot be read: "+err.Error(), "pin-source=file:PATH names a file that holds the PIN.")
}

func PinNeeded(card string) error {
	return Refuse("pin-needed", fmt.Sprintf("%s wants its PIN, and there is no terminal to ask for it", card),
		"Add ?pin-source=file:PATH to the card's name, with a file that only you can read.")
}

func pinRefused(e *cardauth.PINError) Trouble {
	t := Trouble{"pin-wrong", "the PIN was wrong for " + e.Card, "Log in again with the right one. Cards lock themselves after a few wrong PINs.", StatusRefused}
	switch {
	case e.Locked:
		t.Code, t.What, t.Advice = "pin-locked", "the PIN of "+e.Card+" is locked", RemedyPINLocked
	case e.Final:
		t.What, t.Advice = "one more wrong PIN locks "+e.Card, RemedyPINFinal
	}
	return t
}

func Interrupted() Trouble {
	return Trouble{"interrupted", "interrupted before it was done", "", StatusFailed}
}

// Commands.

var TooLargeAdvice = fmt.Sprintf("A message has at most %d bytes: send it in parts. Nothing was sent.", wire.MaxText)

func labelRefused(e *peer.LabelError) Trouble {
	t := ofCode(e.Number)
	switch {
	case !e.Own.Dominates(e.Label):
		t.What = fmt.Sprintf("label %v is not below your level, which is %v", e.Label, e.Own)
		t.Advice = "A label has your rank or less, and compartments of yours only."
	case e.Number == wire.CodeFlowDenied:
		t.What = fmt.Sprintf("the flow policy lets nothing through to them under label %v", e.Label)
		t.Advice = "send uses your own level, " + e.Own.String() + "."
	}
	return t
}

func tooLarge(e *peer.TooLargeError) Trouble {
	return Trouble{"message-too-large", e.Error(), TooLargeAdvice, StatusFailed}
}

func suiteRefused(theirs []wire.Suite) Trouble {
	t := ofCode(wire.CodeSuiteUnsupported)
	if len(theirs) > 0 {
		t.Advice = "They offer " + strings.Join(SuiteNames(theirs), ", ") + "."
	}
	return t
}

// cause is the innermost reason of a file's error, without the path that stands beside it.
func cause(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}

// SuiteNames are the names of suites, best first; of all that there are where none is given.
func SuiteNames(suites []wire.Suite) []string {
	if len(suites) == 0 {
		return wire.SuiteNames()
	}
	names := make([]string, len(suites))
	for i, s := range suites {
		names[i] = s.String()
	}
	return names
}
