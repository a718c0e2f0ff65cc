package main

import (
	"time"

	"sinete/peer"
	"sinete/wire"
)

// event is what happened, in the form that a machine is told: the fields are those of --json.
type event interface{ name() string }

type sessionEvent struct {
	State        string   `json:"state"` // open or closed
	Relay        string   `json:"relay"`
	Name         string   `json:"name"`
	Level        uint16   `json:"level"`
	Compartments []string `json:"compartments,omitempty"` // of Level
	Suite        string   `json:"suite"`
	Signing      string   `json:"signing"`
	Reason       string   `json:"reason"`          // code, empty while open
	Again        bool     `json:"again,omitempty"` // closed for now: the program comes back by itself

	back bool // it was closed before
}

type peersEvent struct {
	Peers []peerEntry `json:"peers"`
}

type peerEntry struct {
	ID           uint32   `json:"id"`
	Name         string   `json:"name"`
	Identity     string   `json:"identity"`
	Level        uint16   `json:"level"`
	Compartments []string `json:"compartments,omitempty"` // of Level
	Conversation string   `json:"conversation"`           // none or open
	Send         bool     `json:"send"`
}

type conversationEvent struct {
	ID       uint32     `json:"id"`
	Name     string     `json:"name"`
	State    string     `json:"state"` // open or closed
	Suite    string     `json:"suite"`
	Epoch    uint64     `json:"epoch"`
	Machine  peer.Known `json:"machine"`
	Reason   string     `json:"reason"`             // code, empty while open
	Queued   int        `json:"queued,omitempty"`   // messages that stay queued at its end
	Verified *uint64    `json:"verified,omitempty"` // number of their last message whose seals were verified, at its end
	// Signing says who seals for them, while open.
	Signing peer.Signing `json:"signing,omitempty"`

	mayWrite bool
	rekeyed  bool // nothing but its epoch is new
}

type messageEvent struct {
	ID           uint32   `json:"id"`
	Seq          uint64   `json:"seq"`
	Text         string   `json:"text"`
	SentAt       string   `json:"sent_at"`
	Label        uint16   `json:"label"`
	Compartments []string `json:"compartments,omitempty"` // of Label

	person string
	sent   time.Time
}

type receiptEvent struct {
	ID    uint32     `json:"id"`
	Seq   uint64     `json:"seq"`
	Stage peer.Stage `json:"stage"`

	person string
}

type connectedEvent struct {
	Conversations []conversationEvent `json:"conversations"`
}

type ciphersEvent struct {
	Suites []string `json:"suites"`
}

type menuEvent struct {
	Commands []string `json:"commands"`

	explained bool
}

type refusedEvent struct {
	Command string `json:"command"`
	Code    string `json:"code"`
	Text    string `json:"text"`
}

type warningEvent struct {
	Code string `json:"code"`
	ID   uint32 `json:"id,omitempty"` // 0: of nobody in particular
	Text string `json:"text"`
}

type failureEvent struct {
	Code string `json:"code"`
	Text string `json:"text"`

	what, advice string
}

// readerEvent is a line of peer cards.
type readerEvent struct {
	Module       string             `json:"module"`
	Reader       string             `json:"reader"`
	Present      bool               `json:"present"`
	Token        string             `json:"token"`
	Serial       string             `json:"serial"`
	Profile      string             `json:"profile"` // the kind of card
	PIN          string             `json:"pin"`     // once, each-time, or pad
	Certificates []certificateEntry `json:"certificates"`
}

type certificateEntry struct {
	URI      string `json:"uri"`
	Name     string `json:"name"`
	Label    string `json:"label"`
	Key      string `json:"key"`
	NotAfter string `json:"not_after"`
	Usable   bool   `json:"usable"`
	Reason   string `json:"reason"` // why it is not usable
	Chosen   bool   `json:"chosen"` // what peer chat takes where no card is named
	Why      string `json:"why"`    // it is chosen
	Holder   string `json:"holder"` // as this kind of card writes it
	Number   string `json:"number"` // likewise

	authority bool
}

// checkEvent is a line of peer doctor.
type checkEvent struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Text   string `json:"text"`
	Remedy string `json:"remedy"` // empty where OK
}

// noticeEvent is progress, which only people are told.
type noticeEvent struct{ text string }

func (sessionEvent) name() string      { return "session" }
func (peersEvent) name() string        { return "peers" }
func (conversationEvent) name() string { return "conversation" }
func (messageEvent) name() string      { return "message" }
func (receiptEvent) name() string      { return "receipt" }
func (connectedEvent) name() string    { return "connected" }
func (ciphersEvent) name() string      { return "ciphers" }
func (menuEvent) name() string         { return "menu" }
func (refusedEvent) name() string      { return "refused" }
func (warningEvent) name() string      { return "warning" }
func (failureEvent) name() string      { return "error" }
func (readerEvent) name() string       { return "reader" }
func (checkEvent) name() string        { return "check" }
func (noticeEvent) name() string       { return "" }

// timeForm is RFC 3339 with milliseconds.
const timeForm = "2006-01-02T15:04:05.000Z07:00"

func sessionOf(s session) sessionEvent {
	return sessionEvent{State: "open", Relay: s.Relay(), Name: s.Name(), Level: s.Level().Rank, Compartments: s.Level().Compartments,
		Suite: s.Suite().String(), Signing: string(s.Signing())}
}

func peersOf(people []peer.Person) peersEvent {
	e := peersEvent{Peers: []peerEntry{}}
	for _, p := range people {
		state := "none"
		if p.Conversation != nil {
			state = "open"
		}
		e.Peers = append(e.Peers, peerEntry{p.ID, p.Name, p.Identity, p.Level.Rank, p.Level.Compartments, state, p.Send})
	}
	return e
}

func messageOf(p peer.Person, m *peer.Message) messageEvent {
	return messageEvent{ID: p.ID, Seq: m.Number, Text: m.Text, SentAt: m.SentAt.UTC().Format(timeForm), Label: m.Label.Rank,
		Compartments: m.Label.Compartments, person: p.Name, sent: m.SentAt}
}

func errorEvent(t trouble) failureEvent {
	return failureEvent{Code: t.code, Text: t.text(), what: t.what, advice: t.advice}
}

// suiteNames are the names of suites, best first; of all that there are where none is given.
func suiteNames(suites []wire.Suite) []string {
	if len(suites) == 0 {
		return wire.SuiteNames()
	}
	names := make([]string, len(suites))
	for i, s := range suites {
		names[i] = s.String()
	}
	return names
}
