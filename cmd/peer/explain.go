package main

import (
	"context"
	"errors"
	"io/fs"
	"net"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card"
	"sinete/cardauth/seal"
	"sinete/cardauth/softcard"
	"sinete/peer"
	"sinete/peer/presence"
	"sinete/transport"
	"sinete/wire"
)

// trouble is an error as people and machines are told it.
type trouble struct {
	code   string // stable word
	what   string // happened, and why
	advice string // what to do next
	status int    // exit status where it ends the program
}

func (t trouble) text() string {
	if t.advice == "" {
		return t.what + "."
	}
	return t.what + ". " + t.advice
}

// problem is an error that this program finds itself.
type problem struct{ trouble }

func (p *problem) Error() string { return p.what }

func asError[E error](err error) (E, bool) { return errors.AsType[E](err) }

// row recognises one kind of error.
type row func(error) (trouble, bool)

func on[E error](say func(E) trouble) row {
	return func(err error) (trouble, bool) {
		e, ok := asError[E](err)
		if !ok {
			return trouble{}, false
		}
		return say(e), true
	}
}

func is(target error, say func() trouble) row {
	return func(err error) (trouble, bool) {
		if !errors.Is(err, target) {
			return trouble{}, false
		}
		return say(), true
	}
}

// rows are tried in this order: errors that wrap others stand before those.
var rows = []row{
	on(func(e *problem) trouble { return e.trouble }),

	// Who we are and who the relay is.
	on(ownCertificate),
	on(func(e *transport.ServerCertificateError) trouble { return relayUntrusted(e.Err) }),
	on(relayStatus), // certificates of others than the relay never come this way
	on(func(e *cardauth.TrustError) trouble { return trustUnusable(e) }),

	// The card.
	on(pinRefused),
	on(func(e *pkcs11card.NotFoundError) trouble { return noCard(e) }),
	on(cardAmbiguous),
	on(cardAbsent),
	on(cardCancelled),
	on(cardExportable),
	is(presence.ErrRemoved, cardTakenOut),
	is(presence.ErrIdle, idleLogout),
	is(presence.ErrAway, away),
	on(func(e *pkcs11card.URIError) trouble { return badCardURI(e) }),
	on(func(e *pkcs11card.UnsupportedError) trouble { return cardUnsupported(e) }),
	on(func(e *pkcs11card.ModuleError) trouble { return cardModule(e) }),
	on(func(e *softcard.FormatError) trouble { return cardUnreadable(e) }),
	on(func(e *fs.PathError) trouble { return cardUnreadable(e) }),

	// The way to the relay.
	on(func(e *peer.AddressError) trouble {
		if _, ok := asError[*net.DNSError](e); ok {
			return noSuchHost(e)
		}
		return badAddress(e)
	}),
	on(func(e *transport.UnreachableError) trouble { return relayUnreachable(e) }),
	on(func(*transport.RefusedError) trouble { return relayBusy() }),
	on(func(e *transport.ProtocolError) trouble { return noRelay(e) }),
	on(func(e *transport.CloseError) trouble {
		if e.Remote && e.Number == wire.CodeBye {
			return ofCode(wire.CodeGoingAway)
		}
		return ofCode(e.Number)
	}),

	// What somebody asked for.
	on(tooLarge),
	on(func(e *peer.RefusedError) trouble {
		if e.Number == wire.CodeSuiteUnsupported {
			return suiteRefused(e.Suites)
		}
		return ofCode(e.Number)
	}),

	is(context.Canceled, interrupted),
	is(context.DeadlineExceeded, func() trouble { return ofCode(wire.CodeTimeout) }),
	on(func(e *seal.SignError) trouble { return cardFailed(e) }),
	on(func(e *net.OpError) trouble { return relayUnreachable(e) }),
}

// explain says what an error means.
func explain(err error) trouble {
	for _, recognise := range rows {
		if t, ok := recognise(err); ok {
			return t
		}
	}
	t := ofCode(wire.CodeOf(err))
	if t.code == wire.CodeInternal.String() {
		t.what += ": " + err.Error()
	}
	return t
}
