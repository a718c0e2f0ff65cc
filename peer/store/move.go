package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"sinete/peer/store/internal/journal"
	"sinete/peer/store/internal/record"
	"sinete/peer/store/internal/vault"
)

// An export is a store of its own, with another key: u32 length of its store.json, store.json, SHA-256 of its journal, journal.
const (
	vaultFile   = "store.json"
	journalFile = "journal"
	maxVault    = 1 << 20 // bytes
	copied      = 1 << 20 // bytes of records at a time
)

var errMemory = errors.New("a store in memory neither exports nor imports")

// Export writes everything that is stored, under a passphrase. Errors: *FullError and *IOError, of w's too, and ErrPassphraseNeeded.
func (s *Store) Export(w io.Writer, passphrase []byte) error {
	if s.disk == nil {
		return errMemory
	}
	return inFolder(func(dir string) error {
		v, err := vault.Create(dir, s.disk.owner, Protection{Kind: ByPassphrase, Passphrase: passphrase})
		if err != nil {
			return err
		}
		key, err := v.Key(passphrase)
		if err != nil {
			return err
		}
		s.disk.rewriting.Lock()
		_, err = s.writeState() // what marks that wait would say
		s.disk.rewriting.Unlock()
		if err != nil {
			return err
		}
		if err := copyTo(journal.Dir(dir), key, v.ID(), s.disk.journal); err != nil {
			return err
		}
		head, err := os.ReadFile(filepath.Join(dir, vaultFile))
		if err != nil {
			return err
		}
		f, err := os.Open(filepath.Join(dir, journalFile))
		if err != nil {
			return err
		}
		defer f.Close()
		sum := sha256.New()
		if _, err := io.Copy(sum, f); err != nil {
			return err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if _, err := w.Write(sum.Sum(append(binary.BigEndian.AppendUint32(nil, uint32(len(head))), head...))); err != nil {
			return err
		}
		_, err = io.Copy(w, f)
		return err
	})
}

// copyTo copies the records of a journal into a new one.
func copyTo(disk journal.Disk, key [32]byte, id [16]byte, from *journal.Journal) error {
	to, _, err := journal.Open(disk, key, id, journal.Mark{}, nil)
	if err != nil {
		return err
	}
	var records [][]byte
	bytes := 0
	write := func() error { // each time waited for: whatever the disk refuses in between would be missing
		err := to.AppendUnsynced(records...).Wait()
		records, bytes = nil, 0
		return err
	}
	_, err = from.Scan(journal.Mark{}, func(_ journal.Position, b []byte) error {
		records, bytes = append(records, slices.Clone(b)), bytes+len(b)
		if bytes < copied {
			return nil
		}
		return write()
	})
	if err == nil {
		err = write()
	}
	return errors.Join(err, to.Close())
}

// inFolder runs f with a new folder, which is gone afterwards.
func inFolder(f func(dir string) error) error {
	dir, err := os.MkdirTemp("", "sinete-export-")
	if err != nil {
		return err
	}
	return errors.Join(f(dir), os.RemoveAll(dir))
}

// Import takes over what an export of the same owner's holds, and returns how many messages were new. Where this store has nothing with a contact,
// all is as it was there: numbers go on, what waited waits, what proves the messages is kept. Where it has, messages that it does not know by their id
// are added to the history; those of the owner's that were not confirmed are queued again, and what proves the owner's stays behind.
// Of an export that is damaged or cut off that is taken over which is whole, and the error is a *FormatError.
// No session may use the store meanwhile. Errors: ErrPassphraseNeeded, ErrPassphraseWrong, *OwnerError, *FormatError, *VersionError, *FullError, *IOError.
func (s *Store) Import(r io.Reader, passphrase []byte) (n int, err error) {
	if s.disk == nil {
		return 0, errMemory
	}
	err = inFolder(func(dir string) error {
		whole, err := unpack(dir, r)
		if err != nil {
			return err
		}
		v, err := vault.Open(dir, s.disk.owner.Identity)
		if err != nil {
			return err
		}
		key, err := v.Key(passphrase)
		if err != nil {
			return err
		}
		from, err := open(journal.Dir(dir), key, v.ID(), s.disk.logger, true)
		if err != nil {
			return err
		}
		n, err = s.merge(from)
		if err == nil && !whole {
			err = &FormatError{Err: fmt.Errorf("it is damaged or cut off; what is whole in it was taken over, %d new messages", n)}
		}
		return errors.Join(err, from.Close())
	})
	return n, err
}

// OwnerOfExport says whose an export is, and reads no more than its beginning. Errors: ErrPassphraseNeeded, ErrPassphraseWrong, *FormatError, *VersionError.
func OwnerOfExport(r io.Reader, passphrase []byte) (owner Owner, err error) {
	err = inFolder(func(dir string) error {
		if err := unpackVault(dir, r); err != nil {
			return err
		}
		v, err := vault.Open(dir, "")
		if err != nil {
			return err
		}
		key, err := v.Key(passphrase)
		clear(key[:])
		owner = v.Owner()
		return err
	})
	return owner, err
}

// unpack reports whether the journal is whole.
func unpack(dir string, r io.Reader) (whole bool, err error) {
	if err := unpackVault(dir, r); err != nil {
		return false, err
	}
	var want [sha256.Size]byte
	if _, err := io.ReadFull(r, want[:]); err != nil {
		return false, cutOff(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, journalFile), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return false, err
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, sum), r)
	return bytes.Equal(sum.Sum(nil), want[:]), errors.Join(err, f.Close())
}

