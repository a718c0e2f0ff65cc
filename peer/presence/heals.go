package presence

import (
	"errors"
	"math/rand/v2"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/peer"
	"sinete/wire"
)

// Times and bounds of coming back, all of them.
const (
	afterLoss      = time.Second      // at most, before the first attempt after a lost connection
	afterGoingAway = 5 * time.Second  // the same where the relay said that it goes: everybody was told at once
	longestDelay   = 30 * time.Second // at most, between two attempts to log in

	maxFaults = 5           // sessions in a row, or conversations with somebody, that something breaks which should not
	enduring  = time.Minute // one that lasted so long does not count
	maxInUse  = 1           // times that one's own card may be in use: an attempt just given up can still be under way at the relay

	otherAsks   = 5 * time.Second  // before this side asks for a conversation that the other side asked for first
	longestWait = time.Minute      // at most, between two attempts to make a conversation again
	rebuildFor  = 15 * time.Minute // from the loss: then it is left to the persons, unless messages wait

	endsSoon = 5 * time.Minute  // before a delegation's end: a warning
	endsNow  = 30 * time.Second // before it: the card logs in anew
	goodbye  = 2 * wire.ByeSeconds * time.Second
)

// firstDelay is before the first attempt. It is drawn, so that those whom one thing has hit do not come back together.
func firstDelay(why error) time.Duration {
	if wire.CodeOf(why) == wire.CodeGoingAway {
		return rand.N(afterGoingAway)
	}
	return rand.N(afterLoss)
}

// backoff is before the attempt that follows a number of failures: it doubles, and its second half is drawn.
func backoff(failures int) time.Duration { return drawn(failures, longestDelay) }

func drawn(failures int, longest time.Duration) time.Duration {
	d := longest
	if failures < 10 {
		d = min(longest, time.Second<<failures)
	}
	return d/2 + rand.N(d/2)
}

// heals reports whether trying again can heal what ended a session or a login.
func heals(err error) bool {
	if _, ok := errors.AsType[*peer.OwnCertificateError](err); ok {
		return false
	}
	if _, ok := errors.AsType[*cardauth.PINError](err); ok {
		return false
	}
	if _, ok := errors.AsType[*seal.SignError](err); ok {
		return isAbsent(err)
	}
	switch wire.CodeOf(err) {
	case wire.CodeCardInUse, wire.CodeSuperseded, wire.CodeSigningRefused:
		return false
	}
	return healsChannel(wire.CodeOf(err))
}

// healsChannel reports whether making a channel again can heal what ended one.
func healsChannel(number wire.Code) bool {
	switch number {
	case wire.CodeVersionUnsupported, wire.CodeSuiteUnsupported, wire.CodeCertificateInvalid, wire.CodeCertificateExpired,
		wire.CodeCertificateRevoked, wire.CodeAuthenticationFailed, wire.CodeWrongContext, wire.CodeFlowDenied, wire.CodeSigningRefused:
		return false
	}
	return true
}

// brokeRekeying reports whether a channel that stood can have ended with that number because its two ends had come to know different
// keys of it. Nobody is refused by that: a fresh challenge heals it, where the same number at the first handshake speaks of the other.
func brokeRekeying(number wire.Code) bool {
	return number == wire.CodeWrongContext || number == wire.CodeAuthenticationFailed
}

// isFault reports whether something broke that should not, rather than a connection or a person's being there.
func isFault(err error) bool {
	if err == ErrRemoved || err == ErrIdle || errors.Is(err, ErrDelegationEnds) {
		return false
	}
	switch wire.CodeOf(err) {
	case wire.CodeCut, wire.CodeGoingAway, wire.CodeBusy, wire.CodeTimeout:
		return false
	}
	return true
}
