package main

import (
	"sync"

	"sinete/peer"
)

// explaining says below each event of a new kind what it means.
type explaining struct {
	screen

	mu   sync.Mutex
	said map[string]bool
}

func (s *explaining) show(e event) {
	s.mu.Lock()
	defer s.mu.Unlock() // until the meaning stands below its event
	s.screen.show(e)
	kind, meaning := meaningOf(e)
	if meaning == "" || s.said[kind] {
		return
	}
	if s.said == nil {
		s.said = map[string]bool{}
	}
	s.said[kind] = true
	s.screen.show(noticeEvent{meaning})
}

func meaningOf(e event) (kind, meaning string) {
	switch e := e.(type) {
	case sessionEvent:
		if e.State == "open" {
			return "session", meansSession
		}
	case conversationEvent:
		if e.rekeyed {
			return "", ""
		}
		if e.State == "open" {
			return "conversation", meansConversation(e)
		}
		return "conversation closed", meansClosed
	case receiptEvent:
		if e.Stage == peer.StagePeer {
			return "receipt peer", meansPeerReceipt(e.person)
		}
		return "receipt relay", meansRelayReceipt
	case messageEvent:
		return "message", meansMessage(e.person)
	case refusedEvent:
		if e.Code == "unknown-command" {
			return "refused", meansUnknownCommand
		}
	}
	return "", ""
}