func cutOff(err error) error {
	return &FormatError{Err: fmt.Errorf("an export that is cut off: %w", err)}
}

func unpackVault(dir string, r io.Reader) error {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return &FormatError{Err: fmt.Errorf("no export: %w", err)}
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > maxVault {
		return &FormatError{Err: errors.New("no export")}
	}
	head := make([]byte, n)
	if _, err := io.ReadFull(r, head); err != nil {
		return cutOff(err)
	}
	return os.WriteFile(filepath.Join(dir, vaultFile), head, 0o600)
}

// merging takes over the records of another store.
type merging struct {
	to, from *Store
	contacts map[uint32]*Contact // of to, by their numbers in from
	fresh    map[uint32]bool     // of those, that had nothing
	next     map[uint32]uint64   // numbers of the owner's next texts to the others
	known    map[[16]byte]bool   // ids of the messages that to has
	records  []record.Record
	n        int // messages among them
}

func (s *Store) merge(from *Store) (int, error) {
	s.disk.rewriting.Lock()
	defer s.disk.rewriting.Unlock()
	m := &merging{to: s, from: from, contacts: map[uint32]*Contact{}, fresh: map[uint32]bool{}, next: map[uint32]uint64{}, known: map[[16]byte]bool{}}
	for e, err := range s.History(Query{}) {
		if err != nil {
			return 0, err
		}
		m.known[e.Text.ID] = true
	}
	for _, c := range from.Contacts() { // a contact whose name is lost stays behind
		to := s.Contact(c.Identity, c.Name())
		to.mu.Lock()
		m.contacts[c.number], m.next[c.number] = to, to.out.next
		m.fresh[c.number] = to.out.next == 0 && to.in.came == 0
		to.mu.Unlock()
	}
	_, err := from.disk.journal.Scan(journal.Mark{}, func(_ journal.Position, b []byte) error {
		if r, err := record.Parse(b); err == nil && m.adopts(r) {
			m.records = append(m.records, r)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, c := range m.contacts { // before what says its number
		if err := c.append(); err != nil {
			return 0, err
		}
	}
	var records [][]byte
	for _, r := range m.records {
		records = append(records, r.Append(nil))
	}
	if err := s.disk.journal.Append(records...).Wait(); err != nil { // all or nothing
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	p := newReplay(s, s.disk.blobs)
	for _, r := range m.records {
		p.apply(r)
	}
	for _, c := range m.contacts {
		c.in.before = c.in.came
	}
	return m.n, nil
}

// adopts makes a record one of this store's, and reports whether it is wanted.
func (m *merging) adopts(r record.Record) bool {
	if b, ok := r.(*record.Blob); ok {
		return !m.to.disk.has(sha256.Sum256(b.Bytes))
	}
	number := r.ContactNumber()
	theirs := *number
	c := m.contacts[theirs]
	if c == nil {
		return false
	}
	*number = c.number
	switch r := r.(type) {
	case *record.Named:
		return false
	case *record.Channel, *record.Epoch, *record.Levels, *record.Hop:
		return true
	case *record.Passed:
		return m.fresh[theirs] || !r.Passage.Own
	case *record.Queued:
		return m.adoptsOwn(r, theirs)
	case *record.Past:
		return m.isNew(r.Text.ID)
	case *record.Received:
		if !m.fresh[theirs] {
			r.First = 0 // their places say nothing here
		}
		return m.adoptsFlight(&r.Flight, m.fresh[theirs])
	}
	return m.fresh[theirs]
}

func (m *merging) isNew(id [16]byte) bool {
	if m.known[id] {
		return false
	}
	m.n++
	return true
}

func (m *merging) adoptsOwn(r *record.Queued, theirs uint32) bool {
	if !m.isNew(r.Text.ID) || m.fresh[theirs] {
		return m.fresh[theirs]
	}
	state, reason := m.from.numbered[theirs].state(r.Text.Number)
	if state == Delivered || state == Failed {
		m.records = append(m.records, &record.Past{Contact: r.Contact, Text: r.Text, Delivered: state == Delivered, Reason: reason})
		return false
	}
	r.Text.Number = m.next[theirs]
	m.next[theirs]++
	return true
}

func (m *merging) adoptsFlight(f *Flight, fresh bool) bool {
	wanted := fresh
	for i := range f.Envelopes {
		e := &f.Envelopes[i]
		if (e.Is != IsNewText && e.Is != IsPastText) || e.Read() != nil || e.Text == nil {
			continue
		}
		switch isNew := m.isNew(e.Text.ID); {
		case fresh:
		case isNew:
			e.Is, wanted = IsPastText, true
		default:
			e.Is = IsOther
		}
	}
	return wanted
}
