package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"
)

// Version is the protocol's version, as hello offers it.
const Version uint16 = 1

// Kind is the kind of a handshake (protocol.md section 3.2).
type Kind uint8

const (
	KindHop               Kind = 1
	KindConversation      Kind = 2
	KindHopRekey          Kind = 3
	KindConversationRekey Kind = 4
)

var kindNames = [...]string{"", "hop", "conversation", "hop rekey", "conversation rekey"}

func (k Kind) String() string {
	if k >= KindHop && k <= KindConversationRekey {
		return kindNames[k]
	}
	return "unknown kind"
}

// Share is a key share (section 3.1).
type Share struct {
	Group Group
	Data  []byte
}

// RekeyLimits are the numbers after which a channel takes new keys (section 9).
type RekeyLimits struct {
	Messages uint64
	Seconds  uint32
}

// Smaller returns the smaller of both sides' limits: the ones in force.
func (l RekeyLimits) Smaller(m RekeyLimits) RekeyLimits {
	return RekeyLimits{min(l.Messages, m.Messages), min(l.Seconds, m.Seconds)}
}

func (l RekeyLimits) append(b []byte) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(b, l.Messages), l.Seconds)
}

func (r *reader) limits() RekeyLimits { return RekeyLimits{r.u64(), r.u32()} }

// Credentials are what either side shows of itself in hello and answer.
type Credentials struct {
	Chain      [][]byte // DER, leaf first, anchor left out
	Staples    [][]byte // element i speaks of certificate i; nil where there is none, and never the last
	Delegation *SealedDelegation
}

func (c Credentials) append(b []byte) []byte {
	n := 3 // counts, and that there is no delegation
	for _, der := range c.Chain {
		n += 2 + len(der)
	}
	for _, s := range c.Staples {
		n += 2 + len(s)
	}
	b = slices.Grow(b, n) // at once: it is thousands of bytes
	b = append(b, byte(len(c.Chain)))
	for _, der := range c.Chain {
		b = appendOpaque16(b, der)
	}
	b = append(b, byte(len(c.Staples)))
	for _, s := range c.Staples {
		b = appendOpaque16(b, s)
	}
	return appendDelegation(b, c.Delegation)
}

func (r *reader) credentials() (c Credentials) {
	for range r.count(1, MaxChain) {
		der := r.opaque16()
		if len(der) == 0 || len(der) > MaxCertificate {
			r.fail("a certificate of no or too many bytes")
		}
		c.Chain = append(c.Chain, der)
	}
	for range r.count(0, len(c.Chain)) {
		s := r.opaque16()
		if len(s) > MaxStaple {
			r.fail("a staple of too many bytes")
		}
		c.Staples = append(c.Staples, s)
	}
	if n := len(c.Staples); n > 0 && len(c.Staples[n-1]) == 0 {
		r.fail("a last staple that is empty") // it could as well not be there: one encoding
	}
	c.Delegation = r.delegation()
	return c
}

// Hello opens a handshake (section 3.3).
type Hello struct {
	Versions []uint16
	Kind     Kind
	Suites   []Suite
	Shares   []Share
	Nonce    [32]byte
	Credentials
	Limits  RekeyLimits
	Context []byte
}

