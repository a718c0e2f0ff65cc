package screen

import (
	"encoding/hex"
	"time"

	"sinete/cardauth/fork"
	"sinete/cmd/peer/internal/trouble"
	"sinete/peer"
	"sinete/peer/store"
)

// Event is what happened, in the form that a machine is told: the fields are those of --json.
type Event interface{ name() string }

type Session struct {
	State        string   `json:"state"` // open or closed
	Relay        string   `json:"relay"`
	Name         string   `json:"name"`
	Level        uint16   `json:"level"`
	Compartments []string `json:"compartments,omitempty"` // of Level
	Suite        string   `json:"suite"`
	Signing      string   `json:"signing"`
	Reason       string   `json:"reason"`          // code, empty while open
	Again        bool     `json:"again,omitempty"` // closed for now: the program comes back by itself

	Back bool `json:"-"` // it was closed before
}

type Peers struct {
	Peers []PeerEntry `json:"peers"`
}

type PeerEntry struct {
	ID           uint32   `json:"id"`
	Name         string   `json:"name"`
	Identity     string   `json:"identity"`
	Level        uint16   `json:"level"`
	Compartments []string `json:"compartments,omitempty"` // of Level
	Conversation string   `json:"conversation"`           // none or open
	Send         bool     `json:"send"`
}

type Conversation struct {
	ID       uint32     `json:"id"`
	Name     string     `json:"name"`
	State    string     `json:"state"` // open or closed
	Suite    string     `json:"suite"`
	Epoch    uint64     `json:"epoch"`
	Machine  peer.Known `json:"machine"`
	Reason   string     `json:"reason"`             // code, empty while open
	Queued   int        `json:"queued,omitempty"`   // messages that stay queued at its end
	Verified *uint64    `json:"verified,omitempty"` // number of their last message whose seals were verified, at its end
	Found    string     `json:"found,omitempty"`    // what this program found wrong, and ended it for
	// Signing says who seals for them, while open.
	Signing peer.Signing `json:"signing,omitempty"`

	MayWrite bool `json:"send,omitempty"` // while open: the flow policy lets this user write to them
	Rekeyed  bool `json:"-"`              // nothing but its epoch is new
}

type Message struct {
	ID           uint32   `json:"id"` // 0 with Earlier
	Seq          uint64   `json:"seq"`
	Text         string   `json:"text"`
	SentAt       string   `json:"sent_at"`
	Label        uint16   `json:"label"`
	Compartments []string `json:"compartments,omitempty"` // of Label
	Labelled     bool     `json:"labelled,omitempty"`     // the author chose the label, below their level
	Earlier      bool     `json:"earlier,omitempty"`      // it came before this program was started, and was shown to nobody
	Name         string   `json:"name,omitempty"`         // with Earlier
	Identity     string   `json:"identity,omitempty"`     // likewise

	person string
	sent   time.Time
}

type Receipt struct {
	ID    uint32     `json:"id"`
	Seq   uint64     `json:"seq"`
	Stage peer.Stage `json:"stage"`

	Person string `json:"-"`
}

// State tells how far messages of one's own have come where no receipt does.
type State struct {
	ID     uint32      `json:"id"`
	Name   string      `json:"name"`
	First  uint64      `json:"first"` // numbers
	Last   uint64      `json:"last"`
	State  store.State `json:"state"`            // queued, sent or failed
	Reason string      `json:"reason,omitempty"` // code, where it failed
}

// Store tells of the store that has been opened.
type Store struct {
	Folder     string         `json:"folder"`
	Protection store.Kind     `json:"protection"` // passphrase, keyring or nothing
	New        bool           `json:"new"`
	Waiting    []WaitingEntry `json:"waiting"`
}

// WaitingEntry is somebody for whom messages wait.
type WaitingEntry struct {
	Name     string `json:"name"`
	Identity string `json:"identity"`
	Messages int    `json:"messages"`
}

