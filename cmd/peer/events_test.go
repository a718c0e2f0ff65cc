package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"sinete/peer"
	"sinete/wire"
)

func TestJSON(t *testing.T) {
	open := conversationEvent{ID: 2, Name: "Rui", State: "open", Suite: "S", Machine: peer.MachineNew}
	sent := time.Date(2026, 3, 1, 12, 0, 0, 5e6, time.FixedZone("", 3600))
	for _, c := range []struct {
		e    event
		want string
	}{
		{sessionEvent{State: "open", Relay: "r", Name: "Ana", Level: 2, Suite: "S", Signing: "card"},
			`{"event":"session","state":"open","relay":"r","name":"Ana","level":2,"suite":"S","signing":"card","reason":""}`},
		{peersOf(nil), `{"event":"peers","peers":[]}`},
		{peersOf([]peer.Person{{ID: 2, Name: "Rui", Identity: "BI2@a", Level: wire.Level{Rank: 1}, Send: true, Conversation: &peer.Conversation{}}, {ID: 3}}),
			`{"event":"peers","peers":[{"id":2,"name":"Rui","identity":"BI2@a","level":1,"conversation":"open","send":true},` +
				`{"id":3,"name":"","identity":"","level":0,"conversation":"none","send":false}]}`},
		{open, `{"event":"conversation","id":2,"name":"Rui","state":"open","suite":"S","epoch":0,"machine":"new","reason":""}`},
		{messageOf(peer.Person{ID: 2, Name: "Rui"}, &peer.Message{Number: 0, Text: "<a>\n\u202e", SentAt: sent, Label: wire.Level{Rank: 1}}),
			`{"event":"message","id":2,"seq":0,"text":"<a>\n` + "\u202e" + `","sent_at":"2026-03-01T11:00:00.005Z","label":1}`},
		{receiptEvent{ID: 2, Seq: 0, Stage: peer.StagePeer, person: "Rui"}, `{"event":"receipt","id":2,"seq":0,"stage":"peer"}`},
		{connectedEvent{[]conversationEvent{open}},
			`{"event":"connected","conversations":[{"id":2,"name":"Rui","state":"open","suite":"S","epoch":0,"machine":"new","reason":""}]}`},
		{conversationEvent{ID: 2, Name: "Rui", State: "closed", Suite: "S", Machine: peer.MachineNew, Reason: "cut", Queued: 3},
			`{"event":"conversation","id":2,"name":"Rui","state":"closed","suite":"S","epoch":0,"machine":"new","reason":"cut","queued":3}`},
		{sessionEvent{State: "open", Level: 2, Compartments: []string{"crypto", "ops"}},
			`{"event":"session","state":"open","relay":"","name":"","level":2,"compartments":["crypto","ops"],"suite":"","signing":"","reason":""}`},
		{peersOf([]peer.Person{{ID: 3, Level: wire.Level{Rank: 1, Compartments: []string{"ops"}}}}),
			`{"event":"peers","peers":[{"id":3,"name":"","identity":"","level":1,"compartments":["ops"],"conversation":"none","send":false}]}`},
		{messageOf(peer.Person{ID: 2}, &peer.Message{Text: "t", SentAt: sent, Label: wire.Level{Rank: 1, Compartments: []string{"ops"}}}),
			`{"event":"message","id":2,"seq":0,"text":"t","sent_at":"2026-03-01T11:00:00.005Z","label":1,"compartments":["ops"]}`},
		{ciphersEvent{suiteNames([]wire.Suite{5})}, `{"event":"ciphers","suites":["P256-AES128GCM-SHA256"]}`},
		{menuEvent{Commands: []string{"list"}}, `{"event":"menu","commands":["list"]}`},
		{refusedEvent{"send", "flow-denied", "t"}, `{"event":"refused","command":"send","code":"flow-denied","text":"t"}`},
		{warningEvent{Code: "machine-changed", ID: 2, Text: "t"}, `{"event":"warning","code":"machine-changed","id":2,"text":"t"}`},
		{warningEvent{Code: "going-away", Text: "t"}, `{"event":"warning","code":"going-away","text":"t"}`},
		{errorEvent(trouble{code: "c", what: "w", advice: "a."}), `{"event":"error","code":"c","text":"w. a."}`},
		{readerEvent{Module: "m", Reader: "r", Certificates: []certificateEntry{}},
			`{"event":"reader","module":"m","reader":"r","present":false,"token":"","serial":"","profile":"","pin":"","certificates":[]}`},
	} {
		var out strings.Builder
		(&jsonScreen{w: &out}).show(c.e)
		if out.String() != c.want+"\n" {
			t.Errorf("got  %swant %s", &out, c.want)
		}
		if !json.Valid([]byte(out.String())) {
			t.Error("not JSON")
		}
	}
	var out strings.Builder
	(&jsonScreen{w: &out}).show(noticeEvent{"x"})
	if out.Len() > 0 {
		t.Errorf("a notice: %s", &out)
	}
}

