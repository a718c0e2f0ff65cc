package journal_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"sinete/peer/store/internal/journal"
	"sinete/peer/store/internal/journal/journaltest"
)

// FuzzOpen opens whatever it is given as a journal: every byte is a record's, or named as damage; and once opened it takes more, and says the same again.
func FuzzOpen(f *testing.F) {
	whole, marks := made(f, sized(rand.NewChaCha8([32]byte{12}), 0, 1, 100, 30))
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(append(bytes.Clone(whole[marks[2].Offset:]), whole[:marks[2].Offset]...))
	f.Add(append(bytes.Clone(whole), make([]byte, 100)...))
	f.Add(bytes.Repeat(whole[:28], 5))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := &journaltest.Disk{}
		d.Put("journal", b)
		var records [][]byte
		var torn, accounted int64
		var last journal.Position
		j, damage, err := journal.Open(d, testKey, testID, journal.Mark{}, func(p journal.Position, r []byte) error {
			if len(records) > 0 && (p.Number <= last.Number || p.Offset <= last.Offset) {
				t.Fatalf("%+v after %+v", p, last)
			}
			last = p
			records = append(records, bytes.Clone(r))
			accounted += int64(len(r)) + overhead
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range damage {
			accounted += d.Bytes
			if d.Kind == journal.Torn {
				torn += d.Bytes
			}
		}
		if accounted != int64(len(b)) || j.Size() != int64(len(b))-torn {
			t.Fatalf("%d bytes of %d accounted for, %d torn, %d left: %+v", accounted, len(b), torn, j.Size(), damage)
		}
		records = append(records, []byte("more"))
		ticket := j.Append([]byte("more"))
		if r, err := j.Read(ticket.Positions[0]); err != nil || string(r) != "more" {
			t.Fatal(r, err)
		}
		j.Read(journal.Position{Offset: int64(len(b) / 2), Number: 1})
		closed(t, j)
		j, again, _ := open(t, d, journal.Mark{})
		if !same(again, records) {
			t.Fatalf("%d records, want %d", len(again), len(records))
		}
		end := j.Mark()
		closed(t, j)
		var other *journal.MarkError
		if _, _, err := journal.Open(d, testKey, testID, journal.Mark{Generation: journal.Generation{1}, Position: end.Position}, nil); !errors.As(err, &other) {
			t.Fatal(err)
		}
	})
}