// HistoryEntry is a message that is kept.
type HistoryEntry struct {
	Name         string             `json:"name"` // of the other person
	Identity     string             `json:"identity"`
	Direction    string             `json:"direction"` // out or in
	Seq          uint64             `json:"seq"`
	Message      string             `json:"message"` // its id
	Text         string             `json:"text"`
	SentAt       string             `json:"sent_at"`
	StoredAt     string             `json:"stored_at"`
	Label        uint16             `json:"label"`
	Compartments []string           `json:"compartments,omitempty"` // of Label
	Labelled     bool               `json:"labelled,omitempty"`     // its author chose the label
	State        store.State        `json:"state"`
	Reason       string             `json:"reason,omitempty"` // code, where it failed
	Verification store.Verification `json:"verification"`

	sent time.Time
}

// HistoryMachine tells that somebody spoke from another machine from then on.
type HistoryMachine struct {
	Name     string `json:"name"` // of the other person
	Identity string `json:"identity"`
	Since    string `json:"since,omitempty"`
	Before   string `json:"before"` // descriptions
	Now      string `json:"now"`

	since time.Time
}

// History ends what history shows.
type History struct {
	Entries int `json:"entries"`
}

// Checked tells what peer store check has found. What is proved is nil where nobody looked at it.
type Checked struct {
	Messages int  `json:"messages"`
	Damaged  int  `json:"damaged"`            // places
	Sent     *int `json:"sent,omitempty"`     // of one's own that are proved; sent twice counts twice
	Received *int `json:"received,omitempty"` // that are proved
	Receipts *int `json:"receipts,omitempty"` // of the others, that are proved
	Unproved *int `json:"unproved,omitempty"` // parts
}

// Done tells that a command has done what it was to do.
type Done struct {
	Command  string `json:"command"`
	Messages int    `json:"messages"` // that it was done to
	Text     string `json:"text"`
}

// Whois is what is known of somebody. What is not known is absent.
type Whois struct {
	ID           uint32       `json:"id"` // 0: neither logged in nor talked with since the start
	Name         string       `json:"name"`
	Identity     string       `json:"identity"`
	Here         bool         `json:"here"` // they are logged in
	Level        *uint16      `json:"level,omitempty"`
	Compartments []string     `json:"compartments,omitempty"` // of Level
	Send         bool         `json:"send"`
	Conversation string       `json:"conversation"`          // none, open or closed
	Certificate  string       `json:"certificate,omitempty"` // SHA-256
	Issuer       string       `json:"issuer,omitempty"`
	NotBefore    string       `json:"not_before,omitempty"`
	NotAfter     string       `json:"not_after,omitempty"`
	Key          string       `json:"key,omitempty"` // SHA-256 of its SubjectPublicKeyInfo
	Signing      peer.Signing `json:"signing,omitempty"`
	SigningUntil string       `json:"signing_until,omitempty"`
	Revocation   string       `json:"revocation,omitempty"` // good, revoked, unknown or unchecked
	Suite        string       `json:"suite,omitempty"`
	Epoch        *uint64      `json:"epoch,omitempty"`
	Machine      string       `json:"machine,omitempty"` // as they described it
	MachineSince string       `json:"machine_since,omitempty"`
	Changes      int          `json:"machine_changes"`

	seen             bool // a machine is known, described or not
	since            time.Time
	notBefore, until time.Time
	notAfter         time.Time
}

// Transcript is the code that two people compare.
type Transcript struct {
	ID       uint32 `json:"id"`
	Name     string `json:"name"`
	Code     string `json:"code"`
	Sent     uint64 `json:"sent"`              // envelopes of one's own that it stands for
	Received uint64 `json:"received"`          // of theirs
	Waiting  uint64 `json:"waiting,omitempty"` // of one's own that it does not stand for yet
}