// Append appends the body of the hello frame.
func (h *Hello) Append(b []byte) []byte {
	b = append(b, byte(len(h.Versions)))
	for _, v := range h.Versions {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	b = append(b, byte(h.Kind))
	b = appendSuites(b, h.Suites)
	b = append(b, byte(len(h.Shares)))
	for _, s := range h.Shares {
		b = appendOpaque16(binary.BigEndian.AppendUint16(b, uint16(s.Group)), s.Data)
	}
	b = append(b, h.Nonce[:]...)
	b = h.Credentials.append(b)
	b = h.Limits.append(b)
	return append(b, h.Context...)
}

// ParseHello reads the body of a hello frame. Byte slices alias b.
func ParseHello(b []byte) (*Hello, error) {
	r, err := handshakeReader("hello", b)
	if err != nil {
		return nil, err
	}
	h := &Hello{}
	for range r.count(1, MaxVersions) {
		v := r.u16()
		if n := len(h.Versions); n > 0 && v <= h.Versions[n-1] {
			r.fail("versions not in ascending order")
		}
		h.Versions = append(h.Versions, v)
	}
	h.Kind = Kind(r.u8())
	if r.err == nil && (h.Kind < KindHop || h.Kind > KindConversationRekey) {
		r.fail("no such kind")
	}
	h.Suites = r.suites(1)
	for range r.count(1, MaxShares) {
		s := Share{Group: Group(r.u16()), Data: r.opaque16()}
		if n := len(h.Shares); n > 0 && s.Group <= h.Shares[n-1].Group {
			r.fail("shares not in ascending order")
		}
		h.Shares = append(h.Shares, s)
	}
	h.Nonce = r.hash()
	h.Credentials = r.credentials()
	h.Limits = r.limits()
	h.Context = r.rest()
	return h, r.done()
}

// Answer is the responder's choice and challenge (section 3.4).
type Answer struct {
	Version uint16
	Suites  []Suite
	Suite   Suite
	Share   Share
	Nonce   [32]byte
	Credentials
}

// Append appends the body of the answer frame.
func (a *Answer) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, a.Version)
	b = appendSuites(b, a.Suites)
	b = binary.BigEndian.AppendUint16(b, uint16(a.Suite))
	b = appendOpaque16(binary.BigEndian.AppendUint16(b, uint16(a.Share.Group)), a.Share.Data)
	b = append(b, a.Nonce[:]...)
	return a.Credentials.append(b)
}

// ParseAnswer reads the body of an answer frame. Byte slices alias b.
func ParseAnswer(b []byte) (*Answer, error) {
	r, err := handshakeReader("answer", b)
	if err != nil {
		return nil, err
	}
	a := &Answer{Version: r.u16(), Suites: r.suites(1), Suite: Suite(r.u16())}
	a.Share = Share{Group: Group(r.u16()), Data: r.opaque16()}
	a.Nonce = r.hash()
	a.Credentials = r.credentials()
	return a, r.done()
}

// Proof is the initiator's signature (section 3.5).
type Proof struct {
	Seal       Seal
	Delegation *SealedDelegation // only where it is made at this login
	MAC        []byte            // of any length here: one that is not of the suite's is a wrong one
}

// Append appends the body of the proof frame.
func (p *Proof) Append(b []byte) []byte {
	b = p.Seal.Append(b)
	b = appendDelegation(b, p.Delegation)
	return appendOpaque8(b, p.MAC)
}

// ParseProof reads the body of a proof frame. Byte slices alias b.
func ParseProof(b []byte) (*Proof, error) {
	r, err := handshakeReader("proof", b)
	if err != nil {
		return nil, err
	}
	p := &Proof{Seal: r.seal(), Delegation: r.delegation(), MAC: r.opaque8()}
	return p, r.done()
}

// Accept is the responder's signature (section 3.6).
type Accept struct {
	Parameters []byte // as sent: encrypted on the hop
	Seal       Seal
	MAC        []byte
}

// Append appends the body of the accept frame.
func (a *Accept) Append(b []byte) []byte {
	b = appendOpaque16(b, a.Parameters)
	b = a.Seal.Append(b)
	return appendOpaque8(b, a.MAC)
}

// ParseAccept reads the body of an accept frame. Byte slices alias b.
func ParseAccept(b []byte) (*Accept, error) {
	r, err := handshakeReader("accept", b)
	if err != nil {
		return nil, err
	}
	a := &Accept{Parameters: r.opaque16(), Seal: r.seal(), MAC: r.opaque8()}
	return a, r.done()
}

func handshakeReader(what string, b []byte) (*reader, error) {
	if len(b) > MaxHandshake {
		return nil, Errorf(CodeLimitExceeded, "a handshake message of %d bytes", len(b))
	}
	return &reader{what: what, b: b}, nil
}

// HopParameters are what the relay tells in accept (section 3.6).
type HopParameters struct {
	Session [16]byte
	Limits  RekeyLimits
	Level   Level
	Relay   string // display name
}

