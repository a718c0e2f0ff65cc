package store

import (
	"bytes"
	"testing"
	"time"

	"sinete/wire"
)

// records are one of each kind, with and without what is optional.
func records() []record {
	at := time.UnixMilli(1_790_000_000_000)
	seal := someSeal()
	flight := *from(7, "a text")
	flight.Envelopes = append(flight.Envelopes, Envelope{Header: []byte{1}, Is: IsOwnText, Number: 9}, Envelope{Is: IsGone}, Envelope{Is: IsPastText, Content: []byte{1}})
	text := Text{ID: [16]byte{1}, Number: 3, Time: at, Text: "text"}
	hashes := credentials{Chain: [][32]byte{{1}, {2}}, Staples: [][32]byte{{3}}, Delegation: [][32]byte{{4}}}
	return []record{
		&contactRecord{1, "BI1@0", "Ana"}, &blobRecord{[]byte("blob")}, &blobRecord{}, &machineRecord{1, Machine{[32]byte{1}, "a machine"}},
		&channelRecord{1, at, [32]byte{1}, wire.RoleResponder, 2, hashes, credentials{}, true}, &epochRecord{1, [32]byte{1}, 3, []byte("th")},
		&queuedRecord{1, text}, &sentRecord{1, at, flight}, &receivedRecord{1, at, 5, flight}, &marksRecord{1, 2, 3, 4, nil}, &marksRecord{1, 2, 3, 4, &seal},
		&failedRecord{1, 2, 3, wire.CodeFlowDenied}, &openRecord{1, true}, &pastRecord{1, text, true, 0},
		&stateRecord{Contact: 1, Identity: "BI1@0", Name: "Ana", Open: true, Machine: &Machine{[32]byte{1}, "a machine"}, Next: 1, Came: 5, Shown: 4,
			Failed: []failedRecord{{1, 2, 3, 4}}, IDs: [][16]byte{{1}, {2}}},
	}
}

// Every record is read as it was written, and no part of one is a record.
func TestRecords(t *testing.T) {
	for _, r := range records() {
		b := r.append(nil)
		read, err := parseRecord(b)
		if err != nil || !bytes.Equal(read.append(nil), b) {
			t.Errorf("%T: %v", r, err)
		}
		if c := r.contact(); c != nil && (read.contact() == nil || *read.contact() != *c) {
			t.Errorf("%T is of another contact", r)
		}
		switch r.(type) {
		case *blobRecord, *machineRecord, *epochRecord, *queuedRecord, *pastRecord, *stateRecord, *marksRecord: // that end with as much as there is
			continue
		}
		for n := range b {
			if _, err := parseRecord(b[:n]); err == nil {
				t.Errorf("%T cut at %d of %d is a record", r, n, len(b))
			}
		}
		if _, err := parseRecord(append(b, 0)); err == nil {
			t.Errorf("%T with a byte behind it is a record", r)
		}
	}
}

func FuzzRecord(f *testing.F) {
	for _, r := range records() {
		f.Add(r.append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRecord(b)
		if err != nil {
			return
		}
		if again := r.append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x was read as %x", b, again)
		}
		p := &replay{store: NewMemory(), blobs: map[[32]byte]bool{}}
		p.apply(r) // whatever it says
	})
}
