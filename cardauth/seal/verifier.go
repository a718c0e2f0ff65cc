package seal

import (
	"crypto/sha256"
	"sync"

	"sinete/wire"
)

// Verifier checks seals. It remembers the signatures that it has verified, so that the statements of one batch cost one
// signature check together. It is safe for concurrent use.
type Verifier struct {
	mu         sync.Mutex
	generation int
	// Two generations instead of a list of uses: when young is full it becomes old, and what was in old is forgotten unless
	// it was used meanwhile. The values are signers, for Forget.
	young, old map[[32]byte][32]byte
}

// NewVerifier makes a Verifier that remembers about that many signatures, of some 100 bytes each; 0 remembers none.
func NewVerifier(remember int) *Verifier {
	return &Verifier{generation: (remember + 1) / 2, young: make(map[[32]byte][32]byte)}
}

// Verify checks that s sealed the statement for purpose p (protocol.md section 4.3). It refuses with *VerifyError.
func (v *Verifier) Verify(s Signer, p wire.Purpose, statement []byte, sl wire.Seal) error {
	if sl.Scheme != s.Scheme {
		return &VerifyError{"another scheme than the one pinned"}
	}
	if d := s.Delegation; d != nil {
		if !d.Allows(p) {
			return &VerifyError{"the delegated key may not seal this"}
		}
		if sl.Time > d.NotAfter {
			return &VerifyError{"sealed after the delegation's end"}
		}
	}
	root, ok := RootOf(Leaf(p, sl.Salt, statement), sl.Leaves, sl.Index, sl.Path)
	if !ok {
		return &VerifyError{"leaves, index and path do not fit"}
	}
	var space [1024]byte
	signed := wire.SealInput{Signer: s.Digest, Time: sl.Time, Leaves: sl.Leaves, Root: root}.Append(space[:0])

	id, err := memoryID(s, signed, sl.Signature)
	if err != nil {
		return err
	}
	if v.remembers(id) {
		return nil
	}
	if err := VerifySignature(s.Key, s.Scheme, signed, sl.Signature); err != nil {
		return err
	}
	v.remember(id, s.Digest)
	return nil
}

// memoryID hashes all that a signature's validity depends on.
func memoryID(s Signer, signed, signature []byte) ([32]byte, error) {
	var space [2048]byte
	b := append(space[:0], byte(s.Scheme>>8), byte(s.Scheme))
	b = append(b, signed...) // of one length always
	b = wire.AppendLen32(b, signature)
	b, err := appendKey(b, s.Key)
	return sha256.Sum256(b), err
}

func (v *Verifier) remembers(id [32]byte) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok := v.young[id]; ok {
		return true
	}
	signer, ok := v.old[id]
	if ok {
		v.put(id, signer)
	}
	return ok
}

func (v *Verifier) remember(id, signer [32]byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.put(id, signer)
}

func (v *Verifier) put(id, signer [32]byte) {
	if v.generation == 0 {
		return
	}
	if len(v.young) >= v.generation {
		v.old, v.young = v.young, make(map[[32]byte][32]byte, v.generation)
	}
	v.young[id] = signer
}

// Forget drops what is remembered of a signer, by its Digest: for when the status of its certificate changes.
func (v *Verifier) Forget(signer [32]byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, m := range []map[[32]byte][32]byte{v.young, v.old} {
		for id, s := range m {
			if s == signer {
				delete(m, id)
			}
		}
	}
}
