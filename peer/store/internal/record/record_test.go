package record

import (
	"bytes"
	"testing"
	"time"

	"sinete/wire"
)

// records are one of each kind, with and without what is optional.
func records() []Record {
	at := time.UnixMilli(1_790_000_000_000)
	place := wire.Place{Count: 1}
	seal := wire.SealEntry{Seal: wire.Seal{Scheme: wire.SchemeP256, Signature: []byte{1}, Leaves: 1}, Head: wire.Head{Role: wire.RoleResponder, Mine: &place}}
	flight := Flight{Seal: seal, Envelopes: []Envelope{{Header: []byte{1, 2}, Is: IsNewText, Content: []byte("a text")}}}
	flight.Envelopes = append(flight.Envelopes, Envelope{Header: []byte{1}, Is: IsOwnText, Number: 9}, Envelope{Is: IsGone}, Envelope{Is: IsPastText, Content: []byte{1}})
	text := Text{ID: [16]byte{1}, Number: 3, Time: at, Text: "text"}
	labelled, level := text, wire.Level{Rank: 2, Compartments: []string{"a", "ops"}}
	labelled.Label, labelled.Labelled = level, true
	hashes := Credentials{Chain: [][32]byte{{1}, {2}}, Staples: [][32]byte{{3}}, Delegation: [][32]byte{{4}}}
	return []Record{
		&Named{1, "BI1@0", "Ana"}, &Blob{[]byte("blob")}, &Blob{}, &Spoke{1, Machine{[32]byte{1}, "a machine"}},
		&Channel{1, at, [32]byte{1}, wire.RoleResponder, 2, hashes, Credentials{}, true}, &Epoch{1, [32]byte{1}, 3, []byte("th")},
		&Queued{1, text}, &Sent{1, at, flight}, &Received{1, at, 5, flight}, &Marks{1, 2, 3, 4, nil}, &Marks{1, 2, 3, 4, &seal},
		&Hop{1, [32]byte{1}, "relay.example", [][32]byte{{5}, {6}}}, &Hop{Contact: 1},
		&Passed{1, Passage{Channel: [32]byte{1}, Own: true, Before: place, Steps: []Step{{Epoch: 1, First: 2, Count: 3}, {Digest: [32]byte{7}}}, Seal: seal}},
		&Failed{1, 2, 3, wire.CodeFlowDenied}, &Open{1, true}, &Past{1, text, true, 0},
		&Queued{1, labelled}, &Past{1, labelled, false, wire.CodeLabelDenied}, &Levels{1, [32]byte{1}, level, wire.Level{}},
		&Moved{1, at, Machine{[32]byte{1}, "a machine"}},
		&State{Contact: 1, Identity: "BI1@0", Name: "Ana", Open: true, Machine: &Machine{[32]byte{1}, "a machine"}, Next: 1, Came: 5, Shown: 4,
			Failed: []Failed{{1, 2, 3, 4}}, IDs: [][16]byte{{1}, {2}}},
	}
}

// Every record is read as it was written, and no part of one is a record.
func TestRecords(t *testing.T) {
	for _, r := range records() {
		b := r.Append(nil)
		read, err := Parse(b)
		if err != nil || !bytes.Equal(read.Append(nil), b) {
			t.Errorf("%T: %v", r, err)
		}
		if c := r.ContactNumber(); c != nil && (read.ContactNumber() == nil || *read.ContactNumber() != *c) {
			t.Errorf("%T is of another contact", r)
		}
		switch r.(type) {
		case *Blob, *Spoke, *Moved, *Epoch, *Queued, *Past, *State, *Marks: // that end with as much as there is
			continue
		}
		for n := range b {
			if _, err := Parse(b[:n]); err == nil {
				t.Errorf("%T cut at %d of %d is a record", r, n, len(b))
			}
		}
		if _, err := Parse(append(b, 0)); err == nil {
			t.Errorf("%T with a byte behind it is a record", r)
		}
	}
}

func FuzzRecord(f *testing.F) {
	for _, r := range records() {
		f.Add(r.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Parse(b)
		if err != nil {
			return
		}
		if again := r.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x was read as %x", b, again)
		}
	})
}
