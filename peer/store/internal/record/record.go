package record

import (
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"sinete/wire"
)

// Kind says what a record of the journal is (docs/store.md section 4).
type Kind uint8

const (
	KindNamed    Kind = 1
	KindBlob     Kind = 2
	KindSpoke    Kind = 3
	KindChannel  Kind = 4
	KindEpoch    Kind = 5
	KindQueued   Kind = 6
	KindSent     Kind = 7
	KindReceived Kind = 8
	KindMarks    Kind = 9
	KindFailed   Kind = 10
	KindOpen     Kind = 11
	KindState    Kind = 12
	KindPast     Kind = 13

	KindQueuedAs Kind = 14 // queued, under a label that the owner chose
	KindPastAs   Kind = 15 // past, likewise
	KindLevels   Kind = 16
	KindMoved    Kind = 17
	KindHop      Kind = 18
	KindPassed   Kind = 19
)

// Record is one of the structs below, as a pointer. Records are u8 kind, u32 contact (but for blobs), and their own fields, in the primitive
// encodings of protocol.md section 2.1. Numbers are u64, times milliseconds since 1970.
type Record interface {
	Append(b []byte) []byte
	parse(r *reader)
	ContactNumber() *uint32 // its number; of a blob nil
}

// Named names a contact: from here on records say its number.
type Named struct {
	Contact        uint32
	Identity, Name string
}

// Blob is what several channels show: a certificate, a delegation with its seal, a staple. It is named by its SHA-256.
type Blob struct{ Bytes []byte }

// Spoke is the machine that a contact spoke from last. Versions before Moved wrote it.
type Spoke struct {
	Contact uint32
	Machine Machine
}

// Moved tells that a contact speaks from another machine since then, or for the first time; or that the description of that one is another now.
type Moved struct {
	Contact uint32
	At      time.Time
	Machine Machine
}

// Channel is a conversation's channel.
type Channel struct {
	Contact    uint32
	At         time.Time
	Channel    [32]byte
	Role       wire.Role // of the store's owner
	Suite      wire.Suite
	Own, Other Credentials
	Trimmed    bool // flights of it were deleted
}

// credentials are what one side showed, by the hashes of their blobs.
type Credentials struct {
	Chain, Staples [][32]byte
	Delegation     [][32]byte // one or none
}

// Epoch is TH of an epoch of a channel.
type Epoch struct {
	Contact uint32
	Channel [32]byte
	Epoch   uint64
	TH      []byte
}

// Levels are those of both people for as long as a channel lasts, by the relay's word.
type Levels struct {
	Contact    uint32
	Channel    [32]byte
	Own, Other wire.Level
}

// Queued is a text of the owner's.
type Queued struct {
	Contact uint32
	Text    Text
}

// Sent is a flight of the owner's.
type Sent struct {
	Contact uint32
	At      time.Time
	Flight  Flight
}

// Received is a flight of the contact's. First counts the new texts of theirs that came before it.
type Received struct {
	Contact uint32
	At      time.Time
	First   uint64
	Flight  Flight
}

// Past is a text of the owner's that was sent from another store, or failed there.
type Past struct {
	Contact   uint32
	Text      Text
	Delivered bool
	Reason    wire.Code // where it was not
}

// Marks tells how far things have come: everything before each number has.
type Marks struct {
	Contact                   uint32
	Shown, Relayed, Delivered uint64
	Receipt                   *wire.SealEntry // the latest H3, where there is a new one
}

// Failed tells that the owner's texts from First to Last will not be sent.
type Failed struct {
	Contact     uint32
	First, Last uint64
	Reason      wire.Code
}

// State is all that is known of a contact beside messages: the records before it that say so are worth nothing more.
type State struct {
	Contact                        uint32
	Identity, Name                 string
	Open, Asked                    bool
	Machine                        *Machine
	Next, Sent, Relayed, Delivered uint64 // of the owner's texts
	Came, Shown                    uint64 // of the contact's
	Failed                         []Failed
	IDs                            [][16]byte
}

// Open tells that there is a conversation with the contact, or that one side has left it.
type Open struct {
	Contact uint32
	Open    bool
}

func appendContact(b []byte, k Kind, contact uint32) []byte {
	return binary.BigEndian.AppendUint32(append(b, byte(k)), contact)
}

func (c *Named) Append(b []byte) []byte {
	b = appendContact(b, KindNamed, c.Contact)
	return appendText8(appendText8(b, c.Identity), c.Name)
}

func (c *Named) parse(r *reader) {
	c.Contact, c.Identity, c.Name = r.u32(), string(r.opaque8()), string(r.opaque8())
}

