package screen

import (
	"fmt"
	"strings"

	"sinete/peer/store"
)

// What a person reads of the store and of what is in it.

// stateLine is of messages that failed: of the others people learn by the receipts, and by what waits at the end.
func stateLine(e State) string {
	which := fmt.Sprintf("your message number %d to %s was", e.First+1, e.Name)
	if e.Last > e.First {
		which = fmt.Sprintf("your messages number %d to %d to %s were", e.First+1, e.Last+1, e.Name)
	}
	return which + " not sent, and will not be: " + endWords(e.Reason)
}

func storeLines(e Store) []string {
	verb := "opened"
	if e.New {
		verb = "made"
	}
	lines := []string{fmt.Sprintf("your store is %s: %s", verb, e.Folder)}
	for _, w := range e.Waiting {
		lines = append(lines, Plural(w.Messages, "1 message waits", "%d messages wait")+" for "+w.Name)
	}
	return lines
}

func historyLine(e HistoryEntry) string {
	way := "from"
	if e.Direction == "out" {
		way = "to"
	}
	return fmt.Sprintf("%s  %s %s, number %d%s (%s): %s", e.sent.Local().Format("2006-01-02 15:04"), way, e.Name, e.Seq+1,
		labelWords(e.Labelled, e.Label, e.Compartments), strings.Join([]string{stateWords(e), verificationWords[e.Verification]}, ", "), e.Text)
}

func historyMachineLine(e HistoryMachine) string {
	when := "                " // as wide as a time
	if !e.since.IsZero() {
		when = e.since.Local().Format("2006-01-02 15:04")
	}
	return fmt.Sprintf("%s  %s speaks from another machine since then: %s, before %s", when, e.Name, described(e.Now), described(e.Before))
}

func stateWords(e HistoryEntry) string {
	switch e.State {
	case store.Queued:
		return "waits to be sent"
	case store.Sent:
		return "sent, not confirmed yet"
	case store.Relayed:
		return "on its way"
	case store.Delivered:
		return "delivered"
	case store.Failed:
		return "failed: " + endWords(e.Reason)
	}
	return "received"
}

var verificationWords = map[store.Verification]string{
	store.Verified:  "their seal was verified",
	store.Confirmed: "under your seal, and they sealed that it came",
	store.Sealed:    "under your seal",
	store.Unsealed:  "under no seal",
}

func historyEnd(e History) string {
	return Plural(e.Entries, "1 message", "%d messages")
}

func checkedLine(e Checked) string {
	messages := Plural(e.Messages, "1 message", "%d messages")
	if e.Unproved == nil {
		return messages + "; what proves them was not checked"
	}
	return fmt.Sprintf("%s; proved: %d sent, %d received, %d receipts", messages, *e.Sent, *e.Received, *e.Receipts)
}