// Evidence tells of a bundle of evidence.
type Evidence struct {
	File      string           `json:"file"`
	State     string           `json:"state"` // written or verified
	Messages  int              `json:"messages"`
	Confirmed int              `json:"confirmed"` // of them: that they arrived is proved too
	People    []EvidencePerson `json:"people"`
	Relays    []EvidenceRelay  `json:"relays,omitempty"`
	Stamps    []EvidenceStamp  `json:"stamps,omitempty"`
}

// EvidencePerson is somebody of whom evidence speaks, and the anchor behind their card.
type EvidencePerson struct {
	Name     string `json:"name"`
	Identity string `json:"identity"`
	Anchor   string `json:"anchor"`
	SHA256   string `json:"anchor_sha256"`
}

// Fork is what a proof of a fork shows.
type Fork struct {
	File     string    `json:"file"`
	Name     string    `json:"name"`     // whose seals they are
	Identity string    `json:"identity"` // empty for a relay
	What     fork.What `json:"what"`     // sent, received or log
	Channel  string    `json:"channel"`  // or id of the log
	Epoch    uint64    `json:"epoch"`
	Count    uint64    `json:"count"` // envelopes or records
	Values   [2]string `json:"values"`
	SealedAt [2]string `json:"sealed_at"`
}

// EvidenceRelay is a relay that states when it had messages, and the anchor behind its certificate.
type EvidenceRelay struct {
	Name   string `json:"name"`
	Anchor string `json:"anchor"`
	SHA256 string `json:"anchor_sha256"`
}

// EvidenceStamp is what a time-stamping authority states, and the anchor behind its certificate.
type EvidenceStamp struct {
	At     string `json:"at"`
	Name   string `json:"name"`
	Anchor string `json:"anchor"`
	SHA256 string `json:"anchor_sha256"`

	at time.Time
}

// Proved is a message that evidence proves.
type Proved struct {
	From         string   `json:"from"` // identities
	To           string   `json:"to"`
	Seq          uint64   `json:"seq"`
	Message      string   `json:"message"` // its id
	Text         string   `json:"text"`
	SentAt       string   `json:"sent_at"`
	SealedAt     string   `json:"sealed_at"`
	ConfirmedAt  string   `json:"confirmed_at,omitempty"`
	RelayedAt    string   `json:"relayed_at,omitempty"` // by the clock of
	Relay        string   `json:"relay,omitempty"`      // that one
	Label        uint16   `json:"label"`
	Compartments []string `json:"compartments,omitempty"` // of Label

	from, to                   string // names
	sealed, confirmed, relayed time.Time
}

type Connected struct {
	Conversations []Conversation `json:"conversations"`
}

type Ciphers struct {
	Suites []string `json:"suites"`
}

type Menu struct {
	Commands []string `json:"commands"`

	Explained bool `json:"-"`
}

type Refused struct {
	Command string `json:"command"`
	Code    string `json:"code"`
	Text    string `json:"text"`
}

type Warning struct {
	Code string `json:"code"`
	ID   uint32 `json:"id,omitempty"` // 0: of nobody in particular
	Text string `json:"text"`
}

type Failure struct {
	Code string `json:"code"`
	Text string `json:"text"`

	what, advice string
}

// Reader is a line of peer cards.
type Reader struct {
	Module       string             `json:"module"`
	Reader       string             `json:"reader"`
	Present      bool               `json:"present"`
	Token        string             `json:"token"`
	Serial       string             `json:"serial"`
	Profile      string             `json:"profile"` // the kind of card
	PIN          string             `json:"pin"`     // once, each-time, or pad
	Certificates []CertificateEntry `json:"certificates"`
}

type CertificateEntry struct {
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

	Authority bool `json:"-"`
}

// Check is a line of peer doctor.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Text   string `json:"text"`
	Remedy string `json:"remedy"` // empty where OK
}

// Notice is progress, which only people are told.
type Notice struct{ Text string }

