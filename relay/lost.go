package relay

import (
	"time"

	"sinete/internal/link"
)

// lostSessions remembers, for a while, whose session was the last of its identity and was sealed by a delegated key when its connection
// was lost: that delegation may come back (protocol.md section 7.6). The directory's mutex guards it.
type lostSessions struct {
	grace   time.Duration // 0: nobody comes back
	limit   int           // of what is remembered; the oldest goes first
	signers map[string]lostSession
	order   []lostSession // as they were lost, those forgotten meanwhile too
}

type lostSession struct {
	identity string
	signer   [32]byte // of certificate and delegation
	until    time.Time
}

func (l *lostSessions) add(o *link.Other, now time.Time) {
	if l.grace <= 0 {
		return
	}
	s := lostSession{o.Identity, o.Signer.Digest, now.Add(l.grace)}
	l.signers[s.identity] = s
	l.order = append(l.order, s)
	for len(l.order) > l.limit || !now.Before(l.order[0].until) {
		if oldest := l.order[0]; l.signers[oldest.identity] == oldest {
			delete(l.signers, oldest.identity)
		}
		l.order = l.order[1:]
	}
}

// has reports whether that delegation may come back.
func (l *lostSessions) has(o *link.Other, now time.Time) bool {
	s, ok := l.signers[o.Identity]
	return ok && s.signer == o.Signer.Digest && now.Before(s.until)
}

func (l *lostSessions) forget(identity string) { delete(l.signers, identity) }
