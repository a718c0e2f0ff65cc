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
	kindPast     kind = 13
)

// record is one of the structs below, as a pointer. Records are u8 kind, u32 contact (but for blobs), and their own fields, in the primitive
// encodings of protocol.md section 2.1. Numbers are u64, times milliseconds since 1970.
type record interface {
	append(b []byte) []byte
	parse(r *reader)
	contact() *uint32 // its number; of a blob nil
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
	Trimmed    bool // flights of it were deleted
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

// pastRecord is a text of the owner's that was sent from another store, or failed there.
type pastRecord struct {
	Contact   uint32
	Text      Text // without a label
	Delivered bool
	Reason    wire.Code // where it was not
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

// stateRecord is all that is known of a contact beside messages: the records before it that say so are worth nothing more.
type stateRecord struct {
	Contact                        uint32
	Identity, Name                 string
	Open, Asked                    bool
	Machine                        *Machine
	Next, Sent, Relayed, Delivered uint64 // of the owner's texts
	Came, Shown                    uint64 // of the contact's
	Failed                         []failedRecord
	IDs                            [][16]byte
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
	return appendFlag(c.Other.append(c.Own.append(b)), c.Trimmed)
}

func (c *channelRecord) parse(r *reader) {
	c.Contact, c.At, c.Channel, c.Role, c.Suite = r.u32(), r.time(), r.hash(), wire.Role(r.u8()), wire.Suite(r.u16())
	c.Own.parse(r)
	c.Other.parse(r)
	c.Trimmed = r.flag()
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
	return c.Text.append(appendContact(b, kindQueued, c.Contact))
}

func (c *queuedRecord) parse(r *reader) {
	c.Contact = r.u32()
	c.Text.parse(r)
}

func (t *Text) append(b []byte) []byte {
	b = append(appendU64(b, t.Number), t.ID[:]...)
	return append(appendTime(b, t.Time), t.Text...)
}

func (t *Text) parse(r *reader) {
	t.Number, t.ID, t.Time, t.Text = r.u64(), r.id(), r.time(), string(r.rest())
}

func (c *pastRecord) append(b []byte) []byte {
	b = appendFlag(appendContact(b, kindPast, c.Contact), c.Delivered)
	return c.Text.append(binary.BigEndian.AppendUint16(b, uint16(c.Reason)))
}

func (c *pastRecord) parse(r *reader) {
	c.Contact, c.Delivered, c.Reason = r.u32(), r.flag(), wire.Code(r.u16())
	c.Text.parse(r)
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
	return appendFlag(appendContact(b, kindOpen, c.Contact), c.Open)
}

func (c *openRecord) parse(r *reader) { c.Contact, c.Open = r.u32(), r.flag() }

func (c *stateRecord) append(b []byte) []byte {
	b = appendText8(appendText8(appendContact(b, kindState, c.Contact), c.Identity), c.Name)
	b = appendFlag(appendFlag(appendFlag(b, c.Open), c.Asked), c.Machine != nil)
	if c.Machine != nil {
		b = appendOpaque16(append(b, c.Machine.Hash[:]...), []byte(c.Machine.Description))
	}
	for _, n := range []uint64{c.Next, c.Sent, c.Relayed, c.Delivered, c.Came, c.Shown} {
		b = appendU64(b, n)
	}
	b = appendU32(b, uint32(len(c.Failed)))
	for _, f := range c.Failed {
		b = binary.BigEndian.AppendUint16(appendU64(appendU64(b, f.First), f.Last), uint16(f.Reason))
	}
	for _, id := range c.IDs {
		b = append(b, id[:]...)
	}
	return b
}

func (c *stateRecord) parse(r *reader) {
	c.Contact, c.Identity, c.Name = r.u32(), string(r.opaque8()), string(r.opaque8())
	c.Open, c.Asked = r.flag(), r.flag()
	if r.flag() {
		c.Machine = &Machine{r.hash(), string(r.opaque16())}
	}
	for _, n := range []*uint64{&c.Next, &c.Sent, &c.Relayed, &c.Delivered, &c.Came, &c.Shown} {
		*n = r.u64()
	}
	for range r.u32() {
		if r.err != nil {
			return
		}
		c.Failed = append(c.Failed, failedRecord{c.Contact, r.u64(), r.u64(), wire.Code(r.u16())})
	}
	for len(r.s) > 0 {
		c.IDs = append(c.IDs, r.id())
	}
}

func (c *contactRecord) contact() *uint32  { return &c.Contact }
func (c *blobRecord) contact() *uint32     { return nil }
func (c *machineRecord) contact() *uint32  { return &c.Contact }
func (c *channelRecord) contact() *uint32  { return &c.Contact }
func (c *epochRecord) contact() *uint32    { return &c.Contact }
func (c *queuedRecord) contact() *uint32   { return &c.Contact }
func (c *sentRecord) contact() *uint32     { return &c.Contact }
func (c *receivedRecord) contact() *uint32 { return &c.Contact }
func (c *marksRecord) contact() *uint32    { return &c.Contact }
func (c *failedRecord) contact() *uint32   { return &c.Contact }
func (c *openRecord) contact() *uint32     { return &c.Contact }
func (c *stateRecord) contact() *uint32    { return &c.Contact }
func (c *pastRecord) contact() *uint32     { return &c.Contact }

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
	case kindState:
		c = &stateRecord{}
	case kindPast:
		c = &pastRecord{}
	default:
		return nil, &wire.MalformedError{What: "record", Reason: fmt.Sprintf("of kind %d", k)}
	}
	c.parse(r)
	if len(r.s) > 0 {
		r.fail("trailing bytes")
	}
	return c, r.err
}
