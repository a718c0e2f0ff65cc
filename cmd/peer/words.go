package main

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card"
	"sinete/peer"
	"sinete/wire"
)

// What a person reads stands here, in troubles.go (what went wrong) and in doctorwords.go (peer doctor), apart from the help of single
// flags. meanings.go says when the words of --explain, which stand here too, are shown.

const aboutPeer = `Secure messages, sealed by the identity card that you carry.

To begin: peer cards shows your card, peer chat HOST:PORT logs in, and peer doctor HOST:PORT says what to do where that fails.
For a trial without a card, where testpki ocsp answers on this machine:
peer chat HOST:PORT --card soft:FILE --trust DIR --revocation-network 127.0.0.1/32

Exit status: 0 done, 1 failed, 2 wrong usage, 3 refused (authentication or policy).`

var aboutChat = "Commands, one a line: " + strings.Join(menu, ", ") + `.
ID is a number that list shows, a name or an identity. TEXT is all that follows the second ##.
The end of input, Ctrl-C and SIGTERM mean disconnect; a second Ctrl-C ends at once.

When the connection is lost, the program comes back by itself, makes the conversations again that broke, and sends what was typed meanwhile.
Where the card needs its PIN for that, the next line that you type is the PIN, and is not shown.

A card is soft:PATH, soft:PATH?pin-value=PIN, soft:PATH?pin-source=file:PATH, or a PKCS#11 URI as peer cards shows it, to which
?pin-source=file:PATH may be added. Without a PIN there you are asked for it, on a terminal only.

Exit status: 0 done, 1 failed, 2 wrong usage, 3 refused (authentication or policy).`

const aboutCards = `Exit status: 0 where there is a card that peer chat can use, 1 where there is none.`

const revocationOff = `WARNING: --revocation off: cards that were revoked, lost or stolen are accepted. For trials only.`

var help = [][]string{
	{"list", "who is logged in, with their numbers"},
	{"connect#ID", "begin a conversation; ID is a number from the list, a name or an identity"},
	{"connect#ID##SUITE", "the same, with one suite"},
	{"send##ID##TEXT", "send a message"},
	{"disconnect#ID", "end a conversation"},
	{"disconnect", "end all and leave"},
	{"connected", "the open conversations"},
	{"ciphers", "the suites that you offer, best first"},
	{"level", "who you are here, and your level"},
	{"whois#ID", "one entry of the list"},
	{"menu", "the commands in one line"},
	{"help", "the commands, and what they do"},
}

// menu is what the line after each command names: the forms that help explains.
var menu = firstCells(help)

func sessionLine(e sessionEvent) string {
	switch {
	case e.State == "closed" && e.Again:
		return "away: " + endWords(e.Reason) + awayWords(e.Reason)
	case e.State == "closed":
		return "logged out: " + endWords(e.Reason)
	}
	by := "your card seals each time"
	if e.Signing == string(peer.SignDelegated) {
		by = "a key that your card delegated to seals"
	}
	back := ""
	if e.back {
		back = "back: "
	}
	return back + fmt.Sprintf("logged in at %s as %s, level %v; %s; %s", e.Relay, e.Name, wire.Level{Rank: e.Level, Compartments: e.Compartments}, by, e.Suite)
}

func peersLines(e peersEvent) []string {
	if len(e.Peers) == 0 {
		return []string{"nobody else is logged in"}
	}
	var rows [][]string
	for _, p := range e.Peers {
		state := ""
		if p.Conversation == "open" {
			state = "connected"
		}
		may := "you may write"
		if !p.Send {
			may = "you may not write"
		}
		rows = append(rows, []string{fmt.Sprintf("%3d", p.ID), p.Name, fmt.Sprintf("level %v", wire.Level{Rank: p.Level, Compartments: p.Compartments}), may, state})
	}
	return columns(rows)
}

func conversationLines(e conversationEvent) []string {
	if e.rekeyed {
		return nil // programs want to know; a person is told where it does not happen
	}
	if e.State == "closed" {
		line := fmt.Sprintf("the conversation with %s (%d) has ended: %s", e.Name, e.ID, endWords(e.Reason))
		if queuesAfter(e.Reason) {
			line += "; what you send to them is queued"
		}
		if n := e.Verified; n != nil && (e.Reason == "certificate-revoked" || e.Reason == "revocation-unknown") {
			line += fmt.Sprintf("; the last message of theirs that was verified is number %d", *n)
		}
		if e.Queued > 0 {
			line += fmt.Sprintf("; %s not confirmed, and will be sent again when you are connected", messages(e.Queued))
		}
		return []string{line}
	}
	machine := map[peer.Known]string{
		peer.MachineNew:     "on a machine not seen before",
		peer.MachineKnown:   "on the machine you know",
		peer.MachineChanged: "on another machine than last time",
	}[e.Machine]
	seals := ""
	if e.Signing == peer.SignDelegated {
		seals = "; seals with a delegated key"
	}
	lines := []string{fmt.Sprintf("connected to %s (%d), %s%s; %s", e.Name, e.ID, machine, seals, e.Suite)}
	if !e.mayWrite {
		lines = append(lines, fmt.Sprintf("the flow policy closes your direction: you may read what %s writes, and not answer", e.Name))
	}
	return lines
}

