package store

import (
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"sinete/wire"
)

// kind says what a record of the journal is (docs/store.md section 4).
type kind uint8

const (
	kindContact  kind = 1
	kindBlob     kind = 2
	kindMachine  kind = 3
	kindChannel  kind = 4
	kindEpoch    kind = 5
	kindQueued   kind = 6
	kindSent     kind = 7
	kindReceived kind = 8
	kindMarks    kind = 9
	kindFailed   kind = 10
	kindOpen     kind = 11
	kindState    kind = 12
)

// record is one of the structs below, as a pointer. Records are u8 kind, u32 contact (but for blobs), and their own fields, in the primitive
// encodings of protocol.md section 2.1. Numbers are u64, times milliseconds since 1970.
type record interface {
	append(b []byte) []byte
	parse(r *reader)
}

// contactRecord names a contact: from here on records say its number.
type contactRecord struct {
	Contact        uint32
	Identity, Name string
}

// blobRecord is what several channels show: a certificate, a delegation with its seal, a staple. It is named by its SHA-256.
type blobRecord struct{ Bytes []byte }

// machineRecord is the machine that a contact spoke from last.
type machineRecord struct {
	Contact uint32
	Machine Machine
}

// channelRecord is a conversation's channel.
type channelRecord struct {
	Contact    uint32
	At         time.Time
	Channel    [32]byte
	Role       wire.Role // of the store's owner
	Suite      wire.Suite
	Own, Other credentials
}

// credentials are what one side showed, by the hashes of their blobs.
type credentials struct {
	Chain, Staples [][32]byte
	Delegation     [][32]byte // one or none
}

// epochRecord is TH of an epoch of a channel.
type epochRecord struct {
	Contact uint32
	Channel [32]byte
	Epoch   uint64
	TH      []byte
}

// queuedRecord is a text of the owner's.
type queuedRecord struct {
	Contact uint32
	Text    Text // without a label
}

// sentRecord is a flight of the owner's.
type sentRecord struct {
	Contact uint32
	At      time.Time
	Flight  Flight
}

// receivedRecord is a flight of the contact's. First counts the new texts of theirs that came before it.
type receivedRecord struct {
	Contact uint32
	At      time.Time
	First   uint64
	Flight  Flight
}

// marksRecord tells how far things have come: everything before each number has.
type marksRecord struct {
	Contact                   uint32
	Shown, Relayed, Delivered uint64
	Receipt                   *wire.SealEntry // the latest H3, where there is a new one
}

// failedRecord tells that the owner's texts from First to Last will not be sent.
type failedRecord struct {
	Contact     uint32
	First, Last uint64
	Reason      wire.Code
}

// openRecord tells that there is a conversation with the contact, or that one side has left it.
type openRecord struct {
	Contact uint32
	Open    bool
}

func appendContact(b []byte, k kind, contact uint32) []byte {
	return binary.BigEndian.AppendUint32(append(b, byte(k)), contact)
}

func (c *contactRecord) append(b []byte) []byte {
	b = appendContact(b, kindContact, c.Contact)
	return appendText8(appendText8(b, c.Identity), c.Name)
}

func (c *contactRecord) parse(r *reader) {
	c.Contact, c.Identity, c.Name = r.u32(), string(r.opaque8()), string(r.opaque8())
}

func (c *blobRecord) append(b []byte) []byte { return append(append(b, byte(kindBlob)), c.Bytes...) }

func (c *blobRecord) parse(r *reader) { c.Bytes = r.rest() }

func (c *machineRecord) append(b []byte) []byte {
	b = append(appendContact(b, kindMachine, c.Contact), c.Machine.Hash[:]...)
	return append(b, c.Machine.Description...)
}

func (c *machineRecord) parse(r *reader) {
	c.Contact, c.Machine.Hash, c.Machine.Description = r.u32(), r.hash(), string(r.rest())
}

func (c *channelRecord) append(b []byte) []byte {
	b = appendTime(appendContact(b, kindChannel, c.Contact), c.At)
	b = append(append(b, c.Channel[:]...), byte(c.Role))
	b = binary.BigEndian.AppendUint16(b, uint16(c.Suite))
	return c.Other.append(c.Own.append(b))
}

func (c *channelRecord) parse(r *reader) {
	c.Contact, c.At, c.Channel, c.Role, c.Suite = r.u32(), r.time(), r.hash(), wire.Role(r.u8()), wire.Suite(r.u16())
	c.Own.parse(r)
	c.Other.parse(r)
}

