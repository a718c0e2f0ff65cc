package journal

import "fmt"

// Kind is what is wrong with a place in a journal.
type Kind string

const (
	// Torn: the end was cut off in the middle of a write. Nothing of it was ever acknowledged; opening cuts it off.
	Torn Kind = "torn"
	// Damaged: bytes that are no record any more, or one that was altered.
	Damaged Kind = "damaged"
	// Missing: records are not there, and nothing is in their place.
	Missing Kind = "missing"
	// Misplaced: a record of another place or of another journal.
	Misplaced Kind = "misplaced"
)

// Damage is a place in a journal that gives no record. It is an error where one record was asked for.
type Damage struct {
	Kind    Kind
	At      Position // where it begins, and the number of the first record that should be there
	Bytes   int64    // how many bytes of the file were skipped
	Records uint64   // how many records are lost, as far as can be told; at least
}

func (d *Damage) Error() string {
	return fmt.Sprintf("the journal is %s at byte %d: record %d, %d records, %d bytes", d.Kind, d.At.Offset, d.At.Number, d.Records, d.Bytes)
}
