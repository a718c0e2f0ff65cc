package screen

import (
	"sync"

	"sinete/peer"
)

// Explaining says below each event of a new kind what it means.
type Explaining struct {
	Screen

	mu   sync.Mutex
	said map[string]bool
}

func (s *Explaining) Show(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock() // until the meaning stands below its event
	s.Screen.Show(e)
	kind, meaning := meaningOf(e)
	if meaning == "" || s.said[kind] {
		return
	}
	if s.said == nil {
		s.said = map[string]bool{}
	}
	s.said[kind] = true
	s.Screen.Show(Notice{meaning})
}

func meaningOf(e Event) (kind, meaning string) {
	switch e := e.(type) {
	case Session:
		if e.State == "open" {
			return "session", meansSession
		}
	case Conversation:
		if e.Rekeyed {
			return "", ""
		}
		if e.State == "open" {
			return "conversation", meansConversation(e)
		}
		return "conversation closed", meansClosed
	case Receipt:
		if e.Stage == peer.StagePeer {
			return "receipt peer", meansPeerReceipt(e.Person)
		}
		return "receipt relay", meansRelayReceipt
	case Message:
		return "message", meansMessage(e.person)
	case Refused:
		if e.Code == "unknown-command" {
			return "refused", meansUnknownCommand
		}
	}
	return "", ""
}
