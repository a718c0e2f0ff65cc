// Package peer is the client library: it logs in at a relay with a card, lists who is there, and talks.
//
// Most readers need Login, Session.Next, Session.Connect, Conversation.Send and Conversation.Next:
//
//	s, err := peer.Login(ctx, peer.Config{Relay: "relay.example:7443", Card: card, Policy: policy})
//	people, err := s.List(ctx)
//	c, err := s.Connect(ctx, people[0].ID, nil)
//	number, err := c.Send(ctx, "Bom dia")
//	event, err := c.Next(ctx) // *Message, *Receipt, *Warning, and at the end *Closed
//
// A message is acknowledged to its author when Next has handed it out, so a program that stops calling Next slows its
// contact down and nobody else.
package peer

import (
	"fmt"
	"log/slog"
	"net"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/revocation"
	"sinete/peer/store"
	"sinete/transport/channel"
	"sinete/wire"
)

// Signing is who seals for the person: the card each time, or a key that the card delegated to at login (protocol.md section 4.5).
type Signing string

const (
	SignAuto      Signing = "auto" // delegated where the card wants its PIN at each signature (cardauth.Demanding), else card
	SignCard      Signing = "card"
	SignDelegated Signing = "delegated"
)

// by is who seals with that card.
func (s Signing) by(c cardauth.Card) Signing {
	if s == SignCard || s == SignDelegated {
		return s
	}
	if d, ok := c.(cardauth.Demanding); ok && d.PINEachTime() {
		return SignDelegated
	}
	return SignCard
}

// Config is what a login needs. Relay, Card and Policy must be set.
type Config struct {
	Relay     string // host:port
	RelayName string // the name that the relay's certificate must carry; empty: the host of Relay
	Card      cardauth.Card
	Policy    *cardauth.Policy
	Suites    []wire.Suite // offered, on the hop and in conversations; empty: all
	MinSuite  wire.Suite   // none weaker is ever offered or taken, Connect's included; 0: any
	Sign      Signing      // empty: SignAuto
	Standing  *Standing    // of a session whose connection was lost: logs in with its delegation; nil: with the card
	Store     *store.Store // what outlives a session; nil: a new one in memory
	Machine   *Machine     // nil: ThisMachine without a secret
	Limits    wire.RekeyLimits
	Recheck   time.Duration // how long after a revocation a session or conversation with that certificate ends at the latest; 0: 15 minutes
	Logger    *slog.Logger  // nil: none
	// Socket, if not nil, gives the socket and the relay's address in place of a UDP socket and a name look-up.
	Socket func() (net.PacketConn, net.Addr, error)
}