func (c *Blob) Append(b []byte) []byte { return append(append(b, byte(KindBlob)), c.Bytes...) }

func (c *Blob) parse(r *reader) { c.Bytes = r.rest() }

func (c *Spoke) Append(b []byte) []byte {
	b = append(appendContact(b, KindSpoke, c.Contact), c.Machine.Hash[:]...)
	return append(b, c.Machine.Description...)
}

func (c *Spoke) parse(r *reader) {
	c.Contact, c.Machine.Hash, c.Machine.Description = r.u32(), r.hash(), string(r.rest())
}

func (c *Moved) Append(b []byte) []byte {
	b = append(appendTime(appendContact(b, KindMoved, c.Contact), c.At), c.Machine.Hash[:]...)
	return append(b, c.Machine.Description...)
}

func (c *Moved) parse(r *reader) {
	c.Contact, c.At, c.Machine.Hash, c.Machine.Description = r.u32(), r.time(), r.hash(), string(r.rest())
}

func (c *Channel) Append(b []byte) []byte {
	b = appendTime(appendContact(b, KindChannel, c.Contact), c.At)
	b = append(append(b, c.Channel[:]...), byte(c.Role))
	b = binary.BigEndian.AppendUint16(b, uint16(c.Suite))
	return appendFlag(c.Other.Append(c.Own.Append(b)), c.Trimmed)
}

func (c *Channel) parse(r *reader) {
	c.Contact, c.At, c.Channel, c.Role, c.Suite = r.u32(), r.time(), r.hash(), wire.Role(r.u8()), wire.Suite(r.u16())
	c.Own.parse(r)
	c.Other.parse(r)
	c.Trimmed = r.flag()
}

func (c *Credentials) Append(b []byte) []byte {
	for _, hashes := range [][][32]byte{c.Chain, c.Staples, c.Delegation} {
		b = append(b, byte(len(hashes)))
		for _, h := range hashes {
			b = append(b, h[:]...)
		}
	}
	return b
}

