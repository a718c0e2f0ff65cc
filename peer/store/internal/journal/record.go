package journal

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"hash/crc32"

	"golang.org/x/crypto/chacha20poly1305"
)

// MaxRecord is the longest record, in bytes.
const MaxRecord = 4 << 20

const (
	magic      = 0xa5536e31
	headerSize = 28
	nonceSize  = chacha20poly1305.NonceSizeX
	overhead   = headerSize + nonceSize + chacha20poly1305.Overhead
)

// Generation is drawn for every journal anew, also when it is rewritten: a record of another one is not a record of this one.
type Generation [8]byte

// header stands before each record, in the clear (docs/store.md section 3):
//
//	magic 4 | length of the record 4 | generation 8 | number 8 | CRC-32C of these 4
type header struct {
	length     uint32
	generation Generation
	number     uint64
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (h header) append(b []byte) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint32(b, magic)
	b = binary.BigEndian.AppendUint32(b, h.length)
	b = append(b, h.generation[:]...)
	b = binary.BigEndian.AppendUint64(b, h.number)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// parseHeader reads the header that b begins with.
func parseHeader(b []byte) (h header, ok bool) {
	if len(b) < headerSize || binary.BigEndian.Uint32(b) != magic {
		return h, false
	}
	if binary.BigEndian.Uint32(b[24:]) != crc32.Checksum(b[:24], castagnoli) {
		return h, false
	}
	h.length = binary.BigEndian.Uint32(b[4:])
	h.generation = Generation(b[8:])
	h.number = binary.BigEndian.Uint64(b[16:])
	return h, h.length <= MaxRecord
}

// size is that of the whole record in the file.
func (h header) size() int64 { return overhead + int64(h.length) }

// box seals records under the store's key. The header is under the seal, and so is the store.
type box struct {
	aead cipher.AEAD
	id   [16]byte
}

func newBox(key [32]byte, id [16]byte) box {
	aead, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		panic(err) // the key's length is its type's
	}
	return box{aead, id}
}

func (x box) associated(header []byte) []byte {
	return append(append(make([]byte, 0, len(x.id)+headerSize), x.id[:]...), header...)
}

// append appends header | nonce | sealed record.
func (x box) append(b []byte, g Generation, number uint64, record []byte) []byte {
	start := len(b)
	b = header{uint32(len(record)), g, number}.append(b)
	var nonce [nonceSize]byte
	rand.Read(nonce[:])
	associated := x.associated(b[start:])
	b = append(b, nonce[:]...)
	return x.aead.Seal(b, nonce[:], record, associated)
}

// open appends to dst what is sealed in raw, a whole record as append makes it.
func (x box) open(dst, raw []byte) ([]byte, error) {
	return x.aead.Open(dst, raw[headerSize:headerSize+nonceSize], raw[headerSize+nonceSize:], x.associated(raw[:headerSize]))
}
