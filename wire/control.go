package wire

import (
	"encoding/binary"
	"fmt"
)

// ControlKind is the first byte of a control message (protocol.md section 7.2).
type ControlKind uint8

const (
	ControlList         ControlKind = 0x01
	ControlPeers        ControlKind = 0x02
	ControlConnect      ControlKind = 0x03
	ControlRinging      ControlKind = 0x04
	ControlRefused      ControlKind = 0x05
	ControlOpen         ControlKind = 0x06
	ControlDisconnect   ControlKind = 0x07
	ControlDone         ControlKind = 0x08
	ControlClosed       ControlKind = 0x09
	ControlWriteRequest ControlKind = 0x0a
	ControlBye          ControlKind = 0x0b
	ControlGoingAway    ControlKind = 0x0c
	ControlLevel        ControlKind = 0x0d
)

// Control is one of the messages below, by value. No type outside this package is one.
type Control interface {
	// Append appends the message with its kind.
	Append(b []byte) []byte
	message()
}

// List asks who is logged in.
type List struct{ Req uint64 }

// Peers answers a List, in as many messages as it takes.
type Peers struct {
	Req     uint64
	More    bool // another message with the same Req follows
	Entries []PeerEntry
}

// PeerEntry is one person who is logged in.
type PeerEntry struct {
	ID          uint32 // from 1
	Name        string
	Identity    string
	Certificate [32]byte // SHA-256 of the DER
	Level       Level
	Suites      []Suite
	Send        bool // the reader of the entry may write there
}

// Connect asks for a conversation.
type Connect struct {
	Req    uint64
	ID     uint32
	Suites []Suite
}

// Ringing answers a Connect: the conversation's streams are being opened.
type Ringing struct {
	Req          uint64
	Conversation [16]byte
}

// Refused answers any request.
type Refused struct {
	Req    uint64
	Number Code
	Suites []Suite // of the other side, where Number is CodeSuiteUnsupported
}

// Open is the first envelope of a conversation's stream (section 7.3).
type Open struct {
	Conversation [16]byte
	Role         Role // of the reader
	MayWrite     bool // the reader may
	OtherMay     bool
	Level        Level // the reader's, as long as the conversation lasts
	Other        PeerEntry
}

// Disconnect ends a conversation.
type Disconnect struct {
	Req          uint64
	Conversation [16]byte
	Number       Code // CodeBye: the person ended it
}

// Done answers a request that asks for nothing.
type Done struct{ Req uint64 }

// Closed tells that a conversation has ended.
type Closed struct {
	Conversation [16]byte
	Number       Code
}

// WriteRequest asks to write in a closed direction (section 8).
type WriteRequest struct {
	Req          uint64
	Conversation [16]byte
	Label        Level
}

// Bye leaves; the relay answers with the same.
type Bye struct{}

// GoingAway tells that the relay closes.
type GoingAway struct{ Seconds uint16 }

// OwnLevel tells the peer its level from now on (section 8).
type OwnLevel struct{ Level Level }

func (List) message()         {}
func (Peers) message()        {}
func (Connect) message()      {}
func (Ringing) message()      {}
func (Refused) message()      {}
func (Open) message()         {}
func (Disconnect) message()   {}
func (Done) message()         {}
func (Closed) message()       {}
func (WriteRequest) message() {}
func (Bye) message()          {}
func (GoingAway) message()    {}
func (OwnLevel) message()     {}

func (m List) Append(b []byte) []byte { return AppendVarint(append(b, byte(ControlList)), m.Req) }

func (m Peers) Append(b []byte) []byte {
	b = AppendVarint(append(b, byte(ControlPeers)), m.Req)
	b = appendFlag(b, m.More)
	b = AppendVarint(b, uint64(len(m.Entries)))
	for i := range m.Entries {
		b = m.Entries[i].append(b)
	}
	return b
}

func (e *PeerEntry) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, e.ID)
	b = appendOpaque8(b, []byte(e.Name))
	b = appendOpaque8(b, []byte(e.Identity))
	b = append(b, e.Certificate[:]...)
	b = e.Level.Append(b)
	b = appendSuites(b, e.Suites)
	return appendFlag(b, e.Send)
}

func (r *reader) peerEntry() PeerEntry {
	return PeerEntry{r.peerID(), r.text8(MaxName), r.text8(MaxIdentity), r.hash(), r.level(), r.suites(1), r.flag()}
}