func connectedLines(e connectedEvent) []string {
	if len(e.Conversations) == 0 {
		return []string{"no conversation is open"}
	}
	var rows [][]string
	for _, c := range e.Conversations {
		rows = append(rows, []string{fmt.Sprintf("%3d", c.ID), c.Name, c.Suite})
	}
	return columns(rows)
}

func ciphersLines(e ciphersEvent) []string {
	return append([]string{"best first:"}, e.Suites...)
}

func menuLines(e menuEvent) []string {
	if e.explained {
		return columns(help)
	}
	return []string{"commands: " + strings.Join(e.Commands, "  ")}
}

func messageLine(e messageEvent) string {
	return fmt.Sprintf("%s %s (%d): %s", e.sent.Local().Format("15:04"), e.person, e.ID, e.Text)
}

func receiptLine(e receiptEvent) string {
	upTo := fmt.Sprintf("your messages to %s up to number %d", e.person, e.Seq+1)
	if e.Seq == 0 {
		upTo = fmt.Sprintf("your message number 1 to %s", e.person)
	}
	if e.Stage == peer.StagePeer {
		return upTo + ": received and verified, says their seal"
	}
	return upTo + ": taken and on its way, says the relay's seal"
}

// What --explain says.

const (
	meansSession = "  This means: relay and you have shown each other who you are. Your card signed a challenge made for this connection alone."
	meansClosed  = "  This means: both programs have erased the conversation's keys."

	meansRelayReceipt = "  This means: the relay has checked your seal, the policy lets you write to them, and it is passing the message on. It\n" +
		"  signed that. It cannot read what you wrote."
	meansUnknownCommand = "  This means: what you typed is no command, so nothing was sent. A message is typed as send##ID##TEXT."
)

func meansConversation(e conversationEvent) string {
	s := fmt.Sprintf("  This means: your cards have proved to each other who you are, and nobody but you two has the keys; the relay has not.\n"+
		"  %d is their number here.", e.ID)
	if e.mayWrite {
		s += fmt.Sprintf(" Write to them with: send##%d##Hello", e.ID)
	}
	return s
}

func meansPeerReceipt(name string) string {
	return fmt.Sprintf("  This means: %s has verified your seal and has the message. They signed that, over all that you\n"+
		"  have written to them so far. The relay could not have made it up.", name)
}

func meansMessage(name string) string {
	return fmt.Sprintf("  This means: %s sealed exactly these words. Showing them to you has sent %s your own receipt.", name, name)
}

func refusedLine(e refusedEvent) string { return "refused: " + e.Text }
func warningLine(e warningEvent) string { return "warning: " + e.Text }
func loggingIn(relay string) string     { return "logging in at " + relay + " ..." }
func queuedFor(p peer.Person) string {
	return "queued: it goes out when you are connected to " + p.Name + " again"
}
func messages(n int) string           { return plural(n, "1 message is", "%d messages are") }
func cardLine(cells ...string) string { return strings.Join(cells, "  ") }
func whichNumber(of int) string       { return fmt.Sprintf("number, 1 to %d: ", of) }
func failureLines(e failureEvent) []string {
	lines := []string{"peer: " + e.what}
	for l := range strings.SplitSeq(e.advice, "\n") {
		if l != "" {
			lines = append(lines, "  "+l)
		}
	}
	return lines
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return fmt.Sprintf(many, n)
}

// endWords say why a session or conversation ended.
func endWords(code string) string {
	for _, own := range []trouble{cardTakenOut(), idleLogout()} {
		if own.code == code {
			return own.what
		}
	}
	if w, ok := codes[code]; ok {
		return w.what
	}
	return code
}

// awayWords say what happens about it.
func awayWords(code string) string {
	switch code {
	case cardTakenOut().code:
		return "; put it back to log in again"
	case idleLogout().code:
		return "; type anything to log in again"
	}
	return "; trying again, and what you send to people you were connected to is queued"
}

