package wire

import "crypto/sha256"

// EnvelopeType says what an envelope carries (protocol.md section 5.2).
type EnvelopeType uint8

const (
	EnvelopeControl   EnvelopeType = 1  // hop: a control message
	EnvelopeInner     EnvelopeType = 2  // hop: the body of an inner envelope
	EnvelopeHandshake EnvelopeType = 3  // hop: one frame of the conversation's handshake lane
	EnvelopeContent   EnvelopeType = 16 // conversation: content
	EnvelopeTexts     EnvelopeType = 17 // conversation: several texts; stands for an envelope of type content for each
)

// MinCiphertext is the length of an AEAD tag, the shortest ciphertext of any suite.
const MinCiphertext = 16

// Header is what stands before the ciphertext of an envelope (section 5.1).
type Header struct {
	Epoch       uint64
	Seq         uint64
	Type        EnvelopeType
	Label       Level      // content and texts only
	Commitment  [32]byte   // content only
	Commitments [][32]byte // texts only: 2 to MaxTexts
}

// Append appends the header.
func (h *Header) Append(b []byte) []byte {
	b = h.AppendUncommitted(b)
	switch h.Type {
	case EnvelopeContent:
		b = append(b, h.Commitment[:]...)
	case EnvelopeTexts:
		if len(h.Commitments) > 255 {
			panic("wire: more texts than their count can say")
		}
		b = append(b, byte(len(h.Commitments)))
		for i := range h.Commitments {
			b = append(b, h.Commitments[i][:]...)
		}
	}
	return b
}

// AppendUncommitted appends the header without its commitments: of a content, what the commitment itself covers (section 5.4).
func (h *Header) AppendUncommitted(b []byte) []byte {
	b = AppendVarint(b, h.Epoch)
	b = AppendVarint(b, h.Seq)
	b = append(b, byte(h.Type))
	if h.Type == EnvelopeContent || h.Type == EnvelopeTexts {
		b = h.Label.Append(b)
	}
	return b
}

// Envelopes is how many envelopes the one with this header stands for, itself where it is no texts.
func (h *Header) Envelopes() int {
	if h.Type == EnvelopeTexts {
		return len(h.Commitments)
	}
	return 1
}

// At is the header of the i-th of the envelopes that a texts envelope stands for.
func (h *Header) At(i int) Header {
	return Header{Epoch: h.Epoch, Seq: h.Seq + uint64(i), Type: EnvelopeContent, Label: h.Label, Commitment: h.Commitments[i]}
}

// Envelope is the body of an envelope frame, taken apart. RawHeader and Ciphertext alias the parsed bytes.
type Envelope struct {
	Header     Header
	RawHeader  []byte
	Ciphertext []byte
}

// InnerDigests are the digests of an inner envelope, or of those that it stands for.
func (e *Envelope) InnerDigests() [][32]byte {
	ciphertext := sha256.Sum256(e.Ciphertext)
	if e.Header.Type != EnvelopeTexts {
		return [][32]byte{InnerDigestOf(e.RawHeader, ciphertext)}
	}
	return e.Header.Digests(ciphertext)
}

// Digests are those of the envelopes that a texts envelope stands for, with the SHA-256 of its ciphertext.
func (h *Header) Digests(ciphertext [32]byte) [][32]byte {
	digests := make([][32]byte, len(h.Commitments))
	var space [256]byte
	for i := range digests {
		one := h.At(i)
		digests[i] = InnerDigestOf(one.Append(space[:0]), ciphertext)
	}
	return digests
}

// ParseEnvelope reads an envelope frame's body.
func ParseEnvelope(b []byte) (Envelope, error) {
	r := reader{what: "envelope", b: b}
	var e Envelope
	e.Header.Epoch = r.varint()
	e.Header.Seq = r.varint()
	e.Header.Type = EnvelopeType(r.u8())
	switch e.Header.Type {
	case EnvelopeControl, EnvelopeInner, EnvelopeHandshake:
	case EnvelopeContent:
		e.Header.Label = r.level()
		e.Header.Commitment = r.hash()
	case EnvelopeTexts:
		e.Header.Label = r.level()
		e.Header.Commitments = make([][32]byte, r.count(2, MaxTexts))
		for i := range e.Header.Commitments {
			e.Header.Commitments[i] = r.hash()
		}
		if r.err == nil && e.Header.Seq > maxVarint-uint64(len(e.Header.Commitments)-1) {
			r.fail("numbers that no envelope can have")
		}
	default:
		r.fail("unknown type")
	}
	e.RawHeader = b[:len(b)-len(r.b)]
	e.Ciphertext = r.rest()
	if r.err == nil && len(e.Ciphertext) < MinCiphertext {
		r.fail("a ciphertext shorter than its tag")
	}
	if r.err != nil {
		return Envelope{}, r.err
	}
	return e, nil
}
