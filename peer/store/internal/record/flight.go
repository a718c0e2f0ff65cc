package record

import (
	"slices"
	"time"

	"sinete/wire"
)

// Machine is a machine that a contact spoke from.
type Machine struct {
	Hash        [32]byte // protocol.md section 7.5
	Description string   // empty where their direction was closed
}

// Text is a message to or from a contact.
type Text struct {
	ID     [16]byte
	Number uint64    // of its author's texts to its recipient, from 0
	Time   time.Time // the author's clock
	Text   string
	Label  wire.Level // of what arrived; of the owner's where they chose it
	// Labelled: its author chose the label. What arrived has one that is not its author's level.
	Labelled bool
}

// Flight is envelopes of a conversation that their author sealed together, with what proves them later (protocol.md section 12).
type Flight struct {
	Channel   [32]byte
	Epoch     uint64
	First     uint64   // how many envelopes of the epoch came before
	Before    [32]byte // the transcript value before the first
	Envelopes []Envelope
	Seal      wire.SealEntry // of the author's inner head, which closes the flight
}

// Envelope is an inner envelope without its ciphertext.
type Envelope struct {
	Header     []byte   // as it travelled, in the clear
	Ciphertext [32]byte // its SHA-256
	Opening    [32]byte // opens the commitment in the header
	Is         Is
	Number     uint64 // of the text, where it is IsOwnText
	Content    []byte // else
	Text       *Text  // of the contact's, where it is one
}

// Is says what an envelope's content is to the store.
type Is uint8

const (
	IsOther   Is = 0 // no text, or one that had come before
	IsNewText Is = 1
	IsOwnText Is = 2 // of the owner: the queued record of the same number has it
	IsGone    Is = 3 // it was a text, and was deleted
	// IsPastText is a text that came into another store, and was taken over.
	IsPastText Is = 4
)

// Digest is that of the envelope (protocol.md section 5.5).
func (e *Envelope) Digest() [32]byte { return wire.InnerDigestOf(e.Header, e.Ciphertext) }

// Layout: [32] channel, u64 epoch, u64 first, [32] before, u32 count and for each envelope: opaque16 header, [32] H(ciphertext), [32] opening key,
// u8 what it is, u64 number or opaque16 content or nothing; then the seal frame of the one head.
func (f *Flight) Append(b []byte) []byte {
	b = appendU64(appendU64(append(b, f.Channel[:]...), f.Epoch), f.First)
	b = append(b, f.Before[:]...)
	b = appendU32(b, uint32(len(f.Envelopes)))
	for i := range f.Envelopes {
		e := &f.Envelopes[i]
		b = appendOpaque16(b, e.Header)
		b = append(append(b, e.Ciphertext[:]...), e.Opening[:]...)
		b = append(b, byte(e.Is))
		switch e.Is {
		case IsOther, IsNewText, IsPastText:
			b = appendOpaque16(b, e.Content)
		case IsOwnText:
			b = appendU64(b, e.Number)
		}
	}
	return wire.SealFrame{f.Seal}.Append(b)
}

func (f *Flight) parse(r *reader) {
	f.Channel, f.Epoch, f.First, f.Before = r.hash(), r.u64(), r.u64(), r.hash()
	n := r.u32()
	if n > wire.MaxFlight {
		r.fail("too many envelopes")
	}
	for range n {
		if r.err != nil {
			return
		}
		e := Envelope{Header: r.opaque16(), Ciphertext: r.hash(), Opening: r.hash(), Is: Is(r.u8())}
		switch e.Is {
		case IsOther, IsNewText, IsPastText:
			e.Content = r.opaque16()
		case IsOwnText:
			e.Number = r.u64()
		case IsGone:
		default:
			r.fail("an envelope of no known content")
		}
		f.Envelopes = append(f.Envelopes, e)
	}
	if s := r.seal(r.rest()); s != nil {
		f.Seal = *s
	}
}

// Read finds the text in an envelope of the contact's.
func (e *Envelope) Read() error {
	c, err := wire.ParseContent(e.Content)
	if err != nil || c.Type != wire.ContentText {
		return err
	}
	parsed, err := wire.ParseEnvelope(append(slices.Clone(e.Header), make([]byte, wire.MinCiphertext)...))
	if err == nil {
		e.Text = TextOf(c, parsed.Header.Label)
	}
	return err
}

// TextOf is the text in a content.
func TextOf(c *wire.Content, label wire.Level) *Text {
	return &Text{ID: c.ID, Number: c.Number, Time: time.UnixMilli(int64(c.Time)), Text: c.Text, Label: label}
}

// Worth reports whether there is a message in a flight that was not deleted.
func (f *Flight) Worth() bool {
	for i := range f.Envelopes {
		if is := f.Envelopes[i].Is; is == IsOwnText || is == IsNewText || is == IsPastText {
			return true
		}
	}
	return false
}

// Forget leaves of an envelope what its neighbours are proved by.
func (e *Envelope) Forget() {
	e.Is, e.Number, e.Content, e.Text, e.Opening = IsGone, 0, nil, nil, [32]byte{}
}
