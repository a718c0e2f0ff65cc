package peer

import (
	"sync"

	"sinete/internal/link"
	"sinete/wire"
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

// Epoch counts the rekeyings of the conversation, once it is established.
func (c *Conversation) Epoch() uint64 { return c.channel.Epoch() }

// Rekey has the conversation take new keys now, without waiting for its limits.
func (c *Conversation) Rekey() { c.keys.Now() }

// conversationRekeys is what the rekeyings of a conversation need.
func (c *Conversation) conversationRekeys(who link.Acquaintance, inForce wire.RekeyLimits) link.Rekeys {
	return link.Rekeys{Acquaintance: who, Other: c.other, Credentials: c.session.self.credentials,
		Closed: link.Closed{Own: !c.MayWrite, Other: !c.OtherMay}, Limits: c.session.cfg.Limits, InForce: inForce,
		Waits: func(w link.RekeyWait) { c.events.put(waitsForKeys(w, c.Person.Name)) },
		Changed: func() {
			number := c.Epoch()
			c.talk.Epoch(number, c.channel.TH())
			c.events.put(&Rekeyed{number})
		}}
}

// handshakeLane is what rekeyings send in a conversation: it waits here for the next flight, where it has its order among the content.
type handshakeLane struct {
	conversation *Conversation
	more         chan struct{}

	mu     sync.Mutex
	frames []wire.Frame // switched without a body: the place to switch
}

// maxFrames is more than one rekeying sends before it waits for the other side.
const maxFrames = 8

func (h *handshakeLane) Post(f wire.Frame) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.frames) == maxFrames {
		return wire.Errorf(wire.CodeSlow, "the conversation's handshake messages do not go out")
	}
	h.frames = append(h.frames, f)
	raise(h.more)
	return nil
}

func (h *handshakeLane) Switch() error { return h.Post(wire.Frame{Type: wire.FrameSwitched}) }

func (h *handshakeLane) Fail(err error) { h.conversation.fail(err) }

// take makes what waits into items of the next flight. What is sealed behind them is sealed in the epoch that they begin.
func (h *handshakeLane) take() (items []link.Item, bytes int, err error) {
	h.mu.Lock()
	frames := h.frames
	h.frames = nil
	h.mu.Unlock()
	for _, f := range frames {
		if f.Type == wire.FrameSwitched {
			if f, err = h.conversation.keys.Turn(); err != nil {
				return nil, 0, err
			}
		}
		payload := f.Append(nil)
		items = append(items, link.Item{Type: wire.EnvelopeHandshake, Payload: payload})
		bytes += len(payload)
	}
	return items, bytes, nil
}
