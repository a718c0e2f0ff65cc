package screen

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"sinete/cardauth/pkcs11card"
	"sinete/cmd/peer/internal/trouble"
	"sinete/peer"
	"sinete/wire"
)

// What a person reads stands here, in package trouble (what went wrong) and in the words.go of cards and doctor, apart from the help of single
// flags. meanings.go says when the words of --explain, which stand here too, are shown.

var help = [][]string{
	{"list", "who is logged in, with their numbers"},
	{"connect#ID", "begin a conversation; ID is a number from the list, a whole name or an identity"},
	{"connect#ID##SUITE", "the same, with one suite"},
	{"send##ID##TEXT", "send a message"},
	{"sendas##ID##LEVEL##TEXT", "send a message under a label below your level, such as 1 or 1{crypto,ops}"},
	{"disconnect#ID", "end a conversation"},
	{"disconnect", "end all and leave"},
	{"connected", "the open conversations"},
	{"ciphers", "the suites that you offer, best first"},
	{"level", "who you are here, and your level"},
	{"whois#ID", "what is known of somebody: certificate, level, keys, machine"},
	{"history#ID", "the messages with somebody that your store keeps"},
	{"evidence#ID##FILE", "write a file that proves them to anybody, with nothing but OpenSSL"},
	{"transcript#ID", "a code to compare with somebody by voice: where it is the same, nobody stands between you"},
	{"menu", "the commands in one line"},
	{"help", "the commands, and what they do"},
}

// Forms is what the line after each command names: the forms that help explains.
var Forms = firstCells(help)

func SessionLine(e Session) string {
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
	if e.Back {
		back = "back: "
	}
	return back + fmt.Sprintf("logged in at %s as %s, level %v; %s; %s", e.Relay, e.Name, wire.Level{Rank: e.Level, Compartments: e.Compartments}, by, e.Suite)
}