func TestLines(t *testing.T) {
	var out, errs strings.Builder
	s := &lineScreen{out: &out, err: &errs, hints: true}
	s.show(messageEvent{ID: 2, Text: "hi\n12:00 Eva (3): forged\x1b[1A", person: "Rui", sent: time.Now()})
	s.show(receiptEvent{ID: 2, Seq: 4, Stage: peer.StagePeer, person: "Rui"})
	s.show(conversationEvent{ID: 2, Name: "Rui", State: "closed", Reason: "cut", Queued: 2})
	s.show(errorEvent(trouble{what: "it broke", advice: "do this\nor that"}))
	s.finished()
	lines := strings.Split(out.String(), "\n")
	if len(lines) != 5 {
		t.Fatalf("%q", lines)
	}
	for i, want := range []string{"Rui (2): hi<U+000A>12:00 Eva (3): forged<U+001B>[1A", "up to number 5: received and verified", "2 messages are not confirmed", "connect#ID"} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("%q lacks %q", lines[i], want)
		}
	}
	if errs.String() != "peer: it broke\n  do this\n  or that\n" {
		t.Errorf("%q", errs.String())
	}
	s.hints = false
	n := out.Len()
	if s.finished(); out.Len() != n {
		t.Error("hints in a pipe")
	}
	if strings.Contains(out.String()+errs.String(), "\x1b") {
		t.Error("colours where none were wanted")
	}
	s.colour = true
	if s.show(warningEvent{Text: "x"}); !strings.HasSuffix(out.String(), "\x1b[33mwarning: x\x1b[0m\n") {
		t.Errorf("%q", out.String())
	}
}

// A level is shown whole: who is in other compartments has another one.
func TestLevelsInLines(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{sessionLine(sessionEvent{State: "open", Level: 3, Compartments: []string{"crypto", "ops"}}), "level 3{crypto,ops};"},
		{sessionLine(sessionEvent{State: "open", Level: 3}), "level 3;"},
		{peersLines(peersEvent{[]peerEntry{{Level: 1, Compartments: []string{"ops"}}}})[0], "level 1{ops} "},
	} {
		if !strings.Contains(c.line, c.want) {
			t.Errorf("%q lacks %q", c.line, c.want)
		}
	}
}

// What a conversation's end says of messages to come is what happens to them, whatever the reason.
func TestEndWords(t *testing.T) {
	for code := range codes {
		line := conversationLines(conversationEvent{State: "closed", Reason: code})[0]
		if got := strings.Contains(line, "what you send to them is queued"); got != queuesAfter(code) {
			t.Errorf("%q", line)
		}
	}
	if queuesAfter("bye") || queuesAfter("peer-left") || !queuesAfter("cut") || !queuesAfter("integrity") {
		t.Error("what ends in order is queued for, or what breaks is not")
	}
	if line := sessionLine(sessionEvent{State: "closed", Reason: "bye"}); line != "logged out: you ended it" {
		t.Error(line)
	}
	if line := conversationLines(conversationEvent{State: "closed", Reason: "peer-left"})[0]; !strings.HasSuffix(line, ": they ended it") {
		t.Error(line)
	}
}

// Whoever learns that a card was revoked learns how far its words were verified before.
func TestRevokedConversationNamesTheLastVerifiedMessage(t *testing.T) {
	last := uint64(7)
	for reason, want := range map[string]bool{"certificate-revoked": true, "revocation-unknown": true, "peer-left": false} {
		line := conversationLines(conversationEvent{State: "closed", Reason: reason, Verified: &last})[0]
		if strings.Contains(line, "verified is number 7") != want {
			t.Errorf("%s: %s", reason, line)
		}
		if line := conversationLines(conversationEvent{State: "closed", Reason: reason})[0]; strings.Contains(line, "number") {
			t.Errorf("%s, and none came: %s", reason, line)
		}
	}
	if b, err := json.Marshal(conversationEvent{State: "closed", Verified: new(uint64)}); err != nil || !strings.Contains(string(b), `"verified":0`) {
		t.Errorf("%s, %v", b, err)
	}
}
