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
	plain      []byte
	damage     []Damage
}

func newScanner(file File, size int64, x box) *scanner {
	return &scanner{w: window{r: file, size: size, piece: windowSize}, box: x}
}

// scan visits every record from s.at on. What is passed to visit is overwritten after it returns. Its error ends the scan. s.at is then where
// the next record belongs: the end of what is not torn.
func (s *scanner) scan(visit func(Position, []byte) error) error {
	for s.at.Offset < s.w.size {
		h, whole, err := s.header(s.at.Offset)
		if err != nil {
			return err
		}
		if !whole {
			if end, err := s.skip(); err != nil || end {
				return err
			}
			continue
		}
		raw, err := s.w.at(s.at.Offset, int(h.size()))
		if err != nil {
			return err
		}
		record, err := s.box.open(s.plain[:0], raw)
		if err != nil {
			s.lost(Damaged, h.size(), 1)
			continue
		}
		s.plain = record
		if s.generation == (Generation{}) {
			s.generation = h.generation
		}
		if h.generation != s.generation || h.number < s.at.Number {
			s.lost(Misplaced, h.size(), 0)
			continue
		}
		s.gap(h.number)
		if err := visit(s.at, record); err != nil {
			return err
		}
		s.at = s.after(h.size())
	}
	return nil
}

func (s *scanner) after(size int64) Position { return Position{s.at.Offset + size, s.at.Number + 1} }

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
func (s *scanner) lost(kind Kind, size int64, records uint64) {
	if last := s.adjacent(); last != nil && last.Kind == kind {
		last.Bytes += size
		last.Records += records
	} else {
		s.damage = append(s.damage, Damage{kind, s.at, size, records})
	}
	s.at.Offset += size
	s.at.Number += records
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
		last.Records += missing
	} else {
		s.damage = append(s.damage, Damage{Missing, s.at, 0, missing})
	}
	s.at.Number = number
}

// skip gets over bytes that begin no whole record, and reports whether nothing comes after them.
func (s *scanner) skip() (end bool, err error) {
	next, err := s.search(s.at.Offset + 1)
	if err != nil {
		return false, err
	}
	if next < s.w.size {
		// How many records these bytes were shows in the number of the next.
		s.lost(Damaged, next-s.at.Offset, 0)
		return false, nil
	}
	torn, err := s.torn()
	if err != nil {
		return false, err
	}
	if torn {
		s.damage = append(s.damage, Damage{Torn, s.at, s.w.size - s.at.Offset, 0})
		return true, nil
	}
	s.lost(Damaged, s.w.size-s.at.Offset, 1)
	return true, nil
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
