// Package trouble says of every error what happened, why, and what to do: Explain. Refuse and Usage make those that the program finds itself.
package trouble

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"

	"sinete/cardauth"
	"sinete/cardauth/fork"
	"sinete/cardauth/pkcs11card"
	"sinete/cardauth/seal"
	"sinete/cardauth/softcard"
	"sinete/peer"
	"sinete/peer/evidence"
	"sinete/peer/presence"
	"sinete/peer/store"
	"sinete/transport"
	"sinete/wire"
)

// Trouble is an error as people and machines are told it.
type Trouble struct {
	Code   string // stable word
	What   string // happened, and why
	Advice string // what to do next
	Status int    // exit status where it ends the program
}

// Text is what happened and what to do.
func (t Trouble) Text() string {
	if t.Advice == "" {
		return t.What + "."
	}
	return t.What + ". " + t.Advice
}

// Problem is an error that this program finds itself.
type Problem struct{ Trouble }

func (p *Problem) Error() string { return p.What }

// AsError finds an error of a type, as errors.As does.
func AsError[E error](err error) (E, bool) { return errors.AsType[E](err) }

// row recognises one kind of error.
type row func(error) (Trouble, bool)

func on[E error](say func(E) Trouble) row {
	return func(err error) (Trouble, bool) {
		e, ok := AsError[E](err)
		if !ok {
			return Trouble{}, false
		}
		return say(e), true
	}
}

func is(target error, say func() Trouble) row {
	return func(err error) (Trouble, bool) {
		if !errors.Is(err, target) {
			return Trouble{}, false
		}
		return say(), true
	}
}

// rows are tried in this order: errors that wrap others stand before those.
var rows = []row{
	on(func(e *Problem) Trouble { return e.Trouble }),
	on(func(e *fork.Error) Trouble { return evidenceFalse(e) }), // of certificates, too

	// Who we are and who the relay is.
	on(ownCertificate),
	on(func(e *transport.ServerCertificateError) Trouble { return relayUntrusted(e.Err) }),
	on(relayStatus), // certificates of others than the relay never come this way
	on(func(e *cardauth.TrustError) Trouble { return trustUnusable(e) }),

	// The store.
	is(store.ErrPassphraseNeeded, func() Trouble { return passphraseNeeded }),
	is(store.ErrPassphraseWrong, passphraseWrong),
	on(storeInUse),
	on(storeOwner),
	on(storeVersion),
	on(storeUnreadable),
	on(storeKeyring),
	on(storeFull),
	on(storeFailed),

	// Evidence.
	on(evidenceUnproved),
	on(evidenceUntrusted),
	on(evidenceStamp),
	on(func(e *evidence.LineError) Trouble { return evidenceFalse(e) }),
	on(func(e *evidence.FileError) Trouble { return evidenceFalse(e) }), // one of too much, too, which nobody here has made
	is(evidence.ErrTooMuch, evidenceTooLarge),

	// The card.
	on(pinRefused),
	on(func(e *pkcs11card.NotFoundError) Trouble { return noCard(e) }),
	on(cardAmbiguous),
	on(cardAbsent),
	on(cardCancelled),
	on(cardExportable),
	is(presence.ErrRemoved, CardTakenOut),
	is(presence.ErrIdle, IdleLogout),
	is(presence.ErrAway, away),
	on(func(e *pkcs11card.URIError) Trouble { return badCardURI(e) }),
	on(func(e *pkcs11card.UnsupportedError) Trouble { return cardUnsupported(e) }),
	on(func(e *pkcs11card.ModuleError) Trouble { return cardModule(e) }),
	on(func(e *softcard.FormatError) Trouble { return cardUnreadable(e) }),
	on(func(e *fs.PathError) Trouble { return cardUnreadable(e) }),

	// The way to the relay.
	on(func(e *peer.AddressError) Trouble {
		if _, ok := AsError[*net.DNSError](e); ok {
			return noSuchHost(e)
		}
		return badAddress(e)
	}),
	on(func(e *transport.UnreachableError) Trouble { return relayUnreachable(e) }),
	on(func(*transport.RefusedError) Trouble { return relayBusy() }),
	on(func(e *transport.ProtocolError) Trouble { return noRelay(e) }),
	on(func(e *transport.CloseError) Trouble {
		if e.Remote && e.Number == wire.CodeBye {
			return ofCode(wire.CodeGoingAway)
		}
		return ofCode(e.Number)
	}),

	// What somebody asked for.
	on(tooLarge),
	on(labelRefused),
	on(func(e *peer.RefusedError) Trouble {
		if e.Number == wire.CodeSuiteUnsupported {
			return suiteRefused(e.Suites)
		}
		return ofCode(e.Number)
	}),

	is(context.Canceled, Interrupted),
	is(context.DeadlineExceeded, func() Trouble { return ofCode(wire.CodeTimeout) }),
	on(func(e *seal.SignError) Trouble { return cardFailed(e) }),
	on(func(e *net.OpError) Trouble { return relayUnreachable(e) }),
}

// Explain says what an error means.
func Explain(err error) Trouble {
	for _, recognise := range rows {
		if t, ok := recognise(err); ok {
			return t
		}
	}
	t := ofCode(wire.CodeOf(err))
	if _, ok := AsError[*peer.DivergedError](err); ok { // of the hop: those of conversations end no session
		t.What = "the relay and you do not agree on what was said: " + Found(err)
	}
	if t.Code == wire.CodeInternal.String() {
		t.What += ": " + err.Error()
	}
	return t
}

// Found is what was found wrong, in words that go on a line with what happened; empty for nil.
func Found(err error) string {
	if err == nil {
		return ""
	}
	d, ok := AsError[*peer.DivergedError](err)
	switch {
	case ok && d.Mine:
		return fmt.Sprintf("they sealed that they sent %v, and here it is %v", d.Theirs, d.Ours)
	case ok:
		return fmt.Sprintf("they sealed that they received %v, and here it is %v", d.Theirs, d.Ours)
	}
	return strings.TrimPrefix(err.Error(), wire.CodeOf(err).String()+": ")
}

// Exit statuses of the program.
const (
	StatusDone    = 0
	StatusFailed  = 1
	StatusUsage   = 2
	StatusRefused = 3
)
