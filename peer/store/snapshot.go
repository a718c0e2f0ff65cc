package store

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/crypto/cryptobyte"

	"sinete/peer/store/internal/journal"
	"sinete/peer/store/internal/record"
)

// snapshot is the state of a store at a place of its journal, in a file, so that what comes before need not be read again when it is opened
// (docs/store.md section 5). It is made when a store is opened and closed, where nothing else happens in it. It may be lost: the journal has it all.
type snapshot struct {
	files journal.Disk
	aead  cipher.AEAD
	id    [16]byte
}

const (
	snapshotFile    = "state"
	newSnapshotFile = "state.new"
	worthOne        = 1 << 20 // bytes of journal that were read behind the last one
)

func newSnapshot(files journal.Disk, key [32]byte, id [16]byte) *snapshot {
	mac := hmac.New(sha256.New, key[:]) // the journal is the only one that seals with the store key itself
	mac.Write([]byte("sinete store state"))
	aead, err := chacha20poly1305.NewX(mac.Sum(nil))
	if err != nil {
		panic("store: " + err.Error()) // only for a key of the wrong length
	}
	return &snapshot{files: files, aead: aead, id: id}
}

// load gives the state to a replay, and returns its place. Where there is none that can be used that is the journal's start.
func (f *snapshot) load(p *replay) (mark journal.Mark) {
	sealed, err := f.read()
	if err != nil || len(sealed) < f.aead.NonceSize() {
		return mark
	}
	nonce, box := sealed[:f.aead.NonceSize()], sealed[f.aead.NonceSize():]
	plain, err := f.aead.Open(nil, nonce, box, f.id[:])
	if err != nil {
		return mark
	}
	r := cryptobyte.String(plain)
	var offset, number uint64
	var blobs, n uint32
	if !r.CopyBytes(mark.Generation[:]) || !r.ReadUint64(&offset) || !r.ReadUint64(&number) || !r.ReadUint32(&blobs) {
		return journal.Mark{}
	}
	mark.Offset, mark.Number = int64(offset), number
	for range blobs {
		var h [32]byte
		r.CopyBytes(h[:])
		p.blobs[h] = true
	}
	for b := []byte(nil); r.ReadUint32(&n) && r.ReadBytes(&b, int(n)); {
		_ = p.visit(journal.Position{}, b)
	}
	return mark
}

// remove forgets the one there is: texts may stand in it that are deleted.
func (f *snapshot) remove() {
	_ = f.files.Remove(snapshotFile) // the next one takes its place, if it is still there
}

func (f *snapshot) read() ([]byte, error) {
	file, err := f.files.Open(snapshotFile)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	size, err := file.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	_, err = file.ReadAt(b, 0)
	return b, err
}

// save writes the state of a store at a place up to which its journal is safe. Where somebody still has texts to take, or to store, nothing is written:
// the next life begins from the one before.
func (f *snapshot) save(s *Store, mark journal.Mark) error {
	b := append([]byte(nil), mark.Generation[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(mark.Offset))
	b = binary.BigEndian.AppendUint64(b, mark.Number)
	s.disk.mu.Lock()
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.disk.blobs)))
	for h := range s.disk.blobs {
		b = append(b, h[:]...)
	}
	s.disk.mu.Unlock()
	for _, c := range s.all() {
		records, ok := c.whole()
		if !ok {
			return nil
		}
		for _, r := range records {
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(r))), r...)
		}
	}
	nonce := make([]byte, f.aead.NonceSize())
	rand.Read(nonce)
	return f.write(f.aead.Seal(nonce, nonce, b, f.id[:]))
}

func (f *snapshot) write(b []byte) error {
	file, err := f.files.Open(newSnapshotFile)
	if err != nil {
		return err
	}
	err = file.Truncate(0)
	if err == nil {
		_, err = file.WriteAt(b, 0)
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := f.files.Rename(newSnapshotFile, snapshotFile); err != nil {
		return err
	}
	return f.files.Sync()
}

// whole is all that is known of a contact, in records; ok is false where that is not all.
func (c *Contact) whole() (records [][]byte, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.in.unshown) > 0 || c.out.leading || c.preamble != nil {
		return nil, false
	}
	for _, t := range c.out.waiting {
		records = append(records, (&record.Queued{Contact: c.number, Text: t}).Append(nil))
	}
	records = append(records, c.moves()...)
	return append(records, c.snapshot().Append(nil)), true
}
