package cards

import (
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card"
	"sinete/cmd/peer/internal/screen"
)

func cardLine(cells ...string) string { return strings.Join(cells, "  ") }

func whichNumber(of int) string { return fmt.Sprintf("number, 1 to %d: ", of) }

// outOfValidity says why a certificate is of no use at a time, which is between its dates if that is nothing.
func outOfValidity(c *x509.Certificate, now time.Time) string {
	switch {
	case now.Before(c.NotBefore):
		return "it is valid from " + screen.Day(c.NotBefore) + " on, and not yet"
	case now.After(c.NotAfter):
		return "it was valid until " + screen.Day(c.NotAfter)
	}
	return ""
}

func pinPrompt(r cardauth.PINRequest) string {
	if r.CAN {
		return fmt.Sprintf("The six digits printed on %s (the CAN, not the PIN): ", screen.Safe(r.Card))
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
	return s + fmt.Sprintf("PIN of %s: ", screen.Safe(r.Card))
}

// otherCard is what is said of a card that nobody logged in with.
func otherCard(card string) screen.Warning {
	return screen.Warning{Code: "card-other", Text: fmt.Sprintf("another card is in the place of %q, and is asked for nothing. Put yours back.", card)}
}

// cardNotice is what a person is told while the card takes its time.
func cardNotice(card string, n pkcs11card.Notice) string {
	switch n {
	case pkcs11card.NoticePad:
		return "Enter the PIN of " + screen.Safe(card) + " at the reader."
	case pkcs11card.NoticeDialog:
		return "The software of " + screen.Safe(card) + " may ask for its PIN in a window of its own."
	}
	return "Waiting for " + screen.Safe(card) + "."
}

const (
	whichCard     = "Several cards are there. Which one?"
	NoReader      = "no reader and no token was found"
	noneUsable    = "none of these certificates can be used"
	severalUsable = "several can be used: name one with peer chat --card URI, or choose when you are asked"
)

const aboutCards = `Exit status: 0 where there is a card that peer chat can use, 1 where there is none.`
