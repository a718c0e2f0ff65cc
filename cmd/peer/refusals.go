package main

import (
	"fmt"
	"strings"

	"sinete/cmd/peer/internal/terminal"
	"sinete/cmd/peer/internal/trouble"
	"sinete/peer"
	"sinete/wire"
)

// What is wrong with a command.

func unknownCommand(word string) error {
	return trouble.Refuse("unknown-command", fmt.Sprintf("there is no command %q", word), "menu names them, help explains them.")
}

// forms is how commands with arguments are written.
var forms = map[string]string{
	"send": "send##ID##TEXT", "sendas": "sendas##ID##LEVEL##TEXT", "connect": "connect#ID or connect#ID##SUITE", "disconnect": "disconnect#ID, or disconnect alone to leave", "whois": "whois#ID", "history": "history#ID", "evidence": "evidence#ID##FILE", "transcript": "transcript#ID",
}

func badForm(word string) error {
	form, ok := forms[word]
	if !ok {
		form = word + ", with nothing after it"
	}
	return trouble.Refuse("bad-command", "that is not how "+word+" is written", "It is "+form+".")
}

func badLabel(typed string) error {
	return trouble.Refuse("bad-command", fmt.Sprintf("%q is no level", typed), "It is a rank, with compartments behind it if there are any: 1, or 1{crypto,ops}.")
}

func notBuiltCommand(word string) error {
	return trouble.Refuse("not-built", word+" is not built yet", "")
}

func machineFile(err error) error {
	return trouble.Refuse("machine-file", "the file that names this machine cannot be used: "+err.Error(), "Name one with --machine FILE; it is made where there is none.")
}

func lineTooLong() error {
	return trouble.Refuse("message-too-large", fmt.Sprintf("a command of more than %d bytes", terminal.MaxLine), trouble.TooLargeAdvice)
}

func unknownPerson(who string) error {
	return trouble.Refuse(wire.CodeUnknownPeer.String(), fmt.Sprintf("nobody called %q is logged in", who), "list shows who is, with their whole names.")
}

func ambiguousName(who string, found []peer.Person) error {
	var which []string
	for _, p := range found {
		which = append(which, fmt.Sprintf("%d (%s)", p.ID, p.Identity))
	}
	if _, isNumber := personNumber(who); isNumber { // one of before the relay was restarted, one of now
		return trouble.Refuse("ambiguous-name", fmt.Sprintf("%d people have had the number %s", len(found), who), "Give the identity: "+strings.Join(which, ", ")+".")
	}
	return trouble.Refuse("ambiguous-name", fmt.Sprintf("%d people are called %q", len(found), who), "Give the number: "+strings.Join(which, ", ")+".")
}

func notConnected(who string) error {
	return trouble.Refuse(wire.CodeNotConnected.String(), fmt.Sprintf("you are not connected to %s", who), "connect#"+who+" connects you.")
}

func suiteNotOffered(s wire.Suite, offered []wire.Suite) error {
	return trouble.Refuse(wire.CodeSuiteUnsupported.String(), fmt.Sprintf("you do not offer %v", s), "With the options you gave, you offer "+strings.Join(trouble.SuiteNames(offered), ", ")+".")
}

func nothingKept() error {
	return trouble.Refuse("store-missing", "nothing is kept: peer chat was started without --store", "With --store DIR your messages are kept.")
}
