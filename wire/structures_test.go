package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"testing"
)

// structure is one parser with its Append and values that both must agree on. The table of them drives the loops, the fuzz
// targets and the vectors.
type structure struct {
	name    string
	samples []sample
	// reencode parses and appends again; value is what was parsed.
	reencode func(b []byte) (value any, again []byte, err error)
}

type sample struct {
	name  string
	value any
	bytes []byte
	tail  int // bytes at the end that may be missing, because a rest stands there
}

func of[T any](name string, encode func(T, []byte) []byte, parse func([]byte) (T, error), values ...named[T]) structure {
	s := structure{name: name, reencode: func(b []byte) (any, []byte, error) {
		v, err := parse(b)
		if err != nil {
			return nil, nil, err
		}
		return v, encode(v, nil), nil
	}}
	for _, v := range values {
		s.samples = append(s.samples, sample{v.name, v.value, encode(v.value, nil), tail(v.value)})
	}
	return s
}

type named[T any] struct {
	name  string
	value T
}

func tail(v any) int {
	switch v := v.(type) {
	case *Hello:
		return len(v.Context)
	case Envelope:
		return len(v.Ciphertext) - MinCiphertext
	case *Content:
		return max(len(v.Text)-1, 0)
	}
	return 0
}

var structures = []structure{
	of("varint", func(v uint64, b []byte) []byte { return AppendVarint(b, v) }, parseWholeVarint, varints...),
	of("frame", Frame.Append, ParseFrame, frames...),
	of("hello", (*Hello).Append, ParseHello, hellos...),
	of("answer", (*Answer).Append, ParseAnswer, answers...),
	of("proof", (*Proof).Append, ParseProof, proofs...),
	of("accept", (*Accept).Append, ParseAccept, accepts...),
	of("hop-parameters", (*HopParameters).Append, ParseHopParameters, hopParameters...),
	of("conversation-parameters", func(l RekeyLimits, b []byte) []byte { return AppendConversationParameters(b, l) },
		ParseConversationParameters, conversationParameters...),
	of("hop-context", HopContext.Append, ParseHopContext, hopContexts...),
	of("conversation-context", ConversationContext.Append, ParseConversationContext, conversationContexts...),
	of("rekey-context", RekeyContext.Append, ParseRekeyContext,
		named[RekeyContext]{"sha256", RekeyContext{data32("channel"), data("th", 32)}}, named[RekeyContext]{"sha384", RekeyContext{data32("channel"), data("th", 48)}}),
	of("switched", (*Switched).Append, ParseSwitched, switches...),
	of("rekey-please", RekeyPlease.Append, ParseRekeyPlease, named[RekeyPlease]{"first", RekeyPlease{0, data32("mac")}},
		named[RekeyPlease]{"later", RekeyPlease{64, data32("mac")}}),
	of("seal", Seal.Append, ParseSeal, seals...),
	of("seal-frame", SealFrame.Append, ParseSealFrame, sealFrames...),
	of("delegation", Delegation.Append, ParseDelegation, delegations...),
	of("head", Head.Append, ParseHead, heads...),
	of("envelope", func(e Envelope, b []byte) []byte { return append(e.Header.Append(b), e.Ciphertext...) }, ParseEnvelope, envelopes...),
	of("content", (*Content).Append, ParseContent, contents...),
	of("texts", appendCountedTexts, parseCountedTexts, severalTexts...),
	of("machine", MachineFrame.Append, ParseMachineFrame, named[MachineFrame]{"ok", MachineFrame{data32("hash"), data32("mac")}}),
	of("control", Control.Append, ParseControl, controls...),
	of("probe", func(v [8]byte, b []byte) []byte { return append(b, v[:]...) }, ParseProbe, named[[8]byte]{"ok", [8]byte(data("nonce", 8))}),
	of("waiting", func(v WaitingFor, b []byte) []byte { return append(b, byte(v)) }, ParseWaiting,
		named[WaitingFor]{"card", WaitingForCard}, named[WaitingFor]{"pin", WaitingForPIN}),
	of("audit-head", AuditHead.Append, ParseAuditHead,
		named[AuditHead]{"first", AuditHead{data16("log"), 1, data32("root")}},
		named[AuditHead]{"far", AuditHead{data16("log"), 1<<64 - 1, data32("root")}}),
	of("alive", Alive.Append, ParseAlive, named[Alive]{"ok", Alive{}}),
}

func structureOf(t testing.TB, name string) structure {
	t.Helper()
	for _, s := range structures {
		if s.name == name {
			return s
		}
	}
	t.Fatalf("no structure %q", name)
	return structure{}
}

