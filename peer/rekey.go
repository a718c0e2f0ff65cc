package peer

import (
	"sinete/internal/link"
)

// hopRekeys is what the rekeyings of the hop need (protocol.md section 9).
func (s *Session) hopRekeys(who link.Acquaintance) link.Rekeys {
	return link.Rekeys{Acquaintance: who, Other: s.relay, Credentials: s.self.credentials, Limits: s.cfg.Limits, InForce: s.params.Limits,
		Waits: func(w link.RekeyWait) { s.events.put(waitsForKeys(w, "the relay")) }}
}

// waitsForKeys is what a person is told where new keys do not come.
func waitsForKeys(w link.RekeyWait, other string) *Warning {
	text := "new keys wait for " + other
	switch {
	case w.Err != nil:
		text = "new keys wait for your card: " + w.Err.Error()
	case w.Own:
		text = "new keys wait for your card or its PIN"
	}
	if w.Stopped {
		text += "; nothing is sent until then"
	}
	return &Warning{"rekey-waiting", text}
}

// Epoch counts the rekeyings of the hop.
func (s *Session) Epoch() uint64 { return s.link.Channel.Epoch() }

// Rekey has the hop take new keys now, without waiting for its limits.
func (s *Session) Rekey() { s.link.Rekey() }