func (c *Credentials) parse(r *reader) {
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

func (c *Epoch) Append(b []byte) []byte {
	b = append(appendContact(b, KindEpoch, c.Contact), c.Channel[:]...)
	return append(appendU64(b, c.Epoch), c.TH...)
}

func (c *Epoch) parse(r *reader) {
	c.Contact, c.Channel, c.Epoch, c.TH = r.u32(), r.hash(), r.u64(), r.rest()
}

func (c *Queued) Append(b []byte) []byte {
	return c.Text.Append(appendContact(b, c.Text.kind(KindQueued, KindQueuedAs), c.Contact))
}

func (c *Queued) parse(r *reader) {
	c.Contact = r.u32()
	c.Text.parse(r)
}

// kind is that of a record of the text: two kinds, since programs that know nothing of labels must leave those with one alone.
func (t *Text) kind(plain, labelled Kind) Kind {
	if t.Labelled {
		return labelled
	}
	return plain
}

func (t *Text) Append(b []byte) []byte {
	b = appendTime(append(appendU64(b, t.Number), t.ID[:]...), t.Time)
	if t.Labelled {
		b = t.Label.Append(b)
	}
	return append(b, t.Text...)
}

func (t *Text) parse(r *reader) {
	t.Number, t.ID, t.Time = r.u64(), r.id(), r.time()
	if t.Labelled {
		t.Label = r.level()
	}
	t.Text = string(r.rest())
}

func (c *Levels) Append(b []byte) []byte {
	b = append(appendContact(b, KindLevels, c.Contact), c.Channel[:]...)
	return c.Other.Append(c.Own.Append(b))
}

func (c *Levels) parse(r *reader) {
	c.Contact, c.Channel, c.Own, c.Other = r.u32(), r.hash(), r.level(), r.level()
}

func (c *Past) Append(b []byte) []byte {
	b = appendFlag(appendContact(b, c.Text.kind(KindPast, KindPastAs), c.Contact), c.Delivered)
	return c.Text.Append(binary.BigEndian.AppendUint16(b, uint16(c.Reason)))
}

func (c *Past) parse(r *reader) {
	c.Contact, c.Delivered, c.Reason = r.u32(), r.flag(), wire.Code(r.u16())
	c.Text.parse(r)
}

func (c *Sent) Append(b []byte) []byte {
	return c.Flight.Append(appendTime(appendContact(b, KindSent, c.Contact), c.At))
}

func (c *Sent) parse(r *reader) {
	c.Contact, c.At = r.u32(), r.time()
	c.Flight.parse(r)
}

func (c *Received) Append(b []byte) []byte {
	return c.Flight.Append(appendU64(appendTime(appendContact(b, KindReceived, c.Contact), c.At), c.First))
}

func (c *Received) parse(r *reader) {
	c.Contact, c.At, c.First = r.u32(), r.time(), r.u64()
	c.Flight.parse(r)
}

func (c *Marks) Append(b []byte) []byte {
	b = appendU64(appendContact(b, KindMarks, c.Contact), c.Shown)
	b = appendU64(appendU64(b, c.Relayed), c.Delivered)
	if c.Receipt != nil {
		b = wire.SealFrame{*c.Receipt}.Append(b)
	}
	return b
}

func (c *Marks) parse(r *reader) {
	c.Contact, c.Shown, c.Relayed, c.Delivered = r.u32(), r.u64(), r.u64(), r.u64()
	if len(r.s) > 0 {
		c.Receipt = r.seal(r.rest())
	}
}

func (c *Failed) Append(b []byte) []byte {
	b = appendU64(appendContact(b, KindFailed, c.Contact), c.First)
	return binary.BigEndian.AppendUint16(appendU64(b, c.Last), uint16(c.Reason))
}

func (c *Failed) parse(r *reader) {
	c.Contact, c.First, c.Last, c.Reason = r.u32(), r.u64(), r.u64(), wire.Code(r.u16())
}

func (c *Open) Append(b []byte) []byte {
	return appendFlag(appendContact(b, KindOpen, c.Contact), c.Open)
}

func (c *Open) parse(r *reader) { c.Contact, c.Open = r.u32(), r.flag() }

func (c *State) Append(b []byte) []byte {
	b = appendText8(appendText8(appendContact(b, KindState, c.Contact), c.Identity), c.Name)
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

func (c *State) parse(r *reader) {
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
		c.Failed = append(c.Failed, Failed{c.Contact, r.u64(), r.u64(), wire.Code(r.u16())})
	}
	for len(r.s) > 0 {
		c.IDs = append(c.IDs, r.id())
	}
}

func (c *Named) ContactNumber() *uint32    { return &c.Contact }
func (c *Blob) ContactNumber() *uint32     { return nil }
func (c *Spoke) ContactNumber() *uint32    { return &c.Contact }
func (c *Channel) ContactNumber() *uint32  { return &c.Contact }
func (c *Epoch) ContactNumber() *uint32    { return &c.Contact }
func (c *Queued) ContactNumber() *uint32   { return &c.Contact }
func (c *Sent) ContactNumber() *uint32     { return &c.Contact }
func (c *Received) ContactNumber() *uint32 { return &c.Contact }
func (c *Marks) ContactNumber() *uint32    { return &c.Contact }
func (c *Failed) ContactNumber() *uint32   { return &c.Contact }
func (c *Open) ContactNumber() *uint32     { return &c.Contact }
func (c *State) ContactNumber() *uint32    { return &c.Contact }
func (c *Past) ContactNumber() *uint32     { return &c.Contact }
func (c *Levels) ContactNumber() *uint32   { return &c.Contact }
func (c *Moved) ContactNumber() *uint32    { return &c.Contact }

// Parse reads a record. Nothing in it aliases b.
func Parse(b []byte) (Record, error) {
	r := &reader{s: cryptobyte.String(b)}
	var c Record
	switch k := Kind(r.u8()); k {
	case KindNamed:
		c = &Named{}
	case KindBlob:
		c = &Blob{}
	case KindSpoke:
		c = &Spoke{}
	case KindChannel:
		c = &Channel{}
	case KindEpoch:
		c = &Epoch{}
	case KindQueued:
		c = &Queued{}
	case KindSent:
		c = &Sent{}
	case KindReceived:
		c = &Received{}
	case KindMarks:
		c = &Marks{}
	case KindFailed:
		c = &Failed{}
	case KindOpen:
		c = &Open{}
	case KindState:
		c = &State{}
	case KindPast:
		c = &Past{}
	case KindQueuedAs:
		c = &Queued{Text: Text{Labelled: true}}
	case KindPastAs:
		c = &Past{Text: Text{Labelled: true}}
	case KindLevels:
		c = &Levels{}
	case KindMoved:
		c = &Moved{}
	case KindHop:
		c = &Hop{}
	case KindPassed:
		c = &Passed{}
	default:
		return nil, &wire.MalformedError{What: "record", Reason: fmt.Sprintf("of kind %d", k)}
	}
	c.parse(r)
	if len(r.s) > 0 {
		r.fail("trailing bytes")
	}
	return c, r.err
}