// bytesOf returns the encoding of a sample, for a test to damage.
func bytesOf(structure, sample string) []byte {
	for _, s := range structures {
		for _, v := range s.samples {
			if s.name == structure && v.name == sample {
				return append([]byte(nil), v.bytes...)
			}
		}
	}
	panic("no sample " + structure + " " + sample)
}

func parseWholeVarint(b []byte) (uint64, error) {
	v, n, err := ParseVarint(b)
	if err == nil && (n == 0 || n != len(b)) {
		err = &MalformedError{"varint", "too short or trailing bytes"}
	}
	return v, err
}

// appendCountedTexts and parseCountedTexts put the number of texts before them, which only the header of their envelope knows.
func appendCountedTexts(texts []Content, b []byte) []byte {
	return AppendTexts(append(b, byte(len(texts))), texts)
}

func parseCountedTexts(b []byte) ([]Content, error) {
	r := &reader{what: "texts", b: b}
	n := r.count(2, MaxTexts)
	if r.err != nil {
		return nil, r.err
	}
	return ParseTexts(r.b, n)
}

var varints = []named[uint64]{{"0", 0}, {"63", 63}, {"64", 64}, {"16383", 1<<14 - 1}, {"16384", 1 << 14}, {"2^30-1", 1<<30 - 1},
	{"2^30", 1 << 30}, {"max", maxVarint}}

var frames = []named[Frame]{
	{"probe", Frame{FrameProbe, data("nonce", 8)}},
	{"empty", Frame{FrameSwitched, []byte{}}},
	{"two-byte-length", Frame{FrameEnvelope, data("body", 64)}},
}

var switches = []named[*Switched]{
	{"idle", &Switched{Epoch: 1, MAC: data32("mac")}},
	{"conversation", &Switched{Epoch: 2, Lanes: []LaneEnd{{0, 1 << 20}}, MAC: data32("mac")}},
	{"hop", &Switched{Epoch: 300, Lanes: []LaneEnd{{0, 7}, {1, 1}, {509, 65}}, MAC: data32("mac")}},
}

// data makes n bytes that are the same in each run and different for each label.
func data(label string, n int) []byte {
	b := make([]byte, 0, n+32)
	for i := uint32(0); len(b) < n; i++ {
		h := sha256.Sum256(binary.BigEndian.AppendUint32([]byte(label), i))
		b = append(b, h[:]...)
	}
	return b[:n:n]
}

func data16(label string) [16]byte { return [16]byte(data(label, 16)) }
func data32(label string) [32]byte { return [32]byte(data(label, 32)) }

func sampleSeal(label string, scheme Scheme, leaves, index uint32) Seal {
	s := Seal{Scheme: scheme, Signature: data(label+" signature", 64), Time: 1_790_000_000, Leaves: leaves, Index: index, Salt: data16(label + " salt")}
	for i := range bits.Len32(leaves) - 1 {
		s.Path = append(s.Path, data32(label+" path "+string(rune('0'+i))))
	}
	return s
}

func sampleDelegation(label string) *SealedDelegation {
	d := Delegation{data32(label + " key"), 1<<PurposeInitiator | 1<<PurposeResponder | 1<<PurposeHead, 1_790_040_000, "relay.example"}
	return &SealedDelegation{d.Append(nil), sampleSeal(label, SchemeP256, 2, 1)}
}

const (
	alice = "PNOES-11111111@0123456789abcdef"
	bob   = "mailto:bob%40example.org@fedcba9876543210"
)