func (c *Config) complete() error {
	if c.Card == nil || c.Policy == nil {
		return fmt.Errorf("peer: a login needs a card and a policy")
	}
	c.Sign = c.Sign.by(c.Card)
	if c.RelayName == "" {
		host, _, err := net.SplitHostPort(c.Relay)
		if err != nil {
			return &AddressError{c.Relay, err}
		}
		c.RelayName = host
	}
	if len(c.Suites) == 0 {
		c.Suites = channel.Suites()
	}
	if c.Suites = wire.SuitesAtLeast(c.Suites, c.MinSuite); len(c.Suites) == 0 {
		return wire.Errorf(wire.CodeSuiteUnsupported, "every suite offered is weaker than %v", c.MinSuite)
	}
	if c.Store == nil {
		c.Store = store.NewMemory()
	}
	if c.Machine == nil {
		c.Machine = ThisMachine(nil)
	}
	if c.Limits == (wire.RekeyLimits{}) {
		c.Limits = wire.RekeyLimits{Messages: wire.DefaultRekeyCount, Seconds: wire.DefaultRekeyAfter}
	}
	if c.Recheck == 0 {
		c.Recheck = revocation.DefaultRecheck
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// AddressError says that a relay's address is not of the form host:port, or that its name has no address.
type AddressError struct {
	Address string
	Err     error
}

func (e *AddressError) Error() string { return "relay address " + e.Address + ": " + e.Err.Error() }
func (e *AddressError) Unwrap() error { return e.Err }

// RefusedError says that the relay refused a request; the session goes on.
type RefusedError struct {
	Number wire.Code
	Suites []wire.Suite // of the other person, with CodeSuiteUnsupported
}

func (e *RefusedError) Error() string { return "the relay refused: " + e.Number.String() }

// Code returns the number.
func (e *RefusedError) Code() wire.Code { return e.Number }

// Person is somebody who is logged in.
type Person struct {
	ID       uint32 // small number, for as long as the relay runs
	Name     string // from their certificate
	Identity string // protocol.md section 7.1
	Level    wire.Level
	Suites   []wire.Suite
	Send     bool // the flow policy lets this user write to them
	// Conversation is the open one with them, nil if there is none.
	Conversation *Conversation
	Certificate  [32]byte // SHA-256 of it
}

func (s *Session) person(e wire.PeerEntry) Person {
	return Person{ID: e.ID, Name: e.Name, Identity: e.Identity, Level: e.Level, Suites: e.Suites, Send: e.Send,
		Conversation: s.with(e.Identity), Certificate: e.Certificate}
}

// LabelError says that nothing may go out under a label in a conversation. Code is CodeLabelDenied where the relay gives this user no right to label
// below their level, else CodeFlowDenied: the label is not below that level (wire.Level.Dominates), or the policy does not let it through to the other person.
type LabelError struct {
	Label, Own wire.Level // Own is this user's level in the conversation
	Number     wire.Code
}

func (e *LabelError) Error() string {
	return fmt.Sprintf("nothing goes out under label %v from level %v: %v", e.Label, e.Own, e.Number)
}

// Code returns the number.
func (e *LabelError) Code() wire.Code { return e.Number }

// Stage is how far a message has come, by its receipts (section 6).
type Stage string

const (
	StageRelay Stage = "relay" // H1
	StagePeer  Stage = "peer"  // H3
)

// Known says what is remembered of a contact's machine.
type Known string

const (
	MachineNew     Known = "new"
	MachineKnown   Known = "known"
	MachineChanged Known = "changed"
)

// Event is one of the structs below, as a pointer.
type Event interface{ event() }

// Opened tells of a conversation that is established, whoever asked for it. From Session.Next.
type Opened struct{ Conversation *Conversation }

// LevelChanged tells that the relay has given this user another level. Conversations end and are made again under it, as far as the flow
// policy allows. From Session.Next.
type LevelChanged struct{ Level wire.Level }

// Away tells that the session has ended for now: presence.Presence tries to come back. From its Next.
type Away struct{ Err error }

// Back tells that there is a session again. The numbers of people may be others than before. From presence.Presence.Next.
type Back struct{ Session *Session }

// GivenUp tells that a conversation which broke is not made again by itself any more. From presence.Presence.Next.
type GivenUp struct {
	Person Person
	Number wire.Code // what stood in the way last
}

// SessionClosed is the last event of a session.
type SessionClosed struct{ Err error } // nil: this side left in order

// Message is a text that has been verified: both its seals, its commitment and its author.
type Message struct {
	Number uint64 // of this author's messages to this user, from 0
	ID     [16]byte
	Text   string
	SentAt time.Time // the author's clock
	Label  wire.Level
	// Labelled: the author chose the label, which is below their level.
	Labelled bool
}

// Missed is a message that came in an earlier life of the store, and that nobody took then. From Session.Next, before anything else of the person's;
// where there is a conversation with them already it may come from its Next instead, as a Message.
type Missed struct {
	Identity, Name string
	Message        Message

	handed handed
}

// Shown notes that the person has the message: until then the next life hands it out again. presence.Presence.Next does that by itself.
func (m *Missed) Shown() { m.handed.shown() }

// Receipt tells how far one's own messages have come: everything up to Number but what has failed.
type Receipt struct {
	Number uint64
	Stage  Stage
}

// Progress tells that one's own messages from First to Last have come to a state without a receipt: store.Sent, or store.Failed for Reason.
type Progress struct {
	First, Last uint64
	State       store.State
	Reason      wire.Code
}

// MachineStatement tells which machine the other speaks from.
type MachineStatement struct {
	Known       Known
	Description string // empty where the flow policy closes their direction
	Before      string // description of the machine known before, with MachineChanged
}

// MachineChangeNoticed tells that the other's program has noticed that this user speaks from another machine than before.
type MachineChangeNoticed struct {
	Before string // description of the machine that they knew; empty where it is not known, or the flow policy closes their direction
}

// Rekeyed tells that a conversation has taken new keys.
type Rekeyed struct{ Epoch uint64 }

// Warning is something a person should know and nothing has ended by. Code is a stable word.
type Warning struct{ Code, Text string }

// DivergedError says that the two sides' views of what was said differ: a head that the other side sealed names what is not so here.
type DivergedError = channel.DivergedError

// Closed is the last event of a conversation.
type Closed struct {
	Number wire.Code // CodeBye: this side ended it; CodePeerLeft: the other did
	// Why is what this side found wrong, and ended it for; nil where it was otherwise. A *DivergedError names what differs.
	Why    error
	Queued int // messages that are not confirmed and stay queued for the next conversation with them
	// Verified is the number of their last message whose seals were verified; nil where none came.
	Verified *uint64
}

func (*Opened) event()               {}
func (*LevelChanged) event()         {}
func (*SessionClosed) event()        {}
func (*Away) event()                 {}
func (*Back) event()                 {}
func (*GivenUp) event()              {}
func (*Message) event()              {}
func (*Missed) event()               {}
func (*Receipt) event()              {}
func (*Progress) event()             {}
func (*MachineStatement) event()     {}
func (*MachineChangeNoticed) event() {}
func (*Rekeyed) event()              {}
func (*Warning) event()              {}
func (*Closed) event()               {}