func (Session) name() string        { return "session" }
func (Peers) name() string          { return "peers" }
func (Conversation) name() string   { return "conversation" }
func (Message) name() string        { return "message" }
func (Receipt) name() string        { return "receipt" }
func (State) name() string          { return "state" }
func (Store) name() string          { return "store" }
func (HistoryEntry) name() string   { return "history-entry" }
func (HistoryMachine) name() string { return "history-machine" }
func (History) name() string        { return "history" }
func (Checked) name() string        { return "checked" }
func (Done) name() string           { return "done" }
func (Whois) name() string          { return "whois" }
func (Transcript) name() string     { return "transcript" }
func (Evidence) name() string       { return "evidence" }
func (Fork) name() string           { return "fork" }
func (Proved) name() string         { return "proved" }
func (Connected) name() string      { return "connected" }
func (Ciphers) name() string        { return "ciphers" }
func (Menu) name() string           { return "menu" }
func (Refused) name() string        { return "refused" }
func (Warning) name() string        { return "warning" }
func (Failure) name() string        { return "error" }
func (Reader) name() string         { return "reader" }
func (Check) name() string          { return "check" }
func (Notice) name() string         { return "" }

// timeForm is RFC 3339 with milliseconds.
const timeForm = "2006-01-02T15:04:05.000Z07:00"

func PeersOf(people []peer.Person) Peers {
	e := Peers{Peers: []PeerEntry{}}
	for _, p := range people {
		state := "none"
		if p.Conversation != nil {
			state = "open"
		}
		e.Peers = append(e.Peers, PeerEntry{p.ID, p.Name, p.Identity, p.Level.Rank, p.Level.Compartments, state, p.Send})
	}
	return e
}

func MessageOf(p peer.Person, m *peer.Message) Message {
	return Message{ID: p.ID, Seq: m.Number, Text: m.Text, SentAt: m.SentAt.UTC().Format(timeForm), Label: m.Label.Rank,
		Compartments: m.Label.Compartments, Labelled: m.Labelled, person: p.Name, sent: m.SentAt}
}

// HistoryOf is an entry as it is shown.
func HistoryOf(e store.Entry) HistoryEntry {
	t := &e.Text
	h := HistoryEntry{Name: e.Name, Identity: e.With, Direction: "out", Seq: t.Number, Message: hex.EncodeToString(t.ID[:]), Text: t.Text,
		SentAt: t.Time.UTC().Format(timeForm), StoredAt: e.At.UTC().Format(timeForm), Label: t.Label.Rank, Compartments: t.Label.Compartments,
		Labelled: t.Labelled, State: e.State, Verification: e.Verification(), sent: t.Time}
	switch e.State {
	case store.Received:
		h.Direction = "in"
	case store.Failed:
		h.Reason = e.Reason.String()
	}
	return h
}

// HistoryMachineOf is a change from one machine of a contact's to the next.
func HistoryMachineOf(c *store.Contact, before, now store.Stay) HistoryMachine {
	h := HistoryMachine{Name: c.Name(), Identity: c.Identity, Before: before.Description, Now: now.Description, since: now.Since}
	if !now.Since.IsZero() {
		h.Since = now.Since.UTC().Format(timeForm)
	}
	return h
}

// TranscriptOf is the code to compare with somebody.
func TranscriptOf(p peer.Person, c peer.Comparison) Transcript {
	return Transcript{p.ID, p.Name, c.Code, c.Sent, c.Received, c.Waiting}
}

// MissedOf is a message that came before the program was started.
func MissedOf(m *peer.Missed) Message {
	e := MessageOf(peer.Person{Name: m.Name}, &m.Message)
	e.Earlier, e.Name, e.Identity = true, m.Name, m.Identity
	return e
}

func FailureOf(t trouble.Trouble) Failure {
	return Failure{Code: t.Code, Text: t.Text(), what: t.What, advice: t.Advice}
}