// peerID reads the number of a person in the list, which counts from 1.
func (r *reader) peerID() uint32 {
	id := r.u32()
	if r.err == nil && id == 0 {
		r.fail("an id of 0")
	}
	return id
}

func (m Connect) Append(b []byte) []byte {
	b = AppendVarint(append(b, byte(ControlConnect)), m.Req)
	return appendSuites(binary.BigEndian.AppendUint32(b, m.ID), m.Suites)
}

func (m Ringing) Append(b []byte) []byte {
	return append(AppendVarint(append(b, byte(ControlRinging)), m.Req), m.Conversation[:]...)
}

func (m Refused) Append(b []byte) []byte {
	b = AppendVarint(append(b, byte(ControlRefused)), m.Req)
	return appendSuites(binary.BigEndian.AppendUint16(b, uint16(m.Number)), m.Suites)
}

func (m Open) Append(b []byte) []byte {
	b = append(append(b, byte(ControlOpen)), m.Conversation[:]...)
	b = appendFlag(appendFlag(append(b, byte(m.Role)), m.MayWrite), m.OtherMay)
	return m.Other.append(m.Level.Append(b))
}

func (m Disconnect) Append(b []byte) []byte {
	b = AppendVarint(append(b, byte(ControlDisconnect)), m.Req)
	return binary.BigEndian.AppendUint16(append(b, m.Conversation[:]...), uint16(m.Number))
}

func (m Done) Append(b []byte) []byte { return AppendVarint(append(b, byte(ControlDone)), m.Req) }

func (m Closed) Append(b []byte) []byte {
	b = append(append(b, byte(ControlClosed)), m.Conversation[:]...)
	return binary.BigEndian.AppendUint16(b, uint16(m.Number))
}

func (m WriteRequest) Append(b []byte) []byte {
	b = AppendVarint(append(b, byte(ControlWriteRequest)), m.Req)
	return m.Label.Append(append(b, m.Conversation[:]...))
}

func (m Bye) Append(b []byte) []byte { return append(b, byte(ControlBye)) }

func (m GoingAway) Append(b []byte) []byte {
	return binary.BigEndian.AppendUint16(append(b, byte(ControlGoingAway)), m.Seconds)
}

func (m OwnLevel) Append(b []byte) []byte { return m.Level.Append(append(b, byte(ControlLevel))) }

// ParseControl reads exactly one control message.
func ParseControl(b []byte) (Control, error) {
	r := &reader{what: "control message", b: b}
	m := r.control()
	if err := r.done(); err != nil {
		return nil, err
	}
	return m, nil
}

func (r *reader) control() Control {
	switch k := ControlKind(r.u8()); k {
	case ControlList:
		return List{r.varint()}
	case ControlPeers:
		m := Peers{Req: r.varint(), More: r.flag()}
		n := r.varint()
		if r.err == nil && n > MaxPeersEntries {
			r.fail("too many entries")
		}
		for i := uint64(0); i < n && r.err == nil; i++ {
			m.Entries = append(m.Entries, r.peerEntry())
		}
		return m
	case ControlConnect:
		return Connect{r.varint(), r.peerID(), r.suites(1)}
	case ControlRinging:
		return Ringing{r.varint(), r.bytes16()}
	case ControlRefused:
		m := Refused{r.varint(), Code(r.u16()), r.suites(0)}
		if r.err == nil && (m.Number == CodeSuiteUnsupported) != (len(m.Suites) > 0) {
			r.fail("suites with another code than suite-unsupported, or none with it")
		}
		return m
	case ControlOpen:
		m := Open{Conversation: r.bytes16(), Role: Role(r.u8()), MayWrite: r.flag(), OtherMay: r.flag(), Level: r.level(),
			Other: r.peerEntry()}
		if r.err == nil && m.Role != RoleInitiator && m.Role != RoleResponder {
			r.fail("no such role")
		}
		return m
	case ControlDisconnect:
		return Disconnect{r.varint(), r.bytes16(), Code(r.u16())}
	case ControlDone:
		return Done{r.varint()}
	case ControlClosed:
		return Closed{r.bytes16(), Code(r.u16())}
	case ControlWriteRequest:
		return WriteRequest{r.varint(), r.bytes16(), r.level()}
	case ControlBye:
		return Bye{}
	case ControlGoingAway:
		return GoingAway{r.u16()}
	case ControlLevel:
		return OwnLevel{r.level()}
	default:
		r.fail(fmt.Sprintf("unknown kind %#02x", uint8(k)))
		return nil
	}
}
