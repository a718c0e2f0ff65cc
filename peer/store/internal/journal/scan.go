package journal

import (
	"bytes"
	"encoding/binary"
	"io"
)

// Position is the place of a record in its journal.
type Position struct {
	Offset int64
	Number uint64 // 0 is the first record
}

// Mark is a position in one generation of a journal. The zero Mark is the start of any.
type Mark struct {
	Generation Generation
	Position
}

// scanner reads records one after the other and gets over what is none.
type scanner struct {
	w          window
	box        box
	generation Generation // zero: that of the first record that is whole
	at         Position
	plain      []byte // never nil
	damage     []Damage
	seen       uint64 // the highest number in the header of a damaged record
}

func newScanner(file File, size int64, x box) *scanner {
	return &scanner{w: window{r: file, size: size, piece: windowSize}, box: x, plain: []byte{}}
}

// scan visits every record from s.at on. What is passed to visit is overwritten after it returns. Its error ends the scan. s.at is then where
// the next record belongs: the end of what is not torn.
func (s *scanner) scan(visit func(Position, []byte) error) error {
	for s.at.Offset < s.w.size {
		h, record, err := s.record()
		if err != nil {
			return err
		}
		if record == nil {
			if torn, err := s.skip(); err != nil || torn {
				return err
			}
			continue
		}
		if s.generation == (Generation{}) {
			s.generation = h.generation
		}
		if h.generation != s.generation || h.number < s.at.Number {
			s.lost(Misplaced, h.size())
			continue
		}
		s.gap(h.number)
		if err := visit(s.at, record); err != nil {
			return err
		}
		s.at = Position{s.at.Offset + h.size(), s.at.Number + 1}
	}
	s.end()
	return nil
}

// record returns the record that begins at s.at, of whichever place and generation; nil if none does.
func (s *scanner) record() (header, []byte, error) {
	h, whole, err := s.header(s.at.Offset)
	if err != nil || !whole {
		return h, nil, err
	}
	raw, err := s.w.at(s.at.Offset, int(h.size()))
	if err != nil {
		return h, nil, err
	}
	record, err := s.box.open(s.plain[:0], raw)
	if err != nil {
		return h, nil, nil
	}
	s.plain = record
	return h, record, nil
}

// header reads the header at offset and says whether the record is whole.
func (s *scanner) header(offset int64) (h header, whole bool, err error) {
	b, err := s.w.at(offset, headerSize)
	if err != nil {
		return h, false, err
	}
	h, ok := parseHeader(b)
	return h, ok && h.size() <= s.w.size-offset, nil
}

// lost names the bytes at s.at, which are no record of this place, and goes on after them. What follows on other such bytes is one damage with them.
func (s *scanner) lost(kind Kind, size int64) {
	if last := s.adjacent(); last != nil && last.Kind == kind {
		last.Bytes += size
	} else {
		s.damage = append(s.damage, Damage{kind, s.at, size, 0})
	}
	s.at.Offset += size
}

// adjacent is the damage that ends here.
func (s *scanner) adjacent() *Damage {
	if len(s.damage) == 0 {
		return nil
	}
	last := &s.damage[len(s.damage)-1]
	if last.At.Offset+last.Bytes != s.at.Offset {
		return nil
	}
	return last
}

// gap accounts for the records between the one that belongs here and number.
func (s *scanner) gap(number uint64) {
	missing := number - s.at.Number
	if missing == 0 {
		return
	}
	if last := s.adjacent(); last != nil && last.Kind == Damaged {
		last.Records = missing
	} else {
		s.damage = append(s.damage, Damage{Missing, s.at, 0, missing})
	}
	s.at.Number = number
}

// skip gets over bytes that begin no record, or reports that they are a torn end. It trusts nothing in a header whose record was altered: neither its length,
// which may pass over the next record, nor its number.
func (s *scanner) skip() (torn bool, err error) {
	next, err := s.search(s.at.Offset + 1)
	if err != nil {
		return false, err
	}
	h, whole, err := s.header(s.at.Offset)
	if err != nil {
		return false, err
	}
	if next == s.w.size && !whole {
		if torn, err := s.torn(); err != nil || torn {
			s.end()
			s.damage = append(s.damage, Damage{Torn, s.at, s.w.size - s.at.Offset, 0})
			return true, err
		}
	}
	if whole && (h.generation == s.generation || s.generation == Generation{}) {
		s.seen = max(s.seen, h.number)
	}
	s.lost(Damaged, next-s.at.Offset)
	return false, nil
}

// end accounts for records that were damaged at the end, where no number of a next one says how many they were: as many as their headers do and
// have room in these bytes, at least one. The next record that is appended gets its number after them.
func (s *scanner) end() {
	if last := s.adjacent(); last != nil && last.Kind == Damaged {
		seen := max(s.seen, s.at.Number) - s.at.Number + 1
		last.Records = min(seen, max(1, uint64(last.Bytes/overhead)))
		s.at.Number += last.Records
	}
}

// search finds the first header of a whole record from offset on, else the end of the file.
func (s *scanner) search(offset int64) (int64, error) {
	var m [4]byte
	binary.BigEndian.PutUint32(m[:], magic)
	for s.w.size-offset >= overhead {
		b, err := s.w.at(offset, int(min(windowSize, s.w.size-offset)))
		if err != nil {
			return 0, err
		}
		i := bytes.Index(b, m[:])
		if i < 0 {
			offset += int64(len(b) - len(m) + 1)
			continue
		}
		offset += int64(i)
		if _, whole, err := s.header(offset); err != nil || whole {
			return offset, err
		}
		offset++
	}
	return s.w.size, nil
}

// torn reports whether the bytes from s.at to the end are what a write leaves that was cut off: the beginning of a record, or the
// zeros of a file that grew before its bytes came.
func (s *scanner) torn() (bool, error) {
	b, err := s.w.at(s.at.Offset, headerSize)
	if err != nil {
		return false, err
	}
	if len(b) < headerSize {
		return true, nil
	}
	if _, ok := parseHeader(b); ok {
		return true, nil
	}
	for offset := s.at.Offset; offset < s.w.size; offset += int64(len(b)) {
		if b, err = s.w.at(offset, windowSize); err != nil {
			return false, err
		}
		if len(bytes.Trim(b, "\x00")) > 0 {
			return false, nil
		}
	}
	return true, nil
}

const windowSize = 256 << 10

// window reads a file in pieces.
type window struct {
	r     io.ReaderAt
	size  int64
	piece int // bytes that are read at least
	buf   []byte
	base  int64
}

// at returns the n bytes at offset, fewer at the end of the file. They hold until the next call.
func (w *window) at(offset int64, n int) ([]byte, error) {
	n = int(min(int64(n), w.size-offset))
	if offset < w.base || offset+int64(n) > w.base+int64(len(w.buf)) {
		size := int(min(int64(max(n, w.piece)), w.size-offset))
		if cap(w.buf) < size {
			w.buf = make([]byte, size)
		}
		w.buf, w.base = w.buf[:size], offset
		if m, err := w.r.ReadAt(w.buf, offset); m < size {
			w.buf = w.buf[:0]
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, failure("read", err)
		}
	}
	return w.buf[offset-w.base:][:n], nil
}
