package revocation

import (
	"crypto/sha256"
	"sync"
	"time"
)

// remembered is how many things a memory holds at most, none of them as long as a staple.
const remembered = 1024

// memory holds what this side has verified, so that it need not verify it again. Of two generations the older is forgotten when the younger
// is full, but for what was used meanwhile.
type memory[V any] struct {
	mu         sync.Mutex
	young, old map[[32]byte]V
}

func (m *memory[V]) get(id [32]byte) (v V, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok = m.young[id]; ok {
		return v, true
	}
	if v, ok = m.old[id]; ok {
		m.keep(id, v)
	}
	return v, ok
}

func (m *memory[V]) put(id [32]byte, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keep(id, v)
}

// keep is put with mu held.
func (m *memory[V]) keep(id [32]byte, v V) {
	if m.young == nil || len(m.young) >= remembered/2 {
		m.old, m.young = m.young, make(map[[32]byte]V)
	}
	m.young[id] = v
}

// staple is parseOCSP for what somebody else has fetched. A response that this side has read before about the same certificate is not
// verified again, but for its times: each login shows those of the same authorities, and each staple is looked at before and after the proof.
// The answer is without the response itself.
func (k *Checker) staple(raw []byte, s subject, now time.Time) (*answer, error) {
	id := s.with(raw)
	known, ok := k.staples.get(id)
	if !ok {
		var err error
		if known, err = readOCSP(raw, s, &k.responders); err != nil {
			return nil, err
		}
		if err := checkPlain(known); err != nil {
			return nil, err
		}
		known.raw = nil // who asks has it
		k.staples.put(id, known)
	}
	a := *known
	if err := a.inTime(now); err != nil {
		return nil, err
	}
	if now.Sub(a.this) > stapleLife {
		return nil, bad("older than %v", stapleLife)
	}
	if a.fetched = a.this; a.fetched.After(now) {
		a.fetched = now
	}
	return &a, nil
}

// with identifies something about a certificate and its issuer, by all that its verification depends on.
func (s subject) with(raw []byte) (id [32]byte) {
	cert, issuer := sha256.Sum256(s.cert.Raw), sha256.Sum256(s.issuer.Raw)
	h := sha256.New()
	h.Write(cert[:])
	h.Write(issuer[:])
	h.Write(raw)
	h.Sum(id[:0])
	return id
}