func (c *credentials) append(b []byte) []byte {
	for _, hashes := range [][][32]byte{c.Chain, c.Staples, c.Delegation} {
		b = append(b, byte(len(hashes)))
		for _, h := range hashes {
			b = append(b, h[:]...)
		}
	}
	return b
}

func (c *credentials) parse(r *reader) {
	for i, hashes := range []*[][32]byte{&c.Chain, &c.Staples, &c.Delegation} {
		n := int(r.u8())
		if most := []int{wire.MaxChain, wire.MaxChain, 1}[i]; n > most {
			r.fail("too many hashes")
		}
		for range n {
			*hashes = append(*hashes, r.hash())
		}
	}
}

func (c *epochRecord) append(b []byte) []byte {
	b = append(appendContact(b, kindEpoch, c.Contact), c.Channel[:]...)
	return append(appendU64(b, c.Epoch), c.TH...)
}

func (c *epochRecord) parse(r *reader) {
	c.Contact, c.Channel, c.Epoch, c.TH = r.u32(), r.hash(), r.u64(), r.rest()
}

func (c *queuedRecord) append(b []byte) []byte {
	b = appendU64(appendContact(b, kindQueued, c.Contact), c.Text.Number)
	b = appendTime(append(b, c.Text.ID[:]...), c.Text.Time)
	return append(b, c.Text.Text...)
}

func (c *queuedRecord) parse(r *reader) {
	c.Contact, c.Text.Number = r.u32(), r.u64()
	copy(c.Text.ID[:], r.take(16))
	c.Text.Time, c.Text.Text = r.time(), string(r.rest())
}

func (c *sentRecord) append(b []byte) []byte {
	return c.Flight.append(appendTime(appendContact(b, kindSent, c.Contact), c.At))
}

func (c *sentRecord) parse(r *reader) {
	c.Contact, c.At = r.u32(), r.time()
	c.Flight.parse(r)
}

func (c *receivedRecord) append(b []byte) []byte {
	return c.Flight.append(appendU64(appendTime(appendContact(b, kindReceived, c.Contact), c.At), c.First))
}

func (c *receivedRecord) parse(r *reader) {
	c.Contact, c.At, c.First = r.u32(), r.time(), r.u64()
	c.Flight.parse(r)
}

func (c *marksRecord) append(b []byte) []byte {
	b = appendU64(appendContact(b, kindMarks, c.Contact), c.Shown)
	b = appendU64(appendU64(b, c.Relayed), c.Delivered)
	if c.Receipt != nil {
		b = wire.SealFrame{*c.Receipt}.Append(b)
	}
	return b
}

func (c *marksRecord) parse(r *reader) {
	c.Contact, c.Shown, c.Relayed, c.Delivered = r.u32(), r.u64(), r.u64(), r.u64()
	if len(r.s) > 0 {
		c.Receipt = r.seal(r.rest())
	}
}

func (c *failedRecord) append(b []byte) []byte {
	b = appendU64(appendContact(b, kindFailed, c.Contact), c.First)
	return binary.BigEndian.AppendUint16(appendU64(b, c.Last), uint16(c.Reason))
}

func (c *failedRecord) parse(r *reader) {
	c.Contact, c.First, c.Last, c.Reason = r.u32(), r.u64(), r.u64(), wire.Code(r.u16())
}

func (c *openRecord) append(b []byte) []byte {
	b = appendContact(b, kindOpen, c.Contact)
	if c.Open {
		return append(b, 1)
	}
	return append(b, 0)
}

func (c *openRecord) parse(r *reader) {
	c.Contact = r.u32()
	v := r.u8()
	c.Open = v == 1
	if v > 1 {
		r.fail("a flag that is neither 0 nor 1")
	}
}

// parseRecord reads a record. Nothing in it aliases b.
func parseRecord(b []byte) (record, error) {
	r := &reader{s: cryptobyte.String(b)}
	var c record
	switch k := kind(r.u8()); k {
	case kindContact:
		c = &contactRecord{}
	case kindBlob:
		c = &blobRecord{}
	case kindMachine:
		c = &machineRecord{}
	case kindChannel:
		c = &channelRecord{}
	case kindEpoch:
		c = &epochRecord{}
	case kindQueued:
		c = &queuedRecord{}
	case kindSent:
		c = &sentRecord{}
	case kindReceived:
		c = &receivedRecord{}
	case kindMarks:
		c = &marksRecord{}
	case kindFailed:
		c = &failedRecord{}
	case kindOpen:
		c = &openRecord{}
	default:
		return nil, &wire.MalformedError{What: "record", Reason: fmt.Sprintf("of kind %d", k)}
	}
	c.parse(r)
	if len(r.s) > 0 {
		r.fail("trailing bytes")
	}
	return c, r.err
}
