package main

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"sinete/cmd/peer/internal/screen"
	"sinete/peer"
	"sinete/peer/presence"
	"sinete/peer/store"
	"sinete/transport"
	"sinete/wire"
)

// A session that is lost and comes back is shown so, after what ended with it; what is sent meanwhile waits, and requests say why not.
func TestAwayAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeSession()
		rui := s.opens(0, known(peer.MachineNew))
		rui.delegated = true
		c := talkTo(t, s)
		c.shows(sessionOpen, ruiOpen+`new","reason":"","signing":"delegated","send":true}`)
		s.away = true
		s.events <- happening{event: &peer.Away{Err: &transport.LostError{Err: errors.New("silence")}}}
		c.shows() // until the conversation's end has been shown
		rui.ends(wire.CodeCut)
		c.shows(ruiClosed+`new","reason":"cut"}`, sessionClosed+`cut","again":true}`)
		s.wanted = true
		c.says([]string{"connected", "level", "send##2##later"}, refusal("connected", "away"), sessionClosed+`cut","again":true}`)
		if !slices.Equal(s.queued, []string{"BI2@a later"}) || s.touched != 3 {
			t.Errorf("queued %q, touched %d", s.queued, s.touched)
		}
		s.away = false
		s.events <- happening{event: &peer.Back{}}
		c.shows(sessionOpen)
		again := s.opens(0, &peer.Progress{State: store.Sent}, known(peer.MachineKnown), text(0, "still there?"))
		c.shows(ruiOpen+`known","reason":"","signing":"card","send":true}`, ruiMessage+`0,"text":"still there?"`)
		again.ends(wire.CodeIntegrity)
		s.events <- happening{event: &peer.GivenUp{Person: s.people[0], Number: wire.CodeIntegrity}}
		synctest.Wait()
		if lines := c.out.take(); len(lines) != 2 { // in either order
			t.Errorf("%q", lines)
		}
		c.first()
		c.leaves(0, sessionClosed+`bye"}`)
	})
}

// Conversations that this side ended to come back, for its card or for nobody's being there, take messages; those that a person ends do not.
func TestSendWhileLoggedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, why := range []struct {
			err  error
			code string
		}{{presence.ErrRemoved, "card-removed"}, {presence.ErrIdle, "idle-logout"}, {presence.ErrDelegationEnds, "certificate-expired"}} {
			s := newFakeSession()
			rui := s.opens(0, known(peer.MachineNew))
			c := talkTo(t, s)
			c.shows(sessionOpen, ruiOpen)
			s.away, s.wanted = true, true
			rui.ends(wire.CodeBye)
			s.events <- happening{event: &peer.Away{Err: why.err}}
			c.shows(ruiClosed+`new","reason":"bye"}`, sessionClosed+why.code+`","again":true}`)
			c.says([]string{"send##Rui##when I am back"})
			if !slices.Equal(s.queued, []string{"BI2@a when I am back"}) {
				t.Errorf("queued %q", s.queued)
			}
			c.says([]string{"disconnect#2"}, ruiClosed+`new","reason":"bye"}`)
			if s.wanted = false; !slices.Equal(s.forgotten, []string{"BI2@a"}) {
				t.Errorf("given up: %q", s.forgotten)
			}
			c.says([]string{"send##2##x", "disconnect#2"}, refusal("send", "not-connected"), refusal("disconnect", "not-connected"))
			c.first()
			c.leaves(0, sessionClosed+`bye"}`)
		}
	})
}

// After a relay's restart two people can have had one number: what is sent to it goes to neither.
func TestNumberOfTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeSession()
		rui := s.opens(0, known(peer.MachineNew))
		c := talkTo(t, s)
		c.shows(sessionOpen, ruiOpen)
		rui.ends(wire.CodeCut)
		c.shows(ruiClosed)
		s.people[1].ID = 2
		eva := s.opens(1, known(peer.MachineNew))
		c.shows(`{"event":"conversation","id":2,"name":"Eva"`)
		c.says([]string{"send##2##to whom?", "send##Eva##to her"}, refusal("send", "ambiguous-name"))
		if len(s.queued) > 0 || !slices.Equal(eva.sent, []string{"to her"}) {
			t.Errorf("queued %q, sent %q", s.queued, eva.sent)
		}
		c.first()
		synctest.Wait()
		c.leaves(0, `{"event":"conversation","id":2,"name":"Eva","state":"closed"`, sessionClosed+`bye"}`)
	})
}

// What a person reads of it.
func TestAwayWords(t *testing.T) {
	e := screen.Session{State: "closed", Relay: "r", Name: "Ana", Reason: "cut", Again: true}
	for reason, want := range map[string]string{
		"cut":          "away: the connection was lost; trying again, and what you send to people you were connected to is queued",
		"card-removed": "away: the card was taken out; put it back to log in again",
		"idle-logout":  "away: nobody has typed anything for the time that --idle-logout sets; type anything to log in again",
	} {
		if e.Reason = reason; screen.SessionLine(e) != want {
			t.Errorf("%q", screen.SessionLine(e))
		}
	}
	e = screen.Session{State: "open", Relay: "r", Name: "Ana", Suite: "S", Signing: "delegated", Back: true}
	if got := screen.SessionLine(e); got != "back: logged in at r as Ana, level 0; a key that your card delegated to seals; S" {
		t.Errorf("%q", got)
	}
	if got := screen.ConversationLines(screen.Conversation{ID: 2, Name: "Rui", State: "open", Suite: "S", Machine: peer.MachineKnown, Signing: peer.SignDelegated, MayWrite: true}); got[0] !=
		"connected to Rui (2), on the machine you know; seals with a delegated key; S" {
		t.Errorf("%q", got)
	}
}