var (
	offer      = []Suite{SuiteX25519MLKEM768AES256GCM, SuiteX25519AES256GCM, 0x7a7a}
	bothShares = []Share{{GroupX25519, data("x25519", 32)}, {GroupX25519MLKEM768, data("mlkem", 1216)}}
	secret     = Level{3, []string{"crypto", "ops-7"}}

	hopContexts          = []named[HopContext]{{"ok", HopContext{data32("binding"), "relay.example"}}, {"empty-name", HopContext{}}}
	conversationContexts = []named[ConversationContext]{
		{"ok", ConversationContext{data16("conversation"), alice, bob}},
		{"not-ascii", ConversationContext{data16("conversation"), "é", ""}},
	}
	hellos = []named[*Hello]{
		{"hop", &Hello{[]uint16{1}, KindHop, offer, bothShares, data32("hello nonce"),
			Credentials{[][]byte{data("alice", 60), data("alice ca", 50)}, [][]byte{nil, data("staple", 20)}, nil},
			RekeyLimits{DefaultRekeyCount, DefaultRekeyAfter}, hopContexts[0].value.Append(nil)}},
		{"conversation-delegated", &Hello{[]uint16{1, 2}, KindConversation, offer[1:2], bothShares[:1], data32("hello nonce 2"),
			Credentials{[][]byte{data("alice", 60)}, nil, sampleDelegation("alice")},
			RekeyLimits{1<<64 - 1, 1<<32 - 1}, conversationContexts[0].value.Append(nil)}},
		{"shortest-context", &Hello{Versions: []uint16{0}, Kind: KindConversationRekey, Suites: []Suite{0}, Shares: []Share{{}},
			Credentials: Credentials{Chain: [][]byte{{0x30}}}, Context: RekeyContext{Channel: data32("channel")}.Append(nil)}},
	}
	answers = []named[*Answer]{
		{"hop", &Answer{1, offer[:1], SuiteX25519MLKEM768AES256GCM, Share{GroupX25519MLKEM768, data("ciphertext", 1120)}, data32("answer nonce"),
			Credentials{[][]byte{data("relay", 60)}, [][]byte{data("relay staple", 20)}, nil}}},
		{"conversation-delegated", &Answer{1, offer[1:], SuiteX25519AES256GCM, Share{GroupX25519, data("x25519 of bob", 32)}, data32("answer nonce 2"),
			Credentials{[][]byte{data("bob", 60)}, nil, sampleDelegation("bob")}}},
	}
	proofs = []named[*Proof]{
		{"sha384", &Proof{sampleSeal("proof", SchemeP384, 1, 0), nil, data("mac", 48)}},
		{"sha256-delegating", &Proof{sampleSeal("proof", SchemeRSAPSS, 2, 0), sampleDelegation("alice"), data("mac", 32)}},
		{"no-mac", &Proof{Seal: sampleSeal("proof", SchemeEd25519, 4, 3)}},
	}
	accepts = []named[*Accept]{
		{"hop", &Accept{data("encrypted", 60), sampleSeal("accept", SchemeP256, 1, 0), data("mac", 48)}},
		{"conversation", &Accept{RekeyLimits{1000, 900}.append(nil), sampleSeal("accept", SchemeRSAPKCS1, 8, 5), data("mac", 32)}},
	}
	hopParameters = []named[*HopParameters]{
		{"ok", &HopParameters{data16("session"), RekeyLimits{DefaultRekeyCount, DefaultRekeyAfter}, secret, "Relé da Praça"}},
		{"zero", &HopParameters{}},
	}
	conversationParameters = []named[RekeyLimits]{{"ok", RekeyLimits{1000, 900}}, {"most", RekeyLimits{1<<64 - 1, 1<<32 - 1}}}

	seals = []named[Seal]{
		{"one", sampleSeal("seal", SchemeP256, 1, 0)},
		{"last-of-eight", sampleSeal("seal", SchemeRSAPKCS1, 8, 7)},
		{"most-leaves", sampleSeal("seal", SchemeEd25519, MaxLeaves, MaxLeaves-1)},
		{"unknown-scheme", sampleSeal("seal", 0xffff, 1, 0)},
	}
	delegations = []named[Delegation]{
		{"ok", Delegation{data32("key"), 1<<PurposeInitiator | 1<<PurposeResponder | 1<<PurposeHead, 1_790_040_000, "relay.example"}},
		{"nothing", Delegation{}},
	}
	heads = []named[Head]{
		{"both", Head{data32("channel"), 4, RoleInitiator, &Place{0, 3, data32("mine")}, Place{0, 70, data32("yours")}}},
		{"acknowledges", Head{data32("channel"), 0, RoleResponder, nil, Place{1, 0, data32("yours")}}},
		{"most", Head{data32("channel"), maxVarint, RoleResponder, &Place{maxVarint, maxVarint, [32]byte{}}, Place{maxVarint, maxVarint, [32]byte{}}}},
	}
	sealFrames = []named[SealFrame]{
		{"one", sealFrame(1, 0)},
		{"two-of-four", sealFrame(4, 0, 2)},
	}

	envelopes = []named[Envelope]{
		{"content", envelope(Header{Seq: 5, Type: EnvelopeContent, Label: secret, Commitment: data32("commitment")}, 40)},
		{"content-bare-label", envelope(Header{Type: EnvelopeContent}, 16)},
		{"inner", envelope(Header{Epoch: 1, Seq: 64, Type: EnvelopeInner}, 60)},
		{"control", envelope(Header{Type: EnvelopeControl}, 16)},
		{"texts", envelope(textsHeader(5, secret, 2), 100)},
		{"texts-bare-label", envelope(textsHeader(0, Level{}, 2), 16)},
		{"texts-most", envelope(textsHeader(5, largest, MaxTexts), 40)},
		{"texts-far", envelope(textsHeader(maxVarint-MaxTexts, Level{}, 3), 16)},
		{"handshake-far", envelope(Header{Epoch: maxVarint, Seq: maxVarint, Type: EnvelopeHandshake}, 17)},
	}
	contents = []named[*Content]{
		{"text", &Content{data32("parties"), data16("id"), 1_790_000_000_123, ContentText, 64, "Olá,\n\tmundo 🌍", Machine{}}},
		{"text-shortest", &Content{Type: ContentText, Number: maxVarint, Text: "\x00"}},
		{"machine", &Content{data32("parties"), data16("id"), 1<<64 - 1, ContentMachine, 0, "", Machine{data32("machine"), "Ubuntu, 8 núcleos"}}},
		{"machine-undescribed", &Content{Type: ContentMachine}},
		{"noticed", &Content{data32("parties"), data16("id"), 1, ContentNoticed, 0, "", Machine{data32("machine"), "Debian, a laptop"}}},
		{"bye", &Content{data32("parties"), data16("id"), 0, ContentBye, 0, "", Machine{}}},
	}
	severalTexts = []named[[]Content]{
		{"two", []Content{*contents[0].value, {data32("parties"), data16("id of the next"), 1_790_000_000_124, ContentText, 65, "sim", Machine{}}}},
		{"shortest", []Content{{Type: ContentText, Text: "\x00"}, {Type: ContentText, Number: maxVarint, Text: "x"}}},
		{"most", manyTexts(MaxTexts, 2)},
	}
	entry    = PeerEntry{7, "Bob Antunes", bob, data32("certificate"), secret, offer, true}
	bare     = PeerEntry{ID: 1<<32 - 1, Suites: []Suite{5}}
	controls = []named[Control]{
		{"list", List{0}},
		{"peers", Peers{64, true, []PeerEntry{entry, bare}}},
		{"peers-none", Peers{1, false, nil}},
		{"connect", Connect{2, 7, offer}},
		{"ringing", Ringing{2, data16("conversation")}},
		{"refused", Refused{2, CodeFlowDenied, nil}},
		{"refused-suites", Refused{2, CodeSuiteUnsupported, offer}},
		{"open", Open{data16("conversation"), RoleInitiator, true, false, secret, entry}},
		{"open-closed", Open{data16("conversation"), RoleResponder, false, true, Level{}, bare}},
		{"disconnect", Disconnect{3, data16("conversation"), CodeBye}},
		{"done", Done{maxVarint}},
		{"closed", Closed{data16("conversation"), CodePeerLeft}},
		{"write-request", WriteRequest{4, data16("conversation"), secret}},
		{"bye", Bye{}},
		{"going-away", GoingAway{30}},
		{"level", OwnLevel{secret}},
	}
)

