package audit

import (
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Proof shows something of a log to whoever has nothing of it but the relay's certificate: that a record stands in it, or that a log only grew between two heads.
type Proof struct {
	// Of a record:
	Number int64  `json:"number,omitempty"`
	Record string `json:"record,omitempty"` // as written
	// Of growth:
	Before *Head `json:"before,omitempty"`

	Head   Head        `json:"head"`
	Hashes []tlog.Hash `json:"hashes"`
}

// NotCoveredError says that no head covers a record yet.
type NotCoveredError struct {
	Number, Size int64 // of the record; of what the newest head covers
}

func (e *NotCoveredError) Error() string {
	return fmt.Sprintf("there is no record %d among the %d that the newest head covers", e.Number, e.Size)
}

// ProveRecord proves, under the newest head, that a record stands at its place. The record itself must be there. Errors: *NotCoveredError, *DamageError.
func (r *Reader) ProveRecord(n int64) (*Proof, error) {
	h, _ := r.Head()
	if n < 0 || n >= int64(h.Size) {
		return nil, &NotCoveredError{n, int64(h.Size)}
	}
	var record string
	for _, data := range lines(r.dir, n, n+1) {
		record = string(data)
	}
	if record == "" {
		return nil, &DamageError{recordsName(n), fmt.Sprintf("the file with record %d is not there", n)}
	}
	hashes, err := tlog.ProveRecord(int64(h.Size), n, r)
	if err != nil {
		return nil, err
	}
	p := &Proof{Number: n, Record: record, Head: h, Hashes: hashes}
	return p, p.place()
}

// ProveGrowth proves that the log of one head is the beginning of that of another. Both must be heads of this log (Covers).
func (r *Reader) ProveGrowth(before, after Head) (*Proof, error) {
	if before.Size > after.Size {
		return nil, &DamageError{headsName, "the first head covers more than the second"}
	}
	hashes, err := tlog.ProveTree(int64(after.Size), int64(before.Size), r)
	if err != nil {
		return nil, err
	}
	p := &Proof{Before: &before, Head: after, Hashes: hashes}
	return p, p.place()
}

// ParseProof reads a proof as json.Marshal wrote it.
func ParseProof(b []byte) (*Proof, error) {
	var p Proof
	if err := json.Unmarshal(b, &p); err != nil {
		return nil, err
	}
	if (p.Record == "") == (p.Before == nil) || p.Head.Size == 0 {
		return nil, errors.New("no proof about an audit log")
	}
	return &p, nil
}

// Check verifies a proof. What is wrong is a *DamageError, or what verify returned of a head.
func (p *Proof) Check(verify func(Head) error) error {
	if err := p.place(); err != nil {
		return err
	}
	if p.Before != nil {
		if err := verify(*p.Before); err != nil {
			return err
		}
	}
	return verify(p.Head)
}

// place checks the hashes alone.
func (p *Proof) place() error {
	var err error
	size, root := int64(p.Head.Size), tlog.Hash(p.Head.Root)
	switch {
	case p.Before == nil:
		if p.Number < 0 || p.Number >= size {
			return &DamageError{"proof", "a record behind the head"}
		}
		err = tlog.CheckRecord(p.Hashes, size, root, p.Number, tlog.RecordHash([]byte(p.Record)))
	case p.Before.Log != p.Head.Log:
		return &DamageError{"proof", "heads of two logs"}
	case p.Before.Size > p.Head.Size:
		return &DamageError{"proof", "the first head covers more than the second"}
	default:
		err = tlog.CheckTree(p.Hashes, size, root, int64(p.Before.Size), tlog.Hash(p.Before.Root))
	}
	if err != nil {
		return &DamageError{"proof", "the hashes do not lead to the head"}
	}
	return nil
}
