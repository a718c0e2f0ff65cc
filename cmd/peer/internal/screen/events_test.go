package screen

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"sinete/cmd/peer/internal/trouble"
	"sinete/peer"
	"sinete/wire"
)

func TestJSON(t *testing.T) {
	open := Conversation{ID: 2, Name: "Rui", State: "open", Suite: "S", Machine: peer.MachineNew}
	sent := time.Date(2026, 3, 1, 12, 0, 0, 5e6, time.FixedZone("", 3600))
	for _, c := range []struct {
		e    Event
		want string
	}{
		{Session{State: "open", Relay: "r", Name: "Ana", Level: 2, Suite: "S", Signing: "card"},
			`{"event":"session","state":"open","relay":"r","name":"Ana","level":2,"suite":"S","signing":"card","reason":""}`},
		{PeersOf(nil), `{"event":"peers","peers":[]}`},
		{PeersOf([]peer.Person{{ID: 2, Name: "Rui", Identity: "BI2@a", Level: wire.Level{Rank: 1}, Send: true, Conversation: &peer.Conversation{}}, {ID: 3}}),
			`{"event":"peers","peers":[{"id":2,"name":"Rui","identity":"BI2@a","level":1,"conversation":"open","send":true},` +
				`{"id":3,"name":"","identity":"","level":0,"conversation":"none","send":false}]}`},
		{open, `{"event":"conversation","id":2,"name":"Rui","state":"open","suite":"S","epoch":0,"machine":"new","reason":""}`},
		{MessageOf(peer.Person{ID: 2, Name: "Rui"}, &peer.Message{Number: 0, Text: "<a>\n\u202e", SentAt: sent, Label: wire.Level{Rank: 1}}),
			`{"event":"message","id":2,"seq":0,"text":"<a>\n` + "\u202e" + `","sent_at":"2026-03-01T11:00:00.005Z","label":1}`},
		{Receipt{ID: 2, Seq: 0, Stage: peer.StagePeer, Person: "Rui"}, `{"event":"receipt","id":2,"seq":0,"stage":"peer"}`},
		{Connected{[]Conversation{open}},
			`{"event":"connected","conversations":[{"id":2,"name":"Rui","state":"open","suite":"S","epoch":0,"machine":"new","reason":""}]}`},
		{Conversation{ID: 2, Name: "Rui", State: "closed", Suite: "S", Machine: peer.MachineNew, Reason: "cut", Queued: 3},
			`{"event":"conversation","id":2,"name":"Rui","state":"closed","suite":"S","epoch":0,"machine":"new","reason":"cut","queued":3}`},
		{Session{State: "open", Level: 2, Compartments: []string{"crypto", "ops"}},
			`{"event":"session","state":"open","relay":"","name":"","level":2,"compartments":["crypto","ops"],"suite":"","signing":"","reason":""}`},
		{PeersOf([]peer.Person{{ID: 3, Level: wire.Level{Rank: 1, Compartments: []string{"ops"}}}}),
			`{"event":"peers","peers":[{"id":3,"name":"","identity":"","level":1,"compartments":["ops"],"conversation":"none","send":false}]}`},
		{MessageOf(peer.Person{ID: 2}, &peer.Message{Text: "t", SentAt: sent, Label: wire.Level{Rank: 1, Compartments: []string{"ops"}}}),
			`{"event":"message","id":2,"seq":0,"text":"t","sent_at":"2026-03-01T11:00:00.005Z","label":1,"compartments":["ops"]}`},
		{Transcript{ID: 2, Name: "Rui", Code: "1", Sent: 4, Received: 3}, `{"event":"transcript","id":2,"name":"Rui","code":"1","sent":4,"received":3}`},
		{MessageOf(peer.Person{ID: 2}, &peer.Message{Text: "t", SentAt: sent, Labelled: true}),
			`{"event":"message","id":2,"seq":0,"text":"t","sent_at":"2026-03-01T11:00:00.005Z","label":0,"labelled":true}`},
		{HistoryMachine{Name: "Rui", Identity: "BI2@a", Before: "one", Now: "two"},
			`{"event":"history-machine","name":"Rui","identity":"BI2@a","before":"one","now":"two"}`},
		{Ciphers{trouble.SuiteNames([]wire.Suite{5})}, `{"event":"ciphers","suites":["P256-AES128GCM-SHA256"]}`},
		{Menu{Commands: []string{"list"}}, `{"event":"menu","commands":["list"]}`},
		{Refused{"send", "flow-denied", "t"}, `{"event":"refused","command":"send","code":"flow-denied","text":"t"}`},
		{Warning{Code: "machine-changed", ID: 2, Text: "t"}, `{"event":"warning","code":"machine-changed","id":2,"text":"t"}`},
		{Warning{Code: "going-away", Text: "t"}, `{"event":"warning","code":"going-away","text":"t"}`},
		{FailureOf(trouble.Trouble{Code: "c", What: "w", Advice: "a."}), `{"event":"error","code":"c","text":"w. a."}`},
		{Reader{Module: "m", Reader: "r", Certificates: []CertificateEntry{}},
			`{"event":"reader","module":"m","reader":"r","present":false,"token":"","serial":"","profile":"","pin":"","certificates":[]}`},
	} {
		var out strings.Builder
		(&jsonScreen{w: &out}).Show(c.e)
		if out.String() != c.want+"\n" {
			t.Errorf("got  %swant %s", &out, c.want)
		}
		if !json.Valid([]byte(out.String())) {
			t.Error("not JSON")
		}
	}
	var out strings.Builder
	(&jsonScreen{w: &out}).Show(Notice{"x"})
	if out.Len() > 0 {
		t.Errorf("a notice: %s", &out)
	}
}