// Append appends the parameters in clear.
func (p *HopParameters) Append(b []byte) []byte {
	b = append(b, p.Session[:]...)
	b = p.Limits.append(b)
	b = p.Level.Append(b)
	return appendOpaque8(b, []byte(p.Relay))
}

// ParseHopParameters reads decrypted hop parameters.
func ParseHopParameters(b []byte) (*HopParameters, error) {
	r := &reader{what: "hop parameters", b: b}
	p := &HopParameters{Session: r.bytes16(), Limits: r.limits(), Level: r.level(), Relay: r.text8(MaxName)}
	return p, r.done()
}

// AppendConversationParameters appends a conversation's parameters: the limits in force.
func AppendConversationParameters(b []byte, l RekeyLimits) []byte { return l.append(b) }

// ParseConversationParameters reads a conversation's parameters.
func ParseConversationParameters(b []byte) (RekeyLimits, error) {
	r := &reader{what: "conversation parameters", b: b}
	l := r.limits()
	return l, r.done()
}

// HopContext is the context of a hop's handshake (section 3.2).
type HopContext struct {
	Binding [32]byte // section 1.1
	Relay   string   // the name the initiator means
}

// Append appends the context.
func (c HopContext) Append(b []byte) []byte {
	return appendOpaque8(append(b, c.Binding[:]...), []byte(c.Relay))
}

// ParseHopContext reads a hop's context.
func ParseHopContext(b []byte) (HopContext, error) {
	r := &reader{what: "hop context", b: b}
	c := HopContext{r.hash(), r.text8(MaxName)}
	return c, r.done()
}

// ConversationContext is the context of a conversation's handshake (section 3.2).
type ConversationContext struct {
	Conversation [16]byte
	Asking       string // identity
	AskedFor     string // identity
}

// Append appends the context.
func (c ConversationContext) Append(b []byte) []byte {
	b = append(b, c.Conversation[:]...)
	b = appendOpaque8(b, []byte(c.Asking))
	return appendOpaque8(b, []byte(c.AskedFor))
}

// ParseConversationContext reads a conversation's context.
func ParseConversationContext(b []byte) (ConversationContext, error) {
	r := &reader{what: "conversation context", b: b}
	c := ConversationContext{r.bytes16(), r.text8(MaxIdentity), r.text8(MaxIdentity)}
	return c, r.done()
}

// TH2 is the transcript hash that the initiator seals (section 3.7), from the bodies of hello and answer.
func TH2(h hash.Hash, k Kind, hello, answer []byte) []byte {
	return transcriptHash(h, k, "initiator", hello, answer)
}

// TH3 is the transcript hash that the responder seals, from TH2, the body of proof, and the parameters as sent.
func TH3(h hash.Hash, k Kind, th2, proof, parameters []byte) []byte {
	return transcriptHash(h, k, "responder", th2, proof, parameters)
}

// TH is the transcript hash of the whole handshake, from TH3, the responder's seal as encoded, and its MAC.
func TH(h hash.Hash, k Kind, th3, seal, mac []byte) []byte {
	return transcriptHash(h, k, "channel", th3, seal, mac)
}

func transcriptHash(h hash.Hash, k Kind, role string, parts ...[]byte) []byte {
	h.Reset()
	h.Write([]byte("sinete/1 " + k.String() + " " + role + "\x00"))
	for _, p := range parts {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(p)))
		h.Write(n[:])
		h.Write(p)
	}
	return h.Sum(nil)
}

// MACInput is what the MACs of proof and accept cover (section 3.9): th is TH2 or TH3, certificate and delegation (nil if
// none) those of the side that seals.
func MACInput(th, certificate []byte, seal Seal, delegation *SealedDelegation) []byte {
	b := AppendLen32(nil, th)
	b = AppendLen32(b, certificate)
	b = AppendLen32(b, seal.Append(nil))
	var d []byte
	if delegation != nil {
		d = delegation.Statement
	}
	return AppendLen32(b, d)
}

// ChannelID is the id of the channel whose first epoch has this TH.
func ChannelID(th []byte) [32]byte { return sha256.Sum256(th) }