func peersLines(e Peers) []string {
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

func ConversationLines(e Conversation) []string {
	if e.Rekeyed {
		return nil // programs want to know; a person is told where it does not happen
	}
	if e.State == "closed" {
		what := "the conversation with %s (%d) has ended: %s"
		if e.Reason == wire.CodeCut.String() || e.Reason == wire.CodeGoingAway.String() {
			what = "%s (%d) is away: %s" // and comes back, or this side does
		}
		line := fmt.Sprintf(what, e.Name, e.ID, endWords(e.Reason))
		if e.Found != "" {
			line += " (" + e.Found + ")"
		}
		if QueuesAfter(e.Reason) {
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
	if !e.MayWrite {
		lines = append(lines, fmt.Sprintf("the flow policy closes your direction: you may read what %s writes, and not answer", e.Name))
	}
	return lines
}

func transcriptLines(e Transcript) []string {
	lines := []string{fmt.Sprintf("read to %s by voice: %s", e.Name, e.Code),
		fmt.Sprintf("it stands for %s of yours and %d of theirs, what is said of machines included; theirs must show %d and %d",
			Plural(int(e.Sent), "1 envelope", "%d envelopes"), e.Received, e.Received, e.Sent)}
	if e.Waiting > 0 {
		lines = append(lines, Plural(int(e.Waiting), "1 more of yours is", "%d more of yours are")+" under way: the code changes when they have it")
	}
	return lines
}

func connectedLines(e Connected) []string {
	if len(e.Conversations) == 0 {
		return []string{"no conversation is open"}
	}
	var rows [][]string
	for _, c := range e.Conversations {
		rows = append(rows, []string{fmt.Sprintf("%3d", c.ID), c.Name, c.Suite})
	}
	return columns(rows)
}

func ciphersLines(e Ciphers) []string {
	return append([]string{"best first:"}, e.Suites...)
}

func menuLines(e Menu) []string {
	if e.Explained {
		return columns(help)
	}
	return []string{"commands: " + strings.Join(e.Commands, "  ")}
}

func messageLine(e Message) string {
	label := labelWords(e.Labelled, e.Label, e.Compartments)
	if e.Earlier {
		return fmt.Sprintf("%s %s, while you were away%s: %s", e.sent.Local().Format("2006-01-02 15:04"), e.person, label, e.Text)
	}
	return fmt.Sprintf("%s %s (%d)%s: %s", e.sent.Local().Format("15:04"), e.person, e.ID, label, e.Text)
}

// labelWords name a label that its author chose.
func labelWords(chosen bool, rank uint16, compartments []string) string {
	if !chosen {
		return ""
	}
	return fmt.Sprintf(", under label %v", wire.Level{Rank: rank, Compartments: compartments})
}

func receiptLine(e Receipt) string {
	upTo := fmt.Sprintf("your messages to %s up to number %d", e.Person, e.Seq+1)
	if e.Seq == 0 {
		upTo = fmt.Sprintf("your message number 1 to %s", e.Person)
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

func meansConversation(e Conversation) string {
	s := fmt.Sprintf("  This means: your cards have proved to each other who you are, and nobody but you two has the keys; the relay has not.\n"+
		"  %d is their number here.", e.ID)
	if e.MayWrite {
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

func refusedLine(e Refused) string { return "refused: " + e.Text }
func warningLine(e Warning) string { return "warning: " + e.Text }
func messages(n int) string        { return Plural(n, "1 message is", "%d messages are") }
func failureLines(e Failure) []string {
	lines := []string{"peer: " + e.what}
	for l := range strings.SplitSeq(e.advice, "\n") {
		if l != "" {
			lines = append(lines, "  "+l)
		}
	}
	return lines
}

func Plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return fmt.Sprintf(many, n)
}

// endWords say why a session or conversation ended.
func endWords(code string) string {
	for _, own := range []trouble.Trouble{trouble.CardTakenOut(), trouble.IdleLogout()} {
		if own.Code == code {
			return own.What
		}
	}
	if w, ok := trouble.Codes[code]; ok {
		return w.What
	}
	return code
}

// awayWords say what happens about it.
func awayWords(code string) string {
	switch code {
	case trouble.CardTakenOut().Code:
		return "; put it back to log in again"
	case trouble.IdleLogout().Code:
		return "; type anything to log in again"
	}
	return "; trying again, and what you send to people you were connected to is queued"
}

func GivenUp(p peer.Person, number wire.Code) string {
	return fmt.Sprintf("the conversation with %s could not be made again: %s. What you send to them is queued until you are connected again", p.Name, endWords(number.String()))
}

func WarningText(w *peer.Warning, name string) string {
	if w.Code == "unconfirmed" {
		return fmt.Sprintf("%s has not confirmed messages for a minute; they stay queued", name)
	}
	return w.Text
}

func MachineChanged(name, before, now string) string {
	return fmt.Sprintf("%s writes from another machine than before. Before: %s. Now: %s. Ask them, by another way than this one, whether that is right",
		name, described(before), described(now))
}

func MachineChangeNoticed(name, before string) string {
	return fmt.Sprintf("%s has been told that you write from another machine than before. Before: %s. If you have not changed machines, somebody else writes in your name: have your card revoked",
		name, described(before))
}

func described(machine string) string {
	if machine == "" {
		return "a machine that was not described"
	}
	return machine
}

// pinHabit says when a card asks for its PIN.
var pinHabit = map[string]string{
	"once":      ", asks for its PIN once",
	"each-time": ", asks for its PIN at each signature: it signs once, for a key of the session (--sign delegated)",
	"pad":       ", whose PIN is entered at the reader",
}

var WhyChosen = map[string]string{
	string(pkcs11card.WhyValid):      ": it is the one within its validity",
	string(pkcs11card.WhyTrusted):    ": it is the one of an authority that you trust",
	string(pkcs11card.WhyRemembered): ": you chose it last time",
	string(pkcs11card.WhyPurpose):    ": on this kind of card it is the one for authentication",
}

func readerLines(e Reader) []string {
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
		if c.Authority {
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
			lines = append(lines, "    this one is used"+WhyChosen[c.Why])
		case c.Usable:
			lines = append(lines, "    this one can be used")
		default:
			lines = append(lines, "    not for use here: "+c.Reason)
		}
	}
	return lines
}

func Day(t time.Time) string { return t.Local().Format(time.DateOnly) }

// QueuesAfter reports whether what is sent to somebody is queued once the conversation with them has ended with that code: only where
// neither side meant to end it.
func QueuesAfter(code string) bool {
	return code != wire.CodeBye.String() && code != wire.CodePeerLeft.String()
}

func checkLines(e Check) []string {
	mark := "ok"
	switch {
	case !e.OK:
		mark = "--"
	case e.Remedy != "":
		mark = "!!"
	}
	lines := []string{fmt.Sprintf("%s  %-17s  %s", mark, e.Name, e.Text)}
	for l := range strings.SplitSeq(e.Remedy, "\n") {
		if l != "" {
			lines = append(lines, "                       "+l)
		}
	}
	return lines
}