func TestLines(t *testing.T) {
	var out, errs strings.Builder
	s := &lineScreen{out: &out, err: &errs, hints: true}
	s.Show(Message{ID: 2, Text: "low", Label: 1, Compartments: []string{"ops"}, Labelled: true, person: "Rui"})
	if !strings.HasSuffix(out.String(), "Rui (2), under label 1{ops}: low\n") {
		t.Errorf("%q", &out)
	}
	out.Reset()
	s.Show(Message{ID: 2, Text: "hi\n12:00 Eva (3): forged\x1b[1A", person: "Rui", sent: time.Now()})
	s.Show(Receipt{ID: 2, Seq: 4, Stage: peer.StagePeer, Person: "Rui"})
	s.Show(Conversation{ID: 2, Name: "Rui", State: "closed", Reason: "cut", Queued: 2})
	s.Show(FailureOf(trouble.Trouble{What: "it broke", Advice: "do this\nor that"}))
	s.Finished()
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
	if s.Finished(); out.Len() != n {
		t.Error("hints in a pipe")
	}
	if strings.Contains(out.String()+errs.String(), "\x1b") {
		t.Error("colours where none were wanted")
	}
	s.colour = true
	if s.Show(Warning{Text: "x"}); !strings.HasSuffix(out.String(), "\x1b[33mwarning: x\x1b[0m\n") {
		t.Errorf("%q", out.String())
	}
}

// A level is shown whole: who is in other compartments has another one.
func TestLevelsInLines(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{SessionLine(Session{State: "open", Level: 3, Compartments: []string{"crypto", "ops"}}), "level 3{crypto,ops};"},
		{SessionLine(Session{State: "open", Level: 3}), "level 3;"},
		{peersLines(Peers{[]PeerEntry{{Level: 1, Compartments: []string{"ops"}}}})[0], "level 1{ops} "},
	} {
		if !strings.Contains(c.line, c.want) {
			t.Errorf("%q lacks %q", c.line, c.want)
		}
	}
}

// What a conversation's end says of messages to come is what happens to them, whatever the reason.
func TestEndWords(t *testing.T) {
	for code := range trouble.Codes {
		line := ConversationLines(Conversation{State: "closed", Reason: code})[0]
		if got := strings.Contains(line, "what you send to them is queued"); got != QueuesAfter(code) {
			t.Errorf("%q", line)
		}
	}
	if QueuesAfter("bye") || QueuesAfter("peer-left") || !QueuesAfter("cut") || !QueuesAfter("integrity") {
		t.Error("what ends in order is queued for, or what breaks is not")
	}
	if line := SessionLine(Session{State: "closed", Reason: "bye"}); line != "logged out: you ended it" {
		t.Error(line)
	}
	if line := ConversationLines(Conversation{State: "closed", Reason: "peer-left"})[0]; !strings.HasSuffix(line, ": they ended it") {
		t.Error(line)
	}
	if line := ConversationLines(Conversation{ID: 2, Name: "Rui", State: "closed", Reason: "cut"})[0]; !strings.HasPrefix(line, "Rui (2) is away: the connection was lost; ") {
		t.Error(line)
	}
}

// Whoever learns that a card was revoked learns how far its words were verified before.
func TestRevokedConversationNamesTheLastVerifiedMessage(t *testing.T) {
	last := uint64(7)
	for reason, want := range map[string]bool{"certificate-revoked": true, "revocation-unknown": true, "peer-left": false} {
		line := ConversationLines(Conversation{State: "closed", Reason: reason, Verified: &last})[0]
		if strings.Contains(line, "verified is number 7") != want {
			t.Errorf("%s: %s", reason, line)
		}
		if line := ConversationLines(Conversation{State: "closed", Reason: reason})[0]; strings.Contains(line, "number") {
			t.Errorf("%s, and none came: %s", reason, line)
		}
	}
	if b, err := json.Marshal(Conversation{State: "closed", Verified: new(uint64)}); err != nil || !strings.Contains(string(b), `"verified":0`) {
		t.Errorf("%s, %v", b, err)
	}
}

func TestReaderLines(t *testing.T) {
	e := Reader{Module: "/m.so", Reader: "R", Present: true, Token: "T", Profile: "Cartão de Cidadão v2", PIN: "each-time",
		Certificates: []CertificateEntry{{Name: "Ana", Label: "AUTH", Key: "P-256", NotAfter: "x", URI: "pkcs11:", Usable: true, Chosen: true, Why: "remembered"}}}
	got := strings.Join(readerLines(e), "\n")
	for _, want := range []string{"Cartão de Cidadão v2, asks for its PIN at each signature", "through /m.so", "Ana, AUTH, P-256, valid", "this one is used: you chose it last time"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %q", got, want)
		}
	}
}