func givenUp(p peer.Person, number wire.Code) string {
	return fmt.Sprintf("the conversation with %s could not be made again: %s. What you send to them is queued until you are connected again", p.Name, endWords(number.String()))
}

func warningText(w *peer.Warning, name string) string {
	if w.Code == "unconfirmed" {
		return fmt.Sprintf("%s has not confirmed messages for a minute; they stay queued", name)
	}
	return w.Text
}

func machineChanged(name, before, now string) string {
	describe := func(s string) string {
		if s == "" {
			return "a machine that was not described"
		}
		return s
	}
	return fmt.Sprintf("%s writes from another machine than before. Before: %s. Now: %s. Ask them, by another way than this one, whether that is right",
		name, describe(before), describe(now))
}

const (
	whichCard     = "Several cards are there. Which one?"
	noReader      = "no reader and no token was found"
	noneUsable    = "none of these certificates can be used"
	severalUsable = "several can be used: name one with peer chat --card URI, or choose when you are asked"
)

// outOfValidity says why a certificate is of no use at a time, which is between its dates if that is nothing.
func outOfValidity(c *x509.Certificate, now time.Time) string {
	switch {
	case now.Before(c.NotBefore):
		return "it is valid from " + day(c.NotBefore) + " on, and not yet"
	case now.After(c.NotAfter):
		return "it was valid until " + day(c.NotAfter)
	}
	return ""
}

func pinPrompt(r cardauth.PINRequest) string {
	if r.CAN {
		return fmt.Sprintf("The six digits printed on %s (the CAN, not the PIN): ", safe(r.Card))
	}
	s := ""
	if r.Wrong {
		s = "Wrong PIN. "
	}
	switch {
	case r.Final:
		s += "LAST TRY: a wrong PIN locks the card. "
	case r.Tries == 1:
		s += "1 try is left. "
	case r.Tries > 1:
		s += fmt.Sprintf("%d tries are left. ", r.Tries)
	}
	return s + fmt.Sprintf("PIN of %s: ", safe(r.Card))
}

// pinHabit says when a card asks for its PIN.
var pinHabit = map[string]string{
	"once":      ", asks for its PIN once",
	"each-time": ", asks for its PIN at each signature: it signs once, for a key of the session (--sign delegated)",
	"pad":       ", whose PIN is entered at the reader",
}

var whyChosen = map[string]string{
	string(pkcs11card.WhyValid):      ": it is the one within its validity",
	string(pkcs11card.WhyTrusted):    ": it is the one of an authority that you trust",
	string(pkcs11card.WhyRemembered): ": you chose it last time",
	string(pkcs11card.WhyPurpose):    ": on this kind of card it is the one for authentication",
}

// otherCard is what is said of a card that nobody logged in with.
func otherCard(card string) warningEvent {
	return warningEvent{Code: "card-other", Text: fmt.Sprintf("another card is in the place of %q, and is asked for nothing. Put yours back.", card)}
}

// cardNotice is what a person is told while the card takes its time.
func cardNotice(card string, n pkcs11card.Notice) string {
	switch n {
	case pkcs11card.NoticePad:
		return "Enter the PIN of " + safe(card) + " at the reader."
	case pkcs11card.NoticeDialog:
		return "The software of " + safe(card) + " may ask for its PIN in a window of its own."
	}
	return "Waiting for " + safe(card) + "."
}

func readerLines(e readerEvent) []string {
	head := e.Reader
	if e.Present && e.Token != e.Reader {
		head += ": " + e.Token
	}
	if !e.Present {
		head += ": empty"
	}
	lines := []string{head}
	if e.Profile != "" {
		lines = append(lines, "  "+e.Profile+pinHabit[e.PIN]+", through "+e.Module)
	}
	for _, c := range e.Certificates {
		if c.authority {
			continue // nobody's card
		}
		until := c.NotAfter
		if t, err := time.Parse(time.RFC3339, c.NotAfter); err == nil {
			until = t.Local().Format(time.DateOnly)
		}
		who := cmp.Or(c.Holder, c.Name)
		if c.Number != "" {
			who += " (" + c.Number + ")"
		}
		lines = append(lines, fmt.Sprintf("  %s, %s, %s, valid until %s", who, c.Label, c.Key, until), "    "+c.URI)
		switch {
		case c.Chosen:
			lines = append(lines, "    this one is used"+whyChosen[c.Why])
		case c.Usable:
			lines = append(lines, "    this one can be used")
		default:
			lines = append(lines, "    not for use here: "+c.Reason)
		}
	}
	return lines
}

// cause is the innermost reason of a file's error, without the path that stands beside it.
func cause(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}
