package wire

// EnvelopeType says what an envelope carries (protocol.md section 5.2).
type EnvelopeType uint8

const (
	EnvelopeControl   EnvelopeType = 1  // hop: a control message
	EnvelopeInner     EnvelopeType = 2  // hop: the body of an inner envelope
	EnvelopeHandshake EnvelopeType = 3  // hop: one frame of the conversation's handshake lane
	EnvelopeContent   EnvelopeType = 16 // conversation: content
)

// MinCiphertext is the length of an AEAD tag, the shortest ciphertext of any suite.
const MinCiphertext = 16

// Header is what stands before the ciphertext of an envelope (section 5.1).
type Header struct {
	Epoch      uint64
	Seq        uint64
	Type       EnvelopeType
	Label      Level    // content only
	Commitment [32]byte // content only
}

// Append appends the header.
func (h *Header) Append(b []byte) []byte {
	b = h.AppendUncommitted(b)
	if h.Type == EnvelopeContent {
		b = append(b, h.Commitment[:]...)
	}
	return b
}

// AppendUncommitted appends the header without its commitment: what the commitment itself covers (section 5.4).
func (h *Header) AppendUncommitted(b []byte) []byte {
	b = AppendVarint(b, h.Epoch)
	b = AppendVarint(b, h.Seq)
	b = append(b, byte(h.Type))
	if h.Type == EnvelopeContent {
		b = h.Label.Append(b)
	}
	return b
}

// Envelope is the body of an envelope frame, taken apart. RawHeader and Ciphertext alias the parsed bytes.
type Envelope struct {
	Header     Header
	RawHeader  []byte
	Ciphertext []byte
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