func sealFrame(leaves uint32, indexes ...uint32) (f SealFrame) {
	for i, index := range indexes {
		h := heads[i].value
		s := sampleSeal("seal frame", SchemeP256, leaves, index)
		f = append(f, SealEntry{s, h, h.Append(nil)})
	}
	return f
}

// textsHeader is of a texts envelope for n texts.
func textsHeader(seq uint64, label Level, n int) Header {
	h := Header{Seq: seq, Type: EnvelopeTexts, Label: label, Commitments: make([][32]byte, n)}
	for i := range h.Commitments {
		h.Commitments[i] = data32(fmt.Sprint("commitment ", i))
	}
	return h
}

// manyTexts are n texts of so many bytes each.
func manyTexts(n, length int) (texts []Content) {
	for i := range uint64(n) {
		texts = append(texts, Content{data32("parties"), data16(fmt.Sprint("id ", i)), 1_790_000_000_000 + i, ContentText, 60 + i, text(length), Machine{}})
	}
	return texts
}

// largest is the level with the longest encoding.
var largest = Level{1<<16 - 1, longCompartments()}

func longCompartments() (c []string) {
	for _, last := range compartments(MaxCompartments) {
		c = append(c, text(MaxCompartment-1)+last)
	}
	return c
}

func envelope(h Header, ciphertext int) Envelope {
	return Envelope{h, h.Append(nil), data("ciphertext", ciphertext)}
}
