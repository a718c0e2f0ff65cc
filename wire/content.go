package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"unicode/utf8"
)

// ContentType says what a content is (protocol.md section 5.4).
type ContentType uint8

const (
	ContentText    ContentType = 1
	ContentMachine ContentType = 2
	ContentBye     ContentType = 3
	ContentNoticed ContentType = 4
)

// Content is what two people say to each other: the plaintext of an inner envelope.
type Content struct {
	Parties [32]byte // Parties of author and recipient
	ID      [16]byte
	Time    uint64 // milliseconds since 1970, the author's clock
	Type    ContentType
	Number  uint64  // text: of the author's texts to this recipient, from 0
	Text    string  // text: 1 to MaxText bytes of UTF-8
	Machine Machine // noticed: the hash of the recipient's machine, the description of the one known before
}

// Machine is a machine statement (section 7.5).
type Machine struct {
	Hash        [32]byte
	Description string // at most MaxDescription bytes
}

// Append appends the content.
func (c *Content) Append(b []byte) []byte {
	b = slices.Grow(b, 32+16+8+1+8+len(c.Text)) // all of a text at once
	b = append(b, c.Parties[:]...)
	b = append(b, c.ID[:]...)
	b = binary.BigEndian.AppendUint64(b, c.Time)
	b = append(b, byte(c.Type))
	switch c.Type {
	case ContentText:
		b = AppendVarint(b, c.Number)
		b = append(b, c.Text...)
	case ContentMachine, ContentNoticed:
		b = append(b, c.Machine.Hash[:]...)
		b = appendOpaque16(b, []byte(c.Machine.Description))
	}
	return b
}

// ParseContent reads a content. Nothing in it aliases b.
func ParseContent(b []byte) (*Content, error) {
	c := &Content{} // here, so that it costs no allocation where the caller lets go of it
	return c, c.parse(b)
}

func (c *Content) parse(b []byte) error {
	r := &reader{what: "content", b: b}
	c.Parties, c.ID, c.Time, c.Type = r.hash(), r.bytes16(), r.u64(), ContentType(r.u8())
	switch c.Type {
	case ContentText:
		c.Number = r.varint()
		c.Text = r.messageText(r.rest())
	case ContentMachine, ContentNoticed:
		c.Machine = Machine{r.hash(), r.text16(MaxDescription)}
	case ContentBye:
	default:
		r.fail("unknown type")
	}
	return r.done()
}

// AppendTexts appends the plaintext of a texts envelope: contents of type text, all of the same parties.
func AppendTexts(b []byte, texts []Content) []byte {
	b = append(b, texts[0].Parties[:]...)
	for i := range texts {
		t := &texts[i]
		b = append(b, t.ID[:]...)
		b = binary.BigEndian.AppendUint64(b, t.Time)
		b = AppendVarint(b, t.Number)
		b = AppendVarint(b, uint64(len(t.Text)))
		b = append(b, t.Text...)
	}
	return b
}

// ParseTexts reads the plaintext of a texts envelope of n texts. Nothing in it aliases b.
func ParseTexts(b []byte, n int) ([]Content, error) {
	r := &reader{what: "texts", b: b}
	parties := r.hash()
	texts := make([]Content, n)
	for i := range texts {
		texts[i] = Content{Parties: parties, ID: r.bytes16(), Time: r.u64(), Type: ContentText, Number: r.varint()}
		texts[i].Text = r.messageText(r.take(int(min(r.varint(), MaxText+1))))
	}
	return texts, r.done()
}

// messageText wants what may be one message.
func (r *reader) messageText(text []byte) string {
	if len(text) == 0 || len(text) > MaxText || !utf8.Valid(text) {
		r.fail("a text that is empty, too long or no UTF-8")
	}
	return string(text)
}

// TextOpening is the opening key of the i-th text of a texts envelope with that opening key (section 5.3).
func TextOpening(opening *[32]byte, i int) (key [32]byte) {
	const label = "sinete/1 opening\x00"
	var b [len(label) + 32 + 4]byte
	copy(b[:], label)
	copy(b[len(label):], opening[:])
	binary.BigEndian.PutUint32(b[len(label)+32:], uint32(i))
	key = sha256.Sum256(b[:])
	clear(b[:])
	return key
}

// Parties names the author and the recipient of content: their identities and the hashes of their SubjectPublicKeyInfo.
func Parties(author string, authorKey [32]byte, recipient string, recipientKey [32]byte) [32]byte {
	b := append([]byte(nil), "sinete/1 parties\x00"...)
	b = appendOpaque8(b, []byte(author))
	b = append(b, authorKey[:]...)
	b = appendOpaque8(b, []byte(recipient))
	return sha256.Sum256(append(b, recipientKey[:]...))
}

// Commitment is HMAC-SHA256 under the opening key over the place of an envelope, its header without commitment, and its content.
func Commitment(opening [32]byte, channel [32]byte, lane uint64, d Direction, uncommitted, content []byte) [32]byte {
	var place [41]byte
	return HMAC(&opening, AppendPlace(place[:0], channel, lane, d), uncommitted, content)
}

// AppendPlace appends what names an envelope's place beside its header, 41 bytes: channel id, lane, direction (sections 5.1, 5.4).
func AppendPlace(b []byte, channel [32]byte, lane uint64, d Direction) []byte {
	b = append(b, channel[:]...)
	b = binary.BigEndian.AppendUint64(b, lane)
	return append(b, byte(d))
}

// MachineHash is the hash of a machine's facts as one contact sees it (section 7.5).
func MachineHash(own, other string, facts []byte) [32]byte {
	b := append([]byte(nil), "sinete/1 machine\x00"...)
	b = appendOpaque8(b, []byte(own))
	b = appendOpaque8(b, []byte(other))
	return sha256.Sum256(AppendLen32(b, facts))
}

// MachineFrame is the body of a machine frame: the hash alone, authenticated, for a closed direction. The MAC says as well whether another machine
// of the recipient's was noticed.
type MachineFrame struct {
	Hash [32]byte
	MAC  [32]byte
}

// Append appends the body.
func (m MachineFrame) Append(b []byte) []byte { return append(append(b, m.Hash[:]...), m.MAC[:]...) }

// ParseMachineFrame reads the body of a machine frame.
func ParseMachineFrame(b []byte) (MachineFrame, error) {
	r := &reader{what: "machine frame", b: b}
	m := MachineFrame{r.hash(), r.hash()}
	return m, r.done()
}
